//! The report files of a run directory: `junit.xml` and `result.json`, each replaced as a whole or not at all.
//!
//! They follow from the record alone, so that those rebuilt from a journal are the same byte for byte.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::json::result;
use super::junit::{Junit, junit};
use super::pace::{Pace, WallClock};
use crate::engine::Witness;
use crate::event::{Envelope, RunEvent, RunRecord};
use crate::model::Sample;

/// While a run goes on its files are rewritten no more often than this, so that a killed run leaves them nearly current.
const PERIOD: Duration = Duration::from_secs(1);

/// Share of the time that may go into rewriting files of a run that goes on: long runs have long files.
const SHARE: f64 = 0.02;

/// Whether a file must survive a power cut at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    Synced,
    /// Replaced atomically; the journal can make it again.
    Rebuildable,
}

/// Writes the report files of a run as it goes on, and for good at its end.
#[derive(Debug)]
pub struct RunFiles {
    dir: PathBuf,
    record: RunRecord,
    pace: Pace,
}

impl RunFiles {
    /// For a run that begins, or with what a resumed run's journal holds.
    pub fn new(dir: &Path, record: RunRecord, clock: WallClock) -> Self {
        Self { dir: dir.to_owned(), record, pace: Pace::new(clock, PERIOD) }
    }

    /// Everything known so far.
    pub fn record(&self) -> &RunRecord {
        &self.record
    }

    /// Writes the files now and for good, wherever the run is: for a run that ends without its last event.
    pub fn write(&self) -> io::Result<()> {
        write_files(&self.dir, &self.record)
    }
}

impl Witness for RunFiles {
    fn event(&mut self, envelope: &Envelope) -> io::Result<()> {
        self.record.apply(envelope);
        match envelope.event {
            RunEvent::RunFinished { .. } => self.write(),
            RunEvent::PlanMade(_) | RunEvent::StepFinished { .. } | RunEvent::RunInterrupted { .. }
                if self.pace.is_due() =>
            {
                let Self { dir, record, pace } = self;
                pace.spend(SHARE, || write(dir, record, Keep::Rebuildable))
            }
            _ => Ok(()),
        }
    }

    fn sample(&mut self, _: &Sample) {}
}

/// Writes all report files of `record` into its run directory; they are on the disk when this returns.
pub fn write_files(dir: &Path, record: &RunRecord) -> io::Result<()> {
    write(dir, record, Keep::Synced)
}

fn write(dir: &Path, record: &RunRecord, keep: Keep) -> io::Result<()> {
    replace(dir, "junit.xml", &junit(record, Junit::of(record, dir)), keep)?;
    replace(dir, "result.json", &result(record), keep)?;
    match keep {
        // The renames are in the directory, which has a sync of its own.
        Keep::Synced => File::open(dir).and_then(|dir| dir.sync_all()).map_err(|error| with_path(dir, &error)),
        Keep::Rebuildable => Ok(()),
    }
}

pub(super) fn replace(dir: &Path, name: &str, text: &str, keep: Keep) -> io::Result<()> {
    let path = dir.join(name);
    let part = dir.join(format!(".{name}.part"));
    let written = File::create(&part).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        if keep == Keep::Synced { file.sync_all() } else { Ok(()) }
    });
    written.and_then(|()| fs::rename(&part, &path)).map_err(|error| with_path(&path, &error))
}

pub(super) fn with_path(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot write {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::invented::endings;

    fn files(dir: &Path) -> Vec<(String, Vec<u8>)> {
        let entries = fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("an entry").path());
        let mut files: Vec<_> = entries
            .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&path).expect("a file")))
            .collect();
        files.sort();
        files
    }

    #[test]
    fn files_rebuilt_from_the_events_are_those_written_live() {
        for (name, story) in endings() {
            let (live, rebuilt) = (tempfile::tempdir().expect("live"), tempfile::tempdir().expect("rebuilt"));
            let mut witness = RunFiles::new(live.path(), RunRecord::default(), || Duration::ZERO);
            for event in &story.events {
                witness.event(event).expect("written");
            }
            if witness.record().verdict.is_none() {
                witness.write().expect("written");
            }
            write_files(rebuilt.path(), &story.record()).expect("written");
            assert_eq!(files(live.path()), files(rebuilt.path()), "{name}");
            assert_eq!(files(live.path()).len(), 2, "{name}: nothing else is left behind");
        }
    }

    #[test]
    fn a_run_that_goes_on_has_files_from_its_plan_on() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut witness = RunFiles::new(dir.path(), RunRecord::default(), || Duration::ZERO);
        for event in &endings()["unfinished"].events[..3] {
            witness.event(event).expect("written");
        }
        let names: Vec<String> = files(dir.path()).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["junit.xml", "result.json"]);
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_named() {
        let dir = tempfile::tempdir().expect("a directory");
        let error = write_files(&dir.path().join("gone"), &RunRecord::default()).expect_err("refused");
        let shown = error.to_string().replace(&dir.path().display().to_string(), "DIR");
        insta::assert_snapshot!(shown, @"cannot write DIR/gone/junit.xml: No such file or directory (os error 2)");
    }
}
