//! Which suspicion is only the effect of another: causes take the evidence of their effects.
//!
//! The table reads from cause to effects. It has no circles, which a test holds.

use super::board::Suspicion;
use kiln_event::Evidence;
use kiln_model::Component;

/// How near cause and effect must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// The same GPU, or a part or pair of it.
    Gpu,
    /// The same, and only where the cause is a GPU's: what a node's own sensor shows explains nothing of a part.
    Own,
    /// Anywhere in the node.
    Node,
}
use Reach::{Gpu, Node, Own};

/// What makes a GPU slow when nothing else is wrong with its speed.
const SLOWNESS: &[&str] = &["GPU-SLOW", "NODE-SLOW"];
/// What a GPU that is away leaves behind.
const ABSENCE: &[&str] = &[
    "GPU-SLOW",
    "GPU-XID",
    "GPU-RECOVERY-NEEDED",
    "GPU-THERMAL-SLOWDOWN",
    "GPU-CONFIG-CHANGED",
    "GPU-OVERTEMP",
    "HOST-SUSPECT",
    "LOAD-FAULT",
    "LOAD-LEFT",
    "LIMIT-MISSED",
    "NVLINK-BANDWIDTH",
    "NVLINK-DOWN",
    "NVLINK-ERRORS",
    "NVLINK-INACTIVE",
    "PCIE-ERRORS",
    "PCIE-SLOW",
    "PCIE-UNSTABLE",
    "TOOL-FAILED",
];
const HEAT: &[&str] =
    &["GPU-THERMAL-SLOWDOWN", "GPU-OVERTEMP", "GPU-POWER-EXCESS", "GPU-SLOW", "NODE-SLOW", "HBM-CORRECTED-RATE"];
const COOLING: &[&str] = &[
    "GPU-COOLING-CONTACT",
    "GPU-COOLING-DRIFT",
    "GPU-THERMAL-SLOWDOWN",
    "GPU-OVERTEMP",
    "HBM-COOLING-CONTACT",
    "GPU-POWER-EXCESS",
    "GPU-SLOW",
];
const LINK_TRAFFIC: &[&str] = &["NVLINK-BANDWIDTH", "SWITCH-SLOW"];
const PCIE_TRAFFIC: &[&str] = &["PCIE-SLOW", "PCIE-P2P", "NVLINK-BANDWIDTH"];

