//! Defects that are there only while the long load runs, and gone before and after it: what was looked at before a load and after it
//! proves nothing of the time between. None of the cases was known when the checks were written. And defects that looked like those of
//! a part which is good.

use std::io::Write as _;

use kiln::event::VerdictWord;
use kiln::model::ComponentKind;
use kiln::node::sim::{FaultUse, NodeFile};

use crate::trial::{Trial, Tried};

/// A run of the acceptance with one part that has `changes` in `when`.
fn run(node: &str, component: &str, changes: &str, when: &str, seed: u64) -> Tried {
    let text = format!(
        "schema: kiln.fault/1
id: meanwhile
title: {{ en: Meanwhile }}
number: 1
about: {{ en: Gone before and after. }}
source: cases of others
component: {component}
on: one
changes: {{ {changes} }}
when: {{ {when} }}
expect: {{ code: LIMIT-MISSED, component: {component} }}
"
    );
    let mut file = tempfile::Builder::new().suffix(".yaml").tempfile().expect("a file");
    file.write_all(text.as_bytes()).expect("written");
    let fault = FaultUse::parse(file.path().to_str().expect("a path")).expect("a fault");
    Trial::of("acceptance").run_with(node, seed, &[fault])
}

/// The code and the kind of part of every finding.
fn found(tried: &Tried) -> Vec<(String, ComponentKind)> {
    tried.record.findings.iter().map(|finding| (finding.code.clone(), finding.component.kind())).collect()
}

fn word(tried: &Tried) -> VerdictWord {
    tried.record.verdict.as_ref().expect("a verdict").word
}

#[test]
fn a_supply_that_gives_no_power_for_half_an_hour_of_the_soak_is_named() {
    for node in ["hgx-h200-8", "hgx-b200-8"] {
        let tried = run(node, "psu", "psu.ok: { set: 0 }", "after: 63m, until: 90m", 11);
        assert_eq!(word(&tried), VerdictWord::Fail, "{node}: {}", tried.blemishes());
        assert_eq!(found(&tried), [("PSU-FAILED".to_owned(), ComponentKind::Psu)], "{node}");
    }
}

#[test]
fn a_part_that_does_not_come_to_rest_any_more_after_its_work_is_named() {
    for node in ["hgx-h200-8", "gb200-tray-4"] {
        let tried = run(node, "gpu", "power.idle: { scale: 2.5 }", "after: 126m", 21);
        assert_ne!(word(&tried), VerdictWord::Pass, "{node}");
        let kinds: Vec<ComponentKind> = found(&tried).into_iter().map(|(_, kind)| kind).collect();
        assert_eq!(kinds, [ComponentKind::Gpu], "{node}: {:?}", found(&tried));
    }
}

#[test]
fn rest_that_takes_half_as_much_again_as_before_the_load_is_told_by_the_part_itself() {
    // Siblings differ by as much, so that only its own rest of before the load shows it.
    for (node, seed) in [("hgx-h200-8", 22), ("hgx-b200-8", 23), ("gb200-tray-4", 24)] {
        let tried = run(node, "gpu", "power.idle: { scale: 1.6 }", "after: 126m", seed);
        assert_ne!(word(&tried), VerdictWord::Pass, "{node}");
        let all = found(&tried);
        assert!(all.iter().all(|(_, kind)| *kind == ComponentKind::Gpu) && all.len() == 1, "{node}: {all:?}");
    }
}

#[test]
fn a_part_that_falls_behind_itself_in_the_soak_is_told_though_its_siblings_differ_by_as_much() {
    for (node, seed) in [("hgx-h200-8", 27), ("hgx-b200-8", 28), ("gb200-tray-4", 29)] {
        let tried = run(node, "gpu", "clock.voltage: { scale: 1.14 }", "after: 70m", seed);
        assert_eq!(word(&tried), VerdictWord::Inconclusive, "{node}: {}", tried.blemishes());
        let all = found(&tried);
        assert!(!all.is_empty() && all.iter().all(|(_, kind)| *kind == ComponentKind::Gpu), "{node}: {all:?}");
    }
}

#[test]
fn power_that_is_read_unsteadily_is_told_by_the_siblings() {
    for (node, seed) in [("hgx-h200-8", 30), ("pcie-l40s-8", 31)] {
        let tried = run(node, "gpu", "sensor.power.noise: { set: 0.1 }", "until: 10h", seed);
        let wanted = [("SENSOR-IMPLAUSIBLE".to_owned(), ComponentKind::Gpu)];
        assert_eq!((word(&tried), &found(&tried)[..]), (VerdictWord::Inconclusive, &wanted[..]), "{node}");
    }
}

#[test]
fn what_is_hot_in_the_first_burn_alone_is_told_and_the_right_part_named() {
    // The soak begins after it is over.
    let cases = [
        ("gpu", "cooling.contact: { scale: 1.9 }", ComponentKind::Gpu),
        ("cooling", "cooling.flow: { scale: 0.5 }", ComponentKind::CoolingBranch),
    ];
    for (component, changes, kind) in cases {
        for (node, seed) in [("hgx-h200-8", 25), ("hgx-b200-8", 26)] {
            let tried = run(node, component, changes, "until: 44m", seed);
            assert_ne!(word(&tried), VerdictWord::Pass, "{node} {component}");
            let all = found(&tried);
            assert!(!all.is_empty() && all.iter().all(|(_, found)| *found == kind), "{node} {component}: {all:?}");
        }
    }
}

