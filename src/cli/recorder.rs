//! Who listens to a run on behalf of the command line: the journal first, and only what it holds safely is shown.

use std::io;
use std::path::PathBuf;

use super::drive::monotonic;
use super::language::Spoken;
use super::printer;
use crate::engine::Witness;
use crate::event::{Envelope, RunEvent, RunRecord};
use crate::journal::{Durability, Journal};
use crate::model::Sample;
use crate::report::{Console, OcptvFile, RunFiles};
use crate::telemetry::{Safety, Telemetry};

/// See the file's head.
#[derive(Debug)]
pub(super) struct Recorder {
    folder: PathBuf,
    durability: Durability,
    spoken: Spoken,
    /// Made with the first event: a run that is refused writes nothing.
    open: Option<Open>,
    console: Console,
    /// Whether the OCPTV lines go to stdout as well.
    streaming: bool,
    /// Events that are in the journal and not yet known to be safe there.
    unshown: Vec<Envelope>,
}

#[derive(Debug)]
struct Open {
    journal: Journal,
    telemetry: Telemetry,
    files: RunFiles,
    ocptv: OcptvFile,
}

impl Recorder {
    /// For a new run.
    pub(super) fn new(folder: PathBuf, durability: Durability, spoken: Spoken, streaming: bool) -> Self {
        let console = Console::on_stderr(monotonic, spoken.console());
        Self { folder, durability, spoken, open: None, console, streaming, unshown: Vec::new() }
    }

    /// For a run taken up again.
    pub(super) fn over(
        folder: PathBuf,
        durability: Durability,
        spoken: Spoken,
        journal: Journal,
        events: &[Envelope],
        streaming: bool,
    ) -> anyhow::Result<Self> {
        let telemetry = Telemetry::resume(&folder, safety(durability))?;
        let record = RunRecord::of(events);
        let mut recorder = Self::new(folder, durability, spoken, streaming);
        recorder.console.catch_up(&record);
        let (ocptv, lines) = OcptvFile::create(&recorder.folder, events)?;
        if streaming {
            printer::exactly(&lines)?;
        }
        let files = RunFiles::new(&recorder.folder, record, monotonic);
        recorder.open = Some(Open { journal, telemetry, files, ocptv });
        Ok(recorder)
    }

    /// Takes the live display away, for what is to be printed after it.
    pub(super) fn clear(&mut self) {
        self.console.clear();
    }

    /// Closes journal and telemetry; `whole` says whether the run came to its own end and its files are written.
    pub(super) fn close(self, whole: bool) -> anyhow::Result<()> {
        if let Some(open) = self.open {
            open.journal.close()?;
            if !whole {
                open.files.write()?;
            }
            let record = open.files.record().clone();
            open.telemetry.close()?;
            open.ocptv.close()?;
            super::parquet::write(&self.folder)?;
            super::html::write(&self.folder, &record, self.spoken.page())?;
        }
        Ok(())
    }
}

/// Telemetry is as safe as the journal, but for the open block.
const fn safety(durability: Durability) -> Safety {
    match durability {
        Durability::EverySync => Safety::EveryBlock,
        Durability::AtMostEvery { .. } => Safety::AtTheEnd,
    }
}

impl Witness for Recorder {
    fn event(&mut self, envelope: &Envelope) -> io::Result<()> {
        if self.open.is_none() {
            let journal = Journal::create(&self.folder, self.durability).map_err(io::Error::other)?;
            let files = RunFiles::new(&self.folder, RunRecord::default(), monotonic);
            let telemetry = Telemetry::create(&self.folder, safety(self.durability)).map_err(io::Error::other)?;
            let (ocptv, _) = OcptvFile::create(&self.folder, &[])?;
            self.open = Some(Open { journal, telemetry, files, ocptv });
        }
        if let Some(open) = &mut self.open {
            open.journal.append(envelope)?;
            if matches!(envelope.event, RunEvent::GuardTripped(_) | RunEvent::GpuLost { .. }) {
                // What led here is evidence, and the machine may be about to go down.
                open.telemetry.flush();
            }
        }
        self.unshown.push(envelope.clone());
        Ok(())
    }

    fn sample(&mut self, sample: &Sample) {
        if let Some(open) = &mut self.open {
            open.telemetry.sample(sample);
        }
        self.console.sample(sample);
    }

    fn sync(&mut self) -> io::Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        open.journal.sync()?;
        for envelope in self.unshown.drain(..) {
            open.files.event(&envelope)?;
            let lines = open.ocptv.event(&envelope)?;
            if self.streaming && !lines.is_empty() {
                printer::exactly(&lines)?;
            }
            self.console.event(&envelope)?;
        }
        open.ocptv.flush()
    }
}
