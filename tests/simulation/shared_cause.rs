//! What several parts share is named as what they share, also beside a second cause, late, in spells, or on a board whose zones are not
//! the halves of its GPU numbers.

use std::io::Write as _;

use kiln::event::{Finding, VerdictWord};
use kiln::model::{Component, Spread};
use kiln::node::sim::{FaultUse, NodeFile};

use crate::trial::{Trial, Tried};

/// A branch through which less than half of what should flows, at times told by `when`, on a node of usual parts.
fn run_with_flow(file: &NodeFile, seed: u64, when: &str, share: f64, branch: u8, others: &[FaultUse]) -> Tried {
    let mut fault = tempfile::Builder::new().suffix(".yaml").tempfile().expect("a file");
    let text = format!(
        "schema: kiln.fault/1\nid: little-flow\ntitle: {{ en: Little flow }}\nnumber: 40\nabout: {{ en: A pump that stops. }}\n\
         source: test\ncomponent: cooling\nchanges: {{ cooling.flow: {{ scale: {share} }} }}\nwhen: {{ {when} }}\n\
         severity: {{ default: 1, min: 0.1, max: 2 }}\nexpect: {{ code: COOLING-BRANCH-FLOW, component: cooling }}\n"
    );
    fault.write_all(text.as_bytes()).expect("written");
    let fault = format!("{}@cooling/{branch}", fault.path().to_str().expect("a path"));
    let mut faults = others.to_vec();
    faults.push(FaultUse::parse(&fault).expect("a fault"));
    Trial::of("acceptance").run_of(file, seed, &faults)
}

fn run_of_usual(node: &str, seed: u64, faults: &[&str]) -> Tried {
    let mut file = NodeFile::find(node).expect("a node file");
    file.drawn_as = Spread::Usual;
    let faults: Vec<FaultUse> = faults.iter().map(|fault| FaultUse::parse(fault).expect("a fault")).collect();
    Trial::of("acceptance").run_of(&file, seed, &faults)
}

fn named(tried: &Tried) -> Vec<String> {
    tried.record.findings.iter().map(|finding| format!("{} {}", finding.code, finding.component)).collect()
}

fn only(tried: &Tried) -> &Finding {
    assert_eq!(tried.record.findings.len(), 1, "{:?}", named(tried));
    &tried.record.findings[0]
}

/// Either alone is caught; together the hot one is as warm as its twin, and the pair hides that the half is warm.
#[test]
fn a_clogged_heatsink_does_not_hide_behind_a_blocked_branch_of_the_other_half() {
    for node in ["hgx-h200-8", "hgx-b200-8", "hgx-h100-8"] {
        for (branch, gpu, other) in [("branch-blocked@cooling/0:0.4", 5, 0), ("branch-blocked@cooling/1:0.4", 2, 1)] {
            let tried =
                run_of_usual(node, 31 + u64::from(other), &[branch, &format!("heatsink-clogged@gpu/{gpu}:0.8")]);
            let word = tried.record.verdict.as_ref().expect("a verdict").word;
            assert_ne!(word, VerdictWord::Pass, "{node} {branch}");
            let finding = only(&tried);
            let gpu = Component::gpu(gpu);
            let shared = ["NODE-COOLING", "GPU-COOLING-CONTACT"].contains(&finding.code.as_str());
            assert!(shared, "{node} {branch}: {:?}", named(&tried));
            let known = finding.component == gpu
                || [gpu, Component::CoolingBranch(other)].iter().all(|suspect| finding.suspects.contains(suspect));
            assert!(known, "{node} {branch}: {:?} {:?}", finding.component, finding.suspects);
        }
    }
}

/// The fourth of the half is as warm as its twin, and is not the odd one of the pairs.
#[test]
fn three_bad_contacts_of_a_half_accuse_neither_the_fourth_nor_its_twin() {
    for node in ["hgx-h200-8", "hgx-b200-8"] {
        for seed in 31..34 {
            let faults = [4, 5, 7].map(|gpu| format!("cold-plate-loose@gpu/{gpu}:0.5"));
            let tried = run_of_usual(node, seed, &faults.each_ref().map(String::as_str));
            let mut named = named(&tried);
            named.sort();
            let wanted = [4, 5, 7].map(|gpu| format!("GPU-COOLING-CONTACT gpu/{gpu}"));
            assert_eq!(named, wanted, "{node} seed {seed}");
        }
    }
}

