//! What is right resolves as written, inherits as documented and says where each value came from.

use std::collections::BTreeSet;

use kiln::profile::{Deviation, ParamValue, Request, Skus, explain, json_schema, resolve};
use kiln::yaml::Diagnostics;
use serde_json::Value;

use super::catalogue::CATALOGUE;
use super::{read, resolve_file};

const EVERYTHING: &str = "fixtures/profiles/everything.yaml";
const CHILD: &str = "fixtures/profiles/child.yaml";

fn with<T>(
    path: &str,
    set: &[(&str, &str)],
    only: Option<&str>,
    use_it: impl FnOnce(&Request<'_>) -> Result<T, Diagnostics>,
) -> Result<T, Diagnostics> {
    let bytes = read(path).expect("the fixture");
    let skus = Skus::built_in().expect("SKUs");
    let set: Vec<(String, String)> =
        set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    use_it(&Request { name: path, bytes: &bytes, catalogue: CATALOGUE, skus: &skus, set: &set, only, read: &read })
}

fn refused(text: &str) -> String {
    let skus = Skus::built_in().expect("SKUs");
    let bytes = text.as_bytes();
    let request =
        Request { name: "p.yaml", bytes, catalogue: CATALOGUE, skus: &skus, set: &[], only: None, read: &read };
    resolve(&request).expect_err("mistakes").render(false)
}

#[test]
fn the_whole_grammar_resolves() {
    let profile = resolve_file(EVERYTHING).unwrap_or_else(|errors| panic!("{errors}"));
    insta::assert_snapshot!(serde_json::to_string_pretty(&profile).unwrap());
}

#[test]
fn explain_says_where_each_value_came_from() {
    let explanation = with(CHILD, &[("every", "5s")], None, explain).unwrap_or_else(|errors| panic!("{errors}"));
    insta::assert_snapshot!(explanation);
}

#[test]
fn a_child_changes_what_it_writes_and_nothing_else() {
    let parent = resolve_file(EVERYTHING).unwrap();
    let child = resolve_file(CHILD).unwrap_or_else(|errors| panic!("{errors}"));
    let guards: Vec<&str> = child.guards.iter().map(|guard| guard.id.as_str()).collect();
    assert_eq!(guards, ["over-temperature", "lost", "hot-memory"], "guards add up and only `off` removes one");
    assert_eq!(child.guards[0].hold.as_secs(), 10);
    assert_eq!(child.guards[0].trigger, parent.guards[0].trigger);
    let stages: Vec<&str> = child.stages.iter().map(|stage| stage.id.as_str()).collect();
    assert_eq!(stages, ["identify", "burn", "watch"], "nothing of the parent is lost, in its order");
    assert_eq!(child.stages[0], parent.stages[0], "a bare id takes over unchanged");
    let (gemm, was) = (&child.stages[1].steps[0], &parent.stages[1].steps[0]);
    assert_eq!(gemm.params.get("power"), Some(&ParamValue::Number(600.0)));
    assert_eq!(gemm.params.span("for").map(|span| span.as_secs()), Some(60), "variables are replaced after merging");
    assert_eq!(gemm.params.text("kernel"), Some("fp8"));
    assert!(!gemm.limits.contains_key("power.mean"), "`none` removes a limit");
    assert_eq!(gemm.limits["mismatches"].text, "<= 1");
    assert_eq!(gemm.limits["temp.max"], was.limits["temp.max"]);
    assert_eq!(child.teardown, parent.teardown);
    assert_eq!((child.id.as_str(), child.revision, child.title.ja.as_deref()), ("child", 1, None));
}

#[test]
fn what_the_command_line_changes_is_recorded_and_named_by_the_digest() {
    let plain = with(EVERYTHING, &[], None, resolve).unwrap();
    let same = with(EVERYTHING, &[("soak", "30m")], None, resolve).unwrap();
    let set = with(EVERYTHING, &[("soak", "2h"), ("passes", "1")], Some("burn.*"), resolve).unwrap();
    assert_eq!(plain.deviations, []);
    assert_eq!(same, plain, "setting what is there anyway is no deviation");
    let deviation = |name: &str, value: &str, was: &str| Deviation::Set {
        name: name.to_owned(),
        value: value.to_owned(),
        was: was.to_owned(),
        least: None,
        kept: false,
    };
    let only = Deviation::Only { filter: "burn.*".to_owned() };
    assert_eq!(set.deviations, [deviation("soak", "2h", "30m"), deviation("passes", "1", "3"), only]);
    assert_eq!(plain.digest(), with(EVERYTHING, &[], None, resolve).unwrap().digest());
    assert_ne!(plain.digest(), set.digest());
    assert!(plain.digest().starts_with("sha256:") && plain.digest().len() == 71, "{}", plain.digest());
    let read_back: kiln::profile::Profile = serde_json::from_str(&set.canonical_json()).unwrap();
    assert_eq!(read_back, set);
}

#[test]
fn what_the_command_line_sets_wrongly_is_placed_there() {
    let error = with(EVERYTHING, &[("soka", "1h"), ("soak", "long"), ("passes", "")], None, resolve).unwrap_err();
    insta::assert_snapshot!(error, @r#"
    error: the profile has no variable `soka`
     --> --set:1:1
      |
    1 | soka=1h
      | ^^^^
      |
      = help: did you mean `soak`?

    error: `long` is not a length of time; write for example `90s`, `30m`, `1h 30m` or `72h`
     --> --set:1:6
      |
    1 | soak=long
      |      ^^^^

    error: `passes` has no value
      --> fixtures/profiles/everything.yaml:42:11
       |
    42 |           passes: "${passes}"
       |           ^^^^^^
       |
       = help: write one, or delete the line
    "#);
}

#[test]
fn all_mistakes_of_a_file_are_told_at_once() {
    insta::assert_snapshot!(refused(
        r#"schema: kiln.profile/1
id: Many
title: Many mistakes
skus: [h100-smx]
telemetry: { every: 1 }
guards: [ { id: hot, trip: { temp.gpu: ">= 90" } } ]
stages:
  - id: burn
    then: { fail: halt }
    steps:
      - { use: gpu.brun, with: { anything: 1 }, limits: { whatever: 5 } }
      - use: gpu.burn
        with: { kernal: bf16, for: 10 }
        limits: { power.maen: "<= 5 W", power.mean: "<= 5 C", temp.max: "= 5 °C" }
      - nothing
    needs: [identify]
teardwn: []
"#
    ));
}

#[test]
fn a_file_too_large_is_refused_unread() {
    insta::assert_snapshot!(refused(&"# filler\n".repeat(200_000)), @r#"
    error: the file is 1800000 bytes long, more than the 1048576 that are read
    --> p.yaml
     = help: is this the right file? split it if it is
    "#);
}

#[test]
fn every_default_of_every_check_reads() {
    for spec in CATALOGUE.0.iter().chain(kiln::check::catalogue().0) {
        for param in spec.params.iter().filter(|param| param.default.is_some()) {
            assert!(param.default_value().is_some(), "{}: {} = {:?}", spec.name, param.name, param.default);
        }
    }
}

#[test]
fn the_schema_knows_every_check_parameter_and_measurement_and_its_references_resolve() {
    let schema = json_schema(CATALOGUE, &Skus::built_in().unwrap());
    let checks = schema["$defs"]["step"]["allOf"].as_array().unwrap();
    assert_eq!(checks.len(), CATALOGUE.0.len());
    for (check, spec) in checks.iter().zip(CATALOGUE.0) {
        assert_eq!(check["if"]["properties"]["use"]["const"], spec.name);
        let keys = |of: &str| -> BTreeSet<String> {
            check["then"]["properties"][of]["properties"].as_object().unwrap().keys().cloned().collect()
        };
        assert_eq!(keys("with"), spec.params.iter().map(|param| param.name.to_owned()).collect());
        assert_eq!(keys("limits"), spec.measurements.iter().map(|measurement| measurement.name.to_owned()).collect());
    }
    let mut references = Vec::new();
    collect(&schema, &mut references);
    assert!(!references.is_empty());
    for reference in references {
        assert!(schema.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
    }
    insta::assert_snapshot!(serde_json::to_string_pretty(&schema["properties"]).unwrap());
}

fn collect<'v>(value: &'v Value, references: &mut Vec<&'v str>) {
    match value {
        Value::Object(entries) => {
            references.extend(entries.get("$ref").and_then(Value::as_str));
            entries.values().for_each(|value| collect(value, references));
        }
        Value::Array(elements) => elements.iter().for_each(|value| collect(value, references)),
        _ => {}
    }
}

/// A child of `everything.yaml` by its own lines.
fn child(lines: &str) -> Result<kiln::profile::Profile, String> {
    child_of("fixtures/profiles/everything.yaml", CATALOGUE, lines)
}

fn child_of(parent: &str, catalogue: kiln::profile::Catalogue, lines: &str) -> Result<kiln::profile::Profile, String> {
    let text = format!("schema: kiln.profile/1\nid: c\nrevision: 1\ntitle: C\nextends: {parent}\n{lines}");
    let skus = Skus::built_in().expect("SKUs");
    let bytes = text.as_bytes();
    let request = Request { name: "c.yaml", bytes, catalogue, skus: &skus, set: &[], only: None, read: &read };
    resolve(&request).map_err(|errors| errors.render(false))
}

fn paths(profile: &kiln::profile::Profile) -> Vec<String> {
    let steps = profile.stages.iter().flat_map(|stage| stage.steps.iter().map(move |step| (stage, step)));
    steps.map(|(stage, step)| format!("{}.{}", stage.id, step.id)).collect()
}

#[test]
fn a_child_that_changes_one_step_keeps_all_others() {
    let parent = resolve_file(EVERYTHING).unwrap();
    let changed =
        child("stages: [{ id: burn, steps: [{ id: gemm, limits: { mismatches: \"<= 2\" } }] }]\n").expect("resolves");
    assert_eq!(paths(&changed), paths(&parent));
    assert_eq!(changed.without, [""; 0]);
}

#[test]
fn what_a_child_adds_stands_where_it_is_written() {
    let mine = "{ id: mine, steps: [{ use: inventory.match }] }";
    let order = |lines: &str| -> Vec<String> {
        child(lines).expect("resolves").stages.iter().map(|stage| stage.id.clone()).collect()
    };
    assert_eq!(order(&format!("stages: [identify, {mine}]\n")), ["identify", "mine", "burn", "watch"]);
    assert_eq!(order(&format!("stages: [burn, {mine}]\n")), ["identify", "burn", "mine", "watch"]);
}

#[test]
fn only_without_leaves_something_out_and_the_profile_says_so() {
    let less = child("without: [watch]\n").expect("resolves");
    assert_eq!(less.stages.len(), 2);
    assert_eq!(less.without, ["watch"]);
    let unknown = child("without: [bur, teardown.nothing]\n").expect_err("unknown");
    assert!(unknown.contains("the parent has no stage or step `bur`"), "{unknown}");
    assert!(unknown.contains("did you mean `burn`?"), "{unknown}");
}

#[test]
fn a_child_of_a_stock_gets_the_stages_it_writes_with_all_guards_and_the_teardown() {
    let child_of = |parent: &str, lines: &str| child_of(parent, kiln::check::catalogue(), lines);
    let whole = child_of("base", "").expect("resolves");
    assert!(whole.stages.len() > 3 && whole.without.is_empty(), "a child that writes none gets all");
    let own = "stages: [{ id: mine, steps: [{ use: kernel.log, limits: { hardware: \"== 0\" } }] }, identify]\n";
    let profile = child_of("base", own).expect("resolves");
    let ids = |profile: &kiln::profile::Profile| -> Vec<String> {
        profile.stages.iter().map(|stage| stage.id.clone()).collect()
    };
    assert_eq!(ids(&profile), ["mine", "identify"]);
    assert_eq!((&profile.guards, &profile.teardown), (&whole.guards, &whole.teardown));
    let mut others = ids(&whole);
    others.retain(|id| id != "identify");
    assert_eq!(profile.without, others, "what was not taken is told");
    // A step of a stage that is taken stays, as with any parent; a test made of a stock is none itself.
    let load = "without: [load.march, soak]\nstages: [{ id: load, steps: [{ id: gemm, with: { for: 2h } }] }]\n";
    let load = child_of("base", load).expect("resolves");
    assert_eq!(ids(&load), ["load"]);
    assert!(paths(&load).contains(&"load.exchange".to_owned()) && !paths(&load).contains(&"load.march".to_owned()));
    assert_eq!(load.without.iter().filter(|left| *left == "soak").count(), 1);
    assert_eq!(ids(&child_of("acceptance", own).expect("resolves")).len(), whole.stages.len() + 1);
    assert!(child_of("base", "stages: []\n").expect_err("nothing to do").contains("stage"));
}

#[test]
fn a_stage_that_is_taken_by_its_bare_id_does_not_bring_back_what_is_left_out_of_it() {
    let without = "without: [links.pcie-bandwidth, after.fabric]\n";
    let ids = |stages: &str| {
        paths(&child_of("base", kiln::check::catalogue(), &format!("{without}{stages}")).expect("resolves"))
    };
    let bare = ids("stages: [identify, links, after]\n");
    assert!(bare.contains(&"links.pcie-link".to_owned()) && bare.contains(&"after.log".to_owned()), "{bare:?}");
    assert!(
        !bare.contains(&"links.pcie-bandwidth".to_owned()) && !bare.contains(&"after.fabric".to_owned()),
        "{bare:?}"
    );
    assert_eq!(bare, ids("stages: [{ id: identify }, { id: links }, { id: after }]\n"));
}

#[test]
fn a_second_look_takes_over_what_a_child_gives_to_the_first() {
    let lines = "stages:\n  - { id: burn, steps: [{ id: gemm, limits: { mismatches: \"<= 2\" } }] }\n  - { id: after, steps: [{ id: again, again: burn.gemm, with: { for: 17s } }] }\n";
    let profile = child(lines).expect("resolves");
    let (first, second) = (&profile.stages[1].steps[0], &profile.stages[2].steps[0]);
    assert_eq!((&second.limits, second.check.as_str()), (&first.limits, "gpu.burn"));
    assert_eq!(second.params.span("for").map(|span| span.as_secs()), Some(17));
    assert_eq!(second.needs, [""; 0], "what it waits for is its own");
    let dangling = child("without: [burn.gemm]\nstages: [{ id: after, steps: [{ id: again, again: burn.gemm }] }]\n");
    let dangling = dangling.expect_err("left out");
    assert!(dangling.contains("leave out the second look with it"), "{dangling}");
}

#[test]
fn less_than_the_least_is_told_and_a_child_that_means_it_says_so() {
    let vars = |text: &str, set: &[(&str, &str)]| {
        let text = format!(
            "schema: kiln.profile/1\nid: c\nrevision: 1\ntitle: C\nskus: [h200-sxm]\nvars: {{ soak: {text} }}\n\
             stages: [{{ id: s, steps: [{{ use: gpu.burn, with: {{ for: \"${{soak}}\" }} }}] }}]\n"
        );
        let set: Vec<(String, String)> =
            set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let skus = Skus::built_in().expect("SKUs");
        let bytes = text.as_bytes();
        let request =
            Request { name: "c.yaml", bytes, catalogue: CATALOGUE, skus: &skus, set: &set, only: None, read: &read };
        resolve(&request).map_err(|errors| errors.render(false))
    };
    let lessened =
        |set: &str| vars("{ value: 40m, min: 20m }", &[("soak", set)]).expect("resolves").deviations[0].lessens();
    assert!(lessened("1m") && lessened("19m 59s"));
    assert!(!lessened("20m") && !lessened("2h"));
    assert!(vars("40m", &[("soak", "1h")]).expect("resolves").deviations[0].lessens(), "nobody said what is enough");
    let below = vars("{ value: 1m, min: 20m }", &[]).expect_err("below");
    assert!(below.contains("below the least that is asked for, 20m"), "{below}");
    let apart = vars("{ value: 1m, min: 20 W }", &[]).expect_err("apart");
    assert!(apart.contains("cannot be compared"), "{apart}");
}

#[test]
fn a_setting_that_nothing_uses_is_refused() {
    let text = "schema: kiln.profile/1\nid: c\nrevision: 1\ntitle: C\nskus: [h200-sxm]\nvars: { soak: 1h }\n\
                stages: [{ id: s, steps: [{ use: gpu.burn, with: { for: 1m } }] }]\n";
    let skus = Skus::built_in().expect("SKUs");
    let set = [("soak".to_owned(), "2h".to_owned())];
    let bytes = text.as_bytes();
    let request =
        Request { name: "c.yaml", bytes, catalogue: CATALOGUE, skus: &skus, set: &set, only: None, read: &read };
    let refused = resolve(&request).expect_err("idle").render(false);
    assert!(refused.contains("`soak` is used nowhere in this profile"), "{refused}");
}

#[test]
fn what_is_probably_not_meant_is_warned_of() {
    let text = "schema: kiln.profile/1\nid: c\nrevision: 1\ntitle: C\nskus: [h200-sxm]\nvars: { soak: 1h }\nstages:\n\
                \x20 - id: s\n    steps:\n      - id: b\n        use: gpu.burn\n        with: { for: 1m }\n        limits:\n\
                \x20         power.mean: { limit: \">= 97 % of sku.tdp\", marginal: \">= 90 % of sku.tdp\" }\n\
                \x20         thermal.resistance: \"<= 108 % of baseline\"\n\
                \x20         throughput.p5: \">= 98 % of first\"\n\
                waivers:\n  - { match: \"s.b[gpu/1].power.mean\", until: 2025-01-31, by: qa, reason: trial }\n";
    let skus = Skus::built_in().expect("SKUs");
    let bytes = text.as_bytes();
    let request =
        Request { name: "c.yaml", bytes, catalogue: CATALOGUE, skus: &skus, set: &[], only: None, read: &read };
    let today = "2026-07-01".parse().expect("a day");
    let warned = kiln::profile::warnings(&request, today, false).expect("resolves").render_warnings(false);
    insta::assert_snapshot!(warned);
    let with_baseline = kiln::profile::warnings(&request, today, true).expect("resolves");
    assert_eq!(with_baseline.len() + 1, 5);
}

#[test]
fn shipped_profiles_give_no_warning() {
    let skus = Skus::built_in().expect("SKUs");
    for name in kiln::profile::builtin::profile_names() {
        let text = kiln::profile::builtin::profile(name).expect("built in");
        let name = format!("built-in:{name}.yaml");
        let request = Request {
            name: &name,
            bytes: text.as_bytes(),
            catalogue: kiln::check::catalogue(),
            skus: &skus,
            set: &[],
            only: None,
            read: &read,
        };
        let warned = kiln::profile::warnings(&request, "2026-07-01".parse().expect("a day"), false).expect("resolves");
        assert!(warned.is_empty(), "{}", warned.render_warnings(false));
    }
}
