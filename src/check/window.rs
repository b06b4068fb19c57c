//! Streaming statistics over a window of readings: exact count, least, greatest and mean; quantiles nearly so.
//!
//! The one coverage rule of all checks lives here: every reading weighs as much as the time it stands for, and a statistic
//! is told only where the readings cover the window. Cheap enough for 72 hours of eight GPUs at one second, and without an
//! allocation per reading.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "counts become floats far below 2^53, and floats become counts that were bounded before"
)]

use super::sheet::Gauged;
use kiln_limit::Missing;
use kiln_model::{Moment, Reading, Span};

/// Share of readings that may fail before a statistic over the rest is no longer told, in percent: a call fails now and
/// then on a healthy driver, but with more gaps than this the values left may be the lucky ones.
const MOST_FAILED_PERCENT: u64 = 5;
/// Share of the window that readings must cover, in percent; a sampler may be late now and then.
const LEAST_COVERED_PERCENT: u128 = 90;
const LEAST_READINGS: u64 = kiln_profile::LEAST_READINGS as u64;
/// A reading stands for the time since the one before it, but for no more than this many periods: one that is missing
/// between two that came changes nothing that matters, and what happened in a longer gap nobody has seen.
const MOST_PERIODS: u32 = 2;
/// Loads tell of their work about once a second.
const TOLD_EVERY: Span = Span::from_secs(1);
/// What a load tells is a rate since it last did, so that it stands for a longer gap as well; a load that is silent for
/// longer than this may have stood still.
const TOLD_FOR: Span = Span::from_secs(5);
const NANOS_PER_MILLI: u64 = 1_000_000;

/// Statistics of one value over a window.
#[derive(Debug, Clone)]
pub(super) struct Window {
    /// What the first reading stands for. This and the next two are nanoseconds: whole numbers cost a fraction of what spans do, and
    /// windows are most of what a check costs.
    period: u64,
    /// The longest time a reading stands for.
    held: u64,
    covered: u64,
    last: Option<Moment>,
    count: u64,
    failed: u64,
    unsupported: u64,
    /// Value times milliseconds.
    sum: f64,
    /// Milliseconds.
    weight: u64,
    least: f64,
    greatest: f64,
    histogram: Histogram,
}

impl Window {
    /// Of a sensor that is sampled at this period.
    pub(super) fn sampled(every: Span) -> Self {
        Self::new(every, every * MOST_PERIODS)
    }

    /// Of what a load tells about once a second.
    pub(super) fn told() -> Self {
        Self::new(TOLD_EVERY, TOLD_FOR)
    }

    /// Of what a load tells at longer intervals.
    pub(super) fn told_every(interval: Span) -> Self {
        Self::new(interval, (interval * MOST_PERIODS).max(TOLD_FOR))
    }

    fn new(period: Span, held: Span) -> Self {
        Self {
            period: nanos(period),
            held: nanos(held),
            covered: 0,
            last: None,
            count: 0,
            failed: 0,
            unsupported: 0,
            sum: 0.0,
            weight: 0,
            least: 0.0,
            greatest: 0.0,
            histogram: Histogram::default(),
        }
    }

    pub(super) fn take(&mut self, at: Moment, reading: Reading<f64>) {
        match reading {
            Reading::Value(value) => self.add(at, value),
            Reading::Unsupported => self.unsupported += 1,
            Reading::Failed(_) => self.failed += 1,
        }
    }

    /// Lets the first reading stand for the time since then, and not for one period.
    pub(super) fn begin(&mut self, at: Moment) {
        self.last = Some(at);
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
        let stands_for = self.last.map_or(self.period, |last| at.nanos().saturating_sub(last.nanos())).min(self.held);
        self.last = Some(at);
        self.covered = self.covered.saturating_add(stands_for);
        // Two readings of one moment count for little, but neither is thrown away.
        let weight = (stands_for / NANOS_PER_MILLI).max(1);
        self.count += 1;
        self.weight += weight;
        self.sum += value * weight as f64;
        self.histogram.add(value, weight);
    }

    /// The next reading stands for the time since `at` at the most: what is to be measured began then.
    pub(super) const fn begins(&mut self, at: Moment) {
        self.last = Some(at);
    }

