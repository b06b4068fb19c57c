//! The machine: what the floor takes in, and what comes of it. What is started is decided in `assign`, what becomes of a
//! unit in `judge`.

use std::collections::BTreeMap;

use kiln_wire::{
    AgentId, Assignment, Basis, Digest, Held, LotId, PlaceId, RunId, Scope, Serial, SlotId, Sync, SyncReply, WIRE,
};

use super::admission::{Ask, Ledger};
use super::assign::Wait;
use super::event::{Actor, Disposition, Evidence, FloorEvent, Parts, RunFacts, Stamped};
use super::identity::{Candidate, Listed};
use super::parts::UnitParts;
use super::policy::Policy;
use super::power_cycle::CycleEnd;
use super::refusal::Refusal;
use super::route::{RouteAnswer, RouteQuestion};
use super::site::Watts;
use super::state::{FloorState, Stage};

/// The moment of an input, and a name for a run should one be assigned.
#[derive(Debug, Clone)]
pub struct Tick {
    /// Microseconds since 1970, UTC.
    pub now: u64,
    pub fresh_run: RunId,
}

/// What can happen to a floor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    Synced(Sync),
    /// A person scanned a unit; at an agent's place, where the page knows it.
    Scanned {
        unit: Serial,
        at: Option<AgentId>,
        slot: Option<SlotId>,
        lot: Option<LotId>,
        by: String,
    },
    /// The whole of a run is here, and this is what its journal says.
    Arrived(RunFacts),
    /// The whole of a run is here, and it does not verify.
    Unverified(RunId),
    /// An agent asks for a certificate, with a key whose secret half it has; it may show one that still holds.
    Certify {
        agent: AgentId,
        key: Digest,
        shows_one: bool,
        until: u64,
    },
    /// A manufacturing system answered.
    RouteAnswered {
        question: RouteQuestion,
        answer: RouteAnswer,
    },
    /// What a unit was ordered with.
    Ordered(UnitParts),
    /// The program of a power cycle has ended, of the order with this number.
    PowerCycleEnded {
        slot: SlotId,
        order: u64,
        end: CycleEnd,
    },
    /// Some seconds have passed: what is overdue is so also where nobody calls.
    TimePassed,
    /// Somebody typed a wrong PIN for this person too often.
    Locked(String),
    /// Everybody who may log in, as the list has it now.
    People(Vec<Listed>),
    /// A person says something.
    Told {
        act: Act,
        by: String,
    },
}

/// What a person can say beside scanning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// A held unit may go on, from the start of its route.
    Free { unit: Serial, why: String },
    /// A unit was worked on.
    Rework { unit: Serial, what: String, parts: Parts },
    /// What becomes of a held unit. To release one needs a second person.
    Decide { unit: Serial, disposition: Disposition, why: String, second: Option<String> },
    /// A held agent may go on.
    FreeAgent { agent: AgentId },
    /// What a run was granted is not drawn any more.
    PowerOff { run: RunId, why: String },
    /// A place bears less for now, or again what the file says.
    Cut { place: PlaceId, limit: Option<Watts>, why: String },
    /// A scope under suspicion was put right.
    FreeScope { scope: Scope, why: String },
    /// Starts may go on after so many units did not pass.
    FreeStarts { why: String },
    /// A held unit should be released: the first of the two persons that takes.
    AskRelease { unit: Serial, why: String },
    /// The second of them agrees.
    AgreeRelease { unit: Serial },
    /// A machine's key is an agent's from now on.
    Approve(Candidate),
    /// An agent's identity ends.
    Revoke { agent: AgentId, why: String },
    /// A person who was locked out may log in again.
    Unlock { name: String },
    /// The node of a unit hangs, and is to be switched off and on by its BMC.
    PowerCycle { unit: Serial, why: String },
    /// A rollout that stopped goes on.
    ResumeRollout { why: String },
}

/// What comes of an input: events to keep, and the answer to who asked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    pub events: Vec<Stamped>,
    /// To an agent's call. What the floor holds of its runs is filled in by who keeps the files.
    pub reply: Option<SyncReply>,
}

