//! A step that has the node started anew: the run goes down with it, is taken up after the boot, and the boot is counted.

use super::toy::*;
use super::{Equipment, Machine, Refusal};
use crate::Signal;
use kiln_event::{
    Boot, Envelope, Halted, MOST_BOOTS, Outcome, Reason, RestartTrouble, RunEvent, RunRecord, StepStatus, VerdictWord,
    concluded,
};
use kiln_model::{RestartRefusal, Restarting, Span, WallTime};
use kiln_profile::{Catalogue, Loop, Policy, Profile, Skus};

fn equipment(skus: &Skus) -> Equipment<'_> {
    Equipment { skus, catalogue: Catalogue(CATALOGUE), find_check: find }
}

/// Everything of the run that `before` holds the beginning of, or of a new one, until it ends or leaves.
fn driven(profile: &Profile, before: &[Envelope], toy: &mut Toy, interrupts: &[(usize, Signal)]) -> Vec<Envelope> {
    let skus = skus();
    let mut machine = match before {
        [] => Machine::new(equipment(&skus), start(profile.clone()), None),
        _ => Machine::resume(equipment(&skus), RunRecord::of(before), None).expect("begun"),
    };
    let mut notes = Notes { events: before.to_vec(), full_from: None };
    drive(&mut machine, toy, &mut notes, interrupts);
    assert_eq!(RunRecord::of(&notes.events), *machine.record(), "the journal tells all that the machine knows");
    notes.events
}

fn on_boot(boots: usize) -> Toy {
    Toy { boots, ..Toy::new() }
}

/// A look at the node, a restart and a burn, so many times.
fn restarts(rounds: u32) -> Profile {
    let mut profile = profile(vec![step("look", "toy.look"), step("anew", "toy.anew"), step("burn", "toy.burn")]);
    profile.stages[0].repeat = Loop::Count(rounds);
    profile.stages[0].steps[0].then.fail = Policy::Stop;
    profile
}

fn finished(record: &RunRecord, path: &str) -> usize {
    record.steps.iter().filter(|step| step.key.path == path && step.status == StepStatus::Finished).count()
}

#[test]
fn a_loop_of_restarts_is_counted_and_the_node_is_looked_at_after_each() {
    let profile = restarts(3);
    let mut events = Vec::new();
    for boot in 0..=3 {
        let record = RunRecord::of(&events);
        assert_eq!((record.restarts.len(), record.verdict.is_none()), (boot, true));
        assert_eq!(record.open_restart().is_some(), boot > 0, "the order is in the journal before it is given");
        events = driven(&profile, &events, &mut on_boot(boot), &[]);
    }
    let record = RunRecord::of(&events);
    assert_eq!((word(&record), concluded(&record)), (VerdictWord::Pass, Ok(())));
    assert_eq!((record.restarted(), record.boots(), record.resumes, record.findings.len()), (3, 0, 3, 0));
    assert_eq!((finished(&record, "main.anew"), finished(&record, "main.burn")), (3, 3));
    assert_eq!(finished(&record, "main.look"), 3 + 3, "once in each round, and once more after each boot");
    assert!(record.steps.iter().all(|step| step.status == StepStatus::Finished), "no step was cut off by it");
}

#[test]
fn a_run_of_restarts_cut_off_after_any_event_restarts_no_more_than_it_was_told_to() {
    let profile = restarts(1);
    let left = driven(&profile, &[], &mut on_boot(0), &[]);
    let events = driven(&profile, &left, &mut on_boot(1), &[]);
    assert_eq!(word(&RunRecord::of(&events)), VerdictWord::Pass);
    for cut in 1..events.len() {
        let mut all = events[..cut].to_vec();
        let mut boots = usize::from(cut >= left.len());
        while RunRecord::of(&all).verdict.is_none() {
            all = driven(&profile, &all, &mut on_boot(boots), &[]);
            boots = RunRecord::of(&all).restarts.len();
        }
        let record = RunRecord::of(&all);
        let told = (word(&record), record.restarted(), record.restarts.len(), record.boots());
        assert_eq!(told, (VerdictWord::Pass, 1, 1, 0), "cut at {cut}");
    }
}

/// Takes the run up on the node as it was, so many seconds after the order, and gives why it cannot be and what is written.
fn after_the_order(left: &[Envelope], seconds: i64) -> (Option<Refusal>, Vec<Envelope>) {
    let order = RunRecord::of(left).open_restart().cloned().expect("an order");
    let (skus, mut toy) = (skus(), on_boot(0));
    let mut machine = Machine::resume(equipment(&skus), RunRecord::of(left), None).expect("begun");
    let mut notes = Notes::default();
    let wall: WallTime = order.wall + jiff::SignedDuration::from_secs(seconds);
    crate::drive::run_in_virtual_time(&mut machine, &mut toy, &mut notes, &mut Nobody, wall, &mut || None)
        .expect("driven");
    (machine.refusal().cloned(), notes.events)
}

