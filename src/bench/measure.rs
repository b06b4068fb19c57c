//! The fold of one phase: samples and what the load says in, what was measured out.

use std::collections::BTreeMap;

use kiln_model::{GpuIndex, LoadEnd, LoadReport, LoadSaid, Mismatch, Moment, Sample, Screened, Sensor, Span, Transfer};

use super::document::{Flips, GpuMeasured, PhaseMeasured, Trace, Trouble, Unit};
use super::owed;
use super::phase::{Phase, Work};
use super::scatter::Scatter;

/// Share of a phase that warms up.
const WARM_UP: f64 = 1.0 / 3.0;
/// Share of the rest that readings must cover, or there is no statistic: as in every check.
const COVERED: f64 = 0.90;
/// A reading stands for no more than this before it and after it: together as long as an answer is awaited.
const HELD: Span = Span::from_secs(1);
/// What a load tells is a rate since it last did, about a second ago; one that was silent for longer than this may have stood
/// still.
const TOLD_FOR: Span = Span::from_secs(5);
/// A load that is stopped has not told of what it did since it last did: the last report stands for that too, up to the second
/// after which the next would have come.
const TOLD_EVERY: Span = Span::from_secs(1);

#[derive(Debug, Default)]
struct Row {
    /// When, and a value of each of [`SENSORS`].
    samples: Vec<(Moment, [Option<f64>; 5])>,
    rates: Vec<Rate>,
    /// When it last told of its work.
    told_at: Option<Moment>,
    covered: Option<f64>,
    flips: Option<Flips>,
    screened: Option<Screened>,
    verified: u64,
    mismatches: u64,
    told: Vec<Mismatch>,
}

/// What was done from one moment to another.
#[derive(Debug, Clone, Copy)]
struct Rate {
    from: Moment,
    at: Moment,
    tflops: f64,
    memory_gb_per_s: f64,
}

const SENSORS: [Sensor; 5] =
    [Sensor::Power, Sensor::PowerInstant, Sensor::ClockSm, Sensor::TempGpu, Sensor::TempMemory];

/// What has been seen of a phase so far.
#[derive(Debug)]
pub struct Meter {
    phase: Phase,
    began: Moment,
    /// When the load said that it runs, and when it ended.
    running: Option<Moment>,
    ended: Option<Moment>,
    rows: BTreeMap<GpuIndex, Row>,
    transfers: Vec<Transfer>,
    notes: Vec<String>,
    trouble: Option<Trouble>,
}

impl Meter {
    pub fn new(phase: &Phase, gpus: impl IntoIterator<Item = GpuIndex>, now: Moment) -> Self {
        Self {
            phase: phase.clone(),
            began: now,
            running: None,
            ended: None,
            rows: gpus.into_iter().map(|gpu| (gpu, Row::default())).collect(),
            transfers: Vec::new(),
            notes: Vec::new(),
            trouble: None,
        }
    }

    /// When the load ran for the first time, and whether it is over.
    pub const fn running(&self) -> Option<Moment> {
        self.running
    }

    pub const fn is_over(&self) -> bool {
        self.ended.is_some()
    }

    /// Tells why this is not a measurement. The first reason stays.
    pub fn trouble(&mut self, why: Trouble) {
        self.trouble.get_or_insert(why);
    }

    pub fn sample(&mut self, sample: &Sample) {
        if let Some(row) = self.rows.get_mut(&sample.gpu) {
            row.samples.push((sample.at, SENSORS.map(|sensor| sample.get(sensor))));
        }
    }

    pub fn hear(&mut self, report: &LoadReport) {
        match &report.said {
            LoadSaid::Running => self.running = self.running.or(Some(report.at)),
            LoadSaid::Progress { gpu, tflops, memory_gb_per_s, verified, mismatches } => {
                if let Some(row) = self.rows.get_mut(gpu) {
                    let from = row.told_at.or(self.running).unwrap_or(self.began);
                    // Copies tell of what they compared, and do no such work.
                    if *tflops > 0.0 || *memory_gb_per_s > 0.0 {
                        let (tflops, memory_gb_per_s) = (*tflops, *memory_gb_per_s);
                        row.rates.push(Rate { from, at: report.at, tflops, memory_gb_per_s });
                    }
                    row.told_at = Some(report.at);
                    row.verified = row.verified.max(*verified);
                    row.mismatches = row.mismatches.max(*mismatches);
                }
            }
            LoadSaid::Mismatched(mismatch) => {
                if let Some(row) = self.rows.get_mut(&mismatch.gpu) {
                    row.told.push(mismatch.clone());
                }
            }
            LoadSaid::Covered { gpu, percent } => {
                if let Some(row) = self.rows.get_mut(gpu) {
                    row.covered = Some(*percent);
                }
            }
            LoadSaid::Flipped { gpu, flipped, found } => {
                if let Some(row) = self.rows.get_mut(gpu) {
                    row.flips = Some(Flips { flipped: *flipped, found: *found });
                }
            }
            LoadSaid::Screened(screened) => {
                if let Some(row) = self.rows.get_mut(&screened.gpu) {
                    row.screened = Some(screened.clone());
                }
            }
            LoadSaid::Moved(transfer) => self.transfers.push(*transfer),
            LoadSaid::Noted { what, .. } => self.notes.push(what.to_string()),
            LoadSaid::Ended { gpu, end } => {
                if gpu.is_none() {
                    self.ended = Some(report.at);
                }
                let why = match end {
                    LoadEnd::Finished | LoadEnd::Stopped => return,
                    LoadEnd::GpuLost => "the GPU went away under the load".to_owned(),
                    LoadEnd::Failed(why) => why.to_string(),
                    LoadEnd::Unkillable => "the load does not die: the driver holds it".to_owned(),
                };
                self.trouble(Trouble::Missed(why));
            }
            LoadSaid::Program(_) => {}
        }
    }

