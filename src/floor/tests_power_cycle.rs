//! Power cycles of nodes that hang: who may order one and when, what proves it, and when it ends.

use std::time::Duration;

use kiln_wire::{Doing, Held, Serial, Sync};

use super::tests_told::{MINUTE, Told, name, site};
use super::*;

fn floor(by: OrderedBy) -> Told {
    let mut policy = Policy::one_profile("smoke");
    let bmcs = ["r0-00", "r0-01", "r1-00", "r1-01", "r2-00"].map(|slot| (name(slot), name(&format!("bmc-{slot}"))));
    policy.site = site(3, 4).with_bmcs(bmcs.into());
    let program = ["ipmitool", "-H", "{bmc}", "chassis", "power", "cycle"].map(str::to_owned).to_vec();
    let (after, back) = (Duration::from_secs(600), Duration::from_secs(900));
    policy.power_cycle = Some(CycleRules { program, after, by, back, tries: 3 });
    Told::of(policy)
}

/// A unit whose run goes on in a slot.
fn at_work(told: &mut Told, unit: &str, slot: &str) {
    told.scan(unit, Some(slot));
    let run = told.asks(unit).expect("a run");
    told.sync(unit, Doing::Running { run });
}

fn waits(told: &mut Told, minutes: u64) {
    // As the floor is told that time passes, whatever happens.
    for _ in 0..minutes {
        told.now += MINUTE;
        told.tell(Input::TimePassed);
    }
}

fn order(told: &mut Told, unit: &str) -> Result<(), Refusal> {
    let act = Act::PowerCycle { unit: name(unit), why: "it hangs".to_owned() };
    told.try_tell(Input::Told { act, by: "sato".to_owned() }).map(drop)
}

fn refused(told: &mut Told, unit: &str) -> NoCycle {
    match order(told, unit) {
        Err(Refusal::PowerCycle(why)) => why,
        other => panic!("{other:?}"),
    }
}

/// The program ends as it says, for each order that is open.
fn ends(told: &mut Told, end: &CycleEnd) -> usize {
    let open: Vec<_> = told.floor.state().cycles_open().map(|(slot, order)| (slot.clone(), order)).collect();
    for (slot, order) in open.clone() {
        told.tell(Input::PowerCycleEnded { slot, order, end: end.clone() });
    }
    open.len()
}

fn orders(told: &Told) -> Vec<(u32, Actor)> {
    let of = |stamped: &Stamped| match &stamped.event {
        FloorEvent::PowerCycleOrdered { tries, .. } => Some((*tries, stamped.actor.clone())),
        _ => None,
    };
    told.events.iter().filter_map(of).collect()
}

fn dropped(told: &Told) -> usize {
    told.events.iter().filter(|stamped| matches!(stamped.event, FloorEvent::PowerCycleDropped { .. })).count()
}

fn boots(told: &mut Told, unit: &str) {
    let idle = Sync::idle(name(&format!("agent-{unit}")), name("boot-2"));
    // Its second call, which says that it had the answer to its first.
    let heard = Some(told.events.len() as u64);
    told.tell(Input::Synced(Sync { serial: Some(name(unit)), heard, ..idle }));
}

#[test]
fn a_person_orders_it_once_for_a_node_that_is_silent_and_only_another_boot_proves_it() {
    let mut told = floor(OrderedBy::Person);
    at_work(&mut told, "A", "r0-00");
    let granted = told.floor.ledger().granted(0);
    waits(&mut told, 9);
    assert_eq!(refused(&mut told, "A"), NoCycle::NotSilent(name("A")));
    waits(&mut told, 60);
    assert_eq!(orders(&told), [], "nobody has asked for it");
    order(&mut told, "A").expect("ordered");
    assert_eq!(refused(&mut told, "A"), NoCycle::UnderWay(name("A")), "a form that was sent twice");
    assert_eq!(told.floor.state().cycles_open().count(), 1, "kept before anything is started");
    ends(&mut told, &CycleEnd::Said);
    assert_eq!(refused(&mut told, "A"), NoCycle::UnderWay(name("A")), "what the program says proves nothing");
    waits(&mut told, 5);
    assert_eq!(told.floor.state().cycles.len(), 1);
    boots(&mut told, "A");
    assert_eq!(told.floor.state().cycles.len(), 0);
    assert_eq!((orders(&told), told.floor.ledger().granted(0)), (vec![(1, Actor::Person("sato".to_owned()))], granted));
    assert_eq!(dropped(&told), 0, "it is proven, and not said to speak again by itself");
    assert_eq!(refused(&mut told, "A"), NoCycle::NotSilent(name("A")), "a form that comes late");
}

