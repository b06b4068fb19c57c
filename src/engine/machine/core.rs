//! The machine: takes one input at a time, with its time, and returns what to do. It never waits.
//!
//! ```text
//!   awaiting inventory --> running --(plan done, or halted)--> tearing down --> finished
//!          |    |             |  ^                                  ^
//!          |    +-- refused   |  +-- resumed from a record          |
//!          |                  +--- first signal --------------------+   second signal: loads killed, no teardown
//!          +--- first signal: finished
//! ```
//! Any prefix of a run's events is a record to resume from, also one without inventory, without plan, or with all but the end.
//!
//! `schedule` decides what comes next, `judging` judges steps, and `active` runs a step in progress.

use std::collections::BTreeMap;

use super::beginning::Refusal;
use super::loads::{Heard, Loads};
use super::opening::Opening;
use super::sampling::Sampling;
use crate::active::ActiveStep;
use crate::guard::{GuardNews, Guards};
use crate::port::{Effect, OperatorReply, RunInput, RunTick, Signal};
use crate::schedule::Halt;
use kiln_check::{Check, Seen, Wants};
use kiln_diagnose as diagnose;
use kiln_event::{
    Envelope, Finding, Halted, Interruption, Outcome, Reason, RunEvent, RunFailure, RunRecord, RunStart, StepEnding,
    StepKey, StepStatus, roll_up,
};
use kiln_model::{
    Answer, GpuIndex, KernelRecord, LoadId, LoadReport, LoadSaid, Moment, NoteFact, NoteKind, Probe, Sample,
    SourceReport,
};
use kiln_profile::{Catalogue, Sku, Skus};

/// Notes kept of one load: more than one for every pair of eight GPUs.
const MOST_NOTES: usize = 64;

/// What the machine is created with.
#[derive(Clone, Copy)]
pub struct Equipment<'a> {
    pub skus: &'a Skus,
    pub catalogue: Catalogue,
    pub find_check: fn(&str) -> Option<&'static dyn Check>,
}

impl std::fmt::Debug for Equipment<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Equipment").field("skus", &self.skus.0.len()).finish_non_exhaustive()
    }
}

/// A run in progress: all state that decides what happens next.
pub struct Machine<'a> {
    pub(super) equipment: Equipment<'a>,
    pub(super) opening: Opening,
    pub(super) record: RunRecord,
    pub(super) skus: BTreeMap<GpuIndex, Sku>,
    pub(super) guards: Guards,
    /// What guards had to say and is not recorded yet.
    pub(super) news: Vec<GuardNews>,
    pub(super) sampling: Sampling,
    pub(super) loads: Loads,
    pub(super) active: Vec<ActiveStep>,
    /// Taken out and put back, so that a sample needs no room of its own.
    pub(super) wants: Wants,
    pub(super) halt: Halt,
    /// When a step may be tried again.
    pub(super) retry_at: Option<Moment>,
    /// The deadline that was last asked for.
    armed: Option<Moment>,
    pub(super) refusal: Option<Refusal>,
    pub(super) finished: bool,
    /// Whether anything happened that the plan must be consulted about.
    pub(super) changed: bool,
}

impl std::fmt::Debug for Machine<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Machine")
            .field("finished", &self.finished)
            .field("active", &self.active.len())
            .finish_non_exhaustive()
    }
}

impl<'a> Machine<'a> {
    /// Creates a new run. Nothing is recorded before the inventory is read and the plan is made.
    pub fn new(equipment: Equipment<'a>, start: RunStart, only: Option<String>) -> Self {
        Self {
            equipment,
            opening: Opening { start: Some(Box::new(start)), only, ..Opening::default() },
            record: RunRecord::default(),
            skus: BTreeMap::new(),
            guards: Guards::default(),
            news: Vec::new(),
            sampling: Sampling::default(),
            loads: Loads::default(),
            active: Vec::new(),
            wants: Wants::default(),
            halt: Halt::default(),
            retry_at: None,
            armed: None,
            refusal: None,
            finished: false,
            changed: false,
        }
    }

