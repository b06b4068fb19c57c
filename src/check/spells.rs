//! How much hotter a die is than what cools it, sample by sample, with the spells kept apart in which it is much hotter than
//! usual: a bubble in the coolant or a plate that lifts for a minute is no contact that degrades.

use std::collections::{BTreeMap, VecDeque};

use super::sheet::Gauged;
use super::sloping::Sloping;
use super::window::{Window, share_of};
use kiln_model::{GpuIndex, Moment, Span};

/// A die this many times its usual rise over the coolant is in a spell: 2.5 K on a cold plate, 4 K in air, more than the noise of
/// sensors of whole degrees.
const SPELL: f64 = 1.1;
/// A heat sink takes minutes to follow its air: when a door is shut and the inlet cools down, the die is for a while warmer over it
/// than usual, and nothing is wrong. The inlet counts as slowly as that.
const SINK_FOLLOWS: f64 = 120.0;
/// What is usual is found anew after so many readings; finding it takes longer than a reading.
const USUAL_EVERY: u64 = 64;

/// Readings of which the one in the middle counts: sensors that are noisy by a kelvin, as those read by way of a management
/// controller may be, would pass a tenth of a cold plate's rise now and then. A spell of seconds drops out as well.
const CALMED_BY: usize = 7;

#[derive(Debug)]
pub(super) struct Spells {
    /// The last kelvins over the reference, as they were read.
    recent: VecDeque<f64>,
    /// Kelvin over the reference.
    rise: Window,
    /// K/W.
    resistance: Window,
    /// The resistance outside of spells.
    calm: Sloping,
    /// Whether each reading was much over what was usual until then.
    hot: Window,
    usual: Option<f64>,
    /// The coolant as the heat sink knows it, and when it was last looked at.
    coolant: Option<(Moment, f64)>,
}

impl Spells {
    pub(super) fn sampled(every: Span) -> Self {
        let window = || Window::sampled(every);
        Self {
            recent: VecDeque::new(),
            rise: window(),
            resistance: window(),
            calm: Sloping::over(window()),
            hot: window(),
            usual: None,
            coolant: None,
        }
    }

    /// Takes in one reading of the die and of what cools it in °C, at `power` in W over that of the reference. Gives back the rise, and
    /// whether it is in a spell.
    pub(super) fn take(&mut self, at: Moment, (die, coolant): (f64, f64), power: f64) -> (f64, bool) {
        let known = self.coolant.map_or(coolant, |(last, known)| {
            known + (coolant - known) * (at.since(last).as_secs_f64() / SINK_FOLLOWS).min(1.0)
        });
        self.coolant = Some((at, known));
        let (read, resistance) = (die - known, (die - coolant) / power);
        let rise = self.calmed(read);
        self.rise.add(at, rise);
        self.resistance.add(at, resistance);
        if self.rise.count().is_multiple_of(USUAL_EVERY) {
            self.usual = self.rise.quantile(0.5);
        }
        // The middle of the last readings comes late: the first readings of a spell are hot by themselves.
        if self.usual.is_none_or(|usual| rise.max(read) <= SPELL * usual) {
            self.calm.add(at, resistance);
        }
        let hot = self.usual.is_some_and(|usual| rise > SPELL * usual);
        self.hot.add(at, share_of(hot));
        (rise, hot)
    }

    /// The middle of the last readings, this one among them.
    fn calmed(&mut self, rise: f64) -> f64 {
        if self.recent.len() == CALMED_BY {
            self.recent.pop_front();
        }
        self.recent.push_back(rise);
        let mut sorted = [0.0; CALMED_BY];
        let sorted = &mut sorted[..self.recent.len()];
        for (place, rise) in sorted.iter_mut().zip(&self.recent) {
            *place = *rise;
        }
        sorted.sort_unstable_by(f64::total_cmp);
        sorted[sorted.len() / 2]
    }

    /// Share of the window in spells, in percent: much over what is usual in all of it, and over what was until then. Before fans
    /// were turned up for somebody else's sake it was not a spell.
    pub(super) fn share(&self, over: Span) -> Gauged {
        let of_all = |rise: &Window| Some(1.0 - rise.share_below(SPELL * rise.quantile(0.5)?));
        self.rise.gauged(over, |rise| Some(100.0 * of_all(rise)?.min(self.hot.mean()?)))
    }

    /// Growth of the resistance over a window of this many seconds, in percent, spells left out; 0 where it fell: what cools a
    /// part better for a while is not held against the others.
    pub(super) fn growth(&self, over: Span, length: f64) -> Gauged {
        let growth = || Some((100.0 * self.calm.slope()? * length / self.calm.mean()?).max(0.0));
        self.resistance.gauged(over, |_| growth())
    }
}

