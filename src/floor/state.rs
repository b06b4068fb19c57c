//! The state of a floor: the fold of its events.

use std::collections::BTreeMap;

use kiln_event::VerdictWord;
use kiln_wire::{AgentId, Assignment, BootId, Generation, Held, RunId, Serial};

use super::event::{Disposition, FloorEvent, RunFacts};

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
}

/// A unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitState {
    pub stage: Stage,
    pub agent: Option<AgentId>,
    pub generation: Generation,
    /// How many stops of the route are passed.
    pub passed: usize,
    /// Runs in a row at this stop that made no claim.
    pub without_claim: u32,
    /// A run proved it bad, and no rework was recorded since.
    pub failed: bool,
    pub runs: Vec<RunOutcome>,
}

/// An agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentState {
    pub boot: BootId,
    /// Boots before this one. One of them that calls again is another machine with the same identity.
    pub earlier_boots: Vec<BootId>,
    pub serial: Option<Serial>,
    pub held: Option<Held>,
}

/// Everything a floor knows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FloorState {
    pub agents: BTreeMap<AgentId, AgentState>,
    pub units: BTreeMap<Serial, UnitState>,
    /// Every run that was assigned, with its unit and generation.
    pub runs: BTreeMap<RunId, (Serial, Generation, String)>,
}

impl FloorState {
    /// The state after a list of events.
    pub fn of<'a>(events: impl IntoIterator<Item = &'a FloorEvent>) -> Self {
        let mut state = Self::default();
        for event in events {
            state.apply(event);
        }
        state
    }

    /// The unit that an agent is on.
    pub fn unit_of(&self, agent: &AgentId) -> Option<(&Serial, &UnitState)> {
        let on_it = self.units.iter().filter(|(_, unit)| unit.agent.as_ref() == Some(agent));
        on_it.max_by_key(|(_, unit)| matches!(unit.stage, Stage::Assigned(_)))
    }

    pub fn apply(&mut self, event: &FloorEvent) {
        match event {
            FloorEvent::AgentMet { agent, boot, serial } => self.met(agent, boot, serial.as_ref()),
            FloorEvent::AgentHeld { agent, why } => self.hold_agent(agent, Some(why.clone())),
            FloorEvent::AgentFreed { agent } => self.hold_agent(agent, None),
            FloorEvent::UnitScanned { unit, at } => self.scanned(unit, at.as_ref()),
            FloorEvent::UnitHeld { unit, why } => self.stage(unit, Stage::Held(why.clone())),
            FloorEvent::UnitFreed { unit } => self.freed(unit),
            FloorEvent::Assigned { agent, assignment } => self.assigned(agent, assignment),
            FloorEvent::RunArrived { unit, generation, facts } => self.arrived(unit, *generation, facts),
            FloorEvent::Disposed { unit, disposition } => self.stage(unit, Stage::Disposed(*disposition)),
            FloorEvent::Reworked { unit, .. } => {
                self.freed(unit);
                if let Some(unit) = self.units.get_mut(unit) {
                    unit.failed = false;
                }
            }
        }
    }

    fn met(&mut self, agent: &AgentId, boot: &BootId, serial: Option<&Serial>) {
        let fresh =
            || AgentState { boot: boot.clone(), earlier_boots: Vec::new(), serial: serial.cloned(), held: None };
        let known = self.agents.entry(agent.clone()).or_insert_with(fresh);
        if known.boot != *boot {
            let earlier = std::mem::replace(&mut known.boot, boot.clone());
            known.earlier_boots.push(earlier);
        }
        known.serial = serial.cloned();
        // A unit that was scanned before its node first called.
        if let Some(serial) = serial.filter(|serial| self.units.contains_key(serial)) {
            self.leave_others(agent, serial);
        }
        if let Some(unit) = serial.and_then(|serial| self.units.get_mut(serial)) {
            unit.agent = Some(agent.clone());
            if unit.stage == Stage::Arrived {
                unit.stage = Stage::Ready;
            }
        }
    }

    /// An agent that is now on one unit is no longer on those it was done with.
    fn leave_others(&mut self, agent: &AgentId, serial: &Serial) {
        for (other, unit) in &mut self.units {
            let bound = matches!(unit.stage, Stage::Assigned(_) | Stage::Held(_));
            if other != serial && !bound && unit.agent.as_ref() == Some(agent) {
                unit.agent = None;
            }
        }
    }

    fn hold_agent(&mut self, agent: &AgentId, why: Option<Held>) {
        if let Some(agent) = self.agents.get_mut(agent) {
            agent.held = why;
        }
    }

    fn scanned(&mut self, serial: &Serial, at: Option<&AgentId>) {
        let by_serial = || self.agents.iter().find(|(_, agent)| agent.serial.as_ref() == Some(serial));
        let agent = at.cloned().or_else(|| by_serial().map(|(id, _)| id.clone()));
        if let Some(agent) = &agent {
            self.leave_others(agent, serial);
        }
        let stage = if agent.is_some() { Stage::Ready } else { Stage::Arrived };
        let fresh = UnitState {
            stage: stage.clone(),
            agent: None,
            generation: Generation::default(),
            passed: 0,
            without_claim: 0,
            failed: false,
            runs: Vec::new(),
        };
        let unit = self.units.entry(serial.clone()).or_insert(fresh);
        unit.agent = agent.or(unit.agent.take());
        if unit.stage == Stage::Arrived {
            unit.stage = stage;
        }
    }

    /// A unit begins its route anew: what was measured while something was wrong with it releases nothing.
    fn freed(&mut self, serial: &Serial) {
        if let Some(unit) = self.units.get_mut(serial) {
            unit.stage = if unit.agent.is_some() { Stage::Ready } else { Stage::Arrived };
            (unit.without_claim, unit.passed) = (0, 0);
        }
    }

    fn stage(&mut self, serial: &Serial, stage: Stage) {
        if let Some(unit) = self.units.get_mut(serial) {
            unit.stage = stage;
        }
    }

    fn assigned(&mut self, agent: &AgentId, assignment: &Assignment) {
        let run = (assignment.unit.clone(), assignment.generation, assignment.profile.clone());
        self.runs.insert(assignment.run.clone(), run);
        if let Some(unit) = self.units.get_mut(&assignment.unit) {
            unit.agent = Some(agent.clone());
            unit.generation = assignment.generation;
            unit.stage = Stage::Assigned(assignment.clone());
        }
    }

    fn arrived(&mut self, serial: &Serial, generation: Generation, facts: &RunFacts) {
        let profile = self.runs.get(&facts.run).map(|(.., profile)| profile.clone()).unwrap_or_default();
        let Some(unit) = self.units.get_mut(serial) else { return };
        unit.runs.push(RunOutcome { generation, profile, facts: facts.clone() });
        if generation != unit.generation {
            return;
        }
        // What holds a unit is not undone by a result that comes in meanwhile.
        if !matches!(unit.stage, Stage::Held(_)) {
            unit.stage = Stage::Ready;
        }
        match facts.verdict {
            VerdictWord::Pass if !facts.partial => (unit.passed, unit.without_claim) = (unit.passed + 1, 0),
            VerdictWord::Fail => unit.failed = true,
            _ => unit.without_claim += 1,
        }
    }
}
