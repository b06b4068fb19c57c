//! The workers of one load together: they begin at the same moment, and what each says becomes one load's reports.

use super::worker_handle::{News, WorkerHandle};
use crate::worker::monotonic_nanos;
use kiln_model::{LoadEnd, LoadId, LoadReport, LoadSaid, Moment, StopHow};

/// From the word to begin to the beginning: enough for every worker to have read it.
const HEAD_START_NANOS: u64 = 50_000_000;
/// Mismatches of a load that are told one by one.
const TOLD: u32 = 64;

#[derive(Debug)]
pub(super) struct Group {
    id: LoadId,
    workers: Vec<WorkerHandle>,
    begun: bool,
    told_running: bool,
    /// Whether it was asked to stop.
    stopped: bool,
    /// Hands that have said that they run.
    running: usize,
    mismatches: u32,
    /// The worst end of those not told one by one.
    end: Option<LoadEnd>,
}

impl Group {
    pub(super) const fn new(id: LoadId, workers: Vec<WorkerHandle>) -> Self {
        Self { id, workers, begun: false, told_running: false, stopped: false, running: 0, mismatches: 0, end: None }
    }

    pub(super) const fn id(&self) -> LoadId {
        self.id
    }

    pub(super) fn is_over(&self) -> bool {
        self.workers.iter().all(WorkerHandle::is_over)
    }

    pub(super) fn stop(&mut self, now: Moment, how: StopHow) {
        self.stopped = true;
        self.workers.iter_mut().for_each(|worker| worker.stop(now, how));
    }

    /// Looks at every worker and reports. The last report of a group is the end of the whole load.
    pub(super) fn turn(&mut self, now: Moment, reports: &mut Vec<LoadReport>) {
        let mut news = Vec::new();
        for at in 0..self.workers.len() {
            let was_over = self.workers[at].is_over();
            self.workers[at].turn(now, &mut news);
            for news in news.drain(..) {
                self.tell(now, at, news, reports);
            }
            debug_assert!(!was_over || self.workers[at].is_over(), "a worker does not come back");
        }
        if self.is_over() {
            let end = self.end.take().unwrap_or(LoadEnd::Stopped);
            self.report(now, LoadSaid::Ended { gpu: None, end }, reports);
            return;
        }
        let ready = self.workers.iter().all(|worker| worker.is_ready() || worker.is_over());
        if ready && !self.begun && !self.stopped {
            self.begun = true;
            let at = monotonic_nanos() + HEAD_START_NANOS;
            self.workers.iter_mut().for_each(|worker| worker.begin(now, at));
        }
        let working = self.workers.iter().filter(|worker| !worker.is_over()).count();
        if self.running >= working && !self.told_running && self.begun {
            self.told_running = true;
            self.report(now, LoadSaid::Running, reports);
        }
    }

    fn report(&self, now: Moment, said: LoadSaid, reports: &mut Vec<LoadReport>) {
        reports.push(LoadReport { load: self.id, at: now, said });
    }

    fn tell(&mut self, now: Moment, at: usize, news: News, reports: &mut Vec<LoadReport>) {
        match news {
            News::Said(LoadSaid::Running) => self.running += 1,
            News::Said(LoadSaid::Mismatched(mismatch)) => {
                self.mismatches += 1;
                if self.mismatches <= TOLD {
                    self.report(now, LoadSaid::Mismatched(mismatch), reports);
                }
            }
            News::Said(said) => self.report(now, said, reports),
            News::Over(end) => {
                let troubled = !matches!(end, LoadEnd::Finished | LoadEnd::Stopped);
                if troubled && self.workers.len() > 1 {
                    for gpu in self.workers[at].gpus.clone() {
                        self.report(now, LoadSaid::Ended { gpu: Some(gpu), end: end.clone() }, reports);
                    }
                }
                // With no other worker left to end well, the trouble is the load's.
                let worst = self.end.take().map_or(end.clone(), |other| worse(other, end));
                self.end = Some(worst);
            }
        }
    }

    pub(super) fn due(&self) -> Option<Moment> {
        self.workers.iter().filter_map(WorkerHandle::due).min()
    }
}

/// The end that says more of the load as a whole: trouble of one GPU is told for that GPU, so an orderly end of the
/// others stands for the rest, except that a worker which cannot be killed may still load its GPU.
fn worse(one: LoadEnd, other: LoadEnd) -> LoadEnd {
    let rank = |end: &LoadEnd| match end {
        LoadEnd::Unkillable => 4,
        LoadEnd::Stopped => 3,
        LoadEnd::Finished => 2,
        LoadEnd::Failed(_) => 1,
        LoadEnd::GpuLost => 0,
    };
    if rank(&other) > rank(&one) { other } else { one }
}