    /// Creates a run that continues from its record. `source_digest` is that of the files its node is made from now.
    pub fn resume(equipment: Equipment<'a>, record: RunRecord, source_digest: Option<String>) -> Option<Self> {
        let start = record.start.clone()?;
        let mut machine = Self::new(equipment, *start, None);
        machine.opening = Opening { source_digest, ..Opening::default() };
        machine.loads = Loads::after(&record);
        machine.record = record;
        Some(machine)
    }

    /// Returns the moment at which the clock of the run continues.
    pub fn last_moment(&self) -> Moment {
        self.record.last_at
    }

    pub fn record(&self) -> &RunRecord {
        &self.record
    }

    /// Returns why the run could not begin, if it could not.
    pub fn refusal(&self) -> Option<&Refusal> {
        self.refusal.as_ref()
    }

    pub fn is_finished(&self) -> bool {
        self.finished
    }

    /// Asks for the inventory, from which everything starts.
    pub fn begin(&mut self, effects: &mut Vec<Effect>) {
        effects.push(Effect::ReadInventory);
    }

    /// Handles one input.
    pub fn handle(&mut self, tick: RunTick, input: RunInput<'_>, effects: &mut Vec<Effect>) {
        if self.finished {
            return;
        }
        match input {
            RunInput::InventoryRead(read) => self.inventory_read(tick, read, effects),
            RunInput::Sampled(sample) => self.sampled(tick, sample, effects),
            RunInput::LoadSaid(report) => self.load_said(tick, &report, effects),
            RunInput::Answered(probe, answer) => self.answered(tick, probe, &answer, effects),
            RunInput::KernelLogged(record) => self.kernel_logged(tick, record, effects),
            RunInput::SourceTold(report) => self.source_told(tick, report, effects),
            RunInput::DeadlineReached => self.deadline(tick, effects),
            RunInput::OperatorAnswered(reply) => self.operator_answered(tick, Some(reply), effects),
            RunInput::OperatorUnavailable => self.operator_answered(tick, None, effects),
            RunInput::RestartSaid(said) => self.restart_said(tick, said, effects),
            RunInput::Signalled(signal) => self.signalled(tick, signal, effects),
        }
        // Eight samples arrive every second, for days: the plan is consulted only after a change.
        if self.record.plan.is_some() && !self.finished && std::mem::take(&mut self.changed) {
            self.advance(tick, effects);
            self.arm(effects);
        }
    }

    /// Ends the run for a problem of this program, such as a journal that cannot be written: no step starts, loads are stopped.
    pub fn fail(&mut self, tick: RunTick, why: RunFailure, effects: &mut Vec<Effect>) {
        self.note(tick, RunEvent::RunInterrupted { by: Interruption::Failure(why) }, effects);
        self.loads.kill_all(tick.now, effects);
        self.finished = true;
        effects.push(Effect::Finish);
    }

    pub(super) fn note(&mut self, tick: RunTick, event: RunEvent, effects: &mut Vec<Effect>) {
        let envelope = Envelope { seq: self.record.next_seq, at: tick.now, wall: tick.wall, event };
        self.record.apply(&envelope);
        self.changed = true;
        effects.push(Effect::Record(Box::new(envelope)));
    }

    fn sampled(&mut self, tick: RunTick, sample: &Sample, effects: &mut Vec<Effect>) {
        if sample.is_lost() {
            self.lose(tick, sample.gpu, effects);
            return;
        }
        let (whole, resting) = self.sampling.take(sample);
        let sample = whole.as_deref().unwrap_or(sample);
        for gpu in resting {
            self.note(tick, RunEvent::LinkRests { gpu }, effects);
        }
        self.guards.sampled(tick.now, sample, &mut self.news);
        self.take_guard_news(tick, effects);
        for index in 0..self.active.len() {
            if self.active[index].has_gpu(sample.gpu) {
                self.show(tick, index, Seen::Sampled(sample), effects);
            }
        }
    }

