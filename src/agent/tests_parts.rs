//! An agent that is assigned a run with a parts list: fetched and whole before anything begins, and never begun without.

use std::collections::BTreeSet;
use std::time::Duration;

use kiln_wire::{Assignment, Basis, Digest, Generation, Position, RefusedRun, Spooled, SyncReply, WIRE};

use super::*;

fn name<T: std::str::FromStr>(text: &str) -> T
where
    T::Err: std::fmt::Debug,
{
    text.parse().expect("a plain name")
}

fn assignment() -> Assignment {
    Assignment { parts: Some(list()), ..super::tests::assignment() }
}

fn list() -> Digest {
    name("sha256:list")
}

fn wants(desired: Option<Assignment>) -> Input {
    let (received, set_aside) = (Vec::new(), Vec::new());
    let (poll_after, upgrade) = (Duration::from_secs(2), None);
    Input::Answered(SyncReply {
        wire: WIRE,
        desired,
        received,
        poll_after,
        let_go: false,
        set_aside,
        upgrade,
        basis: Basis::Decided,
        mark: None,
    })
}

struct Told {
    agent: Agent,
    now: Duration,
}

impl Told {
    /// An agent with this assignment in its spool.
    fn with(saved: Option<Assignment>) -> Self {
        Self { agent: Agent::new(name("agent-1"), name("boot-1"), None, saved), now: Duration::ZERO }
    }

    fn tell(&mut self, input: Input) -> Vec<Effect> {
        self.agent.handle(Tick { now: self.now, jitter: 0.5 }, input)
    }

    fn looks(&mut self, later: u64) -> Vec<Effect> {
        self.now += Duration::from_secs(later);
        self.tell(Input::Looked(Facts::default()))
    }
}

fn fetches() -> [Effect; 1] {
    [Effect::FetchList { run: name("run-1"), parts: list() }]
}

fn calls(effects: &[Effect]) -> bool {
    matches!(effects, [Effect::Sync(_)])
}

#[test]
fn a_run_begins_once_its_parts_list_is_here_and_one_without_a_list_at_once() {
    let mut told = Told::with(None);
    told.looks(0);
    assert_eq!(told.tell(wants(Some(assignment()))), fetches());
    assert_eq!(told.tell(Input::Listed(list())), [Effect::Start(assignment())]);
    let mut told = Told::with(None);
    told.looks(0);
    let plain = Assignment { parts: None, ..assignment() };
    assert_eq!(told.tell(wants(Some(plain.clone()))), [Effect::Start(plain)]);
}

#[test]
fn a_floor_that_is_away_holds_no_agent_whose_list_is_not_here_and_stops_none_whose_list_is() {
    let mut told = Told::with(None);
    told.looks(0);
    assert_eq!(told.tell(wants(Some(assignment()))), fetches());
    told.tell(Input::Unanswered);
    for _ in 0..100 {
        assert!(told.agent.wake_at() > told.now, "it does not look again and again for what a call alone brings");
        let effects = told.looks(61);
        assert!(calls(&effects), "{effects:?}");
        told.tell(Input::Unanswered);
    }
    assert_eq!(told.agent.held(), None);
    told.looks(61);
    assert_eq!(told.tell(wants(Some(assignment()))), fetches());
    assert_eq!(told.tell(Input::Listed(list())), [Effect::Start(assignment())]);
    // Started again, with both in its spool.
    let mut told = Told::with(Some(assignment()));
    let facts = Facts { lists: BTreeSet::from([list()]), ..Facts::default() };
    let effects = told.tell(Input::Looked(facts));
    assert!(matches!(&effects[..], [Effect::Start(_), Effect::Sync(_)]), "{effects:?}");
}

#[test]
fn a_run_that_has_begun_goes_on_without_its_list_which_its_journal_has() {
    let mut told = Told::with(Some(assignment()));
    let (run, generation) = (name("run-1"), Generation(1));
    let journal = Position { offset: 700, ..Position::default() };
    let begun = Spooled { run, generation, journal, telemetry: 0, ended: false };
    let effects = told.tell(Input::Looked(Facts { spool: vec![begun], ..Facts::default() }));
    assert!(effects.contains(&Effect::Resume(name("run-1"))), "{effects:?}");
}

#[test]
fn what_is_not_the_list_that_was_pinned_is_refused_after_a_second_try_and_the_floor_hears_why() {
    let refused = || RefusedRun { run: name("run-1"), why: "the floor gave another list".to_owned() };
    let mut told = Told::with(None);
    told.looks(0);
    told.tell(wants(Some(assignment())));
    assert_eq!(told.tell(Input::NotListed(refused())), [], "not at once");
    told.looks(3);
    assert_eq!(told.tell(wants(Some(assignment()))), [], "not before half a minute");
    told.looks(31);
    assert_eq!(told.tell(wants(Some(assignment()))), fetches());
    let effects = told.tell(Input::NotListed(refused()));
    let [Effect::Forget(_), Effect::Sync(sync)] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(sync.refused, Some(refused()));
    told.tell(wants(Some(assignment())));
    assert!(calls(&told.looks(60)), "and nothing begins");
    assert_eq!(told.tell(wants(Some(assignment()))), []);
}
