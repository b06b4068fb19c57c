//! What the floor does when something of its own world dies, hangs, comes back or comes twice: one test for each.
//!
//! With processes, sockets and disks the same is held elsewhere: kills and cuts in `tests/floor/chaos.rs`, full disks in
//! `gate::store` and `gate::copies`, clocks in `gate::desk`, a lost database in `gate::reindex`, a silent manufacturing system in
//! `tests/floor/mes.rs`. Copies of an agent and swapped trays are in `tests_rules` and `tests_unit`.

use kiln_event::VerdictWord::{Error, Pass};
use kiln_wire::{Assignment, Doing, Generation, Held, Position, RefusedRun, RunId, Serial, Spooled, Sync};

use super::tests_told::{MINUTE, Told, name, site};
use super::*;

const DAY: u64 = 24 * 60 * MINUTE;

/// One rack whose feed bears one unit and a half.
fn narrow() -> Told {
    let mut policy = Policy::one_profile("smoke");
    let plain = site(1, 4);
    let mut places = plain.places().to_vec();
    places[0].limit = Some(Watts(15_000));
    policy.site = Site::new(places, plain.racks().to_vec());
    Told::of(policy)
}

/// A call of the unit's agent, as it is or changed; what is wanted then.
fn calls(told: &mut Told, unit: &str, change: impl FnOnce(&mut Sync)) -> Option<Assignment> {
    let mut sync = Sync::idle(name(&format!("agent-{unit}")), name("boot-1"));
    sync.serial = Some(name(unit));
    // It is there, and had every answer.
    sync.heard = Some(told.events.len() as u64);
    change(&mut sync);
    told.tell(Input::Synced(sync)).expect("an answer").desired
}

fn spooled(run: &RunId, offset: u64, ended: bool) -> Spooled {
    let journal = Position { offset, ..Position::default() };
    Spooled { run: run.clone(), generation: Generation(1), journal, telemetry: 0, ended }
}

fn granted(told: &Told) -> Watts {
    told.floor.ledger().granted(0)
}

#[test]
fn an_agent_that_was_killed_is_wanted_the_run_that_it_had() {
    let mut told = Told::one_stop();
    told.scan("A", None);
    let first = calls(&mut told, "A", |_| {}).expect("a run");
    let events = told.events.len();
    // With nothing of it on the disk, with a part, and while it goes on by itself.
    assert_eq!(calls(&mut told, "A", |_| {}), Some(first.clone()));
    assert_eq!(calls(&mut told, "A", |sync| sync.spool = vec![spooled(&first.run, 99, false)]), Some(first.clone()));
    let goes_on = calls(&mut told, "A", |sync| sync.doing = Doing::Running { run: first.run.clone() });
    assert_eq!(goes_on, Some(first));
    assert_eq!(told.events.len(), events, "nothing has happened");
}

#[test]
fn a_node_that_boots_in_the_middle_of_its_run_keeps_the_run_and_its_power() {
    let mut told = narrow();
    told.scan("A", Some("r0-00"));
    let first = calls(&mut told, "A", |_| {}).expect("a run");
    calls(&mut told, "A", |sync| sync.doing = Doing::Running { run: first.run.clone() });
    for boot in ["boot-2", "boot-3"] {
        told.now += 5 * MINUTE;
        let again = calls(&mut told, "A", |sync| {
            (sync.boot, sync.spool) = (name(boot), vec![spooled(&first.run, 99, false)]);
        });
        assert_eq!((again, granted(&told)), (Some(first.clone()), Watts(10_000)), "{boot}");
    }
    let boots = &told.floor.state().agents[&name::<kiln_wire::AgentId>("agent-A")].earlier_boots;
    assert_eq!(boots.len(), 2, "each boot is an event of its own");
    told.arrives(first.run, Pass);
    assert_eq!((told.stage("A"), granted(&told)), (&Stage::Disposed(Disposition::Released), Watts(0)));
}

#[test]
fn a_node_that_hangs_keeps_its_power_from_everybody_else_until_somebody_looked() {
    let mut told = narrow();
    told.scan("A", Some("r0-00"));
    let run = told.asks("A").expect("a run");
    told.scan("B", Some("r0-01"));
    for _ in 0..3 {
        told.now += DAY;
        assert_eq!(told.asks("B"), None);
        assert_eq!(told.wait("B"), Some(&Wait::Lack(Lack::Limit(name("feed")))));
    }
    told.act(Act::PowerOff { run, why: "saw that it is off".to_owned() });
    assert!(told.asks("B").is_some());
}

