//! `ocptv.jsonl` of a run that goes on: appended to as events become durable, so that it can be followed.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::PathBuf;

use kiln_disk::{Folder, OCPTV};
use kiln_event::Envelope;
use kiln_report::Ocptv;

/// The stream of a run that goes on.
#[derive(Debug)]
pub(super) struct StreamFile {
    stream: Ocptv,
    path: PathBuf,
    file: BufWriter<File>,
}

impl StreamFile {
    /// For a run whose journal holds `past` so far; gives the lines of that too.
    pub(super) fn create(folder: &Folder, past: &[Envelope]) -> io::Result<(Self, String)> {
        let path = folder.path().join(OCPTV.name);
        let made = folder.begin(OCPTV.name).and_then(kiln_disk::Part::place_early);
        let file = made.map_err(|error| with_path(&path, &error))?;
        let mut this = Self { stream: Ocptv::default(), path, file: BufWriter::new(file) };
        let lines = past.iter().map(|envelope| this.event(envelope)).collect::<io::Result<String>>()?;
        Ok((this, lines))
    }

    /// Appends what `envelope` adds, and gives it.
    pub(super) fn event(&mut self, envelope: &Envelope) -> io::Result<String> {
        let lines = self.stream.event(envelope);
        self.file.write_all(lines.as_bytes()).map_err(|error| with_path(&self.path, &error))?;
        Ok(lines)
    }

    /// Hands to the system what was appended: who follows the file sees it.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.file.flush().map_err(|error| with_path(&self.path, &error))
    }

    /// On the disk for good.
    pub(super) fn close(mut self) -> io::Result<()> {
        self.flush()?;
        self.file.get_ref().sync_all().map_err(|error| with_path(&self.path, &error))
    }
}

fn with_path(path: &std::path::Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot write {}: {error}", path.display()))
}
