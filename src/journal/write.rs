//! Writing a journal: events are appended, flushed, and synced as often as the chosen durability requires.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::FILE_NAME;
use super::error::JournalError;
use super::lines::Lines;
use super::read::{Read, lock, parse, read_all};
use kiln_disk::Folder;
use kiln_event::{Envelope, RunFailure};

/// Reads a monotonic clock. Its starting point does not matter.
pub type WallClock = fn() -> Duration;

/// How durable a sync is.
#[derive(Debug, Clone, Copy)]
pub enum Durability {
    /// Every sync reaches the disk, so that everything that was shown survives a power cut.
    EverySync,
    /// Every sync reaches the kernel, so that a killed process loses nothing; the disk at most once in `period`. For runs
    /// in virtual time, where hours pass in a second and nothing real depends on them.
    AtMostEvery { period: Duration, clock: WallClock },
}

/// The longest time between two syncs to disk of a run in virtual time. A power cut loses at most this much real time.
const VIRTUAL_PERIOD: Duration = Duration::from_millis(200);

/// Events are a few hundred bytes, inventories some tens of thousands.
const BUFFER: usize = 64 * 1024;

impl Durability {
    /// Returns the durability of a run in virtual time.
    pub const fn virtual_time(clock: WallClock) -> Self {
        Self::AtMostEvery { period: VIRTUAL_PERIOD, clock }
    }
}

/// A journal opened for writing. No other process can open it for writing at the same time.
#[derive(Debug)]
pub struct Journal {
    folder: Folder,
    path: PathBuf,
    file: BufWriter<File>,
    lines: Lines,
    durability: Durability,
    synced: Option<Duration>,
}

impl Journal {
    /// Creates the journal of a new run, and its directory if needed. Fails if there is a journal already.
    pub fn create(dir: &Path, durability: Durability) -> Result<Self, JournalError> {
        let folder = Folder::create(dir).map_err(failed("make", dir))?;
        let path = dir.join(FILE_NAME);
        let file = folder.create_new(FILE_NAME).map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => JournalError::Exists { path: path.clone() },
            _ => failed("create", &path)(source),
        })?;
        lock(&file, &path)?;
        let mut journal = Self::over(folder, path, buffered(file), Lines::begin(), durability);
        journal.write_header()?;
        Ok(journal)
    }

    /// Opens the journal of an interrupted run and returns its contents. An incomplete last record is cut off and reported.
    pub fn open_for_resume(dir: &Path, durability: Durability) -> Result<(Self, Read), JournalError> {
        let path = dir.join(FILE_NAME);
        let opened = Folder::open(dir).and_then(|folder| Ok((folder.open_to_append(FILE_NAME)?, folder)));
        let (file, folder) = opened.map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => JournalError::Missing { path: path.clone() },
            _ => failed("open", &path)(source),
        })?;
        lock(&file, &path)?;
        let bytes = read_all(&file).map_err(failed("read", &path))?;
        let (read, at) = parse(&path, &bytes)?;
        if read.torn.is_some() {
            file.set_len(at.length).map_err(failed("cut the torn end off", &path))?;
        }
        let lines = Lines::on_from(at.chain, read.events.len() as u64);
        let mut journal = Self::over(folder, path, buffered(file), lines, durability);
        if at.length == 0 {
            journal.write_header()?;
        } else if at.lacks_newline {
            journal.file.write_all(b"\n").map_err(failed("write", &journal.path))?;
        }
        journal.sync_now().map_err(failed("sync", &journal.path))?;
        Ok((journal, read))
    }

    const fn over(folder: Folder, path: PathBuf, file: BufWriter<File>, lines: Lines, durability: Durability) -> Self {
        Self { folder, path, file, lines, durability, synced: None }
    }

    fn write_header(&mut self) -> Result<(), JournalError> {
        let line = self.lines.header();
        let written = line.and_then(|line| self.file.write_all(line)).and_then(|()| self.sync_now()).and_then(|()| {
            // The file's name is in its directory, which has a sync of its own.
            self.folder.sync()
        });
        written.map_err(failed("write", &self.path))
    }

    /// Returns the run directory.
    pub const fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Sequence number the next event must have.
    pub const fn next_seq(&self) -> u64 {
        self.lines.next_seq()
    }

    /// Returns the path of the journal.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends one event. It is not durable before the next [`Journal::sync`].
    pub fn append(&mut self, envelope: &Envelope) -> io::Result<()> {
        if envelope.seq != self.lines.next_seq() {
            let (path, came, due) = (self.path.display().to_string(), envelope.seq, self.lines.next_seq());
            return Err(io::Error::other(RunFailure::OutOfOrder { path, came, due }));
        }
        let written = self.lines.event(envelope).and_then(|line| self.file.write_all(line));
        written.map_err(|error| RunFailure::unwritten(&self.path, &error))
    }

    /// Syncs what was appended, as far as the chosen durability requires.
    pub fn sync(&mut self) -> io::Result<()> {
        let result = match self.durability {
            Durability::EverySync => self.sync_now(),
            Durability::AtMostEvery { period, clock } => {
                let now = clock();
                if self.synced.is_some_and(|last| now.saturating_sub(last) < period) {
                    self.file.flush()
                } else {
                    self.synced = Some(now);
                    self.sync_now()
                }
            }
        };
        result.map_err(|error| RunFailure::unwritten(&self.path, &error))
    }

    /// Syncs everything to disk, whatever the durability, and closes the journal.
    pub fn close(mut self) -> io::Result<()> {
        self.sync_now().map_err(|error| RunFailure::unwritten(&self.path, &error))
    }

    fn sync_now(&mut self) -> io::Result<()> {
        self.file.flush()?;
        self.file.get_ref().sync_data()
    }
}

