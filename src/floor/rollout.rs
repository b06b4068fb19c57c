//! Which program agents should be, and how it comes to them: a few first, the next once those are back with it. Nobody is
//! sent for: an agent becomes one of a wave when it calls and makes no run, so that one which is switched off keeps no wave
//! waiting. What goes wrong with one stops the rollout until a person has looked.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use kiln_wire::{AgentId, Digest, Doing, NotTaken, RunId, Sync, Upgrade};
use serde::{Deserialize, Serialize};

use super::assign::Wait;
use super::event::{Actor, FloorEvent, Stamped};
use super::machine::Handling;
use super::refusal::Refusal;
use super::state::{FloorState, Stage};

/// How many agents a wave has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wave {
    Agents(u32),
    /// Of all that said which program they are.
    Percent(u32),
    /// All others, also those that come later.
    Rest,
}

impl fmt::Display for Wave {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agents(count) => write!(f, "{count}"),
            Self::Percent(percent) => write!(f, "{percent} %"),
            Self::Rest => f.write_str("all"),
        }
    }
}

/// What shows that a program is good before more agents become it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// That agents came back as it.
    Back,
    /// That a golden unit passed under it as well. The first wave is of golden units then.
    Golden,
}

/// Which program a site wants, and how carefully.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloutRules {
    pub program: Digest,
    /// In order; what comes after the last is the rest.
    pub waves: Vec<Wave>,
    /// How long an agent may need from the offer until it is back.
    pub back: Duration,
    pub proof: Proof,
    /// Of the program, and its signature where there is one; known to who has the file.
    pub size: u64,
    pub signature: Option<String>,
}

/// Why a rollout stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Setback {
    /// The agent goes on as what it was before.
    Declined(NotTaken),
    /// It did not come back in time.
    Overdue,
    /// The golden unit did not pass under the program.
    GoldenFailed { run: RunId },
}

/// An offer that stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    /// The number of its event.
    pub number: u64,
    /// Microseconds since 1970, UTC.
    pub at: u64,
}

/// How far a rollout has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollout {
    pub program: Digest,
    /// From 1; 0 before the first.
    pub wave: u32,
    /// How many agents the wave has; None of the rest.
    pub size: Option<u32>,
    /// Agents of this wave that are not back.
    pub offered: BTreeMap<AgentId, Offer>,
    /// Agents that came back as the program in this wave.
    pub back: BTreeSet<AgentId>,
    /// The last offer to each agent, whether it stands or not, until the agent declined it. One that came back may decline as well:
    /// that it called as the program was heard here, and the answer not there.
    pub asked: BTreeMap<AgentId, u64>,
    /// Agents that came back in any wave. Each counts once.
    pub done: BTreeSet<AgentId>,
    /// A golden unit passed under the program in this wave.
    pub proven: bool,
    /// With which agent and why it stopped.
    pub stopped: Option<(AgentId, Setback)>,
}

impl Rollout {
    fn of(program: Digest) -> Self {
        Self {
            program,
            wave: 0,
            size: Some(0),
            offered: BTreeMap::new(),
            back: BTreeSet::new(),
            asked: BTreeMap::new(),
            done: BTreeSet::new(),
            proven: true,
            stopped: None,
        }
    }

    /// Whether all agents of the wave are back.
    pub fn is_whole(&self) -> bool {
        self.size.is_some_and(|size| self.back.len() >= size as usize)
    }

    /// An agent calls as the program. One that was never offered it counts in no wave.
    fn came_back(&mut self, agent: &AgentId) {
        if self.asked.contains_key(agent) && self.done.insert(agent.clone()) {
            self.offered.remove(agent);
            self.back.insert(agent.clone());
        }
    }

    fn has_room(&self) -> bool {
        self.size.is_none_or(|size| self.back.len() + self.offered.len() < size as usize)
    }
}

