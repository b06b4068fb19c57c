//! A run cut off at any of its events and taken up again: it ends as it would have, on the node it began on.

use super::toy::*;
use super::{Equipment, Machine};
use crate::Signal;
use crate::drive::{Pace, run_in_real_time};
use kiln_event::{
    Boot, Envelope, EvidenceFact, Interruption, Outcome, Recognition, RunEvent, RunRecord, StepRecord, StepStatus,
    VerdictWord, concluded,
};
use kiln_model::*;
use kiln_profile::*;

fn whole(profile: Profile, toy: &mut Toy, interrupts: &[(usize, Signal)]) -> Vec<Envelope> {
    let skus = skus();
    let mut machine = Machine::new(equipment(&skus), start(profile), None);
    let mut notes = Notes::default();
    drive(&mut machine, toy, &mut notes, interrupts);
    notes.events
}

fn equipment(skus: &Skus) -> Equipment<'_> {
    Equipment { skus, catalogue: Catalogue(CATALOGUE), find_check: find }
}

/// Takes the run up on `toy` and gives all of its events.
fn resumed(events: &[Envelope], toy: &mut Toy, interrupts: &[(usize, Signal)]) -> Vec<Envelope> {
    let skus = skus();
    let mut machine = Machine::resume(equipment(&skus), RunRecord::of(events), None).expect("begun");
    let mut notes = Notes { events: events.to_vec(), full_from: None };
    drive(&mut machine, toy, &mut notes, interrupts);
    assert_eq!(RunRecord::of(&notes.events), *machine.record(), "the journal tells all that the machine knows");
    notes.events
}

fn looks_and_burns() -> Profile {
    let mut profile = profile(vec![step("look", "toy.look"), step("burn", "toy.burn"), step("more", "toy.burn")]);
    profile.stages[0].steps[0].then.fail = Policy::Stop;
    profile
}

fn finished(record: &RunRecord, path: &str) -> usize {
    record.steps.iter().filter(|step| step.key.path == path && step.status == StepStatus::Finished).count()
}

#[test]
fn every_prefix_of_a_run_comes_to_the_same_end() {
    let events = whole(looks_and_burns(), &mut Toy::new(), &[]);
    for cut in 1..events.len() {
        let record = RunRecord::of(&resumed(&events[..cut], &mut Toy::new(), &[]));
        let verdict = record.verdict.clone().unwrap_or_else(|| panic!("no end after a cut at {cut}"));
        assert_eq!((verdict.word, verdict.retried, verdict.passed), (VerdictWord::Pass, false, 8), "cut at {cut}");
        assert_eq!(record.taken_up[0].changes, [], "cut at {cut}");
        assert_eq!(concluded(&record), Ok(()));
        let looked = finished(&RunRecord::of(&events[..cut]), "main.look");
        assert_eq!(finished(&record, "main.look"), looked + 1, "cut at {cut}: looked again before it went on");
        assert_eq!(finished(&record, "main.burn"), 1, "cut at {cut}: what was measured stays measured");
        let again = record.steps.iter().position(|step| step.era == 1);
        assert_eq!(again.map(|place| record.steps[place].key.path.as_str()), Some("main.look"), "cut at {cut}");
    }
}

#[test]
fn cut_again_and_again_it_still_comes_to_its_end() {
    let mut events = whole(looks_and_burns(), &mut Toy::new(), &[]);
    let resumes = 9;
    for resume in 0..resumes {
        // A little further each time.
        let cut = (1 + 5 * resume).min(events.len() - 1);
        events = resumed(&events[..cut], &mut Toy::new(), &[]);
    }
    let record = RunRecord::of(&events);
    assert_eq!((word(&record), record.resumes as usize), (VerdictWord::Pass, resumes));
    assert_eq!(finished(&record, "main.more"), 1);
}