    fn lose(&mut self, tick: RunTick, gpu: GpuIndex, effects: &mut Vec<Effect>) {
        if self.record.lost.contains_key(&gpu) {
            return;
        }
        self.sampling.lose(gpu);
        self.note(tick, RunEvent::GpuLost { gpu }, effects);
        self.guards.lost(gpu, &mut self.news);
        for index in 0..self.active.len() {
            if self.active[index].has_gpu(gpu) {
                self.show(tick, index, Seen::GpuLost(gpu), effects);
            }
        }
        self.take_guard_news(tick, effects);
    }

    fn load_said(&mut self, tick: RunTick, report: &LoadReport, effects: &mut Vec<Effect>) {
        let Some(Heard { key, silence, over }) = self.loads.hear(report) else {
            return;
        };
        let index = self.active.iter().position(|active| active.key == *key);
        if let (Some(silence), Some(index)) = (silence, index) {
            self.active[index].lateness.told(silence);
        }
        match &report.said {
            LoadSaid::Ended { gpu, end } => {
                self.note(tick, RunEvent::LoadEnded { load: report.load, gpu: *gpu, end: end.clone() }, effects);
            }
            LoadSaid::Noted { gpu, kind, what } => self.load_noted(tick, report.load, *gpu, *kind, what, effects),
            LoadSaid::Mismatched(mismatch) => {
                let gpu_celsius = self.sampling.celsius(mismatch.gpu);
                let event = RunEvent::ResultMismatched { load: report.load, mismatch: mismatch.clone(), gpu_celsius };
                self.note(tick, event, effects);
            }
            _ => {}
        }
        if let Some(index) = index {
            self.show(tick, index, Seen::Load(report), effects);
        }
        self.changed |= over;
        self.close_ended(tick, effects);
    }

    fn load_noted(
        &mut self,
        tick: RunTick,
        load: LoadId,
        gpu: Option<GpuIndex>,
        kind: NoteKind,
        what: &NoteFact,
        effects: &mut Vec<Effect>,
    ) {
        let notes = || self.record.notes.iter().filter(|note| note.load == load);
        // Loads that are started again and again note the same each time.
        let known = self.record.notes.iter().any(|note| note.gpu == gpu && note.what == *what);
        if !known && notes().count() < MOST_NOTES {
            self.note(tick, RunEvent::LoadNoted { load, gpu, kind, what: what.clone() }, effects);
        }
    }

    fn answered(&mut self, tick: RunTick, probe: Probe, answer: &Answer, effects: &mut Vec<Effect>) {
        if let (Answer::Counters(Ok(counters)), None) = (answer, &self.record.counters) {
            self.note(tick, RunEvent::CountersRead(counters.clone()), effects);
        }
        let asked: Vec<StepKey> = self
            .active
            .iter_mut()
            .filter_map(|active| active.probes.remove(&probe).then(|| active.key.clone()))
            .collect();
        for key in asked {
            if let Some(index) = self.active.iter().position(|active| active.key == key) {
                self.show(tick, index, Seen::Answered(answer), effects);
            }
        }
    }

    pub(super) fn kernel_logged(&mut self, tick: RunTick, record: KernelRecord, effects: &mut Vec<Effect>) {
        if !self.sampling.is_begun() {
            self.opening.kernel.push(record);
            return;
        }
        self.note(tick, RunEvent::KernelLogged(record.clone()), effects);
        let record = &record;
        // Guards act on new events; what was logged before the run is for the check that reads the log.
        if record.before().is_none()
            && let Some(inventory) = &self.record.inventory
            && let Some((gpu, code)) = diagnose::failing_xid(record, inventory)
        {
            self.guards.xid(gpu, code, &mut self.news);
        }
        for index in 0..self.active.len() {
            self.show(tick, index, Seen::KernelLogged(record), effects);
        }
        self.take_guard_news(tick, effects);
    }

    fn source_told(&mut self, tick: RunTick, report: SourceReport, effects: &mut Vec<Effect>) {
        if self.sampling.is_begun() {
            self.note(tick, RunEvent::SourceTold(report), effects);
        } else {
            self.opening.sources.push(report);
        }
    }

