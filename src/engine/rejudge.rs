//! An old run under another profile: its events told again with the limits of now.
//!
//! Every step is judged where it was judged then, by the same code, with just what was known at that moment. What was
//! measured stays as it is; what was not measured is not passed.

use std::collections::BTreeMap;
use std::fmt;

use super::Equipment;
use super::judging::Judge;
use kiln_diagnose as diagnose;
use kiln_event::{Case, Envelope, LotFacts, RunEvent, RunRecord, RunStart, StepEnding, StepKey, roll_up};
use kiln_limit::{Measurement, Missing};
use kiln_model::{GpuIndex, WallTime};
use kiln_plan::{self as plan, Plan, PlanError, PlannedStep};
use kiln_profile::{Deviation, Profile, Sku};

/// A run judged again.
#[derive(Debug, Clone, PartialEq)]
pub struct Rejudged {
    pub record: RunRecord,
    pub notes: Vec<Note>,
}

/// What keeps the new judgement from being that of a run under the new profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// The new profile has no such step; what it measured is left out.
    StepGone(String),
    /// The new profile's step measures with another check; what was measured is left out.
    OtherCheck(String),
    /// The step ran with other parameters than the new profile has.
    OtherParameters(String),
    /// The step never ran, for a reason that may not hold under the new profile.
    NeverRan(String),
    /// The guards are not the same; the trips are those of then.
    OtherGuards,
    /// The facts of this GPU model are others than those the run was judged by, or are not here.
    OtherFacts(String),
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StepGone(path) => write!(f, "`{path}` is not in the new profile: its results are left out"),
            Self::OtherCheck(path) => write!(f, "`{path}` is another check now: its results are left out"),
            Self::OtherParameters(path) => write!(f, "`{path}` ran with other parameters than the new profile has"),
            Self::NeverRan(path) => write!(f, "`{path}` was not run then, and is not judged now"),
            Self::OtherFacts(model) => {
                write!(f, "the facts about `{model}` are not those of then: limits that stand on them may be others")
            }
            Self::OtherGuards => f.write_str("the guards are not those of then: trips are kept as they were"),
        }
    }
}

/// Why a run cannot be judged again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RejudgeError {
    #[error("the run ended before its plan was made: there is nothing to judge")]
    Planless,
    #[error(transparent)]
    Plan(#[from] PlanError),
}

/// What a run is judged against beside its profile; where given, it replaces what the run had then.
#[derive(Debug, Clone, Copy, Default)]
pub struct Against<'a> {
    pub baseline: Option<&'a BTreeMap<String, f64>>,
    pub lot: Option<&'a LotFacts>,
    pub guard_bands: Option<&'a BTreeMap<String, f64>>,
}

/// Judges the run that `events` tell of by `profile`.
pub fn rejudge(
    events: &[Envelope],
    profile: &Profile,
    against: Against<'_>,
    equipment: &Equipment<'_>,
) -> Result<Rejudged, RejudgeError> {
    let mut retelling = Retelling {
        profile,
        as_run: profile.clone(),
        equipment,
        only: None,
        plan: None,
        skus: BTreeMap::new(),
        since: BTreeMap::new(),
        record: RunRecord::default(),
        notes: Vec::new(),
    };
    let mut finished = None;
    for envelope in events {
        match &envelope.event {
            RunEvent::RunStarted(start) => retelling.start(envelope, start, against),
            RunEvent::PlanMade(old) => retelling.plan(envelope, old)?,
            RunEvent::StepStarted { key } => retelling.step_started(envelope, key),
            RunEvent::StepFinished { key, cases, ending } => {
                let ending = ending.clone().unwrap_or_else(|| StepEnding::of_journal_1_0(cases));
                retelling.step_finished(envelope, key, cases, ending);
            }
            // Both are told anew at the end.
            RunEvent::FindingMade(_) => {}
            RunEvent::RunFinished { .. } => finished = Some(envelope),
            other => retelling.apply(envelope, other.clone()),
        }
    }
    if retelling.plan.is_none() {
        return Err(RejudgeError::Planless);
    }
    if let Some(end) = finished {
        for finding in diagnose::findings(&retelling.record) {
            retelling.apply(end, RunEvent::FindingMade(finding));
        }
        let verdict = roll_up(&retelling.record);
        retelling.apply(end, RunEvent::RunFinished { verdict });
    }
    Ok(Rejudged { record: retelling.record, notes: retelling.notes })
}

/// The run as far as it has been told again.
struct Retelling<'a> {
    profile: &'a Profile,
    /// The same with what the run had beside its profile: its parts list, and what it was narrowed to.
    as_run: Profile,
    equipment: &'a Equipment<'a>,
    /// What the run was narrowed to then.
    only: Option<String>,
    /// The plan of then and that of now.
    plan: Option<(Plan, Plan)>,
    skus: BTreeMap<GpuIndex, Sku>,
    /// How many trips and mismatches there were when a step began.
    since: BTreeMap<StepKey, (usize, usize)>,
    record: RunRecord,
    notes: Vec<Note>,
}

