//! What can go wrong with telemetry as a whole. Parts that are missing are gaps, not errors.

use std::io;
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error("there is no telemetry: {} does not exist", .path.display())]
    Missing { path: PathBuf },
    #[error("cannot {doing} {}", .path.display())]
    Io { doing: &'static str, path: PathBuf, source: io::Error },
    #[error("{} is in use: the run is still going on", .path.display())]
    InUse { path: PathBuf },
    #[error("this is no telemetry of kiln: its header is damaged or is not one")]
    Foreign,
    #[error("the telemetry is in format {found}, written by {written_by}; this version reads {reads}")]
    Version { found: String, reads: String, written_by: String },
}

pub(super) fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> TelemetryError {
    let path = path.to_owned();
    move |source| match source.kind() {
        io::ErrorKind::NotFound => TelemetryError::Missing { path },
        _ => TelemetryError::Io { doing, path, source },
    }
}
