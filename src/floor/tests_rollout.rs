//! Agents become another program in waves, and one with which something is wrong stops that.

use std::time::Duration;

use kiln_event::VerdictWord::{Error, Pass};
use kiln_wire::{Basis, Declined, Digest, Doing, NotTaken, Sync, SyncReply, Upgrade};

use super::tests_told::{MINUTE, Told, name};
use super::*;

/// A digest by its first letter.
fn program(letter: char) -> Digest {
    name(&format!("sha256:{}", letter.to_string().repeat(64)))
}

fn rules(waves: &[Wave], proof: Proof) -> RolloutRules {
    let (waves, back) = (waves.to_vec(), Duration::from_secs(600));
    RolloutRules { program: program('b'), waves, back, proof, size: 7, signature: None }
}

fn rolling(waves: &[Wave], proof: Proof) -> Told {
    let mut policy = Policy::one_profile("smoke");
    policy.golden = [name("G")].into();
    policy.upgrade = Some(rules(waves, proof));
    Told::of(policy)
}

impl Told {
    /// The agent of a unit calls as a program.
    fn is(&mut self, unit: &str, letter: char) -> SyncReply {
        self.says(unit, letter, None)
    }

    fn says(&mut self, unit: &str, letter: char, declined: Option<Declined>) -> SyncReply {
        let idle = Sync::idle(name(&format!("agent-{unit}")), name("boot-1"));
        let sync = Sync { serial: Some(name(unit)), program: Some(program(letter)), declined, ..idle };
        self.tell(Input::Synced(sync)).expect("an answer")
    }

    fn offer(&mut self, unit: &str) -> Upgrade {
        self.is(unit, 'a').upgrade.unwrap_or_else(|| panic!("{unit} is offered nothing"))
    }

    fn rollout(&self) -> &Rollout {
        self.floor.state().rollout.as_ref().expect("a rollout")
    }

    fn stopped(&self) -> Option<(&str, &Setback)> {
        self.rollout().stopped.as_ref().map(|(agent, why)| (agent.as_str(), why))
    }
}

#[test]
fn a_wave_begins_once_all_of_the_one_before_are_back_as_the_program() {
    let mut told = rolling(&[Wave::Agents(1), Wave::Percent(50), Wave::Rest], Proof::Back);
    let all = ["A", "B", "C", "D"];
    let offer = told.offer("A");
    assert_eq!((offer.program, offer.size), (program('b'), 7));
    assert!(all[1..].iter().all(|unit| told.is(unit, 'a').upgrade.is_none()), "one is tried first");
    assert_eq!(told.offer("A").offer, offer.offer, "it stands until it was taken");
    assert_eq!(told.is("A", 'b').upgrade, None);
    assert_eq!((told.rollout().wave, told.rollout().size), (2, Some(2)), "half of four");
    for unit in ["B", "C"] {
        told.offer(unit);
    }
    assert_eq!(told.is("D", 'a').upgrade, None);
    told.is("B", 'b');
    assert_eq!(told.is("D", 'a').upgrade, None, "C is not back");
    told.is("C", 'b');
    told.offer("D");
    told.offer("late");
    assert_eq!(told.rollout().size, None);
}

#[test]
fn an_agent_is_upgraded_between_runs_and_gets_none_meanwhile() {
    let mut told = rolling(&[Wave::Rest], Proof::Back);
    told.scan("A", None);
    let earlier = Sync { serial: Some(name("A")), ..Sync::idle(name("agent-A"), name("boot-1")) };
    let answer = told.tell(Input::Synced(earlier)).expect("an answer");
    let run = answer.desired.expect("an agent that does not say what it is makes its runs").run;
    assert_eq!(answer.upgrade, None);
    let assigned = told.is("A", 'a');
    assert!(assigned.upgrade.is_none() && assigned.desired.is_some(), "it was assigned a run");
    told.arrives(run, Error);
    let between = told.is("A", 'a');
    assert!(between.upgrade.is_some() && between.desired.is_none(), "the next run waits: {between:?}");
    assert_eq!(told.wait("A"), Some(&Wait::Upgrade));
    assert!(told.is("A", 'b').desired.is_some());
    assert_eq!(told.wait("A"), None);
}

#[test]
fn one_that_does_not_take_the_program_stops_the_rollout_until_a_person_has_looked() {
    let mut told = rolling(&[Wave::Agents(2), Wave::Rest], Proof::Back);
    let (offer, _) = (told.offer("A"), told.offer("B"));
    let why = NotTaken::WrongDigest { found: program('c') };
    let declined = |offer: u64| Some(Declined { offer, program: program('b'), why: why.clone() });
    told.says("A", 'a', declined(offer.offer + 1000));
    assert_eq!(told.stopped(), None, "what it says of another offer says nothing of this");
    assert_eq!(told.says("A", 'a', declined(offer.offer)).upgrade, None);
    assert_eq!(told.stopped(), Some(("agent-A", &Setback::Declined(why.clone()))));
    assert_eq!(told.is("B", 'a').upgrade, None, "nobody goes on");
    assert_eq!(told.is("C", 'a').upgrade, None);
    told.act(Act::ResumeRollout { why: "a disk was full".to_owned() });
    let again = told.says("A", 'a', declined(offer.offer)).upgrade.expect("it is offered anew");
    assert!(again.offer > offer.offer && told.stopped().is_none());
    let act = Act::ResumeRollout { why: "once more".to_owned() };
    let refused = told.try_tell(Input::Told { act, by: "sato".to_owned() });
    assert_eq!(refused, Err(Refusal::RolloutGoesOn));
}

