//! Whose sensor is wrong, a GPU's or that of the node's inlet; and what memory far from its die's temperature tells.
//!
//! A wrong zero shows at rest as much as under load, while heat grows with power. Two temperatures that disagree do not say
//! which of them is off: a fall after the load tells bad contact of the die, a twin or an odd zero tells its sensor.

use std::collections::{BTreeMap, BTreeSet};

use super::board::Board;
use super::doubtful_zero::{accuse_all, doubtful};
use super::heat_map::{HeatMap, OF_HALF, middle_of_others, over_others};
use super::rest_gap::accuse_the_odd_at_rest;
use super::rule_heat::{OF_ONE_BRANCH, comes_to_all, is_of_a_branch};
use super::scene::{Fact, Scene, both};
use kiln_event::{Action, Confidence, Evidence};
use kiln_limit::read_list;
use kiln_model::{Component, GpuIndex, median};

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
    "power.disagreement.worst",
    "power.noise",
    "temp.offset",
    "temp.offset.apart",
    "fall.early",
];
/// Codes of a GPU whose sensors are not to be believed.
pub(super) const WRONG_SENSOR: [&str; 2] = ["SENSOR-STUCK", "SENSOR-IMPLAUSIBLE"];

/// What is wrong with a sensor of a part, if anything is.
pub(super) fn wrong_sensor(board: &Board, component: Component) -> Option<&'static str> {
    WRONG_SENSOR.into_iter().find(|code| board.has(code, component))
}

