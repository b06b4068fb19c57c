//! The state of a floor: the fold of its events.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kiln_wire::{AgentId, Assignment, BootId, Digest, Generation, Held, LotId, PlaceId, RunId, Scope, Serial, SlotId};

use super::admission::{Claimed, Cuts, Grant};
use super::event::{Actor, Because, Disposition, Evidence, FloorEvent, Parts, RunFacts, Stamped};
use super::identity::{Identity, Listed};
use super::parts::Ordered;
use super::power_cycle::Cycle;
use super::release::Decision;
use super::rollout::Rollout;

/// Where a unit is on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// Scanned; no agent on it has called yet.
    Arrived,
    /// An agent is on it and nothing is asked of it now.
    Ready,
    /// A run is wanted of it, and may be on.
    Assigned(Assignment),
    Held(Held),
    Disposed(Disposition),
}

/// What came of one run of a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunOutcome {
    pub generation: Generation,
    pub profile: String,
    pub facts: RunFacts,
    /// Microseconds since 1970, UTC.
    pub at: u64,
    pub scopes: Vec<Scope>,
    pub golden: bool,
}

/// Work that a person recorded on a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// Microseconds since 1970, UTC.
    pub at: u64,
    pub by: String,
    pub what: String,
    pub parts: Parts,
}

/// A run as it was assigned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssignedRun {
    pub unit: Serial,
    pub generation: Generation,
    pub agent: AgentId,
    /// Where the unit stood then.
    pub slot: Option<SlotId>,
    pub profile: String,
    /// What the profile must be, where that was said.
    pub digest: Option<Digest>,
    /// The parts list that it must be held against.
    pub parts: Option<Digest>,
    /// Its node, the only one of its name then, said that it has ended.
    pub ended: bool,
}

/// A unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitState {
    pub stage: Stage,
    pub agent: Option<AgentId>,
    pub slot: Option<SlotId>,
    pub lot: Option<LotId>,
    pub generation: Generation,
    /// Since when it is where it is, in microseconds since 1970.
    pub since: u64,
    /// The profiles that it passed on its way, oldest first.
    pub passed: Vec<String>,
    /// The first of the runs by which it passed them that says no serial number.
    pub unnamed: Option<RunId>,
    /// Runs in a row at this stop that made no claim.
    pub without_claim: u32,
    /// Runs at this stop since a person last looked or work was recorded.
    pub tries: u32,
    /// A run proved it bad, and no rework was recorded since.
    pub failed: bool,
    /// Runs of earlier generations than this began before work was last recorded.
    pub reworked: Generation,
    /// Runs of earlier generations than this tested it with a part that was exchanged since.
    pub exchanged: Generation,
    /// How often it went to repair, by class of fault.
    pub repairs: BTreeMap<String, u32>,
    /// By what it was last disposed.
    pub because: Option<Because>,
    /// The number of that event.
    pub disposed_by: Option<u64>,
    /// The run that a manufacturing system last allowed to begin.
    pub cleared: Option<Generation>,
    /// Who wants it released while it is held, and why.
    pub release_asked: Option<(String, String)>,
    /// Oldest first.
    pub works: Vec<Work>,
    /// What people decided, oldest first.
    pub decisions: Vec<Decision>,
    pub runs: Vec<RunOutcome>,
}

/// An agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentState {
    pub boot: BootId,
    /// The number of the event by which it was met, or by which a person last said that there is one machine of this name.
    pub met: u64,
    /// Boots before this one, each with the number of the event by which the next one was met. One of them that had an answer given
    /// after that is another machine with the same identity.
    pub earlier_boots: BTreeMap<BootId, u64>,
    pub serial: Option<Serial>,
    pub slot: Option<SlotId>,
    pub version: Option<String>,
    /// The digest of its program; None of one that cannot be upgraded by the floor.
    pub program: Option<Digest>,
    pub held: Option<Held>,
    /// What a person has looked at, until the agent has heard of it.
    pub freed: Option<Held>,
}

