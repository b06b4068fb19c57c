//! How warm every GPU is for its power: from measured resistances, or from what all showed when a guard tripped.
//!
//! Which fault that means is for `rule_heat`.

#![expect(
    clippy::cast_possible_truncation,
    reason = "values are bounded where they are made, within the narrower type"
)]

use std::collections::{BTreeMap, BTreeSet};

use super::scene::{Fact, Scene};
use kiln_event::Vitals;
use kiln_model::{Component, GpuIndex, Sensor, median};

/// A half of the board against the other, on boards of more than four GPUs and of four.
pub(super) const OF_HALF: [&str; 2] = ["resistance.half", "resistance.half.of-four"];
/// How far over the reference a resistance counts as raised. Siblings of one board spread by some 3 % (one sigma) in the
/// same place, and each of the two compared may be off.
const RAISED: f64 = 1.12;
/// How far over the other half at least every GPU of a half must be for the half and not single GPUs to be at fault.
const SHARED: f64 = 1.05;
/// Under this share of the others a resistance shows a wrong temperature and not good cooling.
const ODDLY_LOW: f64 = 0.8;
/// GPUs that one cause warms together differ by no more than their parts do: 4 % each way, and the twins' as much.
const ALIKE: f64 = 1.1;
/// How far the warmest place of a healthy board is over the cooler half, by what warms the air before it.
const PLACES: f64 = 1.12;
/// How far the warmest and the coolest of a board lie apart, and how far most of its pairs, from which on a part that is warm beside them
/// is not named: good boards of the models are 1.23 and 1.05 apart at most. Boards that are farther apart by design name nobody.
const FARTHEST: f64 = 1.25;
const PAIRS_APART: f64 = 1.08;
/// K by which a die must be under most others to be cool: more than places and parts differ at the same power.
const COOLER: f64 = 4.0;
/// W below which a temperature says nothing of a resistance.
const LEAST_WATTS: f64 = 100.0;
/// Stands in for an inlet that cannot be read. Only ratios between GPUs are used, and 10 K either way hardly move them.
const USUAL_INLET: f64 = 25.0;
/// Of fewer resistances none is the odd one.
const LEAST_COMPARED: usize = 3;
/// Kelvin by which a GPU's own slowdown threshold must be under its siblings' to be the odd one: thresholds of one model
/// are the same to the degree.
const ODD_THRESHOLD: f64 = 8.0;
/// Inlet that is too hot for any air-cooled server in continuous operation (ASHRAE thermal guidelines, class A2: 35 °C).
/// Parts meant for more say so by a limit of their own.
const HOT_INLET: f64 = 35.0;

/// Over what the warmth of dies is reckoned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Inlet {
    AsRead,
    /// The inlet sensor was found wrong.
    Usual,
}

/// What is known of the heat of all GPUs at one time.
#[derive(Debug, Default)]
pub(super) struct HeatMap {
    /// K/W over the inlet when the guard tripped.
    tripped: BTreeMap<GpuIndex, f64>,
    /// K/W as the last step measured it.
    measured: BTreeMap<GpuIndex, f64>,
    /// K/W in the first burn that missed a limit of heat: it may be over when a soak comes.
    burnt: BTreeMap<GpuIndex, f64>,
    die: BTreeMap<GpuIndex, f64>,
    /// Die temperature at which each slows down.
    threshold: BTreeMap<GpuIndex, f64>,
    inlet: Option<f64>,
    count: u8,
    /// Twins that nothing is held against.
    wrong: BTreeSet<GpuIndex>,
}

impl HeatMap {
    /// What the steps measured and what the last trip for heat showed.
    pub(super) fn of(scene: &Scene<'_>) -> Self {
        Self::reckoned(scene, Inlet::AsRead)
    }

