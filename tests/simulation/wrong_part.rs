//! A healthy part must not pay for what another one shows.

use kiln::event::{Outcome, standings};
use kiln::model::{Component, Spread};
use kiln::node::sim::{FaultUse, NodeFile};

use crate::trial::{Trial, Tried};

const AIR: [&str; 3] = ["hgx-h100-8", "hgx-h200-8", "hgx-b200-8"];

#[test]
fn a_sensor_that_reads_low_does_not_fail_its_twin() {
    let trial = Trial::of("acceptance");
    let twin = Component::gpu(7);
    std::thread::scope(|scope| {
        for node in AIR {
            let trial = &trial;
            scope.spawn(move || {
                for seed in 9001..9011 {
                    let tried = trial.run(node, seed, Some("sensor-shifted@gpu/3:0.3"));
                    let failed = standings(&tried.record)
                        .iter()
                        .any(|one| one.case.component == twin && one.outcome == Outcome::Fail);
                    assert!(!failed, "{node} seed {seed}:\n{}", tried.blemishes());
                    let named = tried.record.findings.iter().any(|finding| finding.component == twin);
                    assert!(!named, "{node} seed {seed}: {:?}", tried.record.findings);
                }
            });
        }
    });
}

/// Code and component of every finding.
fn named(tried: &Tried) -> Vec<String> {
    tried.record.findings.iter().map(|finding| format!("{} {}", finding.code, finding.component)).collect()
}

/// Runs with these faults on a node, over a few seeds.
fn name(node: &str, faults: &[&str], wanted: &[&str]) {
    let trial = Trial::of("acceptance");
    let faults: Vec<FaultUse> = faults.iter().map(|fault| FaultUse::parse(fault).expect("a fault")).collect();
    for seed in 9101..9104 {
        let tried = trial.run_with(node, seed, &faults);
        assert_eq!(named(&tried), wanted, "{node} seed {seed}:\n{}", tried.blemishes());
    }
}

#[test]
fn a_die_that_is_hot_is_not_taken_for_its_sensor() {
    for fault in ["heatsink-film@gpu/3", "heatsink-clogged@gpu/3"] {
        name("hgx-h200-8", &[fault], &["GPU-COOLING-CONTACT gpu/3"]);
    }
}

#[test]
fn a_sensor_that_is_off_is_not_taken_for_heat_nor_for_slowness() {
    for fault in ["sensor-low-when-hot@gpu/3", "sensor-memory-high@gpu/3", "power-and-energy-low@gpu/3"] {
        name("hgx-h200-8", &[fault], &["SENSOR-IMPLAUSIBLE gpu/3"]);
    }
    name("hgx-h200-8", &["inlet-sensor-high"], &["SENSOR-IMPLAUSIBLE node"]);
}

#[test]
fn a_cap_that_falls_is_one_finding_and_no_setting_left_behind() {
    name("hgx-h200-8", &["power-cap-drops@gpu/3"], &["GPU-POWER-CAP gpu/3"]);
}

#[test]
fn a_hot_die_beside_a_lost_gpu_accuses_no_memory_of_the_two_good_ones() {
    // Of four one is gone and one is hot: the middle of the other two is nobody's.
    let wanted = ["GPU-COOLING-CONTACT gpu/0", "GPU-LOST gpu/3"];
    name("gb200-tray-4", &["lost-near-the-end@gpu/3", "cold-plate-loose@gpu/0"], &wanted);
}

#[test]
fn two_contacts_of_one_branch_of_two_are_told_as_contacts() {
    let faults = ["cold-plate-loose@gpu/0:0.6", "cold-plate-loose@gpu/1:0.6"];
    let faults: Vec<FaultUse> = faults.iter().map(|fault| FaultUse::parse(fault).expect("a fault")).collect();
    for seed in 9101..9104 {
        let tried = Trial::of("acceptance").run_with("gb200-tray-4", seed, &faults);
        let mut named = named(&tried);
        named.sort();
        assert_eq!(named, ["GPU-COOLING-CONTACT gpu/0", "GPU-COOLING-CONTACT gpu/1"], "seed {seed}");
    }
}

#[test]
fn a_fan_and_a_contact_are_told_of_the_branch_and_of_no_other_part() {
    let faults: Vec<FaultUse> = ["cold-plate-loose@gpu/6", "branch-blocked@cooling/1"]
        .map(|fault| FaultUse::parse(fault).expect("a fault"))
        .into();
    for seed in 9101..9104 {
        let tried = Trial::of("acceptance").run_with("hgx-h200-8", seed, &faults);
        let named = named(&tried);
        assert_eq!(named.first().map(String::as_str), Some("COOLING-BRANCH-FLOW cooling/1"), "seed {seed}: {named:?}");
        // Where the guard stops the run first, the part is one of the suspects and not yet told apart.
        let others = named.iter().skip(1).filter(|one| *one != "GPU-COOLING-CONTACT gpu/6");
        assert_eq!(others.count(), 0, "seed {seed}: {named:?}");
    }
}