#[test]
fn what_was_in_vain_is_tried_again_after_a_while_and_then_a_person_is_asked_and_nothing_more_done() {
    let mut told = floor(OrderedBy::Person);
    at_work(&mut told, "A", "r0-00");
    waits(&mut told, 11);
    order(&mut told, "A").expect("ordered");
    // Its program has not ended yet, whenever that will be.
    waits(&mut told, 60);
    assert_eq!(orders(&told).len(), 1);
    for end in [CycleEnd::Said, CycleEnd::Hung, CycleEnd::Failed { exit: Some(1), printed: "no route".to_owned() }] {
        assert_eq!(ends(&mut told, &end), 1);
        let before = orders(&told).len();
        waits(&mut told, 14);
        assert_eq!(orders(&told).len(), before, "it may still boot");
        waits(&mut told, 2);
    }
    assert_eq!(orders(&told).into_iter().map(|(tries, _)| tries).collect::<Vec<_>>(), [1, 2, 3]);
    waits(&mut told, 300);
    assert_eq!(orders(&told).len(), 3);
    assert!(told.floor.state().cycles[&name("r0-00")].given_up);
    assert_eq!(refused(&mut told, "A"), NoCycle::GivenUp(name("A")));
    // Somebody switched it off and on at its feed.
    boots(&mut told, "A");
    assert_eq!(told.floor.state().cycles.len(), 0);
}

#[test]
fn people_are_shown_what_power_cycles_wait_for_and_whether_it_is_they() {
    let mut told = floor(OrderedBy::Person);
    at_work(&mut told, "A", "r0-00");
    let shown = |told: &Told| told.floor.cycling(&name("A"));
    assert_eq!((shown(&told), told.floor.cycling(&name("B"))), (None, None));
    waits(&mut told, 11);
    assert_eq!(shown(&told), Some(Cycling::Asked));
    order(&mut told, "A").expect("ordered");
    for tries in 1..=3 {
        assert_eq!(shown(&told), Some(Cycling::UnderWay { tries }));
        ends(&mut told, &CycleEnd::Said);
        assert_eq!(shown(&told), Some(Cycling::UnderWay { tries }));
        waits(&mut told, 16);
    }
    assert_eq!(shown(&told), Some(Cycling::GivenUp));
    boots(&mut told, "A");
    assert_eq!(shown(&told), None);
}

#[test]
fn a_node_that_speaks_again_by_itself_is_left_alone() {
    for ended in [false, true] {
        let mut told = floor(OrderedBy::Person);
        at_work(&mut told, "A", "r0-00");
        waits(&mut told, 11);
        order(&mut told, "A").expect("ordered");
        if ended {
            ends(&mut told, &CycleEnd::Said);
        }
        told.sync("A", Doing::Idle);
        assert_eq!((told.floor.state().cycles.len(), ends(&mut told, &CycleEnd::Said)), (0, 0));
        for _ in 0..60 {
            waits(&mut told, 1);
            told.sync("A", Doing::Idle);
        }
        assert_eq!(orders(&told).len(), 1);
    }
}

#[test]
fn nothing_is_switched_off_where_another_unit_or_agent_may_be() {
    let mut told = floor(OrderedBy::Person);
    at_work(&mut told, "A", "r0-00");
    at_work(&mut told, "B", "r0-02");
    waits(&mut told, 11);
    assert_eq!(refused(&mut told, "B"), NoCycle::NoBmc(name("B")));
    assert_eq!(refused(&mut told, "C"), NoCycle::NoBmc(name("C")));
    // Somebody scanned another tray into the slot, though the first was never scanned out of it.
    told.scan("D", Some("r0-00"));
    assert_eq!(refused(&mut told, "A"), NoCycle::Doubtful(name("A")));
    // A machine that says it is there.
    let mut told = floor(OrderedBy::Rule);
    at_work(&mut told, "A", "r0-00");
    for _ in 0..30 {
        told.now += MINUTE;
        let idle = Sync::idle(name("agent-X"), name("boot-1"));
        told.tell(Input::Synced(Sync { slot: Some(name("r0-00")), ..idle }));
        told.tell(Input::TimePassed);
    }
    assert_eq!((orders(&told), refused(&mut told, "A")), (vec![], NoCycle::Doubtful(name("A"))));
    // A unit that was moved after it was ordered.
    let mut told = floor(OrderedBy::Person);
    at_work(&mut told, "A", "r0-00");
    waits(&mut told, 11);
    order(&mut told, "A").expect("ordered");
    ends(&mut told, &CycleEnd::Said);
    told.scan("D", Some("r0-00"));
    waits(&mut told, 30);
    assert_eq!((orders(&told).len(), told.floor.state().cycles.len()), (1, 0));
}

#[test]
fn the_rule_cycles_a_node_that_is_silent_alone_and_leaves_many_to_a_person() {
    let mut told = floor(OrderedBy::Rule);
    for (unit, slot) in [("A", "r0-00"), ("B", "r0-01"), ("C", "r1-00"), ("D", "r1-01")] {
        at_work(&mut told, unit, slot);
    }
    let speak = |told: &mut Told, units: &[&str], minutes: u64| {
        for _ in 0..minutes {
            waits(told, 1);
            for unit in units {
                told.sync(unit, Doing::Idle);
            }
        }
    };
    speak(&mut told, &["C", "D"], 30);
    assert_eq!(orders(&told), [], "two of one rack at once have lost their network");
    speak(&mut told, &["A", "B"], 30);
    assert_eq!(orders(&told), []);
    // A floor that hears of nobody is cut off itself.
    speak(&mut told, &[], 30);
    assert_eq!(orders(&told), []);
    speak(&mut told, &["B", "C", "D"], 2);
    assert_eq!(orders(&told), [(1, Actor::Floor)]);
    assert_eq!(told.floor.state().cycles[&name("r0-00")].unit, name::<Serial>("A"));
}

