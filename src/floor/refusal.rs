//! Why the floor does not take an input.

use kiln_wire::{AgentId, PlaceId, RunId, Serial, SlotId, VersionError};

use super::identity::IdentityError;
use super::power_cycle::NoCycle;

/// Why an input is refused. Nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error(transparent)]
    Version(#[from] VersionError),
    #[error("no unit {0} was scanned here; scan it first")]
    UnknownUnit(Serial),
    #[error("no agent {0} has called here")]
    UnknownAgent(AgentId),
    #[error("run {0} was never assigned here")]
    UnknownRun(RunId),
    #[error("this floor has no slot {0}; see `racks` in its file")]
    UnknownSlot(SlotId),
    #[error("this floor has no place {0}; see `power`, `cooling` and `racks` in its file")]
    UnknownPlace(PlaceId),
    #[error("unit {0} is not held; there is nothing to let go on")]
    NotHeld(Serial),
    #[error("agent {0} is not held; there is nothing to let go on")]
    AgentNotHeld(AgentId),
    #[error("unit {unit} is being tested by run {run}; wait for its end")]
    UnderTest { unit: Serial, run: RunId },
    #[error("run {0} was granted no power that it still has")]
    NoGrant(RunId),
    #[error("nothing is suspected of that")]
    NotSuspect,
    #[error("starts are not stopped")]
    NotStopped,
    #[error("to release a unit that is held takes two persons; give the name of another than your own")]
    SecondPerson,
    #[error("unit {0} cannot be released: its last run, as it is here, did not pass the last stop of the route")]
    NotPassed(Serial),
    #[error(
        "unit {0} met every limit, so that nothing is proven that could be repaired; release it with a second person, scrap \
         it, or let it be tested again"
    )]
    NothingProven(Serial),
    #[error(
        "the last run of unit {0} was not held against the parts list that the floor has for it; let it go on, so that it is tested \
         with it"
    )]
    OtherParts(Serial),
    #[error("the part that was taken out of unit {0} and the one put in have the same serial number; scan both again")]
    SamePart(Serial),
    #[error("nobody has asked to release unit {0}; one person asks, another one agrees")]
    NotAsked(Serial),
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    PowerCycle(#[from] NoCycle),
    #[error("{0} is not locked out")]
    NotLocked(String),
    #[error("a person releases or scraps a unit, or sends it to repair; nothing else")]
    NoDecision,
    #[error("the rollout of a program to agents has not stopped; there is nothing to let go on")]
    RolloutGoesOn,
}