    pub(super) const fn count(&self) -> u64 {
        self.count
    }

    pub(super) const fn failed(&self) -> u64 {
        self.failed
    }

    /// The time that good readings stand for.
    pub(super) const fn covered(&self) -> Span {
        Span::from_nanos(self.covered)
    }

    /// Whether good readings cover enough of a window of this length. Where a window begins and ends between two readings,
    /// half a period of it belongs to neither side: of ten seconds one reading may be late by its jitter, and not two.
    pub(super) const fn covers(&self, over: Span) -> bool {
        let edges = Span::from_nanos(self.period / 2);
        self.count > 0 && is_covered(self.covered().saturating_add(edges), over)
    }

    pub(super) fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.weight as f64)
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

    /// The value that is not exceeded in the share `q` of the time, within 1/2000 of itself.
    pub(super) fn quantile(&self, q: f64) -> Option<f64> {
        let rank = (q * self.weight as f64).ceil().max(1.0) as u64;
        self.histogram.at_rank(rank).map(|value| value.clamp(self.least, self.greatest))
    }

    /// Share of the time below `value`, from 0 to 1; readings within 1/2000 of `value` may count either way.
    pub(super) fn share_below(&self, value: f64) -> f64 {
        if self.weight == 0 { 0.0 } else { self.histogram.weight_below(value) as f64 / self.weight as f64 }
    }

    /// Share of the window below 4/5 of its median, in percent. It shows faults that come and go, which hardly change mean and
    /// p5.
    pub(super) fn dips(&self) -> Option<f64> {
        Some(100.0 * self.share_below(self.quantile(0.5)? * 0.8))
    }

    /// A statistic of the window, if there were readings enough for one. `over` is how long the window was.
    pub(super) fn gauged(&self, over: Span, statistic: impl FnOnce(&Self) -> Option<f64>) -> Gauged {
        let seen = self.count + self.failed + self.unsupported;
        if seen > 0 && self.unsupported == seen {
            return Gauged::Unsupported;
        }
        let bad = seen - self.count;
        if bad * 100 > seen * MOST_FAILED_PERCENT {
            return Gauged::Missing(Missing::FailedReadings { failed: bad, of: seen });
        }
        if self.covers(over) && self.count < LEAST_READINGS {
            return Gauged::Missing(Missing::FewReadings { readings: self.count, least: LEAST_READINGS });
        }
        if !self.covers(over) {
            let (readings, covered) = (self.count, self.covered());
            return Gauged::Missing(Missing::Coverage { readings, covered, window: over });
        }
        match statistic(self) {
            Some(value) => Gauged::Number { value, samples: self.count },
            None => Gauged::Missing(Missing::NoStatistic),
        }
    }
}

impl Window {
    /// A counter's growth over this window. Growth is a fact whenever it was seen; none of it says nothing about a window
    /// that was hardly looked at.
    pub(super) fn growth(&self, counted: Gauged, over: Span) -> Gauged {
        match counted {
            Gauged::Number { value: 0.0, .. } if !self.covers(over) => self.gauged(over, Self::mean),
            counted => counted,
        }
    }
}

/// A span that is longer than 584 years counts as so many.
fn nanos(span: Span) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// Whether what was seen for `covered` is enough to speak of a window of this length.
pub(super) const fn is_covered(covered: Span, over: Span) -> bool {
    covered.as_nanos() * 100 >= over.as_nanos() * LEAST_COVERED_PERCENT
}

/// A true or false that is asked with every reading, as the number whose mean is the share of the time it was true.
pub(super) const fn share_of(holds: bool) -> f64 {
    if holds { 1.0 } else { 0.0 }
}

/// Weight per bin. A bin is the sign, the exponent and the first 10 bits of the fraction of a 32-bit float, rounded to
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
    /// Milliseconds: 49 days of readings fit into one bin.
    bins: Box<[u32; BINS]>,
}

const BINS: usize = 1 << 10;

impl Histogram {
    fn add(&mut self, value: f64, weight: u64) {
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
        let inside = &mut self.pages[self.latest].bins[bin];
        *inside = inside.saturating_add(u32::try_from(weight).unwrap_or(u32::MAX));
    }