/// Dies that are held back are cool beside their memory, and those that are not are hot beside theirs.
#[test]
fn gpus_that_are_held_back_are_slow_and_say_nothing_of_what_cools_them() {
    for (node, held) in [("hgx-h200-8", vec![0, 4]), ("hgx-b200-8", vec![0, 1, 2, 3])] {
        let faults: Vec<String> = held.iter().map(|gpu| format!("clock-stuck-low@gpu/{gpu}:1.4")).collect();
        let faults: Vec<FaultUse> = faults.iter().map(|fault| FaultUse::parse(fault).expect("a fault")).collect();
        let wanted: Vec<String> = held.iter().map(|gpu| format!("GPU-CLOCK-STUCK gpu/{gpu}")).collect();
        for seed in 9101..9104 {
            let tried = Trial::of("acceptance").run_with(node, seed, &faults);
            assert_eq!(named(&tried), wanted, "{node} seed {seed}:\n{}", tried.blemishes());
        }
    }
}

/// Beside parts that are braked the others seem to take too much power.
#[test]
fn a_brake_of_half_a_node_accuses_none_of_the_other_half() {
    name("gb200-tray-4", &["power-brake@gpu/0:2", "power-brake@gpu/2:2"], &["NODE-POWER-BRAKE node"]);
}

#[test]
fn cooling_that_gives_way_for_all_is_no_parts_fault() {
    for node in ["hgx-h200-8", "gb200-tray-4"] {
        name(node, &["flow-gives-way-everywhere"], &["NODE-COOLING node"]);
    }
}

#[test]
fn the_only_good_contact_is_not_the_bad_one() {
    for node in ["hgx-h200-8", "hgx-b200-8"] {
        for seed in 71_000..71_003 {
            let tried = Trial::of("acceptance").run(node, seed, Some("one-good-contact@gpu/7"));
            let named = named(&tried);
            assert!(!named.iter().any(|one| one.contains("gpu/7")), "{node} seed {seed}: {named:?}");
            assert!(!named.is_empty(), "{node} seed {seed}");
        }
    }
}

#[test]
fn half_a_board_of_bad_parts_accuses_none_of_the_good_half() {
    for (fault, wrong) in [("half-paste-bad:0.5", "HBM-COOLING-CONTACT"), ("pads-half-bad", "SENSOR-IMPLAUSIBLE")] {
        for node in ["hgx-h200-8", "hgx-b200-8"] {
            for seed in 71_000..71_003 {
                let tried = Trial::of("acceptance").run(node, seed, Some(fault));
                let named = named(&tried);
                assert!(!named.iter().any(|one| one.starts_with(wrong)), "{node} {fault} seed {seed}: {named:?}");
                assert!(!named.is_empty(), "{node} {fault} seed {seed}");
            }
        }
    }
}

/// What is named among parts that differ as over a fleet, alone or as one of several that nothing tells apart.
fn named_among_usual(node: &str, seed: u64, faults: &[String]) -> Vec<String> {
    let mut file = NodeFile::find(node).expect("a node file");
    file.drawn_as = Spread::Usual;
    let faults: Vec<FaultUse> = faults.iter().map(|fault| FaultUse::parse(fault).expect("a fault")).collect();
    named(&Trial::of("acceptance").run_of(&file, seed, &faults))
}

/// Of four GPUs two with a cause each leave no middle to go by.
#[test]
fn two_causes_on_four_gpus_accuse_none_of_the_other_two() {
    for seed in [5_560_000, 5_560_001] {
        let of = |faults: [&str; 2]| named_among_usual("gb200-tray-4", seed, &faults.map(str::to_owned));
        let named = of(["sensor-memory-shifted@gpu/3:0.83", "cold-plate-loose@gpu/1"]);
        let wrong = |one: &&String| ["gpu/0", "gpu/2"].iter().any(|good| one.contains(good));
        assert_eq!(named.iter().find(wrong), None, "seed {seed}: {named:?}");
        assert!(named.contains(&"SENSOR-IMPLAUSIBLE gpu/3".to_owned()), "seed {seed}: {named:?}");
        // One GPU of a branch whose neighbour's sensor is wrong: nothing clears the branch.
        let named = of(["branch-blocked@cooling/1:0.75", "sensor-shifted@gpu/3:0.55"]);
        assert_eq!(named, ["SENSOR-IMPLAUSIBLE gpu/3", "COOLING-BRANCH-FLOW cooling/1"], "seed {seed}");
    }
}

