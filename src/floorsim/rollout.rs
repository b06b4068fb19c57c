//! Agents become another program in waves, in virtual time: one that is good comes to all, one that is not stops with the
//! first wave. What must hold is looked at whenever a node becomes it: never more nodes are away at once than the wave has.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::time::Duration;

use kiln_agent::Being;
use kiln_floor::{Act, Input, Proof, RolloutRules, Wave};
use kiln_wire::{AgentId, NotTaken, Upgrade};

use super::chance::{SECOND, name};
use super::world::World;

/// The program that is wanted.
const NEW: &str = "sha256:new";

/// What the program is that the floor wants its agents to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewProgram {
    /// It works.
    Good,
    /// No node can start it.
    Dead,
    /// It starts, and never reaches the floor.
    Mute,
}

impl FromStr for NewProgram {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "good" => Ok(Self::Good),
            "dead" => Ok(Self::Dead),
            "mute" => Ok(Self::Mute),
            _ => Err(format!("`{word}` is none of good, dead, mute")),
        }
    }
}

/// The rules of a site that leaves them as they come.
pub(super) fn rules() -> RolloutRules {
    RolloutRules {
        program: name(NEW),
        waves: vec![Wave::Agents(1), Wave::Agents(10), Wave::Rest],
        back: Duration::from_secs(15 * 60),
        proof: Proof::Back,
        size: 1,
        signature: None,
    }
}

/// How the rollout goes.
#[derive(Debug, Default)]
pub(super) struct Upgrading {
    wanted: Option<NewProgram>,
    /// Agents that were away when a person had the rollout go on: they are nobody's wave any more.
    waived: BTreeSet<AgentId>,
    tried: BTreeSet<AgentId>,
    was_stopped: bool,
}

impl Upgrading {
    pub(super) fn to(wanted: Option<NewProgram>) -> Self {
        Self { wanted, ..Self::default() }
    }
}

impl World {
    fn is_new(being: &Being) -> bool {
        being.program == Some(name(NEW))
    }

    /// Whether what a node says reaches nobody, because its program does not.
    pub(super) fn is_mute(&self, index: usize) -> bool {
        self.upgrading.wanted == Some(NewProgram::Mute) && Self::is_new(&self.nodes[index].being)
    }

    /// Own nodes that became the program and of which the floor has not heard that they are back.
    fn away(&self) -> BTreeSet<AgentId> {
        let done = self.floor.state().rollout.as_ref().map(|rollout| &rollout.done);
        let own = self.nodes[..self.own].iter().filter(|node| Self::is_new(&node.being));
        own.map(|node| node.id.clone()).filter(|id| done.is_none_or(|done| !done.contains(id))).collect()
    }

    pub(super) fn become_it(&mut self, index: usize, upgrade: &Upgrade) {
        let now = self.now;
        let node = &mut self.nodes[index];
        if let Some(run) = node.running.clone() {
            self.simulated.violations.push(format!("{} became another program while {run} went on", node.id));
        }
        node.offered = Some(upgrade.clone());
        if self.upgrading.wanted == Some(NewProgram::Dead) {
            node.declines(NotTaken::WillNotStart { why: "planted".to_owned() });
        } else {
            let trial_until = Some(Duration::from_micros(now) + upgrade.within);
            node.being = Being { program: Some(upgrade.program.clone()), declined: None, trial_until };
        }
        let is_own = node.clone_of.is_none();
        node.start_agent();
        if is_own {
            self.upgrading.tried.insert(node.id.clone());
            self.simulated.tried = self.upgrading.tried.len();
        }
        self.within_its_wave();
        self.wake(index, now + SECOND);
    }

    fn within_its_wave(&mut self) {
        let Some(rollout) = &self.floor.state().rollout else { return };
        let (size, wave) = (rollout.size, rollout.wave);
        let away = self.away().difference(&self.upgrading.waived).count();
        if let Some(size) = size.filter(|size| away > *size as usize) {
            self.simulated.violations.push(format!("{away} agents are away at once, and wave {wave} has {size}"));
        }
    }

    /// Somebody looks at a rollout that stopped. A good program met trouble of its node; one that is not good is left alone.
    pub(super) fn look_at_rollout(&mut self) {
        let stopped = self.floor.state().rollout.as_ref().is_some_and(|rollout| rollout.stopped.is_some());
        if !stopped {
            self.upgrading.was_stopped = false;
            return;
        }
        if !std::mem::replace(&mut self.upgrading.was_stopped, true) {
            self.simulated.stopped += 1;
        }
        if self.upgrading.wanted == Some(NewProgram::Good) {
            let away = self.away();
            self.upgrading.waived.extend(away);
            self.upgrading.was_stopped = false;
            let act = Act::ResumeRollout { why: "looked at".to_owned() };
            self.tell(Input::Told { act, by: "p".to_owned() });
        }
    }

    /// At the end: a program that is no good was tried by the first wave alone.
    pub(super) fn rolled_out(&mut self) {
        let no_good = matches!(self.upgrading.wanted, Some(NewProgram::Dead | NewProgram::Mute));
        if no_good && self.simulated.tried > 1 {
            self.simulated.violations.push(format!("{} agents became a program that is no good", self.simulated.tried));
        }
    }

    /// Whether the rollout is where it must come to: everywhere, or stopped.
    pub(super) fn is_rolled_out(&self) -> bool {
        let state = self.floor.state();
        match self.upgrading.wanted {
            None => true,
            Some(NewProgram::Good) => self.nodes.iter().all(|node| {
                let held = state.agents.get(&node.id).is_some_and(|agent| agent.held.is_some());
                held || Self::is_new(&node.being)
            }),
            Some(NewProgram::Dead | NewProgram::Mute) => self.simulated.stopped > 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{SimSettings, Simulated, simulate};
    use super::*;

    fn rolled(agents: usize, seed: u64, faults: &str, program: NewProgram) -> Simulated {
        let faults = faults.parse().expect("faults");
        simulate(&SimSettings { seed, faults, program: Some(program), ..SimSettings::of(agents) })
    }

    #[test]
    fn a_good_program_comes_to_all_agents_a_wave_at_a_time() {
        for (agents, seed) in [(1, 1), (11, 2), (60, 3)] {
            let done = rolled(agents, seed, "none", NewProgram::Good);
            assert_eq!((done.violations.as_slice(), done.stopped), (&[][..], 0), "{agents}");
            assert_eq!(done.tried, agents);
        }
    }

    #[test]
    fn whatever_network_and_hosts_do_never_more_than_a_wave_is_away_and_no_result_is_lost() {
        for seed in 0..6 {
            let done = rolled(40, seed, "all", NewProgram::Good);
            assert_eq!(done.violations, Vec::<String>::new(), "seed {seed}");
            assert!(done.tried > 30, "seed {seed}: {done:?}");
        }
    }

    #[test]
    fn a_program_that_is_no_good_stops_with_the_first_agent_that_tried_it() {
        for program in [NewProgram::Dead, NewProgram::Mute] {
            for faults in ["none", "delay,loss,doubling,floor-kill"] {
                let done = rolled(40, 5, faults, program);
                assert_eq!(done.violations, Vec::<String>::new(), "{program:?} {faults}");
                assert_eq!((done.tried, done.stopped), (1, 1), "{program:?} {faults}");
            }
        }
    }
}
