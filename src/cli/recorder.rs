//! Who listens to a run on behalf of the command line: the journal first, and only what it holds safely is shown.

use std::io;
use std::path::PathBuf;

use super::drive::monotonic;
use crate::engine::Witness;
use crate::event::{Envelope, RunRecord};
use crate::journal::{Durability, Journal};
use crate::model::Sample;
use crate::report::{Console, RunFiles};

/// See the file's head.
#[derive(Debug)]
pub(super) struct Recorder {
    folder: PathBuf,
    durability: Durability,
    /// Made with the first event: a run that is refused writes nothing.
    open: Option<Open>,
    console: Console,
    /// Events that are in the journal and not yet known to be safe there.
    unshown: Vec<Envelope>,
}

#[derive(Debug)]
struct Open {
    journal: Journal,
    files: RunFiles,
}

impl Recorder {
    /// For a new run.
    pub(super) fn new(folder: PathBuf, durability: Durability) -> Self {
        Self { folder, durability, open: None, console: Console::on_stderr(monotonic), unshown: Vec::new() }
    }

    /// For a run taken up again.
    pub(super) fn over(folder: PathBuf, durability: Durability, journal: Journal, record: RunRecord) -> Self {
        let mut recorder = Self::new(folder, durability);
        recorder.console.catch_up(&record);
        let files = RunFiles::new(&recorder.folder, record, monotonic);
        recorder.open = Some(Open { journal, files });
        recorder
    }

    /// Takes the live display away, for what is to be printed after it.
    pub(super) fn clear(&mut self) {
        self.console.clear();
    }

    /// Closes the journal; `whole` says whether the run came to its own end and its files are written.
    pub(super) fn close(self, whole: bool) -> anyhow::Result<()> {
        if let Some(open) = self.open {
            open.journal.close()?;
            if !whole {
                open.files.write()?;
            }
        }
        Ok(())
    }
}

impl Witness for Recorder {
    fn event(&mut self, envelope: &Envelope) -> io::Result<()> {
        if self.open.is_none() {
            let journal = Journal::create(&self.folder, self.durability).map_err(io::Error::other)?;
            let files = RunFiles::new(&self.folder, RunRecord::default(), monotonic);
            self.open = Some(Open { journal, files });
        }
        if let Some(open) = &mut self.open {
            open.journal.append(envelope)?;
        }
        self.unshown.push(envelope.clone());
        Ok(())
    }

    fn sample(&mut self, sample: &Sample) {
        self.console.sample(sample);
    }

    fn sync(&mut self) -> io::Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        open.journal.sync()?;
        for envelope in self.unshown.drain(..) {
            open.files.event(&envelope)?;
            self.console.event(&envelope)?;
        }
        Ok(())
    }
}
