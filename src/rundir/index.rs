//! What was made of a run before, kept beside the runs so that its journal need not be understood again: `.kiln-index`.
//!
//! An index is never believed over a journal. Every use reads the whole journal, holds it against its chain, and takes from
//! the index only what bears the journal's last chain value, which depends on every byte. What this user's own program did
//! not write is not believed either: an entry carries a code (HMAC-SHA256) under a key that lies in the user's state folder,
//! so that one that came along with runs from elsewhere, or was changed, is as good as none. An entry that is stale, damaged
//! or foreign is made again; one that cannot be written costs the next call time and nothing else.

#![expect(
    clippy::cast_possible_truncation,
    reason = "values are bounded where they are made, within the narrower type"
)]

use std::fs::OpenOptions;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::Sha256;

use super::error::RunDirError;
use super::run_dir::RunDir;
use kiln_disk::{Folder, Keep, MIB, fill_with_randomness};

/// The folder beside the runs.
const FOLDER: &str = ".kiln-index";
/// Of the form of entries. What they hold has the forms of this program's version, which is told as well.
const FORM: &str = concat!("kiln.index/2 of kiln ", env!("CARGO_PKG_VERSION"));
/// The most that is read of one entry: some ten thousand values are a few hundred kilobytes.
const MOST: u64 = 64 * MIB;
const CODE: usize = 32;
/// Entries are read far more often than they are written, and level 1 already makes them small.
const LEVEL: i32 = 1;

/// The user's key. Whoever has it could as well change this program.
#[derive(Clone)]
pub struct IndexKey([u8; 32]);

impl std::fmt::Debug for IndexKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IndexKey")
    }
}

impl IndexKey {
    /// Reads the key in a folder of the user's own, or makes one there.
    pub fn in_folder(folder: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let path = folder.join("index.key");
        let mut key = [0; 32];
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            Ok(mut file) => {
                fill_with_randomness(&mut key)?;
                file.write_all(&key)?;
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                std::fs::File::open(&path)?.read_exact(&mut key)?;
            }
            Err(error) => return Err(error),
        }
        Ok(Self(key))
    }

    fn code(&self) -> Hmac<Sha256> {
        // As long as a block of the hash, which HMAC fills up with zeros itself.
        let mut block = [0; 64];
        block[..self.0.len()].copy_from_slice(&self.0);
        Hmac::<Sha256>::new(&block.into())
    }
}

/// Entries of one kind.
#[derive(Debug, Clone)]
pub struct Index {
    key: IndexKey,
    kind: &'static str,
    question: String,
}

impl Index {
    /// `kind` names what is kept, with a number that rises whenever its form changes.
    pub const fn new(key: IndexKey, kind: &'static str) -> Self {
        Self { key, kind, question: String::new() }
    }

    /// Of what was made with respect to something beside the run: what answers another question is made again.
    #[must_use]
    pub fn answering(self, question: String) -> Self {
        Self { question, ..self }
    }

    fn code(&self, payload: &[u8]) -> Hmac<Sha256> {
        let mut code = self.key.code();
        for part in [FORM.as_bytes(), b"\0", self.kind.as_bytes(), b"\0", self.question.as_bytes(), b"\0", payload] {
            code.update(part);
        }
        code
    }

    /// What was kept of this run, if the journal is still the one it was made from. Fails if the journal is damaged.
    pub(super) fn find<T: DeserializeOwned>(&self, dir: &RunDir) -> Result<Option<T>, RunDirError> {
        let bytes = place(dir.path()).and_then(|(folder, run)| folder.read(&self.name(&run), MOST).ok());
        let Some((root, kept)) = bytes.and_then(|bytes| self.opened::<T>(&bytes)) else { return Ok(None) };
        Ok((dir.root()? == Some(root)).then_some(kept))
    }

    fn opened<T: DeserializeOwned>(&self, bytes: &[u8]) -> Option<(String, T)> {
        let (code, payload) = bytes.split_at_checked(CODE)?;
        self.code(payload).verify_slice(code).ok()?;
        let plain = zstd::bulk::decompress(payload, MOST as usize).ok()?;
        rmp_serde::from_slice(&plain).ok()
    }