#[test]
fn a_changed_part_keeps_the_run_from_passing_and_is_told_with_what_it_was() {
    let events = whole(looks_and_burns(), &mut Toy::new(), &[]);
    let mut toy = Toy::new();
    toy.change = Some(|inventory| inventory.gpus[1].memory_mib = Reading::Value(81_559));
    for cut in 3..events.len() {
        let record = RunRecord::of(&resumed(&events[..cut], &mut toy, &[]));
        assert_eq!(word(&record), VerdictWord::Inconclusive, "cut at {cut}");
        let [finding] = record.findings.as_slice() else { panic!("{:?}", record.findings) };
        assert_eq!((finding.code.as_str(), finding.component), ("UNIT-CHANGED", Component::gpu(1)));
        let EvidenceFact::Changed { change, .. } = &finding.evidence[0].fact else { panic!("{:?}", finding.evidence) };
        assert_eq!(change.to_string(), "memory was 143771, is 81559");
    }
}

/// What was done to a node while its run was away.
type Change = fn(&mut Inventory);

#[test]
fn another_node_is_refused_and_one_that_cannot_be_recognised_cannot_pass() {
    let events = whole(looks_and_burns(), &mut Toy::new(), &[]);
    let cases: [(Change, Option<VerdictWord>); 5] = [
        (|other| other.node.serial = Reading::Value("TOY-2".to_owned()), None),
        (
            |other| {
                other.node.serial = Reading::Unsupported;
                other
                    .gpus
                    .iter_mut()
                    .for_each(|gpu| gpu.identity.uuid = Reading::Value(format!("NEW-{}", gpu.index.0)));
            },
            None,
        ),
        (|same| same.node.boot_id = Reading::Value("second".to_owned()), Some(VerdictWord::Pass)),
        (|unread| unread.node.serial = Reading::Unsupported, Some(VerdictWord::Inconclusive)),
        (
            |unread| {
                unread.node.serial = Reading::Unsupported;
                unread.gpus.iter_mut().for_each(|gpu| gpu.identity.uuid = Reading::Unsupported);
            },
            Some(VerdictWord::Inconclusive),
        ),
    ];
    for (number, (change, expected)) in cases.into_iter().enumerate() {
        let mut toy = Toy::new();
        toy.change = Some(change);
        let all = resumed(&events[..6], &mut toy, &[]);
        let record = RunRecord::of(&all);
        match expected {
            None => assert_eq!(all.len(), 6, "case {number}: refused, and nothing is written"),
            Some(expected) => assert_eq!(word(&record), expected, "case {number}"),
        }
    }
}

#[test]
fn a_node_that_never_had_an_identity_is_not_taken_for_itself() {
    let mut toy = Toy::new();
    toy.change = Some(|bare| {
        bare.node.serial = Reading::Unsupported;
        bare.gpus.iter_mut().for_each(|gpu| gpu.identity.uuid = Reading::Unsupported);
    });
    let events = whole(looks_and_burns(), &mut toy, &[]);
    assert_eq!(word(&RunRecord::of(&events)), VerdictWord::Pass, "on one node without an interruption");
    let record = RunRecord::of(&resumed(&events[..8], &mut toy, &[]));
    assert_eq!(record.taken_up[0].node, Recognition::Unknown);
    assert_eq!((word(&record), record.findings[0].code.as_str()), (VerdictWord::Inconclusive, "UNIT-UNRECOGNISED"));
}

#[test]
fn a_boot_in_between_is_told_and_held_against_the_boot_before_it() {
    let events = whole(looks_and_burns(), &mut Toy::new(), &[]);
    let mut toy = Toy::new();
    toy.change = Some(|inventory| inventory.node.boot_id = Reading::Value("second".to_owned()));
    let once = resumed(&events[..8], &mut toy, &[]);
    assert_eq!(RunRecord::of(&once).taken_up[0].boot, Boot::Another);
    let twice = RunRecord::of(&resumed(&once[..14], &mut toy, &[]));
    assert_eq!((twice.taken_up[1].boot, twice.boots()), (Boot::Same, 1));
}

