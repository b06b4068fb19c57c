//! The one fold over events: everything known about a run after the events so far.
//!
//! Applying a prefix and then the rest gives the same as applying all. What a verdict follows from is in `verdict`.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{
    Boot, Case, Envelope, Finding, GuardTrip, Interruption, Lateness, Outcome, Phase, RunEvent, RunStart, StepKey,
    TakenUp, Verdict,
};
use kiln_model::{
    Component, GpuCounters, GpuIndex, Inventory, KernelRecord, LoadEnd, LoadId, Mismatch, Moment, NoteFact, NoteKind,
    Reading, Restart, SourceReport, Span, WallTime,
};
use kiln_plan::Plan;

/// A run as its events tell it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RunRecord {
    pub start: Option<Box<RunStart>>,
    pub started_wall: Option<WallTime>,
    pub last_wall: Option<WallTime>,
    /// What the wall clock showed at the start and after every resume: in between, the run's own clock counts.
    pub clock: Vec<(Moment, WallTime)>,
    pub inventory: Option<Box<Inventory>>,
    pub plan: Option<Box<Plan>>,
    pub counters: Option<Vec<GpuCounters>>,
    /// GPUs whose PCIe links rest in a lower generation while nothing uses them.
    pub resting_links: BTreeSet<GpuIndex>,
    pub stages: Vec<StageRecord>,
    /// In order of their start; several rounds and attempts of one step are several records.
    pub steps: Vec<StepRecord>,
    pub kernel: Vec<KernelRecord>,
    /// What the node said of its sources, in order.
    pub sources: Vec<SourceReport>,
    pub lost: BTreeMap<GpuIndex, Moment>,
    pub trips: Vec<(Moment, GuardTrip)>,
    pub mismatches: Vec<(Moment, LoadId, Mismatch, Reading<f64>)>,
    pub load_ends: Vec<(Moment, LoadId, Option<GpuIndex>, LoadEnd)>,
    pub notes: Vec<LoadNote>,
    /// Steps during which the host did not keep up.
    pub late: Vec<(Moment, StepKey, Lateness)>,
    pub findings: Vec<Finding>,
    pub interruptions: Vec<(Moment, Interruption)>,
    /// How many of the interruptions came before the last resume: what they cut short has run again.
    pub settled: usize,
    pub resumes: u32,
    /// What the node was found to be at each of them.
    pub taken_up: Vec<TakenUp>,
    /// The restarts that steps asked for, in order.
    pub restarts: Vec<RestartOrder>,
    /// The boot id that was read last.
    pub boot_id: Reading<String>,
    pub verdict: Option<Verdict>,
    /// Sequence number the next event must have.
    pub next_seq: u64,
    pub last_at: Moment,
}

/// What a load had to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadNote {
    pub at: Moment,
    pub load: LoadId,
    pub gpu: Option<GpuIndex>,
    pub kind: NoteKind,
    pub what: NoteFact,
}

/// A restart that a step asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct RestartOrder {
    pub at: Moment,
    pub wall: WallTime,
    pub key: StepKey,
    pub how: Restart,
    /// How long the node may take until it goes down.
    pub within: Span,
    /// What the boot id said when the run was taken up for the first time after it was read.
    pub boot: Boot,
}

/// One round of one stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageRecord {
    pub id: String,
    pub round: u32,
    pub started: Moment,
    pub finished: Option<Moment>,
}

/// One attempt at one step in one round.
#[derive(Debug, Clone, PartialEq)]
pub struct StepRecord {
    pub key: StepKey,
    /// How often the run had been taken up again when the step began.
    pub era: u32,
    pub started: Moment,
    pub started_wall: WallTime,
    pub finished: Option<Moment>,
    pub status: StepStatus,
    pub phase: Option<(Phase, Option<Moment>)>,
    /// When each phase was entered.
    pub phases: Vec<(Moment, Phase)>,
    pub loads: Vec<LoadId>,
    pub cases: Vec<Case>,
    /// What the operator said, where one was asked.
    pub answer: Option<(bool, Option<String>)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepStatus {
    Running,
    Finished,
    /// The program or machine went away while it ran; it never counts as passed and is run again on resume.
    Interrupted,
}

impl StepRecord {
    const fn begun(key: StepKey, era: u32, started: Moment, started_wall: WallTime) -> Self {
        Self {
            key,
            era,
            started,
            started_wall,
            finished: None,
            status: StepStatus::Running,
            phase: None,
            phases: Vec::new(),
            loads: Vec::new(),
            cases: Vec::new(),
            answer: None,
        }
    }
}

impl StepRecord {
    /// Whether it came to its end and speaks against nothing.
    pub fn has_passed(&self) -> bool {
        let passes =
            |case: &Case| matches!(case.outcome, Outcome::Pass | Outcome::Marginal | Outcome::Waived | Outcome::Held);
        self.status == StepStatus::Finished && !self.cases.is_empty() && self.cases.iter().all(passes)
    }
}

impl RunRecord {
    /// Folds all of `events`.
    pub fn of<'a>(events: impl IntoIterator<Item = &'a Envelope>) -> Self {
        let mut record = Self::default();
        for event in events {
            record.apply(event);
        }
        record
    }

