//! What memory far from its die's temperature tells: its own pads, the die's contact, a wrong sensor of either, or siblings that are not
//! as they should be.
//!
//! Two temperatures that disagree do not say which of them is off: a fall after the load tells bad contact of the die, a twin or an
//! odd zero tells its sensor, and the good ones among the siblings tell whom the middle of all has wronged.

use std::collections::{BTreeMap, BTreeSet};

use super::board::Board;
use super::doubtful_zero::{accuse_all, doubtful};
use super::heat_map::{HeatMap, OF_HALF, cooler_half, middle_of_others, over_others};
use super::rest_gap::{accuse_the_odd_at_rest, reads_cold_memory};
use super::rule_sensor::{FARTHER, accuse_others, falls_less, wrong_sensor};
use super::scene::{Fact, Scene, trip_evidence};
use kiln_event::Confidence;
use kiln_model::{Component, GpuIndex, Sensor, median};

const MEMORY: &[&str] = &["memory-over-die", "temp.memory.max", "temp.memory.p95", "temp.memory.mean"];
/// Share of the difference under load from which on the same difference at rest is a zero. Parts at rest give off a tenth to a
/// quarter of the heat, and so much of a difference that heat makes is left.
const OF_ZERO: f64 = 0.6;
/// The same of the mean of several: of two good ones against two it is within 3 %.
const FARTHER_TOGETHER: f64 = 1.06;
/// K within which the memories of good parts in good places are over their dies: contact and place make 1 to 2 K.
const AS_FAR_OVER: f64 = 2.5;

/// Memory that is hot, or a memory and a die that are too far from one another.
pub(super) fn read_memory(scene: &Scene<'_>, map: &HeatMap, board: &mut Board) {
    let doubtful = doubtful(scene);
    for (place, fact) in scene.facts.iter().enumerate().filter(|(_, fact)| fact.failed()) {
        let Some(gpu) = fact.gpu() else { continue };
        let (die, memory) = (Component::Gpu(gpu), Component::Memory(gpu));
        let compared = ["memory-over-die", "die-over-memory"].contains(&fact.name());
        if compared && doubtful == Some(gpu) {
            accuse_all(scene, board, [fact.evidence()]);
            board.claim(place);
            continue;
        }
        // Of a sensor that is known to be off nobody else need be asked.
        let known = wrong_sensor(board, die).is_some();
        if compared && !known && (by_power(scene, board, fact, gpu) || by_siblings(scene, map, board, fact, gpu)) {
            board.claim(place);
            continue;
        }
        let (code, component, confidence) = match fact.name() {
            "memory-over-die" if shows_low_die(scene, map, gpu) || is_zero_of_memory(scene, fact, gpu) => {
                ("SENSOR-IMPLAUSIBLE", die, Confidence::Medium)
            }
            "memory-over-die" if !is_warm_memory(scene, map, fact, gpu) && !has_bad_pads(scene, map, gpu) => {
                cooler_die(scene, gpu)
            }
            "die-over-memory" if has_bad_contact(scene, map, gpu) => ("GPU-COOLING-CONTACT", die, fact.confidence()),
            "die-over-memory" => ("SENSOR-IMPLAUSIBLE", die, fact.confidence()),
            name if MEMORY.contains(&name) => ("HBM-COOLING-CONTACT", memory, Confidence::High),
            _ => continue,
        };
        board.accuse(code, component, confidence, [fact.evidence()]);
        board.claim(place);
    }
    for (at, trip) in &scene.record.trips {
        if let (Some(gpu), Some(Sensor::TempMemory), Some(_)) =
            (trip.component.gpu_index(), scene.sensor_of(trip), trip.reading)
        {
            let evidence = [trip_evidence(*at, trip)];
            board.accuse("HBM-COOLING-CONTACT", Component::Memory(gpu), Confidence::Medium, evidence);
        }
    }
}

/// Dies that draw less than this share of the others' power are cool for want of it, as `twins.rs` of the checks has it too.
const LIKE_POWER: f64 = 0.85;

/// Whether memory and die are apart because some of the GPUs were given less to do, or let it be done slower, than the others: these are
/// slow, for which there is another cause, and nothing is known of how anybody is cooled.
fn by_power(scene: &Scene<'_>, board: &mut Board, fact: &Fact<'_>, gpu: GpuIndex) -> bool {
    let beside = scene.facts.iter().filter(|other| other.path == fact.path && other.name() == "power.mean");
    let power: BTreeMap<GpuIndex, f64> = beside.filter_map(|other| Some((other.gpu()?, other.number()?))).collect();
    let (Some(own), Some(middle)) = (power.get(&gpu), middle_of_others(&power, gpu)) else { return false };
    let is_least = |watts: f64, than: f64| watts < LIKE_POWER * than;
    let slow: Vec<GpuIndex> = match fact.name() {
        "memory-over-die" if is_least(*own, middle) => vec![gpu],
        "die-over-memory" if is_least(middle, *own) => {
            power.iter().filter(|(_, watts)| is_least(**watts, *own)).map(|(other, _)| *other).collect()
        }
        _ => return false,
    };
    for other in slow {
        board.accuse("GPU-SLOW", Component::Gpu(other), Confidence::Low, [fact.evidence()]);
    }
    true
}

