//! `ocptv.jsonl` during a run: lines are appended as events become durable, so that other programs can follow the file.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::PathBuf;

use kiln_disk::{Folder, OCPTV};
use kiln_event::{Envelope, RunFailure};
use kiln_report::Ocptv;

/// The OCPTV stream of a run in progress.
#[derive(Debug)]
pub(super) struct StreamFile {
    stream: Ocptv,
    path: PathBuf,
    file: BufWriter<File>,
}

impl StreamFile {
    /// Creates the stream of a run whose journal already holds `past`, and returns the lines for those events too.
    pub(super) fn create(folder: &Folder, past: &[Envelope]) -> io::Result<(Self, String)> {
        let path = folder.path().join(OCPTV.name);
        let made = folder.begin(OCPTV.name).and_then(kiln_disk::Part::place_early);
        let file = made.map_err(|error| RunFailure::unwritten(&path, &error))?;
        let mut this = Self { stream: Ocptv::default(), path, file: BufWriter::new(file) };
        let lines = past.iter().map(|envelope| this.event(envelope)).collect::<io::Result<String>>()?;
        Ok((this, lines))
    }

    /// Appends the lines for one event and returns them.
    pub(super) fn event(&mut self, envelope: &Envelope) -> io::Result<String> {
        let lines = self.stream.event(envelope);
        self.file.write_all(lines.as_bytes()).map_err(|error| RunFailure::unwritten(&self.path, &error))?;
        Ok(lines)
    }

    /// Flushes appended lines to the operating system, where readers of the file see them.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.file.flush().map_err(|error| RunFailure::unwritten(&self.path, &error))
    }

    /// Syncs the file to disk.
    pub(super) fn close(mut self) -> io::Result<()> {
        self.flush()?;
        self.file.get_ref().sync_all().map_err(|error| RunFailure::unwritten(&self.path, &error))
    }
}