/// A floor.
#[derive(Debug)]
pub struct Floor {
    pub(super) policy: Policy,
    pub(super) state: FloorState,
    pub(super) ledger: Ledger,
    /// Units that could begin, in order of their turn. Not events: asked again within seconds.
    pub(super) asks: BTreeMap<(u64, Serial), Ask>,
    /// Why units wait, as last found.
    pub(super) waits: BTreeMap<Serial, Wait>,
    /// When each agent last called, the first input came, and the last one. Not events: a floor that began anew knows nothing of
    /// silence before.
    pub(super) heard: BTreeMap<AgentId, u64>,
    pub(super) began: Option<u64>,
    pub(super) last: u64,
    next_seq: u64,
}

/// One input being handled: what it recorded so far.
pub(super) struct Handling<'a> {
    pub(super) floor: &'a mut Floor,
    pub(super) tick: &'a Tick,
    events: Vec<Stamped>,
}

impl Floor {
    /// A floor as its events left it.
    pub fn of<'a>(policy: Policy, events: impl IntoIterator<Item = &'a Stamped>) -> Self {
        let ledger = Ledger::of(&policy.site, []);
        let (asks, waits) = (BTreeMap::new(), BTreeMap::new());
        let (state, heard) = (FloorState::default(), BTreeMap::new());
        let mut floor = Self { policy, state, ledger, asks, waits, heard, began: None, last: 0, next_seq: 0 };
        for stamped in events {
            floor.follow(stamped);
        }
        floor
    }

    /// Takes an event in that was kept.
    pub fn follow(&mut self, stamped: &Stamped) {
        self.apply(stamped);
        self.next_seq = stamped.seq + 1;
    }

    pub const fn state(&self) -> &FloorState {
        &self.state
    }

    /// How many events made it what it is.
    pub const fn events(&self) -> u64 {
        self.next_seq
    }

    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Why units wait that could begin.
    pub const fn waits(&self) -> &BTreeMap<Serial, Wait> {
        &self.waits
    }

    /// Answers a call without deciding anything, for a floor that cannot keep what it decides: the agent hears of nothing that
    /// it does not say itself.
    pub fn recall(&self, sync: &Sync) -> Result<SyncReply, Refusal> {
        sync.wire.check()?;
        let known = self.state.agents.get(&sync.agent);
        let known = known.is_some_and(|agent| agent.held.is_none() && agent.boot == sync.boot);
        let desired = self.state.unit_of(&sync.agent).and_then(|(_, unit)| match &unit.stage {
            Stage::Assigned(assignment) => Some(assignment),
            _ => None,
        });
        let said = |assignment: &&Assignment| known && sync.generation == Some(assignment.generation);
        Ok(SyncReply { desired: desired.filter(said).cloned(), ..self.repeated(sync) })
    }

    /// What an answer has that no decision goes into.
    fn repeated(&self, sync: &Sync) -> SyncReply {
        let aside = |spooled: &kiln_wire::Spooled| self.state.set_aside.contains(&spooled.run);
        SyncReply {
            wire: WIRE,
            desired: None,
            received: Vec::new(),
            poll_after: self.policy.poll_every,
            let_go: false,
            set_aside: sync.spool.iter().filter(|run| aside(run)).map(|run| run.run.clone()).collect(),
            upgrade: None,
            basis: Basis::Memory,
            mark: None,
        }
    }

    fn apply(&mut self, stamped: &Stamped) {
        let site = &self.policy.site;
        match &stamped.event {
            FloorEvent::PowerGranted { instead_of: Some(run), .. } | FloorEvent::PowerReturned { run, .. } => {
                if let Some(grant) = self.state.grants.get(run) {
                    self.ledger.take_back(site, run, grant);
                }
            }
            FloorEvent::RunBegan { run } => self.ledger.began(run, stamped.at),
            _ => {}
        }
        self.state.apply(stamped);
        if let FloorEvent::PowerGranted { run, .. } = &stamped.event
            && let Some(grant) = self.state.grants.get(run)
        {
            self.ledger.give(site, run, grant);
            self.ledger.settle(stamped.at);
        }
    }

    /// Decides about one input. The events must be kept before the reply is given.
    pub fn handle(&mut self, tick: &Tick, input: Input) -> Result<Answer, Refusal> {
        (self.began, self.last) = (self.began.or(Some(tick.now)), tick.now);
        let mut handling = Handling { floor: self, tick, events: Vec::new() };
        let reply = match input {
            Input::Synced(sync) => Some(handling.synced(&sync)?),
            other => {
                handling.told(other)?;
                None
            }
        };
        Ok(Answer { events: handling.events, reply })
    }
}

