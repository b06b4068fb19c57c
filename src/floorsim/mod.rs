//! A floor with its agents in virtual time, to find what breaks: no socket, no disk, no clock.
//!
//! `operator` has a person at work who makes mistakes, and asks whether ever a wrong unit is started. `power` asks only
//! whether more is ever drawn than a place bears. `world` has whole agents with faults of network and hosts, and checks
//! after each that nothing was lost, doubled or made up; its runs are scripted, or the real engine's on simulated nodes
//! (`real`). `drill` plants defects of the floor itself (cooling, image, slot, lot, station) and counts which the floor
//! names. Everything follows from a seed.

mod bmc;
mod carrying;
mod chance;
mod drill;
mod due;
mod faults;
mod hands;
mod invariants;
mod leg;
mod node;
mod operator;
mod operator_day;
mod ordered;
mod outcome;
mod packed;
mod power;
mod power_site;
mod process;
mod real;
mod rollout;
mod serving;
mod trouble;
mod world;

pub use bmc::Bmc;
pub use drill::{Defect, Drilled, drill};
pub use faults::{Fault, Faults};
pub use operator::operator_day;
pub use operator_day::{Mistake, OperatorDay};
pub use outcome::{EngineRuns, SimSettings, Simulated};
pub use power::{Breach, PowerOutcome, PowerSettings, power};
pub use real::{RealRuns, RealRunsError};
pub use rollout::NewProgram;
pub use world::simulate;