/// How far over the better half a die falls whose contact makes it eight kelvins hotter at some 700 W: that is half a contact
/// more, of which a quarter of a fall is left. Good parts stay within 11 %.
pub(super) const FARTHER: f64 = 1.12;
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
    let (shared, map, doubtful) = (is_of_a_branch(scene), HeatMap::of(scene), doubtful(scene));
    for (place, fact) in scene.facts.iter().enumerate().filter(|(_, fact)| fact.failed()) {
        let (stuck, odd) = (SENSOR_STUCK.contains(&fact.name()), SENSOR.contains(&fact.name()));
        if let Some(gpu) =
            fact.gpu().filter(|gpu| fact.name() == "temp.offset.apart" && is_cooled_better(scene, &map, *gpu))
            && !board.has("SENSOR-IMPLAUSIBLE", Component::Gpu(gpu))
        {
            accuse_others(board, gpu, fact);
            board.claim(place);
            continue;
        }
        if fact.name() == "temp.offset.apart" && fact.gpu().is_some() && fact.gpu() == doubtful {
            accuse_all(scene, board, [fact.evidence()]);
            board.claim(place);
            continue;
        }
        if let Some(gpu) = fact
            .gpu()
            .filter(|gpu| fact.name() == "temp.offset.apart" && stands_alone(scene, *gpu) && !is_of_heat(scene, *gpu))
            && (accuse_the_odd_at_rest(scene, board, gpu, fact) || accuse_what_all_share(scene, board, gpu, fact))
        {
            board.claim(place);
            continue;
        }
        let of_zero = |gpu: GpuIndex| fact.name().starts_with("temp.offset") && !shared && !is_of_heat(scene, gpu);
        // A plate through which nothing flows any more is slow to cool, and its die with it.
        let is_stalled = |gpu: GpuIndex| {
            let all = |name: &str| map.half_of(gpu).iter().all(|other| scene.missed(*other, name));
            ["resistance.rise", OF_HALF[0], OF_HALF[1]].into_iter().any(all)
                || (all("temp.spells") && is_as_late_as_its_half(scene, &map, gpu))
        };
        let late = |gpu: GpuIndex| {
            fact.name() == "fall.early" && !is_of_heat(scene, gpu) && !comes_to_all(scene) && !is_stalled(gpu)
        };
        let of_meters = fact.name().starts_with("power.disagreement");
        let own = |gpu: &GpuIndex| fact.check == "sensor.plausibility" || of_meters || of_zero(*gpu) || late(*gpu);
        let Some(gpu) = fact.gpu().filter(own).filter(|_| (stuck || odd) && !board.is_claimed(place)) else { continue };
        let rules = scene.text_beside(fact.path, fact.component(), "implausible.rules").unwrap_or_default();
        let of_noise = fact.name() == "power.noise" || read_list(rules) == ["power.noise"];
        let jumps = driven(scene, gpu).filter(|_| of_noise);
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

/// Whether a die falls hardly later than the others of its half, as all do whose coolant came in a spell. A sensor that lags is far later.
fn is_as_late_as_its_half(scene: &Scene<'_>, map: &HeatMap, gpu: GpuIndex) -> bool {
    /// As `fall.early` of the profiles has it among all siblings.
    const AS_EARLY: f64 = 0.6;
    let falls = scene.first_numbers("gpu.cooldown", "fall.early");
    let mates: Vec<f64> =
        map.half_of(gpu).into_iter().filter(|mate| *mate != gpu).filter_map(|mate| falls.get(&mate).copied()).collect();
    falls.get(&gpu).zip(median(&mates)).is_some_and(|(own, mates)| *own >= AS_EARLY * mates)
}

/// Whether a GPU stands apart by what grows with power: fans that slow down at rest leave more of a bad heat sink then than a
/// straight line through rest and load allows for, and this is no zero of a sensor. A zero leaves the slope from rest to load
/// alone, which is a part of `resistance.mirrored`.
pub(super) fn is_of_heat(scene: &Scene<'_>, gpu: GpuIndex) -> bool {
    let steeper =
        scene.numbers("resistance.mirrored").get(&Component::Gpu(gpu)).is_some_and(|percent| *percent > STEEPER);
    steeper
        || by_slope(scene, gpu, "resistance.mirrored")
        || OF_HALF.into_iter().any(|name| by_slope(scene, gpu, name))
        || scene.missed(gpu, "fall.fast")
}

/// Whether a GPU missed a limit of resistances where it was measured by the slope from rest to load as well, which a wrong zero leaves
/// alone: in a soak. A burn knows temperatures alone, and is asked where no soak has measured it.
pub(super) fn by_slope(scene: &Scene<'_>, gpu: GpuIndex, name: &str) -> bool {
    let of_soak = |fact: &&Fact<'_>| fact.check == "thermal.soak" && fact.name() == name && fact.gpu() == Some(gpu);
    let mut soaked = scene.facts.iter().filter(of_soak).filter(|fact| fact.number().is_some()).peekable();
    if soaked.peek().is_some() { soaked.any(Fact::failed) } else { scene.missed(gpu, name) }
}

/// Whether a GPU is the only one whose zero is apart from those of its siblings: it is odd, or all of them are alike.
pub(super) fn stands_alone(scene: &Scene<'_>, gpu: GpuIndex) -> bool {
    scene.gpus().into_iter().all(|other| (other == gpu) == scene.missed(other, "temp.offset.apart"))
}

/// K over its inlet at no power at which a die can be: what only gives off heat is not colder, by sensors of whole degrees at rest and
/// under load, and fans that slow down at rest leave it up to 15 K warmer in the models of nodes in air.
pub(super) const AT_NO_POWER: std::ops::RangeInclusive<f64> = -3.0..=17.0;

/// Pins a zero that is apart from those of all siblings on what these share, where it is one that can be and theirs are not: the only good
/// one of sensors of one bad batch, or of dies that get warmer air than the inlet shows. No part is named: which it is nothing says.
fn accuse_what_all_share(scene: &Scene<'_>, board: &mut Board, gpu: GpuIndex, fact: &Fact<'_>) -> bool {
    let offsets = scene.first_numbers("thermal.soak", "temp.offset");
    let can_be = |offset: &f64| AT_NO_POWER.contains(offset);
    let others = || offsets.iter().filter(|(other, _)| **other != gpu).map(|(_, offset)| offset);
    let theirs = others().count() >= OF_ONE_BRANCH && !others().any(can_be);
    if theirs && offsets.get(&gpu).is_some_and(can_be) {
        board.accuse("NODE-COOLING", Component::Node, Confidence::Low, [fact.evidence()]);
        return true;
    }
    false
}

/// Whether a GPU warms less than its twin by what grows with power, or falls less by as much: it is cooled better, and what is
/// told of it against its siblings is as well told of them against it.
fn is_cooled_better(scene: &Scene<'_>, map: &HeatMap, gpu: GpuIndex) -> bool {
    let flatter = scene.numbers("resistance.mirrored").get(&Component::Gpu(gpu)).is_some_and(|percent| {
        // The same distance on the other side of the twin.
        *percent < 100.0 * 100.0 / STEEPER
    });
    // Beside a twin with a bad contact any die is.
    let of_twin = map.twin(gpu).is_some_and(|twin| scene.missed(twin, "fall.fast"));
    (flatter && !of_twin) || falls_less(scene, map, gpu)
}

/// Share of the difference between two resistances that is between the falls of dies in 15 s as well, where a contact makes both. A worse
/// contact also makes a die slower, so that it is a quarter to two fifths in the models; readings of whole degrees blur it. A sensor
/// with a wrong zero shows nothing of it in the fall, and one that reads low only while it is hot, or no higher than so much, all of it.
const OF_CONTACT: std::ops::RangeInclusive<f64> = 0.15..=0.6;

/// Whether a die falls less after a load than most of its siblings, as one does that is cooler for its power by a better contact.
pub(super) fn falls_less(scene: &Scene<'_>, map: &HeatMap, gpu: GpuIndex) -> bool {
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

/// Pins what one GPU shows against its siblings on what cools them all, and on its sensor: which it is nothing here says.
pub(super) fn accuse_others(board: &mut Board, gpu: GpuIndex, fact: &Fact<'_>) {
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
    /// K between dies at rest within which none stands apart; rows of a board rest farther from one another.
    const LIKE_REST: f64 = 2.0;
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
    // Only one is past the limit, and another hardly less: two sensors are not off by the same.
    let rests = scene.first_numbers("gpu.idle", "temp.over-inlet");
    let is_beside_another = |gpu: &GpuIndex| {
        let own = rests.get(gpu).copied().unwrap_or(f64::NEG_INFINITY);
        rests.iter().any(|(other, rest)| other != gpu && *rest <= own + LIKE_REST)
    };
    let is_of_rest = cold.iter().all(|(place, _)| at_rest(&scene.facts[*place]));
    let most = most || (is_of_rest && gpus.iter().all(is_beside_another));
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
