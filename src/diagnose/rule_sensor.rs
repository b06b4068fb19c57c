//! Whose sensor is wrong, a GPU's or that of the node's inlet; and what memory far from its die's temperature tells.
//!
//! A wrong zero shows at rest as much as under load, while heat grows with power. Two temperatures that disagree do not say
//! which of them is off: a fall after the load tells bad contact of the die, a twin or an odd zero tells its sensor.

use std::collections::{BTreeMap, BTreeSet};

use super::board::Board;
use super::heat_map::{HeatMap, cooler_half, middle_of_others, over_others};
use super::rule_heat::{OF_ONE_BRANCH, comes_to_all, is_of_a_branch};
use super::scene::{Fact, Scene, both, trip_evidence};
use kiln_event::{Action, Confidence, Evidence};
use kiln_limit::read_list;
use kiln_model::{Component, GpuIndex, Sensor};

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
    "temp.offset.apart",
    "fall.early",
];
/// Codes of a GPU whose sensors are not to be believed.
pub(super) const WRONG_SENSOR: [&str; 2] = ["SENSOR-STUCK", "SENSOR-IMPLAUSIBLE"];
/// Share of the difference under load from which on the same difference at rest is a zero. Parts at rest give off a tenth to a
/// quarter of the heat, and so much of a difference that heat makes is left.
const OF_ZERO: f64 = 0.6;
/// How far over the better half a die falls whose contact makes it eight kelvins hotter at some 700 W: that is half a contact
/// more, of which a quarter of a fall is left. Good parts stay within 11 %.
const FARTHER: f64 = 1.12;
/// Percent of its twin's resistance over which two good parts, 4 % each way, do not lie.
const STEEPER: f64 = 108.0;
/// K by which the highest reading of a steady die may be over all but a twentieth of them: its power is steady too, and what
/// cools it takes minutes to change.
const STRAY: f64 = 8.0;
/// A GPU that does this share of its siblings' work has their power, whatever it shows: at the cap a tenth less power is
/// three to four per cent less clock.
const SAME_WORK: f64 = 0.98;

pub(super) fn read_sensors(scene: &Scene<'_>, board: &mut Board) {
    read_inlet(scene, board);
    read_stray_margin(scene, board);
    read_power(scene, board);
    let (shared, map) = (is_of_a_branch(scene), HeatMap::of(scene));
    for (place, fact) in scene.facts.iter().enumerate().filter(|(_, fact)| fact.failed()) {
        let (stuck, odd) = (SENSOR_STUCK.contains(&fact.name()), SENSOR.contains(&fact.name()));
        if let Some(gpu) =
            fact.gpu().filter(|gpu| fact.name() == "temp.offset.apart" && is_cooled_better(scene, &map, *gpu))
        {
            accuse_others(board, gpu, fact);
            board.claim(place);
            continue;
        }
        let of_zero = |gpu: GpuIndex| fact.name().starts_with("temp.offset") && !shared && !is_of_heat(scene, gpu);
        let late = |gpu: GpuIndex| fact.name() == "fall.early" && !is_of_heat(scene, gpu) && !comes_to_all(scene);
        let own = |gpu: &GpuIndex| fact.check == "sensor.plausibility" || of_zero(*gpu) || late(*gpu);
        let Some(gpu) = fact.gpu().filter(own).filter(|_| (stuck || odd) && !board.is_claimed(place)) else { continue };
        let rules = scene.text_beside(fact.path, fact.component(), "implausible.rules").unwrap_or_default();
        let jumps = driven(scene, gpu).filter(|_| read_list(rules) == ["power.noise"]);
        if let Some(code) = jumps.or_else(|| starved(scene, gpu).filter(|_| read_list(rules) == ["temp.moves"])) {
            board.accuse(code, Component::Gpu(gpu), Confidence::Low, [fact.evidence()]);
            board.claim(place);
            continue;
        }
        let stuck = stuck || SENSOR_STUCK.iter().any(|rule| read_list(rules).contains(rule));
        let code = if stuck { "SENSOR-STUCK" } else { "SENSOR-IMPLAUSIBLE" };
        let suspicion = board.accuse(code, Component::Gpu(gpu), fact.confidence(), [fact.evidence()]);
        if !read_list(rules).is_empty() {
            suspicion.remark = Some(both(format!("Broken rules: {rules}."), format!("違反した規則: {rules}。")));
        }
        board.claim(place);
    }
    read_cooling(scene, board);
}

/// Whether a GPU stands apart by what grows with power: fans that slow down at rest leave more of a bad heat sink then than a
/// straight line through rest and load allows for, and this is no zero of a sensor. A zero leaves the slope from rest to load
/// alone, which is a part of `resistance.mirrored`.
fn is_of_heat(scene: &Scene<'_>, gpu: GpuIndex) -> bool {
    let steeper =
        scene.numbers("resistance.mirrored").get(&Component::Gpu(gpu)).is_some_and(|percent| *percent > STEEPER);
    steeper || ["resistance.mirrored", "fall.fast"].into_iter().any(|name| scene.missed(gpu, name))
}

