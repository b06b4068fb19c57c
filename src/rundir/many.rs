//! Many runs at once: finds their folders, reads them in parallel, and reports which could not be read.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use serde::Serialize;

use super::error::RunDirError;
use super::run_dir::{RunDir, with_causes};
use kiln_event::Envelope;

/// A run that could not be read, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unread {
    pub run: String,
    pub why: String,
}

/// The runs that were read, and those that could not be.
#[derive(Debug)]
pub struct Found<T> {
    pub runs: Vec<(PathBuf, T)>,
    pub unread: Vec<Unread>,
}

/// Expands the given folders to folders of runs: a folder that is no run stands for the runs in it.
pub fn run_folders(given: &[PathBuf]) -> Result<Vec<PathBuf>, RunDirError> {
    let mut found = Vec::new();
    for path in given {
        let inside = if RunDir::is_run(path) { Vec::new() } else { runs_in(path) };
        if inside.is_empty() {
            // Named by a person: if it is no run, reading it says why.
            found.push(path.clone());
        } else {
            found.extend(inside);
        }
    }
    match found.iter().find(|path| !path.exists()) {
        Some(missing) => Err(RunDirError::Missing { path: missing.clone() }),
        None => Ok(found),
    }
}

fn runs_in(path: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(path) else { return Vec::new() };
    let mut runs: Vec<PathBuf> =
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| RunDir::is_run(path)).collect();
    runs.sort();
    runs
}

/// Reads every run and converts its events with `make`, with one thread for each processor.
pub fn read_many<T: Send>(folders: &[PathBuf], make: impl Fn(&[Envelope]) -> Result<T, String> + Sync) -> Found<T> {
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
    RunDir::open(folder).and_then(|run| run.events()).map_err(|error| with_causes(&error))
}
