//! Streaming statistics over a window of readings: exact count, least, greatest and mean; quantiles and slope nearly so.
//!
//! Cheap enough for 72 hours of eight GPUs at one second, and without an allocation per reading.

use super::sheet::Gauged;
use crate::model::{Moment, Reading, Span};

/// Share of readings that may fail before a statistic over the rest is no longer told, in percent: a call fails now and
/// then on a healthy driver, but with more gaps than this the values left may be the lucky ones.
const MOST_FAILED_PERCENT: u64 = 5;
/// Share of the readings expected by the clock that must be there, in percent; a sampler may be late now and then.
const LEAST_EXPECTED_PERCENT: u64 = 90;
/// Fewer readings than this are no statistic.
const LEAST_READINGS: u64 = 5;

/// Statistics of one value over a window.
#[derive(Debug, Clone, Default)]
pub(super) struct Window {
    count: u64,
    failed: u64,
    unsupported: u64,
    sum: f64,
    least: f64,
    greatest: f64,
    histogram: Histogram,
    line: Line,
}

impl Window {
    pub(super) fn take(&mut self, at: Moment, reading: Reading<f64>) {
        match reading {
            Reading::Value(value) => self.add(at, value),
            Reading::Unsupported => self.unsupported += 1,
            Reading::Failed(_) => self.failed += 1,
        }
    }

    pub(super) fn add(&mut self, at: Moment, value: f64) {
        if !value.is_finite() {
            self.failed += 1;
            return;
        }
        if self.count == 0 {
            (self.least, self.greatest) = (value, value);
        } else {
            self.least = self.least.min(value);
            self.greatest = self.greatest.max(value);
        }
        self.count += 1;
        self.sum += value;
        self.histogram.add(value);
        self.line.add(at, value);
    }

    pub(super) const fn count(&self) -> u64 {
        self.count
    }

    pub(super) const fn failed(&self) -> u64 {
        self.failed
    }

    pub(super) fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }

    pub(super) fn min(&self) -> Option<f64> {
        (self.count > 0).then_some(self.least)
    }

    pub(super) fn max(&self) -> Option<f64> {
        (self.count > 0).then_some(self.greatest)
    }

    pub(super) fn p5(&self) -> Option<f64> {
        self.quantile(0.05)
    }

    pub(super) fn p95(&self) -> Option<f64> {
        self.quantile(0.95)
    }

    /// The value that the share `q` of all readings does not exceed, within 1/2000 of itself.
    pub(super) fn quantile(&self, q: f64) -> Option<f64> {
        let rank = (q * self.count as f64).ceil().max(1.0) as u64;
        self.histogram.at_rank(rank).map(|value| value.clamp(self.least, self.greatest))
    }

    /// Share of all readings below `value`, from 0 to 1; readings within 1/2000 of `value` may count either way.
    pub(super) fn share_below(&self, value: f64) -> f64 {
        if self.count == 0 { 0.0 } else { self.histogram.count_below(value) as f64 / self.count as f64 }
    }

    /// Change per second by least squares.
    pub(super) fn slope(&self) -> Option<f64> {
        self.line.slope()
    }

    /// A statistic of the window, if there were enough readings for one. `expected` is how many there should have been.
    pub(super) fn gauged(&self, expected: u64, statistic: impl FnOnce(&Self) -> Option<f64>) -> Gauged {
        let seen = self.count + self.failed + self.unsupported;
        if seen > 0 && self.unsupported == seen {
            return Gauged::Unsupported;
        }
        let few = self.count < LEAST_READINGS || self.count * 100 < expected * LEAST_EXPECTED_PERCENT;
        if few || (seen - self.count) * 100 > seen * MOST_FAILED_PERCENT {
            return Gauged::Missing(format!("{} good readings of {} expected", self.count, expected.max(seen)));
        }
        match statistic(self) {
            Some(value) => Gauged::Number { value, samples: self.count },
            None => Gauged::missing("the readings allow no such statistic"),
        }
    }
}

/// How many samples a window of this length should hold.
pub(super) fn expected(length: Span, every: Span) -> u64 {
    if every.is_zero() { 0 } else { (length.as_nanos() / every.as_nanos()) as u64 }
}

/// Counts per bin. A bin is the sign, the exponent and the first 10 bits of the fraction of a 32-bit float, rounded to
/// nearest: integers below 2048 have a bin of their own, and any value is within 2^-11 of its bin.
#[derive(Debug, Clone, Default)]
struct Histogram {
    /// One page per sign and exponent that ever occurred; a sensor stays within a few.
    pages: Vec<Page>,
    /// The page of the last value: the next is nearly always on the same.
    latest: usize,
}

#[derive(Debug, Clone)]
struct Page {
    /// Orders pages by value.
    order: u16,
    bins: Box<[u32; BINS]>,
}

const BINS: usize = 1 << 10;

impl Histogram {
    fn add(&mut self, value: f64) {
        let key = ordered_key(value as f32);
        let (order, bin) = ((key >> 10) as u16, key as usize & (BINS - 1));
        if self.pages.get(self.latest).is_none_or(|page| page.order != order) {
            self.latest = match self.pages.binary_search_by_key(&order, |page| page.order) {
                Ok(found) => found,
                Err(place) => {
                    self.pages.insert(place, Page { order, bins: Box::new([0; BINS]) });
                    place
                }
            };
        }
        let count = &mut self.pages[self.latest].bins[bin];
        *count = count.saturating_add(1);
    }

