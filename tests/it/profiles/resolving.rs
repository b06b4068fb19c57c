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
    assert_eq!(stages, ["identify", "burn"], "a written list is the whole list");
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
