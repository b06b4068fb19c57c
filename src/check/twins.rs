//! Comparing GPUs that sit in the same place of the two halves of a board.
//!
//! Boards have two rows of modules side by side in the air or on two loops: a GPU and the one half the count further sit in
//! the same place of theirs, and the air or coolant that reaches them is warmed alike on the way. Not all boards are so, and
//! no inventory says which are; whether this one is, its own pairs tell: where they agree, the one that does not stands out.

use std::collections::BTreeMap;

use super::declare::may;
use super::gauge::LoadGauge;
use super::sheet::{Gauged, Sheet};
use kiln_model::{Component, ComponentKind, GpuIndex, Unit};
use kiln_profile::MeasurementSpec;

/// What checks that load all GPUs say of their places.
pub(super) const MIRRORED: MeasurementSpec = may(
    "resistance.mirrored",
    Unit::Percent,
    ComponentKind::Gpu,
    "thermal resistance against that of the GPU in the same place of the other half",
);
pub(super) const HALF: MeasurementSpec = may(
    "resistance.half",
    Unit::Percent,
    ComponentKind::Gpu,
    "thermal resistance of the GPU's half of the board against that of the other half",
);
pub(super) const HALF_OF_FOUR: MeasurementSpec = may(
    "resistance.half.of-four",
    Unit::Percent,
    ComponentKind::Gpu,
    "resistance.half on a board of four GPUs, both pairs of which lean alike by design as often as not",
);
pub(super) const OF_PAIRS: MeasurementSpec = may(
    "resistance.of-pairs",
    Unit::Percent,
    ComponentKind::Gpu,
    "resistance.mirrored beside that of the other pairs, where these agree that one half is the warmer",
);
pub(super) const APART: MeasurementSpec = may(
    "resistance.apart",
    Unit::Percent,
    ComponentKind::Node,
    "the greatest thermal resistance of GPUs with like power against the least",
);
pub(super) const PAIRS_APART: MeasurementSpec = may(
    "resistance.pairs-apart",
    Unit::Percent,
    ComponentKind::Node,
    "the greater thermal resistance of two GPUs in the same place against the lesser, as most pairs have it at least, whichever half is the warmer",
);
pub(super) const PAIRS_APART_OF_FOUR: MeasurementSpec = may(
    "resistance.pairs-apart.of-four",
    Unit::Percent,
    ComponentKind::Node,
    "resistance.pairs-apart on a board of four GPUs, both pairs of which may lie apart by design",
);

/// How warm one GPU is for its power.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Warmth {
    /// K/W, die over inlet or idle state.
    pub(super) resistance: Option<f64>,
    /// K/W, from rest to load.
    pub(super) slope: Option<f64>,
    pub(super) power: Option<f64>,
}

/// All GPUs of a board.
#[derive(Debug)]
pub(super) struct Board {
    pub(super) gpus: u8,
    pub(super) all: BTreeMap<GpuIndex, Warmth>,
}

/// Two GPUs are alike in power if the lesser has this share of the greater: what is not caused by power (fans, other heat)
/// weighs more the less there is of it.
const LIKE_POWER: f64 = 0.85;
/// A pair agrees if its resistances differ by no more than this: two good parts, 4 % each way, read in whole degrees.
const AGREE: f64 = 1.10;
/// Other pairs from which on one of them may be odd, and that must lean the same way for a half to be the warmer one: of two nothing tells
/// which is.
const ENOUGH_PAIRS: usize = 3;
/// Of fewer GPUs none is known to be a group.
const LEAST_COMPARED: usize = 3;

impl Board {
    fn twin(&self, gpu: GpuIndex) -> Option<GpuIndex> {
        let paired = self.gpus >= 4 && self.gpus.is_multiple_of(2) && gpu.0 < self.gpus;
        paired.then(|| GpuIndex((gpu.0 + self.gpus / 2) % self.gpus))
    }

    /// Own over twin's, by the lesser of the two ways to see it. A sensor with a wrong zero moves only the first, and a
    /// difference that shows in one of them alone is not made by power.
    fn ratio(&self, gpu: GpuIndex) -> Option<f64> {
        let (own, twin) = (self.all.get(&gpu)?, self.all.get(&self.twin(gpu)?)?);
        let (more, less) = (own.power?.max(twin.power?), own.power?.min(twin.power?));
        if less < LIKE_POWER * more {
            return None;
        }
        let over = |own: Option<f64>, twin: Option<f64>| Some(own? / twin.filter(|twin| *twin > 0.0)?);
        let (temperatures, slopes) = (over(own.resistance, twin.resistance), over(own.slope, twin.slope));
        Some(match (temperatures?, slopes) {
            (seen, Some(by_slope)) => nearer_to_one(seen, by_slope),
            (seen, None) => seen,
        })
    }

