//! Why a GPU is hot: its own contact, its branch, everything, the station's inlet, or only its sensor.
//!
//! The thermal resistance (K/W) tells them apart: heat from outside leaves it alone, and what a branch shares raises it on
//! all of the branch's GPUs.

use std::collections::{BTreeMap, BTreeSet};

use super::board::Board;
use super::scene::{Fact, Scene, both, trip_evidence};
use crate::event::{Confidence, Evidence};
use crate::model::{Component, GpuIndex, Sensor};

/// Limits that say a GPU is hot or was slowed for heat.
const HOT: &[&str] = &[
    "thermal.resistance",
    "resistance.rise",
    "temp.max",
    "temp.p95",
    "temp.mean",
    "temp.end",
    "temp.over-inlet",
    "margin.min",
    "half-time",
    "steady",
    "steady-time",
    "drift",
    "throttle.thermal",
    "throttle.sw-thermal",
    "throttle.hw-thermal",
];
const INLET: &[&str] = &["temp.inlet.mean", "temp.inlet.max", "drift.inlet"];
const MEMORY: &[&str] = &["memory-over-die", "temp.memory.max", "temp.memory.p95", "temp.memory.mean"];
const SENSOR_STUCK: &[&str] = &["temp.moves", "temp.memory.moves", "power.moves"];
const SENSOR: &[&str] = &[
    "implausible",
    "implausible.rules",
    "temp.below-inlet",
    "temp.jump",
    "temp.swing",
    "temp.memory.swing",
    "power.swing",
    "power.absent",
    "power.disagreement",
    "temp.offset",
];

/// How far over the cooler half's median a resistance counts as raised. Siblings of one board spread by some 3 % (one
/// sigma) around their slot's value and slots differ by as much again.
const RAISED: f64 = 1.10;
/// How far at least every GPU of a block must be over it for the block and not single GPUs to be at fault.
const SHARED: f64 = 1.06;

/// The hot GPUs with what says so.
type Heat = BTreeMap<GpuIndex, Vec<Evidence>>;

pub(super) fn read_sensors(scene: &Scene<'_>, board: &mut Board) {
    for (place, fact) in scene.facts.iter().enumerate().filter(|(_, fact)| fact.failed()) {
        let (stuck, odd) = (SENSOR_STUCK.contains(&fact.name()), SENSOR.contains(&fact.name()));
        let own = fact.check == "sensor.plausibility" || fact.name() == "temp.offset";
        let Some(gpu) = fact.gpu().filter(|_| own && (stuck || odd)) else { continue };
        let rules = scene.text_beside(fact.path, fact.component(), "implausible.rules").unwrap_or_default();
        let stuck = stuck || SENSOR_STUCK.iter().any(|rule| rules.split(", ").any(|broken| broken == *rule));
        let code = if stuck { "SENSOR-STUCK" } else { "SENSOR-IMPLAUSIBLE" };
        let suspicion = board.accuse(code, Component::Gpu(gpu), Confidence::High, [fact.evidence()]);
        if !rules.is_empty() && rules != "none" {
            suspicion.remark = Some(both(format!("Broken rules: {rules}."), format!("違反した規則: {rules}。")));
        }
        board.claim(place);
    }
}

pub(super) fn read_heat(scene: &Scene<'_>, board: &mut Board) {
    let heat = hot_gpus(scene, board);
    let inlet = hot_inlet(scene, board);
    if !inlet.is_empty() {
        board.accuse("STATION-INLET-HOT", Component::Station, Confidence::High, inlet.iter().cloned());
    }
    read_memory(scene, board);
    if heat.is_empty() {
        return;
    }
    let resistance = resistances(scene);
    let reference = cooler_half(&resistance);
    let over = |gpu: &GpuIndex| Some(resistance.get(gpu)? / reference?);
    let raised: BTreeSet<GpuIndex> = heat
        .keys()
        .copied()
        .filter(|gpu| over(gpu).is_some_and(|over| over > RAISED) || missed(scene, *gpu, "thermal.resistance"))
        .collect();
    let rising: BTreeSet<GpuIndex> =
        heat.keys().copied().filter(|gpu| missed(scene, *gpu, "resistance.rise")).collect();
    let everything = scene.gpus().len() > 1 && raised.len() == scene.gpus().len();
    let block = shared_block(scene, &raised, &|gpu| over(&gpu).is_some_and(|over| over > SHARED));
    for (gpu, evidence) in heat {
        let component = Component::Gpu(gpu);
        if rising.contains(&gpu) && block.is_none() && inlet.is_empty() {
            board.accuse("GPU-COOLING-DRIFT", component, Confidence::High, evidence);
        } else if everything {
            board.accuse("NODE-COOLING", Component::Node, Confidence::Medium, evidence);
        } else if let Some((number, gpus)) = block.as_ref().filter(|(_, gpus)| gpus.contains(&gpu)) {
            let suspicion =
                board.accuse("COOLING-BRANCH-FLOW", Component::CoolingBranch(*number), Confidence::Medium, evidence);
            suspicion.suspects = gpus.iter().copied().map(Component::Gpu).collect();
        } else if raised.contains(&gpu) {
            board.accuse("GPU-COOLING-CONTACT", component, Confidence::High, evidence);
        } else if !inlet.is_empty() {
            board.accuse("STATION-INLET-HOT", Component::Station, Confidence::High, evidence);
        } else if resistance.contains_key(&gpu) {
            board.accuse("GPU-THERMAL-SLOWDOWN", component, Confidence::Medium, evidence);
        } else {
            // Stopped before its resistance was measured.
            board.accuse("GPU-OVERTEMP", component, Confidence::Low, evidence);
        }
    }
    gather_overheated(scene, board);
}

