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

use std::collections::{BTreeMap, BTreeSet};

use super::beginning::Refusal;
use crate::active::ActiveStep;
use crate::guard::{GuardNews, Guards};
use crate::link_rest::LinkRest;
use crate::port::{Effect, Input, OperatorReply, Signal, Tick};
use crate::schedule::Halt;
use crate::stand_in::StandIns;
use kiln_check::{Check, Seen, Wants};
use kiln_diagnose as diagnose;
use kiln_event::{
    Envelope, Finding, Halted, Interruption, Outcome, Reason, RunEvent, RunRecord, RunStart, StepEnding, StepKey,
    StepStatus, Vitals, roll_up,
};
use kiln_model::{
    Answer, GpuIndex, KernelRecord, LoadId, LoadReport, LoadSaid, Moment, NoteFact, NoteKind, Probe, Reading, Sample,
    Sensor, SourceReport, Span, StopHow,
};
use kiln_profile::{Catalogue, Sku, Skus};

/// The time from the order to stop a load until it is killed, and from there until it counts as unkillable: a running kernel ends
/// within seconds, a driver that hangs never does.
pub(super) const STOP_GRACE: Span = Span::from_secs(10);

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

pub(super) struct LoadState {
    pub(super) key: StepKey,
    pub(super) gpus_left: BTreeSet<GpuIndex>,
    /// When it last reported its work.
    pub(super) told_at: Option<Moment>,
    /// When it was last told to stop, and how.
    pub(super) told: Option<(Moment, StopHow)>,
}