impl Retelling<'_> {
    fn apply(&mut self, envelope: &Envelope, event: RunEvent) {
        let seq = self.record.next_seq;
        self.record.take(Envelope { seq, at: envelope.at, wall: envelope.wall, event });
    }

    fn note(&mut self, note: Note) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    fn start(&mut self, envelope: &Envelope, start: &RunStart, against: Against<'_>) {
        if start.profile.guards != self.profile.guards {
            self.note(Note::OtherGuards);
        }
        for (model, then) in &start.sku_digests {
            let now = self.equipment.skus.by_id(model).map(Sku::digest);
            if now.as_ref() != Some(then) {
                self.note(Note::OtherFacts(model.clone()));
            }
        }
        self.only = start.profile.deviations.iter().find_map(|deviation| match deviation {
            Deviation::Only { filter } => Some(filter.clone()),
            Deviation::Set { .. } | Deviation::Gpus { .. } | Deviation::Surroundings { .. } => None,
        });
        if let Some(parts) = &start.parts {
            parts.fill(&mut self.as_run);
        }
        // What was changed of the old profile is not of this one; what it ran on is still so.
        let of_the_run = |deviation: &&Deviation| !matches!(deviation, Deviation::Set { .. });
        self.as_run.deviations.extend(start.profile.deviations.iter().filter(of_the_run).cloned());
        let start = RunStart {
            profile: self.as_run.clone(),
            profile_digest: self.profile.digest(),
            baseline: against.baseline.unwrap_or(&start.baseline).clone(),
            lot: against.lot.or(start.lot.as_ref()).cloned(),
            guard_bands: against.guard_bands.unwrap_or(&start.guard_bands).clone(),
            ..start.clone()
        };
        self.apply(envelope, RunEvent::RunStarted(Box::new(start)));
    }

    fn plan(&mut self, envelope: &Envelope, old: &Plan) -> Result<(), RejudgeError> {
        let inventory = self.record.inventory.clone().ok_or(RejudgeError::Planless)?;
        let only = self.only.as_deref();
        let new = plan::make(&self.as_run, &inventory, self.equipment.skus, self.equipment.catalogue, only)?;
        self.skus = new.models(self.equipment.skus);
        for gone in old.steps().filter(|one| new.step(&one.path).is_none()) {
            self.note(Note::StepGone(gone.path.clone()));
        }
        self.plan = Some((old.clone(), new.clone()));
        self.apply(envelope, RunEvent::PlanMade(Box::new(new)));
        Ok(())
    }

    /// The step as the new profile has it, if what the old one measured can be judged by it.
    fn judgeable(&mut self, path: &str) -> Option<PlannedStep> {
        let (old, new) = self.plan.as_ref()?;
        let new = new.step(path)?.clone();
        let old = old.step(path)?;
        if old.step.check != new.step.check {
            self.note(Note::OtherCheck(path.to_owned()));
            return None;
        }
        if old.step.params != new.step.params {
            self.note(Note::OtherParameters(path.to_owned()));
        }
        Some(new)
    }

    fn step_started(&mut self, envelope: &Envelope, key: &StepKey) {
        if self.judgeable(&key.path).is_some() {
            self.since.insert(key.clone(), (self.record.trips.len(), self.record.mismatches.len()));
            self.apply(envelope, RunEvent::StepStarted { key: key.clone() });
        }
    }

    fn step_finished(&mut self, envelope: &Envelope, key: &StepKey, cases: &[Case], ending: StepEnding) {
        let Some(planned) = self.judgeable(&key.path) else { return };
        let nothing = cases.iter().all(|case| case.judgements.is_empty());
        let cases = if nothing && ending != StepEnding::Measured {
            // It was skipped, stopped or not reached: there is nothing to judge.
            self.note(Note::NeverRan(key.path.clone()));
            cases.to_vec()
        } else {
            self.judge(&planned, key, cases, &ending, envelope.wall)
        };
        self.apply(envelope, RunEvent::StepFinished { key: key.clone(), cases, ending: Some(ending) });
    }

    fn judge(
        &self,
        planned: &PlannedStep,
        key: &StepKey,
        cases: &[Case],
        ending: &StepEnding,
        wall: WallTime,
    ) -> Vec<Case> {
        let Some(check) = (self.equipment.find_check)(&planned.step.check) else { return cases.to_vec() };
        let (trips_from, mismatches_from) = self.since.get(key).copied().unwrap_or_default();
        let judge = Judge {
            planned,
            spec: check.spec(),
            skus: &self.skus,
            record: &self.record,
            wall,
            trips_from,
            mismatches_from,
        };
        judge.cases(&measured(cases), ending)
    }
}

/// What the check handed over: all but what judging itself added as missing.
fn measured(cases: &[Case]) -> Vec<Measurement> {
    let given = |measurement: &&Measurement| measurement.value != Missing::NotGiven.into();
    let all = cases.iter().flat_map(|case| &case.judgements).map(|judgement| &judgement.measurement);
    all.filter(given).cloned().collect()
}
