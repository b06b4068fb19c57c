//! Who calls: an agent that was met before, its next boot, a call of the boot before that was long on its way, or a second
//! machine under the same name; and what a unit finds in the slot it comes into.
//!
//! A boot that ended, the next one and a copied disk look the same at first: another boot under one name. An agent says how far
//! the floor was in the last answer that it had. Whoever had an answer that was given after the present boot was met is there.

use kiln_wire::{Doing, Held, RunId, Serial, SlotId, Sync};

use super::event::{Actor, FloorEvent};
use super::machine::Handling;
use super::state::{Stage, UnitState};

impl Handling<'_> {
    /// Notes who calls, and holds an agent of whom there are two. Returns whether a held agent may go on, and None for a call of another
    /// boot that may have come late: it says nothing of now.
    pub(super) fn meet(&mut self, sync: &Sync) -> Option<bool> {
        let actor = || Actor::Agent(sync.agent.clone());
        let agent = || sync.agent.clone();
        let known = self.floor.state.agents.get(&sync.agent);
        let other_boot = known.filter(|agent| agent.boot != sync.boot);
        let earlier = other_boot.and_then(|agent| agent.earlier_boots.get(&sync.boot)).copied();
        let met = earlier.or(other_boot.map(|agent| agent.met));
        // A boot that ended before the present one's first call had no answer that was given later; the next boot, or another machine,
        // has one at its second call. An agent that does not say what it had is believed to be there.
        let is_there = |met: u64| !sync.wire.says_what_it_heard() || sync.heard.is_some_and(|heard| heard > met);
        if met.is_some_and(|met| !is_there(met)) {
            return None;
        }
        let freed = known.and_then(|agent| agent.freed.clone());
        let unit = sync.serial.as_ref().and_then(|serial| self.floor.state.units.get(serial));
        let alone = unit.is_some_and(|unit| unit.agent.is_none());
        let (held, same) = known.map_or((None, false), |agent| {
            let same = agent.boot == sync.boot && agent.serial == sync.serial && !alone;
            let same = same && agent.slot == sync.slot && agent.version == sync.version;
            (agent.held.clone(), same && agent.program == sync.program)
        });
        if earlier.is_some() {
            if held.is_none() {
                self.record(Actor::Floor, FloorEvent::AgentHeld { agent: agent(), why: Held::ClonedAgent });
            }
            return Some(false);
        }
        if !same {
            let (boot, serial) = (sync.boot.clone(), sync.serial.clone());
            let (slot, version, program) = (sync.slot.clone(), sync.version.clone(), sync.program.clone());
            let known = serial.clone().and_then(|serial| Some((serial.clone(), self.floor.state.units.get(&serial)?)));
            let before = known.map(|(serial, unit)| (serial, unit.slot.clone()));
            self.record(actor(), FloorEvent::AgentMet { agent: agent(), boot, serial, slot, version, program });
            if let Some((unit, before)) = before
                && !matches!(self.floor.state.units.get(&unit).map(|unit| &unit.stage), Some(Stage::Held(_)))
            {
                self.came_into(&unit, before.as_ref());
            }
        }
        let aside = |run: &RunId| self.floor.state.set_aside.contains(run);
        match (&sync.doing, freed) {
            // An agent that was started again has forgotten what was set aside.
            (
                Doing::Held(Held::ForkedJournal { run } | Held::Unverified { run } | Held::OtherProgram { run, .. }),
                None,
            ) if held.is_none() && aside(run) => {
                return Some(true);
            }
            // What a person has looked at is no reason to hold it once more.
            (Doing::Held(why), Some(freed)) if *why == freed => return Some(true),
            // What holds an agent is told once; only a person frees it.
            (Doing::Held(why), _) if held.is_none() => {
                self.record(actor(), FloorEvent::AgentHeld { agent: agent(), why: why.clone() });
            }
            (Doing::Idle | Doing::Running { .. }, Some(_)) => {
                self.record(actor(), FloorEvent::AgentWentOn { agent: agent() });
            }
            _ => {}
        }
        Some(false)
    }

    /// Holds a unit that has come into a slot in which another is on its way. One that was done with there is taken out
    /// before the next is put in, and nobody scans that.
    pub(super) fn came_into(&mut self, unit: &Serial, before: Option<&SlotId>) {
        let state = &self.floor.state;
        let slot = state.units.get(unit).and_then(|unit| unit.slot.clone()).filter(|slot| Some(slot) != before);
        let Some(slot) = slot else { return };
        let is_there =
            |(serial, other): &(&Serial, &UnitState)| *serial != unit && !matches!(other.stage, Stage::Disposed(_));
        let other = state.all_in(&slot).find(is_there).map(|(other, _)| other.clone());
        if let Some(other) = other {
            self.hold(unit.clone(), Held::SlotTaken { slot, other });
        }
    }
}
