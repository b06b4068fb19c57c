//! The faults that acceptance must catch, each with the right component, over twenty seeds.

use kiln::event::VerdictWord;
use kiln::model::Component;

use crate::trial::{Trial, Tried};

const SEEDS: std::ops::Range<u64> = 100..120;

/// Whether a finding names the component that the fault sits on, alone or among honest suspects.
fn names_the_right_component(tried: &Tried) -> bool {
    tried.injected.iter().all(|injected| {
        tried.record.findings.iter().any(|finding| {
            let suspects = finding.suspects.iter().chain([&finding.component]);
            // Blaming the node is right only where the node is to blame.
            let names = |suspect: &Component| (*suspect == Component::Node) == (injected.expected == Component::Node);
            suspects.into_iter().any(|suspect| names(suspect) && suspect.overlaps(injected.expected))
        })
    })
}

fn caught(fault: &str) {
    let trial = Trial::of("acceptance");
    for seed in SEEDS {
        let tried = trial.run("hgx-h200-8", seed, Some(fault));
        let word = tried.record.verdict.as_ref().map(|verdict| verdict.word);
        assert_eq!(word, Some(VerdictWord::Fail), "{fault} escaped with seed {seed}\n{}", tried.blemishes());
        let findings: Vec<String> =
            tried.record.findings.iter().map(|finding| format!("{} {}", finding.code, finding.component)).collect();
        assert!(names_the_right_component(&tried), "{fault} seed {seed} is blamed on {findings:?}");
    }
}

macro_rules! caught {
    ($($name:ident $fault:literal;)*) => {
        $(#[test]
        fn $name() {
            caught($fault);
        })*
    };
}

caught! {
    a_missing_gpu_is_caught "gpu-missing@gpu/3";
    a_mixed_part_is_caught "mixed-part@gpu/3";
    a_wrong_vbios_is_caught "wrong-vbios@gpu/3";
    ecc_off_is_caught "ecc-off@gpu/3";
    a_lowered_power_cap_is_caught "power-cap-low@gpu/3";
    a_narrow_pcie_link_is_caught "pcie-width-down@gpu/3/pcie";
    a_slow_pcie_link_is_caught "pcie-gen-down@gpu/3/pcie";
    an_inactive_nvlink_is_caught "nvlink-inactive@gpu/3/nvlink/5";
    nvlink_errors_under_load_are_caught "nvlink-errors-under-load@gpu/3/nvlink/5";
    a_gpu_that_falls_off_the_bus_is_caught "fell-off-bus@gpu/3";
    an_uncorrectable_memory_error_is_caught "hbm-uncorrectable@gpu/3/memory";
    a_loose_cold_plate_is_caught "cold-plate-loose@gpu/3";
    a_power_brake_is_caught "power-brake@gpu/3";
    a_stuck_clock_is_caught "clock-stuck-low@gpu/3";
    a_slow_outlier_is_caught "slow-outlier@gpu/3";
    wrong_results_when_hot_are_caught "wrong-when-hot@gpu/3";
    a_stuck_sensor_is_caught "sensor-stuck@gpu/3";
}
