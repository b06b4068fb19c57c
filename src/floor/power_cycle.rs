//! Power cycles of nodes that hang, by a program of the site's own that speaks to their BMCs: who may order one and when, what
//! becomes of it, and when a person is asked instead.
//!
//! An order is an event before anything is started, and a program that says it did it proves nothing: BMCs are known that
//! answer so and do nothing. Only another boot id of the same agent proves the cycle. Nothing here starts a program.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use kiln_wire::{AgentId, BootId, Serial, SlotId, Sync};
use serde::{Deserialize, Serialize};

use super::event::{Actor, FloorEvent, Stamped};
use super::machine::{Floor, Handling};
use super::state::{FloorState, Stage};

/// An agent that says nothing for so long counts as silent beside others; one that found the floor away calls again within a
/// minute.
const QUIET: Duration = Duration::from_secs(120);
/// With so many quiet at once their network is the likelier cause, and power-cycling them would cut runs that go on.
const ALIKE: usize = 3;

/// Where a slot's BMC is reached.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct BmcAddress(String);

/// Why a text is no address of a BMC.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no address of a BMC; expected a name or an IP address, which begins with a letter or digit")]
pub struct NoAddress(String);

impl FromStr for BmcAddress {
    type Err = NoAddress;

    /// It becomes an argument of a program, where what begins with `-` would be an option.
    fn from_str(text: &str) -> Result<Self, NoAddress> {
        let is_sign = |byte: u8| byte.is_ascii_alphanumeric() || b".:-_".contains(&byte);
        let first = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        if first && text.len() <= 253 && text.bytes().all(is_sign) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NoAddress(text.chars().take(40).collect()))
        }
    }
}

impl fmt::Display for BmcAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who orders the first of a node's power cycles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderedBy {
    Person,
    /// The floor, where one node alone is silent.
    Rule,
}

/// A site's rules for power cycles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CycleRules {
    /// The program and its arguments, which no shell reads; `{bmc}` in them is the slot's address.
    pub program: Vec<String>,
    /// For so long the node has to be silent.
    pub after: Duration,
    pub by: OrderedBy,
    /// How long a node may need until its agent calls again.
    pub back: Duration,
    /// After so many in vain a person has to look.
    pub tries: u32,
}

impl CycleRules {
    /// The program and its arguments for one BMC.
    pub fn command(&self, bmc: &BmcAddress) -> Vec<String> {
        self.program.iter().map(|word| word.replace("{bmc}", &bmc.0)).collect()
    }
}

/// How the program ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CycleEnd {
    /// It says that it did it.
    Said,
    Failed {
        exit: Option<i32>,
        printed: String,
    },
    NotStarted {
        error: String,
    },
    /// It did not end in time, and was ended.
    Hung,
    /// The floor ended meanwhile: it may have been started or not.
    Unknown,
}

/// Why an order counts no more though no other boot was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CycleDropped {
    /// The agent calls again, and it is the boot of before.
    SpeaksAgain,
    /// The unit is not the one that hangs in that slot any more.
    NotThere,
}

/// Power cycles of one node that hangs, the last of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cycle {
    pub unit: Serial,
    pub agent: AgentId,
    /// The boot that hangs.
    pub boot: BootId,
    /// The number of the event that ordered it.
    pub order: u64,
    /// How many were ordered, with this one.
    pub tries: u32,
    /// When and how its program ended.
    pub ended: Option<(u64, CycleEnd)>,
    /// Nothing more is done by itself: a person looks.
    pub given_up: bool,
}

/// What people are shown of power cycles of a node that hangs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cycling {
    /// A person may order one.
    Asked,
    /// One was ordered, and its boot is waited for.
    UnderWay { tries: u32 },
    /// All were in vain: a person has to look.
    GivenUp,
}

/// Why no power cycle is ordered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoCycle {
    #[error("this floor power-cycles nothing; see `power-cycle` in docs/floor.md")]
    NoRules,
    #[error("nothing is known of the BMC of unit {0}; scan its slot, and name the slot's BMC at `bmc` of its rack")]
    NoBmc(Serial),
    #[error("unit {0} is not silent long enough; wait, or look at it")]
    NotSilent(Serial),
    #[error("unit {0} is not at a test, or is held; look at it instead")]
    NotWanted(Serial),
    #[error("another unit or agent may be in the slot of unit {0}; look at it before anything is switched off")]
    Doubtful(Serial),
    #[error("a power cycle of unit {0} is under way; wait for what comes of it")]
    UnderWay(Serial),
    #[error(
        "unit {0} was power-cycled in vain as often as is allowed; switch it off and on at its feed, or look at it"
    )]
    GivenUp(Serial),
}

/// A node that hangs.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Hanging {
    slot: SlotId,
    agent: AgentId,
    boot: BootId,
}

