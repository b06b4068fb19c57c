//! What is wanted of the unit that an agent is on: an assignment that stands, a new one, or nothing yet.

use std::collections::BTreeMap;

use kiln_wire::{AgentId, Assignment, Doing, Generation, Held, PlaceId, RunId, Scope, Serial, SlotId, Sync};

use super::admission::{self, Ask, Claimed, Grant, Lack, Ledger};
use super::event::{Actor, Evidence, FloorEvent};
use super::machine::Handling;
use super::parts::PartsRule;
use super::policy::Stop;
use super::state::{Stage, UnitState};

/// Why a unit that could begin does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wait {
    /// Too many units did not pass lately; a person must look.
    Stopped,
    /// What it would be tested with is under suspicion.
    Suspect(Scope),
    /// The rack needs a pass of a golden unit first.
    Golden(PlaceId),
    /// The manufacturing system has not answered whether it may.
    RouteCheck,
    /// Its agent becomes another program first.
    Upgrade,
    /// The floor has no parts list for it, and its rules ask for one.
    PartsList,
    /// Its agent's program is of before parts lists, and would make the run without the unit's.
    OldAgent {
        version: Option<String>,
    },
    Lack(Lack),
}

impl Handling<'_> {
    /// What an agent's call proves of power: which runs have begun, and which have ended. A call of one of two machines that
    /// say they are the same proves neither, since the other may be burning on.
    pub(super) fn hear_of_power(&mut self, sync: &Sync) {
        if self.floor.policy.site.is_empty() {
            return;
        }
        let actor = || Actor::Agent(sync.agent.clone());
        let grants = &self.floor.state.grants;
        let running = match &sync.doing {
            Doing::Running { run } => Some(run),
            Doing::Idle | Doing::Held(_) => None,
        };
        let mut heard = Vec::new();
        let known = self.floor.state.agents.get(&sync.agent);
        let is_one_of_two = known
            .is_some_and(|agent| agent.held == Some(Held::ClonedAgent) || agent.earlier_boots.contains_key(&sync.boot));
        for spooled in sync.spool.iter().filter(|_| !is_one_of_two) {
            let Some(grant) = grants.get(&spooled.run).filter(|grant| grant.agent == sync.agent) else { continue };
            let run = || spooled.run.clone();
            if grant.began.is_none() && (spooled.journal.offset > 0 || spooled.ended || running == Some(&spooled.run)) {
                heard.push(FloorEvent::RunBegan { run: run() });
            }
            if spooled.ended && grant.claimed == Claimed::ByOne {
                heard.push(FloorEvent::PowerReturned { run: run(), evidence: Evidence::NodeSays });
            }
        }
        for event in heard {
            self.record(actor(), event);
        }
        if let Some(run) = running {
            self.found_running(sync, run, is_one_of_two);
        }
    }

    /// A run that its node cannot make holds its unit: the same run would be refused again. Its process has ended by then, which
    /// may have been taken for a run that had begun.
    pub(super) fn hear_of_refusal(&mut self, sync: &Sync) {
        let Some(refused) = &sync.refused else { return };
        let (run, state) = (&refused.run, &self.floor.state);
        let Some(assigned) = state.runs.get(run).filter(|assigned| assigned.agent == sync.agent) else { return };
        let waits = |unit: &UnitState| matches!(&unit.stage, Stage::Assigned(assignment) if assignment.run == *run);
        let held = state.agents.get(&sync.agent).is_none_or(|agent| agent.held.is_some());
        let goes_on = matches!(&sync.doing, Doing::Running { .. });
        if held || goes_on {
            return;
        }
        let waiting = state.units.get(&assigned.unit).is_some_and(waits).then(|| assigned.unit.clone());
        // An agent that was started again has forgotten it, and tried once more.
        let is_its_own = |grant: &Grant| grant.agent == sync.agent && grant.claimed == Claimed::ByOne;
        if state.grants.get(run).is_some_and(is_its_own) {
            let (run, evidence) = (run.clone(), Evidence::NodeRefuses);
            self.record(Actor::Agent(sync.agent.clone()), FloorEvent::PowerReturned { run, evidence });
        }
        if let Some(unit) = waiting {
            self.hold(unit, Held::RunRefused { run: refused.run.clone(), why: refused.why.clone() });
        }
    }

    /// A run that goes on draws, whatever was thought of it. One that its node said has ended does not go on: the call is of
    /// before, and was late on its way.
    fn found_running(&mut self, sync: &Sync, run: &RunId, is_one_of_two: bool) {
        let state = &self.floor.state;
        if let Some(grant) = state.grants.get(run) {
            if grant.began.is_none() && grant.agent == sync.agent && !is_one_of_two {
                self.record(Actor::Agent(sync.agent.clone()), FloorEvent::RunBegan { run: run.clone() });
            }
            return;
        }
        let arrived = |unit: &UnitState| unit.runs.iter().any(|outcome| outcome.facts.run == *run);
        let Some(assigned) = state.runs.get(run).filter(|assigned| is_one_of_two || !assigned.ended) else { return };
        let Some((serial, unit)) = state.units.get_key_value(&assigned.unit) else { return };
        let site = &self.floor.policy.site;
        let slot = unit.slot.clone().filter(|_| !arrived(unit));
        let Some((slot, spot)) = slot.and_then(|slot| site.spot(&slot).map(|spot| (slot, spot))) else { return };
        // One machine makes one run at a time: what it was granted for the next one covers a run that it still goes on with.
        let is_covered = state.granted_to(&sync.agent).any(|(_, grant)| grant.slot == slot);
        if is_covered && !is_one_of_two {
            return;
        }
        let watts = site.racks()[spot.rack].draw;
        let (run, unit, agent) = (run.clone(), serial.clone(), sync.agent.clone());
        let granted = FloorEvent::PowerGranted { run: run.clone(), agent, unit, slot, watts, instead_of: None };
        self.record(Actor::Agent(sync.agent.clone()), granted);
        if !is_one_of_two {
            self.record(Actor::Agent(sync.agent.clone()), FloorEvent::RunBegan { run });
        }
    }

    /// What is wanted of the unit that an agent is on, assigned now if nothing was and it can be.
    pub(super) fn desired(&mut self, sync: &Sync) -> Option<Assignment> {
        if let Some((unit, first)) = self.made_by_another(sync) {
            self.hold(unit, Held::SecondAgent { first, second: sync.agent.clone() });
            return None;
        }
        let (serial, unit) = self.floor.state.unit_of(&sync.agent)?;
        let (serial, unit) = (serial.clone(), unit.clone_without_runs());
        if !matches!(unit.stage, Stage::Held(_))
            && let Some(why) = contradiction(sync, &serial, &unit)
        {
            self.hold(serial, why);
            return None;
        }
        if unit.stage == Stage::Ready
            && let Some(why) = self.beside_a_run(&serial, &unit)
        {
            self.hold(serial, why);
            return None;
        }
        if let Stage::Assigned(Assignment { parts: Some(_), .. }) = &unit.stage
            && let Err(wait) = holds_against_parts(sync)
        {
            self.floor.waits.insert(serial, wait);
            return None;
        }
        match &unit.stage {
            Stage::Assigned(assignment) if self.is_without_power(sync, assignment) => {
                self.grant_again(sync, &serial, &unit, assignment)
            }
            Stage::Assigned(assignment) => {
                self.floor.waits.remove(&serial);
                Some(assignment.clone())
            }
            Stage::Ready if matches!(sync.doing, Doing::Idle) => match self.begin(sync, &serial, &unit) {
                Ok(assignment) => Some(assignment),
                Err(wait) => {
                    self.floor.waits.insert(serial, wait?);
                    None
                }
            },
            Stage::Ready | Stage::Arrived | Stage::Held(_) | Stage::Disposed(_) => None,
        }
    }

    /// Whether another unit is under test in the same slot.
    fn beside_a_run(&self, serial: &Serial, unit: &UnitState) -> Option<Held> {
        let slot = unit.slot.as_ref()?;
        let is_tested =
            |(other, unit): &(&Serial, &UnitState)| *other != serial && matches!(unit.stage, Stage::Assigned(_));
        let (other, _) = self.floor.state.all_in(slot).find(is_tested)?;
        Some(Held::SlotTaken { slot: slot.clone(), other: other.clone() })
    }

    /// The unit that the node says it is, if another agent makes its run.
    fn made_by_another(&self, sync: &Sync) -> Option<(Serial, AgentId)> {
        let state = &self.floor.state;
        let (serial, unit) = state.units.get_key_value(sync.serial.as_ref()?)?;
        let first = state.maker(unit).filter(|first| **first != sync.agent)?;
        Some((serial.clone(), first.clone()))
    }

    /// Whether an assignment that was made has no power any more, because a person saw the node off, and has not ended.
    fn is_without_power(&self, sync: &Sync, assignment: &Assignment) -> bool {
        let ended = |spooled: &kiln_wire::Spooled| spooled.run == assignment.run && spooled.ended;
        !self.floor.policy.site.is_empty()
            && matches!(sync.doing, Doing::Idle)
            && !self.floor.state.grants.contains_key(&assignment.run)
            && !self.floor.state.runs.get(&assignment.run).is_some_and(|run| run.ended)
            && !sync.spool.iter().any(ended)
    }

    /// Gives such an assignment again once there is power for it.
    fn grant_again(
        &mut self,
        sync: &Sync,
        serial: &Serial,
        unit: &UnitState,
        assignment: &Assignment,
    ) -> Option<Assignment> {
        let policy = &self.floor.policy;
        let Some(stop) = policy.route.iter().find(|stop| stop.profile == assignment.profile).cloned() else {
            // Nothing draws, and nobody wants that test any more.
            let why = format!("the route has no {} any more", assignment.profile);
            self.record(Actor::Floor, FloorEvent::UnitFreed { unit: serial.clone(), why });
            return None;
        };
        let golden = policy.golden.contains(serial);
        match self.may_begin(sync, serial, unit, &stop, golden) {
            Ok(power) => {
                self.grant(sync, serial, unit, &assignment.run, power);
                Some(assignment.clone())
            }
            Err(wait) => {
                self.floor.waits.insert(serial.clone(), wait);
                None
            }
        }
    }

    fn grant(
        &mut self,
        sync: &Sync,
        serial: &Serial,
        unit: &UnitState,
        run: &RunId,
        power: Option<(SlotId, Option<RunId>)>,
    ) {
        if let Some((slot, instead_of)) = power {
            let site = &self.floor.policy.site;
            let watts = site.spot(&slot).map(|spot| site.racks()[spot.rack].draw).unwrap_or_default();
            let (run, agent, unit) = (run.clone(), sync.agent.clone(), serial.clone());
            self.record(Actor::Floor, FloorEvent::PowerGranted { run, agent, unit, slot, watts, instead_of });
        }
        self.floor.waits.remove(serial);
        self.floor.asks.remove(&(unit.since, serial.clone()));
    }

    /// Assigns the next run of a unit, or says why it waits; None if there is no next.
    fn begin(&mut self, sync: &Sync, serial: &Serial, unit: &UnitState) -> Result<Assignment, Option<Wait>> {
        let policy = &self.floor.policy;
        let golden = policy.golden.contains(serial);
        let stop = if golden { policy.route.first() } else { policy.next_stop(&unit.passed) };
        let stop = stop.cloned().ok_or(None)?;
        let parts = self.floor.state.wanted_parts(serial, stop.compares_parts);
        if parts.is_some() {
            holds_against_parts(sync)?;
        }
        let power = self.may_begin(sync, serial, unit, &stop, golden).map_err(Some)?;
        let assignment = Assignment {
            unit: serial.clone(),
            generation: unit.generation.next(),
            run: self.tick.fresh_run.clone(),
            profile: stop.profile,
            digest: stop.digest,
            variables: stop.variables,
            program: sync.program.clone(),
            parts,
            phase: power.as_ref().and_then(|(slot, _)| self.floor.policy.site.phase(slot)),
        };
        self.grant(sync, serial, unit, &assignment.run, power);
        let event = FloorEvent::Assigned { agent: sync.agent.clone(), assignment: assignment.clone() };
        self.record(Actor::Floor, event);
        Ok(assignment)
    }

    /// Whether the rules let a run begin: the slot it gets power in, and the earlier grant that goes for it.
    fn may_begin(
        &mut self,
        sync: &Sync,
        serial: &Serial,
        unit: &UnitState,
        stop: &Stop,
        golden: bool,
    ) -> Result<Option<(SlotId, Option<RunId>)>, Wait> {
        let (state, policy, now) = (&self.floor.state, &self.floor.policy, self.tick.now);
        if state.stopped.is_some() && !golden {
            return Err(Wait::Stopped);
        }
        let mut scopes = unit.slot.as_ref().map(|slot| policy.site.scopes(slot)).unwrap_or_default();
        scopes.extend(unit.lot.clone().map(Scope::Lot));
        scopes.extend(stop.digest.clone().map(Scope::Profile));
        scopes.extend(sync.version.clone().map(Scope::Agent));
        // A golden unit is what shows that a suspect station is sound.
        if let Some(scope) = scopes.into_iter().find(|scope| state.suspects.contains_key(scope) && !golden) {
            return Err(Wait::Suspect(scope));
        }
        // Asked last of all that costs nothing: what is allowed should also begin.
        if policy.route_check && !golden && unit.stage == Stage::Ready && !state.is_cleared(serial) {
            return Err(Wait::RouteCheck);
        }
        // Asked after the manufacturing system, which may have it.
        let wants_list = policy.parts == PartsRule::Required && !golden && unit.stage == Stage::Ready;
        if wants_list && !state.ordered.contains_key(serial) {
            return Err(Wait::PartsList);
        }
        if policy.site.is_empty() {
            return Ok(None);
        }
        let slot = unit.slot.clone().ok_or(Wait::Lack(Lack::Slot))?;
        let spot = policy.site.spot(&slot).ok_or(Wait::Lack(Lack::Slot))?;
        let rack = &policy.site.racks()[spot.rack];
        let place = &policy.site.places()[rack.place].id;
        if let Some(within) = rack.golden_within.filter(|_| !golden) {
            let within = u64::try_from(within.as_micros()).unwrap_or(u64::MAX);
            if state.golden_passes.get(place).is_none_or(|at| at.saturating_add(within) < now) {
                return Err(Wait::Golden(place.clone()));
            }
        }
        let ask = Ask { rack: spot.rack, since: unit.since, asked: now };
        let turn = (unit.since, serial.clone());
        // One machine makes one run at a time: what it was granted for another run goes for this one. Where there were two, the other
        // one may be at that run still.
        let is_its_own = |grant: &Grant| grant.slot == slot && grant.claimed == Claimed::ByOne;
        let earlier = state.granted_to(&sync.agent).find(|(_, grant)| is_its_own(grant));
        let ahead: Vec<Ask> = self.floor.asks.range(..turn.clone()).map(|(_, ask)| *ask).collect();
        let site = &policy.site;
        let decided = match earlier {
            None => admission::admit(site, &self.floor.ledger, &state.cuts, &ahead, ask, now),
            Some((run, grant)) => {
                let mut without: Ledger = self.floor.ledger.clone();
                without.take_back(site, run, grant);
                admission::admit(site, &without, &state.cuts, &ahead, ask, now)
            }
        };
        let earlier = earlier.map(|(run, _)| run.clone());
        if let Err(lack) = decided {
            self.floor.asks.insert(turn, ask);
            return Err(Wait::Lack(lack));
        }
        // Who has gone meanwhile, or has begun to wait anew, waits here no more.
        self.floor.asks.retain(|_, ask| ask.is_waiting(now));
        Ok(Some((slot, earlier)))
    }
}

