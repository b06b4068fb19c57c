//! Who agents are, and what takes two people: each refusal by its name.

#![expect(
    clippy::cast_possible_truncation,
    reason = "values are bounded where they are made, within the narrower type"
)]

use std::collections::BTreeMap;

use kiln_event::VerdictWord;
use kiln_wire::Held;

use super::tests_told::name;
use super::*;

struct Told {
    floor: Floor,
    events: Vec<Stamped>,
    now: u64,
}

impl Told {
    fn new() -> Self {
        Self { floor: Floor::of(Policy::one_profile("smoke"), &[]), events: Vec::new(), now: 1 }
    }

    fn tell(&mut self, input: Input) -> Result<(), Refusal> {
        self.now += 1;
        let tick = Tick { now: self.now, fresh_run: name("run-1") };
        let answer = self.floor.handle(&tick, input)?;
        self.events.extend(answer.events);
        assert_eq!(FloorState::of(&self.events), *self.floor.state());
        Ok(())
    }

    fn act(&mut self, by: &str, act: Act) -> Result<(), Refusal> {
        self.tell(Input::Told { act, by: by.to_owned() })
    }

    fn approve(&mut self, agent: &str, key: &str, serial: &str) -> Result<(), Refusal> {
        let candidate = Candidate {
            agent: name(agent),
            key: name(key),
            public_key: "PEM".to_owned(),
            serial: Some(name(serial)),
            evidence: BTreeMap::new(),
        };
        self.act("sato", Act::Approve(candidate))
    }

    fn certify(&mut self, agent: &str, key: &str, shows_one: bool) -> Result<(), Refusal> {
        let (agent, key, until) = (name(agent), name(key), self.now + 72);
        self.tell(Input::Certify { agent, key, shows_one, until })
    }
}

fn refused<T>(error: IdentityError) -> Result<T, Refusal> {
    Err(Refusal::Identity(error))
}

#[test]
fn only_the_approved_key_gets_a_certificate_and_only_in_time_or_with_one_that_holds() {
    let mut told = Told::new();
    assert_eq!(told.certify("a1", "k1", false), refused(IdentityError::Unknown(name("a1"))));
    told.approve("a1", "k1", "SRV1").expect("approved");
    assert_eq!(told.certify("a1", "k2", true), refused(IdentityError::OtherKey(name("a1"))));
    told.certify("a1", "k1", false).expect("the first one");
    told.certify("a1", "k1", false).expect("its answer was lost");
    told.now += FETCH_WITHIN.as_micros() as u64;
    assert_eq!(told.certify("a1", "k1", false), refused(IdentityError::Unknown(name("a1"))), "a person looks again");
    told.certify("a1", "k1", true).expect("renewed");
    assert_eq!(told.floor.state().identities[&name("a1")].until, Some(told.now - 1 + 72));
    told.approve("a1", "k1", "SRV1").expect("the same key once more");
    told.certify("a1", "k1", false).expect("in time");
}

#[test]
fn a_name_is_not_taken_over_and_a_machine_has_one_identity() {
    let mut told = Told::new();
    told.approve("a1", "k1", "SRV1").expect("approved");
    assert_eq!(told.approve("a1", "k2", "SRV1"), refused(IdentityError::OtherKey(name("a1"))));
    told.approve("a2", "k2", "SRV1").expect("the machine with a fresh spool");
    assert_eq!(told.certify("a1", "k1", true), refused(IdentityError::Revoked(name("a1"))));
    told.approve("a3", "k3", "SRV3").expect("another machine");
    told.certify("a2", "k2", false).expect("not touched by it");
    told.act("mori", Act::Revoke { agent: name("a2"), why: "stolen".to_owned() }).expect("revoked");
    for again in [told.certify("a2", "k2", true), told.approve("a2", "k2", "SRV1")] {
        assert_eq!(again, refused(IdentityError::Revoked(name("a2"))));
    }
    let again = told.act("mori", Act::Revoke { agent: name("a2"), why: "x".to_owned() });
    assert_eq!(again, refused(IdentityError::Revoked(name("a2"))));
}

