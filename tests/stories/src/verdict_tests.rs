//! Tests of the fold and of the verdict, on records that the engine made and on what may be added to one.

use proptest::prelude::*;

use crate::{GPUS, Story, endings};
use kiln_event::{
    Case, GuardTrip, Interruption, Outcome, Reason, RunEvent, RunFailure, RunKind, RunRecord, StepKey, StepStatus,
    VerdictWord, roll_up, uncarried_trips,
};
use kiln_model::Component;

const SOAK: &str = "burn.soak";

fn word(story: &Story) -> VerdictWord {
    roll_up(&story.record()).word
}

/// A healthy run before its last step but one.
fn before_soak() -> Story {
    endings()["pass"].cut_after("burn.gemm")
}

/// What a run says of both GPUs in its soak.
fn soak_of(name: &str) -> Vec<Case> {
    endings()[name].record().steps.iter().find(|step| step.key.path == SOAK).expect("a soak").cases.clone()
}

fn attempt(attempt: u32) -> StepKey {
    StepKey { attempt, ..Story::key(SOAK) }
}

impl Story {
    fn step(&mut self, key: StepKey, cases: Vec<Case>) -> &mut Self {
        self.tell(0.5, RunEvent::StepStarted { key: key.clone() });
        self.tell(60.0, RunEvent::StepFinished { key, cases, ending: None })
    }

    /// Everything that a healthy run does after its soak, but for the verdict.
    fn torn_down(&mut self) -> &mut Self {
        let whole = endings()["pass"].clone();
        let done = whole.cut_after(SOAK).events.len();
        for envelope in &whole.events[done..] {
            if !matches!(envelope.event, RunEvent::RunFinished { .. }) {
                self.tell(0.0, envelope.event.clone());
            }
        }
        self
    }
}

fn with_reason(component: Component, outcome: Outcome, reason: Reason) -> Case {
    Case { component, outcome, reason: Some(reason), judgements: Vec::new() }
}

fn trip(component: Component) -> GuardTrip {
    GuardTrip { component, ..endings()["guard"].record().trips[0].1.clone() }
}

/// What a step says of a component if the guard stopped it on GPU 1.
fn stopped(component: Component, outcome: Outcome) -> Case {
    with_reason(component, outcome, Reason::GuardStop(trip(GPUS[1]).as_stop()))
}

#[test]
fn every_ending_has_its_word() {
    let endings = endings();
    let told = endings.iter().map(|(name, story)| {
        let verdict = roll_up(&story.record());
        let flags = [(verdict.marginal, "marginal"), (verdict.retried, "retried"), (verdict.partial, "partial")];
        let flags: Vec<&str> = flags.into_iter().filter(|(on, _)| *on).map(|(_, flag)| flag).collect();
        let counts = [
            verdict.failed,
            verdict.errors,
            verdict.inconclusive,
            verdict.passed,
            verdict.waived,
            verdict.skipped,
            verdict.not_reached,
        ];
        format!("{name}: {} {} {counts:?}", verdict.word.shown(), flags.join(" "))
    });
    insta::assert_snapshot!(told.collect::<Vec<_>>().join("\n"));
}

#[test]
fn a_prefix_and_then_the_rest_is_the_same_as_all() {
    for (name, story) in endings() {
        let whole = story.record();
        for cut in 0..=story.events.len() {
            let mut record = RunRecord::of(&story.events[..cut]);
            for event in &story.events[cut..] {
                record.apply(event);
            }
            assert_eq!(record, whole, "{name} cut at {cut}");
        }
    }
}

#[test]
fn a_step_running_at_a_crash_is_interrupted_and_what_came_before_is_settled() {
    let mut story = endings()["unfinished"].clone();
    let by = Interruption::Failure(RunFailure::Words("no space left on device".to_owned()));
    story.tell(40.0, RunEvent::RunInterrupted { by });
    let resumed = endings()["resumed"];
    for envelope in &resumed.events[story.events.len() - 1..] {
        story.tell(0.0, envelope.event.clone());
    }
    let record = story.record();
    let soaks: Vec<_> = record.steps.iter().filter(|step| step.key.path == SOAK).collect();
    assert_eq!(soaks[0].status, StepStatus::Interrupted);
    assert_eq!(soaks[1].status, StepStatus::Finished);
    assert_eq!((record.resumes, record.settled), (1, 1));
    assert_eq!(record.running().count(), 0);
}

#[test]
fn an_end_without_a_beginning_is_kept() {
    let mut story = endings()["pass"].cut_in("identify.inventory");
    story.events.pop();
    let cases = soak_of("pass");
    story.tell(1.0, RunEvent::StepFinished { key: attempt(1), cases: cases.clone(), ending: None });
    let record = story.record();
    assert_eq!(record.steps[0].cases, cases);
    assert_eq!(record.steps[0].status, StepStatus::Finished);
}