impl FloorState {
    pub(super) fn of_cycles(&mut self, stamped: &Stamped) {
        match &stamped.event {
            FloorEvent::PowerCycleOrdered { unit, slot, agent, boot, tries, .. } => {
                let (unit, agent, boot) = (unit.clone(), agent.clone(), boot.clone());
                let cycle =
                    Cycle { unit, agent, boot, order: stamped.seq, tries: *tries, ended: None, given_up: false };
                self.cycles.insert(slot.clone(), cycle);
            }
            FloorEvent::PowerCycleEnded { slot, order, end } => {
                if let Some(cycle) = self.cycles.get_mut(slot).filter(|cycle| cycle.order == *order) {
                    cycle.ended.get_or_insert((stamped.at, end.clone()));
                }
            }
            FloorEvent::PowerCycleDropped { slot, .. } => drop(self.cycles.remove(slot)),
            FloorEvent::PowerCycleGivenUp { slot, .. } => {
                if let Some(cycle) = self.cycles.get_mut(slot) {
                    cycle.given_up = true;
                }
            }
            // Another boot of the same agent is the proof.
            FloorEvent::AgentMet { agent, boot, .. } => {
                self.cycles.retain(|_, cycle| cycle.agent != *agent || cycle.boot == *boot);
            }
            _ => {}
        }
    }

    /// Orders whose program has not ended, by slot and the number of the order.
    pub fn cycles_open(&self) -> impl Iterator<Item = (&SlotId, u64)> {
        let open = self.cycles.iter().filter(|(_, cycle)| cycle.ended.is_none());
        open.map(|(slot, cycle)| (slot, cycle.order))
    }
}

impl Floor {
    /// Whether a person may order a power cycle of a unit's node now.
    pub fn may_cycle(&self, unit: &Serial) -> Result<(), NoCycle> {
        self.orderable(unit).map(drop)
    }

    /// What people are shown of power cycles of a unit's node; None of a node that needs none.
    pub fn cycling(&self, unit: &Serial) -> Option<Cycling> {
        match self.state.cycles.values().find(|cycle| cycle.unit == *unit) {
            Some(Cycle { given_up: true, .. }) => Some(Cycling::GivenUp),
            Some(Cycle { tries, .. }) => Some(Cycling::UnderWay { tries: *tries }),
            None => self.may_cycle(unit).is_ok().then_some(Cycling::Asked),
        }
    }

    fn orderable(&self, unit: &Serial) -> Result<Hanging, NoCycle> {
        let hanging = self.hanging(unit)?;
        match self.state.cycles.get(&hanging.slot) {
            Some(cycle) if !cycle.given_up => Err(NoCycle::UnderWay(unit.clone())),
            Some(cycle) if cycle.unit == *unit && cycle.boot == hanging.boot => Err(NoCycle::GivenUp(unit.clone())),
            _ => Ok(hanging),
        }
    }

    /// For how long nothing was heard of an agent, as far as this floor's process can say.
    fn silent_for(&self, agent: &AgentId) -> Duration {
        let last = self.heard.get(agent).copied().or(self.began).unwrap_or(self.last);
        Duration::from_micros(self.last.saturating_sub(last))
    }

    /// The node of a unit, if it hangs and is without doubt the one in its slot.
    fn hanging(&self, unit: &Serial) -> Result<Hanging, NoCycle> {
        let rules = self.policy.power_cycle.as_ref().ok_or(NoCycle::NoRules)?;
        let no_bmc = || NoCycle::NoBmc(unit.clone());
        let known = self.state.units.get(unit).ok_or_else(no_bmc)?;
        if !matches!(known.stage, Stage::Assigned(_) | Stage::Ready) {
            return Err(NoCycle::NotWanted(unit.clone()));
        }
        let (Some(slot), Some(id)) = (&known.slot, &known.agent) else { return Err(no_bmc()) };
        self.policy.site.bmc(slot).ok_or_else(no_bmc)?;
        let Some(agent) = self.state.agents.get(id) else { return Err(no_bmc()) };
        if self.silent_for(id) < rules.after {
            return Err(NoCycle::NotSilent(unit.clone()));
        }
        let is_it = agent.serial.as_ref() == Some(unit) && agent.slot.as_ref().is_none_or(|said| said == slot);
        let other_unit =
            self.state.all_in(slot).any(|(other, at)| other != unit && !matches!(at.stage, Stage::Disposed(_)));
        let speaks = |(other, at): (&AgentId, &super::state::AgentState)| {
            let is_here = at.slot.as_ref() == Some(slot) || at.serial.as_ref() == Some(unit);
            other != id && is_here && self.silent_for(other) < rules.after
        };
        if !is_it || agent.held.is_some() || other_unit || self.state.agents.iter().any(speaks) {
            return Err(NoCycle::Doubtful(unit.clone()));
        }
        Ok(Hanging { slot: slot.clone(), agent: id.clone(), boot: agent.boot.clone() })
    }