#[test]
fn a_node_that_still_may_go_down_is_waited_for_and_nothing_is_written() {
    let left = driven(&restarts(1), &[], &mut on_boot(0), &[]);
    let order = RunRecord::of(&left).open_restart().cloned().expect("an order");
    let until = order.wall + jiff::SignedDuration::try_from(order.within).expect("a minute");
    assert_eq!(order.within, Span::from_secs(60));
    for seconds in [0, 59] {
        let refusal = Refusal::StillUp { asked: order.wall, until };
        assert_eq!(after_the_order(&left, seconds), (Some(refusal), Vec::new()));
    }
}

#[test]
fn a_node_that_was_not_started_anew_is_our_trouble() {
    let left = driven(&restarts(1), &[], &mut on_boot(0), &[]);
    let (refusal, more) = after_the_order(&left, 60);
    assert_eq!(refusal, None);
    let record = RunRecord::of(left.iter().chain(&more));
    assert_eq!((word(&record), record.restarted()), (VerdictWord::Error, 0));
    let step = record.steps.iter().find(|step| step.key.path == "main.anew").expect("a step");
    assert_eq!(step.cases[0].reason, Some(Reason::Restart(RestartTrouble::SameBoot)));
    assert_eq!(step.cases[0].outcome, Outcome::Error);
}

#[test]
fn an_order_that_is_not_taken_or_not_followed_ends_the_step_and_the_run_goes_on() {
    let refusal = RestartRefusal::NotOffered;
    let said = [
        (Err(refusal.clone()), RestartTrouble::Refused(refusal)),
        (Ok(Restarting::UnderWay), RestartTrouble::SameBoot),
    ];
    for (anew, trouble) in said {
        let mut toy = Toy { anew, ..Toy::new() };
        let record = RunRecord::of(&driven(&restarts(1), &[], &mut toy, &[]));
        assert_eq!((word(&record), record.restarted()), (VerdictWord::Error, 0));
        let step = record.steps.iter().find(|step| step.key.path == "main.anew").expect("a step");
        assert_eq!(step.cases[0].reason, Some(Reason::Restart(trouble)));
        assert_eq!(finished(&record, "main.burn"), 1);
    }
}

#[test]
fn a_system_that_ends_its_processes_on_the_way_down_aborts_nothing() {
    let profile = restarts(1);
    let mut toy = Toy { anew: Ok(Restarting::UnderWay), ..Toy::new() };
    let looks = 5;
    let left = driven(&profile, &[], &mut toy, &[(looks, Signal::First)]);
    let record = RunRecord::of(&left);
    assert!(record.open_restart().is_some() && record.interruptions.is_empty(), "{record:?}");
    let record = RunRecord::of(&driven(&profile, &left, &mut on_boot(1), &[]));
    assert_eq!((word(&record), record.restarted()), (VerdictWord::Pass, 1));
}

#[test]
fn boots_that_nobody_asked_for_are_told_and_the_third_ends_the_run_without_a_pass() {
    let profile = profile(vec![step("burn", "toy.burn"), step("more", "toy.burn")]);
    let whole = driven(&profile, &[], &mut on_boot(0), &[]);
    let began = |event: &Envelope| matches!(event.event, RunEvent::LoadStarted { .. });
    let mut events = whole[..=whole.iter().position(began).expect("a load")].to_vec();
    for boots in 1..=MOST_BOOTS {
        let all = driven(&profile, &events, &mut on_boot(boots), &[]);
        let record = RunRecord::of(&all);
        assert_eq!(record.taken_up.last().map(|taken_up| taken_up.boot), Some(Boot::Another));
        assert_eq!(record.boots(), boots);
        let codes: Vec<&str> = record.findings.iter().map(|finding| finding.code.as_str()).collect();
        assert_eq!(codes, ["NODE-RESTARTED"]);
        assert_eq!(concluded(&record), Ok(()));
        let resumed = all[events.len()..].iter().position(began).map(|at| events.len() + at);
        if boots < MOST_BOOTS {
            assert_eq!(word(&record), VerdictWord::Pass);
            events = all[..=resumed.expect("a load again")].to_vec();
        } else {
            let more = record.steps.iter().find(|step| step.key.path == "main.more").expect("a step");
            let why = Reason::Stopped(Halted::ByBoots { boots });
            assert_eq!((word(&record), &more.cases[0].reason), (VerdictWord::Inconclusive, &Some(why)));
            let teardown = record.steps.iter().find(|step| step.key.path == "teardown.after").expect("a step");
            assert_eq!(teardown.loads.len(), 1, "only the teardown has a load");
            assert_eq!(all[events.len()..].iter().filter(|event| began(event)).count(), 1);
        }
    }
}
