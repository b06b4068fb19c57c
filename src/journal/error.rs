//! What can be wrong with a journal, and where.

use std::io;
use std::path::PathBuf;

/// A journal that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("no journal at {}; a run directory has one, written by `kiln run`", .path.display())]
    Missing { path: PathBuf },
    #[error("{} exists already; give every run a directory of its own, or take this one up with `kiln resume`", .path.display())]
    Exists { path: PathBuf },
    #[error("{} is being written by another process; wait for it to end or stop it", .path.display())]
    InUse { path: PathBuf },
    #[error("cannot {doing} {}", .path.display())]
    Io { doing: &'static str, path: PathBuf, source: io::Error },
    #[error("{} is no kiln journal: line 1 is not its header", .path.display())]
    NotAJournal { path: PathBuf },
    #[error(
        "{} has format {}.{} and this program reads up to {}.x; use the newer program that wrote it", 
        .path.display(), .found.0, .found.1, .known.0
    )]
    NewerMajor { path: PathBuf, found: (u32, u32), known: (u32, u32) },
    #[error("{} is damaged at {place}: {what}; everything before it is sound", .path.display())]
    Damaged { path: PathBuf, place: LinePlace, what: &'static str },
    #[error("{} skips at {place}: the event has sequence number {found}", .path.display())]
    Gap { path: PathBuf, place: LinePlace, found: u64 },
    /// The chain holds, so these are the bytes that were written: a fault of the program that wrote or reads them.
    #[error("{} cannot be understood at {place}", .path.display())]
    NotAnEvent { path: PathBuf, place: LinePlace, source: serde_json::Error },
}

/// A place in a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinePlace {
    /// Line number, from 1.
    pub line: u64,
    /// Sequence number the event there must have; `None` for the header.
    pub seq: Option<u64>,
    /// Bytes from the start of the file to the start of the line.
    pub offset: u64,
}

impl std::fmt::Display for LinePlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}", self.line)?;
        match self.seq {
            Some(seq) => write!(f, " (event {seq}")?,
            None => f.write_str(" (the header")?,
        }
        write!(f, ", byte {})", self.offset)
    }
}
