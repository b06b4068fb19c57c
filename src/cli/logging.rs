//! Diagnostics of the program itself: on stderr as far as they are asked for, and always in a bounded file of the run
//! directory, which a support engineer can read after a hang.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt};

use super::printer;
use crate::disk::{Folder, JOURNAL, LOG};

/// What is kept of the time before the run directory is there.
const KEPT: usize = 256 * 1024;

/// The most a run's log may hold. A week of a healthy run fills less than a tenth; a fault that is told every second of
/// three days fills it, and by then has been told often enough.
const MOST: u64 = 16 * 1024 * 1024;

/// What goes into the file: everything of ours but what is told of every sample.
const IN_THE_FILE: &str = "kiln=debug";

/// The log of this process's run.
static RUN_LOG: Mutex<RunLog> = Mutex::new(RunLog { folder: None, kept: Vec::new(), file: None });

/// Starts logging: to stderr as `KILN_LOG` says (`KILN_LOG=kiln_load=debug`), or else as often as `-v` was given, and to
/// the run's file once [`in_folder`] names it.
pub(super) fn start(verbose: u8) {
    let chosen = std::env::var("KILN_LOG").ok().filter(|filter| !filter.is_empty()).unwrap_or_else(|| {
        match verbose {
            0 => "off",
            1 => "kiln=info",
            2 => "kiln=debug",
            _ => "trace",
        }
        .to_owned()
    });
    let filter = chosen.parse::<EnvFilter>().unwrap_or_else(|error| {
        printer::tell(&format!("KILN_LOG: `{chosen}` is no filter ({error}); write for example `KILN_LOG=kiln=debug`"));
        EnvFilter::new("off")
    });
    let stderr = fmt::layer().with_writer(io::stderr).with_ansi(printer::wants_color()).with_filter(filter);
    let file = fmt::layer().with_writer(|| Shared).with_ansi(false).with_filter(EnvFilter::new(IN_THE_FILE));
    // A second call would be a defect of ours, and no reason to refuse a run.
    let _ = tracing_subscriber::registry().with(stderr).with(file).try_init();
}

/// Has the log written to the run directory from the moment it has a journal.
pub(super) fn in_folder(folder: &Path) {
    RUN_LOG.lock().unwrap_or_else(PoisonError::into_inner).folder = Some(folder.to_owned());
}

/// Writes to the log of this process's run.
struct Shared;

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        RUN_LOG.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The log of one run: what came before there was a folder, then the file.
#[derive(Debug, Default)]
struct RunLog {
    folder: Option<PathBuf>,
    kept: Vec<u8>,
    file: Option<Bounded>,
}

/// A file that is written up to a size.
#[derive(Debug)]
struct Bounded {
    file: File,
    left: u64,
}

impl RunLog {
    /// Opens the file once the folder is a run's, so that nothing is put into a folder whose run was refused.
    fn open(&mut self) -> Option<Bounded> {
        let folder = Folder::open(self.folder.as_ref()?).ok()?;
        if !folder.has(JOURNAL.name) {
            return None;
        }
        let file = match folder.open_to_append(LOG.name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => folder.create_new(LOG.name),
            other => other,
        };
        // What lies there instead and is no file of ours is left alone, and the run goes on without a log.
        let file = file.ok()?;
        let left = MOST.saturating_sub(file.metadata().ok()?.len());
        let mut bounded = Bounded { file, left };
        bounded.put(&std::mem::take(&mut self.kept));
        Some(bounded)
    }
}

impl Bounded {
    /// Writes what fits, and says once that there is no more room. A log that cannot be written must not stop a run.
    fn put(&mut self, bytes: &[u8]) {
        const FULL: &[u8] = b"the log is full; nothing more is written to it\n";
        if self.left == 0 || bytes.is_empty() {
            return;
        }
        let fits = bytes.len() as u64 + FULL.len() as u64 <= self.left;
        self.left = if fits { self.left - bytes.len() as u64 } else { 0 };
        let _ = self.file.write_all(if fits { bytes } else { FULL });
    }
}

impl Write for RunLog {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.file.is_none() {
            self.file = self.open();
        }
        match &mut self.file {
            Some(file) => file.put(bytes),
            None if self.kept.len() + bytes.len() <= KEPT => self.kept.extend_from_slice(bytes),
            None => {}
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(folder: &Path) -> RunLog {
        RunLog { folder: Some(folder.to_owned()), ..RunLog::default() }
    }

    #[test]
    fn what_came_before_the_journal_is_written_once_it_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = log(folder.path());
        log.write_all(b"one\n").unwrap();
        assert!(!folder.path().join(LOG.name).exists());
        std::fs::write(folder.path().join(JOURNAL.name), "").unwrap();
        log.write_all(b"two\n").unwrap();
        assert_eq!(std::fs::read_to_string(folder.path().join(LOG.name)).unwrap(), "one\ntwo\n");
    }

    #[test]
    fn a_full_log_says_so_and_grows_no_more() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(JOURNAL.name), "").unwrap();
        let mut log = log(folder.path());
        for _ in 0..(MOST / 1000 + 10) {
            log.write_all(&[b'x'; 1000]).unwrap();
        }
        let text = std::fs::read(folder.path().join(LOG.name)).unwrap();
        assert!(text.len() as u64 <= MOST && text.ends_with(b"nothing more is written to it\n"));
    }

    #[test]
    fn a_link_in_its_place_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(JOURNAL.name), "").unwrap();
        std::fs::write(folder.path().join("victim"), "kept").unwrap();
        std::os::unix::fs::symlink(folder.path().join("victim"), folder.path().join(LOG.name)).unwrap();
        log(folder.path()).write_all(b"one\n").unwrap();
        assert_eq!(std::fs::read_to_string(folder.path().join("victim")).unwrap(), "kept");
    }

    #[test]
    fn a_pipe_in_its_place_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(JOURNAL.name), "").unwrap();
        let pipe = std::process::Command::new("mkfifo").arg(folder.path().join(LOG.name)).status().unwrap();
        assert!(pipe.success());
        log(folder.path()).write_all(b"one\n").unwrap();
    }
}
