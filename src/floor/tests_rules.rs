//! The floor's rules, one input after the other: no network, no time but what a test gives.

use std::collections::BTreeMap;
use std::time::Duration;

use kiln_event::VerdictWord::{self, Error, Fail, Inconclusive, Pass};
use kiln_wire::{AgentId, Doing, Held, PlaceId, RunId, Scope, Serial, SlotId, SyncReply};

use super::site::{Feed, Place, Pulses, Rack};
use super::*;

const MINUTE: u64 = 60_000_000;

fn name<T: std::str::FromStr>(text: &str) -> T
where
    T::Err: std::fmt::Debug,
{
    text.parse().expect("a plain name")
}

/// Racks of so many slots each, of 10 kW a unit, under one feed.
fn site(racks: usize, slots: usize) -> Site {
    let feed = Place { id: name("feed"), feed: Feed::Power, limit: Some(Watts(10_000_000)), ramp: None, under: vec![] };
    let place = |number: usize| Place {
        id: name(&format!("r{number}")),
        feed: Feed::Rack,
        limit: None,
        ramp: None,
        under: vec![0],
    };
    let rack = |number: usize| Rack {
        place: number + 1,
        slots: (0..slots).map(|slot| name(&format!("r{number}-{slot:02}"))).collect(),
        draw: Watts(10_000),
        pulses: Pulses::Spread,
        golden_within: None,
    };
    Site::new([feed].into_iter().chain((0..racks).map(place)).collect(), (0..racks).map(rack).collect())
}

/// A floor, told one thing after the other.
struct Told {
    floor: Floor,
    events: Vec<Stamped>,
    now: u64,
    runs: u32,
    codes: Vec<String>,
}

impl Told {
    fn of(policy: Policy) -> Self {
        Self { floor: Floor::of(policy, &[]), events: Vec::new(), now: 1, runs: 0, codes: Vec::new() }
    }

    fn one_stop() -> Self {
        Self::of(Policy::one_profile("smoke"))
    }

    fn try_tell(&mut self, input: Input) -> Result<Option<SyncReply>, Refusal> {
        self.runs += 1;
        self.now += 1;
        let tick = Tick { now: self.now, fresh_run: name(&format!("run-{}", self.runs)) };
        let answer = self.floor.handle(&tick, input)?;
        self.events.extend(answer.events);
        // Whatever happens, the state is the fold of the events and the ledger that of the grants.
        let again = Floor::of(self.floor.policy().clone(), &self.events);
        assert_eq!(again.state(), self.floor.state());
        for place in 0..self.floor.policy().site.places().len() {
            assert_eq!(again.ledger().granted(place), self.floor.ledger().granted(place));
        }
        Ok(answer.reply)
    }

    fn tell(&mut self, input: Input) -> Option<SyncReply> {
        self.try_tell(input).expect("not refused")
    }

    fn act(&mut self, act: Act) {
        self.tell(Input::Told { act, by: "sato".to_owned() });
    }

    fn scan(&mut self, unit: &str, slot: Option<&str>) {
        let (unit, slot) = (name(unit), slot.map(name));
        self.tell(Input::Scanned { unit, at: None, slot, lot: None, by: "sato".to_owned() });
    }

    fn sync(&mut self, unit: &str, doing: Doing) -> SyncReply {
        self.sync_of(&format!("agent-{unit}"), unit, doing)
    }

    fn sync_of(&mut self, agent: &str, unit: &str, doing: Doing) -> SyncReply {
        let sync = kiln_wire::Sync {
            wire: kiln_wire::WIRE,
            agent: name(agent),
            boot: name("boot-1"),
            serial: Some(name(unit)),
            doing,
            generation: None,
            spool: Vec::new(),
            slot: None,
            version: None,
        };
        self.tell(Input::Synced(sync)).expect("an answer")
    }

    /// The agent asks for work; the run it gets.
    fn asks(&mut self, unit: &str) -> Option<RunId> {
        self.sync(unit, Doing::Idle).desired.map(|assignment| assignment.run)
    }

    /// The unit's next run comes to this end.
    fn run(&mut self, unit: &str, verdict: VerdictWord) {
        let run = self.asks(unit).unwrap_or_else(|| panic!("{unit} gets no run: {:?}", self.floor.waits()));
        self.arrives(run, verdict);
    }

    fn arrives(&mut self, run: RunId, verdict: VerdictWord) {
        let codes = if verdict == Pass { Vec::new() } else { self.codes.clone() };
        let profile_digest = String::new();
        let serial = self.floor.state().runs.get(&run).map(|run| run.unit.clone());
        let facts = RunFacts { run, verdict, partial: false, serial, profile_digest, codes, source: None };
        self.tell(Input::Arrived(facts));
    }

