//! The machine driven in virtual time against a toy station with toy checks: what stops, what is killed, what is judged.

use std::collections::BTreeSet;

use super::toy::*;
use super::{Equipment, Machine};
use crate::Signal;
use kiln_event::{Halted, Outcome, Reason, RunEvent, RunRecord, VerdictWord};
use kiln_limit::{Bound, Term};
use kiln_model::*;
use kiln_profile::*;

// --- what must hold ---

#[test]
fn a_healthy_run_passes_with_its_teardown() {
    let record = run_with(profile(vec![step("burn", "toy.burn")]), &mut Toy::new(), &[]);
    assert_eq!(outcomes(&record), ["main.burn#1: gpu/0 PASS, gpu/1 PASS", "teardown.after#1: gpu/0 PASS, gpu/1 PASS"]);
    assert_eq!(word(&record), VerdictWord::Pass);
}

#[test]
fn a_guard_stops_the_load_fails_its_gpu_and_the_teardown_still_runs() {
    let mut hot = profile(vec![step("burn", "toy.burn"), step("more", "toy.burn")]);
    hot.guards.push(guard(GuardStop::Run));
    let mut toy = Toy::new();
    toy.hot_from = Some(Moment::from_secs(10));
    let record = run_with(hot, &mut toy, &[]);
    assert_eq!(
        outcomes(&record),
        [
            "main.burn#1: gpu/0 FAIL, gpu/1 NOT REACHED",
            "main.more#1: gpu/0 NOT REACHED, gpu/1 NOT REACHED",
            "teardown.after#1: gpu/0 PASS, gpu/1 PASS",
        ]
    );
    assert_eq!(toy.told[0], (LoadId(1), StopHow::Gently));
    assert_eq!(record.trips[0].0, Moment::from_secs(13), "held for three seconds, and no longer");
    assert_eq!(word(&record), VerdictWord::Fail);
}

#[test]
fn a_load_that_does_not_stop_is_killed_and_then_told_to_be_unkillable() {
    let mut toy = Toy::new();
    toy.manners = Manners::OnlyDie;
    let record = run_with(profile(vec![step("burn", "toy.burn")]), &mut toy, &[]);
    assert_eq!(toy.told[..2], [(LoadId(1), StopHow::Gently), (LoadId(1), StopHow::Kill)]);
    assert_eq!(word(&record), VerdictWord::Pass);

    toy = Toy::new();
    toy.manners = Manners::Never;
    let record = run_with(profile(vec![step("burn", "toy.burn")]), &mut toy, &[]);
    assert!(record.load_ends.iter().any(|(_, load, _, end)| *load == LoadId(1) && *end == LoadEnd::Unkillable));
    assert_eq!(outcomes(&record)[0], "main.burn#1: gpu/0 ERROR, gpu/1 ERROR");
    assert_eq!(word(&record), VerdictWord::Error);
}

#[test]
fn a_lost_gpu_fails_and_its_sibling_is_still_judged() {
    let mut toy = Toy::new();
    toy.lost_from = Some(Moment::from_secs(20));
    let record = run_with(profile(vec![step("burn", "toy.burn")]), &mut toy, &[]);
    assert_eq!(outcomes(&record)[0], "main.burn#1: gpu/0 PASS, gpu/1 FAIL");
    assert_eq!(record.lost.get(&GpuIndex(1)), Some(&Moment::from_secs(20)));
}

#[test]
fn a_step_that_hangs_is_an_error_and_no_claim_about_the_unit() {
    let record = run_with(profile(vec![step("hang", "toy.hang")]), &mut Toy::new(), &[]);
    assert_eq!(outcomes(&record)[0], "main.hang#1: gpu/0 ERROR, gpu/1 ERROR");
    assert!(matches!(record.steps[0].cases[0].reason, Some(Reason::Timeout { .. })));
    assert_eq!(word(&record), VerdictWord::Error);
}

#[test]
fn an_error_is_retried_and_the_pass_says_so() {
    let mut shaky = step("shaky", "toy.shaky");
    shaky.retry = Retry { max: 1, on: BTreeSet::from([RetryOn::Error]), delay: Span::from_secs(10) };
    let record = run_with(profile(vec![shaky]), &mut Toy::new(), &[]);
    assert_eq!(
        outcomes(&record)[..2],
        ["main.shaky#1: gpu/0 ERROR, gpu/1 ERROR", "main.shaky#2: gpu/0 PASS, gpu/1 PASS"]
    );
    let verdict = record.verdict.expect("verdict");
    assert_eq!((verdict.word, verdict.retried), (VerdictWord::Pass, true));
}

#[test]
fn a_watcher_ends_with_the_steps_beside_it() {
    let mut together = profile(vec![step("watch", "toy.watch"), step("burn", "toy.burn")]);
    together.stages[0].together = true;
    let record = run_with(together, &mut Toy::new(), &[]);
    assert_eq!(outcomes(&record)[..2], ["main.watch#1: gpu/0 PASS, gpu/1 PASS", "main.burn#1: gpu/0 PASS, gpu/1 PASS"]);
    assert_eq!(record.steps[0].started, record.steps[1].started);
    assert_eq!(record.steps[0].finished, record.steps[1].finished);
}

