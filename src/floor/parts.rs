//! What units were ordered with: a parts list for each (`kiln.parts/1`), against which its runs are held.
//!
//! A list is an event with its whole text, so that the floor's events alone say what a unit was held against. An assignment pins
//! it by its digest; a run counts if its own journal says that digest. One that was made without the list that the floor has, or
//! with one of before, releases nothing: a drive that is missing and a part of another order are seen by the list alone.

use std::sync::Arc;

use kiln_profile::PartsList;
use kiln_wire::{Digest, Generation, Held, PARTS_MOST, Serial};
use kiln_yaml::Diagnostics;

use super::event::{Actor, FloorEvent, RunFacts};
use super::machine::Handling;
use super::policy::Policy;
use super::state::{FloorState, RunOutcome, Stage};

/// The parts list of one unit, as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitParts {
    pub(super) unit: Serial,
    pub(super) order: Option<String>,
    pub(super) digest: Digest,
    pub(super) text: String,
}

/// Why something is no parts list of a unit.
#[derive(Debug, thiserror::Error)]
pub enum UnitPartsError {
    #[error("{name} has {size} bytes, and a parts list has at most {PARTS_MOST}")]
    TooBig { name: String, size: u64 },
    #[error("{0}")]
    NoList(#[from] Diagnostics),
    #[error("{name} is no text in UTF-8")]
    NoText { name: String },
    #[error("{name} does not say which unit it is of; write its serial number, such as `serial: SGH123`")]
    NoUnit { name: String },
    #[error("{name} is of unit {listed}, and was given for unit {of}")]
    OtherUnit { name: String, listed: Serial, of: Serial },
    #[error("{name}: `serial`: {why}")]
    NoSerial { name: String, why: String },
}

impl UnitParts {
    /// Reads a list; `name` is what messages call it, `of` the unit it was given for, where that is said beside it.
    pub fn read(name: &str, bytes: &[u8], of: Option<&Serial>) -> Result<Self, UnitPartsError> {
        let named = || name.to_owned();
        let size = bytes.len() as u64;
        if size > PARTS_MOST {
            return Err(UnitPartsError::TooBig { name: named(), size });
        }
        let list = PartsList::read(name, bytes)?;
        let text = String::from_utf8(bytes.to_vec()).map_err(|_| UnitPartsError::NoText { name: named() })?;
        let wrong = |why: String| UnitPartsError::NoSerial { name: named(), why };
        let listed = list.serial.as_deref().map(str::parse::<Serial>).transpose();
        let unit = match (listed.map_err(|error| wrong(error.to_string()))?, of) {
            (None, None) => return Err(UnitPartsError::NoUnit { name: named() }),
            (Some(listed), Some(of)) if listed != *of => {
                return Err(UnitPartsError::OtherUnit { name: named(), listed, of: of.clone() });
            }
            (Some(listed), _) => listed,
            (None, Some(of)) => of.clone(),
        };
        let digest = list.digest.parse().map_err(|error| wrong(format!("{error}")))?;
        Ok(Self { unit, order: list.order, digest, text })
    }

    pub const fn unit(&self) -> &Serial {
        &self.unit
    }

    pub const fn digest(&self) -> &Digest {
        &self.digest
    }
}

/// The list that a unit is held against now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ordered {
    pub digest: Digest,
    pub order: Option<String>,
    /// Microseconds since 1970, UTC.
    pub at: u64,
    /// Runs of earlier generations than this were assigned before the floor had it.
    from: Generation,
}

/// Whether a unit may begin without a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PartsRule {
    /// Units for which the floor has a list are held against it, the others are tested without.
    #[default]
    WhereThereIsOne,
    /// Nothing begins of a unit without a list.
    Required,
}

impl FloorState {
    /// Which list a run of this unit must be held against, if its profile compares one.
    pub(super) fn wanted_parts(&self, unit: &Serial, compares: bool) -> Option<Digest> {
        self.ordered.get(unit).filter(|_| compares).map(|ordered| ordered.digest.clone())
    }

    pub(super) fn ordered_with(
        &mut self,
        serial: &Serial,
        digest: &Digest,
        order: Option<&String>,
        text: &str,
        at: u64,
    ) {
        self.lists.entry(digest.clone()).or_insert_with(|| Arc::from(text));
        let mut from = Generation::default();
        if let Some(unit) = self.units.get_mut(serial) {
            from = unit.generation.next();
            if !unit.passed.is_empty() {
                // Its route begins anew, and a manufacturing system was asked about a later stop of it.
                (unit.passed, unit.unnamed, unit.cleared) = (Vec::new(), None, None);
            }
        }
        self.ordered.insert(serial.clone(), Ordered { digest: digest.clone(), order: order.cloned(), at, from });
    }

    /// Whether a run was made with the list that the floor has for the unit, as far as its profile compares one.
    pub(super) fn is_as_ordered(&self, unit: &Serial, generation: Generation, facts: &RunFacts) -> bool {
        let Some(ordered) = self.ordered.get(unit) else { return true };
        let wanted = self.runs.get(&facts.run).and_then(|run| run.parts.as_ref());
        generation >= ordered.from && wanted.is_none_or(|wanted| facts.parts.as_ref() == Some(wanted))
    }

    /// The same of a run that has arrived, for a unit that is to be released on it.
    pub(super) fn bears_out(&self, unit: &Serial, policy: &Policy, outcome: &RunOutcome) -> bool {
        let is_compared = policy.route.iter().any(|stop| stop.compares_parts);
        self.is_as_ordered(unit, outcome.generation, &outcome.facts)
            && (is_compared || !self.ordered.contains_key(unit))
    }
}

impl Handling<'_> {
    /// Takes a unit's list in. Another one than before begins the unit's route anew, and holds a unit that is being tested by
    /// what is no longer so.
    pub(super) fn ordered(&mut self, list: UnitParts) {
        let UnitParts { unit, order, digest, text } = list;
        let state = &self.floor.state;
        if state.ordered.get(&unit).is_some_and(|ordered| ordered.digest == digest) {
            return;
        }
        let under_test = match state.units.get(&unit).map(|unit| &unit.stage) {
            Some(Stage::Assigned(assignment)) => Some((assignment.run.clone(), assignment.parts.clone())),
            _ => None,
        };
        let wanted = digest.clone();
        self.record(Actor::Floor, FloorEvent::PartsListed { unit: unit.clone(), order, parts: digest, text });
        if let Some((run, made)) = under_test {
            self.hold(unit, Held::OtherParts { run, wanted, made });
        }
    }
}