    /// A pass whose journal says this serial number and this profile.
    fn passes_as(&mut self, run: RunId, serial: Option<&str>, profile_digest: &str) {
        let (serial, profile_digest) = (serial.map(name), profile_digest.to_owned());
        let (verdict, codes) = (Pass, Vec::new());
        let facts = RunFacts { run, verdict, partial: false, serial, profile_digest, codes, source: None };
        self.tell(Input::Arrived(facts));
    }

    fn release(&mut self, unit: &str) -> Result<Option<SyncReply>, Refusal> {
        let (unit, why, second) = (name(unit), "looked".to_owned(), Some("mori".to_owned()));
        let act = Act::Decide { unit, disposition: Disposition::Released, why, second };
        self.try_tell(Input::Told { act, by: "sato".to_owned() })
    }

    fn stage(&self, unit: &str) -> &Stage {
        &self.floor.state().units[&name::<Serial>(unit)].stage
    }

    fn wait(&self, unit: &str) -> Option<&Wait> {
        self.floor.waits().get(&name::<Serial>(unit))
    }
}

#[test]
fn two_machines_with_one_identity_are_held() {
    let mut floor = Floor::of(Policy::one_profile("smoke"), &[]);
    let call = |floor: &mut Floor, boot: &str| {
        let sync = kiln_wire::Sync {
            wire: kiln_wire::WIRE,
            agent: name("agent-1"),
            boot: name(boot),
            serial: None,
            doing: kiln_wire::Doing::Idle,
            generation: None,
            spool: Vec::new(),
            slot: None,
            version: None,
        };
        let tick = Tick { now: 0, fresh_run: name("run") };
        floor.handle(&tick, Input::Synced(sync)).expect("an answer").events.len()
    };
    assert_eq!([call(&mut floor, "boot-1"), call(&mut floor, "boot-1"), call(&mut floor, "boot-2")], [1, 0, 1]);
    call(&mut floor, "boot-1");
    let held = floor.state().agents.values().next().and_then(|agent| agent.held.clone());
    assert_eq!(held, Some(Held::ClonedAgent));
}

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
    told.act(Act::Rework { unit: name("A"), what: "gpu/3 seated".to_owned() });
    told.run("A", Fail);
    assert_eq!(*told.stage("A"), Stage::Held(Held::TooManyRepairs { class: "link".to_owned() }));
    // A fault of no class is repaired as often as it comes.
    told.codes = vec!["GPU-HOT".to_owned()];
    told.scan("B", None);
    for _ in 0..4 {
        told.run("B", Fail);
        assert_eq!(*told.stage("B"), Stage::Disposed(Disposition::Repair));
        told.act(Act::Rework { unit: name("B"), what: "paste renewed".to_owned() });
    }
}

#[test]
fn to_release_a_held_unit_takes_two_persons_and_a_pass() {
    let mut told = Told::one_stop();
    told.scan("A", None);
    told.run("A", Fail);
    told.act(Act::Rework { unit: name("A"), what: "x".to_owned() });
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
    told.act(Act::Rework { unit: name("B"), what: "none".to_owned() });
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
        let doing = Doing::Idle;
        let (wire, agent, boot) = (kiln_wire::WIRE, name("blank"), name("boot-1"));
        let (spool, generation, serial, slot, version) = (Vec::new(), None, None, None, None);
        let sync = kiln_wire::Sync { wire, agent, boot, serial, doing, generation, spool, slot, version };
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
    told.act(Act::Rework { unit: name("B"), what: "gpu/3 replaced".to_owned() });
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
    assert_eq!(told.floor.state().units[&name::<Serial>("A")].passed, 0);
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
        let (wire, agent, boot) = (kiln_wire::WIRE, name(&format!("agent-{unit}")), name("boot-1"));
        let (doing, serial, slot) = (Doing::Idle, Some(name(unit)), Some(name("r0-00")));
        let (spool, generation, version) = (Vec::new(), None, None);
        let sync = kiln_wire::Sync { wire, agent, boot, serial, doing, generation, spool, slot, version };
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
        let (wire, agent, boot, serial) = (kiln_wire::WIRE, name("agent-A"), name(boot), Some(name("A")));
        let sync = kiln_wire::Sync {
            wire,
            agent,
            boot,
            serial,
            doing,
            generation: Some(generation),
            spool,
            slot: None,
            version: None,
        };
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
    told.act(Act::FreeAgent { agent: name("agent-A") });
    assert_eq!(call(&mut told, "boot-2", true), Watts(0));
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
