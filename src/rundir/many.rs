//! Many runs at once: finds their folders, reads them in parallel, and reports which could not be read.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::RunDirError;
use super::index::Index;
use super::run_dir::{RunDir, with_causes};
use kiln_event::{Envelope, RunRecord};

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

/// Reads every run and converts it, with one thread for each processor: `tell` sees the events, and `make` what they come to and
/// what `tell` made of them. By an index, if there is one: what was made of a run before is taken from there as long as its
/// journal is the same.
pub fn read_many<R, T: Send + Serialize + DeserializeOwned>(
    index: Option<&Index>,
    folders: &[PathBuf],
    tell: impl Fn(&[Envelope]) -> Result<R, String> + Sync,
    make: impl Fn(&RunRecord, R) -> T + Sync,
) -> Found<T> {
    each(folders, |folder| {
        indexed(index, folder, |dir| {
            let (told, run) = dir.told(&tell).map_err(|error| with_causes(&error))?;
            Ok((make(&run.record, told?), run.root, run.torn))
        })
    })
}

/// The same of records alone. `shrink` lets every run share with those before it what they have in common, so that a lot fits
/// into memory.
pub fn read_records<T: Send + Serialize + DeserializeOwned>(
    index: Option<&Index>,
    folders: &[PathBuf],
    make: impl Fn(&RunRecord) -> Result<T, String> + Sync,
    shrink: impl Fn(&mut T) + Sync,
) -> Found<T> {
    each(folders, |folder| {
        let mut made = indexed(index, folder, |dir| {
            let run = dir.folded().map_err(|error| with_causes(&error))?;
            Ok((make(&run.record)?, run.root, run.torn))
        })?;
        shrink(&mut made);
        Ok(made)
    })
}

/// `make` gives what it made of a run, the journal's last chain value, and whether its last line is torn.
fn indexed<T: Serialize + DeserializeOwned>(
    index: Option<&Index>,
    folder: &Path,
    make: impl Fn(&RunDir) -> Result<(T, String, bool), String>,
) -> Result<T, String> {
    let told = |error: RunDirError| with_causes(&error);
    let dir = RunDir::open(folder).map_err(told)?;
    let kept = index.map_or(Ok(None), |index| index.find(&dir)).map_err(told)?;
    if let Some(kept) = kept {
        return Ok(kept);
    }
    let (made, root, torn) = make(&dir)?;
    if let Some(index) = index.filter(|_| !torn) {
        index.keep(&dir, &root, &made);
    }
    Ok(made)
}

fn each<T: Send>(folders: &[PathBuf], one: impl Fn(&Path) -> Result<T, String> + Sync) -> Found<T> {
    let threads = thread::available_parallelism().map_or(1, std::num::NonZero::get).min(folders.len());
    let next = AtomicUsize::new(0);
    // Whoever is done takes the next, so that a processor that others have most of is waited for by one run at most.
    let work = || -> Vec<(usize, Result<T, String>)> {
        let places = std::iter::from_fn(|| Some(next.fetch_add(1, Ordering::Relaxed)));
        places.map_while(|place| Some((place, one(folders.get(place)?)))).collect()
    };
    let mut results: Vec<_> = thread::scope(|scope| {
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let joined = |handle: thread::ScopedJoinHandle<'_, _>| handle.join();
        let done = handles.into_iter().map(joined);
        done.flat_map(|done| done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    });
    results.sort_unstable_by_key(|(place, _)| *place);
    let mut found = Found { runs: Vec::new(), unread: Vec::new() };
    for (folder, (_, result)) in folders.iter().zip(results) {
        match result {
            Ok(made) => found.runs.push((folder.clone(), made)),
            Err(why) => found.unread.push(Unread { run: folder.display().to_string(), why }),
        }
    }
    found
}