/// What all dies of a node do while one of them is in a spell, and while it is not: a contact that lifts warms one of them, and what
/// comes to several at once warms them in the same moments.
#[derive(Debug, Default)]
pub(super) struct Company {
    last: BTreeMap<GpuIndex, f64>,
    /// By the die that is in a spell or not: the rises of all.
    of: BTreeMap<GpuIndex, BTreeMap<GpuIndex, [Mean; 2]>>,
}

/// A sum and how many it is of.
#[derive(Debug, Clone, Copy, Default)]
struct Mean(f64, f64);

impl Mean {
    fn value(self) -> Option<f64> {
        (self.1 > 0.0).then(|| self.0 / self.1)
    }
}

impl Company {
    /// Takes in the rise of one die, as [`Spells::take`] gives it back.
    pub(super) fn take(&mut self, gpu: GpuIndex, (rise, hot): (f64, bool)) {
        self.last.insert(gpu, rise);
        let all = self.of.entry(gpu).or_default();
        for (other, rise) in &self.last {
            let mean = &mut all.entry(*other).or_default()[usize::from(hot)];
            (mean.0, mean.1) = (mean.0 + rise, mean.1 + 1.0);
        }
    }

    /// How much of what a die was warmer in its spells the one that moved most with it was as well, in percent.
    pub(super) fn shared(&self, gpu: GpuIndex) -> Gauged {
        let warmer = |[calm, hot]: &[Mean; 2]| Some(hot.value()? - calm.value()?);
        let Some(all) = self.of.get(&gpu) else { return Gauged::Unsupported };
        let own = all.get(&gpu).and_then(warmer).filter(|own| *own > 0.0);
        let others = all.iter().filter(|(other, _)| **other != gpu).filter_map(|(_, means)| warmer(means));
        match own.zip(others.reduce(f64::max)) {
            Some((own, other)) => Gauged::once((100.0 * other / own).max(0.0)),
            None => Gauged::Unsupported,
        }
    }
}

/// How far all dies of a node have moved together since a window began: what stands in for an inlet that nothing shows.
#[derive(Debug, Default)]
pub(super) struct Around(BTreeMap<GpuIndex, Die>);

#[derive(Debug, Default)]
struct Die {
    /// Sum and count of the first readings.
    first: (f64, u32),
    last: f64,
}

/// Readings that make the temperature from which a die moves: whole degrees come to a tenth in their mean.
const FIRST: u32 = 60;
/// Dies without which there is nothing that they share.
const LEAST_DIES: usize = 3;

impl Around {
    pub(super) fn take(&mut self, gpu: GpuIndex, celsius: f64) {
        let die = self.0.entry(gpu).or_default();
        die.last = celsius;
        if die.first.1 < FIRST {
            die.first = (die.first.0 + celsius, die.first.1 + 1);
        }
    }

    /// Kelvin by which the die in the middle has moved; of two middles the one that moved less, so that a half of a board that is
    /// warm for a while warms neither itself nor the other.
    pub(super) fn moved(&self) -> f64 {
        let settled = self.0.values().filter(|die| die.first.1 == FIRST);
        let mut moves: Vec<f64> = settled.map(|die| die.last - die.first.0 / f64::from(FIRST)).collect();
        moves.sort_by(f64::total_cmp);
        if moves.len() < LEAST_DIES { 0.0 } else { moves[(moves.len() - 1) / 2] }
    }
}

#[cfg(test)]
#[expect(clippy::cast_precision_loss, reason = "counts and nanoseconds become floats for statistics, far below 2^53")]
mod tests {
    use super::*;

    #[test]
    fn what_moves_all_dies_is_what_is_around_them_and_what_moves_one_is_not() {
        let mut around = Around::default();
        let mut read = |celsius: [f64; 4]| {
            for (gpu, celsius) in (0..).map(GpuIndex).zip(celsius) {
                around.take(gpu, celsius);
            }
            around.moved()
        };
        assert_eq!(read([50.0, 60.0, 55.0, 65.0]), 0.0, "nothing is known of where they began");
        for _ in 0..FIRST {
            read([50.0, 60.0, 55.0, 65.0]);
        }
        assert_eq!(read([53.0, 63.0, 58.0, 68.0]), 3.0);
        assert_eq!(read([62.0, 60.0, 55.0, 65.0]), 0.0, "one of them");
        assert_eq!(read([62.0, 72.0, 55.0, 65.0]), 0.0, "half of them");
    }

