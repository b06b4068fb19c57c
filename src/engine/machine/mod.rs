//! The machine: what it is and takes in (`core`), how it begins, how steps go, how things are stopped, how the node is started
//! anew. Its parts have their own state: what a run is opened with, the loads, the sampling.

mod beginning;
mod core;
mod loads;
mod opening;
mod restarting;
#[cfg(test)]
mod restarting_tests;
#[cfg(test)]
mod resuming;
mod sampling;
mod stepping;
mod stopping;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod toy;

pub use beginning::Refusal;
pub use core::{Equipment, Machine};