const TABLE: &[(&str, Reach, &[&str])] = &[
    ("GPU-LOST", Gpu, ABSENCE),
    ("GPU-LOST", Gpu, &["GPU-HANG"]),
    ("GPU-HANG", Gpu, ABSENCE),
    ("NODE-REBOOTED", Node, &["LOAD-FAULT", "GPU-LOST", "GPU-HANG", "LIMIT-MISSED", "TOOL-FAILED"]),
    ("GPU-NOT-STARTED", Node, &["GPU-MISSING", "NVLINK-BANDWIDTH", "GPU-TOPOLOGY", "PCIE-NUMA"]),
    ("GPU-MISSING", Node, &["GPU-TOPOLOGY", "PCIE-NUMA"]),
    (
        "GPU-PART-MISMATCH",
        Gpu,
        &[
            "GPU-SLOW",
            "GPU-FIRMWARE-MISMATCH",
            "GPU-POWER-CAP",
            "GPU-CLOCK-SETTING",
            "HBM-SLOW",
            "PCIE-BAR1",
            "NVLINK-BANDWIDTH",
            "NVLINK-INACTIVE",
            "NVLINK-SLOW",
        ],
    ),
    ("GPU-TOPOLOGY", Gpu, &["PCIE-NUMA", "PCIE-SLOW"]),
    // Whose NUMA node is out of order is told by the order of addresses, which one on a wrong root port puts out.
    ("GPU-TOPOLOGY", Node, &["PCIE-NUMA"]),
    ("GPU-CONFIG-MIG", Gpu, &["GPU-SLOW", "GPU-CONFIG-CHANGED", "HBM-SLOW", "NVLINK-BANDWIDTH", "GPU-PART-MISMATCH"]),
    ("GPU-POWER-CAP", Gpu, SLOWNESS),
    ("GPU-POWER-CAP", Gpu, &["GPU-CONFIG-CHANGED"]),
    ("GPU-CONFIG-ECC", Gpu, &["GPU-CONFIG-CHANGED"]),
    ("GPU-CONFIG-MODE", Gpu, &["GPU-CONFIG-CHANGED"]),
    ("GPU-CLOCK-SETTING", Gpu, SLOWNESS),
    ("GPU-CLOCK-SETTING", Gpu, &["GPU-CLOCK-STUCK"]),
    ("GPU-CLOCK-STUCK", Gpu, SLOWNESS),
    ("GPU-FOREIGN-PROCESS", Gpu, &["GPU-SLOW", "LOAD-LEFT", "HBM-SLOW", "GPU-CONFIG-CHANGED", "GPU-IDLE-POWER"]),
    ("GPU-IDLE-POWER", Gpu, &["GPU-POWER-EXCESS", "GPU-SLOW"]),
    ("GPU-POWER-EXCESS", Gpu, &["GPU-SLOW"]),
    ("GPU-POWER-BRAKE", Gpu, &["GPU-SLOW", "GPU-CLOCK-STUCK", "GPU-XID", "GPU-THERMAL-SLOWDOWN"]),
    ("NODE-POWER-BRAKE", Node, &["GPU-POWER-BRAKE", "GPU-SLOW", "NODE-SLOW", "GPU-CLOCK-STUCK", "GPU-POWER-EXCESS"]),
    ("PSU-FAILED", Node, &["NODE-POWER-BRAKE", "GPU-POWER-BRAKE"]),
    ("GPU-THERMAL-SLOWDOWN", Gpu, SLOWNESS),
    ("GPU-COOLING-CONTACT", Gpu, HEAT),
    ("GPU-COOLING-CONTACT", Gpu, &["HBM-COOLING-CONTACT"]),
    ("GPU-COOLING-DRIFT", Gpu, HEAT),
    ("GPU-COOLING-DRIFT", Gpu, &["GPU-COOLING-CONTACT"]),
    ("HBM-COOLING-CONTACT", Gpu, &["HBM-SLOW", "HBM-CORRECTED-RATE", "GPU-SLOW"]),
    ("COOLING-BRANCH-FLOW", Node, COOLING),
    ("COOLING-BRANCH-FLOW", Node, &["HBM-SLOW", "HBM-CORRECTED-RATE"]),
    ("NODE-COOLING", Node, COOLING),
    ("NODE-COOLING", Node, &["COOLING-BRANCH-FLOW", "NODE-SLOW", "HBM-SLOW", "HBM-CORRECTED-RATE"]),
    ("STATION-INLET-HOT", Node, HEAT),
    ("STATION-INLET-HOT", Node, &["NODE-COOLING", "HBM-SLOW", "GPU-COOLING-DRIFT"]),
    (
        "SENSOR-STUCK",
        Gpu,
        &[
            "GPU-COOLING-CONTACT",
            "GPU-COOLING-DRIFT",
            "GPU-OVERTEMP",
            "HBM-COOLING-CONTACT",
            "GPU-SLOW",
            "SENSOR-IMPLAUSIBLE",
        ],
    ),
    (
        "SENSOR-IMPLAUSIBLE",
        Own,
        &["GPU-COOLING-CONTACT", "GPU-COOLING-DRIFT", "GPU-OVERTEMP", "HBM-COOLING-CONTACT", "GPU-SLOW"],
    ),
    (
        "HBM-REMAP-FAILED",
        Gpu,
        &["HBM-UNCORRECTABLE", "HBM-REMAP-PENDING", "GPU-RECOVERY-NEEDED", "GPU-XID", "LOAD-FAULT"],
    ),
    (
        "HBM-UNCORRECTABLE",
        Gpu,
        &["HBM-REMAP-PENDING", "HBM-CORRECTED-RATE", "GPU-RECOVERY-NEEDED", "GPU-XID", "LOAD-FAULT", "GPU-SLOW"],
    ),
    ("HBM-REMAP-PENDING", Gpu, &["GPU-RECOVERY-NEEDED"]),
    ("SRAM-THRESHOLD", Gpu, &["SRAM-UNCORRECTABLE", "GPU-XID", "LOAD-FAULT", "HBM-UNCORRECTABLE"]),
    ("SRAM-UNCORRECTABLE", Gpu, &["GPU-XID", "LOAD-FAULT", "GPU-RECOVERY-NEEDED", "HBM-UNCORRECTABLE"]),
    ("GPU-SM-WRONG", Gpu, &["LOAD-FAULT", "TOOL-FAILED"]),
    ("GPU-WRONG-RESULTS", Gpu, &["LOAD-FAULT", "TOOL-FAILED"]),
    ("GPU-XID", Gpu, &["LOAD-FAULT"]),
    ("GPU-LOST", Gpu, &["GPU-NOT-STARTED"]),
    ("PCIE-WIDTH", Gpu, PCIE_TRAFFIC),
    ("PCIE-GENERATION", Gpu, PCIE_TRAFFIC),
    ("PCIE-UNSTABLE", Gpu, PCIE_TRAFFIC),
    ("PCIE-UNSTABLE", Gpu, &["PCIE-ERRORS", "HOST-SUSPECT"]),
    ("PCIE-ERRORS", Gpu, PCIE_TRAFFIC),
    ("PCIE-NUMA", Gpu, &["PCIE-SLOW"]),
    ("NVLINK-DOWN", Gpu, LINK_TRAFFIC),
    ("NVLINK-DOWN", Gpu, &["NVLINK-INACTIVE", "NVLINK-ERRORS", "GPU-XID", "LOAD-FAULT"]),
    ("NVLINK-INACTIVE", Gpu, LINK_TRAFFIC),
    ("NVLINK-SLOW", Gpu, LINK_TRAFFIC),
    ("NVLINK-ERRORS", Gpu, LINK_TRAFFIC),
    ("NVLINK-MISWIRED", Gpu, LINK_TRAFFIC),
    ("FABRIC-NOT-READY", Gpu, &["FABRIC-DEGRADED", "NVLINK-BANDWIDTH", "LOAD-FAULT"]),
    // All that exchange with the GPU wait for it.
    ("FABRIC-NOT-READY", Node, &["SWITCH-SLOW"]),
    ("FABRIC-DEGRADED", Gpu, LINK_TRAFFIC),
    ("SWITCH-FATAL", Node, &["SWITCH-ERRORS", "SWITCH-SLOW", "NVLINK-BANDWIDTH", "NVLINK-DOWN", "NVLINK-ERRORS"]),
    ("SWITCH-ERRORS", Node, &["SWITCH-SLOW", "NVLINK-BANDWIDTH"]),
    ("SWITCH-SLOW", Node, &["NVLINK-BANDWIDTH"]),
    ("HOST-SETTING", Node, &["PCIE-SLOW"]),
    ("GPU-OVERTEMP", Gpu, SLOWNESS),
    ("LOAD-FAULT", Gpu, &["GPU-SLOW"]),
];