fn buffered(file: File) -> BufWriter<File> {
    BufWriter::with_capacity(BUFFER, file)
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> JournalError {
    let path = path.to_owned();
    move |source| JournalError::Io { doing, path, source }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::read;
    use kiln_stories::{Story, endings};

    fn journal_of(dir: &Path, story: &Story) {
        let mut journal = Journal::create(dir, Durability::EverySync).expect("created");
        for event in &story.events {
            journal.append(event).expect("appended");
        }
        journal.close().expect("closed");
    }

    #[test]
    fn what_was_written_is_read_back() {
        for (name, story) in endings() {
            let dir = tempfile::tempdir().expect("a directory");
            journal_of(dir.path(), story);
            let read = read(dir.path()).expect("sound");
            assert_eq!(read.events, story.events, "{name}");
        }
    }

    #[test]
    fn a_torn_record_is_cut_off_and_writing_goes_on() {
        let story = &endings()["resumed"];
        let made = tempfile::tempdir().expect("a directory");
        journal_of(made.path(), story);
        let bytes = fs::read(made.path().join(FILE_NAME)).expect("journal");
        let ends: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] == b'\n').collect();
        // In the header, at the header's end, before and after a newline, inside and near the end of the last record.
        for cut in [0, 1, ends[0], ends[0] + 1, ends[3] - 1, ends[3], ends[3] + 1, bytes.len() - 40, bytes.len() - 1] {
            let dir = tempfile::tempdir().expect("a directory");
            fs::write(dir.path().join(FILE_NAME), &bytes[..cut]).expect("written");
            let (mut journal, read) = Journal::open_for_resume(dir.path(), Durability::EverySync).expect("opened");
            for event in &story.events[read.events.len()..] {
                journal.append(event).expect("appended");
            }
            journal.close().expect("closed");
            assert_eq!(fs::read(dir.path().join(FILE_NAME)).expect("journal"), bytes, "cut at {cut}");
        }
    }

    #[test]
    fn two_writers_never_meet() {
        let dir = tempfile::tempdir().expect("a directory");
        let journal = Journal::create(dir.path(), Durability::EverySync).expect("created");
        let refused = Journal::open_for_resume(dir.path(), Durability::EverySync);
        assert!(matches!(refused, Err(JournalError::InUse { .. })));
        assert!(read(dir.path()).is_ok(), "reading does not wait for the writer");
        drop(journal);
        assert!(Journal::open_for_resume(dir.path(), Durability::EverySync).is_ok());
        let refused = Journal::create(dir.path(), Durability::EverySync);
        assert!(matches!(refused, Err(JournalError::Exists { .. })));
    }

    #[test]
    fn an_event_out_of_turn_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut journal = Journal::create(dir.path(), Durability::EverySync).expect("created");
        let story = &endings()["pass"];
        assert!(journal.append(&story.events[1]).is_err());
        assert!(journal.append(&story.events[0]).is_ok());
    }

    #[test]
    fn a_sync_reaches_at_least_the_kernel() {
        let dir = tempfile::tempdir().expect("a directory");
        let durability = Durability::virtual_time(|| Duration::from_secs(5));
        let mut journal = Journal::create(dir.path(), durability).expect("created");
        for event in &endings()["pass"].events {
            journal.append(event).expect("appended");
            journal.sync().expect("synced");
            let read = read(dir.path()).expect("sound");
            assert_eq!(read.events.last(), Some(event));
        }
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_named() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("file");
        fs::write(&file, "in the way").expect("written");
        let error = Journal::create(&file.join("run"), Durability::EverySync).expect_err("refused");
        let shown = error.to_string().replace(&dir.path().display().to_string(), "DIR");
        insta::assert_snapshot!(shown, @"cannot make DIR/file/run");
    }
}
