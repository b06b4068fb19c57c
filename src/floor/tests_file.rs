//! What is taken of a floor's file, and what is refused, each with its place.

use kiln_profile::Skus;
use kiln_wire::{PlaceId, SlotId};

use super::*;

/// The file that the documentation shows.
const EXAMPLE: &str = include_str!("../../fixtures/floor/floor.yaml");

const CODES: [&str; 4] = ["GPU-HOT", "NVLINK-DOWN", "PCIE-SPEED", "PCIE-WIDTH"];

fn read(text: &str) -> Result<Policy, String> {
    let skus = Skus::built_in().expect("the shipped models");
    let known = Known { profiles: &["smoke", "acceptance", "burnin-24h"], codes: &CODES, skus: &skus };
    Policy::read("floor.yaml", text.as_bytes(), known).map_err(|errors| errors.render(false))
}

#[test]
fn the_example_is_read_and_a_unit_draws_what_its_parts_do() {
    let policy = read(EXAMPLE).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(policy.route.len(), 2);
    let slot: SlotId = "r01-04".parse().expect("a name");
    let spot = policy.site.spot(&slot).expect("a slot");
    let above: Vec<&str> =
        policy.site.above(spot.rack).iter().map(|place| policy.site.places()[*place].id.as_str()).collect();
    assert_eq!(above, ["r01", "row-1", "cdu-1", "feed-a"]);
    // Eight GPUs of 700 W, and 3.5 kW for the rest of the node.
    assert_eq!(policy.site.racks()[spot.rack].draw, Watts(9_100));
    let class = policy.retest.class(&["PCIE-WIDTH".to_owned()]).expect("a class");
    assert_eq!((class.id.as_str(), class.repairs), ("link", 2));
    assert_eq!(policy.parts, PartsRule::WhereThereIsOne);
    let required = EXAMPLE.replace("parts: optional", "parts: required");
    assert_eq!(read(&required).expect("read").parts, PartsRule::Required);
    let wrong = read(&EXAMPLE.replace("parts: optional", "parts: requird")).expect_err("refused");
    assert!(wrong.contains("did you mean `required`"), "{wrong}");
    assert_eq!(policy.site.by_id(&"cdu-1".parse::<PlaceId>().expect("a name")), Some(3));
}

#[test]
fn every_mistake_is_told_at_once_and_where_it_is() {
    let text = "schema: kiln.floor/2
name: Hall
pol: 2s
poll: 2h
route: [{ profile: smok }]
power:
  - { id: row, under: feed, limit: 10 kW }
  - { id: feed, limit: 10 K }
  - { id: feed, limit: 0 W, ramps: 1 kW }
kinds:
  - { id: k, sku: h200-sxn, gpus: 0, host: 1 kW }
  - { id: good, sku: h200-sxm, gpus: 8, host: 1 kW }
racks:
  - { id: r1, kind: goood, slots: 0, power: rwo }
  - { id: row, kind: good, slots: [a, a b], limit: 1 kW, pulses: spred }
retest: { most: 0, classes: [{ id: x, codes: [PCIE-WIDHT], repairs: 1 }] }
golden: [A, A]
";
    insta::assert_snapshot!(read(text).expect_err("refused"));
}

#[test]
fn windows_in_which_nothing_can_happen_and_classes_without_codes_are_refused() {
    let text = "schema: kiln.floor/1
name: Hall
route: [{ profile: smoke }]
power:
  - { id: feed, limit: 10 kW }
kinds:
  - { id: k, sku: h200-sxm, gpus: 8, host: 1 kW }
racks:
  - { id: r, kind: k, slots: 1, power: feed, golden: 0h }
retest: { classes: [{ id: link, codes: [], repairs: 1 }] }
golden: [A]
breaker: { within: 0m }
";
    insta::assert_snapshot!(read(text).expect_err("refused"));
}

#[test]
fn slots_of_one_name_and_feeds_that_bear_nothing_are_refused() {
    let text = "schema: kiln.floor/1
name: Hall
route: [{ profile: smoke }]
power:
  - { id: feed, limit: 10 kW }
  - { id: spare, limit: 10 kW }
kinds:
  - { id: k, sku: h200-sxm, gpus: 8, host: 1 kW }
racks:
  - { id: r, kind: k, slots: [1-1], power: feed }
  - { id: r-1, kind: k, slots: [1], power: feed, golden: 24h }
";
    insta::assert_snapshot!(read(text).expect_err("refused"));
}

#[test]
fn a_place_that_cannot_bear_one_unit_is_refused() {
    let text = "schema: kiln.floor/1
name: Hall
route: [{ profile: smoke }]
power:
  - { id: feed, limit: 100 kW, ramp: 5 kW }
kinds:
  - { id: k, sku: h200-sxm, gpus: 8, host: 1 kW }
racks:
  - { id: r, kind: k, slots: 2, power: feed, limit: 6 kW }
";
    insta::assert_snapshot!(read(text).expect_err("refused"));
    let unproven = EXAMPLE.replace("golden: [GOLDEN-1]", "");
    assert!(read(&unproven).expect_err("refused").contains("no golden unit is named"));
}