impl Handling<'_> {
    pub(super) fn record(&mut self, actor: Actor, event: FloorEvent) {
        let stamped = Stamped { seq: self.floor.next_seq, at: self.tick.now, actor, event };
        self.floor.apply(&stamped);
        self.events.push(stamped);
        self.floor.next_seq += 1;
    }

    fn synced(&mut self, sync: &Sync) -> Result<SyncReply, Refusal> {
        sync.wire.check()?;
        let Some(let_go) = self.meet(sync) else {
            let mark = Some(self.floor.next_seq);
            return Ok(SyncReply { mark, ..self.floor.repeated(sync) });
        };
        self.hears(sync);
        self.hear_of_power(sync);
        self.hear_of_refusal(sync);
        self.roll_out(Some(sync));
        let silent = self.floor.state.agents.get(&sync.agent).is_none_or(|agent| agent.held.is_some());
        let upgrade = if silent { None } else { self.upgrade(sync) };
        // What becomes another program begins no run as the one it is.
        let desired = if silent || upgrade.is_some() { None } else { self.desired(sync) };
        let repeated = self.floor.repeated(sync);
        let mark = Some(self.floor.next_seq);
        Ok(SyncReply { desired, let_go, upgrade, basis: Basis::Decided, mark, ..repeated })
    }

    fn told(&mut self, input: Input) -> Result<(), Refusal> {
        match input {
            Input::Synced(_) => Ok(()),
            Input::Scanned { unit, at, slot, lot, by } => self.scanned(unit, at, slot, lot, by),
            Input::Arrived(facts) => self.arrived(facts),
            Input::Unverified(run) => self.unverified(run),
            Input::Certify { agent, key, shows_one, until } => self.certified(agent, &key, shows_one, until),
            Input::RouteAnswered { question, answer } => self.route_answered(question, answer),
            Input::TimePassed => {
                self.roll_out(None);
                self.mind_cycles();
                Ok(())
            }
            Input::PowerCycleEnded { slot, order, end } => {
                self.cycle_ended(slot, order, end);
                Ok(())
            }
            Input::Ordered(list) => {
                self.ordered(list);
                Ok(())
            }
            Input::Locked(name) => {
                if !self.floor.state.locked.contains(&name) {
                    self.record(Actor::Floor, FloorEvent::PersonLocked { name });
                }
                Ok(())
            }
            Input::People(people) => {
                self.listed(people);
                Ok(())
            }
            Input::Told { act, by } => self.acted(act, by),
        }
    }

    pub(super) fn known(&self, unit: &Serial) -> Result<&Stage, Refusal> {
        let known = self.floor.state.units.get(unit).map(|unit| &unit.stage);
        known.ok_or_else(|| Refusal::UnknownUnit(unit.clone()))
    }

    pub(super) fn hold(&mut self, unit: Serial, why: Held) {
        self.record(Actor::Floor, FloorEvent::UnitHeld { unit, why });
    }

    fn scanned(
        &mut self,
        unit: Serial,
        at: Option<AgentId>,
        slot: Option<SlotId>,
        lot: Option<LotId>,
        by: String,
    ) -> Result<(), Refusal> {
        let state = &self.floor.state;
        let known = state.units.get(&unit);
        if let Some(slot) = &slot
            && self.floor.policy.site.spot(slot).is_none()
        {
            return Err(Refusal::UnknownSlot(slot.clone()));
        }
        let moved = slot.is_some() && known.is_some_and(|known| known.slot != slot);
        let elsewhere = at.is_some() && known.is_some_and(|known| state.maker(known) != at.as_ref());
        if let Some(Stage::Assigned(assignment)) = known.map(|known| &known.stage)
            && (moved || elsewhere)
        {
            return Err(Refusal::UnderTest { unit, run: assignment.run.clone() });
        }
        if let Some(agent) = &at {
            let known = state.agents.get(agent).ok_or_else(|| Refusal::UnknownAgent(agent.clone()))?;
            if let Some(node) = known.serial.clone().filter(|node| *node != unit) {
                let scan = FloorEvent::UnitScanned { unit: unit.clone(), at, slot, lot };
                self.record(Actor::Person(by), scan);
                let scanned = unit.clone();
                self.hold(unit, Held::SerialMismatch { scanned, node });
                return Ok(());
            }
        }
        let before = known.and_then(|known| known.slot.clone()).filter(|_| slot.is_none());
        // A second scan of the same unit at the same place changes nothing, and is no event.
        let same = |known: &super::state::UnitState| {
            (at.is_none() || known.agent == at)
                && (slot.is_none() || known.slot == slot)
                && (lot.is_none() || known.lot == lot)
                && known.stage != Stage::Disposed(Disposition::Returned)
        };
        if !known.is_some_and(same) {
            self.record(Actor::Person(by), FloorEvent::UnitScanned { unit: unit.clone(), at, slot, lot });
            self.came_into(&unit, before.as_ref());
        }
        Ok(())
    }

    /// Lets an agent go on. A run that the two sides disagree about, or that two programs would make, is set aside, and its unit begins anew.
    fn agent_freed(&mut self, agent: AgentId, by: String) -> Result<(), Refusal> {
        let known = self.floor.state.agents.get(&agent).ok_or_else(|| Refusal::UnknownAgent(agent.clone()))?;
        let Some(held) = known.held.clone() else { return Err(Refusal::AgentNotHeld(agent)) };
        self.record(Actor::Person(by), FloorEvent::AgentFreed { agent });
        if let Held::ForkedJournal { run } | Held::Unverified { run } | Held::OtherProgram { run, .. } = held
            && let Some(unit) = self.floor.state.runs.get(&run).map(|run| run.unit.clone())
            && matches!(self.known(&unit)?, Stage::Assigned(assignment) if assignment.run == run)
        {
            let why = format!("run {run} was set aside");
            self.record(Actor::Floor, FloorEvent::UnitFreed { unit, why });
        }
        Ok(())
    }

    fn acted(&mut self, act: Act, by: String) -> Result<(), Refusal> {
        let event = match act {
            Act::Free { unit, why } => {
                if !matches!(self.known(&unit)?, Stage::Held(_)) {
                    return Err(Refusal::NotHeld(unit));
                }
                FloorEvent::UnitFreed { unit, why }
            }
            Act::Rework { unit, what, parts } => {
                if let Stage::Assigned(assignment) = self.known(&unit)? {
                    let run = assignment.run.clone();
                    return Err(Refusal::UnderTest { unit, run });
                }
                if parts.removed.is_some() && parts.removed == parts.fitted {
                    return Err(Refusal::SamePart(unit));
                }
                FloorEvent::Reworked { unit, what, parts }
            }
            Act::Decide { unit, disposition, why, second } => self.decided(unit, disposition, why, second, &by)?,
            Act::FreeAgent { agent } => return self.agent_freed(agent, by),
            Act::PowerOff { run, why } => {
                if !self.floor.state.grants.contains_key(&run) {
                    return Err(Refusal::NoGrant(run));
                }
                FloorEvent::PowerReturned { run, evidence: Evidence::Person { why } }
            }
            Act::Cut { place, limit, why } => {
                if self.floor.policy.site.by_id(&place).is_none() {
                    return Err(Refusal::UnknownPlace(place));
                }
                FloorEvent::LimitCut { place, limit, why }
            }
            Act::FreeScope { scope, why } => {
                if !self.floor.state.suspects.contains_key(&scope) {
                    return Err(Refusal::NotSuspect);
                }
                FloorEvent::ScopeFreed { scope, why }
            }
            Act::FreeStarts { why } => {
                if self.floor.state.stopped.is_none() {
                    return Err(Refusal::NotStopped);
                }
                FloorEvent::StartsFreed { why }
            }
            Act::AskRelease { unit, why } => {
                self.floor.release(&unit)?;
                FloorEvent::ReleaseAsked { unit, why }
            }
            Act::AgreeRelease { unit } => self.agreed(unit, &by)?,
            Act::Approve(candidate) => return self.approved(candidate, &by),
            Act::Revoke { agent, why } => self.revoked(agent, why)?,
            Act::Unlock { name } => {
                if !self.floor.state.locked.contains(&name) {
                    return Err(Refusal::NotLocked(name));
                }
                FloorEvent::PersonUnlocked { name }
            }
            Act::PowerCycle { unit, why } => self.cycle_ordered(unit, why)?,
            Act::ResumeRollout { why } => self.rollout_resumed(why)?,
        };
        self.record(Actor::Person(by), event);
        Ok(())
    }
}
