//! Readings over time, ready to be drawn: for every GPU and sensor the least and greatest of each slice of time.
//!
//! Memory does not grow with the length of the run, only with the width of the plots. Where the readings come from is for
//! who hands them over.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "seconds, counts and pixels on a page are small"
)]

use std::collections::BTreeMap;
use std::ops::Range;

use kiln_event::RunRecord;
use kiln_model::{GpuIndex, Moment, Reading, Sensor, Span};

/// Slices of the plots over the whole run: two for every three pixels of a full-width plot.
const SLICES: usize = 640;
/// Slices of the plot of one step.
const SLICES_CLOSE: usize = 480;

/// Sensors drawn as trails.
pub(super) const GAUGES: [Sensor; 6] =
    [Sensor::TempGpu, Sensor::TempMargin, Sensor::TempMemory, Sensor::TempInlet, Sensor::Power, Sensor::ClockSm];
/// Sensors of which only increases mean anything.
pub(super) const COUNTERS: [Sensor; 6] = [
    Sensor::EccCorrected,
    Sensor::EccUncorrected,
    Sensor::RemapCorrected,
    Sensor::RemapUncorrected,
    Sensor::PcieReplays,
    Sensor::NvlinkErrors,
];

/// The whole run, then what is looked at more closely.
#[derive(Debug, Clone)]
pub struct Traces {
    pub(super) whole: Slices,
    pub(super) close: Option<Slices>,
    gaps: Vec<String>,
}

/// One stretch of time in equal slices.
#[derive(Debug, Clone)]
pub(super) struct Slices {
    pub(super) from: Moment,
    pub(super) to: Moment,
    pub(super) count: usize,
    pub(super) gpus: BTreeMap<GpuIndex, Tracks>,
}

/// Of one GPU.
#[derive(Debug, Clone)]
pub(super) struct Tracks {
    gauges: [Track; GAUGES.len()],
    /// Increases in each slice.
    counters: [Vec<f32>; COUNTERS.len()],
    last: [Option<f64>; COUNTERS.len()],
    /// Every clock event reason given in each slice.
    pub(super) reasons: Vec<u16>,
    /// Whether there were readings at all.
    pub(super) seen: Vec<bool>,
}

/// Least and greatest; not a number where there is none.
#[derive(Debug, Clone)]
pub(super) struct Track {
    pub(super) low: Vec<f32>,
    pub(super) high: Vec<f32>,
}

impl Track {
    fn new(count: usize) -> Self {
        Self { low: vec![f32::NAN; count], high: vec![f32::NAN; count] }
    }

    pub(super) fn at(&self, slice: usize) -> Option<(f32, f32)> {
        let (low, high) = (self.low[slice], self.high[slice]);
        (!low.is_nan()).then_some((low, high))
    }

    pub(super) fn range(&self) -> Option<(f32, f32)> {
        let low = self.low.iter().copied().filter(|value| !value.is_nan()).min_by(f32::total_cmp)?;
        let high = self.high.iter().copied().filter(|value| !value.is_nan()).max_by(f32::total_cmp)?;
        Some((low, high))
    }
}

impl Traces {
    /// Empty, for the time that `record` speaks of; the last pulse step is looked at more closely.
    pub fn of(record: &RunRecord) -> Self {
        let every = record.start.as_ref().map_or(Span::from_secs(1), |start| start.profile.telemetry.every);
        let mut traces = Self::spanning(record.last_at, every);
        let pulses = record.plan.iter().flat_map(|plan| plan.stages.iter().flat_map(|stage| &stage.steps));
        let pulses: Vec<&str> =
            pulses.filter(|step| step.step.check == "gpu.pulse").map(|step| step.path.as_str()).collect();
        let steps = record.steps.iter().rev().filter(|step| pulses.contains(&step.key.path.as_str()));
        let window = steps.filter_map(|step| Some((step.started, step.finished?))).find(|(from, to)| to > from);
        traces.close = window.map(|(from, to)| Slices::new(from, to, every, SLICES_CLOSE));
        traces
    }