/// Whether a GPU is far from the middle of its siblings because most of these are not as they should be, which is pinned on them.
fn by_siblings(scene: &Scene<'_>, map: &HeatMap, board: &mut Board, fact: &Fact<'_>, gpu: GpuIndex) -> bool {
    let others = || scene.gpus().into_iter().filter(|other| *other != gpu);
    let is_most = |odd: &[GpuIndex]| odd.len() * 2 >= others().count();
    if fact.name() == "die-over-memory" {
        if has_bad_contact(scene, map, gpu) || reads_cold_memory(scene, gpu) {
            return false;
        }
        if accuse_the_odd_at_rest(scene, board, gpu, fact) {
            return true;
        }
        // A die seems hot beside memory that is cool only where that of most others is not, or where their dies read low.
        let odd: Vec<GpuIndex> = others().filter(|other| scene.missed(*other, "memory-over-die")).collect();
        if !is_most(&odd) {
            // The only good one, or one whose memory sensor shows too little: at rest a wrong zero would be there as well.
            let alone = odd.is_empty() && memory_is_cooler(scene, fact, gpu) && grows_with_heat(scene, fact, gpu);
            if alone {
                accuse_others(board, gpu, fact);
            }
            return alone;
        }
        for other in odd {
            let of = |one: &&Fact<'_>| one.failed() && one.name() == "memory-over-die" && one.gpu() == Some(other);
            let warm = scene.facts.iter().filter(of).any(|one| is_warm_memory(scene, map, one, other));
            let (code, component) = if warm && !shows_low_die(scene, map, other) {
                ("HBM-COOLING-CONTACT", Component::Memory(other))
            } else {
                ("SENSOR-IMPLAUSIBLE", Component::Gpu(other))
            };
            board.accuse(code, component, Confidence::Medium, [fact.evidence()]);
        }
        return true;
    }
    if accuse_the_odd_at_rest(scene, board, gpu, fact) || is_as_beside_good_ones(scene, map, board, fact, gpu) {
        return true;
    }
    let together = other_half_falls_farther(scene, fact);
    if !falls_less(scene, map, gpu) && together.is_empty() {
        return false;
    }
    let hot: Vec<GpuIndex> =
        others().filter(|other| falls_farther(scene, *other) || together.contains(other)).collect();
    if is_most(&hot) {
        for other in hot {
            board.accuse("GPU-COOLING-CONTACT", Component::Gpu(other), Confidence::Medium, [fact.evidence()]);
        }
    } else {
        // Alone, it is the good one or the one whose sensor shows too little.
        accuse_others(board, gpu, fact);
    }
    true
}

/// Whether memory is far over its die only beside siblings whose dies are hot, as of four GPUs two with bad contacts make of the middle:
/// beside the good ones it is where it must be. What the hot ones show beside that is accused elsewhere.
fn is_as_beside_good_ones(scene: &Scene<'_>, map: &HeatMap, board: &mut Board, fact: &Fact<'_>, gpu: GpuIndex) -> bool {
    const OWN: [&str; 3] = ["fall.fast", "resistance.mirrored", "thermal.resistance"];
    let values = beside(scene, fact, &[fact.name()]);
    let is_hot = |other: GpuIndex, by: &[&str]| {
        by.iter().any(|name| scene.missed(other, name))
            || falls_farther(scene, other)
            || reads_cold_memory(scene, other)
    };
    let split = |by: &[&str]| -> (BTreeSet<GpuIndex>, BTreeSet<GpuIndex>) {
        values.keys().copied().filter(|other| *other != gpu).partition(|other| is_hot(*other, by))
    };
    // A half is also warm where one of it is: it tells only where nothing else does.
    let (mut hot, mut good) = split(&OWN);
    if hot.len() < good.len() {
        (hot, good) = split(&["fall.fast", "resistance.mirrored", "thermal.resistance", OF_HALF[0], OF_HALF[1]]);
    }
    let all: Vec<f64> = values.iter().filter(|(other, _)| **other != gpu).map(|(_, value)| *value).collect();
    let (Some(own), Some(middle), Some(most)) = (fact.number(), median(&all), fact.judgement.range.high) else {
        return false;
    };
    let greatest = good.iter().filter_map(|other| values.get(other)).copied().reduce(f64::max);
    let explained = greatest.is_some_and(|greatest| own <= greatest + (most - middle).max(0.0));
    if hot.len() < good.len().max(1) || is_hot(gpu, &OWN) || !explained {
        return false;
    }
    let branch = map.branch_of(&hot).filter(|_| !hot.iter().any(|other| scene.missed(*other, "fall.fast")));
    if let Some(branch) = branch {
        let suspicion = board.accuse("COOLING-BRANCH-FLOW", branch, Confidence::Low, [fact.evidence()]);
        suspicion.suspects = std::iter::once(branch).chain(hot.iter().copied().map(Component::Gpu)).collect();
        return true;
    }
    for other in hot {
        let code = if reads_cold_memory(scene, other) && !has_bad_contact(scene, map, other) {
            "SENSOR-IMPLAUSIBLE"
        } else {
            "GPU-COOLING-CONTACT"
        };
        board.accuse(code, Component::Gpu(other), Confidence::Low, [fact.evidence()]);
    }
    true
}

