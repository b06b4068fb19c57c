//! What changes while units are on their way: the floor's file, places, people, and results that come in a wrong order.

use std::collections::BTreeMap;
use std::time::Duration;

use kiln_event::VerdictWord::{Error, Fail, Inconclusive, Pass};
use kiln_wire::{Digest, Doing, Held, Scope, Sync};

use super::tests_told::{MINUTE, Told, name, site};
use super::*;

fn route(profiles: &[&str]) -> Policy {
    let stops = profiles.iter().flat_map(|profile| Policy::one_profile(profile).route);
    Policy { route: stops.collect(), ..Policy::one_profile("smoke") }
}

/// One profile on a site of so many racks of four slots, some of whose places have other limits; the first place feeds all.
fn with_limits(racks: usize, limits: &[(usize, Option<u64>)]) -> Policy {
    let plain = site(racks, 4);
    let mut places = plain.places().to_vec();
    for (place, limit) in limits {
        places[*place].limit = limit.map(Watts);
    }
    Policy { site: Site::new(places, plain.racks().to_vec()), ..Policy::one_profile("smoke") }
}

/// The floor is started again with another file.
fn with(told: Told, policy: Policy) -> Told {
    Told { floor: Floor::of(policy, &told.events), ..told }
}

/// The profile of the unit's next run, which ends so.
fn runs(told: &mut Told, unit: &str, verdict: kiln_event::VerdictWord) -> String {
    let assignment = told.sync(unit, Doing::Idle).desired.unwrap_or_else(|| panic!("{:?}", told.floor.waits()));
    told.arrives(assignment.run, verdict);
    assignment.profile
}

const RELEASED: Stage = Stage::Disposed(Disposition::Released);

#[test]
fn a_unit_passes_every_stop_of_the_route_as_it_is_now() {
    // A stop came before the one that it passed, after that one, or in its place.
    for (now, left) in [
        (["burnin", "smoke", "acceptance"].as_slice(), ["burnin", "smoke", "acceptance"].as_slice()),
        (&["smoke", "burnin", "acceptance"], &["burnin", "acceptance"]),
        (&["burnin", "acceptance"], &["burnin", "acceptance"]),
        // What it passed was all of it: a unit is released by a run and not by a file.
        (&["smoke"], &["smoke"]),
    ] {
        let mut told = Told::of(route(&["smoke", "acceptance"]));
        told.scan("A", None);
        assert_eq!(runs(&mut told, "A", Pass), "smoke");
        let mut told = with(told, route(now));
        for stop in left {
            assert_ne!(*told.stage("A"), RELEASED, "{now:?} before {stop}");
            assert_eq!(runs(&mut told, "A", Pass), *stop, "{now:?}");
        }
        assert_eq!(*told.stage("A"), RELEASED, "{now:?}");
    }
}

#[test]
fn a_run_whose_stop_is_gone_from_the_route_comes_to_its_end_and_counts_for_none_of_it() {
    let mut told = Told::of(route(&["smoke", "acceptance"]));
    told.scan("A", None);
    let run = told.asks("A").expect("a run");
    let mut told = with(told, route(&["burnin"]));
    assert_eq!(told.asks("A"), Some(run.clone()), "it goes on");
    told.arrives(run, Pass);
    assert_eq!(*told.stage("A"), Stage::Ready);
    assert_eq!(runs(&mut told, "A", Pass), "burnin");
    assert_eq!(*told.stage("A"), RELEASED);
    // One whose power a person saw off would wait for ever.
    let mut policy = route(&["smoke"]);
    policy.site = site(1, 4);
    let mut told = Told::of(policy.clone());
    told.scan("A", Some("r0-00"));
    let run = told.asks("A").expect("a run");
    told.act(Act::PowerOff { run: run.clone(), why: "pulled the plug".to_owned() });
    let mut told = with(told, Policy { route: route(&["burnin"]).route, ..policy });
    told.asks("A");
    let next = told.sync("A", Doing::Idle).desired.expect("the run that is wanted now");
    assert_eq!(next.profile, "burnin");
    told.arrives(run, Pass);
    assert_eq!(*told.stage("A"), Stage::Assigned(next), "the other counts for nothing");
}

