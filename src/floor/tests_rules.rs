//! The floor's rules, one input after the other: no network, no time but what a test gives.

use std::collections::BTreeMap;
use std::time::Duration;

use kiln_event::VerdictWord::{Error, Fail, Inconclusive, Pass};
use kiln_wire::{AgentId, Doing, Held, RunId, Scope, Serial};

use super::tests_told::{MINUTE, Told, name, site};
use super::*;

#[test]
fn a_run_without_a_claim_is_repeated_as_often_as_its_ending_allows() {
    let mut policy = Policy::one_profile("smoke");
    policy.retest = Retest { most: 5, error: 2, inconclusive: 0, aborted: 1, classes: Vec::new() };
    let mut told = Told::of(policy);
    for (unit, ends, held) in [
        ("A", &[Error, Error][..], None),
        ("B", &[Error, Error, Error], Some(Held::NoClaim)),
        ("C", &[Inconclusive], Some(Held::NoClaim)),
    ] {
        told.scan(unit, None);
        for verdict in ends {
            told.run(unit, *verdict);
        }
        assert_eq!(*told.stage(unit), held.map_or(Stage::Ready, Stage::Held), "{unit}");
    }
}

#[test]
fn no_unit_is_run_at_one_stop_more_often_than_allowed_until_a_person_has_looked() {
    let mut policy = Policy::one_profile("smoke");
    policy.retest = Retest { most: 3, error: 9, inconclusive: 9, aborted: 9, classes: Vec::new() };
    let mut told = Told::of(policy);
    told.scan("A", None);
    (0..3).for_each(|_| told.run("A", Error));
    assert_eq!(*told.stage("A"), Stage::Held(Held::TooManyRuns { runs: 3 }));
    told.act(Act::Free { unit: name("A"), why: "cable seated".to_owned() });
    told.run("A", Pass);
    assert_eq!(*told.stage("A"), Stage::Disposed(Disposition::Released));
}

#[test]
fn a_unit_is_repaired_for_one_class_of_fault_as_often_as_allowed() {
    let mut policy = Policy::one_profile("smoke");
    let class = FaultClass { id: "link".to_owned(), codes: vec!["PCIE-*".to_owned()], repairs: 1 };
    policy.retest.classes = vec![class];
    let mut told = Told::of(policy);
    told.codes = vec!["PCIE-WIDTH".to_owned()];
    told.scan("A", None);
    told.run("A", Fail);
    assert_eq!(*told.stage("A"), Stage::Disposed(Disposition::Repair));
    told.act(Act::Rework { unit: name("A"), what: "gpu/3 seated".to_owned(), parts: Parts::default() });
    told.run("A", Fail);
    assert_eq!(*told.stage("A"), Stage::Held(Held::TooManyRepairs { class: "link".to_owned() }));
    // A fault of no class is repaired as often as it comes.
    told.codes = vec!["GPU-HOT".to_owned()];
    told.scan("B", None);
    for _ in 0..4 {
        told.run("B", Fail);
        assert_eq!(*told.stage("B"), Stage::Disposed(Disposition::Repair));
        told.act(Act::Rework { unit: name("B"), what: "paste renewed".to_owned(), parts: Parts::default() });
    }
}

#[test]
fn to_release_a_held_unit_takes_two_persons_and_a_pass() {
    let mut told = Told::one_stop();
    told.scan("A", None);
    told.run("A", Fail);
    told.act(Act::Rework { unit: name("A"), what: "x".to_owned(), parts: Parts::default() });
    told.run("A", Error);
    told.run("A", Error);
    assert_eq!(*told.stage("A"), Stage::Held(Held::NoClaim));
    let decide = |second: Option<&str>| Input::Told {
        act: Act::Decide {
            unit: name("A"),
            disposition: Disposition::Released,
            why: "looked".to_owned(),
            second: second.map(str::to_owned),
        },
        by: "sato".to_owned(),
    };
    for second in [None, Some(" Sato "), Some("")] {
        assert_eq!(told.try_tell(decide(second)), Err(Refusal::SecondPerson), "{second:?}");
    }
    assert_eq!(told.try_tell(decide(Some("mori"))), Err(Refusal::NotPassed(name("A"))), "nothing passed");
    // A pass after a fail, without recorded work.
    told.scan("B", None);
    let run = told.asks("B").expect("a run");
    told.arrives(run, Fail);
    told.act(Act::Rework { unit: name("B"), what: "none".to_owned(), parts: Parts::default() });
    assert_eq!(told.floor.state().units[&name::<Serial>("B")].repairs, BTreeMap::new());
    let scrap =
        Act::Decide { unit: name("A"), disposition: Disposition::Scrapped, why: "burnt".to_owned(), second: None };
    told.act(scrap);
    assert_eq!(*told.stage("A"), Stage::Disposed(Disposition::Scrapped));
    let last = told.events.last().expect("an event");
    assert_eq!(last.actor, Actor::Person("sato".to_owned()));
    assert!(matches!(&last.event, FloorEvent::Disposed { because: Because::Person { why, .. }, .. } if why == "burnt"));
}

