//! Who listens to a run on behalf of the command line: journal first, then the console, and the reports along the way.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::drive::monotonic;
use super::printer;
use super::trouble::{Sorted as _, Trouble};
use crate::engine::Witness;
use crate::event::{Envelope, RunEvent, RunRecord};
use crate::journal::{Durability, Journal};
use crate::model::Sample;
use crate::report;

/// JUnit is written anew this often at most, so that a run killed at any time leaves a file that is valid and recent.
const JUNIT_PERIOD: Duration = Duration::from_secs(2);

/// See the file's head.
#[derive(Debug)]
pub(super) struct Recorder {
    folder: PathBuf,
    durability: Durability,
    journal: Option<Journal>,
    record: RunRecord,
    junit_written: Option<Duration>,
}

impl Recorder {
    /// For a new run. The folder is made with the first event: a run that is refused writes nothing.
    pub(super) fn new(folder: PathBuf, durability: Durability) -> Self {
        Self { folder, durability, journal: None, record: RunRecord::default(), junit_written: None }
    }

    /// For a run taken up again.
    pub(super) fn over(folder: PathBuf, journal: Journal, record: RunRecord) -> Self {
        Self { folder, durability: Durability::EverySync, journal: Some(journal), record, junit_written: None }
    }

    /// Closes the journal and writes the reports.
    pub(super) fn close(self, record: &RunRecord) -> anyhow::Result<()> {
        let Some(journal) = self.journal else { return Ok(()) };
        journal.close()?;
        report::write_all(&self.folder, record)?;
        Ok(())
    }

    /// The verdict on stdout.
    pub(super) fn show_verdict(record: &RunRecord, folder: &Path) -> Result<(), Trouble> {
        printer::result(&report::verdict_text(record, Some(folder))).no_claim()
    }
}

impl Witness for Recorder {
    fn event(&mut self, envelope: &Envelope) -> io::Result<()> {
        if self.journal.is_none() {
            let journal = Journal::create(&self.folder, self.durability).map_err(io::Error::other)?;
            self.journal = Some(journal);
        }
        if let Some(journal) = &mut self.journal {
            journal.append(envelope)?;
        }
        self.record.apply(envelope);
        if matches!(envelope.event, RunEvent::StepFinished { .. }) {
            let now = monotonic();
            if self.junit_written.is_none_or(|last| now.saturating_sub(last) >= JUNIT_PERIOD) {
                self.junit_written = Some(now);
                report::write_junit(&self.folder, &self.record)?;
            }
        }
        Ok(())
    }

    fn sample(&mut self, _: &Sample) {}

    fn sync(&mut self) -> io::Result<()> {
        match &mut self.journal {
            Some(journal) => journal.sync(),
            None => Ok(()),
        }
    }
}