#[test]
fn an_outlier_of_a_stop_that_is_gone_is_no_pass_of_the_stop_that_came_in_its_place() {
    let mut told = Told::of(route(&["smoke"]));
    told.scan("A", None);
    let run = told.asks("A").expect("a run");
    told.arrives(run.clone(), kiln_event::VerdictWord::Held);
    assert_eq!(told.floor.release(&name("A")), Ok(Release::OfTheUnit));
    let told = with(told, route(&["burnin"]));
    assert_eq!(told.floor.release(&name("A")), Ok(Release::ToTheNextStop(run)));
}

#[test]
fn what_is_drawn_in_a_slot_that_the_file_has_no_more_is_kept_free_everywhere_until_it_ends() {
    let policy = with_limits(2, &[(0, Some(25_000))]);
    let mut told = Told::of(policy.clone());
    told.scan("A", Some("r0-00"));
    told.scan("B", Some("r1-00"));
    told.scan("C", Some("r1-01"));
    let run = told.asks("A").expect("a run");
    told.sync("A", Doing::Running { run: run.clone() });
    // The rack has another name now, with a unit at work in it.
    let mut racks = policy.site.racks().to_vec();
    racks[0].slots = (0..4).map(|slot| name(&format!("left-{slot:02}"))).collect();
    let places = policy.site.places().to_vec();
    let mut told = with(told, Policy { site: Site::new(places, racks), ..policy });
    assert_eq!(told.floor.ledger().granted(0), Watts(10_000), "it goes on");
    assert_eq!(told.floor.ledger().granted(1), Watts(0), "in which rack nobody knows");
    assert!(told.asks("B").is_some());
    assert_eq!(told.asks("C"), None);
    assert_eq!(told.wait("C"), Some(&Wait::Lack(Lack::Limit(name("feed")))));
    told.arrives(run, Pass);
    assert_eq!(told.floor.ledger().granted(0), Watts(10_000));
    assert!(told.asks("C").is_some());
}

#[test]
fn a_fail_that_arrives_after_its_unit_was_released_takes_that_back() {
    let mut told = Told::one_stop();
    told.scan("A", None);
    let first = told.asks("A").expect("a run");
    // Its node was replaced while the floor did not reach it, and a person let the unit go on.
    told.sync("A", Doing::Held(Held::Unverified { run: first.clone() }));
    told.act(Act::FreeAgent { agent: name("agent-A") });
    told.sync("A", Doing::Idle);
    told.run("A", Pass);
    assert_eq!(*told.stage("A"), RELEASED);
    told.arrives(first.clone(), Fail);
    assert_eq!(*told.stage("A"), Stage::Held(Held::PassAfterFail), "as if it had come in the right order");
    told.arrives(first, Fail);
    assert_eq!(told.floor.state().units[&name("A")].runs.len(), 2, "once");
    // Work that was recorded since is what it failed for.
    let mut told = Told::one_stop();
    told.scan("A", None);
    let first = told.asks("A").expect("a run");
    told.sync("A", Doing::Held(Held::Unverified { run: first.clone() }));
    told.act(Act::FreeAgent { agent: name("agent-A") });
    told.act(Act::Rework { unit: name("A"), what: "board exchanged".to_owned(), parts: Parts::default() });
    told.run("A", Pass);
    told.arrives(first, Fail);
    assert_eq!(*told.stage("A"), RELEASED);
}

