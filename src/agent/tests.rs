//! An agent that becomes another program: between runs, whole, and back if that one does not reach the floor.

use std::time::Duration;

use kiln_wire::{
    Assignment, Basis, Declined, Digest, Doing, Generation, Held, NotTaken, Position, RefusedRun, Spooled, Sync,
    SyncReply, Upgrade, WIRE,
};

use super::*;

fn name<T: std::str::FromStr>(text: &str) -> T
where
    T::Err: std::fmt::Debug,
{
    text.parse().expect("a plain name")
}

fn upgrade(offer: u64) -> Upgrade {
    let within = Duration::from_secs(60);
    Upgrade { offer, program: name("sha256:new"), size: 10, signature: None, within }
}

fn reply(upgrade: Option<Upgrade>, desired: Option<Assignment>) -> SyncReply {
    let poll_after = Duration::from_secs(2);
    let (received, set_aside, basis) = (Vec::new(), Vec::new(), Basis::Decided);
    SyncReply { wire: WIRE, desired, received, poll_after, let_go: false, set_aside, upgrade, basis, mark: None }
}

pub(super) fn assignment() -> Assignment {
    Assignment {
        unit: name("A"),
        generation: Generation(1),
        run: name("run-1"),
        profile: "smoke".to_owned(),
        digest: None,
        variables: std::collections::BTreeMap::new(),
        program: None,
        parts: None,
        phase: None,
    }
}

struct Told {
    agent: Agent,
    now: Duration,
}

impl Told {
    fn being(being: Being) -> Self {
        let agent = Agent::new(name("agent-1"), name("boot-1"), None, None).being(being);
        Self { agent, now: Duration::ZERO }
    }

    fn old() -> Self {
        let mut told = Self::being(Being { program: Some(name::<Digest>("sha256:old")), ..Being::default() });
        told.tell(Input::Looked(Facts::default()));
        told
    }

    fn tell(&mut self, input: Input) -> Vec<Effect> {
        self.agent.handle(Tick { now: self.now, jitter: 0.5 }, input)
    }

    /// What it says at its next call, seconds later.
    fn says(&mut self) -> Sync {
        self.now += Duration::from_secs(5);
        let effects = self.tell(Input::Looked(Facts::default()));
        let call =
            effects.into_iter().find_map(|effect| if let Effect::Sync(sync) = effect { Some(sync) } else { None });
        call.expect("a call")
    }
}

#[test]
fn a_program_is_fetched_piece_by_piece_and_become_once_it_is_whole() {
    let mut told = Told::old();
    let fetch = [Effect::Fetch(upgrade(1))];
    assert_eq!(told.tell(Input::Answered(reply(Some(upgrade(1)), None))), fetch);
    assert_eq!(told.tell(Input::Fetched), fetch);
    assert_eq!(told.tell(Input::Whole { offer: 1 }), [Effect::Become(upgrade(1))]);
}

#[test]
fn no_program_is_changed_while_a_run_goes_on_or_is_about_to_begin() {
    let mut told = Told::old();
    let both = told.tell(Input::Answered(reply(Some(upgrade(1)), Some(assignment()))));
    assert_eq!(both, [Effect::Start(assignment())]);
    let running = Facts { running: Some(name("run-1")), ..Facts::default() };
    assert_eq!(told.tell(Input::Looked(running)), []);
    // The run was cut, and will be resumed.
    assert!(!told.tell(Input::Looked(Facts::default())).iter().any(|effect| matches!(effect, Effect::Fetch(_))));
    let (run, generation, journal) = (name("run-1"), Generation(1), Position::default());
    let ended = Spooled { run, generation, journal, telemetry: 0, ended: true };
    let over = told.tell(Input::Looked(Facts { spool: vec![ended], ..Facts::default() }));
    assert!(matches!(over[..], [Effect::Seal { .. }]), "the floor gets its run first: {over:?}");
    let sealed = told.tell(Input::Sealed { run: name("run-1"), answer: kiln_wire::Sealed::Verified });
    assert_eq!(sealed, [Effect::Fetch(upgrade(1))]);
}

#[test]
fn an_offer_that_stands_no_more_is_let_go_and_a_floor_that_repeats_what_it_knew_takes_none_back() {
    let mut told = Told::old();
    told.tell(Input::Answered(reply(Some(upgrade(1)), None)));
    told.tell(Input::Unanswered);
    told.says();
    let memory = SyncReply { basis: Basis::Memory, ..reply(None, None) };
    assert_eq!(told.tell(Input::Answered(memory)), [Effect::Fetch(upgrade(1))]);
    told.tell(Input::Unanswered);
    told.says();
    assert_eq!(told.tell(Input::Answered(reply(None, None))), []);
}

