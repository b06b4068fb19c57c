//! The engine: a pure machine that turns inputs into effects, and the drivers that wait and act for it.
//!
//! The machine knows no clock, no thread, no file; [`drive`] does.

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
