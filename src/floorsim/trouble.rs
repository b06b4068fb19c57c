//! What goes wrong in the simulated factory, who comes to look, and what was planted.

#![expect(
    clippy::cast_possible_truncation,
    reason = "values are bounded where they are made, within the narrower type"
)]

use std::collections::BTreeMap;

use kiln_event::VerdictWord;
use kiln_floor::{Act, Claimed, Input};
use kiln_wire::{AgentId, NotTaken, RunId};

use super::chance::{Chance, HOUR, MINUTE};
use super::due::Due;
use super::faults::{Fault, Faults};
use super::world::{ROUND, World};

/// One trouble of a node, which comes at its time.
#[derive(Debug, Clone, Copy)]
struct Trouble {
    at: u64,
    node: usize,
    fault: Fault,
    minutes: u64,
}

/// All trouble of nodes, drawn before it comes: so that runs of the engine need not be made beyond where they are cut.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    /// The last comes first.
    coming: Vec<Trouble>,
    /// For each node: from when on its run is cut, and by when it will have been, as far as one can say.
    cuts: BTreeMap<usize, Vec<(u64, u64)>>,
}

impl Ahead {
    /// What comes to so many nodes until then.
    pub(super) fn drawn(mut chance: Chance, faults: &Faults, nodes: usize, until: u64) -> Self {
        // One trouble a node in a quarter of an hour: a run of ten minutes is rarely left in peace.
        let every = 15 * MINUTE / nodes as u64;
        let kinds =
            [Fault::Cut, Fault::HalfOpen, Fault::Kill, Fault::Freeze, Fault::Reboot, Fault::Clone, Fault::FullDisk];
        let mut ahead = Self::default();
        let mut at = MINUTE;
        while at < until {
            let node = chance.below(nodes as u64) as usize;
            let fault = kinds[chance.below(kinds.len() as u64) as usize];
            let minutes = 1 + chance.below(20);
            let is_asked_for = faults.has(fault) || fault == Fault::Reboot && faults.has(Fault::Late);
            let comes = is_asked_for && (fault != Fault::Clone || chance.one_in(10));
            if comes {
                ahead.coming.push(Trouble { at, node, fault, minutes });
            }
            let cut = match fault {
                Fault::Reboot => Some((at, at)),
                // At the first line that it cannot write.
                Fault::FullDisk => Some((at, at + minutes * MINUTE)),
                _ => None,
            };
            if let Some(cut) = cut.filter(|_| comes) {
                ahead.cuts.entry(node).or_default().push(cut);
            }
            at += 1 + chance.below(2 * every);
        }
        ahead.coming.reverse();
        ahead
    }

    /// When the next trouble comes.
    pub(super) fn next_at(&self) -> Option<u64> {
        self.coming.last().map(|next| next.at)
    }

    /// By when a run that goes on at a node now will have been cut. Nothing is known of copies of nodes.
    pub(super) fn cut_after(&self, node: usize, now: u64) -> Option<u64> {
        let cuts = self.cuts.get(&node)?;
        cuts.get(cuts.partition_point(|(from, _)| *from <= now)).map(|(_, until)| *until)
    }
}

impl World {
    pub(super) fn trouble(&mut self) {
        let Some(Trouble { node: index, fault, minutes, .. }) = self.ahead.coming.pop() else { return };
        if let Some(next) = self.ahead.next_at() {
            self.push(next, Due::Trouble);
        }
        let now = self.now;
        self.simulated.troubles += 1;
        self.happened(fault);
        let node = &mut self.nodes[index];
        match fault {
            Fault::Cut => node.cut_until = now + if minutes == 7 { 5 * HOUR } else { minutes * MINUTE },
            Fault::HalfOpen => node.half_open_until = now + minutes * MINUTE,
            // Some hang for good, as far as anybody waits for them.
            Fault::Freeze => {
                let for_good = self.bmc.is_some() && minutes % 4 == 0;
                let until = now + if for_good { 5 * HOUR } else { minutes * MINUTE };
                node.frozen_until = node.frozen_until.max(until);
            }
            Fault::FullDisk => node.full_until = now + minutes * MINUTE,
            Fault::Kill | Fault::Reboot => {
                if fault == Fault::Reboot {
                    self.come_late(index);
                    let node = &mut self.nodes[index];
                    node.tear();
                    node.boots += 1;
                }
                let node = &mut self.nodes[index];
                // A program on trial that ends is not started again.
                if node.being.trial_until.is_some() {
                    node.declines(NotTaken::FellBack);
                }
                node.start_agent();
                self.look(index, None);
            }
            Fault::Clone => {
                node.was_cloned = true;
                let copy = node.copy_of(index);
                self.nodes.push(copy);
                let copy = self.nodes.len() - 1;
                self.look(copy, None);
            }
            Fault::Delay | Fault::Loss | Fault::Doubling | Fault::Late | Fault::ClockJump | Fault::FloorKill => {}
        }
    }

    /// Somebody looks at what is held: takes copies of machines away, and lets agents go on.
    pub(super) fn round(&mut self) {
        self.push(self.now + ROUND, Due::Round);
        let held: Vec<_> = self.floor.state().agents.iter().filter(|(_, agent)| agent.held.is_some()).collect();
        let held: Vec<_> = held.into_iter().map(|(id, _)| id.clone()).collect();
        if self.now >= self.trouble_until || !held.is_empty() {
            self.take_copies_away(&held);
        }
        self.look_at_rollout();
        self.look_at_silent();
        self.switched_off();
        // Where chance planted many fails in one place, the floor suspects it, and nothing there begins until somebody looked.
        let suspects: Vec<_> = self.floor.state().suspects.keys().cloned().collect();
        for scope in suspects {
            self.simulated.freed += 1;
            self.tell(Input::Told { act: Act::FreeScope { scope, why: "looked".to_owned() }, by: "p".to_owned() });
        }
        for agent in held {
            self.simulated.freed += 1;
            self.tell(Input::Told { act: Act::FreeAgent { agent }, by: "p".to_owned() });
        }
    }

    /// Somebody looks at machines of which there were two under one name: what none of them is at draws nothing, which nobody else
    /// can say.
    fn switched_off(&mut self) {
        let is_at = |agent: &AgentId, run: &RunId| self.nodes.iter().any(|node| node.id == *agent && node.is_at(run));
        let of_two = self.floor.state().grants.iter().filter(|(_, grant)| grant.claimed == Claimed::ByTwo);
        let off: Vec<_> = of_two.filter(|(run, grant)| !is_at(&grant.agent, run)).map(|(run, _)| run.clone()).collect();
        for run in off {
            self.tell(Input::Told { act: Act::PowerOff { run, why: "looked".to_owned() }, by: "p".to_owned() });
        }
    }

    fn take_copies_away(&mut self, held: &[AgentId]) {
        let after = self.now >= self.trouble_until;
        // From the end, so that the numbers of those that stay keep their meaning; what is due for one that went is dropped.
        while let Some(last) = self.nodes.last().filter(|last| last.clone_of.is_some()) {
            if !after && !held.contains(&last.id) {
                break;
            }
            self.gone.extend(self.nodes.pop());
        }
    }
}

/// What the runs of a unit will say. Most units are sound; what makes no claim is repeated.
pub(super) fn planted(chance: &mut Chance) -> Vec<VerdictWord> {
    use VerdictWord::{Error, Fail, Pass};
    match chance.below(100) {
        0..7 => vec![Fail],
        7..12 => vec![Error, Pass],
        12..15 => vec![Error, Error],
        15..17 => vec![VerdictWord::Held],
        _ => vec![Pass],
    }
}
