//! Checks: kinds of test, one file each. A check is a pure fold: it sees observations and says what it wants.
//!
//! A check never waits, reads or starts anything by itself, and never judges: limits are the engine's to apply.

mod contract;

pub use contract::{Check, CheckRun, Done, Seen, StepContext, Want, Wants};
