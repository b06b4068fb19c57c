//! Why a GPU is hot: its own contact, its branch, everything, the station's inlet, or only its sensor.
//!
//! The thermal resistance (K/W) tells them apart: heat from outside leaves it alone, and what a branch shares raises it on
//! all of the branch's GPUs.

use std::collections::BTreeSet;

use super::board::Board;
use super::doubtful_zero::{accuse_all, doubtful};
use super::heat_map::{HeatMap, Inlet, OF_HALF};
use super::rule_memory::read_memory;
use super::rule_sensor::{WRONG_SENSOR, by_slope, wrong_sensor};
use super::scene::{Fact, Scene, both, trip_evidence};
use super::shared_heat::{
    Heat, behind_sinks, beside_a_group, comes_to_several, flattened_half, raised_by_sinks, risen_together,
};
use kiln_event::{Confidence, Evidence};
use kiln_limit::Judged;
use kiln_model::{Component, GpuIndex, Sensor};

/// Limits that say a GPU is hot or was slowed for heat.
const HOT: &[&str] = &[
    "thermal.resistance",
    "resistance.mirrored",
    OF_HALF[0],
    OF_HALF[1],
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
    let over = if inlet_is_off(board) { Inlet::Usual } else { Inlet::AsRead };
    let map = HeatMap::reckoned(scene, over).without(&wrong_sensors(scene, board));
    read_memory(scene, &map, board);
    read_supply(scene, &map, board);
    if heat.is_empty() {
        return;
    }
    let around = Surroundings::of(scene, map, board, &heat, inlet);
    for (gpu, evidence) in heat {
        let own = around.read_wrong_sensors(board, gpu, evidence).and_then(|own| around.read_others(board, gpu, own));
        if let Some(own) = own {
            around.read_own(board, gpu, own);
        }
    }
    gather_overheated(scene, &around.map, board);
}

/// What the heat of one GPU is read against: that of all others, and what they share.
struct Surroundings<'s> {
    scene: &'s Scene<'s>,
    map: HeatMap,
    inlet: Vec<Evidence>,
    /// The half of the board that is warm.
    half: Option<(Component, BTreeSet<GpuIndex>)>,
    /// The half of the board that is warm in spells.
    in_spells: Option<(Component, BTreeSet<GpuIndex>)>,
    by_sink: BTreeSet<GpuIndex>,
    /// Several are over the model's floor and not over their siblings: it is what they share, and which of them are over is a matter
    /// of their places.
    shared: bool,
    /// All are over the model's floor.
    everything: bool,
    /// One has another zero than all others, and nothing says who is wrong.
    doubtful: bool,
}

impl<'s> Surroundings<'s> {
    fn of(scene: &'s Scene<'s>, map: HeatMap, board: &Board, heat: &Heat, inlet: Vec<Evidence>) -> Self {
        // Contacts of two parts may give way in one soak; that both lift at times, on one half, is what they share.
        let in_spells = map
            .most_of_a_half(true, |gpu| scene.missed(gpu, "temp.spells"))
            .or_else(|| map.most_of_a_half(false, |gpu| changes(scene, gpu)))
            // Over an inlet that is read wrong any die has spells.
            .filter(|(_, gpus)| !inlet_is_off(board) || gpus.iter().all(|gpu| scene.missed(*gpu, "temp.spells")));
        let supply = shared_supply(scene, &map).filter(|_| !inlet_is_off(board));
        let half = map.hot_half().or(supply).or_else(|| in_spells.clone());
        let missed_resistance = |gpu: GpuIndex| scene.missed(gpu, "thermal.resistance");
        let everything = scene.gpus().len() > 1 && scene.gpus().into_iter().all(missed_resistance);
        let by_sink = raised_by_sinks(scene, &map, board, heat);
        let doubtful = doubtful(scene).is_some();
        let mut around = Self { scene, map, inlet, half, in_spells, by_sink, shared: false, everything, doubtful };
        let warm = |gpu: &GpuIndex| around.by_floor_alone(*gpu) || above_its_lot(scene, *gpu);
        around.shared = scene.gpus().into_iter().filter(warm).count() >= OF_ONE_BRANCH;
        around
    }

    /// Whether a GPU is over the model's floor and not over its own siblings: in one place that is a part.
    fn by_floor_alone(&self, gpu: GpuIndex) -> bool {
        let own = ["resistance.mirrored", "fall.fast"].into_iter().any(|name| self.scene.missed(gpu, name));
        self.scene.missed(gpu, "thermal.resistance") && !own && !self.map.is_raised(gpu)
    }

    /// Whether a GPU had little power, under which the heat of a part at rest counts for much: a resistance looks high.
    fn is_weak(&self, gpu: GpuIndex) -> bool {
        self.map.is_cool(gpu) || (self.by_floor_alone(gpu) && self.scene.missed(gpu, "power.mean"))
    }

