//! Whether a run makes its unit one of those that a lot's facts are of.
//!
//! A chassis whose places are unlike by design misses limits that hold one place against another, in every unit: no unit of it would
//! ever pass, and no lot could be made that says so. Such limits name what is asked with a lot (`with-lot`), and the first units of a
//! chassis may be told to count though they miss them.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::RunSummary;
use kiln_event::{Case, Outcome, Reason, RunRecord, StepRecord, VerdictWord};
use kiln_limit::Judged;

/// What the end of a run makes of its unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Member {
    /// It passed.
    Good,
    /// All that it missed are these limits, as `stage.step.measurement`, of which each names what is asked with a lot.
    AwaitsItsLot(BTreeSet<String>),
    /// It says nothing of good units.
    No,
}

impl Member {
    pub(super) fn of(record: &RunRecord) -> Self {
        // A run of less than the profile is no fact of a lot, as it is none of a baseline.
        let Some(run) = RunSummary::without_values(record).filter(|run| run.exclusion(&[]).is_none()) else {
            return Self::No;
        };
        match run.verdict.map(|verdict| verdict.word) {
            Some(VerdictWord::Pass) => Self::Good,
            Some(VerdictWord::Inconclusive) => awaited(record).map_or(Self::No, Self::AwaitsItsLot),
            _ => Self::No,
        }
    }
}

/// The limits that a run missed, if nothing else keeps it from a pass and a lot can answer each of them.
fn awaited(record: &RunRecord) -> Option<BTreeSet<String>> {
    let mut missed = BTreeSet::new();
    for step in record.decisive_steps() {
        for case in &step.cases {
            if case.outcome == Outcome::Inconclusive {
                missed.extend(awaited_by(record, step, case)?);
            } else if !matches!(case.outcome, Outcome::Pass | Outcome::Marginal | Outcome::Waived | Outcome::Skipped) {
                return None;
            }
        }
    }
    (!missed.is_empty()).then_some(missed)
}

fn awaited_by(record: &RunRecord, step: &StepRecord, case: &Case) -> Option<BTreeSet<String>> {
    if !matches!(case.reason, Some(Reason::Limit(_))) {
        return None;
    }
    let limits = &record.plan.as_deref()?.step(&step.key.path)?.step.limits;
    let mut missed = BTreeSet::new();
    for judgement in case.judgements.iter().filter(|judgement| judgement.decisive) {
        let name = &judgement.measurement.name;
        match judgement.outcome {
            Judged::Pass | Judged::Marginal => {}
            Judged::Fail if judgement.waiver.is_some() => {}
            Judged::Fail if limits.get(name).is_some_and(|limit| limit.with_lot.is_some()) => {
                missed.insert(format!("{}.{name}", step.key.path));
            }
            _ => return None,
        }
    }
    Some(missed)
}