    fn count_below(&self, value: f64) -> u64 {
        let key = ordered_key(value as f32);
        let (order, bin) = ((key >> 10) as u16, key as usize & (BINS - 1));
        let below = |page: &Page| match page.order.cmp(&order) {
            std::cmp::Ordering::Less => BINS,
            std::cmp::Ordering::Equal => bin,
            std::cmp::Ordering::Greater => 0,
        };
        self.pages.iter().flat_map(|page| &page.bins[..below(page)]).map(|count| u64::from(*count)).sum()
    }

    fn at_rank(&self, rank: u64) -> Option<f64> {
        let mut before = 0;
        for page in &self.pages {
            for (bin, count) in page.bins.iter().enumerate() {
                before += u64::from(*count);
                if *count > 0 && before >= rank {
                    return Some(f64::from(value_of((u32::from(page.order) << 10) | bin as u32)));
                }
            }
        }
        None
    }
}

/// 19 bits that order as the values do.
fn ordered_key(value: f32) -> u32 {
    const HALF_A_BIN: u32 = 1 << 12;
    let bits = value.to_bits();
    let magnitude = ((bits & 0x7fff_ffff) + HALF_A_BIN) >> 13;
    if bits >> 31 == 0 { 0x4_0000 | magnitude } else { 0x3_ffff - magnitude }
}

fn value_of(key: u32) -> f32 {
    if key & 0x4_0000 == 0 { -f32::from_bits((0x3_ffff - key) << 13) } else { f32::from_bits((key & 0x3_ffff) << 13) }
}

/// A straight line through readings, by running sums relative to the first.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Line {
    origin: Option<(Moment, f64)>,
    n: f64,
    t: f64,
    x: f64,
    tt: f64,
    tx: f64,
}

impl Line {
    pub(super) fn add(&mut self, at: Moment, value: f64) {
        let (start, first) = *self.origin.get_or_insert((at, value));
        let (t, x) = (at.since(start).as_secs_f64(), value - first);
        self.n += 1.0;
        self.t += t;
        self.x += x;
        self.tt += t * t;
        self.tx += t * x;
    }

    /// Change per second.
    pub(super) fn slope(&self) -> Option<f64> {
        let spread = self.n * self.tt - self.t * self.t;
        (self.n >= 2.0 && spread > 0.0).then(|| (self.n * self.tx - self.t * self.x) / spread)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ReadingFailure;

    fn window_of(values: impl IntoIterator<Item = f64>) -> Window {
        let mut window = Window::default();
        for (second, value) in values.into_iter().enumerate() {
            window.add(Moment::from_secs(second as u64), value);
        }
        window
    }

    #[test]
    fn statistics_of_a_ramp_are_known() {
        let window = window_of((1..=1000).map(f64::from));
        assert_eq!(window.min(), Some(1.0));
        assert_eq!(window.max(), Some(1000.0));
        assert_eq!(window.mean(), Some(500.5));
        assert_eq!(window.p5(), Some(50.0));
        assert_eq!(window.p95(), Some(950.0));
        assert_eq!(window.share_below(251.0), 0.25);
        assert!((window.slope().expect("slope") - 1.0).abs() < 1e-9);
    }

    #[test]
    fn quantiles_order_negative_values_and_zero_too() {
        let window = window_of([-300.0, -2.5, 0.0, 0.001, 4.0]);
        assert_eq!(window.quantile(0.2), Some(-300.0));
        assert_eq!(window.quantile(0.4), Some(-2.5));
        assert_eq!(window.quantile(0.6), Some(0.0));
        assert_eq!(window.quantile(1.0), Some(4.0));
    }

    #[test]
    fn quantiles_stay_within_a_2000th() {
        let values: Vec<f64> = (0..5000).map(|n| 3.0 + f64::from(n * 7919 % 5000) * 0.731).collect();
        let window = window_of(values.iter().copied());
        let mut sorted = values;
        sorted.sort_by(f64::total_cmp);
        for (q, index) in [(0.05, 249), (0.5, 2499), (0.95, 4749)] {
            let found = window.quantile(q).expect("quantile");
            assert!((found / sorted[index] - 1.0).abs() < 1.0 / 2000.0, "{q}: {found} for {}", sorted[index]);
        }
    }

    #[test]
    fn gaps_make_a_statistic_missing_and_an_absent_sensor_unsupported() {
        let mut window = window_of((0..94).map(f64::from));
        for _ in 0..6 {
            window.take(Moment::from_secs(100), Reading::Failed(ReadingFailure::Timeout));
        }
        assert_eq!(window.gauged(100, Window::mean), Gauged::missing("94 good readings of 100 expected"));
        assert_eq!(window_of([1.0; 8]).gauged(10, Window::mean), Gauged::missing("8 good readings of 10 expected"));
        let mut absent = Window::default();
        absent.take(Moment::ZERO, Reading::Unsupported);
        assert_eq!(absent.gauged(1, Window::mean), Gauged::Unsupported);
        assert_eq!(Window::default().gauged(0, Window::mean), Gauged::missing("0 good readings of 0 expected"));
    }
}
