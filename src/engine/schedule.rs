//! What comes next: a pure function of the plan, the record and what has been halted.
//!
//! Because nothing but the record decides, a resumed run goes on exactly where the record ends. Starting steps and
//! judging them is the machine's work.

use kiln_event::{
    Case, Halted, Interruption, MOST_BOOTS, Outcome, Reason, ReasonKind, RunRecord, StageRecord, StepRecord, StepStatus,
};
use kiln_model::Moment;
use kiln_plan::{Plan, PlannedStage, PlannedStep, Readiness};
use kiln_profile::{Loop, Policy, RetryOn, Then};

/// Where a step stands in the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StepRef {
    /// `None` in the teardown.
    pub stage: Option<usize>,
    pub step: usize,
    pub round: u32,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Next {
    StartStage {
        stage: usize,
        round: u32,
    },
    FinishStage {
        stage: usize,
        round: u32,
    },
    Start {
        step_ref: StepRef,
        attempt: u32,
    },
    /// The step gets its result without running.
    Skip {
        step_ref: StepRef,
        attempt: u32,
        outcome: Outcome,
        reason: Reason,
    },
    /// A retry is due then.
    Wait(Moment),
    /// Steps are running and nothing more may start beside them.
    Busy,
    Done,
}

/// Why nothing further may start, as far as it has come to that.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Halt {
    /// The whole run: only the teardown is left.
    pub run: Option<Halted>,
    /// The stage with this id and round.
    pub stage: Option<(String, u32, Halted)>,
    /// Not even the teardown.
    pub teardown: bool,
}

impl Halt {
    /// Why steps of this stage round may not start.
    pub(super) fn holds(&self, stage: &str, round: u32) -> Option<&Halted> {
        if let Some(why) = &self.run {
            return Some(why);
        }
        self.stage.as_ref().filter(|(id, halted, _)| id == stage && *halted <= round).map(|(_, _, why)| why)
    }

    /// Takes in what a policy asks for after `path` ended badly.
    pub(super) fn raise(&mut self, policy: Policy, stage: Option<(&str, u32)>, why: &Halted) {
        match (policy, stage) {
            (Policy::Continue, _) | (Policy::StopStage, None) => {}
            (Policy::StopStage, Some((id, round))) => {
                self.stage = Some((id.to_owned(), round, why.clone()));
            }
            (Policy::Stop, _) => {
                self.run.get_or_insert_with(|| why.clone());
            }
        }
    }

    /// The halt that a record so far amounts to: what a resumed run starts with.
    pub(super) fn of(plan: &Plan, record: &RunRecord) -> Self {
        let mut halt = Self::default();
        let by_operator = |by: &Interruption| matches!(by, Interruption::Signal | Interruption::Kill);
        if record.interruptions.iter().any(|(_, by)| by_operator(by)) {
            halt.run = Some(Halted::ByOperator);
        }
        if record.boots() >= MOST_BOOTS {
            halt.run.get_or_insert(Halted::ByBoots { boots: record.boots() });
        }
        for step in record.decisive_steps() {
            if step.status != StepStatus::Finished {
                continue;
            }
            if let Some((stage, planned)) = find(plan, &step.key.path) {
                let policy = policy_after(planned.step.then, heeded(step));
                let why = Halted::ByStep { step: planned.path.clone(), outcome: worst(step) };
                halt.raise(policy, Some((&stage.id, step.key.round)), &why);
            }
        }
        halt
    }
}

fn find<'a>(plan: &'a Plan, path: &str) -> Option<(&'a PlannedStage, &'a PlannedStep)> {
    plan.stages.iter().find_map(|stage| stage.steps.iter().find(|step| step.path == path).map(|step| (stage, step)))
}

/// The worst outcome over a step's cases; a step without any has measured nothing.
pub(super) fn worst(step: &StepRecord) -> Outcome {
    step.cases.iter().map(|case| case.outcome).max().unwrap_or(Outcome::Error)
}

/// The outcome by which a run goes on or stops. A limit that all parts missed alike accuses none of them, and the node is
/// no more what it should be than if it did.
pub(super) fn heeded(step: &StepRecord) -> Outcome {
    let alike = |case: &Case| case.reason.as_ref().is_some_and(|reason| reason.kind() == ReasonKind::Alike);
    if step.cases.iter().any(alike) { worst(step).max(Outcome::Fail) } else { worst(step) }
}

/// What a step's own `then` says about an outcome.
pub(super) fn policy_after(then: Then, outcome: Outcome) -> Policy {
    match outcome {
        Outcome::Fail => then.fail,
        Outcome::Error | Outcome::Aborted => then.error,
        Outcome::Inconclusive => then.inconclusive,
        Outcome::Pass
        | Outcome::Marginal
        | Outcome::Waived
        | Outcome::Held
        | Outcome::Skipped
        | Outcome::NotReached => Policy::Continue,
    }
}