/// Coolant that stood still while the dies of one half cooled makes those of the other fall farther.
#[test]
fn dies_that_fall_as_their_half_does_have_no_bad_contact_beside_a_half_without_flow() {
    for (node, seed) in [("hgx-h200-8", 1), ("hgx-b200-8", 1)] {
        let file = NodeFile::find(node).expect("a node file");
        let tried = run_with_flow(&file, seed, "every: 10m, for: 2m", 0.64, 1, &[]);
        assert_eq!(named(&tried), ["COOLING-BRANCH-FLOW cooling/1"], "{node}");
    }
}

/// Zones that lie otherwise than the halves: those that got hotter together are not one with a worse contact.
#[test]
fn gpus_of_a_zone_that_get_hot_together_when_a_guard_stops_the_first_are_no_contact() {
    let zones = [0, 1, 1, 0, 1, 0, 0, 1];
    let mut file = NodeFile::find("hgx-b200-8").expect("a node file");
    for (slot, zone) in file.slots.iter_mut().zip(zones) {
        slot.branch = zone;
    }
    for seed in [51, 52] {
        let tried = run_with_flow(&file, seed, "after: 60m", 0.28, 1, &[]);
        let finding = only(&tried);
        assert_eq!((finding.code.as_str(), finding.component), ("NODE-COOLING", Component::Node), "seed {seed}");
        let suspects = [1, 2, 4, 7].map(Component::gpu);
        assert!(suspects.iter().all(|one| finding.suspects.contains(one)), "seed {seed}: {:?}", finding.suspects);
        assert_eq!(finding.suspects.len(), 1 + suspects.len(), "seed {seed}: {:?}", finding.suspects);
    }
}

/// The whole half is hot by contacts, and the other one is not cooled better than it should be.
#[test]
fn four_bad_contacts_of_a_half_are_no_coolant_that_stands_still_for_the_others() {
    for node in ["hgx-h200-8", "hgx-b200-8"] {
        let faults = [4, 5, 6, 7].map(|gpu| format!("cold-plate-loose@gpu/{gpu}:0.5"));
        let tried = run_of_usual(node, 31, &faults.each_ref().map(String::as_str));
        let named = named(&tried);
        assert!(!named.is_empty() && !named.contains(&"COOLING-BRANCH-FLOW cooling/0".to_owned()), "{node}: {named:?}");
    }
}

#[test]
fn a_bad_contact_is_named_beside_a_half_whose_coolant_stands_still_or_hardly_flows() {
    let contact = "GPU-COOLING-CONTACT gpu/1".to_owned();
    for node in ["hgx-h200-8", "hgx-b200-8"] {
        let file = NodeFile::find(node).expect("a node file");
        let loose = FaultUse::parse("cold-plate-loose@gpu/1:0.7").expect("a fault");
        let tried = run_with_flow(&file, 1, "every: 10m, for: 2m", 0.64, 1, &[loose]);
        assert!(named(&tried).contains(&contact), "{node}: {:?}", named(&tried));
    }
    for node in ["hgx-b200-8", "hgx-h200-8-liquid"] {
        let tried = run_of_usual(node, 31, &["branch-blocked@cooling/1:0.5", "cold-plate-loose@gpu/1:0.7"]);
        assert_eq!(named(&tried), [contact.as_str()], "{node}");
    }
}

/// Each of several GPUs of a warm half stands out a little, and none makes the others seem so.
#[test]
fn a_half_that_gets_warm_beside_a_clogged_heatsink_of_the_other_is_a_branch() {
    let tried = run_of_usual("pcie-l40s-8", 566_132, &["flow-falls@cooling/1:0.68", "heatsink-clogged@gpu/2:0.53"]);
    assert_eq!(named(&tried), ["COOLING-BRANCH-FLOW cooling/1"]);
}

