//! A recording as a station: the readings are the recording's, and there is nothing to put a load on.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufReader, Read as _};
use std::path::Path;

use anyhow::Context as _;

use super::command_error::{CommandError, Sorted as _};
use crate::disk::{self, GIB};
use crate::engine::{Arrivals, Dut};
use crate::model::{
    GpuIndex, LoadEnd, LoadFault, LoadId, LoadKind, LoadOrder, LoadReport, LoadSaid, Moment, Probe, Sample, Sensor,
    Span, StopHow,
};
use crate::node::record::{Recording, Replay};

/// A GPU that is this busy, in percent, had a load on it. One at rest shows a few percent at the most.
const BUSY: f64 = 50.0;
/// The most that is read of a recording: eight GPUs once a second are 20 MB an hour.
const MOST: u64 = 4 * GIB;
/// How long after its start a load may begin to show: workers take some seconds, and utilisation is averaged over one.
const SHOWS_WITHIN: Span = Span::from_secs(30);

/// A burn that the recording shows is over with the first sample that is not busy: what follows is no load. A pulse is idle
/// for half of each of its periods, the slowest of which last some twenty seconds.
const PULSE_RESTS: Span = Span::from_secs(30);

/// A load that the recording shows.
#[derive(Debug)]
struct Shown {
    load: LoadId,
    /// When each of its GPUs was busy last.
    busy: BTreeMap<GpuIndex, Moment>,
    /// How long a GPU may be idle without the load being over.
    rests: Span,
}

/// A load that the recording has not shown yet.
#[derive(Debug)]
struct Awaited {
    load: LoadId,
    /// All of its GPUs, and those still to show it.
    gpus: BTreeSet<GpuIndex>,
    missing: BTreeSet<GpuIndex>,
    since: Moment,
    rests: Span,
}

/// A recording being played.
#[derive(Debug)]
pub(super) struct Playback {
    replay: Replay,
    reports: Vec<LoadReport>,
    awaited: Vec<Awaited>,
    shown: Vec<Shown>,
}

impl Playback {
    pub(super) fn open(path: &Path) -> Result<Self, CommandError> {
        let shown = path.display();
        let opened = disk::open_bounded(path, MOST);
        let file = opened.with_context(|| format!("the recording {shown} cannot be opened")).usage()?;
        let recording =
            Recording::read(BufReader::new(file.take(MOST))).with_context(|| format!("recording {shown}")).usage()?;
        Ok(Self { replay: Replay::new(recording), reports: Vec::new(), awaited: Vec::new(), shown: Vec::new() })
    }

    /// Looks for loads in what the recording shows now: those awaited, and whether those shown go on.
    fn look_for_loads(&mut self, now: Moment, samples: &[Sample]) {
        let util = |gpu: GpuIndex| {
            let own = samples.iter().filter(|sample| sample.gpu == gpu);
            own.filter_map(|sample| sample.get(Sensor::UtilGpu)).reduce(f64::max)
        };
        for shown in &mut self.shown {
            let (load, rests) = (shown.load, shown.rests);
            shown.busy.retain(|gpu, last| match util(*gpu) {
                Some(util) if util >= BUSY => {
                    *last = now;
                    true
                }
                Some(_) if now.since(*last) > rests => {
                    let why = LoadFault::RecordedAtRest { gpu: *gpu, from: now };
                    let said = LoadSaid::Ended { gpu: Some(*gpu), end: LoadEnd::Failed(why) };
                    self.reports.push(LoadReport { load, at: now, said });
                    false
                }
                _ => true,
            });
        }
        for mut awaited in std::mem::take(&mut self.awaited) {
            awaited.missing.retain(|gpu| util(*gpu).is_none_or(|util| util < BUSY));
            let load = awaited.load;
            let said = if awaited.missing.is_empty() {
                let busy = awaited.gpus.into_iter().map(|gpu| (gpu, now)).collect();
                self.shown.push(Shown { load, busy, rests: awaited.rests });
                LoadSaid::Running
            } else if now < awaited.since + SHOWS_WITHIN {
                self.awaited.push(awaited);
                continue;
            } else {
                let why = LoadFault::RecordedIdle { gpus: awaited.missing.iter().copied().collect() };
                LoadSaid::Ended { gpu: None, end: LoadEnd::Failed(why) }
            };
            self.reports.push(LoadReport { load, at: now, said });
        }
    }

    /// Ends every load where the recording does.
    fn end_loads(&mut self, now: Moment) {
        let awaited = self.awaited.drain(..).map(|awaited| awaited.load);
        let loads: Vec<LoadId> = awaited.chain(self.shown.drain(..).map(|shown| shown.load)).collect();
        self.reports.extend(loads.into_iter().map(|load| over(load, now)));
    }
}

fn over(load: LoadId, at: Moment) -> LoadReport {
    LoadReport { load, at, said: LoadSaid::Ended { gpu: None, end: LoadEnd::Failed(LoadFault::RecordingOver) } }
}

impl Dut for Playback {
    fn read_inventory(&mut self, now: Moment) {
        self.replay.read_inventory(now);
    }

