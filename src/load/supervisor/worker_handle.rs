//! One worker as the supervisor sees it: what it must report by when, how it is stopped, and what happens if it violates the
//! protocol. Time is an argument.

use std::collections::BTreeSet;

use super::line::Heard;
use super::process::{Exit, Process};
use crate::worker::{FromWorker, LineError, ToWorker, VERSION, decode, encode};
use kiln_model::{GpuIndex, LoadEnd, LoadFault, LoadSaid, Moment, Span, StopHow, WorkerBreach};

/// A fifth of the worker's lease.
const RENEW_EVERY: Span = Span::from_secs(1);
/// Time to start a process and read one line, on a machine that starts other workers at the same time.
const HELLO_WITHIN: Span = Span::from_secs(20);
/// Creating a context and loading a kernel module take seconds, filling 288 GB of memory some more; the rest is a margin.
const READY_WITHIN: Span = Span::from_secs(120);
/// A worker sends a message every second. If thirty are missing, a driver call does not return.
const SILENCE: Span = Span::from_secs(30);
/// The times from the order to stop to SIGTERM, and from there to SIGKILL. Together with [`KILLED_WITHIN`] they are shorter than
/// the time after which the engine gives up by itself.
const ASKED_FOR: Span = Span::from_secs(3);
const TERMINATED_FOR: Span = Span::from_secs(3);
/// A killed process that still exists after this time is stuck in a driver call inside the kernel.
const KILLED_WITHIN: Span = Span::from_secs(8);
/// Interval between checks for the end of a process whose pipe has closed.
const LOOK_AGAIN: Span = Span::from_millis(20);
/// Time to read what a dead worker has written, if a process that it started keeps the pipe open.
const LEFT_IN_PIPE: Span = Span::from_secs(1);
/// The most messages that a worker may send between two renewals of its lease. The busiest, an all-to-all of 16 GPUs, sends 240 in one go.
const FLOOD: u32 = 4000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Starting,
    SettingUp,
    Ready,
    Working,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Asked,
    Terminated,
    Killed,
}

/// What a worker reports to its group.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum News {
    Said(LoadSaid),
    Over(LoadEnd),
}

#[derive(Debug)]
pub(super) struct WorkerHandle {
    pub(super) gpus: BTreeSet<GpuIndex>,
    process: Box<dyn Process>,
    phase: Phase,
    /// When it entered its phase or last sent a message.
    heard_at: Moment,
    renewed: Option<Moment>,
    leases: u64,
    since_renewal: u32,
    stopping: Option<(Step, Moment)>,
    /// Whether it was ordered to stop, rather than killed for a violation.
    ordered: bool,
    /// The end that it reported itself.
    said_end: Option<LoadEnd>,
    /// Its first violation of the protocol.
    broke: Option<WorkerBreach>,
    closed: bool,
    /// How and when its process was found ended.
    exit: Option<(Exit, Moment)>,
    /// When its end was last looked for.
    looked: Option<Moment>,
    over: bool,
}

impl WorkerHandle {
    pub(super) fn new(now: Moment, gpus: BTreeSet<GpuIndex>, mut process: Box<dyn Process>, order: &ToWorker) -> Self {
        process.send(&encode(order));
        Self {
            gpus,
            process,
            phase: Phase::Starting,
            heard_at: now,
            renewed: None,
            leases: 0,
            since_renewal: 0,
            stopping: None,
            ordered: false,
            said_end: None,
            broke: None,
            closed: false,
            exit: None,
            looked: None,
            over: false,
        }
    }

    pub(super) fn is_ready(&self) -> bool {
        matches!(self.phase, Phase::Ready | Phase::Working)
    }

    pub(super) const fn is_over(&self) -> bool {
        self.over
    }

    pub(super) fn begin(&mut self, now: Moment, at: u64) {
        if self.phase == Phase::Ready {
            self.phase = Phase::Working;
            self.heard_at = now;
            self.process.send(&encode(&ToWorker::Begin { at }));
        }
    }

