//! The floor of a factory, as a machine: what agents, people and finished runs tell it goes in; what it decides comes
//! out as events, and its state is the fold of those.
//!
//! A verdict belongs to a run and never changes. A disposition belongs to the floor: what is done with the unit. Nothing
//! is released before the whole of its run has arrived and was verified by the floor itself. How messages come in, where
//! events are kept and what a page shows is for others.

mod admission;
mod assign;
mod event;
mod facts;
mod file;
mod file_places;
mod file_power_cycle;
mod file_rollout;
mod identity;
mod judge;
mod machine;
mod meeting;
mod parts;
mod policy;
mod power_cycle;
mod refusal;
mod release;
mod rollout;
mod route;
mod site;
mod state;
mod suspicion;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_changes;
#[cfg(test)]
mod tests_faults;
#[cfg(test)]
mod tests_file;
#[cfg(test)]
mod tests_identity;
#[cfg(test)]
mod tests_meeting;
#[cfg(test)]
mod tests_parts;
#[cfg(test)]
mod tests_power_cycle;
#[cfg(test)]
mod tests_release;
#[cfg(test)]
mod tests_rollout;
#[cfg(test)]
mod tests_route;
#[cfg(test)]
mod tests_rules;
#[cfg(test)]
mod tests_told;
#[cfg(test)]
mod tests_unit;

pub use admission::{Ask, Claimed, Cuts, Grant, Lack, Ledger, RAMP_WINDOW, admit};
pub use assign::Wait;
pub use event::{Actor, Because, Disposition, Evidence, FloorEvent, LotSay, Parts, RunFacts, Stamped};
pub use facts::NoFacts;
pub use file::Known;
pub use identity::{Candidate, FETCH_WITHIN, Identity, IdentityError, Listed, Rights};
pub use machine::{Act, Answer, Floor, Input, Tick};
pub use parts::{Ordered, PartsRule, UnitParts, UnitPartsError};
pub use policy::{Breaker, FaultClass, Policy, Retest, Stop};
pub use power_cycle::{BmcAddress, Cycle, CycleDropped, CycleEnd, CycleRules, Cycling, NoAddress, NoCycle, OrderedBy};
pub use refusal::Refusal;
pub use release::{Decided, Decision, Release};
pub use rollout::{Offer, Proof, Rollout, RolloutRules, Setback, Wave};
pub use route::{RouteAnswer, RouteQuestion};
pub use site::{Feed, Place, Pulses, Rack, Site, Spot, Watts};
pub use state::{AgentState, AssignedRun, FloorState, RunOutcome, Stage, UnitState, Work};
pub use suspicion::{Showing, Suspicion, binomial_tail, suspicions};
