//! Why a GPU is hot: its own contact, its branch, everything, the station's inlet, or only its sensor.
//!
//! The thermal resistance (K/W) tells them apart: heat from outside leaves it alone, and what a branch shares raises it on
//! all of the branch's GPUs.

use std::collections::BTreeSet;

use super::board::Board;
use super::heat_map::HeatMap;
use super::rule_memory::read_memory;
use super::rule_sensor::WRONG_SENSOR;
use super::scene::{Fact, Scene, both, trip_evidence};
use super::shared_heat::{Heat, behind_sinks, flattened_half, raised_by_sinks, risen_together};
use kiln_event::{Confidence, Evidence};
use kiln_limit::Judged;
use kiln_model::{Component, GpuIndex, Sensor};

/// Limits that say a GPU is hot or was slowed for heat.
const HOT: &[&str] = &[
    "thermal.resistance",
    "resistance.mirrored",
    "resistance.half",
    "resistance.rise",
    "temp.spells",
    "fall.fast",
    "fall.early",
    "temp.max",
    "temp.p95",
    "temp.mean",
    "temp.end",
    "temp.over-inlet",
    "temp.offset.apart",
    "margin.min",
    "half-time",
    "steady",
    "steady-time",
    "drift",
    "throttle.thermal",
    "throttle.sw-thermal",
    "throttle.hw-thermal",
];
/// Those of them that the driver itself counts.
const THROTTLING: &[&str] = &["throttle.thermal", "throttle.sw-thermal", "throttle.hw-thermal"];
const INLET: &[&str] = &["temp.inlet.mean", "temp.inlet.max", "drift.inlet"];
/// So many dies off by the same at once are no sensors: what reaches them is not what the node's inlet shows.
pub(super) const OF_ONE_BRANCH: usize = 3;

pub(super) fn is_of_a_branch(scene: &Scene<'_>) -> bool {
    offset_gpus(scene).len() >= OF_ONE_BRANCH
}

fn offset_gpus(scene: &Scene<'_>) -> BTreeSet<GpuIndex> {
    let off = scene.facts.iter().filter(|fact| fact.failed() && fact.name() == "temp.offset");
    off.filter_map(Fact::gpu).collect()
}

/// The half of the board that [`read_supply`] accuses.
fn shared_supply(scene: &Scene<'_>, map: &HeatMap) -> Option<(Component, BTreeSet<GpuIndex>)> {
    let offsets = scene.numbers("temp.offset").into_iter();
    let offsets = offsets.filter_map(|(component, offset)| Some((component.gpu_index()?, offset))).collect();
    if offset_gpus(scene).len() < OF_ONE_BRANCH { None } else { map.warm_half(&offsets) }
}

