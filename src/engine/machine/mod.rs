//! The machine, in five files: what it is and takes in (`core`), how it begins, how steps go, how things are stopped,
//! how the node is started anew.

mod beginning;
mod core;
mod restarting;
#[cfg(test)]
mod restarting_tests;
#[cfg(test)]
mod resuming;
mod stepping;
mod stopping;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod toy;

pub use beginning::Refusal;
pub use core::{Equipment, Machine};