    /// Pins on wrong sensors what they explain, and gives back the rest.
    fn read_wrong_sensors(
        &self,
        board: &mut Board,
        gpu: GpuIndex,
        mut evidence: Vec<Evidence>,
    ) -> Option<Vec<Evidence>> {
        let component = Component::Gpu(gpu);
        if wrong_sensor(board, component).is_some() {
            // That the GPU was slowed for heat the driver says itself, whatever another sensor reads.
            let slowed: Vec<Evidence> = evidence.extract_if(.., |one| is_throttling(one)).collect();
            if !slowed.is_empty() {
                board.accuse("GPU-THERMAL-SLOWDOWN", component, Confidence::Medium, slowed);
            }
        }
        if self.half.is_none() && inlet_is_off(board) && is_made_by(&evidence, &OVER_THE_INLET) {
            board.accuse("SENSOR-IMPLAUSIBLE", Component::Node, Confidence::Medium, std::mem::take(&mut evidence));
        }
        // Held against a zero of which nobody knows whose it is.
        let heats =
            ["resistance.mirrored", OF_HALF[0], OF_HALF[1]].into_iter().any(|name| by_slope(self.scene, gpu, name));
        if self.doubtful && !heats && is_made_by(&evidence, &OVER_THE_INLET) {
            accuse_all(self.scene, board, std::mem::take(&mut evidence));
        }
        let of_fall = |one: &Evidence| one.measurement() == Some("fall.fast");
        if let Some((code, twin)) = self.wrong_twin(board, gpu)
            && evidence.iter().any(of_fall)
        {
            // What the fall says beside it is another matter.
            let of_pair = evidence.extract_if(.., |one| one.measurement() == Some("resistance.mirrored"));
            board.accuse(code, twin, Confidence::High, of_pair.collect::<Vec<_>>());
        }
        Some(evidence).filter(|evidence| !evidence.is_empty())
    }

    /// The GPU's twin, if a sensor of it is wrong.
    fn wrong_twin(&self, board: &Board, gpu: GpuIndex) -> Option<(&'static str, Component)> {
        let twin = self.map.twin(gpu).map(Component::Gpu)?;
        Some((wrong_sensor(board, twin)?, twin))
    }

    /// Pins on others, or on what several share, what a GPU shows only beside them, and gives back what it does not.
    fn read_others(&self, board: &mut Board, gpu: GpuIndex, evidence: Vec<Evidence>) -> Option<Vec<Evidence>> {
        let (scene, map, half) = (self.scene, &self.map, &self.half);
        let rises_with_all = is_of_all(scene, "resistance.rise", OF_RISE) && is_made_by(&evidence, &MADE_BY_RISE);
        let only_compared = is_made_by(&evidence, &["resistance.mirrored", OF_HALF[0], OF_HALF[1]]);
        let of_fall = is_made_by(&evidence, &["fall.fast"]);
        if (comes_to_all(scene) && is_of_spells(&evidence)) || rises_with_all {
            // All have spells, and how many reach into the fall of one or count a little more is chance; or all get worse, each in
            // its place by a little more or less.
            let suspicion = board.accuse("NODE-COOLING", Component::Node, Confidence::Medium, evidence);
            suspicion.suspects = vec![Component::Node, Component::Station];
        } else if let Some(shared) =
            comes_to_several(scene, map, gpu).filter(|_| half.is_none() && is_of_spells(&evidence))
        {
            shared.pin(board, evidence);
        } else if let Some(shared) = risen_together(scene, map, gpu).filter(|_| half.is_none()) {
            shared.pin(board, evidence);
        } else if let Some((code, twin)) = self.wrong_twin(board, gpu).filter(|_| only_compared) {
            // Compared with a temperature that is not true.
            board.accuse(code, twin, Confidence::High, evidence);
        } else if let Some((branch, _)) = self.in_spells.as_ref().filter(|(_, gpus)| !gpus.contains(&gpu) && of_fall) {
            // Compared with a fall that another spell had flattened.
            board.accuse("COOLING-BRANCH-FLOW", *branch, Confidence::Medium, evidence);
        } else if let Some(branch) =
            flattened_half(scene, map, gpu).filter(|_| is_made_by(&evidence, &["fall.fast", "steady"]))
        {
            board.accuse("COOLING-BRANCH-FLOW", branch, Confidence::Low, evidence);
        } else if let Some((code, odd)) = read_half(scene, map, board, gpu, &evidence).filter(|_| half.is_none()) {
            board.accuse(code, odd, Confidence::Low, evidence);
        } else if let Some((branch, gpus)) =
            standing_out_together(scene, map, gpu, &evidence).filter(|_| half.is_none())
        {
            accuse_branch(scene, board, branch, &gpus, Component::Gpu(gpu), evidence);
        } else if self.shared && half.is_none() && self.by_floor_alone(gpu) && !self.is_weak(gpu) {
            board.accuse("NODE-COOLING", Component::Node, Confidence::Medium, evidence);
        } else {
            return Some(evidence);
        }
        None
    }

