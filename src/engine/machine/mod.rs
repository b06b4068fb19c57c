//! The machine, in four files: what it is and takes in (`core`), how it begins, how steps go, how things are stopped.

mod beginning;
mod core;
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
