//! Whether a value stands still: the slope of its block means over a sliding window.
//!
//! Block means, because single whole-degree readings jump by a degree where a trend does not.

#![expect(
    clippy::cast_possible_truncation,
    reason = "values are bounded where they are made, within the narrower type"
)]

use super::sloping::Line;
use kiln_model::{Moment, Span};

/// Blocks the window is cut into: enough that it slides in small steps, few enough that each is a mean of many readings.
const BLOCKS: usize = 10;

#[derive(Debug, Default)]
pub(super) struct Steady {
    block: Span,
    /// Per second.
    steepest: f64,
    means: Vec<(Moment, f64)>,
    open: Option<(Moment, f64, u32)>,
    still: bool,
}

impl Steady {
    pub(super) fn new(over: Span, every: Span, steepest: f64) -> Self {
        Self { block: (over / BLOCKS as u32).max(every), steepest, ..Self::default() }
    }

    pub(super) fn take(&mut self, at: Moment, value: f64) {
        let (started, sum, count) = self.open.get_or_insert((at, 0.0, 0));
        *sum += value;
        *count += 1;
        if at.since(*started) < self.block {
            return;
        }
        if self.means.len() == BLOCKS {
            self.means.remove(0);
        }
        self.means.push((*started, *sum / f64::from(*count)));
        self.open = None;
        let mut line = Line::default();
        for (at, mean) in &self.means {
            line.add(*at, *mean);
        }
        self.still = self.means.len() == BLOCKS && line.slope().is_some_and(|slope| slope.abs() <= self.steepest);
    }

    /// As of the last block that is complete.
    pub(super) const fn is_steady(&self) -> bool {
        self.still
    }
}

#[cfg(test)]
#[expect(clippy::cast_precision_loss, reason = "counts and nanoseconds become floats for statistics, far below 2^53")]
mod tests {
    use super::*;

    fn steady_after(value: impl Fn(f64) -> f64) -> Option<u64> {
        let mut steady = Steady::new(Span::from_secs(600), Span::from_secs(1), 10.0 / 3600.0);
        (0..7200).find(|second| {
            steady.take(Moment::from_secs(*second), value(*second as f64));
            steady.is_steady()
        })
    }

    #[test]
    fn an_exponential_rise_is_steady_once_it_has_ended() {
        let after = steady_after(|t| (60.0 - 35.0 * (-t / 120.0).exp()).round()).expect("steady");
        assert!((900..1200).contains(&after), "{after}");
    }

    #[test]
    fn a_single_step_of_the_sensor_does_not_unsettle_and_a_ramp_never_settles() {
        assert!(steady_after(|t| if t < 300.0 { 60.0 } else { 61.0 }).is_some_and(|after| after < 620));
        assert_eq!(steady_after(|t| (40.0 + t / 120.0).round()), None);
    }
}
