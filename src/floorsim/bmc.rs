//! BMCs of the simulated nodes: one does what it is told, another one says so and does nothing, or does it minutes later.

use std::str::FromStr;
use std::time::Duration;

use kiln_floor::{Act, CycleEnd, CycleRules, FloorEvent, Input, OrderedBy, Policy, Stamped};
use kiln_wire::{Serial, SlotId};

use super::chance::{MINUTE, SECOND, name};
use super::due::Due;
use super::faults::Fault;
use super::world::World;

/// How often the floor is told that time passes.
pub(super) const PASSES: u64 = 30 * SECOND;
/// How long a node boots.
const BOOTS: u64 = 3 * MINUTE;

/// What BMCs are like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bmc {
    Honest,
    Lying,
}

impl FromStr for Bmc {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "honest" => Ok(Self::Honest),
            "lying" => Ok(Self::Lying),
            _ => Err(format!("`{text}` is no kind of BMC; known are honest and lying")),
        }
    }
}

/// Gives every slot a BMC, and the floor rules for them.
pub(super) fn equip(policy: &mut Policy, bmc: Option<Bmc>) {
    if bmc.is_none() {
        return;
    }
    let slots = policy.site.slots().map(|(slot, _)| (slot.clone(), name(&format!("bmc.{slot}"))));
    let bmcs = slots.collect();
    policy.site = policy.site.clone().with_bmcs(bmcs);
    policy.power_cycle = Some(CycleRules {
        program: vec!["cycle".to_owned(), "{bmc}".to_owned()],
        after: Duration::from_secs(600),
        by: OrderedBy::Rule,
        back: Duration::from_secs(300),
        tries: 3,
    });
}

impl World {
    /// What was ordered is started within seconds.
    pub(super) fn take_orders(&mut self, events: &[Stamped]) {
        for stamped in events {
            match &stamped.event {
                FloorEvent::PowerCycleOrdered { slot, tries, .. } => {
                    self.simulated.cycles += 1;
                    self.simulated.cycled += u64::from(*tries == 1);
                    let at = self.now + 1 + self.chance.below(5 * SECOND);
                    self.push(at, Due::Cycle { slot: slot.clone(), order: stamped.seq });
                }
                FloorEvent::PowerCycleGivenUp { .. } => self.simulated.given_up += 1,
                _ => {}
            }
        }
    }

    /// As a floor does that begins again: what it had ordered may have been started or not.
    pub(super) fn left_open(&mut self) {
        let open: Vec<(SlotId, u64)> =
            self.floor.state().cycles_open().map(|(slot, order)| (slot.clone(), order)).collect();
        for (slot, order) in open {
            self.tell(Input::PowerCycleEnded { slot, order, end: CycleEnd::Unknown });
        }
    }

    /// The program is started.
    pub(super) fn cycle(&mut self, slot: SlotId, order: u64) {
        let is_open = self.floor.state().cycles_open().any(|(at, open)| (at, open) == (&slot, order));
        let node = self.nodes[..self.own].iter().position(|node| node.slot == slot);
        let Some(index) = node.filter(|_| is_open) else { return };
        // One that only its network keeps from the floor looks the same.
        let is_silent_for_others = [Fault::Cut, Fault::HalfOpen].iter().any(|fault| self.faults.has(*fault));
        if self.nodes[index].frozen_until + MINUTE < self.now && !is_silent_for_others {
            self.simulated.violations.push(format!("the node in {slot} was power-cycled, and did not hang"));
        }
        match (self.bmc, self.chance.below(3)) {
            (Some(Bmc::Lying), 0) => {}
            (Some(Bmc::Lying), 1) => {
                let at = self.now + self.chance.below(8 * MINUTE);
                self.push(at, Due::OffAndOn(index));
            }
            _ => self.off_and_on(index),
        }
        self.tell(Input::PowerCycleEnded { slot, order, end: CycleEnd::Said });
    }

    pub(super) fn off_and_on(&mut self, index: usize) {
        let now = self.now;
        let node = &mut self.nodes[index];
        node.tear();
        node.boots += 1;
        node.frozen_until = now + BOOTS;
        node.start_agent();
        self.wake(index, now + BOOTS);
    }

    /// A person who goes round orders what the floor does not by itself, where many are silent.
    pub(super) fn look_at_silent(&mut self) {
        let silent = self.floor.state().units.keys().filter(|unit| self.floor.may_cycle(unit).is_ok());
        let silent: Vec<Serial> = silent.cloned().collect();
        for unit in silent {
            self.tell(Input::Told { act: Act::PowerCycle { unit, why: "looked".to_owned() }, by: "p".to_owned() });
        }
    }
}
