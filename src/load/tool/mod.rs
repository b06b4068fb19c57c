//! Other people's test programs: how each is called and what its output says, as measurements with units and components.
//!
//! Output that does not say what it should is an error that keeps the text: never a pass. `runner` runs them inside
//! a worker. Judging what they measured is left to others.

mod dcgm;
mod gpu_burn;
mod host;
mod nccl;
mod network;
mod nvbandwidth;
mod program;
pub(crate) mod runner;
mod values;

pub use program::Unreadable;