    /// What it came to.
    pub fn close(self, units: &[Unit], now: Moment) -> PhaseMeasured {
        let from = self.running.unwrap_or(self.began);
        let until = self.ended.unwrap_or(now);
        let warm = from + until.since(from).mul_f64(WARM_UP);
        let measured = |(gpu, row): (&GpuIndex, &Row)| {
            let peak = units.iter().find(|unit| unit.gpu == *gpu).and_then(|unit| unit.bf16_per_clock);
            row.measured(*gpu, (warm, until), self.phase.work, peak)
        };
        let gpus: Vec<GpuMeasured> = self.rows.iter().map(measured).collect();
        let offers_power = |gpu: GpuIndex| {
            let limited = units.iter().any(|unit| unit.gpu == gpu && unit.power_limit_watts.is_some());
            limited || self.rows.get(&gpu).is_some_and(|row| row.samples.iter().any(|(_, values)| values[0].is_some()))
        };
        let owed = || owed::missing(self.phase.work, &gpus, &self.transfers, offers_power);
        let trouble = self.trouble.clone().or_else(|| owed().map(Trouble::Missed));
        let traces = match self.phase.work {
            Work::Step { .. } => self.rows.iter().map(|(gpu, row)| self.trace(*gpu, row)).collect(),
            _ => Vec::new(),
        };
        PhaseMeasured {
            name: self.phase.name,
            work: self.phase.work,
            seconds: now.since(self.began).as_secs_f64(),
            gpus,
            transfers: self.transfers,
            notes: self.notes,
            trouble,
            traces,
        }
    }

    fn trace(&self, gpu: GpuIndex, row: &Row) -> Trace {
        let seconds = |at: Moment| at.since(self.began).as_secs_f64();
        let column = |which: usize| row.samples.iter().map(|(_, values)| values[which]).collect();
        Trace {
            gpu,
            on_seconds: self.running.map(seconds),
            off_seconds: self.ended.map(seconds),
            seconds: row.samples.iter().map(|(at, _)| seconds(*at)).collect(),
            watts: column(0),
            watts_instant: column(1),
            clock_mhz: column(2),
            celsius: column(3),
        }
    }
}

impl Row {
    fn measured(&self, gpu: GpuIndex, (from, until): (Moment, Moment), work: Work, peak: Option<f64>) -> GpuMeasured {
        let sensor = |which: usize| {
            let values = self.samples.iter().filter_map(|(at, values)| Some((*at, values[which]?)));
            let inside: Vec<(Moment, f64)> = values.filter(|(at, _)| (from..=until).contains(at)).collect();
            covering(&readings(&inside, (from, until)), (from, until))
        };
        let rate = |take: fn(&Rate) -> f64| {
            let last = self.rates.last().map(|rate| rate.at);
            let inside = self.rates.iter().filter(|rate| rate.at >= from && rate.from <= until);
            let weighed: Vec<(f64, f64)> = inside
                .map(|rate| {
                    let begun = rate.from.max(from);
                    let held = if last == Some(rate.at) { rate.at + TOLD_EVERY } else { rate.at };
                    let stands_for = held.min(until).since(begun).min(TOLD_FOR);
                    (take(rate), stands_for.as_secs_f64())
                })
                .collect();
            covering(&weighed, (from, until)).filter(|spread| spread.most > 0.0)
        };
        let (tflops, clock) = (rate(|rate| rate.tflops), sensor(2));
        let per_clock = tflops.zip(clock).filter(|(_, clock)| clock.mean > 0.0);
        // 10^12 operations a second over 10^6 cycles a second.
        let per_clock = per_clock.map(|(tflops, clock)| tflops.mean / clock.mean);
        let is_bf16 = matches!(work, Work::Burn { kernel: kiln_model::BurnKernel::Bf16, .. });
        GpuMeasured {
            gpu,
            power_watts: sensor(0),
            power_instant_watts: sensor(1),
            clock_mhz: clock,
            celsius: sensor(3),
            memory_celsius: sensor(4),
            tflops,
            memory_gb_per_s: rate(|rate| rate.memory_gb_per_s),
            per_clock,
            duty_percent: per_clock.zip(peak).filter(|_| is_bf16).map(|(done, peak)| 100.0 * done / peak),
            covered_percent: self.covered,
            verified: self.verified,
            mismatches: self.mismatches,
            told: self.told.clone(),
            flips: self.flips,
            screened: self.screened.clone(),
        }
    }
}

