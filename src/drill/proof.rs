//! What in a run's record speaks against the unit, when it was known, and in which step.

use kiln_event::{Case, Outcome, Reason, ReasonKind, RunRecord, StepRecord, StepStatus};
use kiln_limit::Judged;
use kiln_model::{Component, Moment};
use kiln_profile::GuardResult;

/// One thing that speaks against the unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Proof {
    pub at: Moment,
    /// `stage.step`; `None` between steps.
    pub step: Option<String>,
    /// `limit thermal.resistance`, `guard lost`, `mismatch`, `GPU lost`.
    pub by: String,
    pub component: Component,
    pub says: Says,
}

/// How strongly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Says {
    Fail,
    Undecided,
}

/// Everything that speaks against the unit, first known first.
pub(super) fn proofs(record: &RunRecord) -> Vec<Proof> {
    let mut all = Vec::new();
    for (at, trip) in &record.trips {
        let says = match trip.result {
            GuardResult::Fail => Says::Fail,
            GuardResult::Inconclusive => Says::Undecided,
        };
        let by = format!("guard {}", trip.guard);
        all.push(Proof { at: *at, step: step_at(record, *at), by, component: trip.component, says });
    }
    for step in record.steps.iter().filter(|step| step.status == StepStatus::Finished) {
        for case in &step.cases {
            of_case(record, step, case, &mut all);
        }
    }
    // What was known at the same moment keeps its order, and the stronger goes first.
    all.sort_by_key(|proof| (proof.at, proof.says));
    all
}

/// The step that was running at `at`.
fn step_at(record: &RunRecord, at: Moment) -> Option<String> {
    let running = |step: &&StepRecord| step.started <= at && step.finished.is_none_or(|finished| at <= finished);
    record.steps.iter().rev().find(running).map(|step| step.key.path.clone())
}

fn of_case(record: &RunRecord, step: &StepRecord, case: &Case, all: &mut Vec<Proof>) {
    let says = match case.outcome {
        Outcome::Fail => Says::Fail,
        Outcome::Inconclusive | Outcome::Held | Outcome::Error => Says::Undecided,
        _ => return,
    };
    let end = step.finished.unwrap_or(step.started);
    let mut put = |at: Moment, by: String| {
        all.push(Proof { at, step: Some(step.key.path.clone()), by, component: case.component, says });
    };
    let kind = case.reason.as_ref().map_or(ReasonKind::Limit, Reason::kind);
    let within = |at: Moment| step.started <= at && at <= end;
    let gpu = case.component.gpu_index();
    if case.outcome == Outcome::Fail {
        // What happened on the way is known before the limits are held against the whole step.
        let wrong = record.mismatches.iter().find(|(at, _, mismatch, _)| Some(mismatch.gpu) == gpu && within(*at));
        if let Some((at, ..)) = wrong {
            put(*at, "mismatch".to_owned());
        }
        // A GPU that was lost in an earlier step is proven anew by this one, but not before it began.
        if let Some(at) = gpu.and_then(|gpu| record.lost.get(&gpu)).filter(|at| **at <= end) {
            put((*at).max(step.started), "GPU lost".to_owned());
        }
    } else if kind != ReasonKind::Guard {
        // A trip is in the list already.
        put(end, by_lot(case).unwrap_or_else(|| kind.word().to_owned()));
    }
    for judgement in case.judgements.iter().filter(|judgement| judgement.decisive) {
        if judgement.outcome == Judged::Fail && judgement.waiver.is_none() && case.outcome == Outcome::Fail {
            put(end, format!("limit {}", judgement.measurement.name));
        }
    }
}

/// `lot thermal.resistance`, of a case that stands apart from its lot.
fn by_lot(case: &Case) -> Option<String> {
    match &case.reason {
        Some(Reason::Outlier(judgement)) => Some(format!("lot {}", judgement.measurement.name)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_stories::endings;

    fn told(name: &str) -> Vec<String> {
        let line = |proof: &Proof| {
            let step = proof.step.as_deref().unwrap_or("between steps");
            format!("{} {step} {} {} {:?}", proof.at, proof.by, proof.component, proof.says)
        };
        proofs(&endings()[name].record()).iter().map(line).collect()
    }

    #[test]
    fn a_failed_limit_is_known_at_the_end_of_its_step() {
        assert_eq!(told("fail-limit"), ["00:07:14 burn.soak limit thermal.resistance gpu/1 Fail"]);
    }

    #[test]
    fn a_lost_gpu_is_known_when_it_is_lost_and_anew_in_every_later_step() {
        assert_eq!(
            told("guard"),
            [
                "00:00:06 burn.gemm guard lost gpu/1 Fail",
                "00:00:06 burn.gemm GPU lost gpu/1 Fail",
                "00:00:06 teardown.load GPU lost gpu/1 Fail"
            ]
        );
    }

    #[test]
    fn a_guard_is_known_when_it_trips_and_belongs_to_the_step_it_trips_in() {
        assert_eq!(
            told("over-temperature"),
            ["00:01:17 burn.gemm guard hot gpu/1 Fail", "00:03:54 burn.soak guard hot gpu/1 Fail"]
        );
    }

    #[test]
    fn a_wrong_result_is_known_before_its_step_ends() {
        assert_eq!(
            told("fail-mismatch"),
            [
                "00:00:51 burn.gemm mismatch gpu/1 Fail",
                "00:01:22 burn.gemm limit mismatches gpu/1 Fail",
                "00:03:29 burn.soak mismatch gpu/1 Fail"
            ]
        );
    }
}