    /// Takes in one event that is needed elsewhere as well.
    pub fn apply(&mut self, envelope: &Envelope) {
        self.take(envelope.clone());
    }

    /// Takes in one event. Events come in order; holding sequence numbers together is the journal reader's work.
    pub fn take(&mut self, envelope: Envelope) {
        let Envelope { seq, at, wall, event } = envelope;
        self.next_seq = seq + 1;
        self.last_at = at;
        self.last_wall = Some(wall);
        match event {
            RunEvent::RunStarted(start) => {
                self.start = Some(start);
                self.started_wall = Some(wall);
                self.clock.push((at, wall));
            }
            RunEvent::InventoryRead(inventory) => self.inventory_read(&inventory),
            RunEvent::PlanMade(plan) => self.plan = Some(plan),
            RunEvent::CountersRead(counters) => self.counters = Some(counters),
            RunEvent::LinkRests { gpu } => {
                self.resting_links.insert(gpu);
            }
            RunEvent::StageStarted { stage, round } => {
                self.stages.push(StageRecord { id: stage, round, started: at, finished: None });
            }
            RunEvent::StageFinished { stage, round } => {
                if let Some(found) = self.stages.iter_mut().rev().find(|s| s.id == stage && s.round == round) {
                    found.finished = Some(at);
                }
            }
            RunEvent::StepStarted { key } => self.steps.push(StepRecord::begun(key, self.resumes, at, wall)),
            RunEvent::PhaseEntered { key, phase, until } => self.with_step(&key, |step| {
                step.phase = Some((phase, until));
                step.phases.push((at, phase));
            }),
            RunEvent::LoadStarted { key, order } => self.with_step(&key, |step| step.loads.push(order.id)),
            RunEvent::LoadEnded { load, gpu, end } => self.load_ends.push((at, load, gpu, end)),
            RunEvent::LoadNoted { load, gpu, kind, what } => {
                self.notes.push(LoadNote { at, load, gpu, kind, what });
            }
            RunEvent::HostLate { key, lateness } => self.late.push((at, key, lateness)),
            RunEvent::ResultMismatched { load, mismatch, gpu_celsius } => {
                self.mismatches.push((at, load, mismatch, gpu_celsius));
            }
            RunEvent::KernelLogged(record) => self.kernel.push(record),
            RunEvent::SourceTold(report) => self.sources.push(report),
            RunEvent::GpuLost { gpu } => {
                self.lost.entry(gpu).or_insert(at);
            }
            RunEvent::GuardTripped(trip) => self.trips.push((at, trip)),
            RunEvent::OperatorAnswered { key, yes, comment } => {
                self.with_step(&key, |step| step.answer = Some((yes, comment)));
            }
            RunEvent::RestartAsked { key, how, within } => {
                self.restarts.push(RestartOrder { at, wall, key, how, within, boot: Boot::NotCompared });
            }
            RunEvent::StepFinished { key, mut cases, ending: _ } => {
                self.share_with_earlier(&key, &mut cases);
                // A step that was skipped or never reached has an end without a beginning.
                if !self.steps.iter().rev().any(|step| step.key == key && step.status == StepStatus::Running) {
                    self.steps.push(StepRecord::begun(key.clone(), self.resumes, at, wall));
                }
                self.with_step(&key, |step| {
                    step.finished = Some(at);
                    step.status = StepStatus::Finished;
                    step.cases = cases;
                });
            }
            RunEvent::FindingMade(finding) => self.findings.push(finding),
            RunEvent::RunInterrupted { by } => self.interruptions.push((at, by)),
            RunEvent::RunResumed { interrupted, source_digest } => {
                self.clock.push((at, wall));
                self.taken_up.push(TakenUp::new(at, self.start.as_deref(), source_digest.as_ref()));
                self.resume(at, &interrupted);
            }
            RunEvent::RunFinished { verdict } => self.verdict = Some(verdict),
            RunEvent::GuardCleared { .. } | RunEvent::OperatorAsked { .. } | RunEvent::Unknown => {}
        }
    }

    /// The steps now running.
    pub fn running(&self) -> impl Iterator<Item = &StepRecord> {
        self.steps.iter().filter(|step| step.status == StepStatus::Running)
    }

    /// The last record of every path and round, in order of first start: earlier attempts are left out.
    pub fn decisive_steps(&self) -> Vec<&StepRecord> {
        self.decisive().into_iter().map(|index| &self.steps[index]).collect()
    }

    /// Indices in `steps` of the decisive steps.
    pub fn decisive(&self) -> BTreeSet<usize> {
        let mut last: BTreeMap<(&str, u32), usize> = BTreeMap::new();
        for (index, step) in self.steps.iter().enumerate() {
            last.insert((&step.key.path, step.key.round), index);
        }
        last.into_values().collect()
    }

    /// The trips of guards on just this component.
    pub fn trips_on(&self, component: Component) -> impl Iterator<Item = &GuardTrip> {
        self.trips.iter().map(|(_, trip)| trip).filter(move |trip| trip.component == component)
    }