/// Each pair of twins was one that kept the other from being compared.
#[test]
fn two_clogged_heatsinks_do_not_hide_one_another() {
    for node in ["hgx-h200-8", "hgx-b200-8", "hgx-h200-8-liquid"] {
        for (one, two) in [(0, 2), (1, 6)] {
            let faults = [one, two].map(|gpu| format!("heatsink-clogged@gpu/{gpu}:1.3"));
            let tried = run_of_usual(node, 1, &faults.each_ref().map(String::as_str));
            let suspects: Vec<Component> = tried
                .record
                .findings
                .iter()
                .flat_map(|one| one.suspects.iter().copied().chain([one.component]))
                .collect();
            for gpu in [one, two] {
                assert!(suspects.contains(&Component::gpu(gpu)), "{node} {one} {two}: {suspects:?}");
            }
            let others = suspects.iter().filter_map(|one| one.gpu_index()).filter(|gpu| ![one, two].contains(&gpu.0));
            assert_eq!(others.count(), 0, "{node} {one} {two}: {suspects:?}");
        }
    }
}

/// What is reckoned over an inlet, a twin or siblings that read wrong is no matter of the one that is held against them.
#[test]
fn what_is_compared_with_a_wrong_sensor_accuses_nobody_else() {
    let branch = |number: u8| format!("COOLING-BRANCH-FLOW cooling/{number}");
    let sensor = |part: &str| format!("SENSOR-IMPLAUSIBLE {part}");
    let inlet = "inlet-sensor-high";
    for (node, seed, faults, wanted) in [
        (
            "hgx-h200-8-liquid",
            189_522,
            [inlet, "power-and-energy-low@gpu/7:1.5"],
            vec![sensor("gpu/7"), sensor("node")],
        ),
        (
            "hgx-h200-8-liquid",
            405_446,
            ["inlet-sensor-high:1.3", "sensor-low-when-hot@gpu/3:1.4"],
            vec![sensor("node")],
        ),
        ("hgx-b200-8", 98_352, ["inlet-sensor-high:1.4", "branch-blocked@cooling/1"], vec![branch(1), sensor("node")]),
        (
            "hgx-h200-8",
            1,
            ["sensor-shifted@gpu/1:0.5", "heatsink-clogged@gpu/6"],
            vec!["GPU-COOLING-CONTACT gpu/6".to_owned(), sensor("gpu/1")],
        ),
        (
            "gb200-tray-4",
            421_002,
            ["power-and-energy-low@gpu/1:1.4", "branch-blocked@cooling/1:0.9"],
            vec![branch(1), sensor("gpu/1")],
        ),
    ] {
        let tried = run_of_usual(node, seed, &faults);
        let mut named = named(&tried);
        named.sort();
        assert_eq!(named, wanted, "{node} {seed} {faults:?}:\n{}", tried.blemishes());
    }
    // One die a little below the inlet, and another nearly so.
    let tried = run_of_usual("pcie-l40s-8", 766_798, &["inlet-sensor-high:0.85"]);
    assert_eq!(named(&tried), ["SENSOR-IMPLAUSIBLE node"]);
}

/// Coolant that comes in spells to a whole branch, beside a sensor that is off: dies of the other half fall farther than those for whom
/// it stood still.
#[test]
fn spells_of_a_branch_beside_a_wrong_sensor_accuse_neither_half() {
    for (node, seed, branch, share, when, other) in [
        ("hgx-b200-8", 543_308, 0, 0.58, "every: 10m, for: 2m", "sensor-low-when-hot@gpu/7:0.78"),
        ("hgx-b200-8", 464_568, 0, 0.352, "every: 20m, for: 5m", "sensor-shifted@gpu/2:1.01"),
        ("hgx-h100-8", 834_034, 0, 0.4, "every: 10m, for: 2m", "sensor-shifted@gpu/2:1.08"),
        ("hgx-h200-8-liquid", 967_127, 0, 0.232, "every: 10m, for: 2m", "power-and-energy-low@gpu/0:1.4"),
        ("hgx-h200-8-liquid", 303_879, 1, 0.22, "every: 10m, for: 2m", "sensor-shifted@gpu/2:1.22"),
        ("pcie-l40s-8", 911_283, 1, 0.532, "every: 10m, for: 2m", "branch-starts-dry@cooling/1:0.65"),
    ] {
        let mut file = NodeFile::find(node).expect("a node file");
        file.drawn_as = Spread::Usual;
        let fault = FaultUse::parse(other).expect("a fault");
        let tried = run_with_flow(&file, seed, when, share, branch, &[fault]);
        let named = named(&tried);
        let shared = [format!("COOLING-BRANCH-FLOW cooling/{branch}"), "NODE-COOLING node".to_owned()];
        assert!(shared.iter().any(|one| named.contains(one)), "{node} {other}: {named:?}");
        let part = other.split(['@', ':']).nth(1).expect("a part");
        let wrong = |one: &&String| one.contains("gpu/") && !one.ends_with(part);
        assert_eq!(named.iter().find(wrong), None, "{node} {other}: {named:?}");
    }
    let mut file = NodeFile::find("hgx-b200-8").expect("a node file");
    file.drawn_as = Spread::Usual;
    let tried = run_with_flow(&file, 419_421, "every: 10m, for: 2m", 0.22, 1, &[]);
    assert_eq!(named(&tried), ["COOLING-BRANCH-FLOW cooling/1"]);
}