/// Whether `effect` is there only because of `cause`.
pub(super) fn explains(cause: &Suspicion, effect: &Suspicion) -> bool {
    !stands_by_itself(cause, effect)
        && TABLE.iter().any(|(code, reach, effects)| {
            *code == cause.entry.code
                && effects.contains(&effect.entry.code)
                && match reach {
                    Reach::Gpu => near(cause, effect),
                    Reach::Own => cause.component.gpu_index().is_some() && near(cause, effect),
                    Reach::Node => within(cause, effect),
                }
        })
}

/// Measurements of one GPU's own contact: what cools the plate behind it drops out of them.
const OWN_CONTACT: &[&str] = &["fall.fast"];
/// What tells that a temperature is wrong.
const WRONG_TEMPERATURE: &[&str] = &[
    "temp.offset",
    "temp.offset.apart",
    "temp.over-inlet",
    "die-over-memory",
    "memory-over-die",
    "margin.min",
    "fall.early",
];

/// Whether the effect rests on something that the cause does not touch: two things can be wrong at once.
fn stands_by_itself(cause: &Suspicion, effect: &Suspicion) -> bool {
    let rests_on =
        |one: &Suspicion, is: &dyn Fn(&str) -> bool| one.evidence.iter().filter_map(Evidence::measurement).any(is);
    match (cause.entry.code, effect.entry.code) {
        // Flow and inlet are shared by GPUs whose dies fell as they should.
        ("COOLING-BRANCH-FLOW" | "NODE-COOLING" | "STATION-INLET-HOT", "GPU-COOLING-CONTACT") => {
            rests_on(effect, &|name| OWN_CONTACT.contains(&name))
        }
        // A wrong temperature slows nothing down.
        ("SENSOR-STUCK" | "SENSOR-IMPLAUSIBLE", "GPU-SLOW") => {
            rests_on(effect, &|name| name.starts_with("throughput."))
                && !rests_on(cause, &|name| !WRONG_TEMPERATURE.contains(&name))
        }
        _ => false,
    }
}