#[test]
fn one_person_asks_for_a_release_and_another_one_agrees() {
    let mut told = Told::new();
    let unit = || name::<kiln_wire::Serial>("A");
    told.tell(Input::Scanned { unit: unit(), at: None, slot: None, lot: None, by: "sato".to_owned() }).expect("scan");
    let ask = || Act::AskRelease { unit: unit(), why: "looked".to_owned() };
    assert_eq!(told.act("sato", ask()), Err(Refusal::NotHeld(unit())));
    let sync = kiln_wire::Sync::idle(name("agent-1"), name("boot-1"));
    told.tell(Input::Synced(sync.clone())).expect("a call");
    let scan = Input::Scanned { unit: unit(), at: Some(name("agent-1")), slot: None, lot: None, by: "sato".to_owned() };
    told.tell(scan).expect("put there");
    told.tell(Input::Synced(sync)).expect("a call");
    told.tell(Input::Arrived(RunFacts::plain(name("run-1"), VerdictWord::Pass))).expect("arrived");
    assert_eq!(told.floor.state().units[&unit()].stage, Stage::Held(Held::NoSerial { run: name("run-1") }));
    let agree = || Act::AgreeRelease { unit: unit() };
    assert_eq!(told.act("mori", agree()), Err(Refusal::NotAsked(unit())));
    told.act("sato", ask()).expect("asked");
    assert_eq!(told.act(" Sato", agree()), Err(Refusal::SecondPerson));
    told.act("mori", agree()).expect("agreed");
    let after = &told.floor.state().units[&unit()];
    assert_eq!(after.stage, Stage::Disposed(Disposition::Released));
    let both = Because::Person { why: "looked".to_owned(), second: Some("sato".to_owned()) };
    assert_eq!((&after.because, &after.release_asked), (&Some(both), &None));
    assert_eq!(after.disposed_by, told.events.last().map(|event| event.seq));
}

#[test]
fn who_was_locked_out_is_let_in_by_a_person() {
    let mut told = Told::new();
    told.tell(Input::Locked("sato".to_owned())).expect("locked");
    told.tell(Input::Locked("sato".to_owned())).expect("is so already");
    assert_eq!(told.events.len(), 1);
    let unlock = || Act::Unlock { name: "sato".to_owned() };
    told.act("mori", unlock()).expect("unlocked");
    assert_eq!(told.act("mori", unlock()), Err(Refusal::NotLocked("sato".to_owned())));
}

#[test]
fn what_changes_in_the_list_of_people_is_an_event_and_what_does_not_is_none() {
    let mut told = Told::new();
    let listed = |name: &str, rights, pin: &str| Listed {
        name: name.to_owned(),
        badge: format!("B-{name}"),
        rights,
        pin: pin.parse().expect("a digest"),
    };
    let (sato, mori) = (listed("sato", Rights::Operator, "p1"), listed("mori", Rights::Admin, "p2"));
    let mut news = |people: &[&Listed]| {
        let before = told.events.len();
        told.tell(Input::People(people.iter().map(|one| (*one).clone()).collect())).expect("noted");
        let news = told.events[before..].iter().map(|stamped| stamped.event.clone());
        news.collect::<Vec<_>>()
    };
    let is = |listed: &Listed| FloorEvent::PersonListed(listed.clone());
    assert_eq!(news(&[&sato, &mori]), [is(&sato), is(&mori)]);
    assert_eq!(news(&[&mori, &sato]), [], "in another order");
    let raised = listed("sato", Rights::Admin, "p1");
    assert_eq!(news(&[&raised, &mori]), [is(&raised)]);
    let other_pin = listed("mori", Rights::Admin, "p3");
    assert_eq!(news(&[&raised, &other_pin]), [is(&other_pin)]);
    assert_eq!(news(&[&other_pin]), [FloorEvent::PersonUnlisted { name: "sato".to_owned() }]);
    assert_eq!(told.floor.state().people.keys().collect::<Vec<_>>(), ["mori"]);
}

#[test]
fn a_role_is_typed_as_it_is_kept() {
    for role in Rights::ALL {
        assert_eq!(serde_json::to_value(role).expect("JSON"), role.word());
    }
    assert!(Rights::ALL.is_sorted(), "each may what those before may");
}
