//! The machine: what the floor decides when an agent calls, a person scans, or a run has arrived.

use kiln_event::VerdictWord;
use kiln_wire::{AgentId, Assignment, Doing, Held, RunId, Serial, Sync, SyncReply, VersionError, WIRE};

use super::event::{Actor, Disposition, FloorEvent, RunFacts, Stamped};
use super::policy::Policy;
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
        by: String,
    },
    /// The whole of a run is here, and this is what its journal says.
    Arrived(RunFacts),
    /// The whole of a run is here, and it does not verify.
    Unverified(RunId),
    /// A person lets a held unit go on.
    Freed {
        unit: Serial,
        by: String,
    },
    Reworked {
        unit: Serial,
        what: String,
        by: String,
    },
    AgentFreed {
        agent: AgentId,
        by: String,
    },
}

/// What comes of an input: events to keep, and the answer to who asked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    pub events: Vec<Stamped>,
    /// To an agent's call. What the floor holds of its runs is filled in by who keeps the files.
    pub reply: Option<SyncReply>,
}

/// Why an input is refused. Nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error(transparent)]
    Version(#[from] VersionError),
    #[error("no unit {0} was scanned here; scan it first")]
    UnknownUnit(Serial),
    #[error("no agent {0} has called here")]
    UnknownAgent(AgentId),
    #[error("run {0} was never assigned here")]
    UnknownRun(RunId),
    #[error("unit {0} is not held; there is nothing to let go on")]
    NotHeld(Serial),
    #[error("unit {unit} is being tested by run {run}; wait for its end")]
    UnderTest { unit: Serial, run: RunId },
}

/// A floor.
#[derive(Debug)]
pub struct Floor {
    policy: Policy,
    state: FloorState,
    next_seq: u64,
}

/// One input being handled: what it recorded so far.
struct Handling<'a> {
    floor: &'a mut Floor,
    tick: &'a Tick,
    events: Vec<Stamped>,
}