#[test]
fn bad_pads_of_half_a_board_are_no_contact_of_a_good_gpu() {
    for (node, fault) in
        [("hgx-b200-8", "pads-half-bad@gpu/5/memory"), ("hgx-h200-8", "pads-half-bad@gpu/5/memory:0.5")]
    {
        let named = named_among_usual(node, 5_560_002, &[fault.to_owned()]);
        assert!(named.iter().all(|one| one.starts_with("HBM-COOLING-CONTACT")), "{node}: {named:?}");
    }
}

#[test]
fn coolant_that_comes_to_all_in_spells_is_no_contact_of_those_whose_fall_it_reaches() {
    for seed in 71_000..71_006 {
        let tried = Trial::of("acceptance").run("hgx-h200-8", seed, Some("flow-dips-everywhere@cooling/1"));
        let named = named(&tried);
        assert!(!named.iter().any(|one| one.contains("gpu/")), "seed {seed}: {named:?}");
    }
}

/// Which NUMA node is out of order is told by the order of addresses, which a GPU on a wrong root port puts out.
#[test]
fn a_gpu_on_a_wrong_root_port_is_the_only_one_out_of_order() {
    for seed in 1..7 {
        for gpu in 0..4 {
            let fault = format!("wrong-root-port@gpu/{gpu}");
            let tried = Trial::of("smoke").run("gb200-tray-4", seed, Some(&fault));
            let named = named(&tried);
            assert_eq!(named.len(), 1, "{fault} seed {seed}: {named:?}");
        }
    }
}

/// The simulated dies once began as cold as if the inlet had been hot for no time.
#[test]
fn an_inlet_that_was_hot_before_the_run_makes_no_sensor_implausible() {
    for node in ["gb200-tray-4", "hgx-h200-8-liquid", "hgx-h200-8"] {
        for fault in ["inlet-hot", "inlet-hot:0.3"] {
            let tried = Trial::of("smoke").run(node, 3, Some(fault));
            let named = named(&tried);
            assert!(!named.iter().any(|one| one.starts_with("SENSOR")), "{node} {fault}: {named:?}");
        }
    }
}

#[test]
fn the_only_good_sensor_is_not_the_wrong_one() {
    for (node, count) in [("hgx-h200-8", 8), ("gb200-tray-4", 4), ("hgx-b200-8", 8)] {
        let good = Component::gpu(count - 1);
        let faults: Vec<String> = (0..count - 1).map(|gpu| format!("sensor-shifted-high@gpu/{gpu}")).collect();
        for seed in [9301, 9302] {
            let named = named_among_usual(node, seed, &faults);
            assert!(!named.is_empty(), "{node} seed {seed}");
            let ends = format!(" {good}");
            assert!(!named.iter().any(|one| one.ends_with(&ends)), "{node} seed {seed}: {named:?}");
        }
    }
}

/// So high that at no power their dies would be where no die can be, the eighth's would not.
#[test]
fn seven_sensors_that_read_far_too_high_do_not_accuse_the_eighth() {
    let faults: Vec<String> = (1..8).map(|gpu| format!("sensor-shifted-high@gpu/{gpu}:1.12")).collect();
    let named = named_among_usual("pcie-l40s-8", 110_259, &faults);
    assert_eq!(named, ["NODE-COOLING node"]);
}

#[test]
fn a_program_of_somebody_else_is_the_stations_and_a_counter_wrong_at_times_a_sensor_also_beside_a_defect() {
    for (node, seed, faults, wanted) in [
        (
            "hgx-h200-8-liquid",
            979_978,
            ["foreign-process-joins@gpu/4:0.97", "clock-stuck-low@gpu/5:1.2"],
            ["GPU-CLOCK-STUCK gpu/5", "GPU-FOREIGN-PROCESS station"],
        ),
        (
            "gb200-tray-4",
            402_970,
            ["cold-plate-loose@gpu/3:1.38", "energy-counter-in-spells@gpu/1:1.38"],
            ["GPU-COOLING-CONTACT gpu/3", "SENSOR-IMPLAUSIBLE gpu/1"],
        ),
    ] {
        let mut named = named_among_usual(node, seed, &faults.map(str::to_owned));
        named.sort();
        assert_eq!(named, wanted, "{node}");
    }
}
