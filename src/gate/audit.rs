//! The floor's events as lines, each with the value of their hash chain: what happened, who made it so, and when.

use std::io::{self, Write};
use std::path::Path;

use super::store::{Database, StoreError};

#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the events cannot be written: {0}")]
    Io(#[from] io::Error),
}

/// Writes every event of a floor's folder as a line of JSON, once the whole chain was found sound. The lines are the events' own
/// bytes, so that a floor can be restored from them.
pub fn audit(data: &Path, database: &Database, out: &mut impl Write) -> Result<(), AuditError> {
    for kept in &database.read_beside(data)? {
        writeln!(out, "{}", kept.line())?;
    }
    Ok(())
}