#[test]
fn an_agent_that_was_let_go_hears_of_it_once() {
    let mut told = Told::one_stop();
    told.scan("A", None);
    let run = told.asks("A").expect("a run");
    let why = Held::WillNotStart { run, tries: 5 };
    assert!(!told.sync("A", Doing::Held(why.clone())).let_go);
    let agent: AgentId = name("agent-A");
    assert_eq!(told.floor.state().agents[&agent].held, Some(why.clone()));
    told.act(Act::FreeAgent { agent: agent.clone() });
    assert!(told.sync("A", Doing::Held(why.clone())).let_go);
    assert!(told.sync("A", Doing::Held(why.clone())).let_go, "the answer may have been lost");
    assert!(!told.sync("A", Doing::Idle).let_go);
    assert!(!told.sync("A", Doing::Held(why)).let_go, "the same once more is a new reason");
    assert!(told.floor.state().agents[&agent].held.is_some());
}

#[test]
fn an_agent_that_was_started_again_is_not_held_once_more_for_what_was_set_aside() {
    let mut told = Told::one_stop();
    told.scan("A", None);
    let run = told.asks("A").expect("a run");
    let why = Held::Unverified { run: run.clone() };
    told.sync("A", Doing::Held(why.clone()));
    told.act(Act::FreeAgent { agent: name("agent-A") });
    told.sync("A", Doing::Idle);
    assert!(told.sync("A", Doing::Held(why)).let_go, "it has looked at the same journal again");
    assert_eq!(told.floor.state().agents[&name::<AgentId>("agent-A")].held, None);
    assert!(told.asks("A").is_some_and(|next| next != run));
}

#[test]
fn a_second_agent_on_a_unit_gets_nothing_and_holds_it() {
    let second = |told: &mut Told| told.sync_of("other", "A", Doing::Idle).desired.map(|assignment| assignment.run);
    let held = Stage::Held(Held::SecondAgent { first: name("agent-A"), second: name("other") });
    let mut told = Told::one_stop();
    told.scan("A", None);
    let run = told.asks("A").expect("a run");
    assert_eq!(second(&mut told), None);
    assert_eq!(*told.stage("A"), held);
    assert_eq!(told.asks("A"), None, "nor does the first get anything more");
    told.arrives(run, Pass);
    assert_eq!(*told.stage("A"), held, "two machines say they are this unit: which of them ran is not known");
    // A person took the first away. The second has called before, and says nothing new.
    told.act(Act::Free { unit: name("A"), why: "the old disk was taken out".to_owned() });
    let run = second(&mut told).expect("a run");
    assert_eq!(told.asks("A"), None);
    assert_eq!(*told.stage("A"), Stage::Held(Held::SecondAgent { first: name("other"), second: name("agent-A") }));
    assert!(told.floor.state().runs[&run].agent == name("other"));
}

#[test]
fn a_unit_under_test_is_not_scanned_away_from_the_agent_that_tests_it() {
    let mut told = Told::one_stop();
    told.scan("A", None);
    // A node whose firmware has no serial number: only the scan says what it is.
    let sync = |told: &mut Told| {
        let sync = kiln_wire::Sync::idle(name("blank"), name("boot-1"));
        told.tell(Input::Synced(sync)).expect("an answer").desired
    };
    assert_eq!(sync(&mut told), None);
    let run = told.asks("A").expect("a run");
    let scan =
        |at: &str| Input::Scanned { unit: name("A"), at: Some(name(at)), slot: None, lot: None, by: "x".to_owned() };
    assert_eq!(told.try_tell(scan("blank")), Err(Refusal::UnderTest { unit: name("A"), run: run.clone() }));
    assert_eq!(sync(&mut told), None);
    told.tell(scan("agent-A"));
    assert_eq!(told.asks("A"), Some(run));
}

