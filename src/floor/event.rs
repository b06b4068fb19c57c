//! What happened on a floor: each event a fact, with who made it so. The list of them is the audit log.

use kiln_event::{NodeSource, VerdictWord};
use kiln_wire::{AgentId, Assignment, BootId, Generation, Held, RunId, Serial};
use serde::{Deserialize, Serialize};

/// Who made something so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Actor {
    /// The floor, by its rules.
    Floor,
    Agent(AgentId),
    /// A person, by the name of their badge.
    Person(String),
}

/// What is done with a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Disposition {
    /// Every run of its route passed.
    Released,
    /// A run proved it bad.
    Repair,
}

/// What the floor found out about a finished run by reading its own copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunFacts {
    pub run: RunId,
    /// The verdict as rolled up from the cases, not the word that was sent.
    pub verdict: VerdictWord,
    /// The run was narrowed, or its profile is not what was assigned: a pass of it is no acceptance.
    pub partial: bool,
    /// The serial number the node said in the run, where it says one.
    pub serial: Option<Serial>,
    /// Digest of the profile that was run.
    pub profile_digest: String,
    /// Codes of its findings, most important first.
    pub codes: Vec<String>,
    /// Where its readings came from; None where that is not known.
    #[serde(default)]
    pub source: Option<NodeSource>,
}

/// A fact about the floor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FloorEvent {
    /// An agent called for the first time, after another boot, or with another serial number.
    AgentMet {
        agent: AgentId,
        boot: BootId,
        serial: Option<Serial>,
    },
    AgentHeld {
        agent: AgentId,
        why: Held,
    },
    AgentFreed {
        agent: AgentId,
    },
    /// A person scanned a unit, at an agent's place or without one.
    UnitScanned {
        unit: Serial,
        at: Option<AgentId>,
    },
    UnitHeld {
        unit: Serial,
        why: Held,
    },
    /// A person looked at why a unit was held and lets it go on.
    UnitFreed {
        unit: Serial,
    },
    Assigned {
        agent: AgentId,
        assignment: Assignment,
    },
    /// The whole of a run is here and verifies.
    RunArrived {
        unit: Serial,
        generation: Generation,
        facts: RunFacts,
    },
    Disposed {
        unit: Serial,
        disposition: Disposition,
    },
    /// A person recorded that the unit was worked on: earlier fails no longer count against a pass.
    Reworked {
        unit: Serial,
        what: String,
    },
}

/// An event with its number, its time and who made it so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamped {
    /// Counts from 0 without gaps.
    pub seq: u64,
    /// Microseconds since 1970, UTC.
    pub at: u64,
    pub actor: Actor,
    pub event: FloorEvent,
}
