//! Which run is whose: slots, power, serial numbers, generations and copies of an agent, one input after the other.

use std::time::Duration;

use kiln_event::VerdictWord::{Fail, Pass};
use kiln_wire::{Doing, Held, PlaceId, RunId, Serial, SlotId};

use super::tests_told::{MINUTE, Told, name, site};
use super::*;

#[test]
fn a_slot_that_contradicts_the_scan_or_is_taken_holds_the_unit() {
    let mut policy = Policy::one_profile("smoke");
    policy.site = site(1, 4);
    let mut told = Told::of(policy);
    told.scan("A", None);
    assert_eq!(told.asks("A"), None);
    assert_eq!(told.wait("A"), Some(&Wait::Lack(Lack::Slot)));
    told.scan("A", Some("r0-00"));
    let run = told.asks("A").expect("a run");
    told.scan("B", Some("r0-00"));
    assert!(matches!(told.stage("B"), Stage::Held(Held::SlotTaken { other, .. }) if other.as_str() == "A"));
    let moved = Input::Scanned { unit: name("A"), at: None, slot: Some(name("r0-01")), lot: None, by: "x".to_owned() };
    assert_eq!(told.try_tell(moved), Err(Refusal::UnderTest { unit: name("A"), run }));
    let nowhere: SlotId = name("r9-00");
    let scan = Input::Scanned { unit: name("C"), at: None, slot: Some(nowhere.clone()), lot: None, by: "x".to_owned() };
    assert_eq!(told.try_tell(scan), Err(Refusal::UnknownSlot(nowhere)));
    let place: PlaceId = name("feed-9");
    let cut = Act::Cut { place: place.clone(), limit: None, why: "x".to_owned() };
    let cut = told.try_tell(Input::Told { act: cut, by: "x".to_owned() });
    assert_eq!(cut, Err(Refusal::UnknownPlace(place)));
}

#[test]
fn power_comes_back_when_the_run_has_arrived_or_a_person_says_so_and_not_before() {
    let mut policy = Policy::one_profile("smoke");
    policy.site = site(1, 4);
    let mut told = Told::of(policy);
    let granted = |told: &Told| told.floor.ledger().granted(0);
    told.scan("A", Some("r0-00"));
    let run = told.asks("A").expect("a run");
    assert_eq!(granted(&told), Watts(10_000));
    told.now += 72 * 60 * MINUTE;
    assert_eq!(told.asks("A"), Some(run.clone()), "three days of silence change nothing");
    assert_eq!(granted(&told), Watts(10_000));
    told.arrives(run.clone(), Pass);
    assert_eq!(granted(&told), Watts(0));
    told.scan("B", Some("r0-01"));
    let run = told.asks("B").expect("a run");
    told.act(Act::PowerOff { run: run.clone(), why: "unplugged".to_owned() });
    assert_eq!(granted(&told), Watts(0));
    // A node that asks again gets its run when there is power for it.
    let cut = |limit: Option<u64>| Act::Cut { place: name("feed"), limit: limit.map(Watts), why: "x".to_owned() };
    told.act(cut(Some(9_999)));
    assert_eq!(told.asks("B"), None);
    told.act(cut(None));
    assert_eq!(told.asks("B"), Some(run.clone()));
    assert_eq!(granted(&told), Watts(10_000));
    told.act(Act::PowerOff { run: run.clone(), why: "unplugged".to_owned() });
    // It was not unplugged: what is heard to run draws.
    told.sync("B", Doing::Running { run });
    assert_eq!(granted(&told), Watts(10_000));
}

