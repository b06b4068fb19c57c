//! Drills: a profile run against nodes with known defects, and what that says about the profile.
//!
//! The pure part: reading a run's record for what proved the defect, sorting runs into caught and escaped, the matrix, the
//! intervals, what a shorter profile would lose, and the forms all this is told in. Making the runs is the command line's.

mod classify;
mod comparison;
mod curve;
mod defect;
mod document;
mod healthy;
mod junit;
mod matrix;
mod naming;
mod page;
mod page_words;
mod proof;
mod shortening;
mod text;
mod text_shortening;
mod times;
mod trial;
mod tune;

pub use classify::classify;
pub use comparison::comparison;
pub use curve::{Curve, Point};
pub use defect::{Called, Defect, Wanted};
pub use document::{Allowed, DRILL_SCHEMA, Drill, document, drill_schema};
pub use healthy::{Against, FalseAlarm, Healthy, HealthyRun};
pub use junit::junit;
pub use kiln_lot::{Interval, wilson_95};
pub use matrix::{Cell, Coverage, LeftOut, LeftOutWhy, Row};
pub use page::page;
pub use shortening::{
    Again, Cheapest, IntermittentFault, Known, Shortening, SoakCut, StepValue, lengths, needless, with_less, without,
};
pub use text::text;
pub use trial::{Caught, Ending, Naming, StepTime, Trial};
pub use tune::{LEAST_HEALTHY, Look, Proposal, Tuning, tune};