/// What is to happen now. `is_condition` says of a step whether its result is about the unit's condition.
pub(super) fn next(
    plan: &Plan,
    record: &RunRecord,
    halt: &Halt,
    now: Moment,
    is_condition: &dyn Fn(&PlannedStep) -> bool,
) -> Next {
    if let Some(next) = look_again(plan, record, halt, now, is_condition) {
        return next;
    }
    for (index, stage) in plan.stages.iter().enumerate() {
        // Asked with every reading: found from the end, where there may be hundreds of rounds.
        let Some(last) = record.stages.iter().rev().find(|round| round.id == stage.id) else {
            return Next::StartStage { stage: index, round: 1 };
        };
        if last.finished.is_none() {
            return within_round(plan, record, halt, now, index, last);
        }
        if wants_another_round(stage, record, last.round, halt, now) {
            return Next::StartStage { stage: index, round: last.round + 1 };
        }
    }
    teardown(plan, record, halt, now)
}

/// What was found of the unit's condition before an interruption is found again before anything else happens. A fail needs
/// no second look, and what did not pass keeps the run from passing anyway.
fn look_again(
    plan: &Plan,
    record: &RunRecord,
    halt: &Halt,
    now: Moment,
    is_condition: &dyn Fn(&PlannedStep) -> bool,
) -> Option<Next> {
    if record.resumes == 0 || halt.run.is_some() {
        return None;
    }
    for (index, stage) in plan.stages.iter().enumerate() {
        for (step, planned) in stage.steps.iter().enumerate() {
            let Some(last) = record.steps.iter().rev().find(|one| one.key.path == planned.path) else { continue };
            let round = last.key.round;
            if !is_condition(planned) || halt.holds(&stage.id, round).is_some() {
                continue;
            }
            let all = attempts(record, &planned.path, round, Moment::ZERO);
            let (earlier, own): (Vec<&StepRecord>, _) = all.iter().partition(|one| one.era < record.resumes);
            let settled = earlier.iter().rev().find(|one| one.status == StepStatus::Finished);
            if !settled.is_some_and(|one| one.has_passed()) {
                continue;
            }
            let step_ref = StepRef { stage: Some(index), step, round };
            match standing(planned, &own) {
                Standing::Settled => {}
                Standing::Running => return Some(Next::Busy),
                Standing::NotStarted | Standing::CutShort { .. } => {
                    return Some(Next::Start { step_ref, attempt: last.key.attempt + 1 });
                }
                Standing::Again { at, attempt } if at <= now => return Some(Next::Start { step_ref, attempt }),
                Standing::Again { at, .. } => return Some(Next::Wait(at)),
            }
        }
    }
    None
}

fn wants_another_round(stage: &PlannedStage, record: &RunRecord, round: u32, halt: &Halt, now: Moment) -> bool {
    if halt.holds(&stage.id, round + 1).is_some() || stage.steps.iter().all(|step| step.readiness != Readiness::Ready) {
        return false;
    }
    match stage.repeat {
        Loop::Count(count) => round < count,
        Loop::For(span) => {
            let first = record.stages.iter().find(|round| round.id == stage.id);
            first.is_some_and(|first| now.since(first.started) < span)
        }
    }
}

/// Attempts at one step in one round, oldest first.
fn attempts<'a>(record: &'a RunRecord, path: &str, round: u32, since: Moment) -> Vec<&'a StepRecord> {
    let recent = record.steps.iter().rev().take_while(|step| step.started >= since);
    let mut found: Vec<_> = recent.filter(|step| step.key.round == round && step.key.path == path).collect();
    found.reverse();
    found
}

enum Standing {
    NotStarted,
    Running,
    /// It was cut short, or was about to be skipped; `attempt` is the next.
    CutShort {
        attempt: u32,
    },
    Settled,
    Again {
        at: Moment,
        attempt: u32,
    },
}

impl Standing {
    /// The number of the attempt that is to be the first with a result.
    const fn first_attempt(&self) -> u32 {
        match self {
            Self::CutShort { attempt } => *attempt,
            _ => 1,
        }
    }
}

fn standing(planned: &PlannedStep, attempts: &[&StepRecord]) -> Standing {
    let Some(last) = attempts.last() else {
        return Standing::NotStarted;
    };
    match last.status {
        StepStatus::Running => Standing::Running,
        // An interrupted attempt says nothing and uses up no retry.
        StepStatus::Interrupted => Standing::CutShort { attempt: last.key.attempt + 1 },
        StepStatus::Finished => {
            let outcome = worst(last);
            let retry = &planned.step.retry;
            // What passed before an interruption and was looked at again has not used up a retry.
            let counts = |step: &&&StepRecord| {
                step.status == StepStatus::Finished && !(step.has_passed() && step.era < last.era)
            };
            let tried = attempts.iter().filter(counts).count();
            let wanted = match outcome {
                Outcome::Error => retry.on.contains(&RetryOn::Error),
                Outcome::Inconclusive => retry.on.contains(&RetryOn::Inconclusive),
                Outcome::Fail => retry.on.contains(&RetryOn::Fail),
                _ => false,
            };
            if wanted && planned.readiness == Readiness::Ready && tried <= retry.max as usize {
                let at = last.finished.unwrap_or(last.started) + retry.delay;
                Standing::Again { at, attempt: last.key.attempt + 1 }
            } else {
                Standing::Settled
            }
        }
    }
}

