//! Power by two meters of one GPU: its power readings and its energy counter.
//!
//! Both are taken over the very same time, so that a host that samples late makes no difference between them.

use super::declare::may;
use super::sheet::Gauged;
use super::window::is_covered;
use kiln_limit::Missing;
use kiln_model::{ComponentKind, Moment, Reading, Span, Unit};
use kiln_profile::MeasurementSpec;

/// Power readings and the energy counter, added up over the same spans of time: from each sample to the next where both
/// were read at both ends, so that a sample that is missing is missing from both.
#[derive(Debug)]
pub(super) struct Meters {
    held: Span,
    last: Option<(Moment, f64, f64)>,
    /// J by the power readings, in a straight line from one to the next.
    by_power: f64,
    by_counter: f64,
    covered: Span,
    good: u64,
    power: bool,
    counter: bool,
    backwards: bool,
}

impl Meters {
    /// Two samples further apart than this many periods say nothing of what was between them.
    const MOST_PERIODS: u32 = 2;

    pub(super) fn new(every: Span) -> Self {
        Self {
            held: every * Self::MOST_PERIODS,
            last: None,
            by_power: 0.0,
            by_counter: 0.0,
            covered: Span::ZERO,
            good: 0,
            power: true,
            counter: true,
            backwards: false,
        }
    }

    pub(super) fn take(&mut self, at: Moment, power: Reading<f64>, energy: Reading<f64>) {
        self.power &= power != Reading::Unsupported;
        self.counter &= energy != Reading::Unsupported;
        let (Some(watts), Some(joules)) = (power.get(), energy.get()) else {
            self.last = None;
            return;
        };
        self.good += 1;
        if let Some((before, was_watts, was_joules)) = self.last.replace((at, watts, joules)) {
            let passed = at.since(before);
            self.backwards |= joules < was_joules;
            if passed <= self.held {
                self.by_power += f64::midpoint(was_watts, watts) * passed.as_secs_f64();
                self.by_counter += joules - was_joules;
                self.covered += passed;
            }
        }
    }

    /// By how much the two differ, in percent of the greater.
    pub(super) fn disagreement(&self, over: Span) -> Gauged {
        if !self.power || !self.counter {
            return Gauged::Unsupported;
        }
        if self.backwards {
            return Gauged::Missing(Missing::CounterBackwards);
        }
        if !is_covered(self.covered, over) || self.good < 2 {
            return Gauged::Missing(Missing::CoverageTogether { covered: self.covered, window: over });
        }
        let whole = self.by_power.max(self.by_counter);
        let share = if whole > 0.0 { (self.by_power - self.by_counter).abs() * 100.0 / whole } else { 0.0 };
        Gauged::Number { value: share, samples: self.good }
    }
}

pub(super) const WORST_DISAGREEMENT: MeasurementSpec = may(
    "power.disagreement.worst",
    Unit::Percent,
    ComponentKind::Gpu,
    "difference of mean power and the energy counter's in the minute in which they differ most",
);

/// Over so long a reading that is torn or late is a small part, and a counter that runs wrong for some minutes in an hour is not.
const MINUTE: Span = Span::from_secs(60);

/// The two meters minute by minute, of a load that does not change.
#[derive(Debug)]
pub(super) struct MinuteMeters {
    every: Span,
    since: Option<Moment>,
    minute: Meters,
    /// Minutes that passed, read or not.
    minutes: u64,
    worst: Option<f64>,
    good: u64,
    backwards: bool,
    unsupported: bool,
}

impl MinuteMeters {
    pub(super) fn new(every: Span) -> Self {
        let minute = Meters::new(every);
        Self { every, since: None, minute, minutes: 0, worst: None, good: 0, backwards: false, unsupported: false }
    }

    pub(super) fn take(&mut self, at: Moment, power: Reading<f64>, energy: Reading<f64>) {
        self.minute.take(at, power, energy);
        let since = *self.since.get_or_insert(at);
        let passed = at.since(since);
        if passed < MINUTE {
            return;
        }
        self.minutes += 1;
        match self.minute.disagreement(passed) {
            Gauged::Number { value, samples } => {
                self.worst = Some(self.worst.map_or(value, |worst| worst.max(value)));
                self.good += samples;
            }
            Gauged::Unsupported => self.unsupported = true,
            Gauged::Missing(Missing::CounterBackwards) => self.backwards = true,
            // A minute in which hardly anything was read says nothing of the others.
            _ => {}
        }
        self.since = Some(at);
        self.minute = Meters::new(self.every);
        self.minute.take(at, power, energy);
    }