#[test]
fn an_abort_that_was_asked_for_stays_one_wherever_the_run_was_cut_off() {
    let steps = vec![step("burn", "toy.burn"), step("more", "toy.burn")];
    let events = whole(profile(steps), &mut Toy::new(), &[(70, Signal::First)]);
    let asked = events.iter().position(|event| matches!(event.event, RunEvent::RunInterrupted { .. }));
    let asked = asked.expect("interrupted");
    for cut in asked + 1..events.len() {
        let record = RunRecord::of(&resumed(&events[..cut], &mut Toy::new(), &[]));
        assert_eq!(word(&record), VerdictWord::Aborted, "cut at {cut}");
        assert_eq!(finished(&record, "teardown.after"), 1, "cut at {cut}: the teardown ran");
        let idle = |step: &StepRecord| step.cases.iter().all(|case| case.outcome == Outcome::NotReached);
        let later = |step: &StepRecord| step.era == 0 || step.key.path.starts_with("teardown") || idle(step);
        assert!(record.steps.iter().all(later), "cut at {cut}: nothing else runs any more");
    }
}

#[test]
fn an_operator_can_end_a_run_from_every_state() {
    let events = whole(looks_and_burns(), &mut Toy::new(), &[]);
    for mute in [false, true] {
        for cut in 0..events.len() {
            let mut toy = Toy::new();
            toy.mute = mute;
            let (send, receive) = tokio::sync::mpsc::unbounded_channel();
            send.send(Signal::First).expect("open");
            let skus = skus();
            let mut machine = match cut {
                0 => Machine::new(equipment(&skus), start(looks_and_burns()), None),
                _ => Machine::resume(equipment(&skus), RunRecord::of(&events[..cut]), None).expect("begun"),
            };
            let mut notes = Notes { events: events[..cut].to_vec(), full_from: None };
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
            let pace = Pace::new(10_000.0).expect("a pace");
            let driven = runtime.block_on(run_in_real_time(&mut machine, &mut toy, &mut notes, Nobody, pace, receive));
            driven.expect("driven");
            let record = RunRecord::of(&notes.events);
            assert_eq!(concluded(&record), Ok(()));
            // Where nothing is left that takes time, the run is over before anybody can stop it.
            let stopped = record.interruptions.iter().any(|(_, by)| *by == Interruption::Signal);
            let over = finished(&RunRecord::of(&events[..cut]), "teardown.after") == 1;
            assert!(stopped || (over && !mute), "cut at {cut}, mute {mute}");
            let expected = if stopped { VerdictWord::Aborted } else { VerdictWord::Pass };
            assert_eq!(word(&record), expected, "cut at {cut}, mute {mute}");
        }
    }
}

#[test]
fn a_run_cut_off_before_its_plan_goes_on_in_real_time_as_well() {
    let events = whole(looks_and_burns(), &mut Toy::new(), &[]);
    for cut in 1..4 {
        let skus = skus();
        let mut machine = Machine::resume(equipment(&skus), RunRecord::of(&events[..cut]), None).expect("begun");
        let mut notes = Notes { events: events[..cut].to_vec(), full_from: None };
        let (_send, receive) = tokio::sync::mpsc::unbounded_channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let pace = Pace::new(10_000.0).expect("a pace");
        let mut toy = Toy::new();
        let driven = runtime.block_on(run_in_real_time(&mut machine, &mut toy, &mut notes, Nobody, pace, receive));
        driven.expect("driven");
        assert_eq!(word(machine.record()), VerdictWord::Pass, "cut at {cut}");
    }
}

#[test]
fn findings_are_told_once_however_often_their_telling_is_cut_off() {
    let mut hot = looks_and_burns();
    hot.guards.push(guard(GuardStop::Run));
    let mut toy = Toy::new();
    toy.hot_from = Some(Moment::from_secs(10));
    let events = whole(hot, &mut toy, &[]);
    let expected = RunRecord::of(&events);
    assert!(!expected.findings.is_empty());
    for cut in 1..events.len() {
        let mut toy = Toy::new();
        toy.hot_from = Some(Moment::from_secs(10));
        let all = resumed(&events[..cut], &mut toy, &[]);
        let record = RunRecord::of(&all);
        assert_eq!(word(&record), VerdictWord::Fail, "cut at {cut}");
        let told = |record: &RunRecord| -> Vec<_> {
            record.findings.iter().map(|one| (one.code.clone(), one.component)).collect()
        };
        assert_eq!(told(&record), told(&expected), "cut at {cut}");
    }
}