impl FloorState {
    pub(super) fn of_rollout(&mut self, stamped: &Stamped) {
        if let FloorEvent::RolloutBegan { program } = &stamped.event {
            self.rollout = Some(Rollout::of(program.clone()));
        }
        if stamped.event == FloorEvent::RolloutWithdrawn {
            self.rollout = None;
        }
        let Some(rollout) = &mut self.rollout else { return };
        match &stamped.event {
            FloorEvent::WaveBegan { wave, size } => {
                (rollout.wave, rollout.size, rollout.proven) = (*wave, *size, false);
                rollout.back.clear();
            }
            FloorEvent::UpgradeOffered { agent } => {
                rollout.asked.insert(agent.clone(), stamped.seq);
                rollout.offered.insert(agent.clone(), Offer { number: stamped.seq, at: stamped.at });
            }
            FloorEvent::AgentMet { agent, program, .. } if program.as_ref() == Some(&rollout.program) => {
                rollout.came_back(agent);
            }
            FloorEvent::ProgramProven { .. } => rollout.proven = true,
            FloorEvent::RolloutStopped { agent, why } => {
                rollout.stopped = Some((agent.clone(), why.clone()));
                // Offers stand no more; who took one already is back when it calls.
                rollout.offered.clear();
                if let Setback::Declined(_) = why {
                    rollout.asked.remove(agent);
                    rollout.done.remove(agent);
                    rollout.back.remove(agent);
                }
            }
            FloorEvent::RolloutResumed { .. } => rollout.stopped = None,
            _ => {}
        }
    }

    /// Agents that said which program they are, and may still call.
    fn upgradable(&self) -> impl Iterator<Item = (&AgentId, &Digest)> {
        let revoked = |agent: &AgentId| self.identities.get(agent).is_some_and(|identity| identity.revoked);
        let told = self.agents.iter().filter_map(|(id, agent)| Some((id, agent.program.as_ref()?)));
        told.filter(move |(id, _)| !revoked(id))
    }
}

