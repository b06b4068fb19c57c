//! The floor's events as lines, each with the value of their hash chain: what happened, who made it so, and when.

use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;

use super::store::{StoreError, read_beside};

#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the events cannot be written: {0}")]
    Io(#[from] io::Error),
}

/// An event as a line.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    event: &'a kiln_floor::Stamped,
    chain: &'a str,
}

/// Writes every event of a floor's folder as a line of JSON, once the whole chain was found sound.
pub fn audit(data: &Path, out: &mut impl Write) -> Result<(), AuditError> {
    for (event, chain) in &read_beside(data)? {
        serde_json::to_writer(&mut *out, &Line { event, chain }).map_err(io::Error::from)?;
        writeln!(out)?;
    }
    Ok(())
}