/// A run in progress: all state that decides what happens next.
pub struct Machine<'a> {
    pub(super) equipment: Equipment<'a>,
    pub(super) only: Option<String>,
    /// Taken out once the inventory is read.
    pub(super) begin: Option<Box<RunStart>>,
    /// Digest of the files that the node of a resumed run is made from.
    pub(super) source_digest: Option<String>,
    pub(super) record: RunRecord,
    pub(super) skus: BTreeMap<GpuIndex, Sku>,
    pub(super) guards: Guards,
    pub(super) stand_ins: StandIns,
    pub(super) link_rest: LinkRest,
    pub(super) halt: Halt,
    pub(super) active: Vec<ActiveStep>,
    pub(super) loads: BTreeMap<LoadId, LoadState>,
    pub(super) next_load: u32,
    pub(super) next_sample: Option<Moment>,
    pub(super) retry_at: Option<Moment>,
    pub(super) armed: Option<Moment>,
    pub(super) temperatures: BTreeMap<GpuIndex, Reading<f64>>,
    /// The last readings of every GPU that still answers.
    pub(super) vitals: BTreeMap<GpuIndex, Vitals>,
    pub(super) signals: u8,
    pub(super) refusal: Option<Refusal>,
    pub(super) finished: bool,
    pub(super) changed: bool,
    pub(super) news: Vec<GuardNews>,
    pub(super) wants: Wants,
    /// Kernel records that arrived before the run had begun.
    pub(super) early_kernel: Vec<KernelRecord>,
    pub(super) early_sources: Vec<SourceReport>,
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
            only,
            begin: Some(Box::new(start)),
            source_digest: None,
            record: RunRecord::default(),
            skus: BTreeMap::new(),
            guards: Guards::default(),
            stand_ins: StandIns::default(),
            link_rest: LinkRest::default(),
            halt: Halt::default(),
            active: Vec::new(),
            loads: BTreeMap::new(),
            next_load: 1,
            next_sample: None,
            retry_at: None,
            armed: None,
            temperatures: BTreeMap::new(),
            vitals: BTreeMap::new(),
            signals: 0,
            refusal: None,
            finished: false,
            changed: false,
            news: Vec::new(),
            wants: Wants::default(),
            early_kernel: Vec::new(),
            early_sources: Vec::new(),
        }
    }

    /// Creates a run that continues from its record. `source_digest` is that of the files its node is made from now.
    pub fn resume(equipment: Equipment<'a>, record: RunRecord, source_digest: Option<String>) -> Option<Self> {
        let start = record.start.clone()?;
        let mut machine = Self::new(equipment, *start, None);
        machine.begin = None;
        machine.source_digest = source_digest;
        machine.next_load = record.steps.iter().flat_map(|step| &step.loads).map(|load| load.0 + 1).max().unwrap_or(1);
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
    pub fn handle(&mut self, tick: Tick, input: Input<'_>, effects: &mut Vec<Effect>) {
        if self.finished {
            return;
        }
        match input {
            Input::InventoryRead(read) => self.inventory_read(tick, read, effects),
            Input::Sampled(sample) => self.sampled(tick, sample, effects),
            Input::LoadSaid(report) => self.load_said(tick, &report, effects),
            Input::Answered(probe, answer) => self.answered(tick, probe, &answer, effects),
            Input::KernelLogged(record) => self.kernel_logged(tick, record, effects),
            Input::SourceTold(report) => self.source_told(tick, report, effects),
            Input::DeadlineReached => self.deadline(tick, effects),
            Input::OperatorAnswered(reply) => self.operator_answered(tick, Some(reply), effects),
            Input::OperatorUnavailable => self.operator_answered(tick, None, effects),
            Input::RestartSaid(said) => self.restart_said(tick, said, effects),
            Input::Signalled(signal) => self.signalled(tick, signal, effects),
        }
        // Eight samples arrive every second, for days: the plan is consulted only after a change.
        if self.record.plan.is_some() && !self.finished && std::mem::take(&mut self.changed) {
            self.advance(tick, effects);
            self.arm(effects);
        }
    }

    /// Ends the run for a problem of this program, such as a journal that cannot be written: no step starts, loads are stopped.
    pub fn fail(&mut self, tick: Tick, why: &str, effects: &mut Vec<Effect>) {
        self.note(tick, RunEvent::RunInterrupted { by: Interruption::Failure(why.to_owned()) }, effects);
        for load in self.loads.keys() {
            effects.push(Effect::StopLoad(*load, StopHow::Kill));
        }
        self.finished = true;
        effects.push(Effect::Finish);
    }

    pub(super) fn note(&mut self, tick: Tick, event: RunEvent, effects: &mut Vec<Effect>) {
        let envelope = Envelope { seq: self.record.next_seq, at: tick.now, wall: tick.wall, event };
        self.record.apply(&envelope);
        self.changed = true;
        effects.push(Effect::Record(Box::new(envelope)));
    }

    pub(super) fn sampled(&mut self, tick: Tick, sample: &Sample, effects: &mut Vec<Effect>) {
        if sample.is_lost() {
            self.lose(tick, sample.gpu, effects);
            return;
        }
        let sample = self.stand_ins.complete(sample);
        let sample = sample.as_ref();
        for gpu in self.link_rest.take(sample) {
            self.note(tick, RunEvent::LinkRests { gpu }, effects);
        }
        self.temperatures.insert(sample.gpu, sample[Sensor::TempGpu]);
        self.vitals.insert(sample.gpu, Vitals::of(sample));
        self.guards.sampled(tick.now, sample, &self.skus, &mut self.news);
        self.take_guard_news(tick, effects);
        for index in 0..self.active.len() {
            if self.active[index].has_gpu(sample.gpu) {
                self.show(tick, index, Seen::Sampled(sample), effects);
            }
        }
    }

    pub(super) fn lose(&mut self, tick: Tick, gpu: GpuIndex, effects: &mut Vec<Effect>) {
        if self.record.lost.contains_key(&gpu) {
            return;
        }
        self.vitals.remove(&gpu);
        self.note(tick, RunEvent::GpuLost { gpu }, effects);
        self.guards.lost(gpu, &mut self.news);
        for index in 0..self.active.len() {
            if self.active[index].has_gpu(gpu) {
                self.show(tick, index, Seen::GpuLost(gpu), effects);
            }
        }
        self.take_guard_news(tick, effects);
    }

    pub(super) fn load_said(&mut self, tick: Tick, report: &LoadReport, effects: &mut Vec<Effect>) {
        let Some(state) = self.loads.get_mut(&report.load) else {
            return;
        };
        let index = self.active.iter().position(|active| active.key == state.key);
        if let (LoadSaid::Progress { .. }, Some(index)) = (&report.said, index) {
            let after = state.told_at.replace(report.at).map(|last| report.at.since(last));
            self.active[index].lateness.told(after.unwrap_or_default());
        }
        let mut over = false;
        if let LoadSaid::Ended { gpu, .. } = &report.said {
            match gpu {
                Some(gpu) => {
                    state.gpus_left.remove(gpu);
                }
                None => state.gpus_left.clear(),
            }
            over = state.gpus_left.is_empty();
        }
        match &report.said {
            LoadSaid::Ended { gpu, end } => {
                self.note(tick, RunEvent::LoadEnded { load: report.load, gpu: *gpu, end: end.clone() }, effects);
            }
            LoadSaid::Noted { gpu, kind, what } => self.load_noted(tick, report.load, *gpu, *kind, what, effects),
            LoadSaid::Mismatched(mismatch) => {
                let gpu_celsius = self.temperatures.get(&mismatch.gpu).copied().unwrap_or_default();
                let event = RunEvent::ResultMismatched { load: report.load, mismatch: mismatch.clone(), gpu_celsius };
                self.note(tick, event, effects);
            }
            _ => {}
        }
        if over {
            self.loads.remove(&report.load);
        }
        if let Some(index) = index {
            self.show(tick, index, Seen::Load(report), effects);
        }
        self.changed |= over;
        self.close_ended(tick, effects);
    }

    fn load_noted(
        &mut self,
        tick: Tick,
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

    pub(super) fn answered(&mut self, tick: Tick, probe: Probe, answer: &Answer, effects: &mut Vec<Effect>) {
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

    pub(super) fn kernel_logged(&mut self, tick: Tick, record: KernelRecord, effects: &mut Vec<Effect>) {
        if !self.is_begun() {
            self.early_kernel.push(record);
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

    pub(super) fn source_told(&mut self, tick: Tick, report: SourceReport, effects: &mut Vec<Effect>) {
        if self.is_begun() {
            self.note(tick, RunEvent::SourceTold(report), effects);
        } else {
            self.early_sources.push(report);
        }
    }

    /// Returns true if events may be recorded: the inventory was read, now or before the run was resumed.
    const fn is_begun(&self) -> bool {
        self.next_sample.is_some()
    }

    pub(super) fn operator_answered(&mut self, tick: Tick, reply: Option<OperatorReply>, effects: &mut Vec<Effect>) {
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

    pub(super) fn signalled(&mut self, tick: Tick, signal: Signal, effects: &mut Vec<Effect>) {
        self.signals += 1;
        // The system ends its processes on its way down. That is nobody's wish to end the run.
        if self.record.open_restart().is_some() {
            return self.leave(effects);
        }
        if self.next_sample.is_none() {
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
                for load in self.loads.keys().copied().collect::<Vec<_>>() {
                    self.stop_load(tick.now, load, StopHow::Kill, effects);
                }
            }
        }
    }

    pub(super) fn deadline(&mut self, tick: Tick, effects: &mut Vec<Effect>) {
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

    pub(super) fn take_sample(&mut self, tick: Tick, effects: &mut Vec<Effect>) {
        let (Some(due), Some(start)) = (self.next_sample, &self.record.start) else {
            return;
        };
        if due > tick.now {
            return;
        }
        let every = start.profile.telemetry.every;
        // A late tick is not made up for: the next one is due at the regular time.
        let mut next = due + every;
        if next <= tick.now {
            next = tick.now + every;
        }
        self.next_sample = Some(next);
        self.active.iter_mut().for_each(|active| active.lateness.sample(due, tick.now, every));
        effects.push(Effect::Sample);
        self.guards.look_for_stale(tick.now, &self.record.lost, &mut self.news);
        self.take_guard_news(tick, effects);
    }

    pub(super) fn finish(&mut self, tick: Tick, effects: &mut Vec<Effect>) {
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

    pub(super) fn arm(&mut self, effects: &mut Vec<Effect>) {
        if self.finished {
            return;
        }
        let steps =
            self.active.iter().flat_map(|active| [active.wake, active.ending.is_none().then_some(active.times_out)]);
        let stops = self.loads.values().map(|load| load.told.map(|(at, _)| at + STOP_GRACE));
        let next = steps.chain(stops).chain([self.next_sample, self.retry_at]).flatten().min();
        if next != self.armed {
            self.armed = next;
            effects.extend(next.map(Effect::Arm));
        }
    }
}
