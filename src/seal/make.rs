//! Sealing a run: computes digests of all its files and signs them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::FILE_NAME;
use super::envelope::{Envelope, STATEMENT};
use super::error::{SealError, failed};
use super::folder::files;
use super::key::SecretKey;
use super::pieces::Pieces;
use super::statement::Statement;
use kiln_disk::{Folder, Keep, Made, RUN_FILES};
use kiln_event::RunRecord;
use kiln_model::WallTime;

/// The result of sealing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    pub path: PathBuf,
    pub files: Vec<String>,
    pub key: String,
}

/// Seals the run directory `run`. `record` and `root` are those of its journal.
///
/// Only recorded files are signed, and reports that can be rebuilt from them: `reports` holds all contents that each report
/// may have, by file name.
pub fn seal(
    run: &Path,
    record: &RunRecord,
    journal_root: String,
    reports: &BTreeMap<String, Vec<Vec<u8>>>,
    key: &SecretKey,
    now: WallTime,
) -> Result<Sealed, SealError> {
    let path = run.join(FILE_NAME);
    let folder = Folder::open(run).map_err(failed("open", run))?;
    if folder.has(FILE_NAME) {
        return Err(SealError::AlreadySealed { path });
    }
    let verdict = record.verdict.as_ref().ok_or(SealError::Unfinished)?;
    let names = files(run)?;
    let mut digests = BTreeMap::new();
    for name in &names {
        let pieces = Pieces::of(&folder, name).map_err(failed("read", &run.join(name)))?;
        check(name, &pieces, reports)?;
        digests.insert(name.clone(), pieces);
    }
    let statement = Statement::of(record, verdict, journal_root, now, digests);
    let payload = serde_json::to_vec(&statement).map_err(|error| failed("write", &path)(error.into()))?;
    let envelope = Envelope::close(STATEMENT, &payload, key);
    let mut text = serde_json::to_vec(&envelope).map_err(|error| failed("write", &path)(error.into()))?;
    text.push(b'\n');
    // All or nothing: a seal cut short by a crash would be one that nobody can trust.
    folder.replace(FILE_NAME, &text, Keep::Synced).map_err(failed("write", &path))?;
    Ok(Sealed { path, files: names, key: key.public().id() })
}

/// Returns true if a file belongs to a run and, if it can be rebuilt, equals the rebuilt one.
fn check(name: &str, pieces: &Pieces, reports: &BTreeMap<String, Vec<Vec<u8>>>) -> Result<(), SealError> {
    let Some(file) = RUN_FILES.iter().find(|file| file.name == name) else {
        return Err(SealError::Stranger { name: name.to_owned() });
    };
    let same = |bytes: &Vec<u8>| pieces.are_of(bytes);
    match file.made {
        Made::Rebuilt if !reports.get(name).is_some_and(|forms| forms.iter().any(same)) => {
            Err(SealError::NotRebuilt { name: name.to_owned() })
        }
        Made::Recorded | Made::Rebuilt | Made::Sealed => Ok(()),
    }
}
