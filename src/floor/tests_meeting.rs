//! Boots of one machine and two machines of one name: which calls hold an agent, and which are merely late.

use kiln_event::VerdictWord::Pass;
use kiln_wire::{AgentId, Assignment, Basis, Doing, Generation, Held, Position, RunId, Spooled, Sync, SyncReply};

use super::tests_told::{Told, name, site};
use super::*;

/// A machine under the name of unit A's agent, as it calls: with what it had of the floor's answers.
struct Machine {
    boot: &'static str,
    heard: Option<u64>,
    doing: Doing,
    spool: Vec<Spooled>,
}

impl Machine {
    fn booted(boot: &'static str) -> Self {
        Self { boot, heard: None, doing: Doing::Idle, spool: Vec::new() }
    }

    fn sync(&self) -> Sync {
        let idle = Sync::idle(name("agent-A"), name(self.boot));
        let (doing, spool) = (self.doing.clone(), self.spool.clone());
        Sync { serial: Some(name("A")), heard: self.heard, doing, spool, ..idle }
    }

    /// Calls, and has the answer.
    fn calls(&mut self, told: &mut Told) -> SyncReply {
        let reply = told.tell(Input::Synced(self.sync())).expect("an answer");
        self.heard = reply.mark.or(self.heard);
        reply
    }

    fn runs(&mut self, run: &RunId) {
        self.doing = Doing::Running { run: run.clone() };
        self.spool = vec![spooled(run, false)];
    }
}

fn spooled(run: &RunId, ended: bool) -> Spooled {
    let journal = Position { offset: 9, ..Position::default() };
    Spooled { run: run.clone(), generation: Generation(1), journal, telemetry: 0, ended }
}

fn held(told: &Told) -> Option<Held> {
    told.floor.state().agents[&name::<AgentId>("agent-A")].held.clone()
}

fn floor() -> Told {
    let mut policy = Policy::one_profile("smoke");
    policy.site = site(1, 4);
    let mut told = Told::of(policy);
    told.scan("A", Some("r0-00"));
    told
}

#[test]
fn two_machines_with_one_identity_are_held_once_both_had_an_answer_beside_the_other() {
    let mut told = floor();
    let mut first = Machine::booted("boot-1");
    first.calls(&mut told);
    // A copy of its disk. So far it may be a call of an earlier boot that was long on its way.
    let mut second = Machine::booted("boot-2");
    assert_eq!(second.calls(&mut told).basis, Basis::Memory);
    assert_eq!(second.calls(&mut told).basis, Basis::Decided);
    // And so may this one.
    let unsure = first.calls(&mut told);
    assert_eq!((held(&told), unsure.desired, unsure.basis), (None, None, Basis::Memory));
    second.calls(&mut told);
    first.calls(&mut told);
    assert_eq!(held(&told), Some(Held::ClonedAgent));
}

#[test]
fn of_two_machines_whichever_calls_after_a_person_looked_is_the_agent_and_late_calls_of_the_other_are_nobodys() {
    for first_stays in [false, true] {
        let mut told = floor();
        let mut both = [Machine::booted("boot-1"), Machine::booted("boot-2")];
        for machine in [0, 1, 1, 0, 0, 1] {
            both[machine].calls(&mut told);
        }
        let [first, second] = both;
        assert_eq!(held(&told), Some(Held::ClonedAgent));
        told.act(Act::FreeAgent { agent: name("agent-A") });
        let (mut stays, gone) = if first_stays { (first, second) } else { (second, first) };
        for _ in 0..3 {
            stays.calls(&mut told);
            told.tell(Input::Synced(gone.sync()));
        }
        assert_eq!((held(&told), stays.calls(&mut told).basis), (None, Basis::Decided), "first stays: {first_stays}");
    }
}

#[test]
fn calls_of_the_boot_before_hold_nobody_however_late_and_often_they_come() {
    let mut told = floor();
    // It was up for seconds, and none of its calls has come so far.
    let unheard = Machine::booted("boot-0").sync();
    let mut node = Machine::booted("boot-1");
    let first_call = node.sync();
    let Assignment { run, .. } = node.calls(&mut told).desired.expect("a run");
    node.runs(&run);
    node.calls(&mut told);
    let last_call = node.sync();
    let mut again = Machine::booted("boot-2");
    again.runs(&run);
    again.calls(&mut told);
    again.doing = Doing::Idle;
    again.spool = vec![spooled(&run, true)];
    again.calls(&mut told);
    let (events, granted) = (told.events.len(), told.floor.ledger().granted(0));
    assert_eq!(granted, Watts(0), "the run has ended");
    for late in [&last_call, &first_call, &unheard, &last_call] {
        let answer = told.tell(Input::Synced(late.clone())).expect("an answer");
        assert_eq!((answer.desired, answer.basis), (None, Basis::Memory));
    }
    assert_eq!((told.events.len(), held(&told), told.floor.ledger().granted(0)), (events, None, granted));
    told.arrives(run, Pass);
    assert_eq!(*told.stage("A"), Stage::Disposed(Disposition::Released));
}

#[test]
fn a_copy_is_found_also_if_its_original_was_away_for_long_or_its_agent_began_anew() {
    for began_anew in [false, true] {
        let mut told = floor();
        let mut first = Machine::booted("boot-1");
        first.calls(&mut told);
        let mut second = Machine::booted("boot-2");
        for _ in 0..50 {
            second.calls(&mut told);
        }
        if began_anew {
            first = Machine::booted("boot-1");
        }
        first.calls(&mut told);
        first.calls(&mut told);
        assert_eq!(held(&told), Some(Held::ClonedAgent), "began anew: {began_anew}");
    }
}

/// It says nothing of what it heard, and is held as it always was.
#[test]
fn an_agent_of_before_marks_is_held_at_the_first_call_of_an_earlier_boot() {
    let mut told = floor();
    for boot in ["boot-1", "boot-2", "boot-1"] {
        let wire = "kiln.wire/1.1".parse().expect("a version");
        told.tell(Input::Synced(Sync { wire, ..Machine::booted(boot).sync() }));
    }
    assert_eq!(held(&told), Some(Held::ClonedAgent));
}