#[test]
fn a_result_that_comes_three_days_late_and_twice_counts_once() {
    let mut told = narrow();
    told.scan("A", Some("r0-00"));
    let run = told.asks("A").expect("a run");
    told.now += 3 * DAY;
    told.arrives(run.clone(), Pass);
    let events = told.events.len();
    told.arrives(run.clone(), Pass);
    // A call from before it ended was on its way all the time.
    calls(&mut told, "A", |sync| sync.spool = vec![spooled(&run, 9, false)]);
    assert_eq!(told.events.len(), events);
    assert_eq!(told.floor.state().units[&name::<Serial>("A")].runs.len(), 1);
    assert_eq!((told.stage("A"), granted(&told)), (&Stage::Disposed(Disposition::Released), Watts(0)));
}

#[test]
fn results_that_arrive_in_the_wrong_order_decide_as_if_they_had_come_in_the_right_one() {
    let mut told = Told::one_stop();
    told.scan("A", None);
    let first = told.asks("A").expect("a run");
    told.tell(Input::Unverified(first.clone()));
    told.act(Act::Free { unit: name("A"), why: "looked".to_owned() });
    let second = told.asks("A").expect("another");
    told.arrives(second, Pass);
    assert_eq!(*told.stage("A"), Stage::Disposed(Disposition::Released));
    told.arrives(first, Error);
    assert_eq!(*told.stage("A"), Stage::Disposed(Disposition::Released), "what no longer counts undoes nothing");
}

#[test]
fn a_floor_that_was_killed_wants_of_everybody_what_it_wanted_before() {
    let mut told = narrow();
    told.scan("A", Some("r0-00"));
    told.scan("B", Some("r0-01"));
    let wanted = calls(&mut told, "A", |_| {}).expect("a run");
    assert_eq!(told.asks("B"), None);
    told.floor = Floor::of(told.floor.policy().clone(), &told.events);
    let events = told.events.len();
    assert_eq!(calls(&mut told, "A", |_| {}), Some(wanted.clone()));
    assert_eq!(told.asks("B"), None, "what A was granted is not granted again");
    assert_eq!((told.events.len(), granted(&told)), (events, Watts(10_000)));
    told.arrives(wanted.run, Pass);
    assert!(told.asks("B").is_some());
}

#[test]
fn a_floor_that_lost_everything_takes_no_run_of_before_for_one_of_its_own() {
    let mut told = narrow();
    let before: RunId = name("run-of-before");
    let facts = RunFacts { serial: Some(name("A")), ..RunFacts::plain(before.clone(), Pass) };
    let arrived = || Input::Arrived(facts.clone());
    assert_eq!(told.try_tell(arrived()), Err(Refusal::UnknownRun(before.clone())));
    assert_eq!(told.try_tell(Input::Unverified(before.clone())), Err(Refusal::UnknownRun(before.clone())));
    // Its agent is still at it: nothing more is wanted of the unit, and nothing is taken for granted.
    told.scan("A", Some("r0-00"));
    let at_work = calls(&mut told, "A", |sync| {
        sync.doing = Doing::Running { run: before.clone() };
        sync.spool = vec![spooled(&before, 9, false)];
    });
    assert_eq!((at_work, granted(&told)), (None, Watts(0)));
    assert_eq!(told.try_tell(arrived()), Err(Refusal::UnknownRun(before.clone())));
    assert_eq!(*told.stage("A"), Stage::Ready, "not received here is not passed");
    let fresh =
        calls(&mut told, "A", |sync| sync.spool = vec![spooled(&before, 99, true)]).expect("a run of this floor");
    assert_ne!(fresh.run, before);
}

#[test]
fn a_tray_that_is_pulled_in_its_run_and_put_elsewhere_is_held_and_its_result_releases_nothing() {
    let mut told = narrow();
    told.scan("A", Some("r0-00"));
    let run = calls(&mut told, "A", |sync| sync.slot = Some(name("r0-00"))).expect("a run").run;
    let moved = calls(&mut told, "A", |sync| {
        (sync.boot, sync.slot) = (name("boot-2"), Some(name("r0-02")));
        sync.spool = vec![spooled(&run, 99, false)];
    });
    let held = Stage::Held(Held::SlotMismatch { scanned: name("r0-00"), node: name("r0-02") });
    assert_eq!((moved, told.stage("A")), (None, &held));
    assert_eq!(granted(&told), Watts(10_000), "that it was pulled is no proof that nothing draws");
    told.arrives(run, Pass);
    assert_eq!(*told.stage("A"), held);
}