    /// Empty, from the beginning to `to`, with readings every so often.
    pub fn spanning(to: Moment, every: Span) -> Self {
        Self { whole: Slices::new(Moment::ZERO, to, every, SLICES), close: None, gaps: Vec::new() }
    }

    /// Whether anything is drawn of this sensor: no other is asked for.
    pub fn draws(sensor: Sensor) -> bool {
        sensor == Sensor::ClockReasons || GAUGES.contains(&sensor) || COUNTERS.contains(&sensor)
    }

    /// Takes in some rows of one GPU; `column` gives as many readings of any sensor that is drawn as there are moments.
    pub fn take<'c>(&mut self, gpu: GpuIndex, at: &[Moment], column: impl Fn(Sensor) -> &'c [Reading<f64>]) {
        self.whole.take(gpu, at, &column);
        if let Some(close) = &mut self.close {
            close.take(gpu, at, &column);
        }
    }

    /// Something that was recorded and is not there.
    pub fn gap(&mut self, text: impl Into<String>) {
        self.gaps.push(text.into());
    }

    pub(super) fn gaps(&self) -> &[String] {
        &self.gaps
    }

    pub(super) fn is_empty(&self) -> bool {
        self.whole.gpus.is_empty()
    }
}

impl Slices {
    fn new(from: Moment, to: Moment, every: Span, most: usize) -> Self {
        let span = to.since(from).as_nanos();
        // Fewer slices than readings, or every other would be empty.
        let readings = (span / every.as_nanos().max(1)) as usize;
        Self { from, to, count: (readings * 2 / 3).clamp(1, most), gpus: BTreeMap::new() }
    }

    fn take<'c>(&mut self, gpu: GpuIndex, at: &[Moment], column: &impl Fn(Sensor) -> &'c [Reading<f64>]) {
        let (from, span) = (self.from.nanos(), self.to.since(self.from).as_nanos() as u64);
        let outside = at.first().is_none_or(|first| *first > self.to) || at.last().is_none_or(|last| *last < self.from);
        if outside || span == 0 {
            return;
        }
        let count = self.count;
        let share = count as f64 / span as f64;
        let place = |at: &Moment| {
            let since = at.nanos().checked_sub(from).filter(|since| *since <= span)?;
            Some(((since as f64 * share) as usize).min(count - 1))
        };
        // Rows of one slice lie together, and the slices of a long run hold hundreds of them.
        let mut runs: Vec<(usize, Range<usize>)> = Vec::new();
        for (row, slice) in at.iter().map(place).enumerate() {
            match (runs.last_mut(), slice) {
                (_, None) => {}
                (Some((last, rows)), Some(slice)) if *last == slice && rows.end == row => rows.end += 1,
                (_, Some(slice)) => runs.push((slice, row..row + 1)),
            }
        }
        let tracks = self.gpus.entry(gpu).or_insert_with(|| Tracks::new(count));
        for (slice, rows) in runs {
            tracks.take(slice, |sensor| &column(sensor)[rows.clone()]);
        }
    }

    pub(super) fn seconds(&self) -> (f64, f64) {
        (self.from.seconds(), self.to.seconds())
    }

    /// The middle of a slice in seconds.
    pub(super) fn middle(&self, slice: usize) -> f64 {
        let (from, to) = self.seconds();
        from + (slice as f64 + 0.5) / self.count as f64 * (to - from)
    }

    /// Runs of slices in which no GPU was read, first and last, longer than readings may be apart.
    pub(super) fn holes(&self) -> Vec<(usize, usize)> {
        let seen = |slice: usize| self.gpus.values().any(|tracks| tracks.seen[slice]);
        let mut holes = Vec::new();
        let mut begin = None;
        for slice in 0..=self.count {
            match (slice < self.count && !seen(slice), begin) {
                (true, None) => begin = Some(slice),
                (false, Some(first)) => {
                    if slice - first >= HOLE {
                        holes.push((first, slice - 1));
                    }
                    begin = None;
                }
                _ => {}
            }
        }
        holes
    }
}