    fn sample(&mut self, now: Moment) {
        self.replay.sample(now);
    }

    fn ask(&mut self, now: Moment, probe: Probe) {
        self.replay.ask(now, probe);
    }

    /// What ran on the node while it was recorded is not in the recording, but that something ran shows. Then its readings
    /// are those of a load and can be judged; what a load itself would have measured stays unmeasured, which is never a pass.
    fn start_load(&mut self, now: Moment, order: &LoadOrder) {
        let rests = match order.kind {
            LoadKind::Burn(_) | LoadKind::Screen { .. } => Some(Span::ZERO),
            LoadKind::Pulse { .. } => Some(PULSE_RESTS),
            _ => None,
        };
        if let Some(rests) = rests {
            if self.replay.is_over(now) {
                self.reports.push(over(order.id, now));
            } else {
                let (gpus, missing) = (order.gpus.clone(), order.gpus.clone());
                self.awaited.push(Awaited { load: order.id, gpus, missing, since: now, rests });
            }
            return;
        }
        let said = LoadSaid::Ended { gpu: None, end: LoadEnd::Failed(LoadFault::ReadingsOnly) };
        self.reports.push(LoadReport { load: order.id, at: now, said });
    }

    fn stop_load(&mut self, now: Moment, load: LoadId, _how: StopHow) {
        self.awaited.retain(|awaited| awaited.load != load);
        self.shown.retain(|shown| shown.load != load);
        let said = LoadSaid::Ended { gpu: None, end: LoadEnd::Stopped };
        self.reports.push(LoadReport { load, at: now, said });
    }

    fn collect(&mut self, now: Moment, arrivals: &mut Arrivals) {
        let before = arrivals.samples.len();
        self.replay.collect(now, arrivals);
        self.look_for_loads(now, &arrivals.samples[before..]);
        if self.replay.is_over(now) {
            self.end_loads(now);
        }
        arrivals.loads.append(&mut self.reports);
    }

    fn next_arrival(&self) -> Option<Moment> {
        let told = self.reports.first().map(|report| report.at);
        let given_up = self.awaited.iter().map(|awaited| awaited.since + SHOWS_WITHIN);
        self.replay.next_arrival().into_iter().chain(told).chain(given_up).min()
    }

    fn on_arrival(&mut self, wake: Box<dyn Fn() + Send + Sync>) {
        self.replay.on_arrival(wake);
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;
    use crate::model::BurnKernel;
    use crate::node::record::Recorder;

    /// What is said of a burn on two GPUs in a recording of a minute that shows each busy, in percent, at each second.
    fn burn_over(busy: impl Fn(u64) -> [f64; 2]) -> Vec<(u64, LoadSaid)> {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("node.jsonl");
        let mut recorder = Recorder::new(File::create(&path).expect("file"), "test").expect("head");
        let mut arrivals = Arrivals::default();
        arrivals.inventories.push(Ok(Box::default()));
        recorder.take(Moment::ZERO, &mut arrivals).expect("written");
        for second in 0..60 {
            for (gpu, util) in [GpuIndex(0), GpuIndex(1)].into_iter().zip(busy(second)) {
                let mut sample = Sample::new(gpu, Moment::from_secs(second));
                sample.put(Sensor::UtilGpu, util);
                arrivals.samples.push(sample);
            }
            recorder.take(Moment::from_secs(second), &mut arrivals).expect("written");
        }
        let mut playback = Playback::open(&path).expect("recording");
        let gpus = [GpuIndex(0), GpuIndex(1)].into();
        let order = LoadOrder { id: LoadId(1), kind: LoadKind::Burn(BurnKernel::Bf16), gpus, seed: 1, span: None };
        playback.start_load(Moment::ZERO, &order);
        let mut said = Vec::new();
        for second in 0..70 {
            let now = Moment::from_secs(second);
            let mut arrivals = Arrivals::default();
            playback.sample(now);
            playback.collect(now, &mut arrivals);
            said.extend(arrivals.loads.into_iter().map(|report| (second, report.said)));
        }
        said
    }

    fn ended(gpu: Option<u8>, why: LoadFault) -> LoadSaid {
        LoadSaid::Ended { gpu: gpu.map(GpuIndex), end: LoadEnd::Failed(why) }
    }

    #[test]
    fn a_load_runs_on_a_recording_only_where_and_as_long_as_the_recording_shows_one() {
        let over = ended(None, LoadFault::RecordingOver);
        assert_eq!(burn_over(|_| [99.0, 97.0]), [(0, LoadSaid::Running), (60, over.clone())]);
        let none = ended(None, LoadFault::RecordedIdle { gpus: vec![GpuIndex(1)] });
        assert_eq!(burn_over(|_| [99.0, 2.0]), [(30, none)]);
        let stops = burn_over(|second| [99.0, if second < 20 { 99.0 } else { 0.0 }]);
        let gone = ended(Some(1), LoadFault::RecordedAtRest { gpu: GpuIndex(1), from: Moment::from_secs(20) });
        assert_eq!(stops, [(0, LoadSaid::Running), (20, gone), (60, over)]);
    }
}
