//! `ocptv.jsonl` of a run directory: appended to while the run goes on, made anew from a journal.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use super::stream::{Ocptv, ocptv};
use crate::event::Envelope;
use crate::report::files;

const FILE_NAME: &str = "ocptv.jsonl";

/// The stream of a run that goes on.
#[derive(Debug)]
pub struct OcptvFile {
    stream: Ocptv,
    path: PathBuf,
    file: BufWriter<File>,
}

impl OcptvFile {
    /// For a run whose journal holds `past` so far; gives the lines of that too.
    pub fn create(dir: &Path, past: &[Envelope]) -> io::Result<(Self, String)> {
        let path = dir.join(FILE_NAME);
        let file = File::create(&path).map_err(|error| files::with_path(&path, &error))?;
        let mut this = Self { stream: Ocptv::default(), path, file: BufWriter::new(file) };
        let lines = past.iter().map(|envelope| this.event(envelope)).collect::<io::Result<String>>()?;
        Ok((this, lines))
    }

    /// Appends what `envelope` adds, and gives it.
    pub fn event(&mut self, envelope: &Envelope) -> io::Result<String> {
        let lines = self.stream.event(envelope);
        self.file.write_all(lines.as_bytes()).map_err(|error| files::with_path(&self.path, &error))?;
        Ok(lines)
    }

    /// Hands to the system what was appended: who follows the file sees it.
    pub fn flush(&mut self) -> io::Result<()> {
        self.file.flush().map_err(|error| files::with_path(&self.path, &error))
    }

    /// On the disk for good.
    pub fn close(mut self) -> io::Result<()> {
        self.flush()?;
        self.file.get_ref().sync_all().map_err(|error| files::with_path(&self.path, &error))
    }
}

/// Writes `ocptv.jsonl` of a run from its events, as a whole or not at all.
pub fn write_ocptv(dir: &Path, events: &[Envelope]) -> io::Result<()> {
    files::replace(dir, FILE_NAME, &ocptv(events), files::Keep::Synced)
}