#[test]
fn what_a_run_says_is_said_of_the_place_where_it_was_made() {
    let mut policy = Policy::one_profile("smoke");
    let plain = site(2, 4);
    let mut racks = plain.racks().to_vec();
    for rack in &mut racks {
        rack.golden_within = Some(Duration::from_secs(3600));
    }
    policy.site = Site::new(plain.places().to_vec(), racks);
    policy.golden = [name("GOLD")].into();
    let mut told = Told::of(policy);
    told.scan("GOLD", Some("r0-00"));
    told.scan("A", Some("r0-01"));
    told.scan("B", Some("r1-01"));
    let run = told.asks("GOLD").expect("a run");
    // It has run there. Before the floor heard of its end it was carried over, which its node tells and a person confirms.
    let moved = Sync {
        serial: Some(name("GOLD")),
        slot: Some(name("r1-00")),
        version: Some("kiln 9".to_owned()),
        ..Sync::idle(name("agent-GOLD"), name("boot-1"))
    };
    told.tell(Input::Synced(moved.clone()));
    assert!(matches!(told.stage("GOLD"), Stage::Held(Held::SlotMismatch { .. })));
    told.scan("GOLD", Some("r1-00"));
    told.act(Act::Free { unit: name("GOLD"), why: "carried over".to_owned() });
    told.arrives(run, Pass);
    assert_eq!(told.asks("B"), None);
    assert_eq!(told.wait("B"), Some(&Wait::Golden(name("r1"))), "nothing was proven there");
    assert!(told.asks("A").is_some(), "the rack that it ran in is sound");
    let scopes = &told.floor.state().units[&name("GOLD")].runs[0].scopes;
    assert!(scopes.contains(&Scope::Rack(name("r0"))) && scopes.contains(&Scope::Slot(name("r0-00"))), "{scopes:?}");
    assert!(scopes.contains(&Scope::Agent("kiln 9".to_owned())), "{scopes:?}");
}

fn listed(names: &[(&str, Rights)]) -> Input {
    let pin: Digest = name(&format!("sha256:{}", "a".repeat(64)));
    let of = |(name, rights): &(&str, Rights)| Listed {
        name: (*name).to_owned(),
        badge: format!("B-{name}"),
        rights: *rights,
        pin: pin.clone(),
    };
    Input::People(names.iter().map(of).collect())
}

#[test]
fn whose_badge_or_role_is_taken_away_is_no_first_of_two_who_agree() {
    let mori = ("mori", Rights::Engineer);
    for (then, counts) in [
        (vec![mori], false),
        (vec![("sato", Rights::Operator), mori], false),
        (vec![("sato", Rights::Admin), mori], true),
        (vec![("sato", Rights::Engineer), mori, ("abe", Rights::Viewer)], true),
    ] {
        let mut told = Told::one_stop();
        told.tell(listed(&[("sato", Rights::Engineer), mori]));
        told.scan("A", None);
        // No more than two people may say that it was nothing.
        told.run("A", kiln_event::VerdictWord::Held);
        told.act(Act::AskRelease { unit: name("A"), why: "as its lot before".to_owned() });
        told.tell(listed(&then));
        let agreed = told.try_tell(Input::Told { act: Act::AgreeRelease { unit: name("A") }, by: "mori".to_owned() });
        assert_eq!(agreed, if counts { Ok(None) } else { Err(Refusal::NotAsked(name("A"))) }, "{then:?}");
        assert_eq!(*told.stage("A") == RELEASED, counts, "{then:?}");
    }
}

#[test]
fn a_unit_that_waits_for_power_and_is_carried_elsewhere_waits_there_and_keeps_nobody_here() {
    let mut told = Told::of(with_limits(2, &[(0, None), (1, Some(10_000))]));
    told.scan("A", Some("r0-00"));
    told.scan("B", Some("r0-01"));
    told.scan("C", Some("r0-02"));
    let run = told.asks("A").expect("a run");
    assert_eq!((told.asks("B"), told.asks("C")), (None, None));
    assert_eq!(told.wait("B"), Some(&Wait::Lack(Lack::Limit(name("r0")))));
    told.scan("B", Some("r1-00"));
    assert!(told.asks("B").is_some(), "there is power where it stands now");
    told.arrives(run, Pass);
    assert!(told.asks("C").is_some(), "whoever waited before it has gone");
    let granted: BTreeMap<String, Watts> = told
        .floor
        .policy()
        .site
        .places()
        .iter()
        .enumerate()
        .map(|(at, place)| (place.id.to_string(), told.floor.ledger().granted(at)))
        .collect();
    assert_eq!((granted["r0"], granted["r1"]), (Watts(10_000), Watts(10_000)));
}

