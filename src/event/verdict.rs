//! From a record to a verdict: the roll-up of design rule 2.
//!
//! FAIL if anything failed; else ABORTED or ERROR if a result is lacking; else INCONCLUSIVE; else HELD if anything stands
//! apart from its lot; else PASS; and a run that judged nothing says so.

#![expect(
    clippy::cast_possible_truncation,
    reason = "values are bounded where they are made, within the narrower type"
)]

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Case, GuardTrip, Interruption, Outcome, ReasonKind, Recognition, RunKind, RunRecord, StepRecord, StepStatus,
    Verdict, VerdictWord,
};
use kiln_limit::Judged;
use kiln_model::{Component, Moment};
use kiln_plan::{PlannedStep, Readiness};
use kiln_profile::GuardResult;

/// Paths of teardown steps begin with this; passing them is no claim about the unit.
const TEARDOWN: &str = "teardown.";

/// A node that started anew this often while its run was away, and was not asked to, is not what it should be, whatever its
/// steps say: once is a power cut, and so may be twice.
pub const MOST_BOOTS: usize = 3;

/// How one component stands after one round of a step: its last whole attempt, in the light of those before.
#[derive(Debug, Clone, Copy)]
pub struct Standing<'a> {
    pub step: &'a StepRecord,
    pub case: &'a Case,
    /// The case's outcome, or a worse one where an earlier attempt failed.
    pub outcome: Outcome,
}

/// Where every component stands that has a case, in order of the steps' first start. Steps that have not come to their
/// end have none, but what failed in an earlier attempt of theirs still stands.
pub fn standings(record: &RunRecord) -> Vec<Standing<'_>> {
    let failed_before = earlier_fails(record);
    let mut standings = Vec::new();
    for step in record.decisive_steps() {
        let before = failed_before.get(&(step.key.path.as_str(), step.key.round));
        if step.status == StepStatus::Finished {
            standings.extend(step.cases.iter().map(|case| {
                let failed = before.is_some_and(|fails| fails.contains_key(&case.component));
                Standing { step, case, outcome: over_attempts(case.outcome, failed) }
            }));
        } else {
            let fails = before.into_iter().flat_map(BTreeMap::values);
            standings.extend(fails.map(|(step, case)| Standing { step, case, outcome: Outcome::Fail }));
        }
    }
    standings
}

/// What the record says about the unit so far.
pub fn roll_up(record: &RunRecord) -> Verdict {
    let mut tally = Tally::default();
    for (_, by) in record.stops() {
        match by {
            Interruption::Signal | Interruption::Kill => tally.aborted = true,
            Interruption::Failure(_) => tally.errors += 1,
        }
    }
    tally.errors += record.decisive_steps().iter().filter(|step| step.status != StepStatus::Finished).count() as u32;
    for standing in standings(record) {
        tally.standing(&standing);
    }
    tally.retried = is_retried(record);
    for planned in unstarted(record) {
        tally.unstarted(planned);
    }
    for (_, trip) in uncarried_trips(record) {
        match trip.outcome() {
            Outcome::Fail => tally.failed += 1,
            Outcome::Error => tally.errors += 1,
            _ => tally.inconclusive += 1,
        }
    }
    tally.inconclusive += changed_parts(record).len() as u32;
    tally.inconclusive += u32::from(record.boots() >= MOST_BOOTS);
    let start = record.start.as_ref();
    let deviations = start.into_iter().flat_map(|start| &start.profile.deviations).filter(|one| one.lessens()).count();
    let partial = start.is_some_and(|start| start.kind == RunKind::Partial);
    Verdict { deviations: deviations as u32, ..tally.verdict(partial) }
}

/// The parts that are not what the run began with; the node itself where it cannot be told which node it is. What was
/// proven of the one is not proven of the other.
fn changed_parts(record: &RunRecord) -> BTreeSet<Component> {
    let unknown = record.taken_up.iter().any(|taken_up| taken_up.node == Recognition::Unknown);
    let changed = record.taken_up.iter().flat_map(|taken_up| &taken_up.changes).map(|change| change.component);
    changed.chain(unknown.then_some(Component::Node)).collect()
}

/// What a journal's last event says of the unit, and what its cases add up to, are not the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the journal ends in the verdict {}, but its cases add up to {}: it is not as it was written, and says nothing about \
     the unit; test again",
    .recorded.shown(),
    .cases.shown()
)]
pub struct Disagreement {
    pub recorded: VerdictWord,
    pub cases: VerdictWord,
}

/// Holds the verdict of a run that came to its end against its cases: it is their conclusion and no fact of its own.
pub fn concluded(record: &RunRecord) -> Result<(), Disagreement> {
    let Some(recorded) = record.verdict.as_ref().map(|verdict| verdict.word) else { return Ok(()) };
    let cases = roll_up(record).word;
    if cases == recorded { Ok(()) } else { Err(Disagreement { recorded, cases }) }
}

/// Whether a step was tried again after it had come to its end. One that had passed and was looked at anew after an
/// interruption was not.
fn is_retried(record: &RunRecord) -> bool {
    record.steps.iter().enumerate().any(|(place, step)| {
        let again = |other: &&StepRecord| other.key.path == step.key.path && other.key.round == step.key.round;
        let next = record.steps[place + 1..].iter().find(again);
        step.status == StepStatus::Finished && next.is_some_and(|next| !(step.has_passed() && next.era > step.era))
    })
}

