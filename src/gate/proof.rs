//! What the floor finds out about a run by reading its own copy. No word that was sent counts.

use std::path::Path;

use kiln_floor::{NoFacts, RunFacts};
use kiln_journal::JournalError;
use kiln_rundir::{Run, RunDir, RunDirError};
use kiln_wire::RunId;

/// Why a copy proves nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProofError {
    /// Trouble of the floor's own disk; it says nothing about the run.
    #[error("the copy cannot be read now: {0}")]
    Unreadable(RunDirError),
    #[error("{0}")]
    Unsound(RunDirError),
    #[error("{0}")]
    NoFacts(#[from] NoFacts),
    #[error("the run's seal cannot be kept now: {0}")]
    SealUnkept(std::io::Error),
    #[error("the run is not sealed by its agent's key")]
    Unsealed,
    #[error("the run's seal does not hold: {0}")]
    Seal(kiln_seal::SealError),
}

/// Reads a copy: the whole chain, and the verdict again from the cases.
pub(crate) fn read(folder: &Path) -> Result<(RunDir, Run), ProofError> {
    let sorted = |error| match error {
        RunDirError::Journal(JournalError::Io { .. }) | RunDirError::Unopened { .. } => ProofError::Unreadable(error),
        other => ProofError::Unsound(other),
    };
    let dir = RunDir::open(folder).map_err(sorted)?;
    let run = dir.run().map_err(sorted)?;
    Ok((dir, run))
}

/// What a whole copy says.
pub(crate) fn facts(folder: &Path, run: &RunId) -> Result<RunFacts, ProofError> {
    let (_, read) = read(folder)?;
    if read.torn {
        return Err(NoFacts::Unfinished.into());
    }
    Ok(RunFacts::of(&read.record, run)?)
}
