//! The fold of one phase: samples and what the load says in, what was measured out.

use std::collections::BTreeMap;

use kiln_model::{GpuIndex, LoadEnd, LoadReport, LoadSaid, Mismatch, Moment, Sample, Sensor, Transfer};

use super::document::{Flips, GpuMeasured, Measured, Trace, Unit};
use super::phase::{Phase, Work};
use super::scatter::Scatter;

/// Share of a phase that warms up.
const WARM_UP: f64 = 1.0 / 3.0;

#[derive(Debug, Default)]
struct Row {
    /// When, and a value of each of [`SENSORS`].
    samples: Vec<(Moment, [Option<f64>; 5])>,
    rates: Vec<(Moment, f64, f64)>,
    covered: Option<f64>,
    flips: Option<Flips>,
    verified: u64,
    mismatches: u64,
    told: Vec<Mismatch>,
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
    trouble: Option<String>,
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
    pub fn trouble(&mut self, why: String) {
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
                    // Copies tell of what they compared, and do no such work.
                    if *tflops > 0.0 || *memory_gb_per_s > 0.0 {
                        row.rates.push((report.at, *tflops, *memory_gb_per_s));
                    }
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
            LoadSaid::Moved(transfer) => self.transfers.push(*transfer),
            LoadSaid::Noted { what, .. } => self.notes.push(what.clone()),
            LoadSaid::Ended { gpu, end } => {
                if gpu.is_none() {
                    self.ended = Some(report.at);
                }
                let why = match end {
                    LoadEnd::Finished | LoadEnd::Stopped => return,
                    LoadEnd::GpuLost => "the GPU went away under the load".to_owned(),
                    LoadEnd::Failed(why) => why.clone(),
                    LoadEnd::Unkillable => "the load does not die: the driver holds it".to_owned(),
                };
                self.trouble(why);
            }
            LoadSaid::Program(_) => {}
        }
    }

    /// What it came to.
    pub fn close(self, units: &[Unit], now: Moment) -> Measured {
        let from = self.running.unwrap_or(self.began);
        let until = self.ended.unwrap_or(now);
        let warm = from + until.since(from).mul_f64(WARM_UP);
        let measured = |(gpu, row): (&GpuIndex, &Row)| {
            let peak = units.iter().find(|unit| unit.gpu == *gpu).and_then(|unit| unit.bf16_per_clock);
            row.measured(*gpu, (warm, until), self.phase.work, peak)
        };
        let gpus = self.rows.iter().map(measured).collect();
        let traces = match self.phase.work {
            Work::Step { .. } => self.rows.iter().map(|(gpu, row)| self.trace(*gpu, row)).collect(),
            _ => Vec::new(),
        };
        Measured {
            name: self.phase.name,
            work: self.phase.work,
            seconds: now.since(self.began).as_secs_f64(),
            gpus,
            transfers: self.transfers,
            notes: self.notes,
            trouble: self.trouble,
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
            let inside = self.samples.iter().filter(|(at, _)| (from..=until).contains(at));
            Scatter::of(&inside.filter_map(|(_, values)| values[which]).collect::<Vec<f64>>())
        };
        let rate = |take: fn(&(Moment, f64, f64)) -> f64| {
            let inside: Vec<f64> = self.rates.iter().filter(|(at, ..)| (from..=until).contains(at)).map(take).collect();
            // A load that is shorter than its own reports has told of its work at its end alone.
            let all = || self.rates.iter().map(take).collect::<Vec<f64>>();
            Scatter::of(&if inside.is_empty() { all() } else { inside }).filter(|spread| spread.most > 0.0)
        };
        let (tflops, clock) = (rate(|rate| rate.1), sensor(2));
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
            memory_gb_per_s: rate(|rate| rate.2),
            per_clock,
            duty_percent: per_clock.zip(peak).filter(|_| is_bf16).map(|(done, peak)| 100.0 * done / peak),
            covered_percent: self.covered,
            verified: self.verified,
            mismatches: self.mismatches,
            told: self.told.clone(),
            flips: self.flips,
        }
    }
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
}