    /// How much of the spells of the first of two dies the second shares.
    fn shared(rises: &[impl Fn(u64) -> f64; 2]) -> Gauged {
        let mut company = Company::default();
        let mut spells = [Spells::sampled(Span::from_secs(1)), Spells::sampled(Span::from_secs(1))];
        for second in 0..3600 {
            for ((gpu, rise), spells) in (0..).map(GpuIndex).zip(rises).zip(&mut spells) {
                company.take(gpu, spells.take(Moment::from_secs(second), (25.0 + rise(second), 25.0), 700.0));
            }
        }
        company.shared(GpuIndex(0))
    }

    #[test]
    fn what_comes_to_two_dies_in_the_same_moments_is_shared_and_a_contact_that_lifts_is_not() {
        let pulse = |second: u64| if second % 600 >= 480 { 5.0 } else { 0.0 };
        let still: fn(u64) -> f64 = |_| 40.0;
        let told = |second: fn(u64) -> f64| {
            let first: Box<dyn Fn(u64) -> f64> = Box::new(move |at| 40.0 + pulse(at));
            shared(&[first, Box::new(second)]).number().expect("spells")
        };
        // The second is warmer by as much, which is too little of its own rise to be a spell.
        assert!(told(|at| if at % 600 >= 480 { 60.0 } else { 55.0 }) > 95.0);
        assert!(told(still) < 5.0);
        // One that gets worse all the time is warm in the spells of the other as it is outside of them.
        assert!(told(|at| 40.0 + at as f64 / 360.0) < 20.0);
        assert_eq!(shared(&[still, still]), Gauged::Unsupported, "no spells");
    }

    fn soaked(rise: impl Fn(u64) -> f64) -> [f64; 2] {
        let mut spells = Spells::sampled(Span::from_secs(1));
        for second in 0..3600 {
            spells.take(Moment::from_secs(second), (25.0 + rise(second), 25.0), 700.0);
        }
        let over = Span::from_secs(3600);
        [spells.share(over), spells.growth(over, 3600.0)].map(|told| told.number().expect("told"))
    }

    #[test]
    fn a_rise_that_does_not_change_has_no_spells_and_does_not_grow() {
        assert_eq!(soaked(|_| 40.0), [0.0, 0.0]);
    }

    #[test]
    fn a_sensor_that_is_noisy_by_a_kelvin_makes_no_spells_of_a_cold_plate() {
        // Twelve uniform draws make a bell of deviation 1.
        let mut state = 7_u64;
        let mut bell = || {
            let mut draw = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 11) as f64 / (1_u64 << 53) as f64
            };
            (0..12).map(|_| draw()).sum::<f64>() - 6.0
        };
        let noise: Vec<f64> = (0..3600).map(|_| bell()).collect();
        let [share, _] = soaked(|second| (22.0 + noise[usize::try_from(second).expect("a place")]).round());
        assert!(share < 0.5, "{share}");
    }

    #[test]
    fn a_minute_of_heat_at_the_end_is_a_spell_and_no_growth() {
        let [share, growth] = soaked(|second| if second > 3500 && second <= 3560 { 70.0 } else { 40.0 });
        assert!((share - 100.0 / 60.0).abs() < 0.1, "{share}");
        assert!(growth < 0.1, "{growth}");
    }

    #[test]
    fn a_die_that_is_cooled_better_from_some_time_on_had_no_spell_before() {
        assert_eq!(soaked(|second| if second < 1200 { 40.0 } else { 35.0 })[0], 0.0);
    }

    #[test]
    fn an_inlet_that_a_door_warms_for_a_while_makes_no_spell() {
        let mut spells = Spells::sampled(Span::from_secs(1));
        let mut sink = 0.0;
        for second in 0..3600 {
            let inlet = if (1000..1480).contains(&second) { 33.0 } else { 25.0 };
            // The sink follows with a time of its own, which is not the one assumed.
            sink += (inlet - 25.0 - sink) / 80.0;
            spells.take(Moment::from_secs(second), (65.0 + sink, inlet), 700.0);
        }
        assert_eq!(spells.share(Span::from_secs(3600)).number(), Some(0.0));
    }

    #[test]
    fn what_grows_all_the_time_grows_however_fast() {
        for by in [0.05, 0.2, 0.4, 1.0] {
            let [_, growth] = soaked(|second| 40.0 * (1.0 + by * second as f64 / 3600.0));
            let all_of_it = 100.0 * by / (1.0 + by / 2.0);
            assert!(growth > 0.99 * all_of_it, "{by}: {growth}");
        }
    }

    #[test]
    fn what_got_better_has_not_grown() {
        assert_eq!(soaked(|second| 40.0 - second as f64 / 360.0)[1], 0.0);
    }
}