/// Whether a finished step will be tried again; the machine asks before it lets the outcome halt anything.
pub(super) fn will_retry(planned: &PlannedStep, record: &RunRecord, round: u32) -> bool {
    let all = attempts(record, &planned.path, round, Moment::ZERO);
    matches!(standing(planned, &all), Standing::Again { .. })
}

fn within_round(plan: &Plan, record: &RunRecord, halt: &Halt, now: Moment, index: usize, last: &StageRecord) -> Next {
    let stage = &plan.stages[index];
    let round = last.round;
    let mut running = false;
    let mut waiting: Option<Moment> = None;
    for (step, planned) in stage.steps.iter().enumerate() {
        let step_ref = StepRef { stage: Some(index), step, round };
        let tried = attempts(record, &planned.path, round, last.started);
        match standing(planned, &tried) {
            Standing::Settled => continue,
            Standing::Running => running = true,
            Standing::Again { at, attempt } => {
                if halt.holds(&stage.id, round).is_some() {
                    // Its last result stands.
                    continue;
                }
                if at <= now {
                    return Next::Start { step_ref, attempt };
                }
                waiting = Some(waiting.map_or(at, |sooner| sooner.min(at)));
            }
            fresh @ (Standing::NotStarted | Standing::CutShort { .. }) => {
                let attempt = fresh.first_attempt();
                return match obstacle(plan, record, halt, stage, planned, last) {
                    Some((outcome, reason)) => Next::Skip { step_ref, attempt, outcome, reason },
                    None => Next::Start { step_ref, attempt },
                };
            }
        }
        if !stage.together {
            break;
        }
    }
    match (running, waiting) {
        (true, _) => Next::Busy,
        (false, Some(at)) => Next::Wait(at),
        (false, None) => Next::FinishStage { stage: index, round },
    }
}

/// Why a step that has not started may not run.
fn obstacle(
    plan: &Plan,
    record: &RunRecord,
    halt: &Halt,
    stage: &PlannedStage,
    planned: &PlannedStep,
    round: &StageRecord,
) -> Option<(Outcome, Reason)> {
    match &planned.readiness {
        Readiness::Deselected => return Some((Outcome::NotReached, Reason::Deselected)),
        Readiness::Skip(why) => return Some((Outcome::Skipped, Reason::Unmet(why.clone()))),
        Readiness::Unmet(why) => return Some((Outcome::Error, Reason::Unmet(why.clone()))),
        Readiness::Ready => {}
    }
    if let Some(why) = halt.holds(&stage.id, round.round) {
        return Some((Outcome::NotReached, Reason::Stopped(why.clone())));
    }
    for needed in &planned.step.needs {
        let path = if needed.contains('.') { needed.clone() } else { format!("{}.{needed}", stage.id) };
        if !passed(record, &path) {
            return Some((Outcome::NotReached, Reason::Needs { step: path }));
        }
    }
    for needed in &stage.needs {
        let other = plan.stages.iter().find(|stage| stage.id == *needed)?;
        if let Some(step) = other.steps.iter().find(|step| !passed(record, &step.path)) {
            let reason = Reason::NeedsStage { stage: needed.clone(), step: step.path.clone() };
            return Some((Outcome::NotReached, reason));
        }
    }
    None
}

fn passed(record: &RunRecord, path: &str) -> bool {
    let last = record.steps.iter().rev().find(|step| step.key.path == path);
    last.is_some_and(|step| {
        step.status == StepStatus::Finished
            && matches!(
                worst(step),
                Outcome::Pass | Outcome::Marginal | Outcome::Waived | Outcome::Held | Outcome::Skipped
            )
    })
}

fn teardown(plan: &Plan, record: &RunRecord, halt: &Halt, now: Moment) -> Next {
    if halt.teardown {
        return Next::Done;
    }
    for (step, planned) in plan.teardown.iter().enumerate() {
        let step_ref = StepRef { stage: None, step, round: 1 };
        let tried = attempts(record, &planned.path, 1, Moment::ZERO);
        match standing(planned, &tried) {
            Standing::Settled => {}
            Standing::Running => return Next::Busy,
            Standing::Again { at, attempt } if at <= now => return Next::Start { step_ref, attempt },
            Standing::Again { at, .. } => return Next::Wait(at),
            fresh @ (Standing::NotStarted | Standing::CutShort { .. }) => {
                let attempt = fresh.first_attempt();
                return match &planned.readiness {
                    Readiness::Ready | Readiness::Deselected => Next::Start { step_ref, attempt },
                    Readiness::Skip(why) => {
                        let reason = Reason::Unmet(why.clone());
                        Next::Skip { step_ref, attempt, outcome: Outcome::Skipped, reason }
                    }
                    Readiness::Unmet(why) => {
                        let reason = Reason::Unmet(why.clone());
                        Next::Skip { step_ref, attempt, outcome: Outcome::Error, reason }
                    }
                };
            }
        }
    }
    Next::Done
}