impl Floor {
    /// A floor as its events left it.
    pub fn of<'a>(policy: Policy, events: impl IntoIterator<Item = &'a Stamped>) -> Self {
        let mut floor = Self { policy, state: FloorState::default(), next_seq: 0 };
        for stamped in events {
            floor.state.apply(&stamped.event);
            floor.next_seq = stamped.seq + 1;
        }
        floor
    }

    pub const fn state(&self) -> &FloorState {
        &self.state
    }

    /// Decides about one input. The events must be kept before the reply is given.
    pub fn handle(&mut self, tick: &Tick, input: Input) -> Result<Answer, Refusal> {
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
    fn record(&mut self, actor: Actor, event: FloorEvent) {
        self.floor.state.apply(&event);
        self.events.push(Stamped { seq: self.floor.next_seq, at: self.tick.now, actor, event });
        self.floor.next_seq += 1;
    }

    fn synced(&mut self, sync: &Sync) -> Result<SyncReply, Refusal> {
        sync.wire.check()?;
        self.meet(sync);
        let silent = self.floor.state.agents.get(&sync.agent).is_none_or(|agent| agent.held.is_some());
        let desired = if silent { None } else { self.desired(sync) };
        Ok(SyncReply { wire: WIRE, desired, received: Vec::new(), poll_after: self.floor.policy.poll_every })
    }

    /// Notes who calls, and holds an agent of whom there are two.
    fn meet(&mut self, sync: &Sync) {
        let actor = || Actor::Agent(sync.agent.clone());
        let known = self.floor.state.agents.get(&sync.agent);
        let cloned = known.is_some_and(|agent| agent.earlier_boots.contains(&sync.boot));
        let (held, same) = known.map_or((None, false), |agent| {
            (agent.held.clone(), agent.boot == sync.boot && agent.serial == sync.serial)
        });
        if cloned {
            if held.is_none() {
                self.record(Actor::Floor, FloorEvent::AgentHeld { agent: sync.agent.clone(), why: Held::ClonedAgent });
            }
            return;
        }
        if !same {
            let (agent, boot, serial) = (sync.agent.clone(), sync.boot.clone(), sync.serial.clone());
            self.record(actor(), FloorEvent::AgentMet { agent, boot, serial });
        }
        // What holds an agent is told once; only a person frees it.
        if let Doing::Held(why) = &sync.doing
            && held.is_none()
        {
            self.record(actor(), FloorEvent::AgentHeld { agent: sync.agent.clone(), why: why.clone() });
        }
    }

    /// What is wanted of the unit that an agent is on, assigned now if nothing was.
    fn desired(&mut self, sync: &Sync) -> Option<Assignment> {
        let (serial, unit) = self.floor.state.unit_of(&sync.agent)?;
        if let Some(node) = &sync.serial
            && node != serial
            && !matches!(unit.stage, Stage::Held(_))
        {
            let why = Held::SerialMismatch { scanned: serial.clone(), node: node.clone() };
            let unit = serial.clone();
            self.record(Actor::Floor, FloorEvent::UnitHeld { unit, why });
            return None;
        }
        match &unit.stage {
            Stage::Assigned(assignment) => Some(assignment.clone()),
            Stage::Ready if matches!(sync.doing, Doing::Idle) => {
                let stop = self.floor.policy.route.get(unit.passed)?.clone();
                let assignment = Assignment {
                    unit: serial.clone(),
                    generation: unit.generation.next(),
                    run: self.tick.fresh_run.clone(),
                    profile: stop.profile,
                    digest: stop.digest,
                    variables: stop.variables,
                };
                let event = FloorEvent::Assigned { agent: sync.agent.clone(), assignment: assignment.clone() };
                self.record(Actor::Floor, event);
                Some(assignment)
            }
            Stage::Ready | Stage::Arrived | Stage::Held(_) | Stage::Disposed(_) => None,
        }
    }

    fn told(&mut self, input: Input) -> Result<(), Refusal> {
        match input {
            Input::Synced(_) => {}
            Input::Scanned { unit, at, by } => self.scanned(unit, at, by)?,
            Input::Arrived(facts) => self.arrived(facts)?,
            Input::Unverified(run) => {
                let unit = self.unit_of_run(&run)?;
                // A run that no longer counts holds nothing, and what is held already is not held twice.
                let waits = |stage: &Stage| matches!(stage, Stage::Assigned(assignment) if assignment.run == run);
                if waits(self.known(&unit)?) {
                    self.record(Actor::Floor, FloorEvent::UnitHeld { unit, why: Held::Unverified { run } });
                }
            }
            Input::Freed { unit, by } => {
                let known = self.known(&unit)?;
                if !matches!(known, Stage::Held(_)) {
                    return Err(Refusal::NotHeld(unit));
                }
                self.record(Actor::Person(by), FloorEvent::UnitFreed { unit });
            }
            Input::Reworked { unit, what, by } => {
                if let Stage::Assigned(assignment) = self.known(&unit)? {
                    let run = assignment.run.clone();
                    return Err(Refusal::UnderTest { unit, run });
                }
                self.record(Actor::Person(by), FloorEvent::Reworked { unit, what });
            }
            Input::AgentFreed { agent, by } => {
                if !self.floor.state.agents.contains_key(&agent) {
                    return Err(Refusal::UnknownAgent(agent));
                }
                self.record(Actor::Person(by), FloorEvent::AgentFreed { agent });
            }
        }
        Ok(())
    }

    fn known(&self, unit: &Serial) -> Result<&Stage, Refusal> {
        let known = self.floor.state.units.get(unit).map(|unit| &unit.stage);
        known.ok_or_else(|| Refusal::UnknownUnit(unit.clone()))
    }

    fn unit_of_run(&self, run: &RunId) -> Result<Serial, Refusal> {
        let known = self.floor.state.runs.get(run).map(|(unit, ..)| unit.clone());
        known.ok_or_else(|| Refusal::UnknownRun(run.clone()))
    }

    fn scanned(&mut self, unit: Serial, at: Option<AgentId>, by: String) -> Result<(), Refusal> {
        let state = &self.floor.state;
        if let Some(agent) = &at {
            let known = state.agents.get(agent).ok_or_else(|| Refusal::UnknownAgent(agent.clone()))?;
            if let Some(node) = known.serial.clone().filter(|node| *node != unit) {
                self.record(Actor::Person(by), FloorEvent::UnitScanned { unit: unit.clone(), at });
                let why = Held::SerialMismatch { scanned: unit.clone(), node };
                self.record(Actor::Floor, FloorEvent::UnitHeld { unit, why });
                return Ok(());
            }
        }
        // A second scan of the same unit at the same place changes nothing, and is no event.
        let again = state.units.get(&unit).is_some_and(|known| at.is_none() || known.agent == at);
        if !again {
            self.record(Actor::Person(by), FloorEvent::UnitScanned { unit, at });
        }
        Ok(())
    }

    fn arrived(&mut self, mut facts: RunFacts) -> Result<(), Refusal> {
        let Some((unit, generation, _)) = self.floor.state.runs.get(&facts.run).cloned() else {
            return Err(Refusal::UnknownRun(facts.run));
        };
        let known = self.floor.state.units.get(&unit);
        // The same run, told twice, is one result.
        if known.is_some_and(|known| known.runs.iter().any(|outcome| outcome.facts.run == facts.run)) {
            return Ok(());
        }
        let current = known.is_some_and(|known| known.generation == generation);
        let held = known.is_some_and(|known| matches!(known.stage, Stage::Held(_)));
        let failed_before = known.is_some_and(|known| known.failed);
        let wanted = known.and_then(|known| match &known.stage {
            Stage::Assigned(assignment) => assignment.digest.clone(),
            _ => None,
        });
        let node = facts.serial.clone().filter(|serial| *serial != unit);
        // A run of another profile than was assigned is not the test that was wanted.
        facts.partial |= wanted.is_some_and(|digest| digest.as_str() != facts.profile_digest);
        let (run, verdict, partial) = (facts.run.clone(), facts.verdict, facts.partial);
        self.record(Actor::Floor, FloorEvent::RunArrived { unit: unit.clone(), generation, facts });
        if !current || held {
            return Ok(());
        }
        if let Some(node) = node {
            let why = Held::SerialMismatch { scanned: unit.clone(), node };
            self.record(Actor::Floor, FloorEvent::UnitHeld { unit, why });
            return Ok(());
        }
        match self.disposition(&unit, verdict, partial, failed_before, run) {
            Some(Ok(disposition)) => self.record(Actor::Floor, FloorEvent::Disposed { unit, disposition }),
            Some(Err(why)) => self.record(Actor::Floor, FloorEvent::UnitHeld { unit, why }),
            None => {}
        }
        Ok(())
    }

    /// What follows from a verdict; None if the unit simply goes on, to its next stop or to the same again.
    fn disposition(
        &self,
        unit: &Serial,
        verdict: VerdictWord,
        partial: bool,
        failed_before: bool,
        run: RunId,
    ) -> Option<Result<Disposition, Held>> {
        let unit = self.floor.state.units.get(unit)?;
        match verdict {
            VerdictWord::Fail => Some(Ok(Disposition::Repair)),
            VerdictWord::Pass if partial => Some(Err(Held::Unverified { run })),
            VerdictWord::Pass if failed_before => Some(Err(Held::PassAfterFail)),
            VerdictWord::Pass if unit.passed >= self.floor.policy.route.len() => Some(Ok(Disposition::Released)),
            VerdictWord::Pass => None,
            VerdictWord::Error | VerdictWord::Inconclusive | VerdictWord::Aborted | VerdictWord::Nothing => {
                (unit.without_claim > self.floor.policy.repeats_without_claim).then_some(Err(Held::NoClaim))
            }
        }
    }
}