/// Everything a floor knows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FloorState {
    pub agents: BTreeMap<AgentId, AgentState>,
    pub units: BTreeMap<Serial, UnitState>,
    /// Every run that was assigned.
    pub runs: BTreeMap<RunId, AssignedRun>,
    /// Runs that are left as they are because the two sides disagree about them.
    pub set_aside: BTreeSet<RunId>,
    /// Power that was granted and not given back.
    pub grants: BTreeMap<RunId, Grant>,
    pub cuts: Cuts,
    /// Scopes under suspicion, with the code that is seen there too often.
    pub suspects: BTreeMap<Scope, String>,
    /// When a person last put a scope right.
    pub cleared: BTreeMap<Scope, u64>,
    /// Nothing more is started since then.
    pub stopped: Option<u64>,
    /// When a person last let starts go on.
    pub starts_freed: u64,
    /// Which key a person approved for which agent.
    pub identities: BTreeMap<AgentId, Identity>,
    /// People who may not log in until another one says so.
    pub locked: BTreeSet<String>,
    /// Who may log in, as last found, by name.
    pub people: BTreeMap<String, Listed>,
    /// When a golden unit last passed in a rack, unless one did not pass since.
    pub golden_passes: BTreeMap<PlaceId, u64>,
    /// The program that agents should be, and how far that has come.
    pub rollout: Option<Rollout>,
    /// Power cycles of nodes that hang, by slot.
    pub cycles: BTreeMap<SlotId, Cycle>,
    /// Which parts list each unit is held against now, also of units that nobody has scanned yet.
    pub ordered: BTreeMap<Serial, Ordered>,
    /// Every parts list that the floor ever had, by its digest.
    pub lists: BTreeMap<Digest, Arc<str>>,
    /// Units by the agent that is on them.
    on: BTreeMap<AgentId, BTreeSet<Serial>>,
    /// Runs with a grant by the agent that makes them.
    drawing: BTreeMap<AgentId, BTreeSet<RunId>>,
}

