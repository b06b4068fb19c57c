//! Sealing: digests of everything there is, signed.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::FILE_NAME;
use super::envelope::Envelope;
use super::error::{SealError, failed};
use super::folder::files;
use super::key::SecretKey;
use super::pieces::Pieces;
use super::statement::Statement;
use crate::event::RunRecord;
use crate::model::WallTime;

/// What was sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    pub path: PathBuf,
    pub files: Vec<String>,
    pub key: String,
}

/// Seals the run directory `run`, whose record and journal root are these.
pub fn seal(
    run: &Path,
    record: &RunRecord,
    journal_root: String,
    key: &SecretKey,
    now: WallTime,
) -> Result<Sealed, SealError> {
    let path = run.join(FILE_NAME);
    if path.exists() {
        return Err(SealError::AlreadySealed { path });
    }
    let verdict = record.verdict.as_ref().ok_or(SealError::Unfinished)?;
    let names = files(run)?;
    let mut digests = BTreeMap::new();
    for name in &names {
        let file = run.join(name);
        digests.insert(name.clone(), Pieces::of(&file).map_err(failed("read", &file))?);
    }
    let statement = Statement::of(record, verdict, journal_root, now, digests);
    let payload = serde_json::to_vec(&statement).map_err(|error| failed("write", &path)(error.into()))?;
    let envelope = Envelope::close(&payload, key);
    let mut text = serde_json::to_vec(&envelope).map_err(|error| failed("write", &path)(error.into()))?;
    text.push(b'\n');
    write(&path, &text).map_err(failed("write", &path))?;
    Ok(Sealed { path, files: names, key: key.public().id() })
}

/// All or nothing: a seal cut short by a crash would be one that nobody can trust.
fn write(path: &Path, text: &[u8]) -> std::io::Result<()> {
    let part = path.with_extension("json.part");
    let mut file = fs::File::create(&part)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(&part, path)
}