/// What a half shares leaves more of a bad heat sink at rest than a straight line to zero power does: no zero of a sensor.
#[test]
fn a_clogged_heatsink_in_a_blocked_branch_is_no_sensor_that_is_off() {
    let tried = run_of_usual("hgx-b200-8", 634_581, &["heatsink-clogged@gpu/3:0.5", "branch-blocked@cooling/0:0.54"]);
    let named = named(&tried);
    assert!(named.contains(&"COOLING-BRANCH-FLOW cooling/0".to_owned()), "{named:?}");
    assert!(!named.iter().any(|one| one.starts_with("SENSOR")), "{named:?}");
}

/// Coolant that comes in spells explains a fall that is flat, not one that is late.
#[test]
fn a_sensor_that_lags_is_told_beside_a_branch_whose_coolant_comes_in_spells() {
    let mut file = NodeFile::find("gb200-tray-4").expect("a node file");
    file.drawn_as = Spread::Usual;
    let lags = FaultUse::parse("sensor-lags@gpu/0:0.38").expect("a fault");
    let tried = run_with_flow(&file, 74_179, "every: 10m, for: 2m", 0.24, 0, &[lags]);
    let mut both = named(&tried);
    both.sort();
    assert_eq!(both, ["COOLING-BRANCH-FLOW cooling/0", "SENSOR-IMPLAUSIBLE gpu/0"]);
    let tried = run_with_flow(&file, 74_179, "every: 10m, for: 2m", 0.24, 0, &[]);
    assert_eq!(named(&tried), ["COOLING-BRANCH-FLOW cooling/0"]);
}

#[test]
fn the_only_true_memory_sensor_of_eight_is_not_the_wrong_one() {
    for node in ["hgx-h200-8", "hgx-b200-8"] {
        for severity in ["0.5", "1"] {
            let faults: Vec<String> = (0..7).map(|gpu| format!("sensor-memory-shifted@gpu/{gpu}:{severity}")).collect();
            let faults: Vec<FaultUse> = faults.iter().map(|fault| FaultUse::parse(fault).expect("a fault")).collect();
            let tried = Trial::of("acceptance").run_with(node, 2, &faults);
            let wanted: Vec<String> = (0..7).map(|gpu| format!("SENSOR-IMPLAUSIBLE gpu/{gpu}")).collect();
            let mut named = named(&tried);
            named.sort();
            assert_eq!(named, wanted, "{node} {severity}");
        }
    }
}

/// Which of the two a supply feeds, or whether each brakes for itself, nothing tells.
#[test]
fn a_brake_of_half_a_node_leaves_node_and_braked_gpus_as_suspects() {
    let faults = ["power-brake@gpu/0:2", "power-brake@gpu/2:2"].map(|fault| FaultUse::parse(fault).expect("a fault"));
    let tried = Trial::of("acceptance").run_with("gb200-tray-4", 9101, &faults);
    let finding = only(&tried);
    assert_eq!((finding.code.as_str(), finding.component), ("NODE-POWER-BRAKE", Component::Node));
    assert_eq!(finding.suspects, [Component::Node, Component::gpu(0), Component::gpu(2)]);
}