fn gpus(suspicion: &Suspicion) -> impl Iterator<Item = Component> + '_ {
    std::iter::once(suspicion.component).chain(suspicion.suspects.iter().copied())
}

/// On the same GPU; a pair is on both of its GPUs.
fn near(cause: &Suspicion, effect: &Suspicion) -> bool {
    // What the station did to a GPU is told by what was seen there.
    if cause.component == Component::Station {
        let mut seen = cause.evidence.iter().filter_map(|one| one.component.gpu_index());
        return seen.any(|gpu| effect.component.gpu_index() == Some(gpu));
    }
    let Some(gpu) = cause.component.gpu_index().map(Component::Gpu) else {
        return cause.component == Component::Node || within(cause, effect);
    };
    gpus(effect).any(|component| gpu.overlaps(component) && component != Component::Node)
        // What stands against the whole node is explained by one GPU only where that GPU is the node's only one slow.
        || (effect.component == Component::Node && effect.suspects.contains(&gpu))
        || matches!(effect.component, Component::Switch(_))
}

/// Anywhere in the node, but a branch of cooling explains only what happens on its own GPUs.
fn within(cause: &Suspicion, effect: &Suspicion) -> bool {
    if !matches!(cause.component, Component::CoolingBranch(_)) {
        return true;
    }
    let Some(gpu) = effect.component.gpu_index() else { return false };
    cause.suspects.contains(&Component::Gpu(gpu))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::catalogue::entries;

    #[test]
    fn every_code_of_the_table_is_in_the_catalogue() {
        let known: BTreeSet<&str> = entries().iter().map(|entry| entry.code).collect();
        for (cause, _, effects) in TABLE {
            assert!(known.contains(cause), "{cause}");
            for effect in *effects {
                assert!(known.contains(effect), "{cause} explains {effect}");
                assert_ne!(cause, effect);
            }
        }
    }

    #[test]
    fn no_cause_is_its_own_effect_by_any_way() {
        let mut effects: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (cause, _, list) in TABLE {
            effects.entry(cause).or_default().extend(*list);
        }
        for start in effects.keys() {
            let (mut seen, mut open) = (BTreeSet::new(), vec![*start]);
            while let Some(code) = open.pop() {
                for effect in effects.get(code).into_iter().flatten() {
                    assert_ne!(effect, start, "{start} explains itself by way of {code}");
                    if seen.insert(*effect) {
                        open.push(effect);
                    }
                }
            }
        }
    }
}