#[test]
fn what_was_not_taken_is_told_and_not_tried_again_until_it_is_offered_anew() {
    let mut told = Told::old();
    told.tell(Input::Answered(reply(Some(upgrade(1)), None)));
    let why = NotTaken::WrongDigest { found: name("sha256:other") };
    let effects = told.tell(Input::NotTaken { offer: 1, why: why.clone() });
    let declined = Some(Declined { offer: 1, program: name("sha256:new"), why });
    assert!(matches!(&effects[..], [Effect::Sync(sync)] if sync.declined == declined), "{effects:?}");
    assert_eq!(told.tell(Input::Answered(reply(Some(upgrade(1)), None))), [], "the floor had not heard of it");
    assert_eq!(told.says().declined, declined);
    assert_eq!(told.tell(Input::Answered(reply(Some(upgrade(2)), None))), [Effect::Fetch(upgrade(2))]);
}

#[test]
fn a_program_on_trial_stays_once_the_floor_answers_and_goes_if_it_does_not_in_time() {
    let being =
        || Being { program: Some(name("sha256:new")), declined: None, trial_until: Some(Duration::from_secs(30)) };
    let mut told = Told::being(being());
    assert_eq!(told.says().program, being().program);
    assert_eq!(told.tell(Input::Answered(reply(None, None))), [Effect::Stay]);
    told.now = Duration::from_secs(31);
    assert!(!told.tell(Input::Looked(Facts::default())).contains(&Effect::GoBack));
    let mut told = Told::being(being());
    told.says();
    told.tell(Input::Unanswered);
    assert!(told.agent.wake_at() <= Duration::from_secs(30));
    told.now = Duration::from_secs(30);
    assert!(told.tell(Input::Looked(Facts::default())).contains(&Effect::GoBack));
}

#[test]
fn a_held_agent_and_one_that_does_not_know_what_it_is_change_nothing() {
    let mut told = Told::being(Being::default());
    assert_eq!(told.says().program, None);
    assert_eq!(told.tell(Input::Answered(reply(Some(upgrade(1)), None))), []);
    let mut told = Told::old();
    told.tell(Input::Looked(Facts { damaged: vec![name("run-1")], ..Facts::default() }));
    told.tell(Input::Answered(reply(Some(upgrade(1)), None)));
    assert!(matches!(told.says().doing, Doing::Held(Held::Unverified { .. })));
    assert_eq!(told.tell(Input::Answered(reply(Some(upgrade(1)), None))), []);
}

#[test]
fn a_run_is_neither_begun_nor_gone_on_with_by_another_program_than_it_was_assigned_to() {
    let pinned = Assignment { program: Some(name("sha256:old")), ..assignment() };
    let begun = Spooled {
        run: name("run-1"),
        generation: Generation(1),
        journal: Position { offset: 7, ..Position::default() },
        telemetry: 0,
        ended: false,
    };
    for spool in [Vec::new(), vec![begun]] {
        let being = Being { program: Some(name("sha256:other")), ..Being::default() };
        let agent = Agent::new(name("agent-1"), name("boot-1"), None, Some(pinned.clone())).being(being);
        let mut told = Told { agent, now: Duration::ZERO };
        let facts = Facts { spool, ..Facts::default() };
        let effects = told.tell(Input::Looked(facts.clone()));
        assert!(!effects.iter().any(|effect| matches!(effect, Effect::Start(_) | Effect::Resume(_))), "{effects:?}");
        let why = Held::OtherProgram { run: name("run-1"), assigned: name("sha256:old"), own: name("sha256:other") };
        assert_eq!(told.agent.held(), Some(&why));
        // A person gives that run up, and the unit is assigned anew.
        told.tell(Input::Answered(SyncReply { let_go: true, ..reply(None, None) }));
        told.tell(Input::Looked(facts.clone()));
        assert_eq!(told.agent.held(), None);
        told.now += Duration::from_secs(3);
        told.tell(Input::Looked(facts.clone()));
        let again = Assignment {
            generation: Generation(2),
            run: name("run-2"),
            program: Some(name("sha256:other")),
            ..assignment()
        };
        let effects = told.tell(Input::Answered(reply(None, Some(again.clone()))));
        assert!(effects.contains(&Effect::Start(again)), "{effects:?}");
    }
}

