//! Many runs at once: finding their folders, reading them side by side, telling which could not be read.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::anyhow;
use serde::Serialize;

use super::printer;
use super::trouble::Trouble;
use crate::event::{Envelope, RunRecord, concluded};
use crate::{journal, seal, yaml};

/// A run that could not be read, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Unread {
    pub run: String,
    pub why: String,
}

/// Which run, and why.
pub(super) fn reasons(unread: &[Unread]) -> Vec<(String, String)> {
    unread.iter().map(|one| (one.run.clone(), one.why.clone())).collect()
}

/// What became of every run, and those that were not to be read.
#[derive(Debug)]
pub(super) struct Found<T> {
    pub runs: Vec<(PathBuf, T)>,
    pub unread: Vec<Unread>,
}

/// The folders of runs that are meant: each given one, or those in it.
pub(super) fn folders(given: &[PathBuf]) -> Result<Vec<PathBuf>, Trouble> {
    let mut found = Vec::new();
    for path in given {
        let inside = if is_run(path) { Vec::new() } else { runs_in(path) };
        if inside.is_empty() {
            // Named by a person: if it is no run, reading it says why.
            found.push(path.clone());
        } else {
            found.extend(inside);
        }
    }
    if let Some(missing) = found.iter().find(|path| !path.exists()) {
        return Err(Trouble::Usage(anyhow!("there is no run {}: no such folder", missing.display())));
    }
    Ok(found)
}

fn is_run(path: &Path) -> bool {
    path.join(journal::FILE_NAME).exists()
}

fn runs_in(path: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(path) else { return Vec::new() };
    let mut runs: Vec<PathBuf> =
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| is_run(path)).collect();
    runs.sort();
    runs
}

/// Reads every run and makes of its events what `make` does; as many side by side as the machine has processors.
pub(super) fn read<T: Send>(folders: &[PathBuf], make: impl Fn(&[Envelope]) -> Result<T, String> + Sync) -> Found<T> {
    let threads = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let share = folders.len().div_ceil(threads).max(1);
    let one = |folder: &PathBuf| events(folder).and_then(|events| make(&events));
    let results: Vec<Result<T, String>> = thread::scope(|scope| {
        let work = |part| scope.spawn(move || -> Vec<_> { <[PathBuf]>::iter(part).map(one).collect() });
        let handles: Vec<_> = folders.chunks(share).map(work).collect();
        handles
            .into_iter()
            .flat_map(|handle| handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    let mut found = Found { runs: Vec::new(), unread: Vec::new() };
    for (folder, result) in folders.iter().zip(results) {
        match result {
            Ok(made) => found.runs.push((folder.clone(), made)),
            Err(why) => found.unread.push(Unread { run: folder.display().to_string(), why }),
        }
    }
    found
}

fn events(folder: &Path) -> Result<Vec<Envelope>, String> {
    seal::check_file(folder, journal::FILE_NAME).map_err(with_causes)?;
    let events = journal::read(folder).map_err(with_causes)?.events;
    concluded(&RunRecord::of(&events)).map_err(with_causes)?;
    Ok(events)
}

fn with_causes(error: impl Into<anyhow::Error>) -> String {
    format!("{:#}", error.into())
}

/// Tells on stderr which runs are left out because they cannot be read.
pub(super) fn tell_unread(unread: &[Unread]) {
    for one in unread {
        printer::tell(&format!("left out: {}: {}", one.run, one.why));
    }
}

/// `--measurement NAME`: each must be one of `known`.
pub(super) fn check_measurements(asked: &[String], mut known: Vec<&str>) -> Result<(), Trouble> {
    known.sort_unstable();
    known.dedup();
    match asked.iter().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(unknown) => {
            let hint =
                yaml::did_you_mean(unknown, known.iter().copied()).map_or_else(String::new, |hint| format!("{hint}; "));
            let names = known.join(", ");
            Err(Trouble::Usage(anyhow!("nothing measures `{unknown}` in these runs; {hint}they have {names}")))
        }
    }
}