#[test]
fn the_rule_leaves_three_that_are_silent_in_three_racks_to_a_person() {
    let mut told = floor(OrderedBy::Rule);
    let units = [("A", "r0-00"), ("B", "r1-00"), ("C", "r2-00")];
    for (unit, slot) in units {
        at_work(&mut told, unit, slot);
    }
    waits(&mut told, 30);
    assert_eq!(orders(&told), []);
    order(&mut told, "C").expect("a person's order");
    told.sync("B", Doing::Idle);
    waits(&mut told, 1);
    assert_eq!(orders(&told).len(), 2, "A, of which only C is silent beside it");
}

#[test]
fn nothing_is_switched_off_of_a_unit_that_is_held_or_whose_agent_says_another() {
    for (serial, slot) in [("A", Some("r0-01")), ("Z", Some("r0-00"))] {
        let mut told = floor(OrderedBy::Person);
        at_work(&mut told, "A", "r0-00");
        let idle = Sync::idle(name("agent-A"), name("boot-1"));
        told.tell(Input::Synced(Sync { serial: Some(name(serial)), slot: slot.map(name), ..idle }));
        waits(&mut told, 30);
        assert!(order(&mut told, "A").is_err(), "{serial} {slot:?}");
    }
    let mut told = floor(OrderedBy::Rule);
    at_work(&mut told, "A", "r0-00");
    let run = told.floor.state().units[&name::<Serial>("A")].runs.last().map(|run| run.facts.run.clone());
    let run = run.unwrap_or_else(|| told.asks("A").expect("a run"));
    told.sync("A", Doing::Held(Held::ForkedJournal { run }));
    waits(&mut told, 30);
    assert_eq!(orders(&told), []);
    assert!(matches!(refused(&mut told, "A"), NoCycle::NotWanted(_) | NoCycle::Doubtful(_)));
}

#[test]
fn a_floor_that_begins_anew_starts_no_order_twice_and_waits_before_the_next_one() {
    let mut told = floor(OrderedBy::Rule);
    at_work(&mut told, "A", "r0-00");
    waits(&mut told, 11);
    assert_eq!(orders(&told).len(), 1);
    told.floor = Floor::of(told.floor.policy().clone(), &told.events);
    assert_eq!(ends(&mut told, &CycleEnd::Unknown), 1, "it may have been started or not");
    waits(&mut told, 14);
    assert_eq!(orders(&told).len(), 1);
    waits(&mut told, 2);
    assert_eq!(orders(&told).len(), 2);
    // That it was in vain is not known before it is known whether the node is silent.
    let mut told = floor(OrderedBy::Person);
    at_work(&mut told, "A", "r0-00");
    waits(&mut told, 11);
    order(&mut told, "A").expect("ordered");
    ends(&mut told, &CycleEnd::Said);
    waits(&mut told, 14);
    told.floor = Floor::of(told.floor.policy().clone(), &told.events);
    waits(&mut told, 5);
    assert_eq!((orders(&told).len(), dropped(&told)), (1, 0));
    waits(&mut told, 6);
    assert_eq!((orders(&told).len(), dropped(&told)), (2, 0));
    // Nothing is known of silence before it began.
    let mut told = floor(OrderedBy::Rule);
    at_work(&mut told, "A", "r0-00");
    waits(&mut told, 9);
    told.floor = Floor::of(told.floor.policy().clone(), &told.events);
    waits(&mut told, 9);
    assert_eq!(orders(&told), []);
}

#[test]
fn a_late_end_of_an_earlier_order_says_nothing_of_the_next() {
    let mut told = floor(OrderedBy::Rule);
    at_work(&mut told, "A", "r0-00");
    waits(&mut told, 11);
    let first = told.floor.state().cycles_open().next().map(|(_, order)| order).expect("an order");
    ends(&mut told, &CycleEnd::Said);
    waits(&mut told, 16);
    told.tell(Input::PowerCycleEnded { slot: name("r0-00"), order: first, end: CycleEnd::Said });
    assert_eq!(told.floor.state().cycles_open().count(), 1, "the second is under way");
    let ended = |stamped: &&Stamped| matches!(stamped.event, FloorEvent::PowerCycleEnded { .. });
    assert_eq!(told.events.iter().filter(ended).count(), 1, "what counts no more is no news");
}

#[test]
fn an_address_is_an_argument_and_never_an_option() {
    for address in ["10.0.1.7", "bmc-r01-01.example", "fe80::1"] {
        assert!(address.parse::<BmcAddress>().is_ok(), "{address}");
    }
    for address in ["", "-H", "10.0.0.1 -U x", "a;b", "$(x)", "{bmc}"] {
        assert!(address.parse::<BmcAddress>().is_err(), "{address}");
    }
}
