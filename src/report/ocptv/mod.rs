//! OCPTV 2.0, the output format of the Open Compute Project's test and validation work: one JSON object a line.
//!
//! The lines follow from the events one by one, so that a stream read while the run goes on, the file it leaves and the one
//! rebuilt from its journal are the same bytes. One attempt at one step is a test step; findings and the verdict stand in a
//! last step of their own. Readings of every second are not series here: the stream names the telemetry's file.

mod artifact;
mod dut;
mod rules;
mod stream;
mod told;
mod validator;

pub use rules::broken_rule;
pub use stream::{Ocptv, ocptv};