/// Whether the agent would hold a run against the parts list that its assignment names.
fn holds_against_parts(sync: &Sync) -> Result<(), Wait> {
    if sync.wire.knows_parts_lists() { Ok(()) } else { Err(Wait::OldAgent { version: sync.version.clone() }) }
}

/// What the node says of itself against what was scanned.
fn contradiction(sync: &Sync, serial: &Serial, unit: &UnitState) -> Option<Held> {
    if let Some(node) = sync.serial.as_ref().filter(|node| *node != serial) {
        return Some(Held::SerialMismatch { scanned: serial.clone(), node: node.clone() });
    }
    let (scanned, node) = (unit.slot.as_ref()?, sync.slot.as_ref()?);
    (scanned != node).then(|| Held::SlotMismatch { scanned: scanned.clone(), node: node.clone() })
}

impl UnitState {
    /// A unit of which nothing is known but where it is.
    pub(super) fn fresh(stage: Stage, since: u64) -> Self {
        Self {
            stage,
            agent: None,
            slot: None,
            lot: None,
            generation: Generation::default(),
            since,
            passed: Vec::new(),
            unnamed: None,
            without_claim: 0,
            tries: 0,
            failed: false,
            reworked: Generation::default(),
            exchanged: Generation::default(),
            repairs: BTreeMap::new(),
            because: None,
            cleared: None,
            disposed_by: None,
            release_asked: None,
            works: Vec::new(),
            decisions: Vec::new(),
            runs: Vec::new(),
        }
    }

    /// What an agent's call needs of a unit; its history may be long.
    fn clone_without_runs(&self) -> Self {
        Self {
            stage: self.stage.clone(),
            agent: self.agent.clone(),
            slot: self.slot.clone(),
            lot: self.lot.clone(),
            generation: self.generation,
            since: self.since,
            passed: self.passed.clone(),
            unnamed: None,
            without_claim: self.without_claim,
            tries: self.tries,
            failed: self.failed,
            reworked: self.reworked,
            exchanged: self.exchanged,
            repairs: BTreeMap::new(),
            because: None,
            cleared: self.cleared,
            disposed_by: None,
            release_asked: None,
            works: Vec::new(),
            decisions: Vec::new(),
            runs: Vec::new(),
        }
    }
}