#[test]
fn one_that_does_not_come_back_is_overdue_also_where_nobody_calls() {
    let mut told = rolling(&[Wave::Agents(1), Wave::Rest], Proof::Back);
    told.offer("A");
    told.now += 9 * MINUTE;
    told.tell(Input::TimePassed);
    assert_eq!(told.stopped(), None);
    told.now += 2 * MINUTE;
    told.tell(Input::TimePassed);
    assert_eq!(told.stopped(), Some(("agent-A", &Setback::Overdue)));
}

#[test]
fn one_that_does_not_come_back_in_time_stops_the_rollout_and_counts_if_it_comes_later() {
    let mut told = rolling(&[Wave::Agents(1), Wave::Rest], Proof::Back);
    told.offer("A");
    told.now += 11 * MINUTE;
    told.is("B", 'a');
    assert_eq!(told.stopped(), Some(("agent-A", &Setback::Overdue)));
    told.is("A", 'b');
    assert_eq!(told.is("B", 'a').upgrade, None, "a person has yet to look");
    told.act(Act::ResumeRollout { why: "it was slow".to_owned() });
    told.offer("B");
    assert_eq!(told.rollout().wave, 2);
}

#[test]
fn one_that_was_heard_as_the_program_and_went_back_stops_the_rollout_as_well() {
    let mut told = rolling(&[Wave::Agents(1), Wave::Rest], Proof::Back);
    let offer = told.offer("A").offer;
    told.is("A", 'b');
    assert_eq!(told.rollout().wave, 2);
    let declined = Declined { offer, program: program('b'), why: NotTaken::FellBack };
    assert_eq!(told.says("A", 'a', Some(declined)).upgrade, None);
    assert_eq!(told.stopped(), Some(("agent-A", &Setback::Declined(NotTaken::FellBack))));
}

#[test]
fn where_a_golden_unit_proves_the_program_it_is_first_and_its_pass_lets_the_next_wave_begin() {
    let mut told = rolling(&[Wave::Agents(1), Wave::Rest], Proof::Golden);
    assert_eq!(told.is("A", 'a').upgrade, None, "the golden unit is first");
    told.offer("G");
    told.is("G", 'b');
    assert_eq!(told.is("A", 'a').upgrade, None, "that it came back is not enough");
    for (verdict, wave) in [(Pass, 2), (Error, 2)] {
        told.scan("G", None);
        let run = told.is("G", 'b').desired.expect("its run").run;
        told.arrives(run, verdict);
        told.is("G", 'b');
        assert_eq!(told.rollout().wave, wave);
    }
    assert!(matches!(told.stopped(), Some(("agent-G", Setback::GoldenFailed { .. }))), "{:?}", told.stopped());
}

#[test]
fn an_agent_that_is_away_is_in_no_wave_and_one_that_is_the_program_already_counts_in_none() {
    let mut told = rolling(&[Wave::Agents(2), Wave::Rest], Proof::Back);
    told.is("A", 'b');
    told.offer("B");
    told.is("B", 'b');
    told.is("B", 'b');
    assert!(!told.rollout().is_whole(), "one came back, once");
    told.offer("C");
    told.is("C", 'b');
    told.offer("D");
}

#[test]
fn another_program_in_the_file_begins_anew_and_none_leaves_agents_as_they_are() {
    let mut told = rolling(&[Wave::Rest], Proof::Back);
    told.offer("A");
    let mut policy = told.floor.policy().clone();
    policy.upgrade = Some(RolloutRules { program: program('c'), ..rules(&[Wave::Rest], Proof::Back) });
    let events = told.events.clone();
    told.floor = Floor::of(policy.clone(), &events);
    assert_eq!(told.offer("A").program, program('c'));
    policy.upgrade = None;
    let events = told.events.clone();
    told.floor = Floor::of(policy, &events);
    assert_eq!(told.is("A", 'a').upgrade, None);
    assert_eq!(told.floor.state().rollout, None);
}

#[test]
fn from_memory_an_agent_hears_of_the_run_that_it_says_itself_and_of_nothing_else() {
    let mut told = rolling(&[Wave::Agents(1), Wave::Rest], Proof::Back);
    told.scan("A", None);
    let idle = Sync { serial: Some(name("A")), ..Sync::idle(name("agent-A"), name("boot-1")) };
    let assigned = told.tell(Input::Synced(idle.clone())).and_then(|reply| reply.desired).expect("a run");
    let recall = |sync: &Sync| told.floor.recall(sync).expect("an answer");
    let unheard = recall(&idle);
    assert_eq!((unheard.desired, unheard.upgrade, unheard.basis), (None, None, Basis::Memory));
    let doing = Doing::Running { run: assigned.run.clone() };
    let running = Sync { doing, generation: Some(assigned.generation), ..idle.clone() };
    assert_eq!(recall(&running).desired, Some(assigned.clone()));
    let rebooted = Sync { boot: name("boot-2"), ..running.clone() };
    assert_eq!(recall(&rebooted).desired, None, "it may be another machine");
    assert_eq!(recall(&Sync { serial: Some(name("B")), ..Sync::idle(name("agent-B"), name("b")) }).desired, None);
    let newer = Sync { wire: "kiln.wire/9.0".parse().expect("a version"), ..idle };
    assert!(matches!(told.floor.recall(&newer), Err(Refusal::Version(_))));
}