#[test]
fn a_run_that_goes_on_though_another_is_wanted_by_now_draws_what_its_machine_was_granted_and_no_more() {
    let mut policy = Policy::one_profile("smoke");
    policy.site = site(1, 4);
    let mut told = Told::of(policy);
    let granted = |told: &Told| told.floor.ledger().granted(0);
    let goes_on = |told: &mut Told, boot: &str, run: &RunId| {
        let idle = kiln_wire::Sync::idle(name("agent-A"), name(boot));
        let (doing, heard) = (Doing::Running { run: run.clone() }, Some(told.events.len() as u64));
        told.tell(Input::Synced(kiln_wire::Sync { serial: Some(name("A")), doing, heard, ..idle }));
    };
    told.scan("A", Some("r0-00"));
    let first = told.asks("A").expect("a run");
    goes_on(&mut told, "boot-1", &first);
    told.tell(Input::Unverified(first.clone()));
    told.act(Act::Free { unit: name("A"), why: "looked".to_owned() });
    let second = told.asks("A").expect("another run");
    assert_ne!(first, second);
    assert_eq!(granted(&told), Watts(10_000), "what the first was granted goes for the second");
    goes_on(&mut told, "boot-1", &first);
    assert_eq!(granted(&told), Watts(10_000));
    // Two machines that say they are one may both draw.
    goes_on(&mut told, "boot-2", &second);
    goes_on(&mut told, "boot-1", &first);
    assert_eq!(granted(&told), Watts(20_000));
}

#[test]
fn what_a_run_says_that_was_wanted_before_a_person_freed_the_unit_releases_nothing() {
    let mut told = Told::one_stop();
    told.scan("A", None);
    let first = told.asks("A").expect("a run");
    told.tell(Input::Unverified(first.clone()));
    told.act(Act::Free { unit: name("A"), why: "looked".to_owned() });
    told.arrives(first, Pass);
    assert_eq!(*told.stage("A"), Stage::Ready);
    let second = told.asks("A").expect("another run");
    // A fail is proof, whenever it comes.
    told.tell(Input::Unverified(second.clone()));
    told.act(Act::Free { unit: name("A"), why: "looked".to_owned() });
    told.arrives(second, Fail);
    told.run("A", Pass);
    assert_eq!(*told.stage("A"), Stage::Held(Held::PassAfterFail));
    // Unless the unit was worked on since.
    told.scan("B", None);
    let first = told.asks("B").expect("a run");
    told.tell(Input::Unverified(first.clone()));
    told.act(Act::Rework { unit: name("B"), what: "gpu/3 replaced".to_owned(), parts: Parts::default() });
    told.arrives(first, Fail);
    told.run("B", Pass);
    assert_eq!(*told.stage("B"), Stage::Disposed(Disposition::Released));
}

#[test]
fn a_pass_of_another_serial_number_counts_for_nothing_and_nobody_can_release_by_it() {
    let mut told = Told::one_stop();
    told.scan("A", None);
    let run = told.asks("A").expect("a run");
    told.passes_as(run, Some("B"), "");
    assert_eq!(*told.stage("A"), Stage::Held(Held::SerialMismatch { scanned: name("A"), node: name("B") }));
    assert_eq!(told.floor.state().units[&name::<Serial>("A")].passed.len(), 0);
    assert_eq!(told.release("A"), Err(Refusal::NotPassed(name("A"))));
}

#[test]
fn a_pass_that_says_no_serial_number_is_released_by_two_persons_only() {
    let mut policy = Policy::one_profile("smoke");
    policy.route.push(Stop { profile: "acceptance".to_owned(), ..policy.route[0].clone() });
    let mut told = Told::of(policy);
    told.scan("A", None);
    let first = told.asks("A").expect("a run");
    told.passes_as(first.clone(), None, "");
    assert_eq!(*told.stage("A"), Stage::Ready, "nothing is released yet");
    told.run("A", Pass);
    assert_eq!(*told.stage("A"), Stage::Held(Held::NoSerial { run: first }));
    told.release("A").expect("two persons");
    assert_eq!(*told.stage("A"), Stage::Disposed(Disposition::Released));
    // What was measured before a person freed the unit is not asked about any more.
    told.scan("B", None);
    let run = told.asks("B").expect("a run");
    told.passes_as(run, None, "");
    let run = told.asks("B").expect("a run");
    told.tell(Input::Unverified(run));
    told.act(Act::Free { unit: name("B"), why: "looked".to_owned() });
    (0..2).for_each(|_| told.run("B", Pass));
    assert_eq!(*told.stage("B"), Stage::Disposed(Disposition::Released));
}