    /// The interruptions that count: what somebody wanted stopped stays stopped, while trouble of our own is over once the
    /// run has been taken up again.
    pub fn stops(&self) -> impl DoubleEndedIterator<Item = &(Moment, Interruption)> {
        let counts = |(place, (_, by)): &(usize, &(Moment, Interruption))| {
            *place >= self.settled || !matches!(by, Interruption::Failure(_))
        };
        self.interruptions.iter().enumerate().filter(counts).map(|(_, stop)| stop)
    }

    /// How often the node was started anew while the run was away, without a step that had asked for it.
    pub fn boots(&self) -> usize {
        self.taken_up.iter().filter(|taken_up| taken_up.boot == Boot::Another).count()
    }

    /// The restart that was asked for and of which its step does not know yet what came.
    pub fn open_restart(&self) -> Option<&RestartOrder> {
        self.restarts.last().filter(|order| self.running().any(|step| step.key == order.key))
    }

    /// How often the node was started anew as a step had asked for.
    pub fn restarted(&self) -> usize {
        self.restarts.iter().filter(|order| order.boot == Boot::AsAsked).count()
    }

    /// A resumed run reads the inventory again; the first is what the run began with and stays.
    fn inventory_read(&mut self, found: &Inventory) {
        let asked = self.open_restart().is_some_and(|order| order.boot != Boot::AsAsked);
        match (&self.inventory, self.taken_up.last_mut()) {
            (None, _) => self.inventory = Some(Box::new(found.clone())),
            (Some(before), Some(taken_up)) => {
                let lost = self.lost.keys().copied().collect();
                taken_up.compare(before, &self.boot_id, found, &lost, asked);
                if let Some(order) = self.restarts.last_mut().filter(|_| asked) {
                    order.boot = taken_up.boot;
                }
            }
            (Some(_), None) => {}
        }
        if found.node.boot_id.value().is_some() {
            self.boot_id.clone_from(&found.node.boot_id);
        }
    }

    fn resume(&mut self, at: Moment, interrupted: &[StepKey]) {
        self.resumes += 1;
        self.settled = self.interruptions.len();
        self.verdict = None;
        for key in interrupted {
            self.with_step(key, |step| {
                step.status = StepStatus::Interrupted;
                step.finished = Some(at);
            });
        }
    }

    /// Lets the cases of a step hold together with those of its last round or attempt what they have in common: a run of days would
    /// else hold the names and limits of fifty thousand values.
    fn share_with_earlier(&self, key: &StepKey, cases: &mut [Case]) {
        let earlier = |step: &&StepRecord| step.key.path == key.path && !step.cases.is_empty();
        let Some(earlier) = self.steps.iter().rev().find(earlier) else { return };
        for case in cases {
            if let Some(before) = earlier.cases.iter().find(|before| before.component == case.component) {
                case.share(before);
            }
        }
    }

    fn with_step(&mut self, key: &StepKey, change: impl FnOnce(&mut StepRecord)) {
        // Searched from the end: the step meant is nearly always among the last few.
        if let Some(step) = self.steps.iter_mut().rev().find(|step| step.key == *key) {
            change(step);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_limit::{Judged, Judgement, Measurement, Range, Ruling};
    use kiln_model::Unit;

    fn finished(round: u32, values: &[f64]) -> Envelope {
        let judged = |(gpu, value): (u8, &f64)| Case {
            component: Component::gpu(gpu),
            outcome: Outcome::Pass,
            reason: None,
            judgements: vec![Judgement::new(
                Measurement::number("temp.max", Component::gpu(gpu), Unit::Celsius, *value, 60),
                Some("<= 85 °C"),
                Range { low: None, high: Some(85.0) },
                Judged::Pass,
            )],
        };
        let cases = (0..).zip(values).map(judged).collect();
        let key = StepKey { path: "burn.soak".to_owned(), round, attempt: 1 };
        let event = RunEvent::StepFinished { key, cases, ending: None };
        Envelope { seq: u64::from(round), at: Moment::from_secs(u64::from(round)), wall: WallTime::UNIX_EPOCH, event }
    }

    #[test]
    fn what_values_of_many_rounds_are_held_against_is_held_once_and_each_keeps_its_value() {
        let events = [finished(1, &[60.0, 61.0]), finished(2, &[60.0, 62.0]), finished(3, &[63.0, 62.0])];
        let record = RunRecord::of(&events);
        let ruling =
            |round: usize, gpu: usize| -> *const Ruling { &raw const *record.steps[round].cases[gpu].judgements[0] };
        for gpu in [0, 1] {
            assert!((1..3).all(|round| ruling(round, gpu) == ruling(0, gpu)));
        }
        assert_ne!(ruling(0, 0), ruling(0, 1));
        for (step, envelope) in record.steps.iter().zip(&events) {
            let RunEvent::StepFinished { cases, .. } = &envelope.event else { unreachable!("as told above") };
            assert_eq!(&step.cases, cases);
        }
    }
}