    /// The same, over the usual inlet if that of the node is read wrong: hardly over a wrong one, dies differ by their noise.
    pub(super) fn reckoned(scene: &Scene<'_>, over: Inlet) -> Self {
        let hot = |sensor| matches!(sensor, Some(Sensor::TempGpu | Sensor::TempMargin));
        let trip = scene.record.trips.iter().rev().map(|(_, trip)| trip).find(|trip| hot(scene.sensor_of(trip)));
        let mut map = trip.map(|trip| Self::of_vitals(&trip.around, over)).unwrap_or_default();
        let by_gpu = |name: &str| -> BTreeMap<GpuIndex, f64> {
            let numbers = scene.numbers(name);
            numbers.into_iter().filter_map(|(component, value)| Some((component.gpu_index()?, value))).collect()
        };
        match over {
            Inlet::AsRead => {
                map.measured = by_gpu("thermal.resistance");
                map.burnt = in_a_hot_burn(scene);
            }
            Inlet::Usual => {
                map.measured = over_usual_inlet(scene, "thermal.soak");
                map.burnt = over_usual_inlet(scene, "gpu.burn");
            }
        }
        if map.die.is_empty() {
            map.die = by_gpu("temp.mean");
        }
        if map.threshold.is_empty() {
            let (die, margin) = (by_gpu("temp.max"), by_gpu("margin.min"));
            map.threshold = die.iter().filter_map(|(gpu, die)| Some((*gpu, die + margin.get(gpu)?))).collect();
        }
        if map.inlet.is_none() {
            map.inlet = scene.numbers("temp.inlet.mean").into_values().reduce(f64::max);
        }
        map.count = scene.gpus().len() as u8;
        for (gpu, design) in by_design(scene) {
            for resistances in [&mut map.tripped, &mut map.measured, &mut map.burnt] {
                resistances.entry(gpu).and_modify(|own| *own /= design);
            }
        }
        map
    }

    fn of_vitals(around: &[Vitals], over: Inlet) -> Self {
        let mut map = Self::default();
        for one in around {
            if let (Some(die), Some(power)) = (one.die, one.power)
                && power >= LEAST_WATTS
            {
                let inlet = one.inlet.filter(|_| over == Inlet::AsRead).unwrap_or(USUAL_INLET);
                map.tripped.insert(one.gpu, (die - inlet) / power);
            }
            map.die.extend(one.die.map(|die| (one.gpu, die)));
            if let (Some(die), Some(margin)) = (one.die, one.margin) {
                map.threshold.insert(one.gpu, die + margin);
            }
            map.inlet = match (map.inlet, one.inlet) {
                (Some(one), Some(two)) => Some(f64::max(one, two)),
                (one, two) => one.or(two),
            };
        }
        map
    }

    /// Holds no GPU against a twin whose sensors are wrong.
    pub(super) fn without(mut self, wrong: &BTreeSet<GpuIndex>) -> Self {
        self.wrong.clone_from(wrong);
        self
    }

    /// Whether the GPU's resistance can be compared: it was measured, and so were those of enough others.
    pub(super) fn knows(&self, gpu: GpuIndex) -> bool {
        self.all().into_iter().any(|map| map.contains_key(&gpu) && map.len() >= LEAST_COMPARED)
    }

    /// The resistances of all times.
    const fn all(&self) -> [&BTreeMap<GpuIndex, f64>; 3] {
        [&self.tripped, &self.measured, &self.burnt]
    }

    /// Whether the GPU is cooler than most: then it is not its cooling that is bad, whatever its resistance at little power
    /// seems to be.
    pub(super) fn is_cool(&self, gpu: GpuIndex) -> bool {
        over_others(&self.die, gpu).is_some_and(|over| over < -COOLER)
    }

    /// Die temperatures, of the last trip for heat or as steps measured them.
    pub(super) const fn dies(&self) -> &BTreeMap<GpuIndex, f64> {
        &self.die
    }

    pub(super) fn inlet_is_hot(&self) -> bool {
        self.inlet.is_some_and(|inlet| inlet >= HOT_INLET)
    }

    pub(super) const fn inlet(&self) -> Option<f64> {
        self.inlet
    }