/// Readings with the seconds that each stands for: half of the way to its neighbours, to the ends of the window for the
/// first and the last, and [`HELD`] at the most.
fn readings(values: &[(Moment, f64)], (from, until): (Moment, Moment)) -> Vec<(f64, f64)> {
    let seconds = |at: Moment| at.since(from).as_secs_f64();
    let held = HELD.as_secs_f64();
    let weighed = |(at, (moment, value)): (usize, &(Moment, f64))| {
        let here = seconds(*moment);
        let before = at.checked_sub(1).map_or(here, |before| (here - seconds(values[before].0)) / 2.0);
        let after = values.get(at + 1).map_or(seconds(until) - here, |(after, _)| (seconds(*after) - here) / 2.0);
        (*value, before.min(held) + after.min(held))
    };
    values.iter().enumerate().map(weighed).collect()
}

/// The statistic of values with the seconds that each stands for; none where they do not cover the window.
fn covering(weighed: &[(f64, f64)], (from, until): (Moment, Moment)) -> Option<Scatter> {
    let covered: f64 = weighed.iter().map(|(_, seconds)| seconds).sum();
    if covered < COVERED * until.since(from).as_secs_f64() {
        return None;
    }
    Scatter::weighed(weighed.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_load::worker::{Beside, Images};
    use kiln_model::{BurnKernel, LoadId, Span};

    #[test]
    fn the_first_third_warms_up_and_duty_is_work_over_clock_and_peak() {
        let work = Work::Burn { kernel: BurnKernel::Bf16, beside: Beside::Nothing, images: Images::Best };
        let phase = Phase { name: "bf16 alone".to_owned(), work, span: Span::from_secs(30) };
        let gpu = GpuIndex(0);
        let mut meter = Meter::new(&phase, [gpu], Moment::ZERO);
        let mut hear = |at, said| meter.hear(&LoadReport { load: LoadId(1), at: Moment::from_secs(at), said });
        hear(3, LoadSaid::Running);
        for at in 4..=33 {
            // Cold, it is faster.
            let tflops = if at < 13 { 900.0 } else { 700.0 };
            let (verified, mismatches) = (at * 1000, 0);
            hear(at, LoadSaid::Progress { gpu, tflops, memory_gb_per_s: 0.0, verified, mismatches });
        }
        hear(33, LoadSaid::Ended { gpu: None, end: LoadEnd::Finished });
        for at in 0..40 {
            let mut sample = Sample::new(gpu, Moment::from_secs(at));
            sample.put(Sensor::Power, if (13..=33).contains(&at) { 690.0 } else { 90.0 });
            sample.put(Sensor::ClockSm, 1400.0);
            meter.sample(&sample);
        }
        let unit = Unit {
            gpu,
            name: None,
            serial: None,
            uuid: None,
            sku: None,
            power_limit_watts: None,
            bf16_per_clock: Some(0.54),
        };
        let measured = meter.close(&[unit], Moment::from_secs(40));
        let gpu = &measured.gpus[0];
        assert_eq!(gpu.power_watts.map(|watts| (watts.mean, watts.deviation)), Some((690.0, Some(0.0))));
        assert_eq!(gpu.tflops.map(|tflops| (tflops.mean, tflops.count)), Some((700.0, 21)));
        assert_eq!(gpu.per_clock, Some(0.5));
        assert!((gpu.duty_percent.unwrap() - 92.59).abs() < 0.01 && gpu.memory_gb_per_s.is_none());
        assert_eq!((measured.seconds, gpu.verified, measured.trouble), (40.0, 33_000, None));
    }

    fn unit(power_limit_watts: Option<f64>) -> Unit {
        let gpu = GpuIndex(0);
        Unit { gpu, name: None, serial: None, uuid: None, sku: None, power_limit_watts, bf16_per_clock: None }
    }

    /// A phase of 30 s with readings of power at these seconds and reports of work until then.
    fn measured(work: Work, samples: &[(u64, f64)], told_until: u64, limit: Option<f64>) -> PhaseMeasured {
        let phase = Phase { name: "phase".to_owned(), work, span: Span::from_secs(30) };
        let gpu = GpuIndex(0);
        let mut meter = Meter::new(&phase, [gpu], Moment::ZERO);
        let mut hear = |at, said| meter.hear(&LoadReport { load: LoadId(1), at: Moment::from_secs(at), said });
        hear(0, LoadSaid::Running);
        for at in 1..=told_until {
            let (tflops, memory_gb_per_s, verified, mismatches) = (700.0, 4000.0, at, 0);
            hear(at, LoadSaid::Progress { gpu, tflops, memory_gb_per_s, verified, mismatches });
        }
        hear(30, LoadSaid::Ended { gpu: None, end: LoadEnd::Finished });
        for (at, watts) in samples {
            let mut sample = Sample::new(gpu, Moment::from_secs(*at));
            sample.put(Sensor::Power, *watts);
            meter.sample(&sample);
        }
        meter.close(&[unit(limit)], Moment::from_secs(30))
    }

    const BURN: Work = Work::Burn { kernel: BurnKernel::Bf16, beside: Beside::Nothing, images: Images::Best };

    #[test]
    fn a_phase_that_did_not_give_what_its_work_must_is_no_measurement() {
        let every: Vec<(u64, f64)> = (0..=30).map(|at| (at, 690.0)).collect();
        let few: Vec<(u64, f64)> = (0..=20).map(|at| (at, 690.0)).collect();
        let cases = [
            measured(BURN, &every, 30, Some(700.0)),
            // A part without a sensor of power owes none.
            measured(BURN, &[], 30, None),
            measured(BURN, &[], 30, Some(700.0)),
            measured(BURN, &few, 30, None),
            measured(BURN, &every, 0, None),
            measured(BURN, &every, 20, None),
            measured(Work::Rest, &[], 0, Some(700.0)),
            measured(Work::March { pattern: None }, &every, 0, None),
            measured(Work::HostCopy(kiln_model::CopyDirection::Both), &[], 0, None),
            measured(Work::Flips { kernel: BurnKernel::Bf16, count: 8 }, &[], 30, None),
            measured(Work::Screen { kernel: BurnKernel::Bf16 }, &every, 0, None),
        ];
        let told = cases.map(|one| {
            format!("{:?}: {}", one.work, one.trouble.map_or_else(|| "measured".to_owned(), |why| why.to_string()))
        });
        insta::assert_snapshot!(told.join("\n"));
    }

    /// A load told each second, and was stopped before it told again.
    #[test]
    fn the_last_report_stands_for_the_second_in_which_there_was_none_and_for_no_more() {
        let told = |ended: u64| {
            let phase = Phase { name: "phase".to_owned(), work: BURN, span: Span::from_millis(ended) };
            let gpu = GpuIndex(0);
            let mut meter = Meter::new(&phase, [gpu], Moment::ZERO);
            let end = Moment::ZERO + Span::from_millis(ended);
            let mut hear = |at, said| meter.hear(&LoadReport { load: LoadId(1), at, said });
            hear(Moment::ZERO, LoadSaid::Running);
            for at in [1, 2] {
                let progress =
                    LoadSaid::Progress { gpu, tflops: 700.0, memory_gb_per_s: 0.0, verified: 1, mismatches: 0 };
                hear(Moment::from_secs(at), progress);
            }
            hear(end, LoadSaid::Ended { gpu: None, end: LoadEnd::Stopped });
            meter.close(&[unit(None)], end).gpus[0].tflops.map(|tflops| tflops.mean)
        };
        assert_eq!((told(2_900), told(6_000)), (Some(700.0), None));
    }

    /// The driver answered once in a second, and then four times as often.
    #[test]
    fn a_reading_weighs_as_much_as_the_time_it_stands_for() {
        let phase = Phase { name: "rest".to_owned(), work: Work::Rest, span: Span::from_secs(30) };
        let gpu = GpuIndex(0);
        let mut meter = Meter::new(&phase, [gpu], Moment::ZERO);
        let slow = (0..20).map(|second| (second * 1000, 100.0));
        let fast = (80..=120).map(|quarter| (quarter * 250, 200.0));
        for (millis, watts) in slow.chain(fast) {
            let mut sample = Sample::new(gpu, Moment::ZERO + Span::from_millis(millis));
            sample.put(Sensor::Power, watts);
            meter.sample(&sample);
        }
        let measured = meter.close(&[unit(None)], Moment::from_secs(30));
        // Ten seconds of each, but for half of the gap between them.
        let watts = measured.gpus[0].power_watts.unwrap();
        assert!((watts.mean - 152.5).abs() < 1e-9 && watts.count == 51, "{watts:?}");
    }
}
