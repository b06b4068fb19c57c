//! An open run directory, and the run that is read from it.

use std::io;
use std::path::Path;

use super::error::RunDirError;
use super::readings::Readings;
use super::view::{Look, RunView};
use kiln_disk::{Folder, JOURNAL, RUN_FILES, SAMPLES};
use kiln_event::{Envelope, RunRecord, concluded};
use kiln_journal::{JournalFile, Read};
use kiln_seal as seal;

/// A run directory with a journal. Each of its files is opened only once.
#[derive(Debug)]
pub struct RunDir {
    folder: Folder,
    journal: JournalFile,
}

/// The contents of a journal.
#[derive(Debug)]
pub struct Run {
    pub events: Vec<Envelope>,
    pub record: RunRecord,
    /// What is missing from the journal, as sentences for the user.
    pub lacks: Vec<String>,
    /// Whether the journal is intact, apart from an incomplete last line.
    pub sound: bool,
    /// Whether the last line is incomplete.
    pub torn: bool,
    /// The last value of the journal's hash chain; empty if the journal is damaged.
    pub root: String,
}

/// A journal of which only what its events come to was kept.
#[derive(Debug)]
pub(super) struct Folded {
    pub(super) record: RunRecord,
    pub(super) torn: bool,
    pub(super) root: String,
}

impl RunDir {
    /// Opens a run directory.
    pub fn open(path: &Path) -> Result<Self, RunDirError> {
        let folder = Folder::open(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => RunDirError::Missing { path: path.to_owned() },
            _ => RunDirError::Unopened { path: path.to_owned(), source },
        })?;
        let journal = JournalFile::open(&folder)?;
        Ok(Self { folder, journal })
    }

    /// Returns true if the folder contains a journal, valid or not.
    pub fn is_run(path: &Path) -> bool {
        Folder::open(path).is_ok_and(|folder| folder.has(JOURNAL.name))
    }

    /// Locks the run against writes by other processes. Fails if the run is still in progress. Removes temporary files of
    /// writers that were killed.
    pub fn lock(self) -> Result<Self, RunDirError> {
        let locked = Self { journal: self.journal.lock()?, folder: self.folder };
        for file in RUN_FILES {
            // A file in a folder that is not there has nothing half done; what cannot be taken away is in nobody's way.
            let _ = locked.folder.sweep(file.name);
        }
        Ok(locked)
    }

    /// Returns the path as the user gave it.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub const fn folder(&self) -> &Folder {
        &self.folder
    }

    pub fn is_sealed(&self) -> bool {
        seal::is_sealed(self.path())
    }

    /// Reads the run. Fails if the journal is damaged or does not match its seal.
    pub fn run(&self) -> Result<Run, RunDirError> {
        seal::check_file(self.path(), JOURNAL.name)?;
        let (read, root) = self.journal.read()?;
        self.whole(Run::of(read, root))
    }

    /// Reads the run as its record alone, without keeping its events. Fails as [`RunDir::run`] does.
    pub(super) fn folded(&self) -> Result<Folded, RunDirError> {
        seal::check_file(self.path(), JOURNAL.name)?;
        let mut record = RunRecord::default();
        let (torn, root) = self.journal.read_each(&mut |envelope| record.take(envelope))?;
        self.check(&record)?;
        Ok(Folded { record, torn: torn.is_some(), root })
    }

    /// Hands the events to `tell` and only then folds them, without a copy of them. Fails as [`RunDir::run`] does.
    pub(super) fn told<R>(&self, tell: impl FnOnce(&[Envelope]) -> R) -> Result<(R, Folded), RunDirError> {
        seal::check_file(self.path(), JOURNAL.name)?;
        let (read, root) = self.journal.read()?;
        let told = tell(&read.events);
        let mut record = RunRecord::default();
        read.events.into_iter().for_each(|envelope| record.take(envelope));
        self.check(&record)?;
        Ok((told, Folded { record, torn: read.torn.is_some(), root }))
    }

    /// Returns the last value of the journal's hash chain after holding every byte against it; `None` if the last line is
    /// incomplete. Fails if the journal is damaged or does not match its seal.
    pub(super) fn root(&self) -> Result<Option<String>, RunDirError> {
        seal::check_file(self.path(), JOURNAL.name)?;
        Ok(self.journal.root()?)
    }

    /// Reads the events before the first damage. Still fails if the journal does not match its seal.
    pub fn sound_run(&self) -> Result<Run, RunDirError> {
        seal::check_file(self.path(), JOURNAL.name)?;
        let (read, wrong) = self.journal.read_sound()?;
        let mut run = Run::of(read, String::new());
        run.sound = wrong.is_none();
        run.lacks.extend(wrong.map(|wrong| with_causes(&wrong)));
        self.whole(run)
    }

    fn whole(&self, run: Run) -> Result<Run, RunDirError> {
        self.check(&run.record)?;
        Ok(run)
    }

    fn check(&self, record: &RunRecord) -> Result<(), RunDirError> {
        if record.next_seq == 0 {
            return Err(RunDirError::Empty { path: self.path().to_owned() });
        }
        concluded(record).map_err(|source| RunDirError::Disagrees { path: self.path().to_owned(), source })
    }

    /// Reads the events of the run.
    pub fn events(&self) -> Result<Vec<Envelope>, RunDirError> {
        Ok(self.run()?.events)
    }

    /// Reads the events and folds them into a record.
    pub fn record(&self) -> Result<RunRecord, RunDirError> {
        Ok(self.folded()?.record)
    }

    /// Opens the telemetry of the run. Fails if the run is sealed and the telemetry does not match the seal. Telemetry that
    /// cannot be read otherwise is reported by the outputs that need it.
    pub fn telemetry(&self) -> Result<Readings, RunDirError> {
        if self.folder.has(SAMPLES.name) {
            seal::check_file(self.path(), SAMPLES.name)?;
        }
        Ok(Readings::open(&self.folder))
    }

    /// Prepares the run for any output format.
    pub fn view<'r>(&'r self, run: &'r Run, look: Look) -> Result<RunView<'r>, RunDirError> {
        Ok(RunView::new(self.path(), &run.record, &run.events, &run.lacks, self.telemetry()?, look))
    }
}

impl Run {
    fn of(read: Read, root: String) -> Self {
        let record = RunRecord::of(&read.events);
        let lacks = read.torn.iter().map(ToString::to_string).collect();
        Self { record, lacks, sound: true, torn: read.torn.is_some(), root, events: read.events }
    }
}

/// Formats an error with its causes on one line.
pub(super) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}