    fn operator_answered(&mut self, tick: RunTick, reply: Option<OperatorReply>, effects: &mut Vec<Effect>) {
        let Some(index) = self.active.iter().position(|active| active.asking) else {
            return;
        };
        self.active[index].asking = false;
        if let Some(reply) = reply {
            let key = self.active[index].key.clone();
            let event = RunEvent::OperatorAnswered { key, yes: reply.yes, comment: reply.comment.clone() };
            self.note(tick, event, effects);
            self.show(
                tick,
                index,
                Seen::OperatorAnswered { yes: reply.yes, comment: reply.comment.as_deref() },
                effects,
            );
        } else {
            self.end_step(tick, index, StepEnding::Failed(Reason::NobodyAsked), effects);
        }
    }

    pub(super) fn signalled(&mut self, tick: RunTick, signal: Signal, effects: &mut Vec<Effect>) {
        // The system ends its processes on its way down. That is nobody's wish to end the run.
        if self.record.open_restart().is_some() {
            return self.leave(effects);
        }
        if !self.sampling.is_begun() {
            self.abort_before_it_runs(tick, signal, effects);
            return;
        }
        match signal {
            Signal::First => {
                self.note(tick, RunEvent::RunInterrupted { by: Interruption::Signal }, effects);
                self.halt.run.get_or_insert(Halted::ByOperator);
                self.stop_all(tick, &Reason::Interrupted, Outcome::Aborted, effects);
            }
            Signal::Second | Signal::Third => {
                self.note(tick, RunEvent::RunInterrupted { by: Interruption::Kill }, effects);
                self.halt.run.get_or_insert(Halted::ByOperator);
                self.halt.teardown = true;
                self.stop_all(tick, &Reason::Interrupted, Outcome::Aborted, effects);
                self.loads.kill_all(tick.now, effects);
            }
        }
    }

    fn deadline(&mut self, tick: RunTick, effects: &mut Vec<Effect>) {
        self.armed = None;
        self.changed = true;
        self.escalate_stops(tick, effects);
        for index in 0..self.active.len() {
            let active = &mut self.active[index];
            if active.ending.is_none() && active.times_out <= tick.now {
                let after = tick.now.since(active.began);
                self.end_step(tick, index, StepEnding::Failed(Reason::Timeout { after }), effects);
            } else if active.wake.is_some_and(|wake| wake <= tick.now) {
                active.wake = None;
                self.show(tick, index, Seen::Woken, effects);
            }
        }
        self.close_ended(tick, effects);
        self.take_sample(tick, effects);
    }

    pub(super) fn take_sample(&mut self, tick: RunTick, effects: &mut Vec<Effect>) {
        let Some(start) = &self.record.start else { return };
        let every = start.profile.telemetry.every;
        let Some(due) = self.sampling.due(tick.now, every) else { return };
        self.active.iter_mut().for_each(|active| active.lateness.sample(due, tick.now, every));
        effects.push(Effect::Sample);
        self.guards.look_for_stale(tick.now, &self.record.lost, &mut self.news);
        self.take_guard_news(tick, effects);
    }

    pub(super) fn finish(&mut self, tick: RunTick, effects: &mut Vec<Effect>) {
        if self.record.steps.iter().any(|step| step.status == StepStatus::Running) {
            return;
        }
        // A run that was cut off while it recorded its findings has recorded some of them.
        let told = |finding: &Finding| {
            self.record.findings.iter().any(|one| (&one.code, one.component) == (&finding.code, finding.component))
        };
        let findings: Vec<Finding> = diagnose::findings(&self.record).into_iter().filter(|one| !told(one)).collect();
        for finding in findings {
            self.note(tick, RunEvent::FindingMade(finding), effects);
        }
        let verdict = roll_up(&self.record);
        self.note(tick, RunEvent::RunFinished { verdict }, effects);
        self.finished = true;
        effects.push(Effect::Finish);
    }

    fn arm(&mut self, effects: &mut Vec<Effect>) {
        if self.finished {
            return;
        }
        let steps =
            self.active.iter().flat_map(|active| [active.wake, active.ending.is_none().then_some(active.times_out)]);
        let next = steps.chain([self.loads.deadline(), self.sampling.next(), self.retry_at]).flatten().min();
        if next != self.armed {
            self.armed = next;
            effects.extend(next.map(Effect::Arm));
        }
    }
}