/// Slices without a reading that are not just readings a little late.
const HOLE: usize = 3;

impl Tracks {
    /// Takes in rows of one slice.
    fn take<'c>(&mut self, slice: usize, column: impl Fn(Sensor) -> &'c [Reading<f64>]) {
        self.seen[slice] = true;
        for (track, sensor) in self.gauges.iter_mut().zip(GAUGES) {
            let (mut low, mut high) = (track.low[slice], track.high[slice]);
            for value in column(sensor).iter().filter_map(Reading::value) {
                // Also true where there is nothing yet, which is not a number.
                (low, high) = (low.min(*value as f32), high.max(*value as f32));
            }
            (track.low[slice], track.high[slice]) = (low, high);
        }
        for (index, sensor) in COUNTERS.into_iter().enumerate() {
            let mut last = self.last[index];
            for value in column(sensor).iter().filter_map(Reading::value) {
                // A total that falls began anew, as after a reboot: what it lost is not known.
                if let Some(more) = last.replace(*value).map(|last| value - last)
                    && more > 0.0
                {
                    self.counters[index][slice] += more as f32;
                }
            }
            self.last[index] = last;
        }
        for bits in column(Sensor::ClockReasons).iter().filter_map(Reading::value) {
            self.reasons[slice] |= *bits as u16;
        }
    }

    fn new(count: usize) -> Self {
        Self {
            gauges: std::array::from_fn(|_| Track::new(count)),
            counters: std::array::from_fn(|_| vec![0.0; count]),
            last: [None; COUNTERS.len()],
            reasons: vec![0; count],
            seen: vec![false; count],
        }
    }

    pub(super) fn gauge(&self, sensor: Sensor) -> Option<&Track> {
        GAUGES.iter().position(|one| *one == sensor).map(|place| &self.gauges[place])
    }

    pub(super) fn counter(&self, sensor: Sensor) -> &[f32] {
        COUNTERS.iter().position(|one| *one == sensor).map_or(&[], |place| &self.counters[place])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fed(values: &[(u64, Reading<f64>)]) -> Traces {
        let mut traces = Traces::spanning(Moment::from_secs(90), Span::from_secs(1));
        let at: Vec<Moment> = values.iter().map(|(second, _)| Moment::from_secs(*second)).collect();
        let readings: Vec<Reading<f64>> = values.iter().map(|(_, reading)| *reading).collect();
        let none = vec![Reading::Unsupported; at.len()];
        traces.take(GpuIndex(3), &at, |sensor| match sensor {
            Sensor::TempGpu | Sensor::EccCorrected => &readings,
            _ => &none,
        });
        traces
    }

    #[test]
    fn a_slice_keeps_its_least_and_greatest_so_that_a_spike_is_never_lost() {
        let mut values: Vec<_> = (0..90).map(|second| (second, Reading::Value(40.0))).collect();
        values[31].1 = Reading::Value(97.0);
        let traces = fed(&values);
        let track = traces.whole.gpus[&GpuIndex(3)].gauge(Sensor::TempGpu).expect("a gauge");
        assert_eq!(track.range(), Some((40.0, 97.0)));
        assert_eq!(traces.whole.count, 60);
        assert!(traces.whole.holes().is_empty());
    }

    #[test]
    fn counters_give_increases_and_one_that_begins_anew_gives_none() {
        let values = [5.0, 5.0, 9.0, 0.0, 2.0].map(Reading::Value);
        let values: Vec<_> = (0..).step_by(10).zip(values).collect();
        let traces = fed(&values);
        let counted: f32 = traces.whole.gpus[&GpuIndex(3)].counter(Sensor::EccCorrected).iter().sum();
        assert_eq!(counted, 6.0);
    }

    #[test]
    fn what_was_not_read_is_a_hole() {
        let mut values: Vec<_> = (0..90).map(|second| (second, Reading::Value(40.0))).collect();
        values.drain(30..60);
        assert_eq!(fed(&values).whole.holes(), [(20, 39)]);
    }
}
