//! What is missing from telemetry, in words a report can carry.

use std::fmt;

/// Something that was recorded and is not there, or may be so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gap {
    /// The file ends inside a frame.
    Torn { offset: u64, bytes: u64 },
    /// Bytes that are not what was written.
    Damaged { offset: u64, bytes: u64 },
    /// The frames before this place are sound, and some between are gone.
    Missing { offset: u64, frames: u64 },
    /// The run was cut short here and taken up again; what the open block held is lost, with these bytes of it on disk.
    CutShort { offset: u64, bytes: u64 },
    /// The recording never came to its end: the block open at that time is lost.
    Unclosed,
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Torn { offset, bytes } => {
                write!(f, "the last block, at byte {offset}, was torn off after {bytes} bytes and is left out")
            }
            Self::Damaged { offset, bytes } => {
                write!(f, "{bytes} bytes from byte {offset} on are not what was written and are left out")
            }
            Self::Missing { offset, frames } => write!(f, "{frames} blocks are missing before byte {offset}"),
            Self::CutShort { offset, .. } => {
                write!(f, "the run was cut short at byte {offset}; the minutes then not yet written are lost")
            }
            Self::Unclosed => f.write_str("the recording was cut short; the minutes then not yet written are lost"),
        }
    }
}