    fn weight_below(&self, value: f64) -> u64 {
        let key = ordered_key(value as f32);
        let (order, bin) = ((key >> 10) as u16, key as usize & (BINS - 1));
        let below = |page: &Page| match page.order.cmp(&order) {
            std::cmp::Ordering::Less => BINS,
            std::cmp::Ordering::Equal => bin,
            std::cmp::Ordering::Greater => 0,
        };
        self.pages.iter().flat_map(|page| &page.bins[..below(page)]).map(|weight| u64::from(*weight)).sum()
    }

    fn at_rank(&self, rank: u64) -> Option<f64> {
        let mut before = 0;
        for page in &self.pages {
            for (bin, weight) in page.bins.iter().enumerate() {
                before += u64::from(*weight);
                if *weight > 0 && before >= rank {
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

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_model::ReadingFailure;

    fn window_of(values: impl IntoIterator<Item = f64>) -> Window {
        let mut window = Window::sampled(Span::from_secs(1));
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

    /// The readings, and the seconds that they cover of the window, where they are too few.
    fn covers(gauged: &Gauged) -> Option<[u64; 3]> {
        match gauged {
            Gauged::Missing(Missing::Coverage { readings, covered, window }) => {
                let seconds = |span: &Span| span.as_secs_f64().round() as u64;
                Some([*readings, seconds(covered), seconds(window)])
            }
            _ => None,
        }
    }

    #[test]
    fn gaps_make_a_statistic_missing_and_an_absent_sensor_unsupported() {
        let over = Span::from_secs;
        let mut window = window_of((0..94).map(f64::from));
        for _ in 0..6 {
            window.take(Moment::from_secs(100), Reading::Failed(ReadingFailure::Timeout));
        }
        assert_eq!(
            window.gauged(over(100), Window::mean),
            Gauged::Missing(Missing::FailedReadings { failed: 6, of: 100 })
        );
        let short = window_of([1.0; 8]).gauged(over(10), Window::mean);
        assert_eq!(covers(&short), Some([8, 8, 10]));
        let jitter = Window::sampled(over(1));
        assert!(!jitter.covers(over(1)), "no reading covers nothing");
        let mut jitter = window_of([1.0; 8]);
        jitter.add(Moment::from_nanos(7_990_000_000), 1.0);
        assert_eq!(jitter.covered(), Span::from_millis(8_990));
        assert!(jitter.covers(over(10)), "one reading late, the others not quite on the second");
        let brief = window_of([1.0; 4]).gauged(over(4), Window::mean);
        assert_eq!(brief, Gauged::Missing(Missing::FewReadings { readings: 4, least: 5 }));
        let mut absent = Window::sampled(over(1));
        absent.take(Moment::ZERO, Reading::Unsupported);
        assert_eq!(absent.gauged(over(1), Window::mean), Gauged::Unsupported);
        let none = Window::sampled(over(1)).gauged(Span::ZERO, Window::mean);
        assert_eq!(covers(&none), Some([0, 0, 0]));
    }

    #[test]
    fn a_reading_weighs_as_much_as_the_time_it_stands_for() {
        let mut window = Window::sampled(Span::from_secs(1));
        // A host that was late in every second half minute: 60 readings at 700, 30 at 100, for half a minute each.
        for second in 0..60 {
            window.add(Moment::from_secs(second), 700.0);
        }
        for second in 0..30 {
            window.add(Moment::from_secs(61 + second * 2), 100.0);
        }
        assert_eq!(window.mean(), Some(400.0));
        assert_eq!(window.share_below(400.0), 0.5);
        assert_eq!(window.quantile(0.5), Some(100.0));
        assert!(window.covers(Span::from_secs(120)));
    }

    #[test]
    fn what_happened_in_a_long_gap_nobody_has_seen() {
        let mut window = Window::sampled(Span::from_secs(1));
        for second in (0..1000).step_by(5) {
            window.add(Moment::from_secs(second), 1.0);
        }
        assert_eq!(window.covered(), Span::from_secs(399));
        let gauged = window.gauged(Span::from_secs(1000), Window::mean);
        assert_eq!(covers(&gauged), Some([200, 399, 1000]));
    }
}
