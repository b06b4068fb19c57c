//! Real GPUs, through NVIDIA's management library.
//!
//! The library is opened at run time and never closed. Every GPU has a thread of its own for its calls; nobody waits for
//! a call without a deadline. What the machine around the GPUs says is read by `host`.

mod batch;
mod clock;
mod counters;
mod device;
mod events;
mod facts;
mod field;
mod follow;
mod gather;
mod library;
mod links;
mod nvml_node;
mod offered;
mod open_error;
mod outcome;
mod raw;
mod reader_threads;
mod stalls;
mod tick;

pub use library::{DEFAULT_LIBRARY, LibraryFacts, library_facts};
pub use nvml_node::{NvmlNode, NvmlOptions};
pub use offered::{Generation, RELEASES, lacking};
pub use open_error::NvmlOpenError;
pub use reader_threads::Deadlines;