#[test]
fn a_call_of_a_newer_kind_of_agent_is_refused_with_both_versions_named_and_changes_nothing() {
    let mut told = Told::one_stop();
    let sync = Sync { wire: "kiln.wire/9.0".parse().expect("a version"), ..Sync::idle(name("a"), name("b")) };
    let refused = told.try_tell(Input::Synced(sync)).expect_err("refused").to_string();
    assert!(refused.contains("kiln.wire/9.0") && refused.contains("up to major version 1"), "{refused}");
    assert!(told.events.is_empty());
}

#[test]
fn a_person_who_speaks_of_what_is_not_there_is_refused_by_its_name_and_nothing_changes() {
    let mut told = narrow();
    told.scan("A", Some("r0-00"));
    let events = told.events.len();
    let why = || "x".to_owned();
    let unit = || name::<Serial>("NONE");
    let parts = Parts::default();
    let decide =
        |unit: Serial, disposition| Act::Decide { unit, disposition, why: why(), second: Some("mori".to_owned()) };
    for (act, refusal) in [
        (Act::Free { unit: unit(), why: why() }, Refusal::UnknownUnit(unit())),
        (Act::Free { unit: name("A"), why: why() }, Refusal::NotHeld(name("A"))),
        (Act::Rework { unit: unit(), what: why(), parts }, Refusal::UnknownUnit(unit())),
        (decide(unit(), Disposition::Scrapped), Refusal::UnknownUnit(unit())),
        (decide(name("A"), Disposition::Released), Refusal::NotHeld(name("A"))),
        (Act::AskRelease { unit: unit(), why: why() }, Refusal::UnknownUnit(unit())),
        (Act::AgreeRelease { unit: unit() }, Refusal::UnknownUnit(unit())),
        (Act::AgreeRelease { unit: name("A") }, Refusal::NotHeld(name("A"))),
        (Act::FreeAgent { agent: name("none") }, Refusal::UnknownAgent(name("none"))),
        (Act::PowerOff { run: name("none"), why: why() }, Refusal::NoGrant(name("none"))),
        (Act::Cut { place: name("none"), limit: None, why: why() }, Refusal::UnknownPlace(name("none"))),
        (Act::FreeScope { scope: kiln_wire::Scope::Rack(name("r0")), why: why() }, Refusal::NotSuspect),
        (Act::FreeStarts { why: why() }, Refusal::NotStopped),
        (Act::Unlock { name: "sato".to_owned() }, Refusal::NotLocked("sato".to_owned())),
    ] {
        let told_act = format!("{act:?}");
        assert_eq!(told.try_tell(Input::Told { act, by: "sato".to_owned() }), Err(refusal), "{told_act}");
    }
    assert_eq!(told.events.len(), events);
}

#[test]
fn a_run_that_its_node_refuses_holds_its_unit_with_the_reason_and_gives_its_power_back() {
    let mut told = narrow();
    told.scan("A", Some("r0-00"));
    let first = calls(&mut told, "A", |_| {}).expect("a run");
    let why = "the serial number given is `A`, but the node says `B`".to_owned();
    let refused = RefusedRun { run: first.run.clone(), why: why.clone() };
    // Its process was seen, and has not said anything yet.
    calls(&mut told, "A", |sync| sync.doing = Doing::Running { run: first.run.clone() });
    // What another agent says of it counts for nothing.
    let mut stranger = Sync::idle(name("agent-X"), name("boot-1"));
    stranger.refused = Some(refused.clone());
    told.tell(Input::Synced(stranger));
    assert_eq!((told.stage("A"), granted(&told)), (&Stage::Assigned(first.clone()), Watts(10_000)));
    assert_eq!(calls(&mut told, "A", |sync| sync.refused = Some(refused.clone())), None);
    let held = Stage::Held(Held::RunRefused { run: first.run, why });
    assert_eq!((told.stage("A"), granted(&told)), (&held, Watts(0)));
    let events = told.events.len();
    calls(&mut told, "A", |sync| sync.refused = Some(refused.clone()));
    assert_eq!(told.events.len(), events, "it is held once");
    // The agent was started again, and its process is seen once more before it refuses.
    calls(&mut told, "A", |sync| sync.doing = Doing::Running { run: refused.run.clone() });
    assert_eq!(granted(&told), Watts(10_000));
    calls(&mut told, "A", |sync| sync.refused = Some(refused.clone()));
    assert_eq!((told.stage("A"), granted(&told)), (&held, Watts(0)));
    // Somebody put the label right; the agent has yet to hear of another run.
    told.act(Act::Free { unit: name("A"), why: "label".to_owned() });
    let second = calls(&mut told, "A", |sync| sync.refused = Some(refused.clone())).expect("another run");
    assert_eq!((*told.stage("A")).clone(), Stage::Assigned(second));
}

