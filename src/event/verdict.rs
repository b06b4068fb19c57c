//! From a record to a verdict: the roll-up of design rule 2.
//!
//! FAIL if anything failed; else ABORTED or ERROR if a result is lacking; else INCONCLUSIVE; else PASS; and a run that
//! judged nothing says so.

use std::collections::BTreeMap;

use super::{Interruption, Outcome, RunKind, RunRecord, StepRecord, StepStatus, Verdict, VerdictWord};
use crate::model::Component;
use crate::profile::GuardResult;

/// What the record says about the unit so far.
pub fn roll_up(record: &RunRecord) -> Verdict {
    let mut verdict = Verdict {
        word: VerdictWord::Nothing,
        marginal: false,
        retried: false,
        partial: record.start.as_ref().is_some_and(|start| start.kind == RunKind::Partial),
        failed: 0,
        errors: 0,
        inconclusive: 0,
        passed: 0,
        waived: 0,
        skipped: 0,
        not_reached: 0,
    };
    let mut aborted = record.interruptions.iter().any(|(_, by)| !matches!(by, Interruption::Failure(_)));
    if record.interruptions.iter().any(|(_, by)| matches!(by, Interruption::Failure(_))) {
        verdict.errors += 1;
    }
    for step in record.decisive_steps() {
        if step.status != StepStatus::Finished {
            verdict.errors += 1;
            continue;
        }
        for case in &step.cases {
            match outcome_over_attempts(record, step, case.component, case.outcome) {
                Outcome::Pass => verdict.passed += 1,
                Outcome::Marginal => {
                    verdict.passed += 1;
                    verdict.marginal = true;
                }
                Outcome::Waived => verdict.waived += 1,
                Outcome::Skipped => verdict.skipped += 1,
                Outcome::NotReached => verdict.not_reached += 1,
                Outcome::Inconclusive => verdict.inconclusive += 1,
                Outcome::Aborted => {
                    aborted = true;
                    verdict.not_reached += 1;
                }
                Outcome::Error => verdict.errors += 1,
                Outcome::Fail => verdict.failed += 1,
            }
        }
        verdict.retried |= step.key.attempt > 1;
    }
    count_guards(record, &mut verdict);
    verdict.word = word(&verdict, aborted);
    verdict
}

/// A pass after a fail is no plain pass: the unit was unstable, and the data cannot decide which of the two is true.
fn outcome_over_attempts(record: &RunRecord, last: &StepRecord, component: Component, outcome: Outcome) -> Outcome {
    if !matches!(outcome, Outcome::Pass | Outcome::Marginal) || last.key.attempt == 1 {
        return outcome;
    }
    let failed_before = record
        .steps
        .iter()
        .filter(|step| step.key.path == last.key.path && step.key.round == last.key.round)
        .filter(|step| step.key.attempt < last.key.attempt)
        .flat_map(|step| &step.cases)
        .any(|case| case.component == component && case.outcome == Outcome::Fail);
    if failed_before { Outcome::Inconclusive } else { outcome }
}

/// A guard may trip between steps; then no case carries it and it counts here.
fn count_guards(record: &RunRecord, verdict: &mut Verdict) {
    let mut by_result: BTreeMap<(Component, bool), u32> = BTreeMap::new();
    for (_, trip) in &record.trips {
        by_result.entry((trip.component, trip.result == GuardResult::Fail)).or_insert(1);
    }
    for ((_, fail), count) in by_result {
        if fail {
            verdict.failed += count;
        } else {
            verdict.inconclusive += count;
        }
    }
}

fn word(verdict: &Verdict, aborted: bool) -> VerdictWord {
    let judged = verdict.passed + verdict.failed + verdict.waived;
    if verdict.failed > 0 {
        VerdictWord::Fail
    } else if aborted {
        VerdictWord::Aborted
    } else if verdict.errors > 0 {
        VerdictWord::Error
    } else if verdict.inconclusive > 0 {
        VerdictWord::Inconclusive
    } else if judged == 0 {
        VerdictWord::Nothing
    } else if verdict.partial {
        // Not every decisive limit was judged: never an acceptance PASS.
        VerdictWord::Inconclusive
    } else if verdict.not_reached > 0 {
        VerdictWord::Error
    } else {
        VerdictWord::Pass
    }
}
