//! Many runs at once: finds their folders, reads them in parallel, and reports which could not be read.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::RunDirError;
use super::index::Index;
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
    each(folders, |folder| {
        let run = RunDir::open(folder).and_then(|dir| dir.run()).map_err(|error| with_causes(&error))?;
        make(&run.events)
    })
}

/// The same by an index, if there is one: what was made of a run before is taken from there as long as its journal is the same.
/// `shrink` lets every run share with those before it what they have in common, so that a lot fits into memory.
pub fn read_many_by<T: Send + Serialize + DeserializeOwned>(
    index: Option<&Index>,
    folders: &[PathBuf],
    make: impl Fn(&[Envelope]) -> Result<T, String> + Sync,
    shrink: impl Fn(&mut T) + Sync,
) -> Found<T> {
    each(folders, |folder| {
        let mut made = indexed(index, folder, &make)?;
        shrink(&mut made);
        Ok(made)
    })
}

fn indexed<T: Serialize + DeserializeOwned>(
    index: Option<&Index>,
    folder: &Path,
    make: impl Fn(&[Envelope]) -> Result<T, String>,
) -> Result<T, String> {
    let told = |error: RunDirError| with_causes(&error);
    let dir = RunDir::open(folder).map_err(told)?;
    let kept = index.map_or(Ok(None), |index| index.find(&dir)).map_err(told)?;
    if let Some(kept) = kept {
        return Ok(kept);
    }
    let run = dir.run().map_err(told)?;
    let made = make(&run.events)?;
    if let Some(index) = index.filter(|_| !run.torn) {
        index.keep(&dir, &run.root, &made);
    }
    Ok(made)
}

fn each<T: Send>(folders: &[PathBuf], one: impl Fn(&Path) -> Result<T, String> + Sync) -> Found<T> {
    let threads = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let share = folders.len().div_ceil(threads).max(1);
    let one = |folder: &PathBuf| one(folder);
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