/// Trips that no deciding case already speaks of, one for each component and result: between steps, or on a part the
/// running steps had no case for. They count by themselves.
pub fn uncarried_trips(record: &RunRecord) -> Vec<&(Moment, GuardTrip)> {
    let steps = record.decisive_steps();
    let mut told = BTreeSet::new();
    let mut uncarried = Vec::new();
    for entry in &record.trips {
        let (at, trip) = entry;
        let carried = steps
            .iter()
            .filter(|step| step.started <= *at && step.finished.is_none_or(|finished| *at <= finished))
            .flat_map(|step| &step.cases)
            .any(|case| carries(case, trip));
        if !carried && told.insert((trip.component, trip.result == GuardResult::Fail)) {
            uncarried.push(entry);
        }
    }
    uncarried
}

/// Whether the case counts for the trip already.
fn carries(case: &Case, trip: &GuardTrip) -> bool {
    let counted = case.outcome == trip.outcome() || case.outcome == Outcome::Fail;
    let on_it = trip.component == Component::Station || case.component.overlaps(trip.component);
    counted && on_it && case.reason.as_ref().is_some_and(|reason| reason.kind() == ReasonKind::Guard)
}

/// The cases that failed in an attempt that was not the last, by component.
type Fails<'a> = BTreeMap<Component, (&'a StepRecord, &'a Case)>;

/// The earlier fails of every path and round that has whole attempts before its last.
fn earlier_fails(record: &RunRecord) -> BTreeMap<(&str, u32), Fails<'_>> {
    let decisive = record.decisive();
    let mut fails: BTreeMap<(&str, u32), Fails<'_>> = BTreeMap::new();
    for (_, step) in record.steps.iter().enumerate().filter(|(index, _)| !decisive.contains(index)) {
        if step.status == StepStatus::Finished {
            let found = fails.entry((step.key.path.as_str(), step.key.round)).or_default();
            let failed = step.cases.iter().filter(|case| case.outcome == Outcome::Fail);
            found.extend(failed.map(|case| (case.component, (step, case))));
        }
    }
    fails
}

/// Planned steps no event speaks of: the run ended, or has come, before them.
fn unstarted(record: &RunRecord) -> Vec<&PlannedStep> {
    let begun: BTreeSet<&str> = record.steps.iter().map(|step| step.key.path.as_str()).collect();
    let planned = record.plan.iter().flat_map(|plan| plan.stages.iter().flat_map(|stage| &stage.steps));
    planned.filter(|step| !begun.contains(step.path.as_str())).collect()
}

#[derive(Debug, Default)]
struct Tally {
    aborted: bool,
    retried: bool,
    marginal: u32,
    passed: u32,
    waived: u32,
    skipped: u32,
    not_reached: u32,
    inconclusive: u32,
    held: u32,
    errors: u32,
    failed: u32,
    /// Cases outside the teardown in which a value met or missed a limit.
    judged: u32,
}

impl Tally {
    fn standing(&mut self, standing: &Standing<'_>) {
        self.count(standing.outcome);
        let held = |judged: &Judged| !matches!(judged, Judged::Unjudged(_));
        let judged = standing.case.judgements.iter().any(|one| one.limit.is_some() && held(&one.outcome));
        self.judged += u32::from(judged && !standing.step.key.path.starts_with(TEARDOWN));
    }

    fn unstarted(&mut self, planned: &PlannedStep) {
        let count = planned.components.len().max(1) as u32;
        match planned.readiness {
            Readiness::Skip(_) => self.skipped += count,
            Readiness::Ready | Readiness::Unmet(_) | Readiness::Deselected => self.not_reached += count,
        }
    }

    const fn count(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Pass => self.passed += 1,
            Outcome::Marginal => {
                self.passed += 1;
                self.marginal += 1;
            }
            Outcome::Waived => self.waived += 1,
            Outcome::Skipped => self.skipped += 1,
            Outcome::NotReached => self.not_reached += 1,
            Outcome::Held => self.held += 1,
            Outcome::Inconclusive => self.inconclusive += 1,
            Outcome::Aborted => {
                self.aborted = true;
                self.not_reached += 1;
            }
            Outcome::Error => self.errors += 1,
            Outcome::Fail => self.failed += 1,
        }
    }

    const fn word(&self, partial: bool) -> VerdictWord {
        if self.failed > 0 {
            VerdictWord::Fail
        } else if self.aborted {
            VerdictWord::Aborted
        } else if self.errors > 0 {
            VerdictWord::Error
        } else if self.inconclusive > 0 {
            VerdictWord::Inconclusive
        } else if self.judged == 0 {
            VerdictWord::Nothing
        } else if partial || self.not_reached > 0 {
            // Not every decisive limit was judged: never an acceptance PASS.
            VerdictWord::Inconclusive
        } else if self.held > 0 {
            VerdictWord::Held
        } else {
            VerdictWord::Pass
        }
    }

    fn verdict(&self, partial: bool) -> Verdict {
        let word = self.word(partial);
        Verdict {
            word,
            marginal: word == VerdictWord::Pass && self.marginal > 0,
            retried: word == VerdictWord::Pass && self.retried,
            partial,
            deviations: 0,
            failed: self.failed,
            errors: self.errors,
            inconclusive: self.inconclusive,
            held: self.held,
            passed: self.passed,
            waived: self.waived,
            skipped: self.skipped,
            not_reached: self.not_reached,
        }
    }
}

/// What a component's last attempt says, given whether an earlier one failed. A fail is proof and survives an attempt
/// that gave no result; after a pass the unit was unstable, and the data cannot decide which of the two is true.
const fn over_attempts(last: Outcome, failed_before: bool) -> Outcome {
    match last {
        _ if !failed_before => last,
        Outcome::Pass | Outcome::Marginal | Outcome::Waived | Outcome::Held => Outcome::Inconclusive,
        _ => Outcome::Fail,
    }
}
