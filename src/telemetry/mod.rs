//! Telemetry: every sensor of every GPU at every tick, as compressed columns on disk while the run goes on.
//!
//! One file, `telemetry/samples.ktb`, of frames that are only ever appended. A frame is `F5 4B 4C 4E`, a kind, a number
//! that counts from 0, the payload's length, a checksum over all of these and the payload, and the payload. The first
//! frame is a header in JSON that names the sensors with unit and resolution; a block holds the columns of some minutes,
//! per GPU and sensor; an end frame says that the run came to its end. A kill loses at most the block then open, and the
//! reader says so. What the values mean is for `model`; Parquet is made from the blocks afterwards.
//!
//! A newer minor version may add kinds of frames, fields and sensors; a newer major version is refused. The form of
//! frames and that of the header are the same in all versions.

mod block;
mod column;
mod error;
mod export;
mod frame;
mod gap;
mod header;
mod read;
mod varint;
mod write;

pub use block::{Block, GpuColumns};
pub use error::TelemetryError;
pub use export::{ExportError, Labels, export};
pub use gap::Gap;
pub use read::{Reader, whole_frames};
pub use write::{Safety, Telemetry};

/// The folder of telemetry inside a run directory, and the file in it.
pub const FOLDER: &str = "telemetry";
pub const FILE_NAME: &str = "samples.ktb";

/// The most that is read of telemetry: 72 hours of eight GPUs at a sample a second are 9 MB.
const MOST: u64 = 16 * kiln_disk::GIB;

/// Version of the format this program writes, and the newest major version it reads.
pub const VERSION: (u32, u32) = (1, 0);
