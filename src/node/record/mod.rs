//! A node's readings kept in a file, and a node played from one.
//!
//! A recording is of one node over one stretch of time. What loads did meanwhile is not in it.

mod line;
mod recorder;
mod replay;

pub use line::{RECORDING_SCHEMA, Recording, RecordingError};
pub use recorder::Recorder;
pub use replay::Replay;