#[test]
fn the_first_interrupt_runs_the_teardown_and_the_second_kills() {
    let steps = || vec![step("burn", "toy.burn"), step("more", "toy.burn")];
    let record = run_with(profile(steps()), &mut Toy::new(), &[(5, Signal::First)]);
    assert_eq!(
        outcomes(&record),
        [
            "main.burn#1: gpu/0 ABORTED, gpu/1 ABORTED",
            "main.more#1: gpu/0 NOT REACHED, gpu/1 NOT REACHED",
            "teardown.after#1: gpu/0 PASS, gpu/1 PASS",
        ]
    );
    assert_eq!(word(&record), VerdictWord::Aborted);

    let mut toy = Toy::new();
    toy.manners = Manners::OnlyDie;
    let record = run_with(profile(steps()), &mut toy, &[(5, Signal::First), (6, Signal::Second)]);
    assert_eq!(toy.told, [(LoadId(1), StopHow::Gently), (LoadId(1), StopHow::Kill)]);
    assert!(!record.steps.iter().any(|step| step.key.path.starts_with("teardown")));
    assert_eq!(word(&record), VerdictWord::Aborted);
}

#[test]
fn a_limit_that_all_parts_miss_alike_accuses_none_of_them_and_stops_as_a_failure_does() {
    let mut first = step("burn", "toy.burn");
    first.limits.get_mut("value").expect("limit").bound = Bound::AtLeast(Term::Absolute(Quantity::new(2.0, Unit::One)));
    first.then.fail = Policy::Stop;
    let record = run_with(profile(vec![first, step("more", "toy.burn")]), &mut Toy::new(), &[]);
    assert_eq!(
        outcomes(&record)[..2],
        ["main.burn#1: gpu/0 INCONCLUSIVE, gpu/1 INCONCLUSIVE", "main.more#1: gpu/0 NOT REACHED, gpu/1 NOT REACHED"]
    );
    let halted = Halted::ByStep { step: "main.burn".to_owned(), outcome: Outcome::Inconclusive };
    assert_eq!(record.steps[1].cases[0].reason, Some(Reason::Stopped(halted)));
    assert_eq!(word(&record), VerdictWord::Inconclusive);
}

#[test]
fn a_stage_that_loops_for_a_time_finishes_the_round_it_is_in() {
    let mut looped = profile(vec![step("burn", "toy.burn")]);
    looped.stages[0].repeat = Loop::For(Span::from_secs(150));
    let record = run_with(looped, &mut Toy::new(), &[]);
    assert_eq!(record.stages.iter().map(|stage| stage.round).collect::<Vec<_>>(), [1, 2, 3]);
}

#[test]
fn resume_never_passes_an_interrupted_step() {
    let skus = skus();
    let equipment = Equipment { skus: &skus, catalogue: Catalogue(CATALOGUE), find_check: find };
    let mut whole =
        Machine::new(equipment, start(profile(vec![step("burn", "toy.burn"), step("more", "toy.burn")])), None);
    let mut notes = Notes::default();
    drive(&mut whole, &mut Toy::new(), &mut notes, &[]);
    for cut in 1..notes.events.len() {
        let before = RunRecord::of(&notes.events[..cut]);
        let running: Vec<_> = before.running().map(|step| step.key.clone()).collect();
        let mut machine = Machine::resume(equipment, before, None).expect("begun");
        let mut rest = Notes { events: notes.events[..cut].to_vec(), full_from: None };
        drive(&mut machine, &mut Toy::new(), &mut rest, &[]);
        let record = machine.record();
        assert_eq!(word(record), VerdictWord::Pass, "cut at {cut}");
        for key in &running {
            let again = record.steps.iter().filter(|step| step.key.path == key.path).count();
            assert_eq!(again, 2, "{key:?} was run again after a cut at {cut}");
            assert!(
                record.steps.iter().any(|step| step.key == *key && step.cases.is_empty()),
                "and the first has no result"
            );
        }
        let passed =
            |path: &str| record.steps.iter().filter(|step| step.key.path == path && !step.cases.is_empty()).count();
        assert_eq!((passed("main.burn"), passed("main.more"), passed("teardown.after")), (1, 1, 1), "cut at {cut}");
    }
}

#[test]
fn a_journal_that_cannot_be_written_stops_the_load() {
    let skus = skus();
    let equipment = Equipment { skus: &skus, catalogue: Catalogue(CATALOGUE), find_check: find };
    let mut machine = Machine::new(equipment, start(profile(vec![step("burn", "toy.burn")])), None);
    let mut toy = Toy::new();
    // The eighth event is the end of the load: by then it runs.
    let mut notes = Notes { events: Vec::new(), full_from: Some(6) };
    toy.hot_from = Some(Moment::from_secs(10));
    drive(&mut machine, &mut toy, &mut notes, &[]);
    assert!(notes.events.iter().all(|event| !matches!(event.event, RunEvent::RunFinished { .. })));
    assert!(toy.loads.is_empty(), "nothing is under load any more");
}

#[test]
fn the_wrong_serial_refuses_the_run_before_anything_is_recorded() {
    let skus = skus();
    let equipment = Equipment { skus: &skus, catalogue: Catalogue(CATALOGUE), find_check: find };
    let mut wrong = start(profile(vec![step("burn", "toy.burn")]));
    wrong.operation.serial = Some("TOY-2".to_owned());
    let mut machine = Machine::new(equipment, wrong, None);
    let mut notes = Notes::default();
    drive(&mut machine, &mut Toy::new(), &mut notes, &[]);
    assert!(notes.events.is_empty());
    let refusal = machine.refusal().expect("refused").to_string();
    assert_eq!(
        refusal,
        "the serial number given is `TOY-2`, but the node says `TOY-1`; scan the label of the node under test again"
    );
}
