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
    use kiln_event::invented::{self, GPUS, Story};
    use kiln_event::{Interruption, RunEvent};
    use kiln_model::{GpuIndex, LoadId, Mismatch};

    fn told(story: &Story) -> Vec<String> {
        let line = |proof: &Proof| {
            let step = proof.step.as_deref().unwrap_or("between steps");
            format!("{} {step} {} {} {:?}", proof.at, proof.by, proof.component, proof.says)
        };
        proofs(&story.record()).iter().map(line).collect()
    }

    #[test]
    fn a_failed_limit_is_known_at_the_end_of_its_step() {
        let mut story = Story::begun().passed_before("burn.soak");
        let cases = vec![invented::judged(GPUS[1], invented::resistance(GPUS[1], 0.093))];
        story.step("burn.soak", 1, 600.0, cases).end();
        assert_eq!(told(&story), ["00:12:02 burn.soak limit thermal.resistance gpu/1 Fail"]);
    }

    #[test]
    fn a_guard_is_known_when_it_trips_and_belongs_to_the_step_it_trips_in() {
        let mut story = Story::begun().passed_before("burn.soak");
        let key = invented::key("burn.soak", 1, 1);
        story.tell(0.5, RunEvent::StepStarted { key: key.clone() });
        story.tell(30.0, RunEvent::GuardTripped(invented::trip(GPUS[1])));
        let case = invented::with_reason(GPUS[1], Outcome::Fail, invented::guard_stop());
        story.tell(1.0, invented::finished(key, vec![case]));
        story.end();
        assert_eq!(told(&story), ["00:02:32 burn.soak guard lost gpu/1 Fail"]);
    }

    #[test]
    fn a_wrong_result_is_known_before_its_step_ends() {
        let mut story = Story::begun().passed_before("burn.gemm");
        let key = invented::key("burn.gemm", 1, 1);
        story.tell(0.5, RunEvent::StepStarted { key: key.clone() });
        let mismatch =
            Mismatch { gpu: GpuIndex(1), place: "SM 7".to_owned(), iteration: 3, word: 9, flipped_bits: 1, sm: None };
        let gpu_celsius = kiln_model::Reading::Value(71.0);
        story.tell(9.0, RunEvent::ResultMismatched { load: LoadId(1), mismatch, gpu_celsius });
        let case = invented::with_reason(GPUS[1], Outcome::Fail, invented::guard_stop());
        story.tell(20.0, invented::finished(key, vec![case]));
        assert_eq!(told(&story), ["00:01:10 burn.gemm mismatch gpu/1 Fail"]);
    }

    #[test]
    fn a_lost_gpu_is_known_when_it_is_lost_and_anew_in_every_later_step() {
        let mut story = Story::begun().passed_before("burn.gemm");
        let lost = || {
            vec![invented::with_reason(GPUS[0], Outcome::Fail, kiln_event::Reason::Lost { at: Moment::from_secs(70) })]
        };
        let key = invented::key("burn.gemm", 1, 1);
        story.tell(0.5, RunEvent::StepStarted { key: key.clone() });
        story.tell(9.0, RunEvent::GpuLost { gpu: GpuIndex(0) });
        story.tell(20.0, invented::finished(key, lost()));
        story.step("burn.soak", 1, 1.0, lost());
        story.tell(0.0, RunEvent::RunInterrupted { by: Interruption::Signal });
        assert_eq!(told(&story), ["00:01:10 burn.gemm GPU lost gpu/0 Fail", "00:01:30 burn.soak GPU lost gpu/0 Fail"]);
    }
}