    /// Every pair's ratio, first half over second.
    fn pairs(&self) -> impl Iterator<Item = (GpuIndex, f64)> + '_ {
        (0..self.gpus / 2).map(GpuIndex).filter_map(|gpu| Some((gpu, self.ratio(gpu)?)))
    }

    /// Writes down how one GPU compares with its places.
    pub(super) fn put(&self, sheet: &mut Sheet<'_>, gpu: GpuIndex, gauge: &LoadGauge) {
        let (half, of_four) = self.by_pairs(self.half(gpu));
        let compared =
            [(MIRRORED, self.mirrored(gpu)), (HALF, half), (HALF_OF_FOUR, of_four), (OF_PAIRS, self.of_pairs(gpu))];
        for (spec, value) in compared {
            sheet.put(spec.name, Component::Gpu(gpu), gauge.whole(value));
        }
    }

    /// Writes down how far all of them lie from one another. `unknown`: why that is known of none of them, where it is.
    pub(super) fn put_whole(&self, sheet: &mut Sheet<'_>, unknown: Option<&Gauged>) {
        let told = |value| unknown.cloned().unwrap_or(value);
        let (pairs, of_four) = self.by_pairs(told(self.pairs_apart()));
        for (spec, value) in [(APART, told(self.apart())), (PAIRS_APART, pairs), (PAIRS_APART_OF_FOUR, of_four)] {
            sheet.put(spec.name, Component::Node, value);
        }
    }

    /// What all pairs together say, as it stands on a board of more pairs and on one of two: of four places two are warm by design on one
    /// side as often as not, and of eight hardly ever four.
    fn by_pairs(&self, value: Gauged) -> (Gauged, Gauged) {
        if usize::from(self.gpus / 2) >= ENOUGH_PAIRS {
            (value, Gauged::Unsupported)
        } else {
            (Gauged::Unsupported, value)
        }
    }

    /// The resistances of the GPUs that have about the power of the one with most, by temperatures alone: what comes to some of them
    /// warmer than to others leaves their slopes alone.
    fn comparable(&self) -> BTreeMap<GpuIndex, f64> {
        let most = self.all.values().filter_map(|one| one.power).fold(0.0, f64::max);
        let alike = |one: &Warmth| one.power.is_some_and(|power| power >= LIKE_POWER * most);
        let known = self.all.iter().filter(|(_, one)| alike(one));
        known.filter_map(|(gpu, one)| Some((*gpu, one.resistance.filter(|resistance| *resistance > 0.0)?))).collect()
    }

    /// The warmest against the coolest in percent. It needs no places: whatever group of GPUs is warm shows in it.
    pub(super) fn apart(&self) -> Gauged {
        let known = self.comparable();
        let of = |pick: fn(f64, f64) -> f64| known.values().copied().reduce(pick);
        match of(f64::max).zip(of(f64::min)) {
            Some((most, least)) if known.len() >= LEAST_COMPARED => Gauged::once(100.0 * most / least),
            _ => Gauged::Unsupported,
        }
    }

    /// How far the pairs of a board are apart in percent, whichever half is the warmer in each: as far as more than half of them at
    /// least. On a board with places one pair is apart by its parts, and on one without hardly all of them.
    pub(super) fn pairs_apart(&self) -> Gauged {
        let known = self.comparable();
        let of_pair = |gpu: GpuIndex| {
            let (own, twin) = (known.get(&gpu)?, known.get(&self.twin(gpu)?)?);
            Some(own.max(*twin) / own.min(*twin))
        };
        let mut pairs: Vec<f64> = (0..self.gpus / 2).map(GpuIndex).filter_map(of_pair).collect();
        pairs.sort_by(f64::total_cmp);
        let enough = pairs.len() >= 2 && pairs.len() * 4 >= usize::from(self.gpus);
        match pairs.get(pairs.len().saturating_sub(1) / 2) {
            Some(apart) if enough => Gauged::once(100.0 * apart),
            _ => Gauged::Unsupported,
        }
    }

    /// The ratios of the pairs that this GPU is not one of.
    fn others(&self, gpu: GpuIndex) -> Vec<f64> {
        let own = GpuIndex(gpu.0 % (self.gpus / 2).max(1));
        self.pairs().filter(|(first, _)| *first != own).map(|(_, ratio)| ratio).collect()
    }

    /// The ratio to the twin in percent, where the other pairs bear out that twins are alike on this board. Of three one may be odd
    /// itself: two parts of one kind of defect would else hide one another.
    pub(super) fn mirrored(&self, gpu: GpuIndex) -> Gauged {
        let Some(ratio) = self.ratio(gpu) else { return Gauged::Unsupported };
        let others = self.others(gpu);
        let odd = others.iter().filter(|ratio| !(1.0 / AGREE..=AGREE).contains(*ratio)).count();
        let borne_out = !others.is_empty() && odd <= usize::from(others.len() >= ENOUGH_PAIRS);
        if borne_out { Gauged::once(100.0 * ratio) } else { Gauged::Unsupported }
    }

    /// The ratio to the twin beside that of the other pairs, where these agree that one half is warmer than the other: a GPU that is
    /// hot on the cooler half is as warm as its twin, and hides the half as the half hides it. Such a GPU is also warmer than the coolest of
    /// all by at least as much, which one that sits where its twin's place is on the other pairs is not: temperatures alone do not tell
    /// places from parts otherwise, and slopes from rest do.
    pub(super) fn of_pairs(&self, gpu: GpuIndex) -> Gauged {
        let (Some(ratio), others) = (self.ratio(gpu), self.others(gpu)) else { return Gauged::Unsupported };
        let ends = others.iter().copied().reduce(f64::min).zip(others.iter().copied().reduce(f64::max));
        let is_leaning = |(least, most): &(f64, f64)| {
            let apart = *least < 1.0 / AGREE || *most > AGREE;
            apart && *most <= AGREE * least && (*most < 1.0 || *least > 1.0)
        };
        let leans = others.len() >= ENOUGH_PAIRS && ends.as_ref().is_some_and(is_leaning);
        let Some(middle) = kiln_model::median(&others).filter(|_| leans) else { return Gauged::Unsupported };
        let beside = if gpu.0 < self.gpus / 2 { ratio / middle } else { ratio * middle };
        let by_slope = self.all.get(&gpu).is_some_and(|own| own.slope.is_some());
        let known = if by_slope { BTreeMap::new() } else { self.comparable() };
        let over_coolest =
            known.get(&gpu).zip(known.values().copied().reduce(f64::min)).map(|(own, least)| own / least);
        Gauged::once(100.0 * over_coolest.map_or(beside, |over| beside.min(over)))
    }

    /// The ratio of the GPU's half to the other in percent: the pair in the middle. Told only where all pairs lean the
    /// same way, for one of them leans by its own parts.
    pub(super) fn half(&self, gpu: GpuIndex) -> Gauged {
        let ratios: Vec<f64> = self.pairs().map(|(_, ratio)| ratio).collect();
        if ratios.len() < 2 || ratios.len() * 2 < usize::from(self.gpus) {
            return Gauged::Unsupported;
        }
        let alike = ratios.iter().all(|ratio| *ratio > 1.0) || ratios.iter().all(|ratio| *ratio < 1.0);
        let middle = kiln_model::median(&ratios).filter(|_| alike).unwrap_or(1.0);
        Gauged::once(100.0 * if gpu.0 < self.gpus / 2 { middle } else { 1.0 / middle })
    }
}

