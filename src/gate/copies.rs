//! The floor's copies of runs: directories whose files grow by what agents offer, where offset and chain fit.
//!
//! Bytes are on the disk before they are acknowledged. What a crash left behind the last whole line is cut off when a copy
//! is first asked for. `sealed/<run>` says at which position a copy was found whole.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kiln_disk::{self as disk, JOURNAL, SAMPLES};
use kiln_wire::{Appended, LineError, Position, Received, RunId, Tip};

use super::outlet::tell;

/// The longest piece of more than one line.
pub(crate) const PIECE_MOST: usize = 256 << 10;

#[derive(Debug, thiserror::Error)]
pub(crate) enum CopyError {
    #[error("these bytes are no lines of a journal: {0}")]
    Lines(#[from] LineError),
    #[error("{0} bytes at once; a piece of a journal has at most {PIECE_MOST}, unless it is a single line")]
    TooMuch(usize),
    #[error("the copy cannot be written: {0}")]
    Io(#[from] io::Error),
}

#[derive(Debug)]
struct Copy {
    /// Held while files are written to.
    writing: Mutex<()>,
    received: Mutex<Received>,
}

/// All copies.
#[derive(Debug)]
pub(crate) struct Copies {
    runs: PathBuf,
    seals: PathBuf,
    known: Mutex<BTreeMap<RunId, Arc<Copy>>>,
    /// Why the last piece could not be written; None once one was.
    trouble: Mutex<Option<String>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Copies {
    pub(crate) fn open(dir: &Path) -> io::Result<Self> {
        let (runs, seals) = (dir.join("runs"), dir.join("sealed"));
        fs::create_dir_all(&runs)?;
        fs::create_dir_all(&seals)?;
        File::open(dir)?.sync_all()?;
        Ok(Self { runs, seals, known: Mutex::default(), trouble: Mutex::default() })
    }

    /// The directory of a run's copy.
    pub(crate) fn path(&self, run: &RunId) -> PathBuf {
        self.runs.join(run.as_str())
    }

    /// Why nothing that agents hand over can be kept now.
    pub(crate) fn trouble(&self) -> Option<String> {
        locked(&self.trouble).clone()
    }

    /// Notes how a piece was written, and tells whoever reads the floor's log where that has changed.
    fn note(&self, written: &io::Result<()>) {
        let why = written.as_ref().err().map(|error| format!("{}: {error}", self.runs.display()));
        let mut before = locked(&self.trouble);
        match (&*before, &why) {
            (None, Some(why)) => {
                tell(&format!("{why}; what agents hand over is not taken until there is room, and they keep it"));
            }
            (Some(_), None) => tell("what agents hand over is taken again"),
            _ => {}
        }
        *before = why;
    }

    /// How much of a run is here; None where nothing is.
    pub(crate) fn received(&self, run: &RunId) -> io::Result<Option<Received>> {
        if let Some(copy) = locked(&self.known).get(run) {
            return Ok(Some(locked(&copy.received).clone()));
        }
        if !self.path(run).is_dir() {
            return Ok(None);
        }
        let copy = self.of(run)?;
        let received = locked(&copy.received).clone();
        Ok(Some(received))
    }

    /// The same of several runs, if no disk need be read for it.
    pub(crate) fn known(&self, runs: &[RunId]) -> Option<Vec<Received>> {
        let known = locked(&self.known);
        runs.iter().map(|run| known.get(run).map(|copy| locked(&copy.received).clone())).collect()
    }

    fn of(&self, run: &RunId) -> io::Result<Arc<Copy>> {
        let mut known = locked(&self.known);
        if let Some(copy) = known.get(run) {
            return Ok(Arc::clone(copy));
        }
        let received = self.read_back(run)?;
        let copy = Arc::new(Copy { writing: Mutex::default(), received: Mutex::new(received) });
        known.insert(run.clone(), Arc::clone(&copy));
        Ok(copy)
    }

    /// What is on the disk, after what a crash left half written was cut off.
    fn read_back(&self, run: &RunId) -> io::Result<Received> {
        let path = self.path(run);
        let mut journal = Position::default();
        let noted = if_there(disk::read(&self.seals.join(run.as_str()), 4096))?;
        let noted = noted.and_then(|bytes| serde_json::from_slice::<Position>(&bytes).ok());
        if let Some(bytes) = if_there(disk::read(&path.join(JOURNAL.name), disk::GIB))? {
            let whole = Tip::whole_lines(&bytes, bytes.len());
            // Damaged lines stay: sealing tells of them, and the agent's own comparison finds the fork.
            journal = Tip::after(journal, whole)
                .unwrap_or(Position { offset: whole.len() as u64, chain: kiln_wire::Chain::default() });
            // Nothing of a run that was whole is half written: what is no line there was spoiled, and may come back.
            let was_whole = noted.is_some_and(|noted| noted.offset > whole.len() as u64);
            if whole.len() < bytes.len() && !was_whole {
                let file = File::options().write(true).open(path.join(JOURNAL.name))?;
                file.set_len(whole.len() as u64)?;
                file.sync_all()?;
            }
        }
        let telemetry = if_there(path.join(SAMPLES.name).metadata())?.map_or(0, |found| found.len());
        let sealed = noted == Some(journal);
        Ok(Received { run: run.clone(), journal, telemetry, sealed: sealed && journal.offset > 0 })
    }

    /// Appends whole lines to a journal, if they continue it.
    pub(crate) fn append(&self, run: &RunId, from: Position, lines: &[u8]) -> Result<Appended, CopyError> {
        if lines.len() > PIECE_MOST && lines[..lines.len() - 1].contains(&b'\n') {
            return Err(CopyError::TooMuch(lines.len()));
        }
        let copy = self.of(run)?;
        let _writing = locked(&copy.writing);
        let here = locked(&copy.received).journal;
        let Appended::Here(after) = here.offered(from, lines)? else { return Ok(Appended::Elsewhere(here)) };
        let written = self.write(run, JOURNAL.name, from.offset, lines);
        self.note(&written);
        written?;
        let mut received = locked(&copy.received);
        (received.journal, received.sealed) = (after, received.sealed && after == from);
        Ok(Appended::Here(after))
    }

    /// Appends telemetry if it continues what is here, and says how much is here then.
    pub(crate) fn append_telemetry(&self, run: &RunId, from: u64, bytes: &[u8]) -> Result<u64, CopyError> {
        let copy = self.of(run)?;
        let _writing = locked(&copy.writing);
        let here = locked(&copy.received).telemetry;
        if here == from {
            let written = self.write(run, SAMPLES.name, from, bytes);
            self.note(&written);
            written?;
            locked(&copy.received).telemetry = from + bytes.len() as u64;
        }
        let now = locked(&copy.received).telemetry;
        Ok(now)
    }

    /// Notes durably that a copy was found whole at this position.
    pub(crate) fn seal(&self, run: &RunId, at: Position) -> io::Result<()> {
        let bytes = serde_json::to_vec(&at).map_err(io::Error::from)?;
        disk::replace(&self.seals.join(run.as_str()), &bytes)?;
        let copy = self.of(run)?;
        let mut received = locked(&copy.received);
        received.sealed = received.journal == at;
        Ok(())
    }

    /// Takes away the note that a copy was found whole.
    pub(crate) fn unseal(&self, run: &RunId) -> io::Result<()> {
        if_there(fs::remove_file(self.seals.join(run.as_str())))?;
        File::open(&self.seals)?.sync_all()?;
        if let Some(copy) = locked(&self.known).get(run) {
            locked(&copy.received).sealed = false;
        }
        Ok(())
    }

    /// Writes at the end of a file, durably or not at all.
    fn write(&self, run: &RunId, name: &str, at: u64, bytes: &[u8]) -> io::Result<()> {
        let path = self.path(run).join(name);
        let fresh = !path.exists();
        if fresh && let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut file = File::options().create(true).append(true).open(&path)?;
        if file.metadata()?.len() > at {
            // A disk that was full took half of what was not acknowledged, and could not be rid of it then.
            file.set_len(at)?;
        }
        let written = file.write_all(bytes).and_then(|()| file.sync_data());
        if written.is_err() {
            // Who reads the copy meanwhile finds whole lines. That it cannot be cut now is no news beside why it was not written.
            let _ = file.set_len(at);
        }
        written?;
        if fresh {
            for folder in path.ancestors().skip(1).take_while(|folder| folder.starts_with(&self.runs)) {
                File::open(folder)?.sync_all()?;
            }
        }
        Ok(())
    }
}

fn if_there<T>(got: io::Result<T>) -> io::Result<Option<T>> {
    match got {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(body: &str, digit: char) -> Vec<u8> {
        format!("{{{body},\"chain\":\"{}\"}}\n", digit.to_string().repeat(64)).into_bytes()
    }

    #[test]
    fn bytes_are_taken_only_where_they_continue_the_copy() {
        let dir = tempfile::tempdir().expect("folder");
        let copies = Copies::open(dir.path()).expect("copies");
        let run: RunId = "run-1".parse().expect("a run");
        let (one, two) = (line("\"a\":1", 'a'), line("\"b\":2", 'b'));
        assert_eq!(copies.received(&run).expect("read"), None);
        let Ok(Appended::Here(first)) = copies.append(&run, Position::default(), &one) else { panic!("not taken") };
        // Doubled, too early, and from another history.
        for from in [Position::default(), Position { offset: first.offset + 1, ..first }] {
            assert!(matches!(copies.append(&run, from, &two), Ok(Appended::Elsewhere(at)) if at == first));
        }
        let other = Position { chain: Tip::after(Position::default(), &two).expect("lines").chain, ..first };
        assert!(matches!(copies.append(&run, other, &two), Ok(Appended::Elsewhere(at)) if at == first));
        assert!(matches!(copies.append(&run, first, &two[..9]), Err(CopyError::Lines(LineError::Torn))));
        assert!(matches!(copies.append(&run, first, &two), Ok(Appended::Here(_))));
        assert_eq!(fs::read(copies.path(&run).join(JOURNAL.name)).expect("a copy"), [one, two].concat());
    }

    #[test]
    fn a_crash_in_the_middle_of_an_append_costs_that_append() {
        let dir = tempfile::tempdir().expect("folder");
        let run: RunId = "run-1".parse().expect("a run");
        let one = line("\"a\":1", 'a');
        let copies = Copies::open(dir.path()).expect("copies");
        let Ok(Appended::Here(first)) = copies.append(&run, Position::default(), &one) else { panic!("not taken") };
        copies.append_telemetry(&run, 0, b"frames").expect("taken");
        copies.seal(&run, first).expect("sealed");
        let path = copies.path(&run).join(JOURNAL.name);
        fs::write(&path, [&one[..], b"{\"half"].concat()).expect("torn");
        let copies = Copies::open(dir.path()).expect("copies");
        let received = copies.received(&run).expect("read").expect("a copy");
        assert_eq!((received.journal, received.telemetry, received.sealed), (first, 6, true));
        assert_eq!(fs::read(&path).expect("a copy"), one);
        let Ok(Appended::Here(_)) = copies.append(&run, first, &line("\"b\":2", 'b')) else { panic!("not taken") };
        assert!(!copies.received(&run).expect("read").expect("a copy").sealed, "what grew is not what was sealed");
    }

    #[test]
    fn what_was_whole_and_is_spoiled_is_not_cut() {
        let dir = tempfile::tempdir().expect("folder");
        let run: RunId = "run-1".parse().expect("a run");
        let copies = Copies::open(dir.path()).expect("copies");
        let Ok(Appended::Here(first)) = copies.append(&run, Position::default(), &line("\"a\":1", 'a')) else {
            panic!("not taken")
        };
        copies.seal(&run, first).expect("sealed");
        let path = copies.path(&run).join(JOURNAL.name);
        let mut spoiled = fs::read(&path).expect("a copy");
        *spoiled.last_mut().expect("bytes") ^= 1;
        fs::write(&path, &spoiled).expect("spoiled");
        let received = Copies::open(dir.path()).expect("copies").received(&run).expect("read").expect("a copy");
        assert!(!received.sealed);
        assert_eq!(fs::read(&path).expect("a copy"), spoiled, "the byte put back mends it");
    }

    #[test]
    fn what_a_full_disk_does_not_take_is_not_acknowledged_and_fits_once_there_is_room() {
        let dir = tempfile::tempdir().expect("folder");
        let copies = Copies::open(dir.path()).expect("copies");
        let run: RunId = "run-1".parse().expect("a run");
        let one = line("\"a\":1", 'a');
        fs::create_dir_all(copies.path(&run).join("telemetry")).expect("made");
        // The kernel's own full disk: every write to it ends with ENOSPC.
        let full = [copies.path(&run).join(JOURNAL.name), copies.path(&run).join(SAMPLES.name)];
        for path in &full {
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        }
        let known = copies.received(&run).expect("read").expect("an empty copy");
        for path in &full {
            std::os::unix::fs::symlink("/dev/full", path).expect("linked");
        }
        assert!(matches!(copies.append(&run, Position::default(), &one), Err(CopyError::Io(_))));
        assert!(matches!(copies.append_telemetry(&run, 0, b"frames"), Err(CopyError::Io(_))));
        assert_eq!(copies.received(&run).expect("read"), Some(known), "nothing was acknowledged");
        assert!(copies.trouble().is_some_and(|why| why.contains("No space left")), "{:?}", copies.trouble());
        for path in &full {
            fs::remove_file(path).expect("room again");
        }
        assert!(matches!(copies.append(&run, Position::default(), &one), Ok(Appended::Here(_))));
        assert_eq!(copies.append_telemetry(&run, 0, b"frames").expect("taken"), 6);
        assert_eq!(copies.trouble(), None);
    }

    #[test]
    fn half_of_what_was_not_acknowledged_is_not_continued() {
        let dir = tempfile::tempdir().expect("folder");
        let copies = Copies::open(dir.path()).expect("copies");
        let run: RunId = "run-1".parse().expect("a run");
        let (one, two) = (line("\"a\":1", 'a'), line("\"b\":2", 'b'));
        let Ok(Appended::Here(first)) = copies.append(&run, Position::default(), &one) else { panic!("not taken") };
        assert_eq!(copies.append_telemetry(&run, 0, b"frames").expect("taken"), 6);
        // A disk that had room for half of it, while the same floor goes on.
        let (journal, samples) = (copies.path(&run).join(JOURNAL.name), copies.path(&run).join(SAMPLES.name));
        fs::write(&journal, [&one[..], &two[..20]].concat()).expect("half");
        fs::write(&samples, b"framesmo").expect("half");
        assert!(matches!(copies.append(&run, first, &two), Ok(Appended::Here(_))));
        assert_eq!(copies.append_telemetry(&run, 6, b"more").expect("taken"), 10);
        assert_eq!(fs::read(&journal).expect("a copy"), [one, two].concat());
        assert_eq!(fs::read(&samples).expect("a copy"), b"framesmore");
    }

    #[test]
    fn telemetry_is_taken_once() {
        let dir = tempfile::tempdir().expect("folder");
        let copies = Copies::open(dir.path()).expect("copies");
        let run: RunId = "run-1".parse().expect("a run");
        for (from, bytes, held) in [(0, "abc", 3), (0, "abc", 3), (9, "x", 3), (3, "de", 5)] {
            assert_eq!(copies.append_telemetry(&run, from, bytes.as_bytes()).expect("answered"), held);
        }
        assert_eq!(fs::read(copies.path(&run).join(SAMPLES.name)).expect("a copy"), b"abcde");
    }

    #[test]
    fn a_piece_is_bounded_and_a_single_line_may_be_longer() {
        let dir = tempfile::tempdir().expect("folder");
        let copies = Copies::open(dir.path()).expect("copies");
        let run: RunId = "run-1".parse().expect("a run");
        let long = line(&format!("\"a\":\"{}\"", "x".repeat(PIECE_MOST)), 'a');
        let two = [line("\"b\":2", 'b'), long.clone()].concat();
        assert!(matches!(copies.append(&run, Position::default(), &two), Err(CopyError::TooMuch(_))));
        assert!(matches!(copies.append(&run, Position::default(), &long), Ok(Appended::Here(_))));
    }
}