    /// Keeps what was made of a run whose journal ends in `root`. Runs may lie where nothing can be written.
    pub(super) fn keep<T: Serialize>(&self, dir: &RunDir, root: &str, made: &T) {
        let kept = || -> Option<()> {
            let plain = rmp_serde::to_vec_named(&(root, made)).ok()?;
            let payload = zstd::bulk::compress(&plain, LEVEL).ok()?;
            let mut entry = self.code(&payload).finalize().into_bytes().to_vec();
            entry.extend_from_slice(&payload);
            let (parent, run) = beside(dir.path())?;
            let folder = Folder::open(parent).ok()?.make_subfolder(FOLDER).ok()?;
            folder.replace(&self.name(run), &entry, Keep::Rebuildable).ok()
        };
        if kept().is_none() {
            tracing::debug!(run = %dir.path().display(), "the index beside the runs cannot be written");
        }
    }

    fn name(&self, run: &str) -> String {
        format!("{run}.{}", self.kind)
    }
}

/// The folder that a run lies in, and the name it has there.
fn beside(run: &Path) -> Option<(&Path, &str)> {
    let name = run.file_name()?.to_str()?;
    let parent = run.parent()?;
    Some((parent, name))
}

fn place(run: &Path) -> Option<(Folder, String)> {
    let (parent, name) = beside(run)?;
    Some((Folder::open(parent).ok()?.subfolder(FOLDER).ok()?, name.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::PathBuf;

    use super::super::{Found, read_many, read_records};
    use super::*;
    use kiln_event::{Envelope, RunRecord};
    use kiln_journal::{Durability, Journal};
    use kiln_lot::RunSummary;
    use kiln_stories::endings;

    fn index(byte: u8) -> Index {
        Index::new(IndexKey([byte; 32]), "summary-1")
    }

    fn write(run: &Path, story: &str) {
        let _ = fs::remove_dir_all(run);
        let mut journal = Journal::create(run, Durability::EverySync).expect("created");
        for event in &endings()[story].events {
            journal.append(event).expect("appended");
        }
        journal.close().expect("closed");
    }

    fn summary(record: &RunRecord) -> Result<RunSummary, String> {
        RunSummary::of(record).ok_or_else(|| "not begun".to_owned())
    }

    /// What is found, and how many journals were understood for it.
    fn found(index: &Index, runs: &[PathBuf]) -> (Found<RunSummary>, usize) {
        let read = std::sync::atomic::AtomicUsize::new(0);
        let found = read_records(
            Some(index),
            runs,
            |record| {
                read.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                summary(record)
            },
            |_| (),
        );
        (found, read.into_inner())
    }

    fn runs() -> (tempfile::TempDir, Vec<PathBuf>) {
        let folder = tempfile::tempdir().expect("a folder");
        let runs: Vec<PathBuf> = ["pass", "fail-limit"].map(|story| folder.path().join(story)).to_vec();
        for run in &runs {
            write(run, run.file_name().and_then(|name| name.to_str()).expect("a story"));
        }
        (folder, runs)
    }

    fn entries(folder: &Path) -> Vec<PathBuf> {
        fs::read_dir(folder.join(FOLDER)).expect("an index").map(|entry| entry.expect("an entry").path()).collect()
    }

    #[test]
    fn what_comes_from_the_index_is_what_comes_from_the_journal() {
        let (_folder, runs) = runs();
        let plain = read_records(None, &runs, summary, |_| ()).runs;
        assert_eq!(plain.len(), 2);
        let (cold, read) = found(&index(1), &runs);
        assert_eq!((&cold.runs, read), (&plain, 2));
        let (warm, read) = found(&index(1), &runs);
        assert_eq!((&warm.runs, read), (&plain, 0), "no journal was understood again");
    }

    #[test]
    fn a_journal_that_changed_is_read_again() {
        let (folder, runs) = runs();
        found(&index(1), &runs);
        write(&folder.path().join("pass"), "fail-limit");
        let (again, read) = found(&index(1), &runs);
        assert_eq!(read, 1);
        assert!(!again.runs[0].1.passed(), "{:?}", again.runs[0].1.verdict);
    }

    #[test]
    fn a_damaged_journal_is_told_whatever_its_index_says() {
        let (folder, runs) = runs();
        found(&index(1), &runs);
        let journal = folder.path().join("pass/journal.jsonl");
        let mut bytes = fs::read(&journal).expect("a journal");
        let times = fs::metadata(&journal).and_then(|file| file.modified()).expect("a time");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 4;
        fs::write(&journal, bytes).expect("written");
        // As somebody does it who knows what else might be looked at.
        fs::File::options().write(true).open(&journal).and_then(|file| file.set_modified(times)).expect("set back");
        let (again, _) = found(&index(1), &runs);
        assert_eq!((again.runs.len(), again.unread.len()), (1, 1));
        assert!(again.unread[0].why.contains("is damaged at"), "{}", again.unread[0].why);
    }

    #[test]
    fn an_index_that_another_hand_wrote_changes_no_result() {
        let (folder, runs) = runs();
        let (told, _) = found(&index(1), &runs);
        // A good verdict, forged for the run that failed: whole, of the right form, for the right journal, under another key.
        let mut forged = told.runs[0].1.clone();
        forged.run_id = "forged".to_owned();
        let failed = RunDir::open(&runs[1]).expect("a run");
        let root = failed.root().expect("sound").expect("whole");
        index(2).keep(&failed, &root, &forged);
        let (again, read) = found(&index(1), &runs);
        assert_eq!((again.runs == told.runs, read), (true, 1), "the forged entry is not believed");
        let (warm, read) = found(&index(1), &runs);
        assert_eq!((warm.runs == told.runs, read), (true, 0), "and was made again");
        assert_eq!(entries(folder.path()).len(), 2);
    }

    #[test]
    fn an_answer_to_another_question_is_not_given() {
        let (_folder, runs) = runs();
        let by = |limit: &'static str| {
            let index = index(1).answering(limit.to_owned());
            let count = |events: &[Envelope]| Ok(events.len().to_string());
            read_many(Some(&index), &runs, count, move |_, count| (limit.to_owned(), count)).runs
        };
        let answers = |found: Vec<(PathBuf, (String, String))>| -> Vec<String> {
            found.into_iter().map(|(_, (limit, _))| limit).collect()
        };
        for limit in ["700 W", "650 W", "650 W", "700 W"] {
            assert_eq!(answers(by(limit)), [limit, limit]);
        }
        assert_eq!(by("700 W"), by("700 W"));
    }

    #[test]
    fn an_index_with_any_byte_changed_or_cut_changes_no_result() {
        let (folder, runs) = runs();
        let (told, _) = found(&index(1), &runs);
        for path in entries(folder.path()) {
            let whole = fs::read(&path).expect("an entry");
            for at in [0, CODE, whole.len() / 2, whole.len() - 1] {
                let mut changed = whole.clone();
                changed[at] ^= 1;
                fs::write(&path, changed).expect("written");
                let (again, read) = found(&index(1), &runs);
                assert_eq!((again.runs == told.runs, read), (true, 1), "byte {at}");
                fs::write(&path, &whole[..at]).expect("written");
                let (again, read) = found(&index(1), &runs);
                assert_eq!((again.runs == told.runs, read), (true, 1), "cut at {at}");
            }
        }
    }

    #[test]
    fn a_key_is_made_once_and_is_nobody_elses() {
        let folder = tempfile::tempdir().expect("a folder");
        let own = folder.path().join("state/kiln");
        let (one, two) = (IndexKey::in_folder(&own).expect("made"), IndexKey::in_folder(&own).expect("read"));
        assert!(one.0 == two.0 && one.0 != [0; 32]);
        let mode = fs::metadata(own.join("index.key")).expect("a key").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
