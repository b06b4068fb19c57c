//! How restless a reading is: how far each lies from the middle of the one before and the one after it.
//!
//! A drift, and even a steady rise, drop out of that; noise does not.

#![expect(clippy::cast_precision_loss, reason = "counts and nanoseconds become floats for statistics, far below 2^53")]

use super::sheet::Gauged;
use kiln_limit::Missing;
use kiln_model::{Moment, Span};

/// Readings of one sensor, in order.
#[derive(Debug)]
pub(super) struct Unrest {
    every: Span,
    before: Option<(Moment, f64)>,
    middle: Option<(Moment, f64)>,
    distances: Vec<f64>,
    sum: f64,
    count: u64,
}

/// Distances without which a median is an accident.
const LEAST: usize = 10;
/// Readings that are farther apart than this many sampling periods are no neighbours.
const NEIGHBOURS: f64 = 1.5;

impl Unrest {
    pub(super) const fn new(every: Span) -> Self {
        Self { every, before: None, middle: None, distances: Vec::new(), sum: 0.0, count: 0 }
    }

    /// The next reading; `None` where there was none to look at.
    pub(super) fn take(&mut self, at: Moment, reading: Option<f64>) {
        let Some(value) = reading else {
            (self.before, self.middle) = (None, None);
            return;
        };
        let close = |one: Moment, two: Moment| two.since(one) <= self.every.mul_f64(NEIGHBOURS);
        self.sum += value;
        self.count += 1;
        if let (Some((first, before)), Some((second, middle))) = (self.before, self.middle)
            && close(first, second)
            && close(second, at)
        {
            self.distances.push((middle - f64::midpoint(before, value)).abs());
        }
        self.before = self.middle;
        self.middle = Some((at, value));
    }

    /// The same as a share of the mean reading, in percent.
    pub(super) fn share(&self) -> Option<f64> {
        let mean = self.sum / self.count.max(1) as f64;
        self.median().filter(|_| mean > 0.0).map(|distance| 100.0 * distance / mean)
    }

    /// The middle of all distances; a single torn reading or a load step does not move it.
    pub(super) fn median(&self) -> Option<f64> {
        if self.distances.len() < LEAST {
            return None;
        }
        kiln_model::median(&self.distances)
    }
}

/// `value` where the sensor it is of was read well enough, or else what kept it from being read.
pub(super) fn like(sensor: &Gauged, value: Option<f64>) -> Gauged {
    match (sensor, value) {
        (Gauged::Number { samples, .. }, Some(value)) => Gauged::Number { value, samples: *samples },
        (Gauged::Number { .. }, None) => Gauged::Missing(Missing::NoStatistic),
        (other, _) => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn median(readings: impl Iterator<Item = f64>) -> f64 {
        let mut unrest = Unrest::new(Span::from_secs(1));
        for (second, reading) in readings.enumerate() {
            unrest.take(Moment::from_secs(second as u64), Some(reading));
        }
        unrest.median().expect("enough readings")
    }

    #[test]
    fn a_rise_is_quiet_and_what_goes_to_and_fro_is_not() {
        assert!(median((0..60).map(|second| 30.0 + 0.5 * f64::from(second))) < 1e-9);
        assert_eq!(median((0..60).map(|second| if second % 2 == 0 { 40.0 } else { 52.0 })), 12.0);
    }

    #[test]
    fn a_few_torn_readings_do_not_make_a_sensor_restless() {
        assert_eq!(median((0..60).map(|second| if second % 20 == 7 { 104.0 } else { 40.0 })), 0.0);
    }
}
