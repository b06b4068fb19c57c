//! Groups of GPUs that share their air or coolant, whoever is in them, and sensors of which most are off: nobody passes for them, and no GPU
//! is named for what comes to several.

use std::io::Write as _;
use std::sync::LazyLock;

use kiln::event::VerdictWord;
use kiln::model::{Component, ComponentKind, Spread};
use kiln::node::sim::{FaultUse, NodeFile};
use regex::{Captures, Regex};

use crate::trial::{Trial, Tried};

static BRANCH: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\bbranch: [0-9]").expect("a pattern"));

/// A shipped node of usual parts on which these GPUs have a zone of their own, the first.
fn zoned(node: &str, zone: &[u8]) -> NodeFile {
    let mut slot = 0..;
    let text = NodeFile::embedded_text(node).expect("a shipped node");
    let text = BRANCH.replace_all(text, |_: &Captures<'_>| {
        let own = slot.next().is_some_and(|slot: u8| zone.contains(&slot));
        format!("branch: {}", u8::from(!own))
    });
    let mut file = NodeFile::read("zoned.yaml", text.as_bytes()).unwrap_or_else(|errors| panic!("{errors}"));
    file.drawn_as = Spread::Usual;
    file
}

fn usual(node: &str) -> NodeFile {
    let mut file = NodeFile::find(node).expect("a node file");
    file.drawn_as = Spread::Usual;
    file
}

/// Runs a node with faults made of these changes, each at its place.
fn run(file: &NodeFile, seed: u64, when: &str, changes: &str, places: &[Component]) -> Tried {
    let kind = if places.iter().any(|place| place.kind() == ComponentKind::Gpu) { "gpu" } else { "cooling" };
    let mut fault = tempfile::Builder::new().suffix(".yaml").tempfile().expect("a file");
    let text = format!(
        "schema: kiln.fault/1\nid: of-several\ntitle: {{ en: Of several }}\nnumber: 40\nabout: {{ en: What several share. }}\n\
         source: test\ncomponent: {kind}\nchanges: {{ {changes} }}\nwhen: {when}\n\
         severity: {{ default: 1, min: 0.1, max: 2 }}\nexpect: {{ code: NODE-COOLING, component: node }}\n"
    );
    fault.write_all(text.as_bytes()).expect("written");
    let path = fault.path().to_str().expect("a path");
    let faults = places.iter().map(|place| FaultUse::parse(&format!("{path}@{place}")).expect("a fault"));
    Trial::of("acceptance").run_of(file, seed, &faults.collect::<Vec<_>>())
}

/// That the run did not pass and names no GPU.
fn names_nobody(tried: &Tried, what: &str) {
    let word = tried.record.verdict.as_ref().expect("a verdict").word;
    assert_ne!(word, VerdictWord::Pass, "{what}");
    let findings = &tried.record.findings;
    let gpu = findings.iter().find(|finding| finding.component.gpu_index().is_some());
    assert!(gpu.is_none() && !findings.is_empty(), "{what}: {gpu:?}\n{}", tried.blemishes());
}

/// Zones that have one of each pair of twins: no board has places like that.
const OF_EACH_PAIR: [(&str, &[u8]); 2] = [("hgx-b200-8", &[0, 3, 5, 6]), ("pcie-l40s-8", &[0, 3, 5, 6])];
/// Zones that may be places that are warm by design, as far as little flow makes them no warmer than such places are: only a lot
/// tells them apart.
const OTHERS: [(&str, &[u8]); 4] =
    [("hgx-b200-8", &[0, 2, 5]), ("hgx-b200-8", &[0, 2, 4, 6]), ("hgx-h200-8", &[0, 2, 5]), ("gb200-tray-4", &[0, 3])];

#[test]
fn a_zone_that_is_no_half_does_not_pass_when_little_flows_in_it() {
    let blocked = OF_EACH_PAIR.into_iter().chain(OTHERS).map(|zone| (zone, 9202, 0.4));
    for ((node, zone), seed, flow) in OF_EACH_PAIR.into_iter().map(|zone| (zone, 9201, 0.64)).chain(blocked) {
        let changes = format!("cooling.flow: {{ scale: {flow} }}");
        let tried = run(&zoned(node, zone), seed, "always", &changes, &[Component::CoolingBranch(0)]);
        names_nobody(&tried, &format!("{node} {zone:?} {flow}"));
    }
}

#[test]
fn a_zone_that_is_no_half_does_not_pass_when_what_comes_to_it_is_warm() {
    for (node, zone) in OF_EACH_PAIR {
        let changes = "cooling.supply: { add: 9 K }";
        let tried = run(&zoned(node, zone), 9203, "always", changes, &[Component::CoolingBranch(0)]);
        names_nobody(&tried, &format!("{node} {zone:?}"));
    }
}

#[test]
fn a_healthy_board_with_such_zones_passes() {
    for (node, zone) in OF_EACH_PAIR.into_iter().chain(OTHERS) {
        let tried = run(&zoned(node, zone), 9204, "always", "cooling.flow: { scale: 1 }", &[]);
        let word = tried.record.verdict.as_ref().expect("a verdict").word;
        assert_eq!(word, VerdictWord::Pass, "{node} {zone:?}:\n{}", tried.blemishes());
    }
}

#[test]
fn coolant_that_comes_warmer_in_spells_is_no_contact_that_lifts() {
    // The first seeds of which each has a die that is warm enough in them.
    for seed in [8101, 8102] {
        let changes = "cooling.supply: { add: 3 K }";
        let branch = Component::CoolingBranch(0);
        let tried = run(&usual("gb200-tray-4"), seed, "{ every: 10m, for: 2m }", changes, &[branch]);
        names_nobody(&tried, &format!("seed {seed}"));
    }
}

#[test]
fn the_only_good_die_sensor_is_not_the_wrong_one() {
    for (node, gpus) in [("hgx-b200-8", 8), ("pcie-l40s-8", 8), ("gb200-tray-4", 4)] {
        let others: Vec<Component> = (0..gpus).filter(|gpu| *gpu != 1).map(Component::gpu).collect();
        let tried = run(&usual(node), 9210, "always", "sensor.temp.shift: { add: -9 K }", &others);
        names_nobody(&tried, node);
    }
}
