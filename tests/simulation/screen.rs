//! The screen for silent corruption: what it alone catches, whom it names, and whom it must not.

use kiln::event::{EvidenceFact, Outcome, RunRecord, VerdictWord, standings};
use kiln::model::{Component, GpuIndex};
use kiln::report::{Language, Paint, verdict_block};

use crate::trial::{Trial, Tried};

const BAD: Component = Component::gpu(3);

/// The SM that a finding with this code names on the component.
fn named_sm(record: &RunRecord, code: &str, component: Component) -> Option<u32> {
    let finding = record.findings.iter().find(|one| one.code == code && one.component == component)?;
    finding.evidence.iter().find_map(|one| if let EvidenceFact::OneSm { sm, .. } = one.fact { Some(sm) } else { None })
}

fn word(tried: &Tried) -> VerdictWord {
    tried.record.verdict.as_ref().map_or(VerdictWord::Nothing, |verdict| verdict.word)
}

/// The steps that failed.
fn failed(record: &RunRecord) -> Vec<&str> {
    let mut paths: Vec<&str> = standings(record)
        .iter()
        .filter(|one| one.outcome == Outcome::Fail)
        .map(|one| one.step.key.path.as_str())
        .collect();
    paths.dedup();
    paths
}

#[test]
fn an_sm_that_is_wrong_at_high_clocks_only_is_found_by_the_screen_and_named() {
    let trial = Trial::of("acceptance");
    for (node, seed) in [("hgx-h100-8", 1), ("hgx-h200-8", 2), ("hgx-h100-8", 3)] {
        let tried = trial.run(node, seed, Some("wrong-one-sm-at-high-clock@gpu/3"));
        assert_eq!(word(&tried), VerdictWord::Fail, "{node}");
        assert_eq!(named_sm(&tried.record, "GPU-SM-WRONG", BAD), Some(100), "{node}: {:?}", tried.record.findings);
        assert!(failed(&tried.record).contains(&"load.screen"), "{node}: {:?}", failed(&tried.record));
        assert!(tried.record.findings.iter().all(|finding| finding.component == BAD), "{node}");
    }
}

/// The steps that failed where the screen holds no clocks, and where it does.
fn failed_without_and_with(node: &str, seed: u64, fault: &str) -> [Vec<String>; 2] {
    let without = Trial::with("acceptance", &[("held", "0s")]);
    [without, Trial::of("acceptance")]
        .map(|trial| failed(&trial.run(node, seed, Some(fault)).record).into_iter().map(str::to_owned).collect())
}

#[test]
fn what_is_wrong_at_low_clocks_or_around_one_clock_only_the_held_clocks_find() {
    for (fault, node) in [
        ("wrong-one-sm-at-low-clock@gpu/3", "hgx-h100-8"),
        ("wrong-one-sm-at-low-clock@gpu/3", "hgx-b200-8"),
        ("wrong-at-middle-clock@gpu/3", "hgx-h200-8"),
    ] {
        let [without, with] = failed_without_and_with(node, 1, fault);
        assert_eq!(without, [""; 0], "{fault} on {node}");
        assert_eq!(with, ["load.screen"], "{fault} on {node}");
    }
}

#[test]
fn an_sm_that_is_wrong_at_low_clocks_only_is_named() {
    let tried = Trial::of("acceptance").run("hgx-h100-8", 2, Some("wrong-one-sm-at-low-clock@gpu/3"));
    assert_eq!(named_sm(&tried.record, "GPU-SM-WRONG", BAD), Some(22), "{:?}", tried.record.findings);
}

#[test]
fn an_sm_that_is_wrong_only_when_hot_is_named() {
    let tried = Trial::of("acceptance").run("hgx-h200-8", 1, Some("wrong-one-sm-when-hot@gpu/3"));
    assert_eq!(word(&tried), VerdictWord::Fail);
    assert_eq!(named_sm(&tried.record, "GPU-SM-WRONG", BAD), Some(11), "{:?}", tried.record.findings);
}

#[test]
fn the_same_sm_wrong_on_all_gpus_is_no_parts_fault_and_on_all_but_one_it_is() {
    let trial = Trial::of("acceptance");
    let tried = trial.run("hgx-h200-8", 1, Some("same-sm-wrong-on-all"));
    assert_eq!(word(&tried), VerdictWord::Inconclusive, "{}", tried.blemishes());
    assert_eq!(failed(&tried.record), [""; 0]);
    let accused: Vec<(&str, Component)> =
        tried.record.findings.iter().map(|finding| (finding.code.as_str(), finding.component)).collect();
    assert_eq!(accused, [("ALL-PARTS-ALIKE", Component::Node)]);
    // One GPU of eight has another SM that errs: then each has a defect of its own.
    let one = trial.run("hgx-h200-8", 1, Some("wrong-one-sm@gpu/3"));
    assert_eq!(word(&one), VerdictWord::Fail);
    assert_eq!(named_sm(&one.record, "GPU-SM-WRONG", BAD), Some(56));
}

#[test]
fn a_healthy_node_passes_the_screen_and_its_report_says_what_was_not_excluded() {
    for node in ["hgx-h100-8", "hgx-b200-8", "pcie-l40s-8"] {
        let tried = Trial::of("acceptance").run(node, 7, None);
        assert_eq!(word(&tried), VerdictWord::Pass, "{node}:\n{}", tried.blemishes());
        let value = |name: &str| {
            let step = tried.record.steps.iter().find(|step| step.key.path == "load.screen").expect("the screen");
            let case = step.cases.iter().find(|case| case.component == Component::Gpu(GpuIndex(0))).expect("a case");
            let found = case.judgements.iter().find(|one| one.measurement.name == name);
            found.and_then(|one| one.measurement.as_number()).unwrap_or_else(|| panic!("{node}: no {name}"))
        };
        // What the profile's words say of the loads.
        assert!(value("clock.light") > 1.05 * value("clock.full"), "{node}");
        assert!(value("clock.alone") >= value("clock.light"), "{node}");
        assert!(value("temp.hot") > value("temp.cool"), "{node}");
        assert!((value("excluded") * 2.9957 / value("products") - 1.0).abs() < 1e-3, "{node}");
        let text = verdict_block(&tried.record, Paint::Plain, Language::English);
        let told = text.lines().find(|line| line.contains("load.screen: nothing wrong on")).expect("a sentence");
        let power = value("excluded").log10().floor();
        assert!(told.contains(&format!("rarer than 1 in 10^{power} products were not excluded")), "{node}: {told}");
        assert!(told.contains("Clocks that the GPUs chose came to"), "{told}");
        assert!(told.contains("At a held clock of ") && !told.contains("Not screened"), "{told}");
        assert!(
            (value("clock.low") / value("clock.middle") - 0.5).abs() < 0.02 && value("clocks.unscreened") < 0.5,
            "{node}"
        );
        assert!(verdict_block(&tried.record, Paint::Plain, Language::Japanese).contains("除外できていない"));
    }
}