    /// What is hot by its own showing: a part, its branch, all, or the inlet.
    fn read_own(&self, board: &mut Board, gpu: GpuIndex, evidence: Vec<Evidence>) {
        let (scene, map, half) = (self.scene, &self.map, &self.half);
        let component = Component::Gpu(gpu);
        if self.is_weak(gpu) {
            // Why there is so little power is told elsewhere.
            board.accuse("GPU-SLOW", component, Confidence::Low, evidence);
        } else if (changes(scene, gpu) || map.has_risen(gpu)) && half.is_none() && self.inlet.is_empty() {
            let drifts = scene.missed(gpu, "resistance.rise") || map.has_risen(gpu);
            let code = if drifts { "GPU-COOLING-DRIFT" } else { "GPU-COOLING-CONTACT" };
            board.accuse(code, component, Confidence::High, evidence);
        } else if self.everything {
            board.accuse("NODE-COOLING", Component::Node, Confidence::Medium, evidence);
        } else if let Some(shared) = behind_sinks(scene, map, board, gpu, &self.by_sink).filter(|_| half.is_none()) {
            shared.pin(board, evidence);
        } else if let Some(shared) = beside_a_group(scene, map, board, gpu).filter(|_| half.is_none()) {
            shared.pin(board, evidence);
        } else if let Some((branch, gpus)) = half.as_ref().filter(|(_, gpus)| gpus.contains(&gpu)) {
            accuse_branch(scene, board, *branch, gpus, component, evidence);
        } else if map.is_raised(gpu)
            || ["thermal.resistance", "resistance.mirrored", "fall.fast", "temp.offset.apart"]
                .into_iter()
                .any(|name| scene.missed(gpu, name))
        {
            // A pair that disagrees, with nothing else to say which of the two is odd, names both.
            let twin = map.twin(gpu).map(Component::Gpu).filter(|_| !is_proven(scene, gpu));
            let confidence = if twin.is_none() { Confidence::High } else { Confidence::Low };
            let suspicion = board.accuse("GPU-COOLING-CONTACT", component, confidence, evidence);
            suspicion.suspects.extend(twin.into_iter().flat_map(|twin| [component, twin]));
        } else if !self.inlet.is_empty() {
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
    // Of four behind one branch most contacts are not bad at once: coolant that hardly flows reaches even the fall. So does coolant that
    // comes in spells to all of them.
    let falls = gpus.iter().filter(|gpu| scene.missed(**gpu, "fall.fast")).count();
    let in_spells = gpus.iter().all(|gpu| scene.missed(*gpu, "temp.spells")) && is_of_spells(&evidence);
    let is_own = (gpus.len() <= 2 || falls * 2 <= gpus.len()) && !in_spells;
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
    if !evidence.iter().all(|one| one.measurement().is_some_and(|name| OF_HALF.contains(&name))) {
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
    let odd: Vec<GpuIndex> = standing_out(scene, map, gpu).into_iter().filter(|other| *other != gpu).collect();
    let contact = odd.iter().find(|other| scene.missed(**other, "fall.fast"));
    let only = odd.first().filter(|_| odd.len() == 1 && !map.is_raised(gpu));
    contact.or(only).map(|odd| ("GPU-COOLING-CONTACT", Component::Gpu(*odd)))
}

/// The GPUs of a GPU's half that are hot by their own showing.
fn standing_out(scene: &Scene<'_>, map: &HeatMap, gpu: GpuIndex) -> BTreeSet<GpuIndex> {
    const OWN: [&str; 3] = ["resistance.mirrored", "fall.fast", "thermal.resistance"];
    let own = |other: &GpuIndex| OWN.into_iter().any(|name| scene.missed(*other, name));
    map.half_of(gpu).into_iter().filter(|other| map.is_raised(*other) || own(other)).collect()
}

/// The half of a GPU that is warm and in which several stand out: none of them makes the others seem so.
fn standing_out_together(
    scene: &Scene<'_>,
    map: &HeatMap,
    gpu: GpuIndex,
    evidence: &[Evidence],
) -> Option<(Component, BTreeSet<GpuIndex>)> {
    let several = is_made_by(evidence, &OF_HALF) && standing_out(scene, map, gpu).len() > 1;
    map.half_with(&BTreeSet::from([gpu])).filter(|_| several)
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

/// The GPUs of which a sensor was found wrong: how warm they are for their power is not known.
fn wrong_sensors(scene: &Scene<'_>, board: &Board) -> BTreeSet<GpuIndex> {
    scene.gpus().into_iter().filter(|gpu| wrong_sensor(board, Component::Gpu(*gpu)).is_some()).collect()
}

fn inlet_is_off(board: &Board) -> bool {
    board.has("SENSOR-IMPLAUSIBLE", Component::Node)
}

/// What is reckoned from how far a die is over the inlet: where that one is read wrong a die is hardly over it, and its noise is all there is.
const OVER_THE_INLET: [&str; 7] = [
    "thermal.resistance",
    "resistance.mirrored",
    OF_HALF[0],
    OF_HALF[1],
    "resistance.rise",
    "temp.spells",
    "temp.offset.apart",
];

fn is_made_by(evidence: &[Evidence], made: &[&str]) -> bool {
    evidence.iter().all(|one| one.measurement().is_some_and(|name| made.contains(&name)))
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