#[test]
fn a_golden_unit_that_says_no_serial_number_of_its_own_opens_no_rack() {
    let mut policy = Policy::one_profile("smoke");
    let plain = site(1, 4);
    let mut racks = plain.racks().to_vec();
    racks[0].golden_within = Some(Duration::from_secs(3600));
    policy.site = Site::new(plain.places().to_vec(), racks);
    policy.golden = [name("GOLD")].into();
    for serial in [None, Some("A")] {
        let mut told = Told::of(policy.clone());
        told.scan("GOLD", Some("r0-01"));
        let run = told.asks("GOLD").expect("a run");
        told.passes_as(run, serial, "");
        assert!(matches!(told.stage("GOLD"), Stage::Held(_)), "{serial:?}: {:?}", told.stage("GOLD"));
        assert!(told.floor.state().golden_passes.is_empty(), "{serial:?}");
    }
}

#[test]
fn a_pass_of_another_profile_counts_for_nothing_even_while_the_unit_is_held() {
    let (right, other) = ("a".repeat(64), "b".repeat(64));
    for (ran, released) in [(&right, true), (&other, false)] {
        let mut policy = Policy::one_profile("smoke");
        policy.route[0].digest = Some(name(&right));
        let mut told = Told::of(policy);
        told.scan("A", None);
        let run = told.asks("A").expect("a run");
        told.tell(Input::Unverified(run.clone()));
        told.passes_as(run, Some("A"), ran);
        assert!(matches!(told.stage("A"), Stage::Held(Held::Unverified { .. })));
        assert_eq!(told.release("A").is_ok(), released, "{ran}");
    }
}

#[test]
fn a_second_unit_in_a_slot_is_held_wherever_the_first_is_on_its_way() {
    let taken = |other: &str| Stage::Held(Held::SlotTaken { slot: name("r0-00"), other: name(other) });
    // The occupant's serial number comes first in one case and last in the other.
    for (first, second) in [("A", "B"), ("B", "A")] {
        for calls in [false, true] {
            let mut policy = Policy::one_profile("smoke");
            policy.site = site(1, 4);
            let mut told = Told::of(policy);
            if calls {
                // Its node calls, and what is wanted of it must wait.
                told.act(Act::Cut { place: name("feed"), limit: Some(Watts(0)), why: "x".to_owned() });
                told.asks(first);
            }
            told.scan(first, Some("r0-00"));
            assert_eq!(*told.stage(first), if calls { Stage::Ready } else { Stage::Arrived });
            told.scan(second, Some("r0-00"));
            assert_eq!(*told.stage(second), taken(first));
            assert_eq!(told.asks(second), None);
            told.scan(first, Some("r0-00"));
            assert!(!matches!(told.stage(first), Stage::Held(_)), "the same scan again is no news");
        }
    }
    // A unit that was done with has been taken out.
    let mut policy = Policy::one_profile("smoke");
    policy.site = site(1, 4);
    let mut told = Told::of(policy);
    told.scan("A", Some("r0-00"));
    told.run("A", Pass);
    told.scan("B", Some("r0-00"));
    assert!(told.asks("B").is_some());
    assert_eq!(told.floor.state().unit_in(&name("r0-00")).map(|(serial, _)| serial), Some(&name("B")));
}

