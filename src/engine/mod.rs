//! The engine: a pure machine that turns inputs into effects, and the drivers that wait and act for it.
//!
//! The machine knows no clock, no thread, no file; [`drive`] does.

mod port;

pub use port::{Effect, Inbox, Input, OperatorReply, Signal, Station, Witness};
