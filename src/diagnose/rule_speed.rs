//! Why a GPU is slow: braked, capped, clocked down without a reason, or simply slower than its siblings.
//!
//! Settings are accused by the table; `relation` gives the slowness to whatever explains it.

use std::collections::{BTreeMap, BTreeSet};

use super::board::Board;
use super::scene::{Fact, Scene};
use kiln_event::{Confidence, Evidence};
use kiln_model::{Component, GpuIndex};

/// Clocks at which nothing is claimed of a GPU. One that is slow does not come to them; of one that is not, the driver may have been
/// late, or somebody else may hold its clock: that alone is no slowness of the part.
const UNSCREENED: &str = "clocks.unscreened";

/// Limits that say a GPU works less than it must.
const SLOW: &[&str] = &[
    "throughput.mean",
    "throughput.p5",
    "throughput.dips",
    "throughput.per-clock",
    "throughput.per-clock.fall",
    "throughput.per-clock.dips",
    "throughput.of-peak",
    "clock.alone.of-greatest",
    "clock.mean",
    "clock.p5",
    "clock.dips",
    "clock.of-held",
    "power.mean",
    "power.p5",
    "power.max",
    "power.energy-mean",
    "power.swing",
    "power.end",
];

pub(super) fn read_speed(scene: &Scene<'_>, board: &mut Board) {
    let slow = |fact: &Fact<'_>| fact.failed() && SLOW.contains(&fact.name());
    let slow: BTreeSet<GpuIndex> = scene.facts.iter().filter(|fact| slow(fact)).filter_map(Fact::gpu).collect();
    let mut braked: BTreeMap<GpuIndex, Vec<Evidence>> = BTreeMap::new();
    for (place, fact) in scene.facts.iter().enumerate() {
        let Some(gpu) = fact.gpu().filter(|_| fact.failed() && !board.is_claimed(place)) else { continue };
        let component = Component::Gpu(gpu);
        match fact.name() {
            "throttle.power-brake" => braked.entry(gpu).or_default().push(fact.evidence()),
            "throttle.power-cap" => {
                board.accuse("GPU-POWER-CAP", component, Confidence::Medium, [fact.evidence()]);
            }
            "clock.unexplained" | "clock.alone" => {
                board.accuse("GPU-CLOCK-STUCK", component, Confidence::High, [fact.evidence()]);
            }
            name if SLOW.contains(&name) || (name == UNSCREENED && slow.contains(&gpu)) => {
                board.accuse("GPU-SLOW", component, Confidence::Medium, [fact.evidence()]);
            }
            _ => continue,
        }
        board.claim(place);
    }
    let gpus: Vec<Component> = braked.keys().copied().map(Component::Gpu).collect();
    let reach = reach(scene, gpus.len());
    for (gpu, evidence) in braked {
        let own = Component::Gpu(gpu);
        match reach {
            Braked::Some => board.accuse("GPU-POWER-BRAKE", own, Confidence::High, evidence),
            Braked::Most => board.accuse("NODE-POWER-BRAKE", Component::Node, Confidence::High, evidence),
            Braked::Half => {
                let suspicion = board.accuse("NODE-POWER-BRAKE", Component::Node, Confidence::Medium, evidence);
                suspicion.suspects = std::iter::once(Component::Node).chain(gpus.iter().copied()).collect();
                suspicion
            }
        };
    }
}

/// How many of a node's GPUs a power brake has reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Braked {
    /// Each has its own connector or regulator to show for.
    Some,
    /// A supply that feeds half of them, or as many that each brake for themselves: nothing tells.
    Half,
    /// The signal of the supplies, which all share.
    Most,
}

fn reach(scene: &Scene<'_>, braked: usize) -> Braked {
    let all = scene.gpus().len();
    match (braked * 2).cmp(&all) {
        _ if braked < 2 => Braked::Some,
        std::cmp::Ordering::Less => Braked::Some,
        std::cmp::Ordering::Equal => Braked::Half,
        std::cmp::Ordering::Greater => Braked::Most,
    }
}

/// The causes that slow single GPUs down.
const OWN_CAUSES: &[&str] = &[
    "GPU-CLOCK-SETTING",
    "GPU-CLOCK-STUCK",
    "GPU-CONFIG-MIG",
    "GPU-COOLING-CONTACT",
    "GPU-COOLING-DRIFT",
    "GPU-FOREIGN-PROCESS",
    "GPU-HANG",
    "GPU-LOST",
    "GPU-PART-MISMATCH",
    "GPU-POWER-BRAKE",
    "GPU-POWER-CAP",
    "SENSOR-IMPLAUSIBLE",
    "SENSOR-STUCK",
];

/// Three quarters of the GPUs slow, each without a cause of its own, are slow for a cause they share.
pub(super) fn gather_slow(scene: &Scene<'_>, board: &mut Board) {
    let explained: BTreeSet<Component> =
        OWN_CAUSES.iter().flat_map(|code| board.of(code)).map(|suspicion| suspicion.component).collect();
    let slow: Vec<Component> = board
        .of("GPU-SLOW")
        .map(|suspicion| suspicion.component)
        .filter(|component| !explained.contains(component))
        .collect();
    if slow.len() < 3 || slow.len() * 4 < scene.gpus().len() * 3 {
        return;
    }
    for suspicion in board.take("GPU-SLOW") {
        if slow.contains(&suspicion.component) {
            let node = board.accuse("NODE-SLOW", Component::Node, Confidence::Medium, suspicion.evidence);
            node.suspects.push(suspicion.component);
        } else {
            board.put(suspicion);
        }
    }
}