    /// Whether this node alone is silent: none beside it in its rack, and few on the whole floor. What many show alike is their
    /// network's, or the floor's own.
    fn is_alone(&self, hanging: &Hanging) -> bool {
        let rack = |slot: Option<&SlotId>| slot.and_then(|slot| self.policy.site.spot(slot)).map(|spot| spot.rack);
        let own = rack(Some(&hanging.slot));
        let at_work = self.state.units.values().filter(|unit| matches!(unit.stage, Stage::Assigned(_) | Stage::Ready));
        let quiet = at_work.filter(|unit| unit.agent.as_ref().is_some_and(|agent| self.silent_for(agent) >= QUIET));
        let (mut beside, mut all) = (0, 0);
        for unit in quiet {
            all += 1;
            beside += usize::from(rack(unit.slot.as_ref()) == own);
        }
        beside == 1 && all < ALIKE
    }
}

impl Handling<'_> {
    /// An agent is there. What was ordered because it was silent counts no more.
    pub(super) fn hears(&mut self, sync: &Sync) {
        self.floor.heard.insert(sync.agent.clone(), self.tick.now);
        let of_it = self.floor.state.cycles.iter().filter(|(_, cycle)| cycle.agent == sync.agent);
        let of_it: Vec<SlotId> = of_it.map(|(slot, _)| slot.clone()).collect();
        for slot in of_it {
            let why = CycleDropped::SpeaksAgain;
            self.record(Actor::Floor, FloorEvent::PowerCycleDropped { slot, why });
        }
    }

    pub(super) fn cycle_ordered(&self, unit: Serial, why: String) -> Result<FloorEvent, NoCycle> {
        let Hanging { slot, agent, boot } = self.floor.orderable(&unit)?;
        Ok(FloorEvent::PowerCycleOrdered { unit, slot, agent, boot, tries: 1, why })
    }

    /// Its program has ended. One that is told twice, or of an order that counts no more, is no news.
    pub(super) fn cycle_ended(&mut self, slot: SlotId, order: u64, end: CycleEnd) {
        if self.floor.state.cycles_open().any(|(at, open)| (at, open) == (&slot, order)) {
            self.record(Actor::Floor, FloorEvent::PowerCycleEnded { slot, order, end });
        }
    }

    /// Takes power cycles on by what time it is: what was in vain is tried again or given up, and where the rules say so, a node that
    /// hangs alone is power-cycled.
    pub(super) fn mind_cycles(&mut self) {
        let Some(rules) = self.floor.policy.power_cycle.clone() else { return };
        let back = u64::try_from(rules.back.as_micros()).unwrap_or(u64::MAX);
        let is_due = |cycle: &Cycle| {
            let until = cycle.ended.as_ref().map(|(at, _)| at.saturating_add(back));
            !cycle.given_up && until.is_some_and(|until| until <= self.tick.now)
        };
        let due = self.floor.state.cycles.iter().filter(|(_, cycle)| is_due(cycle));
        let due: Vec<(SlotId, Cycle)> = due.map(|(slot, cycle)| (slot.clone(), cycle.clone())).collect();
        for (slot, Cycle { unit, agent, boot, tries, .. }) in due {
            let found = self.floor.hanging(&unit);
            // A floor that began anew waits until it knows.
            if matches!(found, Err(NoCycle::NotSilent(_))) {
                continue;
            }
            let is_it = found.is_ok_and(|hanging| (&hanging.slot, &hanging.boot) == (&slot, &boot));
            let event = if !is_it {
                FloorEvent::PowerCycleDropped { slot, why: CycleDropped::NotThere }
            } else if tries >= rules.tries {
                FloorEvent::PowerCycleGivenUp { slot, unit, tries }
            } else {
                let why = "the one before was in vain".to_owned();
                FloorEvent::PowerCycleOrdered { unit, slot, agent, boot, tries: tries + 1, why }
            };
            self.record(Actor::Floor, event);
        }
        if rules.by == OrderedBy::Rule {
            self.cycle_by_rule(&rules);
        }
    }

    fn cycle_by_rule(&mut self, rules: &CycleRules) {
        let state = &self.floor.state;
        let assigned = state.units.iter().filter(|(_, unit)| matches!(unit.stage, Stage::Assigned(_)));
        let found = assigned.filter_map(|(serial, _)| {
            let hanging = self.floor.orderable(serial).ok()?;
            self.floor.is_alone(&hanging).then(|| (serial.clone(), hanging))
        });
        let found: Vec<(Serial, Hanging)> = found.collect();
        for (unit, Hanging { slot, agent, boot }) in found {
            let why = format!("silent for {} minutes and more", rules.after.as_secs() / 60);
            self.record(Actor::Floor, FloorEvent::PowerCycleOrdered { unit, slot, agent, boot, tries: 1, why });
        }
    }
}