impl Handling<'_> {
    /// Takes a rollout on by what time it is, and by what a call says if one came.
    pub(super) fn roll_out(&mut self, sync: Option<&Sync>) {
        let wanted = self.floor.policy.upgrade.as_ref().map(|rules| rules.program.clone());
        let known = self.floor.state.rollout.as_ref().map(|rollout| rollout.program.clone());
        match (wanted, known) {
            (None, Some(_)) => self.record(Actor::Floor, FloorEvent::RolloutWithdrawn),
            (Some(program), known) if known.as_ref() != Some(&program) => {
                self.record(Actor::Floor, FloorEvent::RolloutBegan { program });
            }
            _ => {}
        }
        if let Some((agent, why)) = self.setback(sync) {
            self.record(Actor::Floor, FloorEvent::RolloutStopped { agent, why });
        }
        if let Some((wave, size)) = self.next_wave() {
            self.record(Actor::Floor, FloorEvent::WaveBegan { wave, size });
        }
    }

    /// What speaks against going on: the agent that calls says so, or another one is overdue.
    fn setback(&self, sync: Option<&Sync>) -> Option<(AgentId, Setback)> {
        let rollout = self.floor.state.rollout.as_ref()?;
        let rules = self.floor.policy.upgrade.as_ref()?;
        if let Some(sync) = sync
            && let (Some(offer), Some(declined)) = (rollout.asked.get(&sync.agent), &sync.declined)
            && declined.offer == *offer
        {
            return Some((sync.agent.clone(), Setback::Declined(declined.why.clone())));
        }
        let within = u64::try_from(rules.back.as_micros()).unwrap_or(u64::MAX);
        let overdue = |offer: &Offer| offer.at.saturating_add(within) < self.tick.now;
        let late = rollout.offered.iter().find(|(_, offer)| overdue(offer));
        late.map(|(agent, _)| (agent.clone(), Setback::Overdue))
    }

    /// The wave that begins now, if one does, and its size.
    fn next_wave(&self) -> Option<(u32, Option<u32>)> {
        let (state, rules) = (&self.floor.state, self.floor.policy.upgrade.as_ref()?);
        let rollout = state.rollout.as_ref()?;
        let proven = rollout.proven || rules.proof == Proof::Back;
        if rollout.stopped.is_some() || !rollout.is_whole() || !proven {
            return None;
        }
        let (mut all, mut others) = (0_u32, 0_u32);
        for (_, program) in state.upgradable() {
            all += 1;
            others += u32::from(*program != rollout.program);
        }
        let size = match rules.waves.get(rollout.wave as usize) {
            Some(Wave::Agents(count)) => Some(*count),
            Some(Wave::Percent(percent)) => Some((all * percent).div_ceil(100)),
            Some(Wave::Rest) | None => None,
        };
        // The first wave waits for agents to come; a later one has no more than there are.
        let size = size.map(|size| if rollout.wave == 0 { size } else { size.min(others) });
        Some((rollout.wave + 1, size))
    }

    /// The program that an agent should become now.
    pub(super) fn upgrade(&mut self, sync: &Sync) -> Option<Upgrade> {
        let rollout = self.floor.state.rollout.as_ref().filter(|rollout| rollout.stopped.is_none())?;
        // Between runs only. One that was assigned counts as begun.
        let unit = self.floor.state.unit_of(&sync.agent);
        let tested = unit.is_some_and(|(_, unit)| matches!(unit.stage, Stage::Assigned(_)));
        if sync.program.as_ref()? == &rollout.program || sync.doing != Doing::Idle || tested {
            return None;
        }
        let unit = unit.filter(|(_, unit)| unit.stage == Stage::Ready).map(|(serial, _)| serial.clone());
        if !rollout.offered.contains_key(&sync.agent) {
            let rules = self.floor.policy.upgrade.as_ref()?;
            let golden = sync.serial.as_ref().is_some_and(|serial| self.floor.policy.golden.contains(serial));
            if !rollout.has_room() || rules.proof == Proof::Golden && rollout.wave == 1 && !golden {
                return None;
            }
            self.record(Actor::Floor, FloorEvent::UpgradeOffered { agent: sync.agent.clone() });
        }
        if let Some(unit) = unit {
            self.floor.waits.insert(unit, Wait::Upgrade);
        }
        let (rules, rollout) = (self.floor.policy.upgrade.as_ref()?, self.floor.state.rollout.as_ref()?);
        Some(Upgrade {
            offer: rollout.offered.get(&sync.agent)?.number,
            program: rules.program.clone(),
            size: rules.size,
            signature: rules.signature.clone(),
            // Its way back must be over before the floor gives it up.
            within: rules.back / 2,
        })
    }

    /// What the run of a golden unit says about the program that made it.
    pub(super) fn prove(&mut self, run: &RunId, passed: bool) {
        let state = &self.floor.state;
        let by_rules = self.floor.policy.upgrade.as_ref().is_some_and(|rules| rules.proof == Proof::Golden);
        let Some(rollout) = state.rollout.as_ref().filter(|rollout| by_rules && rollout.stopped.is_none()) else {
            return;
        };
        let Some(agent) = state.runs.get(run).map(|run| run.agent.clone()) else { return };
        let program = state.agents.get(&agent).and_then(|agent| agent.program.as_ref());
        if program != Some(&rollout.program) {
            return;
        }
        let run = run.clone();
        if !passed {
            self.record(Actor::Floor, FloorEvent::RolloutStopped { agent, why: Setback::GoldenFailed { run } });
        } else if !rollout.proven {
            self.record(Actor::Floor, FloorEvent::ProgramProven { run });
        }
    }

    /// A person has looked at what stopped a rollout.
    pub(super) fn rollout_resumed(&self, why: String) -> Result<FloorEvent, Refusal> {
        let stopped = self.floor.state.rollout.as_ref().is_some_and(|rollout| rollout.stopped.is_some());
        if stopped { Ok(FloorEvent::RolloutResumed { why }) } else { Err(Refusal::RolloutGoesOn) }
    }
}
