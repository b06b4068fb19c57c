//! Short runs for the tests of those who read records: one for every way a run can end.
//!
//! The engine makes every one of them, in virtual time on a simulated node of two GPUs. What a report says of them is
//! therefore what it says of a record that the program can make. Two things are the caller's in real runs as well, and
//! chosen here: who runs what (`RunStart`), and when the program is stopped from outside.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "numbers of tests and stand-ins are small, or words that are taken as they are"
)]

mod endings;
mod run;
#[cfg(test)]
mod verdict_tests;

pub use endings::endings;
pub use run::{GPUS, Story};
