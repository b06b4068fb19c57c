//! A run directory held open, and the run that is read from it.

use std::io;
use std::path::Path;

use super::error::RunDirError;
use super::readings::Readings;
use super::view::{Look, RunView};
use kiln_disk::{Folder, JOURNAL, RUN_FILES, SAMPLES};
use kiln_event::{Envelope, RunRecord, concluded};
use kiln_journal::{JournalFile, Read};
use kiln_seal as seal;

/// A run directory that has a journal. Its files are opened once each.
#[derive(Debug)]
pub struct RunDir {
    folder: Folder,
    journal: JournalFile,
}

/// What a journal tells.
#[derive(Debug)]
pub struct Run {
    pub events: Vec<Envelope>,
    pub record: RunRecord,
    /// What is missing of the journal, in words for people.
    pub lacks: Vec<String>,
    /// Whether the journal is sound to its end, but for a last line that was torn off.
    pub sound: bool,
    /// Whether the last line was torn off.
    pub torn: bool,
    /// The last value of the journal's hash chain; empty if it is not sound.
    pub root: String,
}

impl RunDir {
    /// Opens the directory of a run.
    pub fn open(path: &Path) -> Result<Self, RunDirError> {
        let folder = Folder::open(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => RunDirError::Missing { path: path.to_owned() },
            _ => RunDirError::Unopened { path: path.to_owned(), source },
        })?;
        let journal = JournalFile::open(&folder)?;
        Ok(Self { folder, journal })
    }

    /// Whether there is a journal in a folder, whatever may be in it.
    pub fn is_run(path: &Path) -> bool {
        Folder::open(path).is_ok_and(|folder| folder.has(JOURNAL.name))
    }

    /// Keeps every other process from writing to the run; one that goes on is refused. What writers that were killed left
    /// half done is taken away.
    pub fn lock(self) -> Result<Self, RunDirError> {
        let locked = Self { journal: self.journal.lock()?, folder: self.folder };
        for file in RUN_FILES {
            // A file in a folder that is not there has nothing half done; what cannot be taken away is in nobody's way.
            let _ = locked.folder.sweep(file.name);
        }
        Ok(locked)
    }

    /// The directory as it was named.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub const fn folder(&self) -> &Folder {
        &self.folder
    }

    pub fn is_sealed(&self) -> bool {
        seal::is_sealed(self.path())
    }

    /// Reads the run back. A journal that is damaged, or is not what its seal says, is an error.
    pub fn run(&self) -> Result<Run, RunDirError> {
        seal::check_file(self.path(), JOURNAL.name)?;
        let (read, root) = self.journal.read()?;
        self.whole(Run::of(read, root))
    }

    /// Reads what stands before the first damage. A journal that is not what its seal says is an error all the same.
    pub fn sound_run(&self) -> Result<Run, RunDirError> {
        seal::check_file(self.path(), JOURNAL.name)?;
        let (read, wrong) = self.journal.read_sound()?;
        let mut run = Run::of(read, String::new());
        run.sound = wrong.is_none();
        run.lacks.extend(wrong.map(|wrong| with_causes(&wrong)));
        self.whole(run)
    }

    fn whole(&self, run: Run) -> Result<Run, RunDirError> {
        if run.events.is_empty() {
            return Err(RunDirError::Empty { path: self.path().to_owned() });
        }
        concluded(&run.record).map_err(|source| RunDirError::Disagrees { path: self.path().to_owned(), source })?;
        Ok(run)
    }

    /// The events of the run.
    pub fn events(&self) -> Result<Vec<Envelope>, RunDirError> {
        Ok(self.run()?.events)
    }

    /// Everything known about the run.
    pub fn record(&self) -> Result<RunRecord, RunDirError> {
        Ok(self.run()?.record)
    }

    /// The readings of the run. Those of a sealed run that are not what was sealed are an error; others that cannot be had
    /// are told where they are missed.
    pub fn telemetry(&self) -> Result<Readings, RunDirError> {
        if self.folder.has(SAMPLES.name) {
            seal::check_file(self.path(), SAMPLES.name)?;
        }
        Ok(Readings::open(&self.folder))
    }

    /// The run ready to be told in any form.
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

/// An error with what caused it, on one line.
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