    /// The GPU in the same place of the other half of the board, warmed alike by what comes before it.
    pub(super) fn twin(&self, gpu: GpuIndex) -> Option<GpuIndex> {
        let half = self.count / 2;
        (self.count >= 4 && self.count.is_multiple_of(2)).then(|| GpuIndex((gpu.0 + half) % self.count))
    }

    pub(super) fn is_raised(&self, gpu: GpuIndex) -> bool {
        self.all().into_iter().any(|map| self.over(map, gpu).is_some_and(|over| over > RAISED))
    }

    /// Whether the GPU got warmer for its power between the last measurement and the trip, by far more than its twin.
    pub(super) fn has_risen(&self, gpu: GpuIndex) -> bool {
        let grown = |gpu: GpuIndex| Some(self.tripped.get(&gpu)? / self.measured.get(&gpu)?);
        let twin = self.twin(gpu).and_then(grown).unwrap_or(1.0);
        grown(gpu).is_some_and(|grown| grown > RAISED * twin)
    }

    /// Whether the temperature that a GPU shows is too low for its power to be true.
    pub(super) fn reads_low(&self, gpu: GpuIndex) -> bool {
        let low = |map: &BTreeMap<GpuIndex, f64>| {
            map.get(&gpu).zip(cooler_half(map)).is_some_and(|(own, usual)| *own < ODDLY_LOW * usual)
        };
        low(&self.tripped) || low(&self.measured)
    }

    /// The half of the board on which every GPU is warmer for its power than its twin: at least half of them much, or all of
    /// them by about the same.
    pub(super) fn hot_half(&self) -> Option<(Component, BTreeSet<GpuIndex>)> {
        let half = self.count / 2;
        if self.count < 4 || !self.count.is_multiple_of(2) {
            return None;
        }
        let mut halves = (0..2).flat_map(|number| self.all().map(|map| (number, map)));
        halves.find_map(|(number, map)| {
            let gpus: BTreeSet<GpuIndex> = (number * half..(number + 1) * half).map(GpuIndex).collect();
            let ratios: Option<Vec<f64>> = gpus.iter().map(|gpu| self.over(map, *gpu)).collect();
            let ratios = ratios?;
            let raised = ratios.iter().filter(|ratio| **ratio > RAISED).count();
            let (least, most) =
                ratios.iter().fold((f64::INFINITY, 0.0_f64), |(low, high), ratio| (low.min(*ratio), high.max(*ratio)));
            // One of two is a part, and makes the half seem warm.
            let most_are = raised > 1 && raised * 2 >= ratios.len();
            let shared = least > SHARED && (most_are || most < ALIKE * least);
            shared.then_some((Component::CoolingBranch(number), gpus))
        })
    }

    /// The warmer ones of the GPUs that are left without these, if they lie farther apart than the places of a board: all of them, or
    /// most pairs whichever half is the warmer in each.
    pub(super) fn group_beside(&self, aside: &BTreeSet<GpuIndex>) -> Option<Vec<GpuIndex>> {
        self.all().into_iter().find_map(|map| {
            let left: BTreeMap<GpuIndex, f64> = map
                .iter()
                .filter(|(gpu, own)| !aside.contains(gpu) && **own > 0.0)
                .map(|(gpu, own)| (*gpu, *own))
                .collect();
            let of = |pick: fn(f64, f64) -> f64| left.values().copied().reduce(pick);
            let (least, most) = of(f64::min).zip(of(f64::max)).filter(|_| left.len() >= LEAST_COMPARED)?;
            let first = |gpu: &GpuIndex| self.twin(*gpu).filter(|twin| gpu < twin);
            let pairs = left.iter().filter_map(|(gpu, own)| Some(own / left.get(&first(gpu)?)?));
            let (apart, alike): (Vec<f64>, Vec<f64>) = pairs.partition(|ratio| ratio.max(1.0 / ratio) > PAIRS_APART);
            // Of four GPUs one pair is left, which is most of them.
            let enough = apart.len() > 1 || self.count == 4;
            let group = most > FARTHEST * least || (enough && apart.len() > alike.len());
            group.then(|| left.iter().filter(|(_, own)| **own * **own > least * most).map(|(gpu, _)| *gpu).collect())
        })
    }