/// Whether a GPU warms less than its twin by what grows with power, or falls less by as much: it is cooled better, and what is
/// told of it against its siblings is as well told of them against it.
fn is_cooled_better(scene: &Scene<'_>, map: &HeatMap, gpu: GpuIndex) -> bool {
    let flatter = scene.numbers("resistance.mirrored").get(&Component::Gpu(gpu)).is_some_and(|percent| {
        // The same distance on the other side of the twin.
        *percent < 100.0 * 100.0 / STEEPER
    });
    flatter || falls_less(scene, map, gpu)
}

/// Share of the difference between two resistances that is between the falls of dies in 15 s as well, where a contact makes both. A worse
/// contact also makes a die slower, so that it is a quarter to two fifths in the models; readings of whole degrees blur it. A sensor
/// with a wrong zero shows nothing of it in the fall, and one that reads low only while it is hot, or no higher than so much, all of it.
const OF_CONTACT: std::ops::RangeInclusive<f64> = 0.15..=0.6;

/// Whether a die falls less after a load than most of its siblings, as one does that is cooler for its power by a better contact.
fn falls_less(scene: &Scene<'_>, map: &HeatMap, gpu: GpuIndex) -> bool {
    let resistances = scene.first_numbers("thermal.soak", "thermal.resistance");
    let falls = scene.first_numbers("gpu.cooldown", "fall.fast");
    let below = |values: &BTreeMap<GpuIndex, f64>| over_others(values, gpu).map(|over| -over);
    let below_twin = map.twin(gpu).and_then(|twin| Some(resistances.get(&twin)? - resistances.get(&gpu)?));
    // Places differ as well: against the twin where there is one.
    let cooler = below(&resistances).into_iter().chain(below_twin).reduce(f64::max);
    let farther = falls.get(&gpu).zip(middle_of_others(&falls, gpu)).is_some_and(|(own, usual)| usual > FARTHER * own);
    let share = below(&falls).zip(cooler.filter(|cooler| *cooler > 0.0)).map(|(fall, cooler)| fall / cooler);
    farther && share.is_some_and(|share| OF_CONTACT.contains(&share))
}

/// Whether the GPUs whose memory is far over their die fall less than the others, where those are half of the node or more: their
/// dies are cool and their memory is not hot. The means of both say so where single falls, of whole degrees, do not.
#[expect(clippy::cast_precision_loss, reason = "a node has a few GPUs")]
fn half_falls_less(scene: &Scene<'_>) -> bool {
    let falls = scene.first_numbers("gpu.cooldown", "fall.fast");
    let (over, rest): (Vec<_>, Vec<_>) = falls.iter().partition(|(gpu, _)| scene.missed(**gpu, "memory-over-die"));
    let mean = |group: &[(&GpuIndex, &f64)]| group.iter().map(|(_, fall)| **fall).sum::<f64>() / group.len() as f64;
    over.len() > 1 && rest.len() >= over.len() && mean(&rest) > FARTHER * mean(&over)
}

/// Pins what one GPU shows against its siblings on what cools them all, and on its sensor: which it is nothing here says.
fn accuse_others(board: &mut Board, gpu: GpuIndex, fact: &Fact<'_>) {
    let suspicion = board.accuse("NODE-COOLING", Component::Node, Confidence::Low, [fact.evidence()]);
    suspicion.suspects.extend([Component::Node, Component::Gpu(gpu)]);
}

