//! How much hotter a die is than what cools it, sample by sample, with the spells kept apart in which it is much hotter than
//! usual: a bubble in the coolant or a plate that lifts for a minute is no contact that degrades.

use super::sheet::Gauged;
use super::window::Window;
use kiln_model::{Moment, Span};

/// A die this many times its usual rise over the coolant is in a spell: 2.5 K on a cold plate, 4 K in air, more than the noise of
/// sensors of whole degrees.
const SPELL: f64 = 1.1;
/// A heat sink takes minutes to follow its air: when a door is shut and the inlet cools down, the die is for a while warmer over it
/// than usual, and nothing is wrong. The inlet counts as slowly as that.
const SINK_FOLLOWS: f64 = 120.0;
/// What is usual is found anew after so many readings; finding it takes longer than a reading.
const USUAL_EVERY: u64 = 64;

#[derive(Debug)]
pub(super) struct Spells {
    /// Kelvin over the reference.
    rise: Window,
    /// K/W.
    resistance: Window,
    /// The resistance outside of spells.
    calm: Window,
    usual: Option<f64>,
    /// The coolant as the heat sink knows it, and when it was last looked at.
    coolant: Option<(Moment, f64)>,
}

impl Spells {
    pub(super) fn sampled(every: Span) -> Self {
        let window = || Window::sampled(every);
        Self { rise: window(), resistance: window(), calm: window(), usual: None, coolant: None }
    }

    /// Takes in one reading of the die and of what cools it in °C, at `power` in W over that of the reference.
    pub(super) fn take(&mut self, at: Moment, (die, coolant): (f64, f64), power: f64) {
        let known = self.coolant.map_or(coolant, |(last, known)| {
            known + (coolant - known) * (at.since(last).as_secs_f64() / SINK_FOLLOWS).min(1.0)
        });
        self.coolant = Some((at, known));
        let (rise, resistance) = (die - known, (die - coolant) / power);
        self.rise.add(at, rise);
        self.resistance.add(at, resistance);
        if self.rise.count().is_multiple_of(USUAL_EVERY) {
            self.usual = self.rise.quantile(0.5);
        }
        if self.usual.is_none_or(|usual| rise <= SPELL * usual) {
            self.calm.add(at, resistance);
        }
    }

    /// Share of the window in spells, in percent.
    pub(super) fn share(&self, over: Span) -> Gauged {
        let share = |rise: &Window| Some(100.0 * (1.0 - rise.share_below(SPELL * rise.quantile(0.5)?)));
        self.rise.gauged(over, share)
    }

    /// Growth of the resistance over a window of this many seconds, in percent, spells left out; 0 where it fell: what cools a
    /// part better for a while is not held against the others.
    pub(super) fn growth(&self, over: Span, length: f64) -> Gauged {
        let growth = || Some((100.0 * self.calm.slope()? * length / self.calm.mean()?).max(0.0));
        self.resistance.gauged(over, |_| growth())
    }
}

#[cfg(test)]
#[expect(clippy::cast_precision_loss, reason = "counts and nanoseconds become floats for statistics, far below 2^53")]
mod tests {
    use super::*;

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
    fn a_minute_of_heat_at_the_end_is_a_spell_and_no_growth() {
        let [share, growth] = soaked(|second| if second > 3500 && second <= 3560 { 70.0 } else { 40.0 });
        assert!((share - 100.0 / 60.0).abs() < 0.1, "{share}");
        assert!(growth < 0.1, "{growth}");
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
