//! What the commands on many runs share: telling what was left out, checking names as typed, and writing a page.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, anyhow};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::command_error::{CommandError, Sorted as _};
use super::printer;
use crate::event::RunRecord;
use crate::lot::{RunSummary, Table, UnitValues};
use crate::rundir::{Index, IndexKey, Unread, read_records, run_folders};
use crate::{disk, yaml};

/// The index beside the runs. Without a home there is no place for its key, and every journal is understood anew.
pub(super) fn index(kind: &'static str) -> Option<Index> {
    let home = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let state = home("XDG_STATE_HOME").or_else(|| Some(home("HOME")?.join(".local/state")))?;
    IndexKey::in_folder(&state.join("kiln")).ok().map(|key| Index::new(key, kind))
}

/// Reads runs as statistics see them.
pub(super) fn summaries(runs: &[PathBuf]) -> Result<(Vec<RunSummary>, Vec<Unread>), CommandError> {
    read(
        "summary-1",
        runs,
        |record| RunSummary::of(record).ok_or("the run had not begun"),
        |summary| &mut summary.values,
    )
}

/// Reads runs as a lot sees them.
pub(super) fn units(runs: &[PathBuf]) -> Result<Vec<UnitValues>, CommandError> {
    let why = "the run had not come to its unit";
    Ok(read("unit-2", runs, |record| UnitValues::of(record).ok_or(why), |unit| &mut unit.values)?.0)
}

/// Reads runs by the index of a kind, tells which could not be read, and lets the others share the names of their values.
fn read<T, K, F>(
    kind: &'static str,
    runs: &[PathBuf],
    make: impl Fn(&RunRecord) -> Result<T, &'static str> + Sync,
    values: impl Fn(&mut T) -> &mut Table<K, F> + Sync,
) -> Result<(Vec<T>, Vec<Unread>), CommandError>
where
    T: Send + Serialize + DeserializeOwned,
    K: Ord + Clone + Serialize + Send + Sync,
    F: PartialEq + Clone,
{
    let known = Mutex::default();
    let found = read_records(
        index(kind).as_ref(),
        &run_folders(runs)?,
        |record| make(record).map_err(str::to_owned),
        |one| values(one).share(&mut known.lock().unwrap_or_else(PoisonError::into_inner)),
    );
    tell_unread(&found.unread);
    Ok((found.runs.into_iter().map(|(_, one)| one).collect(), found.unread))
}

/// Which run, and why.
pub(super) fn reasons(unread: &[Unread]) -> Vec<(String, String)> {
    unread.iter().map(|one| (one.run.clone(), one.why.clone())).collect()
}

/// Tells on stderr which runs are left out because they cannot be read.
pub(super) fn tell_unread(unread: &[Unread]) {
    for one in unread {
        printer::tell(&format!("left out: {}: {}", one.run, one.why));
    }
}

/// Writes a page or a document to a file of its own, or leaves what was there.
pub(super) fn write_page(path: &Path, page: &str) -> Result<(), CommandError> {
    disk::replace(path, page.as_bytes()).with_context(|| format!("cannot write {}", path.display())).no_claim()
}

/// Writes a document for programs to a file of its own, or prints it where no file is named.
pub(super) fn put_document(out: Option<&Path>, document: &impl serde::Serialize) -> Result<(), CommandError> {
    let mut text = serde_json::to_string_pretty(document).no_claim()?;
    text.push('\n');
    match out {
        None => printer::result(&text).no_claim(),
        Some(path) => write_page(path, &text),
    }
}

/// `--measurement NAME`: each must be one of `known`.
pub(super) fn check_measurements(asked: &[String], mut known: Vec<&str>) -> Result<(), CommandError> {
    known.sort_unstable();
    known.dedup();
    match asked.iter().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(unknown) => {
            let hint =
                yaml::did_you_mean(unknown, known.iter().copied()).map_or_else(String::new, |hint| format!("{hint}; "));
            let names = known.join(", ");
            Err(CommandError::Usage(anyhow!("nothing measures `{unknown}` in these runs; {hint}they have {names}")))
        }
    }
}