/// The less remarkable of two ratios; on different sides of 1 they say nothing together.
fn nearer_to_one(one: f64, two: f64) -> f64 {
    match (one > 1.0, two > 1.0) {
        (true, true) => one.min(two),
        (false, false) => one.max(two),
        _ => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Resistance and slope of each GPU, in mK/W.
    fn board(values: [(u32, u32); 8]) -> Board {
        let warmth = |(resistance, slope): (u32, u32)| Warmth {
            resistance: Some(f64::from(resistance) / 1000.0),
            slope: Some(f64::from(slope) / 1000.0),
            power: Some(700.0),
        };
        let all = (0..8).map(GpuIndex).zip(values.map(warmth)).collect();
        Board { gpus: 8, all }
    }

    const ROWS: [(u32, u32); 8] = [(58, 58), (58, 58), (64, 64), (64, 64), (58, 58), (58, 58), (64, 64), (64, 64)];

    fn percent(gauged: &Gauged) -> Option<f64> {
        gauged.number().map(f64::round)
    }

    #[test]
    fn a_gpu_that_is_hot_for_its_power_stands_out_from_its_twin() {
        let mut values = ROWS;
        values[3] = (80, 80);
        let board = board(values);
        assert_eq!(percent(&board.mirrored(GpuIndex(3))), Some(125.0));
        assert_eq!(percent(&board.mirrored(GpuIndex(7))), Some(80.0));
        assert_eq!(percent(&board.mirrored(GpuIndex(2))), Some(100.0), "of three others one may be odd");
        assert_eq!(percent(&board.half(GpuIndex(3))), Some(100.0));
    }

    #[test]
    fn a_gpu_whose_twin_is_gone_is_compared_with_nothing_which_is_no_trouble() {
        let mut board = board(ROWS);
        board.all.remove(&GpuIndex(2));
        assert_eq!(board.mirrored(GpuIndex(6)), Gauged::Unsupported);
        assert_eq!(percent(&board.mirrored(GpuIndex(7))), Some(100.0), "the others have theirs");
    }

    #[test]
    fn a_sensor_that_reads_low_does_not_make_its_twin_hot() {
        let mut values = ROWS;
        values[3] = (52, 64);
        assert_eq!(percent(&board(values).mirrored(GpuIndex(7))), Some(100.0));
    }

    #[test]
    fn where_places_are_no_mirrors_nothing_is_compared() {
        let hot = [3, 4, 6];
        let values = [0, 1, 2, 3, 4, 5, 6, 7].map(|gpu| if hot.contains(&gpu) { (70, 70) } else { (58, 58) });
        let board = board(values);
        for gpu in 0..8 {
            assert_eq!(board.mirrored(GpuIndex(gpu)), Gauged::Unsupported);
            assert_eq!(percent(&board.half(GpuIndex(gpu))), Some(100.0));
        }
    }

    #[test]
    fn two_gpus_that_are_hot_for_their_power_do_not_hide_one_another() {
        let mut values = ROWS;
        values[3] = (80, 80);
        values[4] = (70, 70);
        let board = board(values);
        assert_eq!(percent(&board.mirrored(GpuIndex(3))), Some(125.0));
        assert_eq!(percent(&board.mirrored(GpuIndex(4))), Some(121.0));
        assert_eq!(board.mirrored(GpuIndex(5)), Gauged::Unsupported, "two of three others are odd");
    }

    #[test]
    fn a_half_that_is_warm_is_told_as_a_half() {
        let mut values = ROWS;
        for (resistance, slope) in &mut values[4..] {
            (*resistance, *slope) = (*resistance * 13 / 10, *slope * 13 / 10);
        }
        let board = board(values);
        assert!(percent(&board.half(GpuIndex(6))).is_some_and(|percent| percent >= 129.0));
        assert!(percent(&board.half(GpuIndex(1))).is_some_and(|percent| percent <= 78.0));
        assert_eq!(board.mirrored(GpuIndex(6)), Gauged::Unsupported);
        assert_eq!(percent(&board.of_pairs(GpuIndex(6))), Some(100.0), "as warm as its half");
    }

    /// [`ROWS`] with a quarter more resistance for some, by temperatures alone.
    fn warmed(hot: &[usize]) -> Board {
        let mut values = ROWS;
        for gpu in hot {
            values[*gpu].0 = values[*gpu].0 * 5 / 4;
        }
        board(values)
    }

    #[test]
    fn a_group_that_is_no_half_stands_apart_whoever_is_in_it() {
        assert_eq!(percent(&board(ROWS).apart()), Some(110.0));
        assert_eq!(percent(&board(ROWS).pairs_apart()), Some(100.0));
        for hot in [&[0, 2, 4, 6][..], &[2, 6], &[0, 3, 5, 6], &[0, 2, 5], &[1, 2, 3, 4, 6, 7]] {
            assert!(percent(&warmed(hot).apart()).is_some_and(|percent| percent >= 124.0), "{hot:?}");
        }
        for hot in [&[0, 3, 5, 6][..], &[0, 2, 5], &[0, 1, 2, 3]] {
            assert!(percent(&warmed(hot).pairs_apart()).is_some_and(|percent| percent >= 124.0), "{hot:?}");
        }
        // Two bad parts of eight leave most pairs alike.
        assert_eq!(percent(&warmed(&[0, 5]).pairs_apart()), Some(100.0));
    }

    #[test]
    fn a_gpu_that_has_little_power_is_not_apart() {
        let mut board = board(ROWS);
        board.all.insert(GpuIndex(3), Warmth { resistance: Some(0.09), slope: None, power: Some(400.0) });
        assert_eq!(percent(&board.apart()), Some(110.0));
    }

    #[test]
    fn of_two_gpus_and_of_one_pair_nothing_is_said() {
        let mut board = board(ROWS);
        board.all.retain(|gpu, _| gpu.0 % 4 == 0);
        assert_eq!((board.apart(), board.pairs_apart()), (Gauged::Unsupported, Gauged::Unsupported));
    }

    #[test]
    fn a_gpu_that_is_as_hot_as_its_twin_of_the_warm_half_stands_out_from_its_own() {
        let mut values = ROWS;
        for gpu in [2, 4, 5, 6, 7] {
            let (resistance, slope) = &mut values[gpu];
            (*resistance, *slope) = (*resistance * 13 / 10, *slope * 13 / 10);
        }
        let board = board(values);
        assert_eq!(percent(&board.of_pairs(GpuIndex(2))), Some(129.0));
        assert_eq!(percent(&board.of_pairs(GpuIndex(6))), Some(77.0));
        assert_eq!(board.of_pairs(GpuIndex(1)), Gauged::Unsupported, "the other pairs do not agree");
    }
}