/// Missed limits and trips that say a GPU is hot.
fn hot_gpus(scene: &Scene<'_>, board: &mut Board) -> Heat {
    let mut heat = Heat::new();
    for (place, fact) in scene.facts.iter().enumerate() {
        if fact.failed()
            && !board.is_claimed(place)
            && HOT.contains(&fact.name())
            && let Some(gpu) = fact.gpu()
        {
            heat.entry(gpu).or_default().push(fact.evidence());
            board.claim(place);
        }
    }
    for (at, trip) in &scene.record.trips {
        if let (Some(gpu), Some(Sensor::TempGpu | Sensor::TempMargin)) =
            (trip.component.gpu_index(), scene.sensor_of(trip))
        {
            heat.entry(gpu).or_default().push(trip_evidence(*at, trip));
        }
    }
    heat
}

fn hot_inlet(scene: &Scene<'_>, board: &mut Board) -> Vec<Evidence> {
    let mut evidence = Vec::new();
    for (place, fact) in scene.facts.iter().enumerate() {
        if fact.failed() && INLET.contains(&fact.name()) {
            evidence.push(fact.evidence());
            board.claim(place);
        }
    }
    let trips = scene.record.trips.iter().filter(|(_, trip)| scene.sensor_of(trip) == Some(Sensor::TempInlet));
    evidence.extend(trips.map(|(at, trip)| trip_evidence(*at, trip)));
    evidence
}

fn read_memory(scene: &Scene<'_>, board: &mut Board) {
    for (place, fact) in scene.facts.iter().enumerate() {
        if fact.failed()
            && MEMORY.contains(&fact.name())
            && let Some(gpu) = fact.gpu()
        {
            board.accuse("HBM-COOLING-CONTACT", Component::Memory(gpu), Confidence::High, [fact.evidence()]);
            board.claim(place);
        }
    }
    for (at, trip) in &scene.record.trips {
        if let (Some(gpu), Some(Sensor::TempMemory)) = (trip.component.gpu_index(), scene.sensor_of(trip)) {
            let evidence = [trip_evidence(*at, trip)];
            board.accuse("HBM-COOLING-CONTACT", Component::Memory(gpu), Confidence::Medium, evidence);
        }
    }
}

fn missed(scene: &Scene<'_>, gpu: GpuIndex, name: &str) -> bool {
    scene.facts.iter().any(|fact: &Fact<'_>| fact.failed() && fact.name() == name && fact.gpu() == Some(gpu))
}

/// The last measured resistance of every GPU.
fn resistances(scene: &Scene<'_>) -> BTreeMap<GpuIndex, f64> {
    let numbers = scene.numbers("thermal.resistance");
    numbers.into_iter().filter_map(|(component, value)| Some((component.gpu_index()?, value))).collect()
}

/// The median of the lower half: right even when half of the node is hot.
fn cooler_half(resistance: &BTreeMap<GpuIndex, f64>) -> Option<f64> {
    let mut values: Vec<f64> = resistance.values().copied().filter(|value| *value > 0.0).collect();
    values.sort_by(f64::total_cmp);
    // With fewer than three there is no telling which of them is the odd one.
    (values.len() >= 3).then(|| values[(values.len().div_ceil(2) - 1) / 2])
}

/// The smallest block of neighbouring GPUs, of 2, 4, 8 ... in a row, that holds all raised ones and in which every GPU is
/// raised at least a little, with its number. Boards cool neighbours together; which exactly the node does not say.
fn shared_block(
    scene: &Scene<'_>,
    raised: &BTreeSet<GpuIndex>,
    shares: &dyn Fn(GpuIndex) -> bool,
) -> Option<(u8, BTreeSet<GpuIndex>)> {
    let gpus: Vec<GpuIndex> = scene.gpus().into_iter().collect();
    if raised.len() < 2 {
        return None;
    }
    let mut size = 2;
    while size < gpus.len() {
        for (number, block) in (0..=u8::MAX).zip(gpus.chunks(size)) {
            let holds_all = raised.iter().all(|gpu| block.contains(gpu));
            if holds_all && block.iter().all(|gpu| shares(*gpu)) {
                return Some((number, block.iter().copied().collect()));
            }
        }
        size *= 2;
    }
    None
}

/// Most GPUs too hot with no resistance to go by is nobody's contact.
fn gather_overheated(scene: &Scene<'_>, board: &mut Board) {
    let most = (scene.gpus().len() * 3).div_ceil(4).max(2);
    if board.of("GPU-OVERTEMP").count() >= most {
        for suspicion in board.take("GPU-OVERTEMP") {
            board.accuse("NODE-COOLING", Component::Node, Confidence::Low, suspicion.evidence);
        }
    }
}