#[test]
fn a_link_that_goes_down_for_seconds_again_and_again_is_named() {
    for (node, seed) in [("hgx-h200-8", 12), ("hgx-b200-8", 13)] {
        let tried = run(node, "nvlink", "nvlink.active: { set: 0 }", "rate: 12/h, for: 20s", seed);
        assert_eq!(word(&tried), VerdictWord::Fail, "{node}: {}", tried.blemishes());
        let kinds: Vec<ComponentKind> = found(&tried).into_iter().map(|(_, kind)| kind).collect();
        assert_eq!(kinds, [ComponentKind::NvLink], "{node}: {:?}", found(&tried));
    }
}

#[test]
fn a_minute_at_a_third_of_the_clock_in_an_hour_of_soak_is_named() {
    for (node, seed) in [("hgx-h200-8", 14), ("pcie-l40s-8", 15)] {
        let tried = run(node, "gpu", "clock.ceiling: { set: 600 MHz }", "after: 68m, until: 69m", seed);
        assert_eq!(word(&tried), VerdictWord::Fail, "{node}: {}", tried.blemishes());
        assert!(found(&tried).iter().all(|(_, kind)| *kind == ComponentKind::Gpu), "{node}: {:?}", found(&tried));
    }
}

#[test]
fn coolant_that_comes_in_spells_is_named_and_no_part_that_it_cools() {
    for seed in 16..20 {
        let tried = run("hgx-h200-8-liquid", "cooling", "cooling.flow: { set: 0.3 }", "rate: 4/h, for: 60s", seed);
        let kinds: Vec<ComponentKind> = found(&tried).into_iter().map(|(_, kind)| kind).collect();
        assert_eq!(kinds, [ComponentKind::CoolingBranch], "seed {seed}: {}", tried.blemishes());
    }
}

#[test]
fn a_plate_that_lifts_for_minutes_is_a_contact() {
    for (node, seed) in [("hgx-h200-8", 20), ("pcie-l40s-8", 21), ("hgx-b200-8", 22)] {
        let lifts = "cooling.contact: { scale: { base: 1, per_severity: 0.6 } }";
        let tried = run(node, "gpu", lifts, "rate: 6/h, for: 3m", seed);
        assert_eq!(word(&tried), VerdictWord::Fail, "{node}: {}", tried.blemishes());
        assert!(found(&tried).iter().all(|(_, kind)| *kind == ComponentKind::Gpu), "{node}: {:?}", found(&tried));
    }
}

#[test]
fn a_ceiling_of_the_clock_that_no_load_at_the_power_cap_shows_is_named() {
    for (node, seed) in [("hgx-h200-8", 23), ("hgx-b200-8", 24), ("pcie-l40s-8", 25)] {
        let lower = "clock.ceiling: { set: { base: 1830 MHz, per_severity: 0 MHz } }";
        let tried = run(node, "gpu", lower, "after: 0s", seed);
        assert_eq!(word(&tried), VerdictWord::Fail, "{node}: {}", tried.blemishes());
        assert_eq!(found(&tried), [("GPU-CLOCK-STUCK".to_owned(), ComponentKind::Gpu)], "{node}");
    }
}

/// What a built-in fault of this number is found as.
fn known(node: &str, fault: &str, seed: u64) -> Vec<(String, ComponentKind)> {
    found(&Trial::of("acceptance").run(node, seed, Some(fault)))
}

#[test]
fn an_inlet_sensor_that_reads_high_accuses_no_gpu_of_the_row_that_it_shows_on() {
    for seed in 26..29 {
        let found = known("hgx-b200-8", "inlet-sensor-high", seed);
        assert_eq!(found, [("SENSOR-IMPLAUSIBLE".to_owned(), ComponentKind::Node)], "seed {seed}");
    }
}

#[test]
fn a_supply_whose_loss_brakes_the_gpus_accuses_no_sensor_of_theirs() {
    for seed in 29..32 {
        let found = known("hgx-b200-8", "supply-dies-then-brake", seed);
        assert!(found.contains(&("PSU-FAILED".to_owned(), ComponentKind::Psu)), "seed {seed}: {found:?}");
        assert!(found.iter().all(|(_, kind)| *kind != ComponentKind::Gpu), "seed {seed}: {found:?}");
    }
}

#[test]
fn two_slow_links_of_two_gpus_that_end_at_one_switch_do_not_accuse_it() {
    let node = NodeFile::find("hgx-h200-8").expect("a node file");
    let slow = |gpu: u8| FaultUse::parse(&format!("nvlink-slow@gpu/{gpu}/nvlink/2")).expect("a fault");
    let tried = Trial::of("acceptance").run_of(&node, 33, &[slow(1), slow(4)]);
    let kinds: Vec<ComponentKind> = found(&tried).into_iter().map(|(_, kind)| kind).collect();
    assert_eq!(kinds, [ComponentKind::NvLink, ComponentKind::NvLink], "{:?}", found(&tried));
}