/// A call that was doubled on its way and comes a minute late says what is no longer so.
#[test]
fn a_late_call_of_a_run_that_its_node_said_has_ended_takes_no_power_from_others() {
    let mut told = narrow();
    told.scan("A", Some("r0-00"));
    told.scan("B", Some("r0-01"));
    let first = calls(&mut told, "A", |_| {}).expect("a run");
    let goes_on = |sync: &mut Sync| sync.doing = Doing::Running { run: first.run.clone() };
    let before = |_: &mut Sync| {};
    calls(&mut told, "A", goes_on);
    assert_eq!(calls(&mut told, "B", |_| {}), None, "the feed bears one and a half");
    // It has ended, and its journal is still on its way.
    calls(&mut told, "A", |sync| sync.spool = vec![spooled(&first.run, 99, true)]);
    assert_eq!(granted(&told), Watts(0));
    let second = calls(&mut told, "B", |_| {}).expect("there is power for it now");
    calls(&mut told, "B", |sync| sync.doing = Doing::Running { run: second.run.clone() });
    for late in [&goes_on as &dyn Fn(&mut Sync), &before] {
        calls(&mut told, "A", late);
        assert_eq!(granted(&told), Watts(10_000));
    }
    told.arrives(second.run, Pass);
    calls(&mut told, "A", before);
    assert_eq!(granted(&told), Watts(0), "nor is any given to a run that has ended");
    // Another machine under its name may be at the same run, whatever the first one said.
    calls(&mut told, "A", |sync| sync.boot = name("boot-2"));
    calls(&mut told, "A", goes_on);
    assert_eq!(granted(&told), Watts(10_000));
}

/// A run that the two sides disagreed about is set aside, and the next one of the unit begins; which of the two machines goes on
/// with the first nobody knows.
#[test]
fn what_one_of_two_machines_was_granted_does_not_go_for_the_next_run_of_their_unit() {
    let mut told = narrow();
    told.scan("A", Some("r0-00"));
    let first = calls(&mut told, "A", |_| {}).expect("a run");
    let says = |told: &mut Told, boot: &str, doing: Doing| {
        calls(told, "A", |sync| (sync.boot, sync.doing) = (name(boot), doing));
    };
    let runs = || Doing::Running { run: first.run.clone() };
    let agent = || name::<kiln_wire::AgentId>("agent-A");
    says(&mut told, "boot-1", runs());
    says(&mut told, "boot-2", runs());
    says(&mut told, "boot-1", runs());
    assert_eq!(told.floor.state().agents[&agent()].held, Some(Held::ClonedAgent));
    told.act(Act::FreeAgent { agent: agent() });
    says(&mut told, "boot-2", Doing::Held(Held::ForkedJournal { run: first.run.clone() }));
    told.act(Act::FreeAgent { agent: agent() });
    says(&mut told, "boot-2", Doing::Idle);
    assert!(!told.floor.state().runs.values().any(|run| run.generation > Generation(2)), "nothing more was assigned");
    assert!(
        matches!(told.wait("A"), Some(Wait::Lack(Lack::Limit(_)))),
        "the feed bears one and a half: {:?}",
        told.wait("A")
    );
    says(&mut told, "boot-1", runs());
    assert_eq!(granted(&told), Watts(10_000), "and no more than that is granted");
    // A person saw that the first run goes on nowhere.
    told.act(Act::PowerOff { run: first.run.clone(), why: "one machine was taken away".to_owned() });
    assert!(calls(&mut told, "A", |_| {}).is_some());
    assert_eq!(granted(&told), Watts(10_000));
}
