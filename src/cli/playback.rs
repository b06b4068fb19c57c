//! A recording as a station: the readings are the recording's, and there is nothing to put a load on.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use anyhow::Context as _;

use super::trouble::{Sorted as _, Trouble};
use crate::engine::{Inbox, Station};
use crate::model::{LoadEnd, LoadId, LoadKind, LoadOrder, LoadReport, LoadSaid, Moment, Probe, StopHow};
use crate::node::record::{Recording, Replay};

/// A recording being played.
#[derive(Debug)]
pub(super) struct Playback {
    replay: Replay,
    reports: Vec<LoadReport>,
}

impl Playback {
    pub(super) fn open(path: &Path) -> Result<Self, Trouble> {
        let shown = path.display();
        let file = File::open(path).with_context(|| format!("the recording {shown} cannot be opened")).usage()?;
        let recording = Recording::read(BufReader::new(file)).with_context(|| format!("recording {shown}")).usage()?;
        Ok(Self { replay: Replay::new(recording), reports: Vec::new() })
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

    /// What ran on the node while it was recorded is in its readings. Loads that only heat are let go on, so that those
    /// readings can be judged; what a load itself would have measured stays unmeasured, which is never a pass.
    fn start_load(&mut self, now: Moment, order: &LoadOrder) {
        let said = match order.kind {
            LoadKind::Burn(_) | LoadKind::Pulse { .. } => LoadSaid::Running,
            _ => {
                let why = "a recording holds readings only: nothing can be copied or written on it".to_owned();
                LoadSaid::Ended { gpu: None, end: LoadEnd::Failed(why) }
            }
        };
        self.reports.push(LoadReport { load: order.id, at: now, said });
    }

    fn stop_load(&mut self, now: Moment, load: LoadId, _how: StopHow) {
        let said = LoadSaid::Ended { gpu: None, end: LoadEnd::Stopped };
        self.reports.push(LoadReport { load, at: now, said });
    }

    fn collect(&mut self, now: Moment, inbox: &mut Inbox) {
        self.replay.collect(now, inbox);
        inbox.loads.append(&mut self.reports);
    }

    fn next_arrival(&self) -> Option<Moment> {
        let told = self.reports.first().map(|report| report.at);
        self.replay.next_arrival().into_iter().chain(told).min()
    }

    fn on_arrival(&mut self, wake: Box<dyn Fn() + Send + Sync>) {
        self.replay.on_arrival(wake);
    }
}
