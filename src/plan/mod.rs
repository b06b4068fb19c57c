//! A profile resolved on one node: which step runs on which components, with which limits, for how long.
//!
//! Pure data from pure functions: the same profile on the same inventory is the same plan.

mod blind;
mod make;
mod planned;

pub use make::{PlanError, make, matches_glob, models_of};
pub use planned::{BlindSpot, Plan, PlannedStage, PlannedStep, Readiness, Unmet};