    pub(super) fn stop(&mut self, now: Moment, how: StopHow) {
        self.ordered |= self.stopping.is_none();
        let step = if how == StopHow::Kill { Step::Killed } else { Step::Asked };
        self.escalate(now, step);
    }

    fn escalate(&mut self, now: Moment, step: Step) {
        if self.over || self.stopping.is_some_and(|(taken, _)| taken >= step) {
            return;
        }
        self.stopping = Some((step, now));
        tracing::debug!(at = %now, gpus = ?self.gpus, ?step, "stops a worker");
        match step {
            Step::Asked => self.process.send(&encode(&ToWorker::Stop)),
            Step::Terminated => self.process.terminate(),
            Step::Killed => self.process.kill(),
        }
    }

    /// Handles its messages, does what is due, and collects what its group must know.
    pub(super) fn turn(&mut self, now: Moment, news: &mut Vec<News>) {
        if self.over {
            return;
        }
        self.listen(now, news);
        self.look_at_the_clock(now);
        if self.closed || self.stopping.is_some() || self.said_end.is_some() {
            self.look_for_the_end(now, news);
        }
    }

    fn listen(&mut self, now: Moment, news: &mut Vec<News>) {
        // Messages after a violation are ignored; there may be no end to them.
        while self.broke.is_none()
            && let Some(heard) = self.process.hear()
        {
            match heard {
                Heard::Closed => self.closed = true,
                Heard::TooLong => {
                    self.closed = true;
                    self.fail(now, WorkerBreach::EndlessLine);
                }
                Heard::Half(half) => {
                    // A killed worker may stop in the middle of a line.
                    if self.stopping.is_none() {
                        self.fail(now, WorkerBreach::HalfLine { half });
                    }
                }
                Heard::Line(line) => {
                    self.since_renewal += 1;
                    if self.since_renewal > FLOOD {
                        self.fail(now, WorkerBreach::Floods { most: FLOOD });
                        return;
                    }
                    match decode(&line) {
                        Ok(message) => self.take(now, message, news),
                        Err(LineError::Version { theirs }) => {
                            self.fail(now, WorkerBreach::OtherVersion { theirs, ours: VERSION });
                        }
                        Err(LineError::Garbage { excerpt }) => self.fail(now, WorkerBreach::BadLine { excerpt }),
                    }
                }
            }
        }
    }

    fn take(&mut self, now: Moment, message: FromWorker, news: &mut Vec<News>) {
        self.heard_at = now;
        if !matches!(message, FromWorker::Alive | FromWorker::Said(_)) {
            tracing::debug!(at = %now, gpus = ?self.gpus, phase = ?self.phase, ?message, "a worker spoke");
        }
        match (self.phase, message) {
            (_, FromWorker::Alive) => {}
            (Phase::Starting, FromWorker::Hello { .. }) => self.phase = Phase::SettingUp,
            (Phase::SettingUp, FromWorker::Ready) => self.phase = Phase::Ready,
            (Phase::Starting, _) => self.fail(now, WorkerBreach::SpokeEarly),
            (_, FromWorker::Said(LoadSaid::Ended { gpu: None, end })) => {
                self.said_end.get_or_insert(end);
                self.escalate(now, Step::Asked);
            }
            (Phase::Working, FromWorker::Said(said)) => news.push(News::Said(said)),
            // A wrong result may appear while the worker still computes the expected results.
            (
                _,
                FromWorker::Said(said @ (LoadSaid::Noted { .. } | LoadSaid::Mismatched(_) | LoadSaid::Ended { .. })),
            ) => {
                news.push(News::Said(said));
            }
            (_, message) => self.fail(now, WorkerBreach::OutOfTurn { message: format!("{message:?}") }),
        }
    }

    fn fail(&mut self, now: Moment, why: WorkerBreach) {
        if self.broke.is_none() {
            tracing::warn!(at = %now, gpus = ?self.gpus, %why, "a worker broke the rules");
            self.broke = Some(why);
            self.escalate(now, Step::Killed);
        }
    }

