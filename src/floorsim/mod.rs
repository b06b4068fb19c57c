//! A floor with its agents in virtual time, to find what breaks: no socket, no disk, no clock.
//!
//! `operator` has a person at work who makes mistakes, and asks whether ever a wrong unit is started. `power` asks only
//! whether more is ever drawn than a place bears. `world` has whole agents with faults of network and hosts, and checks
//! after each that nothing was lost, doubled or made up. `drill` plants defects of the floor itself (cooling, image, slot,
//! lot, station) and counts which the floor names. Everything follows from a seed.

mod chance;
mod drill;
mod due;
mod faults;
mod invariants;
mod node;
mod operator;
mod operator_day;
mod outcome;
mod power;
mod power_site;
mod rollout;
mod serving;
mod trouble;
mod world;

pub use drill::{Defect, Drilled, drill};
pub use faults::{Fault, Faults};
pub use operator::operator_day;
pub use operator_day::{Mistake, OperatorDay};
pub use outcome::{SimSettings, Simulated};
pub use power::{Breach, PowerOutcome, PowerSettings, power};
pub use rollout::NewProgram;
pub use world::simulate;
