//! Asking a manufacturing system whether a unit may be tested: nothing begins before it said yes to this very run.

use kiln_wire::{Generation, Held, Serial};

use super::event::{Actor, FloorEvent};
use super::machine::Handling;
use super::parts::UnitParts;
use super::refusal::Refusal;
use super::state::{FloorState, Stage};

/// A question to a manufacturing system. The same question has the same name however often it is asked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RouteQuestion {
    pub unit: Serial,
    /// Of the run that would begin.
    pub generation: Generation,
    /// The profile it would be.
    pub profile: String,
}

/// What the manufacturing system said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouteAnswer {
    /// Allowed; with the unit's parts list, if the system says one.
    Allowed {
        parts: Option<UnitParts>,
    },
    Refused {
        why: String,
    },
}

impl FloorState {
    /// Whether the next run of a unit was allowed.
    pub fn is_cleared(&self, unit: &Serial) -> bool {
        self.units.get(unit).is_some_and(|unit| unit.cleared == Some(unit.generation.next()))
    }

    pub(super) fn route_checked(&mut self, unit: &Serial, generation: Generation, allowed: bool) {
        if let Some(unit) = self.units.get_mut(unit) {
            unit.cleared = allowed.then_some(generation);
        }
    }
}

impl Handling<'_> {
    /// An answer to a question that is no longer asked, or was answered before, changes nothing.
    pub(super) fn route_answered(&mut self, question: RouteQuestion, answer: RouteAnswer) -> Result<(), Refusal> {
        let RouteQuestion { unit, generation, .. } = question;
        let known = self.floor.state.units.get(&unit).ok_or_else(|| Refusal::UnknownUnit(unit.clone()))?;
        let is_asked =
            known.stage == Stage::Ready && known.generation.next() == generation && known.cleared != Some(generation);
        if !is_asked {
            return Ok(());
        }
        let (allowed, why, parts) = match answer {
            RouteAnswer::Allowed { parts } => (true, String::new(), parts),
            RouteAnswer::Refused { why } => (false, why, None),
        };
        let event = FloorEvent::RouteChecked { unit: unit.clone(), generation, allowed, why: why.clone() };
        self.record(Actor::Floor, event);
        if let Some(list) = parts.filter(|list| *list.unit() == unit) {
            self.ordered(list);
        }
        if !allowed {
            self.hold(unit, Held::RouteRefused { why });
        }
        Ok(())
    }
}