#[test]
fn what_is_no_floor_file_is_refused_by_its_first_line() {
    for text in ["", "a: 1", "schema: kiln.profile/1\n", "- x", "schema: [", "\u{0}"] {
        let told = read(text).expect_err("refused");
        assert!(told.starts_with("error: ") && told.contains("floor.yaml"), "{text:?}: {told}");
    }
}

/// A file that wants a program.
fn wants(agents: &str) -> String {
    let program = format!("sha256:{}", "a1".repeat(32));
    format!("schema: kiln.floor/1\nname: Hall\nroute: [{{ profile: smoke }}]\nagents: {{ {agents} }}\n")
        .replace("PROGRAM", &program)
}

#[test]
fn a_program_of_agents_is_pinned_whole_and_comes_in_waves_of_which_the_last_is_all() {
    let rules = |text: &str| read(text).unwrap_or_else(|errors| panic!("{errors}")).upgrade.expect("rules");
    let usual = rules(&wants("program: \"PROGRAM\""));
    assert_eq!(usual.waves, [Wave::Agents(1), Wave::Agents(10), Wave::Rest]);
    assert_eq!((usual.back.as_secs(), usual.proof), (900, Proof::Back));
    let golden = format!("{}golden: [G]\n", wants("program: \"PROGRAM\", waves: [2, 10 %, all], back: 20m"));
    assert_eq!(rules(&golden).waves, [Wave::Agents(2), Wave::Percent(10), Wave::Rest]);
    assert_eq!(rules(&golden).proof, Proof::Golden);
    for (agents, told) in [
        ("program: \"sha256:abc\"", "is no digest of a program"),
        ("program: kiln", "is no digest of a program"),
        ("waves: [all]", "`program`"),
        ("program: \"PROGRAM\", waves: []", "the last wave is `all`"),
        ("program: \"PROGRAM\", waves: [1]", "the last wave is `all`"),
        ("program: \"PROGRAM\", waves: [all, 1]", "the last wave is `all`"),
        ("program: \"PROGRAM\", waves: [0, 101 %, most, all]", "`101 %` is no wave"),
        ("program: \"PROGRAM\", back: 1s", "between 10s and 24h"),
        ("program: \"PROGRAM\", proof: golden", "no golden unit is named"),
        ("program: \"PROGRAM\", wave: [all]", "did you mean `waves`"),
    ] {
        let errors = read(&wants(agents)).expect_err(agents);
        assert!(errors.contains(told), "{agents}: {errors}");
    }
}

#[test]
fn power_cycles_are_read_with_the_bmcs_of_slots_and_what_could_switch_off_the_wrong_node_is_refused() {
    let with = |bmc: &str, rule: &str| {
        let racks = EXAMPLE.replace("slots: 6, power: row-1,", &format!("slots: 6, power: row-1, bmc: {bmc},"));
        read(&format!("{racks}power-cycle: {rule}\n"))
    };
    let policy = with("{ \"01\": 10.0.1.1, \"02\": bmc-2 }", "{ program: \"cycle -H {bmc} now\", by: rule, tries: 2 }");
    let policy = policy.unwrap_or_else(|errors| panic!("{errors}"));
    let rules = policy.power_cycle.expect("rules");
    let bmc = policy.site.bmc(&"r01-02".parse::<SlotId>().expect("a name")).expect("a BMC");
    assert_eq!(rules.command(bmc), ["cycle", "-H", "bmc-2", "now"]);
    let minutes = |minutes: u64| std::time::Duration::from_secs(60 * minutes);
    assert_eq!((rules.by, rules.tries, rules.after, rules.back), (OrderedBy::Rule, 2, minutes(10), minutes(15)));
    for (bmc, rule, says) in [
        ("{ \"01\": a, \"02\": a }", "{ program: \"c {bmc}\" }", "`a` is here twice"),
        ("{ \"07\": a }", "{ program: \"c {bmc}\" }", "rack `r01` has no slot `07`"),
        ("{ \"01\": -H }", "{ program: \"c {bmc}\" }", "`-H` is no address of a BMC"),
        ("{ }", "{ program: \"c {bmc}\" }", "no slot has a BMC"),
        ("{ \"01\": a }", "{ program: \"c 10.0.0.1\" }", "no argument says which BMC"),
        ("{ \"01\": a }", "{ program: \"{bmc}\" }", "no argument says which BMC"),
        ("{ \"01\": a }", "{ program: \"c {bmc} {host}\" }", "only `{bmc}` stands for something"),
        ("{ \"01\": a }", "{ program: \"c {bmc}\", after: 5s }", "`after` lies between 10s and 24h"),
        ("{ \"01\": a }", "{ program: \"c {bmc}\", after: 60s, by: rule }", "`after` lies between 2m and 24h"),
        ("{ \"01\": a }", "{ program: \"c {bmc}\", tries: 0 }", "`tries` lies between 1 and 10"),
        ("{ \"01\": a }", "{ program: \"c {bmc}\", by: ruel }", "did you mean `rule`"),
        ("{ \"01\": a }", "{ program: \"c {bmc}\", afer: 5m }", "afer"),
    ] {
        let told = with(bmc, rule).expect_err(rule);
        assert!(told.contains(says), "{told}");
    }
}