#[test]
fn a_run_that_ends_with_its_node_is_gone_on_with_at_once_however_often_and_is_no_failed_start() {
    let agent = Agent::new(name("agent-1"), name("boot-1"), None, Some(assignment()));
    let mut told = Told { agent, now: Duration::ZERO };
    let resume = Effect::Resume(name("run-1"));
    let left = |offset| {
        let journal = Position { offset, ..Position::default() };
        let spooled = Spooled { run: name("run-1"), generation: Generation(1), journal, telemetry: 0, ended: false };
        Input::Looked(Facts { spool: vec![spooled], restarting: vec![name("run-1")], ..Facts::default() })
    };
    for restart in 1..=8 {
        assert!(told.tell(left(100 * restart)).contains(&resume), "restart {restart}");
        assert!(!told.tell(left(100 * restart)).contains(&resume), "once for each");
    }
    // The node is still on its way down: tried again without haste, and held for nothing.
    for _ in 0..10 {
        told.now += Duration::from_secs(30);
        assert!(told.tell(left(800)).contains(&resume));
    }
    assert_eq!(told.agent.held(), None);
}

fn starts(effects: &[Effect]) -> bool {
    effects.iter().any(|effect| matches!(effect, Effect::Start(_) | Effect::Resume(_)))
}

#[test]
fn a_run_that_its_process_refuses_twice_in_the_same_words_is_told_and_not_tried_again() {
    let agent = Agent::new(name("agent-1"), name("boot-1"), None, Some(assignment()));
    let mut told = Told { agent, now: Duration::ZERO };
    let refused = |why: &str| RefusedRun { run: name("run-1"), why: why.to_owned() };
    for why in ["no driver yet", "another serial number"] {
        assert!(starts(&told.tell(Input::Looked(Facts::default()))), "{why}");
        told.tell(Input::Refused(refused(why)));
        assert_eq!(told.agent.refused(), None, "{why}: once may be for a passing reason");
        told.now += Duration::from_secs(30);
    }
    assert!(starts(&told.tell(Input::Looked(Facts::default()))));
    told.tell(Input::Unanswered);
    let effects = told.tell(Input::Refused(refused("another serial number")));
    let says = |effect: &Effect| matches!(effect, Effect::Sync(sync) if sync.refused == told.agent.refused().cloned());
    assert!(effects.iter().any(says) && told.agent.refused().is_some(), "{effects:?}");
    assert_eq!(effects.first(), Some(&Effect::Forget(name("run-1"))), "before the floor gives its power to another");
    told.tell(Input::Answered(reply(None, Some(assignment()))));
    for _ in 0..10 {
        told.now += Duration::from_secs(60);
        assert!(!starts(&told.tell(Input::Looked(Facts::default()))));
    }
    // The unit was freed, and is assigned another run.
    told.tell(Input::Unanswered);
    let again = Assignment { generation: Generation(2), run: name("run-2"), ..assignment() };
    assert!(starts(&told.tell(Input::Answered(reply(None, Some(again))))));
    assert_eq!(told.agent.refused(), None);
}

#[test]
fn an_agent_that_is_let_go_on_tries_a_refused_run_only_if_the_floor_wants_it_again() {
    let agent = Agent::new(name("agent-1"), name("boot-1"), None, Some(assignment()));
    let mut told = Told { agent, now: Duration::ZERO };
    let refused = || RefusedRun { run: name("run-1"), why: "another serial number".to_owned() };
    for _ in 0..2 {
        assert!(starts(&told.tell(Input::Looked(Facts::default()))));
        told.tell(Input::Refused(refused()));
        told.now += Duration::from_secs(30);
    }
    assert!(!starts(&told.tell(Input::Freed)), "its power may be another's by now");
    told.tell(Input::Unanswered);
    assert!(starts(&told.tell(Input::Answered(reply(None, Some(assignment()))))), "wanted again");
}

#[test]
fn a_process_that_was_alive_and_wrote_nothing_was_started_in_vain() {
    let agent = Agent::new(name("agent-1"), name("boot-1"), None, Some(assignment()));
    let mut told = Told { agent, now: Duration::ZERO };
    for started in 1..=5 {
        assert!(starts(&told.tell(Input::Looked(Facts::default()))), "try {started}");
        told.tell(Input::Looked(Facts { running: Some(name("run-1")), ..Facts::default() }));
        told.now += Duration::from_secs(30);
    }
    assert!(!starts(&told.tell(Input::Looked(Facts::default()))));
    assert_eq!(told.agent.held(), Some(&Held::WillNotStart { run: name("run-1"), tries: 5 }));
}

#[test]
fn an_agent_says_how_far_the_floor_was_in_the_last_answer_that_it_had() {
    let mut told = Told::being(Being::default());
    assert_eq!(told.says().heard, None);
    told.tell(Input::Answered(SyncReply { mark: Some(7), ..reply(None, None) }));
    assert_eq!(told.says().heard, Some(7));
    // A floor that cannot know it says nothing, and one that began anew counts anew.
    told.tell(Input::Answered(reply(None, None)));
    assert_eq!(told.says().heard, Some(7));
    told.tell(Input::Answered(SyncReply { mark: Some(2), ..reply(None, None) }));
    assert_eq!(told.says().heard, Some(2));
}