#[test]
fn a_rack_that_needs_a_golden_pass_starts_nothing_else_before_it_and_after_a_golden_fail() {
    let mut policy = Policy::one_profile("smoke");
    let plain = site(2, 4);
    let mut racks = plain.racks().to_vec();
    racks[0].golden_within = Some(Duration::from_secs(3600));
    policy.site = Site::new(plain.places().to_vec(), racks);
    policy.golden = [name("GOLD")].into();
    let mut told = Told::of(policy);
    told.scan("A", Some("r0-00"));
    told.scan("B", Some("r1-00"));
    assert_eq!(told.asks("A"), None);
    assert_eq!(told.wait("A"), Some(&Wait::Golden(name("r0"))));
    assert!(told.asks("B").is_some(), "the other rack needs none");
    told.scan("GOLD", Some("r0-01"));
    told.run("GOLD", Pass);
    assert_eq!(*told.stage("GOLD"), Stage::Disposed(Disposition::Returned));
    assert!(told.asks("A").is_some());
    told.scan("C", Some("r0-02"));
    told.now += 61 * MINUTE;
    assert_eq!(told.asks("C"), None, "too old");
    told.scan("GOLD", Some("r0-01"));
    told.run("GOLD", Fail);
    assert!(matches!(told.stage("GOLD"), Stage::Held(Held::GoldenFailed { .. })));
    assert_eq!(told.wait("C"), Some(&Wait::Golden(name("r0"))));
}

/// Ten racks of eight, each unit tested once; those in one rack show a code.
fn lot_with_a_bad_rack() -> Told {
    let mut policy = Policy::one_profile("smoke");
    policy.site = site(10, 8);
    let mut told = Told::of(policy);
    told.codes = vec!["GPU-HOT".to_owned()];
    for slot in 0..8 {
        for rack in 0..10 {
            let unit = format!("U{rack}-{slot}");
            told.scan(&unit, Some(&format!("r{rack}-{slot:02}")));
            let Some(run) = told.asks(&unit) else { continue };
            told.arrives(run, if rack == 4 { Fail } else { Pass });
        }
    }
    told
}

#[test]
fn a_rack_whose_units_fail_alike_is_suspected_and_no_part_is_pulled_for_it() {
    let mut told = lot_with_a_bad_rack();
    let rack = Scope::Rack(name("r4"));
    assert_eq!(told.floor.state().suspects.keys().collect::<Vec<_>>(), [&rack]);
    let of = |told: &Told, wanted: fn(&Stage) -> bool| {
        told.floor.state().units.values().filter(|unit| wanted(&unit.stage)).count()
    };
    assert_eq!(of(&told, |stage| *stage == Stage::Disposed(Disposition::Repair)), 0);
    let held = of(&told, |stage| matches!(stage, Stage::Held(Held::Suspect { .. })));
    let waiting = of(&told, |stage| *stage == Stage::Ready);
    assert!(held >= 3 && held + waiting == 8, "{held} held, {waiting} wait");
    assert_eq!(of(&told, |stage| *stage == Stage::Disposed(Disposition::Released)), 72);
    assert_eq!(told.wait("U4-7"), Some(&Wait::Suspect(rack.clone())));
    // Verdicts stay what they were.
    let failed = |unit: &UnitState| unit.runs.iter().any(|outcome| outcome.facts.verdict == Fail);
    assert_eq!(told.floor.state().units.values().filter(|unit| failed(unit)).count(), held);
    told.act(Act::FreeScope { scope: rack, why: "valve opened".to_owned() });
    told.run("U4-7", Pass);
    assert_eq!(*told.stage("U4-7"), Stage::Disposed(Disposition::Released));
    told.act(Act::Free { unit: name("U4-0"), why: "valve opened".to_owned() });
    told.run("U4-0", Pass);
    // It failed before, and that was its rack's: a person says so, with a second one.
    assert_eq!(*told.stage("U4-0"), Stage::Held(Held::PassAfterFail));
    let (unit, why, second) = (name("U4-0"), "valve".to_owned(), Some("mori".to_owned()));
    told.act(Act::Decide { unit, disposition: Disposition::Released, why, second });
    assert_eq!(*told.stage("U4-0"), Stage::Disposed(Disposition::Released));
    assert_eq!(told.floor.state().suspects.len(), 0, "what is past is not held against it again");
}

#[test]
fn starts_stop_when_many_fail_at_once_and_go_on_when_a_person_says_so() {
    let mut policy = Policy::one_profile("smoke");
    policy.breaker = Some(Breaker::default());
    let mut told = Told::of(policy);
    for number in 0..20 {
        told.scan(&format!("U{number}"), None);
    }
    let runs: Vec<RunId> = (0..19).map(|number| told.asks(&format!("U{number}")).expect("a run")).collect();
    for run in &runs[..4] {
        told.codes = vec![format!("CODE-{run}")];
        told.arrives(run.clone(), Fail);
    }
    assert_eq!(told.asks("U19"), None);
    assert_eq!(told.wait("U19"), Some(&Wait::Stopped));
    told.act(Act::FreeStarts { why: "a bad image, replaced".to_owned() });
    assert!(told.asks("U19").is_some(), "what failed before is not counted again");
}