/// Whether memory seems hot only because the die beside it reads low: by its zero, for its power, or as its twin has it, which
/// seems hot beside it and has no bad contact.
fn shows_low_die(scene: &Scene<'_>, map: &HeatMap, gpu: GpuIndex) -> bool {
    let by_twin = map.twin(gpu).is_some_and(|twin| {
        scene.missed(twin, "resistance.mirrored")
            && !["fall.fast", "thermal.resistance"].into_iter().any(|name| scene.missed(twin, name))
    });
    map.reads_low(gpu) || scene.missed(gpu, "temp.offset.apart") || by_twin
}

/// Whether memory was too far over its die in any load by its own heat: pads are bad in all of them, and most where memory works hardest.
fn has_bad_pads(scene: &Scene<'_>, map: &HeatMap, gpu: GpuIndex) -> bool {
    let of = |fact: &&Fact<'_>| fact.failed() && fact.name() == "memory-over-die" && fact.gpu() == Some(gpu);
    !shows_low_die(scene, map, gpu) && scene.facts.iter().filter(of).any(|fact| is_warm_memory(scene, map, fact, gpu))
}

/// Whether memory that is far over its die is itself warmer than that of its siblings, or of its twin: places differ by less
/// than half of what is too much. Else it is the die that is the cooler one.
fn is_warm_memory(scene: &Scene<'_>, map: &HeatMap, fact: &Fact<'_>, gpu: GpuIndex) -> bool {
    let memory = beside(scene, fact, &["temp.memory.p95", "temp.memory.max"]);
    let Some(excess) = over_others(&beside(scene, fact, &["memory-over-die"]), gpu) else { return true };
    let over_twin = map.twin(gpu).and_then(|twin| Some(memory.get(&gpu)? - memory.get(&twin)?));
    let warmer = over_others(&memory, gpu).into_iter().chain(over_twin).reduce(f64::max);
    warmer.is_none_or(|warmer| warmer >= excess / 2.0)
}

/// Whether memory that is far under its die is itself cooler than that of its siblings, by most of what they differ.
fn memory_is_cooler(scene: &Scene<'_>, fact: &Fact<'_>, gpu: GpuIndex) -> bool {
    let mut memory = beside(scene, fact, &["temp.memory.p95", "temp.memory.max"]);
    if memory.is_empty() {
        // The step shows only the difference.
        memory = scene.first_numbers("gpu.memory", "temp.memory.max");
    }
    let excess = over_others(&beside(scene, fact, &["die-over-memory"]), gpu);
    over_others(&memory, gpu).zip(excess).is_some_and(|(over, excess)| -over >= excess / 2.0)
}

/// Whether a die was not nearly as far over its memory at rest.
fn grows_with_heat(scene: &Scene<'_>, fact: &Fact<'_>, gpu: GpuIndex) -> bool {
    let die = scene.first_numbers("gpu.idle", "temp.mean");
    let memory = scene.first_numbers("gpu.idle", "temp.memory.mean");
    let at_rest: BTreeMap<GpuIndex, f64> =
        die.into_iter().filter_map(|(gpu, die)| Some((gpu, die - memory.get(&gpu)?))).collect();
    let beside = scene.facts.iter().filter(|other| other.path == fact.path && other.name() == fact.name());
    let loaded = beside.filter_map(|other| Some((other.gpu()?, other.number()?))).collect();
    at_rest.contains_key(&gpu) && !is_zero(&at_rest, &loaded, gpu)
}

