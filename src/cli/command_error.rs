//! What a command ends with when it cannot do its work: an exit code with an error, or placed errors of a file.

use super::{exit_code::Exit, no_driver, printer};
use crate::node::nvml::NvmlOpenError;
use crate::node::sim::{FaultFileError, NodeFileError};
use crate::rundir::RunDirError;
use crate::seal::SealError;
use crate::yaml::Diagnostics;

/// Why a command did not do its work.
#[derive(Debug)]
pub(super) enum CommandError {
    /// Wrong usage or a mistake in a file: nothing ran.
    Usage(anyhow::Error),
    /// Mistakes in a YAML file, each placed.
    Placed(Diagnostics),
    /// Trouble of our own or of the station.
    NoClaim(anyhow::Error),
    /// The machine's GPUs could not be opened.
    NoDriver(NvmlOpenError),
}

impl CommandError {
    /// Tells it on stderr and gives the exit code.
    pub(super) fn tell(&self) -> Exit {
        match self {
            Self::Usage(error) => {
                printer::error(error);
                Exit::Usage
            }
            Self::Placed(diagnostics) => {
                printer::diagnostics(diagnostics);
                Exit::Usage
            }
            Self::NoClaim(error) => {
                printer::error(error);
                Exit::NoClaim
            }
            Self::NoDriver(error) => {
                printer::tell(&no_driver::told(printer::language(), error));
                // Without a driver there is nothing to test: a run was asked for on the wrong machine.
                if matches!(error, NvmlOpenError::LibraryMissing { .. }) { Exit::Usage } else { Exit::NoClaim }
            }
        }
    }
}

impl From<Diagnostics> for CommandError {
    fn from(diagnostics: Diagnostics) -> Self {
        Self::Placed(diagnostics)
    }
}

impl From<NodeFileError> for CommandError {
    fn from(error: NodeFileError) -> Self {
        match error {
            NodeFileError::Malformed(diagnostics) => Self::Placed(diagnostics),
            other => Self::Usage(other.into()),
        }
    }
}

impl From<FaultFileError> for CommandError {
    fn from(error: FaultFileError) -> Self {
        match error {
            FaultFileError::Malformed(diagnostics) => Self::Placed(diagnostics),
            other @ FaultFileError::Unreadable { .. } => Self::Usage(other.into()),
        }
    }
}

impl From<SealError> for CommandError {
    fn from(error: SealError) -> Self {
        // A key or run that is not there was named wrongly.
        if matches!(&error, SealError::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound) {
            return Self::Usage(error.into());
        }
        match error {
            SealError::KeyExists { .. }
            | SealError::NotAKey { .. }
            | SealError::OpenKey { .. }
            | SealError::NotRebuilt { .. }
            | SealError::Stranger { .. }
            | SealError::AlreadySealed { .. }
            | SealError::Unfinished
            | SealError::NotSealed { .. } => Self::Usage(error.into()),
            SealError::Io { .. }
            | SealError::NotAFile { .. }
            | SealError::NotASeal { .. }
            | SealError::OtherKey { .. }
            | SealError::BadSignature
            | SealError::Altered(_) => Self::NoClaim(error.into()),
        }
    }
}

impl From<RunDirError> for CommandError {
    fn from(error: RunDirError) -> Self {
        match error {
            RunDirError::Seal(error) => error.into(),
            error if error.is_usage() => Self::Usage(error.into()),
            error => Self::NoClaim(error.into()),
        }
    }
}

/// Sorts an error under an exit code.
pub(super) trait Sorted<T> {
    fn usage(self) -> Result<T, CommandError>;
    fn no_claim(self) -> Result<T, CommandError>;
}

impl<T, E: Into<anyhow::Error>> Sorted<T> for Result<T, E> {
    fn usage(self) -> Result<T, CommandError> {
        self.map_err(|error| CommandError::Usage(error.into()))
    }

    fn no_claim(self) -> Result<T, CommandError> {
        self.map_err(|error| CommandError::NoClaim(error.into()))
    }
}
