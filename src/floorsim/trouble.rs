//! What goes wrong in the simulated factory, who comes to look, and what was planted.

#![expect(
    clippy::cast_possible_truncation,
    reason = "values are bounded where they are made, within the narrower type"
)]

use kiln_event::VerdictWord;
use kiln_floor::{Act, Input};
use kiln_wire::NotTaken;

use super::chance::{Chance, HOUR, MINUTE};
use super::due::Due;
use super::faults::Fault;
use super::world::{ROUND, World};

impl World {
    pub(super) fn trouble(&mut self) {
        if self.now >= self.trouble_until {
            return;
        }
        // One trouble a node in a quarter of an hour: a run of ten minutes is rarely left in peace.
        let every = 15 * MINUTE / self.own as u64;
        let next = self.now + 1 + self.chance.below(2 * every);
        self.push(next, Due::Trouble);
        let (index, now) = (self.chance.below(self.own as u64) as usize, self.now);
        let kinds =
            [Fault::Cut, Fault::HalfOpen, Fault::Kill, Fault::Freeze, Fault::Reboot, Fault::Clone, Fault::FullDisk];
        let fault = kinds[self.chance.below(kinds.len() as u64) as usize];
        if !self.faults.has(fault) || (fault == Fault::Clone && !self.chance.one_in(10)) {
            return;
        }
        self.simulated.troubles += 1;
        self.happened(fault);
        let minutes = 1 + self.chance.below(20);
        let node = &mut self.nodes[index];
        match fault {
            Fault::Cut => node.cut_until = now + if minutes == 7 { 5 * HOUR } else { minutes * MINUTE },
            Fault::HalfOpen => node.half_open_until = now + minutes * MINUTE,
            Fault::Freeze => node.frozen_until = now + minutes * MINUTE,
            Fault::FullDisk => node.full_until = now + minutes * MINUTE,
            Fault::Kill | Fault::Reboot => {
                if fault == Fault::Reboot {
                    node.tear();
                    node.boots += 1;
                }
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
            Fault::Delay | Fault::Loss | Fault::Doubling | Fault::ClockJump | Fault::FloorKill => {}
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

    fn take_copies_away(&mut self, held: &[kiln_wire::AgentId]) {
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
