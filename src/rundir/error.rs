//! Why a run directory cannot be read or written.

use std::io;
use std::path::PathBuf;

use super::format::FormatError;
use kiln_event::Disagreement;
use kiln_journal::JournalError;
use kiln_seal::SealError;
use kiln_telemetry::TelemetryError;

#[derive(Debug, thiserror::Error)]
pub enum RunDirError {
    #[error("there is no run {}: no such folder", .path.display())]
    Missing { path: PathBuf },
    #[error("cannot open the run directory {}", .path.display())]
    Unopened { path: PathBuf, source: io::Error },
    /// The journal holds no run. Reports made from it would overwrite good ones with empty ones.
    #[error("the journal in {} holds not one whole event: there is no run to tell of", .path.display())]
    Empty { path: PathBuf },
    #[error("{}", .path.display())]
    Disagrees { path: PathBuf, source: Disagreement },
    #[error("the run in {} is sealed, its reports with it; print one with `--format`", .path.display())]
    Sealed { path: PathBuf },
    #[error("{} is no baseline; `kiln baseline RUN.. --out FILE` makes one", .path.display())]
    NotABaseline { path: PathBuf, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("{} is no lot; `kiln lot build RUN.. --out FILE` makes one", .path.display())]
    NotALot { path: PathBuf, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("{} is no gauge study; `kiln msa RUN.. --json` makes one", .path.display())]
    NotAGaugeStudy { path: PathBuf, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("cannot write {}", .path.display())]
    Unwritten { path: PathBuf, source: FormatError },
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
}

impl RunDirError {
    /// Returns true if the user named something that does not exist or is not a run.
    pub const fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Missing { .. }
                | Self::Sealed { .. }
                | Self::NotABaseline { .. }
                | Self::NotALot { .. }
                | Self::NotAGaugeStudy { .. }
        )
    }
}