#[test]
fn a_node_that_says_it_is_in_a_taken_slot_holds_its_unit() {
    let mut policy = Policy::one_profile("smoke");
    policy.site = site(1, 4);
    let mut told = Told::of(policy);
    let call = |told: &mut Told, unit: &str| {
        let (serial, slot) = (Some(name(unit)), Some(name("r0-00")));
        let idle = kiln_wire::Sync::idle(name(&format!("agent-{unit}")), name("boot-1"));
        let sync = kiln_wire::Sync { serial, slot, ..idle };
        told.tell(Input::Synced(sync)).and_then(|reply| reply.desired)
    };
    told.scan("A", Some("r0-00"));
    // One was scanned before its node called, the other after.
    told.scan("B", None);
    assert_eq!(call(&mut told, "B"), None);
    assert!(matches!(told.stage("B"), Stage::Held(Held::SlotTaken { other, .. }) if other.as_str() == "A"));
    call(&mut told, "C");
    told.scan("C", None);
    assert!(matches!(told.stage("C"), Stage::Held(Held::SlotTaken { .. })));
    // Whatever a person freed, nothing begins beside a run in the same slot.
    assert!(call(&mut told, "A").is_some());
    told.act(Act::Free { unit: name("B"), why: "looked".to_owned() });
    assert_eq!(call(&mut told, "B"), None);
    assert!(matches!(told.stage("B"), Stage::Held(Held::SlotTaken { .. })));
}

#[test]
fn a_copied_disk_whose_run_has_ended_returns_no_power_of_the_original() {
    let mut policy = Policy::one_profile("smoke");
    policy.site = site(1, 4);
    let mut told = Told::of(policy);
    told.scan("A", Some("r0-00"));
    let run = told.asks("A").expect("a run");
    let call = |told: &mut Told, boot: &str, ended: bool| {
        let doing = if ended { Doing::Idle } else { Doing::Running { run: run.clone() } };
        let journal = kiln_wire::Position { offset: 9, ..Default::default() };
        let generation = kiln_wire::Generation(1);
        let spool = vec![kiln_wire::Spooled { run: run.clone(), generation, journal, telemetry: 0, ended }];
        let idle = kiln_wire::Sync::idle(name("agent-A"), name(boot));
        let (generation, heard) = (Some(generation), Some(told.events.len() as u64));
        let sync = kiln_wire::Sync { serial: Some(name("A")), doing, generation, spool, heard, ..idle };
        told.tell(Input::Synced(sync));
        told.floor.ledger().granted(0)
    };
    let began = |told: &Told| told.floor.state().grants[&run].began.is_some();
    assert_eq!(call(&mut told, "boot-2", false), Watts(10_000));
    assert_eq!(call(&mut told, "boot-1", true), Watts(10_000), "found to be a copy with this call");
    assert_eq!(call(&mut told, "boot-1", true), Watts(10_000));
    assert_eq!(call(&mut told, "boot-2", true), Watts(10_000), "which of the two is the original is not known");
    assert!(began(&told));
    // Both draw, whatever was thought of it.
    told.act(Act::PowerOff { run: run.clone(), why: "unplugged".to_owned() });
    assert_eq!(call(&mut told, "boot-1", false), Watts(10_000));
    assert!(!began(&told), "it counts as rising until the two are told apart");
    // Who was let go on says nothing of what the other does: the journal does, or a person.
    told.act(Act::FreeAgent { agent: name("agent-A") });
    assert_eq!(call(&mut told, "boot-2", true), Watts(10_000));
    told.arrives(run.clone(), Pass);
    assert_eq!(told.floor.ledger().granted(0), Watts(0));
}

#[test]
fn a_run_that_takes_the_place_of_another_on_the_same_node_takes_its_power_over() {
    let mut policy = Policy::one_profile("smoke");
    policy.site = site(1, 4);
    let mut told = Told::of(policy);
    told.scan("A", Some("r0-00"));
    let first = told.asks("A").expect("a run");
    told.tell(Input::Unverified(first.clone()));
    told.act(Act::Free { unit: name("A"), why: "looked".to_owned() });
    let second = told.asks("A").expect("another");
    assert_ne!(first, second);
    assert_eq!(told.floor.ledger().granted(0), Watts(10_000), "a node makes one run at a time");
}
