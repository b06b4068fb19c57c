//! Why a run cannot be sealed, or does not match its seal.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why a seal cannot be made or trusted.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    #[error("cannot {doing} {}", .path.display())]
    Io { doing: &'static str, path: PathBuf, source: io::Error },
    #[error("{} exists; a key is never written over", .path.display())]
    KeyExists { path: PathBuf },
    #[error("{} is no Ed25519 {kind} key in PEM; `kiln seal --new-key FILE` makes a pair", .path.display())]
    NotAKey { path: PathBuf, kind: &'static str },
    #[error("the run is already sealed: {} exists", .path.display())]
    AlreadySealed { path: PathBuf },
    #[error("the run is not finished: only a run with a verdict is sealed")]
    Unfinished,
    #[error("`{name}` is not a plain file, and nothing else is sealed")]
    NotAFile { name: String },
    #[error(
        "`{name}` is not what this program makes of the journal and the telemetry, and is not sealed; `kiln report` makes it again"
    )]
    NotRebuilt { name: String },
    #[error(
        "`{name}` is no file of a run, and nothing vouches for it; take it out of the run directory and seal again"
    )]
    Stranger { name: String },
    #[error("{} can be read by others: its mode is {mode:03o}; make it yours alone with `chmod 600` and, if it lay open, use a new key", .path.display())]
    OpenKey { path: PathBuf, mode: u32 },
    #[error("the run is not sealed: {} does not exist", .path.display())]
    NotSealed { path: PathBuf },
    #[error("{} is not a seal: {what}", .path.display())]
    NotASeal { path: PathBuf, what: String },
    #[error("the seal is not signed by this key: it is signed by {found}, this is {wanted}")]
    OtherKey { found: String, wanted: String },
    #[error("the seal was altered, or is not of this key: its signature does not hold")]
    BadSignature,
    #[error("this is not what was sealed: {0}")]
    Altered(Altered),
}

/// The first place that does not match the seal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Altered {
    /// Relative to the run directory.
    pub file: String,
    pub how: How,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    Missing,
    Added,
    /// The line that begins at this byte.
    Line {
        line: u64,
        offset: u64,
    },
    /// Somewhere in this range of bytes.
    Bytes {
        from: u64,
        to: u64,
    },
    /// The file is too short; what is there matches.
    Cut {
        bytes: u64,
        sealed: u64,
    },
    /// The file is too long; the sealed part matches.
    Longer {
        bytes: u64,
        sealed: u64,
    },
    /// The unit that the journal names is not the one the seal is bound to.
    OtherUnit,
}

impl fmt::Display for Altered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = &self.file;
        match &self.how {
            How::Missing => write!(f, "`{file}` is missing"),
            How::Added => write!(f, "`{file}` was added"),
            How::Line { line, offset } => write!(f, "`{file}` differs in line {line}, which begins at byte {offset}"),
            How::Bytes { from, to } => write!(f, "`{file}` differs between byte {from} and byte {to}"),
            How::Cut { bytes, sealed } => write!(f, "`{file}` ends at byte {bytes} of {sealed}"),
            How::Longer { bytes, sealed } => {
                write!(f, "`{file}` goes on after byte {sealed}, where it ended, to byte {bytes}")
            }
            How::OtherUnit => write!(f, "`{file}` tells of another unit than the seal is bound to"),
        }
    }
}

pub(super) fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SealError {
    let path = path.to_owned();
    move |source| SealError::Io { doing, path, source }
}