/// Air or coolant that comes to one half of the board warmer than the inlet sensor shows.
fn read_supply(scene: &Scene<'_>, map: &HeatMap, board: &mut Board) {
    if offset_gpus(scene).len() < OF_ONE_BRANCH {
        return;
    }
    let warm = shared_supply(scene, map);
    for (place, fact) in scene.facts.iter().enumerate() {
        let Some(gpu) = fact.gpu().filter(|_| fact.failed() && fact.name() == "temp.offset") else { continue };
        if let Some((branch, gpus)) = &warm {
            let suspicion = board.accuse("COOLING-BRANCH-FLOW", *branch, Confidence::Medium, [fact.evidence()]);
            suspicion.suspects = std::iter::once(*branch).chain(gpus.iter().copied().map(Component::Gpu)).collect();
        } else {
            let suspicion = board.accuse("NODE-COOLING", Component::Node, Confidence::Low, [fact.evidence()]);
            suspicion.suspects.push(Component::Gpu(gpu));
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
    let map = HeatMap::of(scene);
    read_memory(scene, &map, board);
    read_supply(scene, &map, board);
    if heat.is_empty() {
        return;
    }
    // Contacts of two parts may give way in one soak; that both lift at times, on one half, is what they share.
    let in_spells = map
        .most_of_a_half(true, |gpu| scene.missed(gpu, "temp.spells"))
        .or_else(|| map.most_of_a_half(false, |gpu| changes(scene, gpu)));
    let half = map.hot_half().or_else(|| shared_supply(scene, &map)).or_else(|| in_spells.clone());
    let missed_resistance = |gpu: GpuIndex| scene.missed(gpu, "thermal.resistance");
    let everything = scene.gpus().len() > 1 && scene.gpus().into_iter().all(missed_resistance);
    // Over the model's floor, but not over its own siblings: in one place that is a part, in several it is what they share,
    // and which of them are over is a matter of their places.
    let by_all = comes_to_all(scene);
    let rises_with_all = is_of_all(scene, "resistance.rise", OF_RISE);
    let by_sink = raised_by_sinks(scene, &map, board, &heat);
    let by_floor_alone = |gpu: GpuIndex| {
        let own = ["resistance.mirrored", "fall.fast"].into_iter().any(|name| scene.missed(gpu, name));
        missed_resistance(gpu) && !own && !map.is_raised(gpu)
    };
    let warm = |gpu: &GpuIndex| by_floor_alone(*gpu) || above_its_lot(scene, *gpu);
    let shared = scene.gpus().into_iter().filter(warm).count() >= OF_ONE_BRANCH;
    // Under little power the heat of a part at rest counts for much: a resistance looks high.
    let is_weak = |gpu: GpuIndex| map.is_cool(gpu) || (by_floor_alone(gpu) && scene.missed(gpu, "power.mean"));
    for (gpu, mut evidence) in heat {
        let component = Component::Gpu(gpu);
        if WRONG_SENSOR.into_iter().any(|code| board.has(code, component)) {
            // That the GPU was slowed for heat the driver says itself, whatever another sensor reads.
            let slowed: Vec<Evidence> = evidence.extract_if(.., |one| is_throttling(one)).collect();
            if !slowed.is_empty() {
                board.accuse("GPU-THERMAL-SLOWDOWN", component, Confidence::Medium, slowed);
            }
            if evidence.is_empty() {
                continue;
            }
        }
        let risen = changes(scene, gpu) || map.has_risen(gpu);
        let by_its_twin = map
            .twin(gpu)
            .map(Component::Gpu)
            .and_then(|twin| WRONG_SENSOR.into_iter().find(|code| board.has(code, twin)).map(|code| (code, twin)));
        let only_compared = evidence.iter().all(|one| {
            one.measurement().is_some_and(|name| ["resistance.mirrored", "resistance.half"].contains(&name))
        });
        if (by_all && is_of_spells(&evidence)) || (rises_with_all && is_made_by(&evidence, &MADE_BY_RISE)) {
            // All have spells, and how many reach into the fall of one or count a little more is chance; or all get worse, each in
            // its place by a little more or less.
            let suspicion = board.accuse("NODE-COOLING", Component::Node, Confidence::Medium, evidence);
            suspicion.suspects = vec![Component::Node, Component::Station];
        } else if let Some(shared) = risen_together(scene, &map, gpu).filter(|_| half.is_none()) {
            shared.pin(board, evidence);
        } else if let (Some((code, twin)), true) = (by_its_twin, only_compared) {
            // Compared with a temperature that is not true.
            board.accuse(code, twin, Confidence::High, evidence);
        } else if let Some((branch, _)) =
            in_spells.as_ref().filter(|(_, gpus)| !gpus.contains(&gpu) && is_fall(&evidence))
        {
            // Compared with a fall that another spell had flattened.
            board.accuse("COOLING-BRANCH-FLOW", *branch, Confidence::Medium, evidence);
        } else if let Some(branch) = flattened_half(scene, &map, gpu).filter(|_| is_fall(&evidence)) {
            board.accuse("COOLING-BRANCH-FLOW", branch, Confidence::Low, evidence);
        } else if let Some((code, odd)) = read_half(scene, &map, board, gpu, &evidence).filter(|_| half.is_none()) {
            board.accuse(code, odd, Confidence::Low, evidence);
        } else if shared && half.is_none() && by_floor_alone(gpu) && !is_weak(gpu) {
            board.accuse("NODE-COOLING", Component::Node, Confidence::Medium, evidence);
        } else if is_weak(gpu) {
            // Why there is so little power is told elsewhere.
            board.accuse("GPU-SLOW", component, Confidence::Low, evidence);
        } else if risen && half.is_none() && inlet.is_empty() {
            let drifts = scene.missed(gpu, "resistance.rise") || map.has_risen(gpu);
            let code = if drifts { "GPU-COOLING-DRIFT" } else { "GPU-COOLING-CONTACT" };
            board.accuse(code, component, Confidence::High, evidence);
        } else if everything {
            board.accuse("NODE-COOLING", Component::Node, Confidence::Medium, evidence);
        } else if let Some(shared) = behind_sinks(scene, &map, board, gpu, &by_sink).filter(|_| half.is_none()) {
            shared.pin(board, evidence);
        } else if let Some((branch, gpus)) = half.as_ref().filter(|(_, gpus)| gpus.contains(&gpu)) {
            accuse_branch(scene, board, *branch, gpus, component, evidence);
        } else if map.is_raised(gpu)
            || missed_resistance(gpu)
            || ["resistance.mirrored", "fall.fast", "temp.offset.apart"].into_iter().any(|name| scene.missed(gpu, name))
        {
            // A pair that disagrees, with nothing else to say which of the two is odd, names both.
            let twin = map.twin(gpu).map(Component::Gpu).filter(|_| !is_proven(scene, gpu));
            let confidence = if twin.is_none() { Confidence::High } else { Confidence::Low };
            let suspicion = board.accuse("GPU-COOLING-CONTACT", component, confidence, evidence);
            suspicion.suspects.extend(twin.into_iter().flat_map(|twin| [component, twin]));
        } else if !inlet.is_empty() {
            board.accuse("STATION-INLET-HOT", Component::Station, Confidence::High, evidence);
        } else if map.has_odd_threshold(gpu) {
            board.accuse("GPU-THERMAL-SLOWDOWN", component, Confidence::Medium, evidence);
        } else if map.inlet_is_hot() {
            let suspicion = board.accuse("STATION-INLET-HOT", Component::Station, Confidence::Medium, evidence);
            let inlet = map.inlet().unwrap_or_default();
            suspicion.remark =
                Some(both(format!("The inlet was at {inlet} °C."), format!("入口温度は{inlet} °Cだった。")));
        } else if map.knows(gpu) {
            // As warm for its power as its siblings, and the inlet is no reason: all are too hot together, this one first.
            let suspicion = board.accuse("NODE-COOLING", Component::Node, Confidence::Low, evidence);
            suspicion.suspects = vec![Component::Node, component];
        } else {
            // Nothing to compare with.
            board.accuse("GPU-OVERTEMP", component, Confidence::Low, evidence);
        }
    }
    gather_overheated(scene, &map, board);
}

/// A GPU that is warm with all of its branch. Its own contact may be bad beside: what its die alone showed is no matter of the
/// branch.
fn accuse_branch(
    scene: &Scene<'_>,
    board: &mut Board,
    branch: Component,
    gpus: &BTreeSet<GpuIndex>,
    gpu: Component,
    evidence: Vec<Evidence>,
) {
    // Of four behind one branch most contacts are not bad at once: coolant that hardly flows reaches even the fall.
    let falls = gpus.iter().filter(|gpu| scene.missed(**gpu, "fall.fast")).count();
    let is_own = gpus.len() <= 2 || falls * 2 <= gpus.len();
    if is_own && evidence.iter().any(|one| one.measurement() == Some("fall.fast")) {
        // Its die alone is enough to make it hot, and the half with it: the others of the branch say whether that is bad as well.
        board.accuse("GPU-COOLING-CONTACT", gpu, Confidence::High, evidence);
        return;
    }
    let suspicion = board.accuse("COOLING-BRANCH-FLOW", branch, Confidence::Medium, evidence);
    suspicion.suspects = std::iter::once(branch).chain(gpus.iter().copied().map(Component::Gpu)).collect();
}

/// A half of the board that is warm for one GPU of it, or seems warm beside a half in which one reads low: whose evidence that is.
fn read_half(
    scene: &Scene<'_>,
    map: &HeatMap,
    board: &Board,
    gpu: GpuIndex,
    evidence: &[Evidence],
) -> Option<(&'static str, Component)> {
    if !evidence.iter().all(|one| one.measurement() == Some("resistance.half")) {
        return None;
    }
    for code in WRONG_SENSOR {
        // In the other half: one in this half would make it seem cool, not warm.
        let half = map.half_of(gpu);
        let beside = scene.gpus().into_iter().filter(|other| !half.contains(other));
        if let Some(other) = beside.map(Component::Gpu).find(|other| board.has(code, *other)) {
            return Some((code, other));
        }
    }
    let own = |other: &GpuIndex| {
        ["resistance.mirrored", "fall.fast", "thermal.resistance"].into_iter().any(|name| scene.missed(*other, name))
    };
    let stands_out = |other: &GpuIndex| map.is_raised(*other) || own(other);
    let odd = map.half_of(gpu).into_iter().filter(|other| *other != gpu).find(stands_out)?;
    Some(("GPU-COOLING-CONTACT", Component::Gpu(odd)))
}

/// Percent of a soak in spells that a die may have over its siblings: as much of all dies is what comes to all.
const OF_SPELLS: f64 = 1.0;

/// Percent by which a resistance may grow beyond its siblings': by as much of all dies what they share gets worse.
const OF_RISE: f64 = 5.0;

/// Whether all dies had spells of heat, so that what cools them all comes in spells.
pub(super) fn comes_to_all(scene: &Scene<'_>) -> bool {
    is_of_all(scene, "temp.spells", OF_SPELLS)
}

fn is_of_all(scene: &Scene<'_>, measurement: &str, over: f64) -> bool {
    let values = scene.numbers(measurement);
    values.len() >= OF_ONE_BRANCH && values.len() == scene.gpus().len() && values.values().all(|value| *value > over)
}

/// Whether the evidence is only what spells make of a die.
fn is_of_spells(evidence: &[Evidence]) -> bool {
    is_made_by(evidence, &["temp.spells", "fall.fast", "fall.early", "steady"])
}

/// What cooling that gets worse for all makes of a die.
const MADE_BY_RISE: [&str; 4] = ["resistance.rise", "temp.spells", "fall.fast", "steady"];

fn is_made_by(evidence: &[Evidence], made: &[&str]) -> bool {
    evidence.iter().all(|one| one.measurement().is_some_and(|name| made.contains(&name)))
}

fn is_fall(evidence: &[Evidence]) -> bool {
    evidence.iter().all(|one| one.measurement() == Some("fall.fast"))
}

/// Whether the GPU is cooled worse at times, or worse and worse.
fn changes(scene: &Scene<'_>, gpu: GpuIndex) -> bool {
    ["resistance.rise", "temp.spells"].into_iter().any(|name| scene.missed(gpu, name))
}

/// Whether the GPU's resistance is within the model's floor and higher than that of good ones in its place.
fn above_its_lot(scene: &Scene<'_>, gpu: GpuIndex) -> bool {
    let above = |fact: &Fact<'_>| {
        let lot = fact.judgement.lot.filter(|_| fact.judgement.outcome == Judged::Outlier);
        lot.zip(fact.number()).is_some_and(|(lot, value)| value > lot.high)
    };
    scene.facts.iter().any(|fact| fact.name() == "thermal.resistance" && fact.gpu() == Some(gpu) && above(fact))
}

/// Whether the driver says that it slowed the GPU down.
fn is_throttling(evidence: &Evidence) -> bool {
    evidence.measurement().is_some_and(|name| THROTTLING.contains(&name))
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
        // A sensor that fell silent says nothing of heat.
        if let (Some(gpu), Some(Sensor::TempGpu | Sensor::TempMargin), Some(_)) =
            (trip.component.gpu_index(), scene.sensor_of(trip), trip.reading)
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
    let hot = |sensor, reading: Option<f64>| sensor == Some(Sensor::TempInlet) && reading.is_some();
    let trips = scene.record.trips.iter().filter(|(_, trip)| hot(scene.sensor_of(trip), trip.reading));
    evidence.extend(trips.map(|(at, trip)| trip_evidence(*at, trip)));
    evidence
}

/// Whether anything that says the GPU is hot is more than a suspicion.
fn is_proven(scene: &Scene<'_>, gpu: GpuIndex) -> bool {
    let proof = |fact: &Fact<'_>| fact.failed() && fact.judgement.miss.is_proof() && HOT.contains(&fact.name());
    scene.facts.iter().any(|fact: &Fact<'_>| proof(fact) && fact.gpu() == Some(gpu))
        || scene.record.trips.iter().any(|(_, trip)| trip.component.gpu_index() == Some(gpu))
}

/// Most GPUs too hot with no resistance to go by is nobody's contact, and all of one half is what that half shares.
fn gather_overheated(scene: &Scene<'_>, map: &HeatMap, board: &mut Board) {
    let most = (scene.gpus().len() * 3).div_ceil(4).max(2);
    let hot: BTreeSet<GpuIndex> = board.of("GPU-OVERTEMP").filter_map(|one| one.component.gpu_index()).collect();
    if hot.len() >= most {
        for suspicion in board.take("GPU-OVERTEMP") {
            board.accuse("NODE-COOLING", Component::Node, Confidence::Low, suspicion.evidence);
        }
    } else if let Some(branch) = map.branch_of(&hot) {
        for suspicion in board.take("GPU-OVERTEMP") {
            let one = board.accuse("COOLING-BRANCH-FLOW", branch, Confidence::Medium, suspicion.evidence);
            one.suspects = std::iter::once(branch).chain(hot.iter().copied().map(Component::Gpu)).collect();
        }
    }
}
