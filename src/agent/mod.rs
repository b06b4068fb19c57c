//! The agent of a node, as a machine: facts in, requests out.
//!
//! It compares what the floor wants with what is so, starts or resumes the run that is wanted, and offers the floor the
//! bytes of every journal that it holds less of. Time, the disk, the network and the processes are arguments: the
//! adapter around it looks, and carries out what comes back. The floor may stop any decision of the agent's but never a
//! run: with the floor gone the run goes on, ends, and is shipped later.

mod machine;
mod patience;
mod shipping;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_parts;
mod upgrading;

pub use machine::{Agent, Effect, Facts, Input, Tick};
pub use upgrading::Being;
