//! The engine: a pure machine that turns inputs into effects, and the drivers that wait and act for it.
//!
//! The machine knows no clock, no thread, no file; [`drive`] does.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "this crate has not been gone through by file yet"
)]

mod active;
pub mod drive;
mod guard;
mod judging;
mod link_rest;
mod machine;
mod port;
mod rejudge;
mod schedule;
mod stand_in;

pub use kiln_model::{Arrivals, Dut};
pub use machine::{Equipment, Machine, Refusal};
pub use port::{Effect, OperatorReply, RunInput, RunTick, Signal, Witness};
pub use rejudge::{Against, Note, RejudgeError, Rejudged, rejudge};