#[test]
fn a_guards_trip_counts_once_with_the_case_it_failed() {
    let mut story = before_soak();
    story.tell(1.0, RunEvent::StepStarted { key: attempt(1) });
    story.tell(5.0, RunEvent::GuardTripped(trip(GPUS[1])));
    let cases = vec![stopped(GPUS[0], Outcome::NotReached), stopped(GPUS[1], Outcome::Fail)];
    story.tell(0.0, RunEvent::StepFinished { key: attempt(1), cases, ending: None });
    assert_eq!(roll_up(&story.record()).failed, 1);
    assert!(uncarried_trips(&story.record()).is_empty());
    story.tell(9.0, RunEvent::GuardTripped(trip(GPUS[0])));
    assert_eq!(roll_up(&story.record()).failed, 2, "a trip between steps counts by itself");
}

#[test]
fn a_guards_trip_survives_a_retry_that_passed() {
    let mut story = before_soak();
    story.tell(1.0, RunEvent::StepStarted { key: attempt(1) });
    story.tell(5.0, RunEvent::GuardTripped(trip(GPUS[1])));
    let cases = vec![stopped(GPUS[1], Outcome::Fail)];
    story.tell(0.0, RunEvent::StepFinished { key: attempt(1), cases, ending: None });
    story.step(attempt(2), soak_of("pass"));
    assert_eq!(word(story.torn_down()), VerdictWord::Fail);
}

#[test]
fn a_fail_survives_a_retry_without_result() {
    for last in [Outcome::Error, Outcome::Aborted, Outcome::NotReached, Outcome::Inconclusive] {
        let mut story = before_soak();
        story.step(attempt(1), soak_of("fail-limit"));
        let said = "no answer".to_owned();
        story.step(
            attempt(2),
            vec![with_reason(GPUS[1], last, Reason::Probe { said: kiln_model::Unanswered::Words(said) })],
        );
        assert_eq!(word(&story), VerdictWord::Fail, "{last:?}");
    }
    let mut story = before_soak();
    story.step(attempt(1), soak_of("fail-limit"));
    story.tell(1.0, RunEvent::StepStarted { key: attempt(2) });
    assert_eq!(word(&story), VerdictWord::Fail, "killed in the retry");
}

#[test]
fn a_run_cut_between_steps_has_not_passed() {
    assert_eq!(word(&before_soak()), VerdictWord::Inconclusive);
}

#[test]
fn a_pass_without_any_limit_judges_nothing() {
    let mut story = endings()["pass"].clone();
    story.events.pop();
    for envelope in &mut story.events {
        if let RunEvent::StepFinished { cases, .. } = &mut envelope.event {
            for judgement in cases.iter_mut().flat_map(|case| &mut case.judgements) {
                judgement.limit = None;
            }
        }
    }
    assert_eq!(word(&story), VerdictWord::Nothing);
}

/// How bad a word is. ABORTED and ERROR both say "no claim"; nothing judged and INCONCLUSIVE both say "undecided".
fn badness(word: VerdictWord) -> u8 {
    match word {
        VerdictWord::Pass => 0,
        VerdictWord::Held => 1,
        VerdictWord::Inconclusive | VerdictWord::Nothing => 2,
        VerdictWord::Error | VerdictWord::Aborted => 3,
        VerdictWord::Fail => 4,
    }
}

fn any_outcome() -> impl Strategy<Value = Outcome> {
    prop::sample::select(vec![
        Outcome::Pass,
        Outcome::Marginal,
        Outcome::Waived,
        Outcome::Skipped,
        Outcome::NotReached,
        Outcome::Held,
        Outcome::Inconclusive,
        Outcome::Aborted,
        Outcome::Error,
        Outcome::Fail,
    ])
}

fn told(steps: &[(u32, u32, Outcome)], kind: RunKind) -> RunRecord {
    let mut story = before_soak();
    let passed = soak_of("pass")[0].clone();
    for (round, attempt, outcome) in steps {
        let key = StepKey { round: *round, attempt: *attempt, ..Story::key(SOAK) };
        story.step(key, vec![Case { outcome: *outcome, ..passed.clone() }]);
    }
    let mut record = story.record();
    record.start.as_mut().expect("begun").kind = kind;
    record
}

proptest! {
    #[test]
    fn a_failing_case_more_never_improves_the_verdict(
        steps in prop::collection::vec((1_u32..4, 1_u32..3, any_outcome()), 0..8),
        at in 0_usize..8,
        partial: bool,
    ) {
        let kind = if partial { RunKind::Partial } else { RunKind::Production };
        let before = roll_up(&told(&steps, kind));
        let mut more = steps.clone();
        more.insert(at.min(steps.len()), (9, 1, Outcome::Fail));
        let after = roll_up(&told(&more, kind));
        prop_assert!(badness(after.word) >= badness(before.word));
        prop_assert_eq!(after.word, VerdictWord::Fail);
    }

    #[test]
    fn a_case_that_turns_bad_never_improves_the_verdict(
        steps in prop::collection::vec((1_u32..4, 1_u32..3, any_outcome()), 1..8),
        which in 0_usize..8,
        bad in prop::sample::select(vec![Outcome::Inconclusive, Outcome::Error, Outcome::Fail]),
    ) {
        let which = which % steps.len();
        let mut worse = steps.clone();
        worse[which].2 = if steps[which].2 < bad { bad } else { Outcome::Fail };
        let before = roll_up(&told(&steps, RunKind::Production));
        let after = roll_up(&told(&worse, RunKind::Production));
        prop_assert!(badness(after.word) >= badness(before.word), "{:?} then {:?}", before, after);
    }
}