#[test]
fn two_units_that_were_swapped_while_the_floor_was_away_are_held_before_any_load_and_go_on_where_they_are() {
    let mut policy = Policy::one_profile("smoke");
    policy.site = site(1, 4);
    let mut told = Told::of(policy.clone());
    told.scan("A", Some("r0-00"));
    told.scan("B", Some("r0-01"));
    let mut told = with(told, policy);
    let calls = |told: &mut Told, unit: &str, slot: &str| {
        let sync = Sync {
            serial: Some(name(unit)),
            slot: Some(name(slot)),
            ..Sync::idle(name(&format!("agent-{unit}")), name("boot-1"))
        };
        told.tell(Input::Synced(sync)).expect("an answer").desired
    };
    for (unit, at, was) in [("A", "r0-01", "r0-00"), ("B", "r0-00", "r0-01")] {
        assert_eq!(calls(&mut told, unit, at), None);
        let held = Held::SlotMismatch { scanned: name(was), node: name(at) };
        assert_eq!(*told.stage(unit), Stage::Held(held));
    }
    // Somebody scans both where they are, and lets them go on.
    told.scan("A", Some("r0-01"));
    told.scan("B", Some("r0-00"));
    for (unit, at) in [("A", "r0-01"), ("B", "r0-00")] {
        told.act(Act::Free { unit: name(unit), why: "swapped".to_owned() });
        assert!(calls(&mut told, unit, at).is_some(), "{unit}: {:?}", told.stage(unit));
    }
}

#[test]
fn endings_without_a_claim_are_counted_together_whatever_their_kind_and_a_pass_begins_the_count_anew() {
    let mut policy = route(&["smoke", "acceptance"]);
    (policy.retest.error, policy.retest.inconclusive, policy.retest.most) = (2, 1, 9);
    let mut told = Told::of(policy);
    told.scan("A", None);
    for verdict in [Error, Error, Pass, Inconclusive, Error] {
        runs(&mut told, "A", verdict);
        assert_eq!(*told.stage("A"), Stage::Ready, "{verdict:?}");
    }
    // Two errors are allowed, and one that is inconclusive; as the third in a row it is not.
    runs(&mut told, "A", Inconclusive);
    assert_eq!(*told.stage("A"), Stage::Held(Held::NoClaim));
    // More time than any rule knows of changes nothing.
    told.now += 400 * 24 * 60 * MINUTE;
    assert_eq!(told.asks("A"), None);
}

#[test]
fn an_agent_that_is_revoked_in_the_middle_of_its_run_keeps_its_power_until_somebody_has_looked() {
    let mut told = Told::of(with_limits(1, &[(0, Some(15_000))]));
    told.scan("A", Some("r0-00"));
    told.scan("B", Some("r0-01"));
    let key = |digit: &str| name::<Digest>(&format!("sha256:{}", digit.repeat(64)));
    let candidate = |agent: &str, digit: &str| Candidate {
        agent: name(agent),
        key: key(digit),
        public_key: String::new(),
        serial: Some(name("A")),
        evidence: BTreeMap::new(),
    };
    told.act(Act::Approve(candidate("agent-A", "a")));
    let run = told.asks("A").expect("a run");
    told.sync("A", Doing::Running { run: run.clone() });
    told.act(Act::Revoke { agent: name("agent-A"), why: "its disk was taken out".to_owned() });
    told.now += 1000 * MINUTE;
    assert_eq!(told.asks("B"), None, "who may not speak any more may burn on");
    // The same machine with a fresh spool is another agent: which of the two makes the run is for a person.
    told.act(Act::Approve(candidate("agent-2", "b")));
    assert_eq!(told.sync_of("agent-2", "A", Doing::Idle).desired, None);
    let both = Held::SecondAgent { first: name("agent-A"), second: name("agent-2") };
    assert_eq!(*told.stage("A"), Stage::Held(both));
    assert_eq!(told.asks("B"), None);
    told.act(Act::PowerOff { run: run.clone(), why: "saw it off".to_owned() });
    assert!(told.asks("B").is_some());
    // What it handed over before counts for nothing any more.
    told.arrives(run, Pass);
    assert!(matches!(told.stage("A"), Stage::Held(_)));
}