impl FloorState {
    /// The state after a list of events.
    pub fn of<'a>(events: impl IntoIterator<Item = &'a Stamped>) -> Self {
        let mut state = Self::default();
        for event in events {
            state.apply(event);
        }
        state
    }

    /// The unit that an agent is on.
    pub fn unit_of(&self, agent: &AgentId) -> Option<(&Serial, &UnitState)> {
        let on_it = self.on.get(agent)?.iter().filter_map(|serial| self.units.get_key_value(serial));
        on_it.max_by_key(|(_, unit)| matches!(unit.stage, Stage::Assigned(_)))
    }

    /// The unit in a slot: one under test or on hold before one that waits, and that before one that was done with there.
    pub fn unit_in(&self, slot: &SlotId) -> Option<(&Serial, &UnitState)> {
        self.all_in(slot).min_by_key(|(_, unit)| match unit.stage {
            Stage::Assigned(_) => 0,
            Stage::Held(_) => 1,
            Stage::Ready | Stage::Arrived => 2,
            Stage::Disposed(_) => 3,
        })
    }

    /// Every unit that is said to be in a slot.
    pub(super) fn all_in(&self, slot: &SlotId) -> impl Iterator<Item = (&Serial, &UnitState)> {
        self.units.iter().filter(move |(_, unit)| unit.slot.as_ref() == Some(slot))
    }

    /// Grants of runs that an agent makes.
    pub fn granted_to(&self, agent: &AgentId) -> impl Iterator<Item = (&RunId, &Grant)> {
        let runs = self.drawing.get(agent).into_iter().flatten();
        runs.filter_map(|run| self.grants.get_key_value(run))
    }

    fn take_back(&mut self, run: &RunId) -> Option<Grant> {
        let grant = self.grants.remove(run)?;
        if let Some(runs) = self.drawing.get_mut(&grant.agent) {
            runs.remove(run);
        }
        Some(grant)
    }

    fn returned(&mut self, run: &RunId, evidence: &Evidence) {
        self.take_back(run);
        if let Some(run) = self.runs.get_mut(run).filter(|_| *evidence == Evidence::NodeSays) {
            run.ended = true;
        }
    }

    pub fn apply(&mut self, stamped: &Stamped) {
        let at = stamped.at;
        self.decided(stamped);
        self.of_rollout(stamped);
        self.of_cycles(stamped);
        match &stamped.event {
            FloorEvent::AgentMet { .. }
            | FloorEvent::AgentHeld { .. }
            | FloorEvent::AgentFreed { .. }
            | FloorEvent::AgentWentOn { .. } => self.of_agent(stamped),
            FloorEvent::UnitScanned { unit, at: agent, slot, lot } => {
                self.scanned(unit, agent.as_ref(), slot.as_ref(), lot.as_ref(), at);
            }
            FloorEvent::UnitHeld { unit, why } => self.stage(unit, Stage::Held(why.clone()), at),
            FloorEvent::UnitFreed { unit, .. } => self.freed(unit, at),
            FloorEvent::Assigned { agent, assignment } => self.assigned(agent, assignment, at),
            FloorEvent::RunArrived { unit, generation, facts, scopes, golden } => {
                let profile = self.runs.get(&facts.run).map(|run| run.profile.clone()).unwrap_or_default();
                let (facts, scopes, golden) = (facts.clone(), scopes.clone(), *golden);
                self.arrived(unit, RunOutcome { generation: *generation, profile, facts, at, scopes, golden });
            }
            FloorEvent::Disposed { unit, disposition, because, class } => {
                self.stage(unit, Stage::Disposed(*disposition), at);
                if let Some(unit) = self.units.get_mut(unit) {
                    (unit.because, unit.disposed_by) = (Some(because.clone()), Some(stamped.seq));
                    if let Some(class) = class {
                        *unit.repairs.entry(class.clone()).or_default() += 1;
                    }
                }
            }
            FloorEvent::Reworked { unit, what, parts } => {
                self.freed(unit, at);
                if let Some(unit) = self.units.get_mut(unit) {
                    let by = if let Actor::Person(by) = &stamped.actor { by.clone() } else { String::new() };
                    unit.works.push(Work { at, by, what: what.clone(), parts: parts.clone() });
                    (unit.failed, unit.reworked) = (false, unit.generation);
                    if parts.removed.is_some() && parts.fitted.is_some() {
                        unit.exchanged = unit.generation;
                    }
                }
            }
            FloorEvent::PowerGranted { run, agent, unit, slot, watts, instead_of } => {
                let is_one_of_two = self.agents.get(agent).is_some_and(|agent| agent.held == Some(Held::ClonedAgent));
                let earlier = instead_of.as_ref().and_then(|earlier| self.take_back(earlier));
                let claimed = match earlier {
                    _ if is_one_of_two => Claimed::ByTwo,
                    Some(earlier) => earlier.claimed,
                    None => Claimed::ByOne,
                };
                self.drawing.entry(agent.clone()).or_default().insert(run.clone());
                let (agent, unit, slot) = (agent.clone(), unit.clone(), slot.clone());
                self.grants.insert(run.clone(), Grant { agent, unit, slot, watts: *watts, at, began: None, claimed });
            }
            FloorEvent::RunBegan { run } => {
                if let Some(grant) = self.grants.get_mut(run) {
                    grant.began.get_or_insert(at);
                }
            }
            FloorEvent::PowerReturned { run, evidence } => self.returned(run, evidence),
            FloorEvent::LimitCut { place, limit: Some(limit), .. } => drop(self.cuts.insert(place.clone(), *limit)),
            FloorEvent::LimitCut { place, limit: None, .. } => drop(self.cuts.remove(place)),
            FloorEvent::ScopeSuspected { scope, code, .. } => drop(self.suspects.insert(scope.clone(), code.clone())),
            FloorEvent::ScopeFreed { scope, .. } => {
                self.suspects.remove(scope);
                self.cleared.insert(scope.clone(), at);
            }
            FloorEvent::StartsStopped { .. } => self.stopped = Some(at),
            FloorEvent::StartsFreed { .. } => (self.stopped, self.starts_freed) = (None, at),
            FloorEvent::RouteChecked { unit, generation, allowed, .. } => {
                self.route_checked(unit, *generation, *allowed);
            }
            FloorEvent::HoldWaived { unit, .. } => self.waived(unit, at),
            FloorEvent::PartsListed { unit, order, parts, text } => {
                self.ordered_with(unit, parts, order.as_ref(), text, at);
            }
            FloorEvent::ReleaseAsked { unit, why } => {
                if let (Some(unit), Actor::Person(by)) = (self.units.get_mut(unit), &stamped.actor) {
                    unit.release_asked = Some((by.clone(), why.clone()));
                }
            }
            FloorEvent::AgentApproved { .. }
            | FloorEvent::AgentCertified { .. }
            | FloorEvent::AgentRevoked { .. }
            | FloorEvent::PersonLocked { .. }
            | FloorEvent::PersonUnlocked { .. }
            | FloorEvent::PersonListed(_)
            | FloorEvent::PersonUnlisted { .. } => self.of_identity(&stamped.event, at),
            FloorEvent::RolloutBegan { .. }
            | FloorEvent::RolloutWithdrawn
            | FloorEvent::WaveBegan { .. }
            | FloorEvent::UpgradeOffered { .. }
            | FloorEvent::ProgramProven { .. }
            | FloorEvent::RolloutStopped { .. }
            | FloorEvent::RolloutResumed { .. }
            | FloorEvent::PowerCycleOrdered { .. }
            | FloorEvent::PowerCycleEnded { .. }
            | FloorEvent::PowerCycleDropped { .. }
            | FloorEvent::PowerCycleGivenUp { .. } => {}
        }
    }

    fn of_agent(&mut self, stamped: &Stamped) {
        match &stamped.event {
            FloorEvent::AgentMet { agent, boot, serial, slot, version, program } => {
                self.met(agent, boot, serial.as_ref(), slot.as_ref(), (stamped.seq, stamped.at));
                if let Some(agent) = self.agents.get_mut(agent) {
                    (agent.version, agent.program) = (version.clone(), program.clone());
                }
            }
            FloorEvent::AgentHeld { agent, why } => {
                if *why == Held::ClonedAgent {
                    let of_it = self.grants.values_mut().filter(|grant| grant.agent == *agent);
                    of_it.for_each(|grant| grant.claimed = Claimed::ByTwo);
                }
                if let Some(agent) = self.agents.get_mut(agent) {
                    (agent.held, agent.freed) = (Some(why.clone()), None);
                }
            }
            FloorEvent::AgentFreed { agent } => {
                if let Some(agent) = self.agents.get_mut(agent) {
                    agent.freed = agent.held.take();
                    if let Some(
                        Held::ForkedJournal { run } | Held::Unverified { run } | Held::OtherProgram { run, .. },
                    ) = &agent.freed
                    {
                        self.set_aside.insert(run.clone());
                    }
                    if agent.freed == Some(Held::ClonedAgent) {
                        // Which of the two stays is for the person; whoever calls from now on is the agent.
                        agent.earlier_boots.clear();
                        agent.met = stamped.seq;
                    }
                }
            }
            FloorEvent::AgentWentOn { agent } => {
                if let Some(agent) = self.agents.get_mut(agent) {
                    agent.freed = None;
                }
            }
            _ => {}
        }
    }

    fn met(
        &mut self,
        agent: &AgentId,
        boot: &BootId,
        serial: Option<&Serial>,
        slot: Option<&SlotId>,
        (seq, at): (u64, u64),
    ) {
        let fresh = || AgentState {
            boot: boot.clone(),
            met: seq,
            earlier_boots: BTreeMap::new(),
            serial: None,
            slot: None,
            version: None,
            program: None,
            held: None,
            freed: None,
        };
        let known = self.agents.entry(agent.clone()).or_insert_with(fresh);
        if known.boot != *boot {
            let earlier = std::mem::replace(&mut known.boot, boot.clone());
            known.earlier_boots.insert(earlier, seq);
            known.met = seq;
        }
        (known.serial, known.slot) = (serial.cloned(), slot.cloned());
        // A unit that was scanned before its node first called.
        let Some(serial) = serial.filter(|serial| self.units.contains_key(serial)) else { return };
        self.leave_others(agent, serial);
        self.put(serial, agent.clone());
        if let Some(unit) = self.units.get_mut(serial) {
            unit.slot = unit.slot.take().or_else(|| slot.cloned());
            if unit.stage == Stage::Arrived {
                (unit.stage, unit.since) = (Stage::Ready, at);
            }
        }
    }

    /// The agent that makes the run which is wanted of a unit.
    pub fn maker(&self, unit: &UnitState) -> Option<&AgentId> {
        let Stage::Assigned(assignment) = &unit.stage else { return None };
        self.runs.get(&assignment.run).map(|run| &run.agent)
    }

    fn put(&mut self, serial: &Serial, agent: AgentId) {
        // A unit stays with the agent that makes its run.
        let maker = self.units.get(serial).and_then(|unit| self.maker(unit));
        if maker.is_some_and(|maker| *maker != agent) {
            return;
        }
        let Some(unit) = self.units.get_mut(serial) else { return };
        if let Some(before) = unit.agent.replace(agent.clone())
            && let Some(units) = self.on.get_mut(&before)
        {
            units.remove(serial);
        }
        self.on.entry(agent).or_default().insert(serial.clone());
    }

    /// An agent that is now on one unit is no longer on those it was done with.
    fn leave_others(&mut self, agent: &AgentId, serial: &Serial) {
        let Some(others) = self.on.get_mut(agent) else { return };
        let units = &mut self.units;
        others.retain(|other| {
            let Some(unit) = units.get_mut(other) else { return false };
            let bound = matches!(unit.stage, Stage::Assigned(_) | Stage::Held(_));
            if other != serial && !bound {
                (unit.agent, unit.slot) = (None, None);
            }
            other == serial || bound
        });
    }

    fn scanned(&mut self, serial: &Serial, at: Option<&AgentId>, slot: Option<&SlotId>, lot: Option<&LotId>, now: u64) {
        let by_serial = || self.agents.iter().find(|(_, agent)| agent.serial.as_ref() == Some(serial));
        let agent = at.cloned().or_else(|| by_serial().map(|(id, _)| id.clone()));
        if let Some(agent) = &agent {
            self.leave_others(agent, serial);
        }
        let stage = if agent.is_some() { Stage::Ready } else { Stage::Arrived };
        let said = agent.as_ref().and_then(|agent| self.agents.get(agent)).and_then(|agent| agent.slot.clone());
        let unit = self.units.entry(serial.clone()).or_insert_with(|| UnitState::fresh(stage.clone(), now));
        unit.slot = slot.cloned().or(unit.slot.take()).or(said);
        unit.lot = lot.cloned().or(unit.lot.take());
        if matches!(unit.stage, Stage::Arrived | Stage::Disposed(Disposition::Returned)) {
            (unit.stage, unit.since) = (stage, now);
            (unit.passed, unit.unnamed) = (Vec::new(), None);
        }
        if let Some(agent) = agent {
            self.put(serial, agent);
        }
    }

    /// A unit begins its route anew: what was measured while something was wrong with it releases nothing.
    fn freed(&mut self, serial: &Serial, at: u64) {
        if let Some(unit) = self.units.get_mut(serial) {
            if matches!(unit.stage, Stage::Held(Held::SecondAgent { .. })) {
                // Which of the two stays is for the person; whoever calls next is on the unit.
                let before = unit.agent.take();
                if let Some(units) = before.and_then(|before| self.on.get_mut(&before)) {
                    units.remove(serial);
                }
            }
            unit.stage = if unit.agent.is_some() { Stage::Ready } else { Stage::Arrived };
            (unit.since, unit.release_asked) = (at, None);
            // A run that was wanted before is none of those that count from now on.
            unit.generation = unit.generation.next();
            (unit.without_claim, unit.passed, unit.tries, unit.unnamed) = (0, Vec::new(), 0, None);
        }
    }

    fn stage(&mut self, serial: &Serial, stage: Stage, at: u64) {
        if let Some(unit) = self.units.get_mut(serial) {
            (unit.stage, unit.since, unit.release_asked) = (stage, at, None);
        }
    }

    fn assigned(&mut self, agent: &AgentId, assignment: &Assignment, at: u64) {
        let Assignment { unit, generation, profile, digest, parts, .. } = assignment.clone();
        let slot = self.units.get(&unit).and_then(|unit| unit.slot.clone());
        let run = AssignedRun { unit, generation, agent: agent.clone(), slot, profile, digest, parts, ended: false };
        self.runs.insert(assignment.run.clone(), run);
        self.put(&assignment.unit, agent.clone());
        if let Some(unit) = self.units.get_mut(&assignment.unit) {
            unit.generation = assignment.generation;
            (unit.stage, unit.since) = (Stage::Assigned(assignment.clone()), at);
            unit.tries += 1;
        }
    }
}