    /// Returns the longest silence allowed in its phase, and the violation that a longer one is.
    const fn patience(&self) -> Option<(Span, WorkerBreach)> {
        match self.phase {
            Phase::Starting => Some((HELLO_WITHIN, WorkerBreach::DidNotComeUp { after: HELLO_WITHIN })),
            Phase::SettingUp => Some((READY_WITHIN, WorkerBreach::DidNotGetReady { after: READY_WITHIN })),
            // It waits for the other workers.
            Phase::Ready => None,
            Phase::Working => Some((SILENCE, WorkerBreach::Silent { after: SILENCE })),
        }
    }

    fn look_at_the_clock(&mut self, now: Moment) {
        if self.renewed.is_none_or(|at| at + RENEW_EVERY <= now) && self.stopping.is_none() {
            self.renewed = Some(now);
            self.since_renewal = 0;
            self.leases += 1;
            self.process.send(&encode(&ToWorker::Lease(self.leases)));
        }
        match (self.stopping, self.patience()) {
            (Some((Step::Asked, at)), _) if at + ASKED_FOR <= now => self.escalate(now, Step::Terminated),
            (Some((Step::Terminated, at)), _) if at + TERMINATED_FOR <= now => self.escalate(now, Step::Killed),
            (None, Some((span, why))) if self.heard_at + span <= now && !self.closed => self.fail(now, why),
            _ => {}
        }
    }

    fn look_for_the_end(&mut self, now: Moment, news: &mut Vec<News>) {
        self.looked = Some(now);
        if self.exit.is_none() {
            self.exit = self.process.exit().map(|exit| (exit, now));
        }
        if let Some((exit, at)) = self.exit {
            // Read what is still in the pipe: it may be the reason, or the result.
            if self.closed || self.broke.is_some() || at + LEFT_IN_PIPE <= now {
                self.over = true;
                news.push(News::Over(self.end(exit)));
            }
        } else if let Some((Step::Killed, at)) = self.stopping
            && at + KILLED_WITHIN <= now
        {
            self.over = true;
            news.push(News::Over(LoadEnd::Unkillable));
        } else if self.closed && self.stopping.is_none() {
            // Without its pipe it cannot be controlled any more.
            self.escalate(now, Step::Asked);
        }
    }

    fn end(&mut self, exit: Exit) -> LoadEnd {
        let wrote = self.process.last_words();
        if let Some(why) = self.broke.take() {
            return LoadEnd::Failed(LoadFault::WorkerKilled { why, wrote });
        }
        if let Some(end) = self.said_end.take() {
            return end;
        }
        match (self.stopping, exit) {
            (Some((Step::Asked, _)), Exit::Code(0)) | (Some((Step::Terminated | Step::Killed, _)), _)
                if self.ordered =>
            {
                LoadEnd::Stopped
            }
            (Some((Step::Terminated | Step::Killed, _)), _) => LoadEnd::Failed(LoadFault::WorkerStayed { wrote }),
            (_, Exit::Code(code)) => LoadEnd::Failed(LoadFault::WorkerLeft { code, wrote }),
            (_, Exit::Signal(signal)) => LoadEnd::Failed(LoadFault::WorkerCrashed { signal, wrote }),
        }
    }

    /// Returns the latest time at which `turn` must be called again.
    pub(super) fn due(&self) -> Option<Moment> {
        if self.over {
            return None;
        }
        let step = self.stopping.map(|(step, at)| {
            at + match step {
                Step::Asked => ASKED_FOR,
                Step::Terminated => TERMINATED_FOR,
                Step::Killed => KILLED_WITHIN,
            }
        });
        let last = self.renewed.unwrap_or(self.heard_at);
        let look = self.looked.map(|at| at + LOOK_AGAIN);
        let renew = self.stopping.is_none().then_some(last + RENEW_EVERY);
        [step, look, renew].into_iter().flatten().min()
    }
}