/// Whom a die accuses that is cool beside its memory and its siblings: those siblings that are hot by their own showing, or
/// what cools the node where as many are good as bad; alone of its kind, its own sensor.
fn cooler_die(scene: &Scene<'_>, gpu: GpuIndex) -> (&'static str, Component, Confidence) {
    const HOT: [&str; 4] = ["fall.fast", "resistance.mirrored", "thermal.resistance", "die-over-memory"];
    let shows = |other: GpuIndex| HOT.into_iter().any(|name| scene.missed(other, name)) || falls_farther(scene, other);
    let hot = |other: &GpuIndex| *other != gpu && shows(*other);
    let alike = scene.gpus().into_iter().filter(|other| scene.missed(*other, "memory-over-die")).count();
    match scene.gpus().into_iter().find(hot) {
        Some(other) => ("GPU-COOLING-CONTACT", Component::Gpu(other), Confidence::Low),
        None if alike > 1 => ("NODE-COOLING", Component::Node, Confidence::Low),
        None => ("SENSOR-IMPLAUSIBLE", Component::Gpu(gpu), Confidence::Low),
    }
}

/// Whether memory is as far over its die at rest, where hardly anything heats it.
fn is_zero_of_memory(scene: &Scene<'_>, fact: &Fact<'_>, gpu: GpuIndex) -> bool {
    let die = scene.first_numbers("gpu.idle", "temp.mean");
    let memory = scene.first_numbers("gpu.idle", "temp.memory.mean");
    let at_rest: BTreeMap<GpuIndex, f64> =
        memory.into_iter().filter_map(|(gpu, memory)| Some((gpu, memory - die.get(&gpu)?))).collect();
    let beside = scene.facts.iter().filter(|other| other.path == fact.path && other.name() == fact.name());
    let loaded = beside.filter_map(|other| Some((other.gpu()?, other.number()?))).collect();
    is_zero(&at_rest, &loaded, gpu)
}

/// Whether a GPU differs from its siblings at rest by nearly as much as under load.
fn is_zero(at_rest: &BTreeMap<GpuIndex, f64>, loaded: &BTreeMap<GpuIndex, f64>, gpu: GpuIndex) -> bool {
    let (rest, load) = (over_others(at_rest, gpu), over_others(loaded, gpu));
    rest.zip(load).is_some_and(|(rest, load)| load > 0.0 && rest >= OF_ZERO * load)
}

/// Whether the die falls farther after a load than those of the better half of the GPUs, which half a board of bad contacts
/// does not hide.
pub(super) fn falls_farther(scene: &Scene<'_>, gpu: GpuIndex) -> bool {
    let falls = scene.first_numbers("gpu.cooldown", "fall.fast");
    falls.get(&gpu).zip(cooler_half(&falls)).is_some_and(|(own, good)| *own > FARTHER * good)
}

/// Whether a die that is far over its memory really is so hot. Its fall after a load tells, where the run came so far; before
/// that, whether it is too hot for its power and was not at rest.
fn has_bad_contact(scene: &Scene<'_>, map: &HeatMap, gpu: GpuIndex) -> bool {
    if scene.missed(gpu, "fall.fast") || falls_farther(scene, gpu) {
        return true;
    }
    if scene.missed(gpu, "temp.offset.apart") || scene.measured(gpu, "fall.fast") {
        return false;
    }
    map.is_raised(gpu) && !is_zero(&scene.first_numbers("gpu.idle", "temp.mean"), map.dies(), gpu)
}

/// The GPUs whose memory is as far under their die as that of the others is over it, where those are half of the node or more and fall
/// farther: their dies are hot and the others' memory is not. The means of both say so where single falls, of whole degrees, do not.
#[expect(clippy::cast_precision_loss, reason = "a node has a few GPUs")]
fn other_half_falls_farther(scene: &Scene<'_>, fact: &Fact<'_>) -> BTreeSet<GpuIndex> {
    let falls = scene.first_numbers("gpu.cooldown", "fall.fast");
    let values = beside(scene, fact, &[fact.name()]);
    let Some(own) = fact.number() else { return BTreeSet::new() };
    let is_over = |gpu: &GpuIndex| values.get(gpu).is_some_and(|value| *value > own - AS_FAR_OVER);
    let (over, rest): (Vec<_>, Vec<_>) = falls.iter().partition(|(gpu, _)| is_over(gpu));
    let mean = |group: &[(&GpuIndex, &f64)]| group.iter().map(|(_, fall)| **fall).sum::<f64>() / group.len() as f64;
    let farther = over.len() > 1 && rest.len() >= over.len() && mean(&rest) > FARTHER_TOGETHER * mean(&over);
    rest.into_iter().filter(|_| farther).map(|(gpu, _)| *gpu).collect()
}

/// What all GPUs show of these in the step of a fact.
fn beside(scene: &Scene<'_>, fact: &Fact<'_>, names: &[&str]) -> BTreeMap<GpuIndex, f64> {
    let named = scene.facts.iter().filter(|other| other.path == fact.path && names.contains(&other.name()));
    named.filter_map(|other| Some((other.gpu()?, other.number()?))).collect()
}
