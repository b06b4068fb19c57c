//! Sources taken away from a node, from the start and in the middle of a run: what they no longer tell is not passed.

use std::io::Write as _;

use kiln::event::{Outcome, VerdictWord};
use kiln::node::sim::FaultUse;
use kiln::report::{Language, reason};

use crate::trial::{Trial, Tried};

/// Every profile that is shipped to be run; those that loop for days are cut down to one round.
const PROFILES: [&str; 6] = ["smoke", "interconnect", "acceptance", "burnin-24h", "burnin-72h", "burnin-168h"];

fn shortened(profile: &str) -> Trial {
    let set: &[(&str, &str)] = match profile {
        "smoke" => &[],
        "interconnect" => &[("fabric", "1m")],
        "acceptance" => &[("burn", "2m"), ("soak", "10m"), ("fabric", "1m"), ("pulse", "1m")],
        _ => &[("length", "1m"), ("soak", "10m"), ("fabric", "1m"), ("pulse", "1m")],
    };
    Trial::with(profile, set)
}

/// A run on a healthy node from which `source` is taken away `after` so many seconds; from the start with 0.
fn without(trial: &Trial, source: &str, after: u32) -> Tried {
    let when = if after == 0 { "always".to_owned() } else { format!("{{ after: {after}s }}") };
    let text = format!(
        "schema: kiln.fault/1
id: source-away
title: {{ en: A source away }}
number: 1
about: {{ en: A source of the node cannot be read. }}
source: invented for this test
component: node
changes: {{ source.{source}: {{ set: 0 }} }}
when: {when}
expect: {{ code: LIMIT-MISSED, component: node }}
"
    );
    let mut file = tempfile::Builder::new().suffix(".yaml").tempfile().expect("a file");
    file.write_all(text.as_bytes()).expect("written");
    let fault = FaultUse::parse(file.path().to_str().expect("a path")).expect("a fault");
    trial.run_with("gb200-tray-4", 7, &[fault])
}

fn word(tried: &Tried) -> VerdictWord {
    tried.record.verdict.as_ref().expect("a verdict").word
}

/// Why steps of the kernel log did not pass.
fn log_reasons(tried: &Tried) -> String {
    let steps = tried.record.steps.iter().filter(|step| step.key.path.rsplit('.').next() == Some("log"));
    let cases = steps.flat_map(|step| &step.cases).filter(|case| case.outcome == Outcome::Error);
    cases
        .filter_map(|case| case.reason.as_ref())
        .map(|why| reason(Language::English, why))
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn no_shipped_profile_passes_a_node_whose_kernel_log_is_not_followed() {
    for profile in PROFILES {
        let trial = shortened(profile);
        for after in [0, 60] {
            let tried = without(&trial, "kernel-log", after);
            assert_eq!(word(&tried), VerdictWord::Error, "{profile} after {after} s: {}", tried.blemishes());
            let reasons = log_reasons(&tried);
            assert!(reasons.contains("the kernel log could not be read"), "{profile} after {after} s: {reasons}");
        }
    }
}

#[test]
fn no_shipped_profile_passes_a_node_of_which_another_source_went_away() {
    for profile in PROFILES {
        let trial = shortened(profile);
        for source in ["pci-bus", "memory-controllers", "pcie-counters", "infiniband"] {
            let tried = without(&trial, source, 60);
            assert_ne!(word(&tried), VerdictWord::Pass, "{profile} without {source}");
            assert!(log_reasons(&tried).contains("could no longer be read"), "{profile} without {source}");
        }
        assert_ne!(word(&without(&trial, "pci-bus", 0)), VerdictWord::Pass, "{profile} without a bus");
    }
}

/// A node may have no driver for its memory controllers and no such ports; the profiles say that they can do without. The
/// event channel holds nothing that the log has not.
#[test]
fn what_a_profile_can_do_without_or_another_source_repeats_takes_no_pass_away() {
    let trial = shortened("smoke");
    for (source, after) in [
        ("memory-controllers", 0),
        ("infiniband", 0),
        ("pcie-counters", 0),
        ("driver-events", 0),
        ("driver-events", 60),
    ] {
        let tried = without(&trial, source, after);
        assert_eq!(word(&tried), VerdictWord::Pass, "{source} after {after} s: {}", tried.blemishes());
    }
}