    /// The half of the board on which GPUs are like this, most of them or at least half (`ties`), where none is on the other.
    pub(super) fn most_of_a_half(
        &self,
        ties: bool,
        is_so: impl Fn(GpuIndex) -> bool,
    ) -> Option<(Component, BTreeSet<GpuIndex>)> {
        let half = self.count / 2;
        if self.count < 4 || !self.count.is_multiple_of(2) {
            return None;
        }
        let such = |number: u8| (number * half..(number + 1) * half).filter(|gpu| is_so(GpuIndex(*gpu))).count();
        let least = if ties { usize::from(half).div_ceil(2).max(2) } else { usize::from(half) / 2 + 1 };
        let most = (0..2).find(|number| such(*number) >= least && such(1 - number) == 0)?;
        Some((Component::CoolingBranch(most), (most * half..(most + 1) * half).map(GpuIndex).collect()))
    }

    /// Whether the GPUs of a half are cooler for their power than their twins, by the middle of them.
    pub(super) fn is_cooler_half(&self, half: &BTreeSet<GpuIndex>) -> bool {
        let ratios: Vec<f64> = half.iter().filter_map(|gpu| self.over(&self.measured, *gpu)).collect();
        median(&ratios).is_some_and(|ratio| ratio < 1.0)
    }

    /// The half of the board that has all of these, with its GPUs.
    pub(super) fn half_with(&self, gpus: &BTreeSet<GpuIndex>) -> Option<(Component, BTreeSet<GpuIndex>)> {
        let half = self.count / 2;
        let first = gpus.first()?.0.checked_div(half)?;
        let all = self.half_of(*gpus.first()?);
        let halves = self.count >= 4 && self.count.is_multiple_of(2);
        (halves && gpus.is_subset(&all)).then_some((Component::CoolingBranch(first), all))
    }

    /// The GPUs of the half of the board that this one is on.
    pub(super) fn half_of(&self, gpu: GpuIndex) -> BTreeSet<GpuIndex> {
        let half = (self.count / 2).max(1);
        let first = gpu.0 / half * half;
        (first..(first + half).min(self.count)).map(GpuIndex).collect()
    }

    /// The branch that cools exactly these GPUs: one whole half of the board.
    pub(super) fn branch_of(&self, gpus: &BTreeSet<GpuIndex>) -> Option<Component> {
        let half = self.count / 2;
        let alone = half < 2 || !self.count.is_multiple_of(2);
        let is = |number: &u8| (number * half..(number + 1) * half).map(GpuIndex).eq(gpus.iter().copied());
        (0..2).find(is).filter(|_| !alone).map(Component::CoolingBranch)
    }

    /// The half of the board on which every GPU shows a greater offset than its twin, by more than sensors differ.
    pub(super) fn warm_half(&self, offsets: &BTreeMap<GpuIndex, f64>) -> Option<(Component, BTreeSet<GpuIndex>)> {
        let warmer = |gpu: GpuIndex| {
            let twin = self.twin(gpu).and_then(|twin| offsets.get(&twin));
            offsets.get(&gpu).zip(twin).is_some_and(|(own, twin)| *own > twin + COOLER)
        };
        let half = self.count / 2;
        (0..2).find_map(|number| {
            let gpus: BTreeSet<GpuIndex> = (number * half..(number + 1) * half).map(GpuIndex).collect();
            let all = !gpus.is_empty() && gpus.iter().all(|gpu| warmer(*gpu));
            all.then_some((Component::CoolingBranch(number), gpus))
        })
    }

    /// Against its twin; against the cooler half of all where there is none that can be believed.
    fn over(&self, map: &BTreeMap<GpuIndex, f64>, gpu: GpuIndex) -> Option<f64> {
        let own = map.get(&gpu)?;
        let cool = cooler_half(map);
        match self.twin(gpu).filter(|twin| !self.wrong.contains(twin)).and_then(|twin| map.get(&twin)) {
            Some(twin) if *twin > 0.0 && cool.is_none_or(|cool| *twin > ODDLY_LOW * cool) => Some(own / twin),
            _ => Some(own / (cool? * PLACES)),
        }
    }

