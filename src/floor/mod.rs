//! The floor of a factory, as a machine: what agents, people and finished runs tell it goes in; what it decides comes
//! out as events, and its state is the fold of those.
//!
//! A verdict belongs to a run and never changes. A disposition belongs to the floor: what is done with the unit. Nothing
//! is released before the whole of its run has arrived and was verified by the floor itself. How messages come in, where
//! events are kept and what a page shows is for others.

mod event;
mod machine;
mod policy;
mod state;
#[cfg(test)]
mod tests;

pub use event::{Actor, Disposition, FloorEvent, RunFacts, Stamped};
pub use machine::{Answer, Floor, Input, Refusal, Tick};
pub use policy::{Policy, Stop};
pub use state::{AgentState, FloorState, RunOutcome, Stage, UnitState};
