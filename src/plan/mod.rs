//! A profile resolved on one node: which step runs on which components, with which limits, for how long.
//!
//! Pure data from pure functions: the same profile on the same inventory is the same plan.

mod planned;

pub use planned::{Plan, PlannedStage, PlannedStep, Readiness};