    /// Whether the GPU slows down far earlier than its siblings.
    pub(super) fn has_odd_threshold(&self, gpu: GpuIndex) -> bool {
        over_others(&self.threshold, gpu).is_some_and(|over| over < -ODD_THRESHOLD)
    }
}

/// How much warmer than the coolest each place is by the design of the chassis, as a factor, where the run's lot knows all of them.
fn by_design(scene: &Scene<'_>) -> BTreeMap<GpuIndex, f64> {
    let resistances = scene.facts.iter().filter(|fact| fact.name() == "thermal.resistance");
    let of_lot = resistances.filter_map(|fact| Some((fact.gpu()?, fact.judgement.lot?.middle())));
    let middles: BTreeMap<GpuIndex, f64> = of_lot.filter(|(_, middle)| *middle > 0.0).collect();
    let coolest = middles.values().copied().reduce(f64::min).filter(|_| middles.len() == scene.gpus().len());
    let Some(coolest) = coolest else { return BTreeMap::new() };
    middles.into_iter().map(|(gpu, middle)| (gpu, middle / coolest)).collect()
}

/// K/W over the usual inlet in the first step of a check.
fn over_usual_inlet(scene: &Scene<'_>, check: &str) -> BTreeMap<GpuIndex, f64> {
    let die = scene.first_numbers(check, "temp.mean");
    let loaded = scene.first_numbers(check, "power.mean").into_iter().filter(|(_, watts)| *watts >= LEAST_WATTS);
    loaded.filter_map(|(gpu, watts)| Some((gpu, (die.get(&gpu)? - USUAL_INLET) / watts))).collect()
}

/// The resistances of the first burn in which a GPU was too hot for its power.
fn in_a_hot_burn(scene: &Scene<'_>) -> BTreeMap<GpuIndex, f64> {
    let hot = |fact: &Fact<'_>| {
        let of_heat =
            ["thermal.resistance", "resistance.mirrored"].contains(&fact.name()) || OF_HALF.contains(&fact.name());
        fact.check == "gpu.burn" && fact.failed() && of_heat
    };
    let Some(place) = scene.facts.iter().position(hot) else { return BTreeMap::new() };
    let path = scene.facts[place].path;
    // A later round of the step comes after other steps.
    let first = scene.facts[..place].iter().rposition(|fact| fact.path != path).map_or(0, |before| before + 1);
    let of_it = scene.facts[first..].iter().take_while(|fact| fact.path == path);
    let named = of_it.filter(|fact| fact.name() == "thermal.resistance");
    named.filter_map(|fact| Some((fact.gpu()?, fact.number()?))).collect()
}

/// How far a GPU's value is over the middle one of the others.
pub(super) fn over_others(values: &BTreeMap<GpuIndex, f64>, gpu: GpuIndex) -> Option<f64> {
    Some(values.get(&gpu)? - middle_of_others(values, gpu)?)
}

pub(super) fn middle_of_others(values: &BTreeMap<GpuIndex, f64>, gpu: GpuIndex) -> Option<f64> {
    let mut others: Vec<f64> = values.iter().filter(|(other, _)| **other != gpu).map(|(_, value)| *value).collect();
    others.sort_by(f64::total_cmp);
    others.get(others.len() / 2).copied()
}

/// The median of the lower half: right even when half of the node is hot.
pub(super) fn cooler_half(map: &BTreeMap<GpuIndex, f64>) -> Option<f64> {
    let mut values: Vec<f64> = map.values().copied().filter(|value| *value > 0.0).collect();
    values.sort_by(f64::total_cmp);
    (values.len() >= LEAST_COMPARED).then(|| values[(values.len().div_ceil(2) - 1) / 2])
}