    /// By how much the two differed in the worst minute, in percent of the greater. A load that is over within a minute has none.
    pub(super) fn worst(&self) -> Gauged {
        match self.worst {
            _ if self.unsupported || self.minutes == 0 => Gauged::Unsupported,
            _ if self.backwards => Gauged::Missing(Missing::CounterBackwards),
            Some(value) => Gauged::Number { value, samples: self.good },
            None => Gauged::Missing(Missing::NoStatistic),
        }
    }
}

#[cfg(test)]
#[expect(clippy::cast_precision_loss, reason = "counts and nanoseconds become floats for statistics, far below 2^53")]
mod tests {
    use super::*;

    fn meters(seconds: impl Iterator<Item = u64>, joules: impl Fn(u64) -> f64) -> Meters {
        let mut meters = Meters::new(Span::from_secs(1));
        for second in seconds {
            let watts = if second < 50 { 100.0 } else { 700.0 };
            meters.take(Moment::from_secs(second), Reading::Value(watts), Reading::Value(joules(second)));
        }
        meters
    }

    fn true_joules(second: u64) -> f64 {
        let (idle, busy) = (second.min(50) as f64, second.saturating_sub(50) as f64);
        100.0 * idle + 700.0 * busy
    }

    #[test]
    fn a_sample_that_is_missing_is_missing_from_both() {
        let late = (0..100).filter(|second| *second < 50 || second % 2 == 0);
        let share = meters(late, true_joules).disagreement(Span::from_secs(100)).number().expect("covered");
        assert!(share < 2.0, "{share}");
    }

    #[test]
    fn a_counter_that_stands_still_disagrees_and_gaps_say_nothing() {
        let still = meters(0..100, |_| 5.0).disagreement(Span::from_secs(100));
        assert_eq!(still.number(), Some(100.0));
        let few = meters((0..100).step_by(7), true_joules).disagreement(Span::from_secs(100));
        let none = Missing::CoverageTogether { covered: Span::ZERO, window: Span::from_secs(100) };
        assert_eq!(few, Gauged::Missing(none));
    }

    #[test]
    fn a_counter_that_runs_double_for_two_minutes_in_half_an_hour_shows_in_them() {
        let read = |spell: std::ops::Range<u64>, power: f64| {
            let mut meters = MinuteMeters::new(Span::from_secs(1));
            let mut joules = 0.0;
            for second in 0..1800 {
                joules += if spell.contains(&second) { 1400.0 } else { 700.0 };
                meters.take(Moment::from_secs(second), Reading::Value(power), Reading::Value(joules));
            }
            meters.worst().number().expect("minutes that were read")
        };
        assert_eq!(read(0..0, 700.0).round(), 0.0);
        assert_eq!(read(600..720, 700.0).round(), 50.0);
        // Read over the whole half an hour they differ by a fifteenth.
        assert_eq!(read(0..0, 630.0).round(), 10.0);
    }

    #[test]
    fn minutes_that_were_hardly_read_say_nothing_and_a_counter_that_is_not_there_is_unsupported() {
        let mut meters = MinuteMeters::new(Span::from_secs(1));
        for second in (0..600).step_by(7) {
            meters.take(Moment::from_secs(second), Reading::Value(700.0), Reading::Value(5.0));
        }
        assert_eq!(meters.worst(), Gauged::Missing(Missing::NoStatistic));
        for second in 600..700 {
            meters.take(Moment::from_secs(second), Reading::Value(700.0), Reading::Unsupported);
        }
        assert_eq!(meters.worst(), Gauged::Unsupported);
    }

    #[test]
    fn a_load_of_less_than_a_minute_has_no_worst_one() {
        let mut meters = MinuteMeters::new(Span::from_secs(1));
        for second in 0..50 {
            meters.take(Moment::from_secs(second), Reading::Value(700.0), Reading::Value(700.0 * second as f64));
        }
        assert_eq!(meters.worst(), Gauged::Unsupported);
    }
}
