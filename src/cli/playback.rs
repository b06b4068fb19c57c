//! A recording as a station: the readings are the recording's, and there is nothing to put a load on.

use std::collections::BTreeSet;
use std::io::{BufReader, Read as _};
use std::path::Path;

use anyhow::Context as _;

use super::trouble::{Sorted as _, Trouble};
use crate::disk::{self, GIB};
use crate::engine::{Inbox, Station};
use crate::model::{
    GpuIndex, LoadEnd, LoadId, LoadKind, LoadOrder, LoadReport, LoadSaid, Moment, Probe, Sample, Sensor, Span, StopHow,
};
use crate::node::record::{Recording, Replay};

/// A GPU that is this busy, in percent, had a load on it. One at rest shows a few percent at the most.
const BUSY: f64 = 50.0;
/// The most that is read of a recording: eight GPUs once a second are 20 MB an hour.
const MOST: u64 = 4 * GIB;
/// How long after its start a load may begin to show: workers take some seconds, and utilisation is averaged over one.
const SHOWS_WITHIN: Span = Span::from_secs(30);

/// A recording being played.
#[derive(Debug)]
pub(super) struct Playback {
    replay: Replay,
    reports: Vec<LoadReport>,
    /// Loads that the recording has not shown yet, with the GPUs still to show them.
    awaited: Vec<(LoadId, BTreeSet<GpuIndex>, Moment)>,
}

impl Playback {
    pub(super) fn open(path: &Path) -> Result<Self, Trouble> {
        let shown = path.display();
        let opened = disk::open_bounded(path, MOST);
        let file = opened.with_context(|| format!("the recording {shown} cannot be opened")).usage()?;
        let recording =
            Recording::read(BufReader::new(file.take(MOST))).with_context(|| format!("recording {shown}")).usage()?;
        Ok(Self { replay: Replay::new(recording), reports: Vec::new(), awaited: Vec::new() })
    }

    /// Looks for awaited loads in what the recording shows now.
    fn look_for_loads(&mut self, now: Moment, samples: &[Sample]) {
        let busy = |gpu: &GpuIndex| {
            samples
                .iter()
                .any(|sample| sample.gpu == *gpu && sample.get(Sensor::UtilGpu).is_some_and(|util| util >= BUSY))
        };
        for (load, gpus, since) in std::mem::take(&mut self.awaited) {
            let still: BTreeSet<GpuIndex> = gpus.into_iter().filter(|gpu| !busy(gpu)).collect();
            let said = if still.is_empty() {
                LoadSaid::Running
            } else if now < since + SHOWS_WITHIN {
                self.awaited.push((load, still, since));
                continue;
            } else {
                let idle: Vec<String> = still.iter().map(|gpu| format!("gpu/{}", gpu.0)).collect();
                let why = format!("the recording shows no load at this time on {}", idle.join(", "));
                LoadSaid::Ended { gpu: None, end: LoadEnd::Failed(why) }
            };
            self.reports.push(LoadReport { load, at: now, said });
        }
    }
}

impl Station for Playback {
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
        if let LoadKind::Burn(_) | LoadKind::Pulse { .. } = order.kind {
            self.awaited.push((order.id, order.gpus.clone(), now));
            return;
        }
        let why = "a recording holds readings only: nothing can be copied, written or run on it".to_owned();
        let said = LoadSaid::Ended { gpu: None, end: LoadEnd::Failed(why) };
        self.reports.push(LoadReport { load: order.id, at: now, said });
    }

    fn stop_load(&mut self, now: Moment, load: LoadId, _how: StopHow) {
        self.awaited.retain(|(awaited, ..)| *awaited != load);
        let said = LoadSaid::Ended { gpu: None, end: LoadEnd::Stopped };
        self.reports.push(LoadReport { load, at: now, said });
    }

    fn collect(&mut self, now: Moment, inbox: &mut Inbox) {
        let before = inbox.samples.len();
        self.replay.collect(now, inbox);
        self.look_for_loads(now, &inbox.samples[before..]);
        inbox.loads.append(&mut self.reports);
    }

    fn next_arrival(&self) -> Option<Moment> {
        let told = self.reports.first().map(|report| report.at);
        let given_up = self.awaited.iter().map(|(.., since)| *since + SHOWS_WITHIN);
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

    /// What becomes of a burn on two GPUs in a recording that shows them so busy, in percent.
    fn burn_over(busy: [f64; 2]) -> LoadSaid {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("node.jsonl");
        let mut recorder = Recorder::new(File::create(&path).expect("file"), "test").expect("head");
        let mut inbox = Inbox::default();
        inbox.inventories.push(Ok(Box::default()));
        recorder.take(Moment::ZERO, &mut inbox).expect("written");
        for second in 0..60 {
            for (gpu, util) in [GpuIndex(0), GpuIndex(1)].into_iter().zip(busy) {
                let mut sample = Sample::new(gpu, Moment::from_secs(second));
                sample.put(Sensor::UtilGpu, util);
                inbox.samples.push(sample);
            }
            recorder.take(Moment::from_secs(second), &mut inbox).expect("written");
        }
        let mut playback = Playback::open(&path).expect("recording");
        let gpus = [GpuIndex(0), GpuIndex(1)].into();
        let order = LoadOrder { id: LoadId(1), kind: LoadKind::Burn(BurnKernel::Bf16), gpus, seed: 1, span: None };
        playback.start_load(Moment::ZERO, &order);
        for second in 0..60 {
            let now = Moment::from_secs(second);
            let mut inbox = Inbox::default();
            playback.sample(now);
            playback.collect(now, &mut inbox);
            if let Some(report) = inbox.loads.pop() {
                return report.said;
            }
        }
        panic!("nothing became of it");
    }

    #[test]
    fn a_load_runs_on_a_recording_only_where_the_recording_shows_one() {
        assert_eq!(burn_over([99.0, 97.0]), LoadSaid::Running);
        let why = "the recording shows no load at this time on gpu/1".to_owned();
        assert_eq!(burn_over([99.0, 2.0]), LoadSaid::Ended { gpu: None, end: LoadEnd::Failed(why) });
    }
}
