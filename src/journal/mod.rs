//! The journal: `journal.jsonl`, every event of a run, one JSON object a line, chained by hashes and synced.
//!
//! Line 1 is a header with the schema's version. Every line ends in `,"chain":"…"}`: the SHA-256 over the chain value
//! of the line before (32 zero bytes before the first) and the bytes of this line up to the comma. What the events mean
//! is for `event`.
//!
//! A newer minor version may add kinds of events and fields; a newer major version is refused. The header's form, the
//! chain included, is the same in all versions.

mod error;
#[cfg(test)]
mod fixtures;
mod line;
mod lines;
mod read;
mod write;

pub use error::{JournalError, LinePlace};
pub use lines::Lines;
pub use read::{JournalFile, Read, Torn, read, read_sound};
pub use write::{Durability, Journal, WallClock};

/// The journal's name inside a run directory.
pub const FILE_NAME: &str = kiln_disk::JOURNAL.name;

/// Version of the format this program writes, and the newest major version it reads.
///
/// 1.0 had reasons, missing values, causes of trips and evidence as English sentences, and did not record how a step ended.
pub const VERSION: (u32, u32) = (1, 1);