/// What makes the power of a GPU jump about, so that its sensor only shows what is.
fn driven(scene: &Scene<'_>, gpu: GpuIndex) -> Option<&'static str> {
    let causes = [
        ("throttle.power-brake", "GPU-POWER-BRAKE"),
        ("throttle.thermal", "GPU-THERMAL-SLOWDOWN"),
        ("power.limit.fall", "GPU-POWER-CAP"),
        ("clock.dips", "GPU-SLOW"),
    ];
    causes.into_iter().find(|(name, _)| scene.missed(gpu, name)).map(|(_, code)| code)
}

/// What kept power from a GPU, whose temperature then has little reason to move.
fn starved(scene: &Scene<'_>, gpu: GpuIndex) -> Option<&'static str> {
    let causes = [("throttle.power-brake", "GPU-POWER-BRAKE"), ("power.limit.fall", "GPU-POWER-CAP")];
    causes.into_iter().find(|(name, _)| scene.missed(gpu, name)).map(|(_, code)| code)
}

/// A margin that was used up in single readings, by a die that was never slowed down and at all other times was as cool as it
/// must be: torn or noisy readings.
fn read_stray_margin(scene: &Scene<'_>, board: &mut Board) {
    for (place, fact) in scene.facts.iter().enumerate() {
        let Some(gpu) = fact.gpu().filter(|_| fact.failed() && fact.name() == "margin.min") else { continue };
        let beside = |name: &str| {
            let one = |other: &&Fact<'_>| other.path == fact.path && other.name() == name && other.gpu() == Some(gpu);
            scene.facts.iter().find(one).and_then(Fact::number)
        };
        let leap = beside("temp.max").zip(beside("temp.p95")).map(|(most, usual)| most - usual);
        let slowed = beside("throttle.thermal") != Some(0.0);
        let tripped = scene.record.trips.iter().any(|(_, trip)| trip.component.gpu_index() == Some(gpu));
        if leap.is_some_and(|leap| leap >= STRAY) && !slowed && !tripped {
            board.accuse("SENSOR-IMPLAUSIBLE", Component::Gpu(gpu), fact.confidence(), [fact.evidence()]);
            board.claim(place);
        }
    }
}

/// Power that is too low for the work done with it: its siblings do no more, and need their whole limit for it.
fn read_power(scene: &Scene<'_>, board: &mut Board) {
    const HELD_BACK: [&str; 4] = ["power.limit", "power.limit.share", "power.limit.fall", "throttle.power-brake"];
    for (place, fact) in scene.facts.iter().enumerate() {
        let low = |fact: &Fact<'_>| fact.failed() && fact.name() == "power.mean" && fact.is_below();
        let Some(gpu) = fact.gpu().filter(|_| low(fact)) else { continue };
        let beside = |name: &str| -> BTreeMap<GpuIndex, f64> {
            let named = scene.facts.iter().filter(|other| other.path == fact.path && other.name() == name);
            named.filter_map(|other| Some((other.gpu()?, other.number()?))).collect()
        };
        let (power, work) = (beside("power.mean"), beside("throughput.mean"));
        let siblings_reach_it = middle_of_others(&power, gpu).zip(fact.judgement.range.low);
        let works = work.get(&gpu).copied().zip(middle_of_others(&work, gpu));
        if siblings_reach_it.is_some_and(|(usual, least)| usual >= least)
            && works.is_some_and(|(own, usual)| own >= SAME_WORK * usual)
            && !HELD_BACK.into_iter().any(|name| scene.missed(gpu, name))
        {
            let done = scene.facts.iter().filter(|other| {
                other.path == fact.path && other.name() == "throughput.mean" && other.gpu() == Some(gpu)
            });
            let evidence: Vec<Evidence> = [fact].into_iter().chain(done).map(Fact::evidence).collect();
            board.accuse("SENSOR-IMPLAUSIBLE", Component::Gpu(gpu), Confidence::Medium, evidence);
            board.claim(place);
        }
    }
}

/// Dies that are colder than the inlet: one of them reads low, or, where most are, the inlet reads high.
fn read_inlet(scene: &Scene<'_>, board: &mut Board) {
    let at_rest = |fact: &Fact<'_>| fact.name() == "temp.over-inlet" && fact.is_below();
    let by_rule = |fact: &Fact<'_>| {
        let rules = scene.text_beside(fact.path, fact.component(), "implausible.rules").unwrap_or_default();
        fact.name() == "implausible" && read_list(rules) == ["temp.below-inlet"]
    };
    let below = |fact: &Fact<'_>| fact.failed() && (at_rest(fact) || by_rule(fact));
    let cold = scene.facts.iter().enumerate().filter(|(_, fact)| below(fact));
    let cold: Vec<(usize, GpuIndex)> = cold.filter_map(|(place, fact)| Some((place, fact.gpu()?))).collect();
    let gpus: BTreeSet<GpuIndex> = cold.iter().map(|(_, gpu)| *gpu).collect();
    // A front row rests so near to its air that a wrong inlet shows on it first, and on the other row not at all.
    let most = gpus.len() >= OF_ONE_BRANCH || gpus.len() >= 2 && gpus.len() * 2 > scene.gpus().len();
    for (place, gpu) in cold {
        let fact = &scene.facts[place];
        if most {
            let suspicion = board.accuse("SENSOR-IMPLAUSIBLE", Component::Node, fact.confidence(), [fact.evidence()]);
            suspicion.action = Some(Action::CheckCooling);
            suspicion.remark = Some(both(
                "The inlet temperature that the node shows is above that of idle dies: it is the inlet sensor that is off."
                    .to_owned(),
                "ノードが示す入口温度がアイドル時のダイ温度より高い。誤っているのは入口センサーである。".to_owned(),
            ));
            board.claim(place);
        } else if at_rest(fact) {
            board.accuse("SENSOR-IMPLAUSIBLE", Component::Gpu(gpu), fact.confidence(), [fact.evidence()]);
            board.claim(place);
        }
    }
}

/// A die that hardly cools once the load is gone was not read at all: the least that a loaded part loses is several kelvins.
fn read_cooling(scene: &Scene<'_>, board: &mut Board) {
    const HARDLY: f64 = 3.0;
    for (place, fact) in scene.facts.iter().enumerate() {
        if fact.failed()
            && fact.check == "gpu.cooldown"
            && fact.name() == "temp.fall"
            && let Some(gpu) = fact.gpu()
        {
            let stuck = fact.number().is_some_and(|fall| fall < HARDLY);
            // A part that falls by little had not got warm for want of power.
            let (code, confidence) =
                if stuck { ("SENSOR-STUCK", Confidence::Medium) } else { ("GPU-SLOW", Confidence::Low) };
            board.accuse(code, Component::Gpu(gpu), confidence, [fact.evidence()]);
            board.claim(place);
        }
    }
}

/// Memory that is hot, or a memory and a die that are too far from one another.
pub(super) fn read_memory(scene: &Scene<'_>, map: &HeatMap, board: &mut Board) {
    for (place, fact) in scene.facts.iter().enumerate().filter(|(_, fact)| fact.failed()) {
        let Some(gpu) = fact.gpu() else { continue };
        let (die, memory) = (Component::Gpu(gpu), Component::Memory(gpu));
        let compared = ["memory-over-die", "die-over-memory"].contains(&fact.name());
        if compared && (by_power(scene, board, fact, gpu) || by_siblings(scene, map, board, fact, gpu)) {
            board.claim(place);
            continue;
        }
        let (code, component, confidence) = match fact.name() {
            "memory-over-die" if shows_low_die(scene, map, gpu) || is_zero_of_memory(scene, fact, gpu) => {
                ("SENSOR-IMPLAUSIBLE", die, Confidence::Medium)
            }
            "memory-over-die" if !is_warm_memory(scene, map, fact, gpu) => cooler_die(scene, gpu),
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
        if has_bad_contact(scene, map, gpu) {
            return false;
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
    if !falls_less(scene, map, gpu) && !half_falls_less(scene) {
        return false;
    }
    let hot: Vec<GpuIndex> = others().filter(|other| falls_farther(scene, *other)).collect();
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

/// Whether memory seems hot only because the die beside it reads low: by its zero, for its power, or as its twin has it, which
/// seems hot beside it and has no bad contact.
fn shows_low_die(scene: &Scene<'_>, map: &HeatMap, gpu: GpuIndex) -> bool {
    let by_twin = map.twin(gpu).is_some_and(|twin| {
        scene.missed(twin, "resistance.mirrored")
            && !["fall.fast", "thermal.resistance"].into_iter().any(|name| scene.missed(twin, name))
    });
    map.reads_low(gpu) || scene.missed(gpu, "temp.offset.apart") || by_twin
}

/// Whether memory that is far over its die is itself warmer than that of its siblings, or of its twin: places differ by less
/// than half of what is too much. Else it is the die that is the cooler one.
fn is_warm_memory(scene: &Scene<'_>, map: &HeatMap, fact: &Fact<'_>, gpu: GpuIndex) -> bool {
    let beside = |names: &[&str]| -> BTreeMap<GpuIndex, f64> {
        let named = scene.facts.iter().filter(|other| other.path == fact.path && names.contains(&other.name()));
        named.filter_map(|other| Some((other.gpu()?, other.number()?))).collect()
    };
    let memory = beside(&["temp.memory.p95", "temp.memory.max"]);
    let Some(excess) = over_others(&beside(&["memory-over-die"]), gpu) else { return true };
    let over_twin = map.twin(gpu).and_then(|twin| Some(memory.get(&gpu)? - memory.get(&twin)?));
    let warmer = over_others(&memory, gpu).into_iter().chain(over_twin).reduce(f64::max);
    warmer.is_none_or(|warmer| warmer >= excess / 2.0)
}

/// Whether memory that is far under its die is itself cooler than that of its siblings, by most of what they differ.
fn memory_is_cooler(scene: &Scene<'_>, fact: &Fact<'_>, gpu: GpuIndex) -> bool {
    let beside = |names: &[&str]| -> BTreeMap<GpuIndex, f64> {
        let named = scene.facts.iter().filter(|other| other.path == fact.path && names.contains(&other.name()));
        named.filter_map(|other| Some((other.gpu()?, other.number()?))).collect()
    };
    let mut memory = beside(&["temp.memory.p95", "temp.memory.max"]);
    if memory.is_empty() {
        // The step shows only the difference.
        memory = scene.first_numbers("gpu.memory", "temp.memory.max");
    }
    let excess = over_others(&beside(&["die-over-memory"]), gpu);
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
fn falls_farther(scene: &Scene<'_>, gpu: GpuIndex) -> bool {
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
