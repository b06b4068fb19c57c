//! Reading a journal: every byte is checked against the chain, and the first damage is reported with its place.

#![expect(
    clippy::cast_possible_truncation,
    reason = "values are bounded where they are made, within the narrower type"
)]

use std::fmt;
use std::fs::{File, TryLockError};
use std::io::{self, Seek as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::{JournalError, LinePlace};
use super::line::{self, Chain};
use super::{FILE_NAME, VERSION};
use kiln_disk::{self as disk, Folder, GIB};
use kiln_event::Envelope;

/// The contents of a journal.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Read {
    /// The program that wrote the journal, such as `kiln 0.1.0`; empty if the header is incomplete.
    pub written_by: String,
    pub events: Vec<Envelope>,
    /// The last line, if it was not written completely.
    pub torn: Option<Torn>,
}

/// The beginning of a record whose rest was lost in a crash or power cut. Nothing was done on account of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Torn {
    pub line: u64,
    pub offset: u64,
    /// The number of bytes that are there.
    pub bytes: u64,
}

impl fmt::Display for Torn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, offset, bytes } = self;
        write!(
            f,
            "the last record of the journal, line {line} at byte {offset}, was torn off after {bytes} bytes and is left out"
        )
    }
}

/// The first line. Its format never changes.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Header {
    pub(super) schema: String,
    pub(super) written_by: String,
}

pub(super) const SCHEMA: &str = "kiln.journal/";

/// The position at which a writer continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Resumption {
    pub(super) chain: Chain,
    /// Length of the undamaged part.
    pub(super) length: u64,
    /// Whether the last line is complete except for its newline.
    pub(super) lacks_newline: bool,
}

/// Size limit of a journal: a run of a week with many defects writes some tens of megabytes.
const MOST: u64 = GIB;

/// A journal opened for reading.
#[derive(Debug)]
pub struct JournalFile {
    path: PathBuf,
    file: File,
}

impl JournalFile {
    /// Opens the journal in a run directory.
    pub fn open(dir: &Folder) -> Result<Self, JournalError> {
        let path = dir.path().join(FILE_NAME);
        match dir.open_file(FILE_NAME) {
            Ok(file) => Ok(Self { path, file }),
            Err(source) => Err(unread(&path, source)),
        }
    }

    /// Locks the run against writes by other processes until this value is dropped. Fails if the run is in progress.
    pub fn lock(self) -> Result<Self, JournalError> {
        lock(&self.file, &self.path)?;
        Ok(self)
    }

    /// Reads the whole journal and returns its root as well: the last chain value, which depends on every byte.
    pub fn read(&self) -> Result<(Read, String), JournalError> {
        let bytes = self.bytes()?;
        parse(&self.path, &bytes).map(|(read, at)| (read, line::to_hex(&at.chain)))
    }

    /// Reads the whole journal, handing over each event instead of keeping it. Returns its root, and its last line if that was
    /// not written completely. What was handed over before a failure is of a damaged journal.
    pub fn read_each(&self, each: &mut dyn FnMut(Envelope)) -> Result<(Option<Torn>, String), JournalError> {
        let bytes = self.bytes()?;
        let mut head = Read::default();
        let at = parse_into(&self.path, &bytes, &mut head, each)?;
        Ok((head.torn, line::to_hex(&at.chain)))
    }

    /// Holds the whole journal against its chain without understanding it, and returns its root; `None` if its last line is
    /// torn or lacks its end.
    pub fn root(&self) -> Result<Option<String>, JournalError> {
        let bytes = self.bytes()?;
        let mut at = Resumption { chain: line::BEGIN, length: 0, lacks_newline: false };
        let mut number = 0;
        while at.length < bytes.len() as u64 {
            let rest = &bytes[at.length as usize..];
            let Some(end) = memchr::memchr(b'\n', rest) else { return Ok(None) };
            number += 1;
            let place = LinePlace { line: number, seq: (number > 1).then(|| number - 2), offset: at.length };
            line::check(&rest[..end], &mut at.chain).map_err(|what| {
                if number == 1 {
                    return bad_header(&self.path, &rest[..end], place, what);
                }
                JournalError::Damaged { path: self.path.clone(), place, what }
            })?;
            at.length += end as u64 + 1;
        }
        Ok(Some(line::to_hex(&at.chain)))
    }

    /// Reads the journal up to the first damage, and returns that damage if there is one. Fails if nothing can be read.
    pub fn read_sound(&self) -> Result<(Read, Option<JournalError>), JournalError> {
        let bytes = self.bytes()?;
        let (mut read, mut events) = (Read::default(), Vec::new());
        let parsed = parse_into(&self.path, &bytes, &mut read, &mut |envelope| events.push(envelope));
        read.events = events;
        match parsed {
            Ok(_) => Ok((read, None)),
            Err(wrong) if read.events.is_empty() => Err(wrong),
            Err(wrong) => Ok((read, Some(wrong))),
        }
    }

    fn bytes(&self) -> Result<Vec<u8>, JournalError> {
        read_all(&self.file).map_err(|source| unread(&self.path, source))
    }
}

/// Reads the journal of a run directory.
pub fn read(dir: &Path) -> Result<Read, JournalError> {
    open(dir)?.read().map(|(read, _)| read)
}

/// Reads the journal of a run directory up to the first damage.
pub fn read_sound(dir: &Path) -> Result<(Read, Option<JournalError>), JournalError> {
    open(dir)?.read_sound()
}

fn open(dir: &Path) -> Result<JournalFile, JournalError> {
    let folder = Folder::open(dir).map_err(|source| unread(&dir.join(FILE_NAME), source))?;
    JournalFile::open(&folder)
}

/// Reads all bytes of an open journal.
pub(super) fn read_all(file: &File) -> io::Result<Vec<u8>> {
    let mut from_its_start = file;
    from_its_start.rewind()?;
    disk::read_open(file, MOST)
}

fn unread(path: &Path, source: io::Error) -> JournalError {
    match source.kind() {
        io::ErrorKind::NotFound => JournalError::Missing { path: path.to_owned() },
        _ => JournalError::Io { doing: "read", path: path.to_owned(), source },
    }
}

/// Takes a lock that lasts until the file is closed, however the process ends.
pub(super) fn lock(file: &File, path: &Path) -> Result<(), JournalError> {
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => JournalError::InUse { path: path.to_owned() },
        TryLockError::Error(source) => JournalError::Io { doing: "lock", path: path.to_owned(), source },
    })
}

pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<(Read, Resumption), JournalError> {
    let (mut read, mut events) = (Read::default(), Vec::new());
    let at = parse_into(path, bytes, &mut read, &mut |envelope| events.push(envelope))?;
    Ok((Read { events, ..read }, at))
}

/// `read` takes in everything but the events, which are handed over one by one.
fn parse_into(
    path: &Path,
    bytes: &[u8],
    read: &mut Read,
    each: &mut dyn FnMut(Envelope),
) -> Result<Resumption, JournalError> {
    let mut at = Resumption { chain: line::BEGIN, length: 0, lacks_newline: false };
    let mut number = 0;
    while at.length < bytes.len() as u64 {
        let rest = &bytes[at.length as usize..];
        number += 1;
        let seq = (number > 1).then(|| number - 2);
        let place = LinePlace { line: number, seq, offset: at.length };
        let damaged = |what| JournalError::Damaged { path: path.to_owned(), place, what };
        let Some(end) = memchr::memchr(b'\n', rest) else {
            let mut chain = at.chain;
            if line::check(rest, &mut chain).is_ok() {
                // Only the newline is missing: nothing is lost.
                take(path, place, rest, read, each)?;
                at = Resumption { chain, length: bytes.len() as u64, lacks_newline: true };
            } else if line::check(&rest[..rest.len() - 1], &mut chain).is_ok() {
                return Err(damaged("the newline at its end was changed"));
            } else {
                read.torn = Some(Torn { line: number, offset: at.length, bytes: rest.len() as u64 });
            }
            break;
        };
        let whole = &rest[..end];
        if let Err(what) = line::check(whole, &mut at.chain) {
            return Err(if number == 1 { bad_header(path, whole, place, what) } else { damaged(what) });
        }
        take(path, place, whole, read, each)?;
        at.length += end as u64 + 1;
    }
    Ok(at)
}

/// Parses a line whose chain value is correct.
fn take(
    path: &Path,
    place: LinePlace,
    line: &[u8],
    read: &mut Read,
    each: &mut dyn FnMut(Envelope),
) -> Result<(), JournalError> {
    let broken = |source| JournalError::NotAnEvent { path: path.to_owned(), place, source };
    let Some(expected) = place.seq else {
        let header: Header = serde_json::from_slice(line).map_err(broken)?;
        check_version(path, &header)?;
        read.written_by = header.written_by;
        return Ok(());
    };
    // Looked through for text once, and not string by string.
    let parsed = std::str::from_utf8(line).map_or_else(|_| serde_json::from_slice(line), serde_json::from_str);
    let envelope: Envelope = parsed.map_err(broken)?;
    if envelope.seq != expected {
        return Err(JournalError::Gap { path: path.to_owned(), place, found: envelope.seq });
    }
    each(envelope);
    Ok(())
}

fn check_version(path: &Path, header: &Header) -> Result<(), JournalError> {
    let version = header.schema.strip_prefix(SCHEMA).and_then(|version| version.split_once('.'));
    let number = |text: &str| text.parse::<u32>().ok();
    let Some(found) = version.and_then(|(major, minor)| Some((number(major)?, number(minor)?))) else {
        return Err(JournalError::NotAJournal { path: path.to_owned() });
    };
    if found.0 > VERSION.0 {
        return Err(JournalError::NewerMajor { path: path.to_owned(), found, known: VERSION });
    }
    Ok(())
}

/// Tells a damaged header from a file that never was a journal.
fn bad_header(path: &Path, line: &[u8], place: LinePlace, what: &'static str) -> JournalError {
    let opening = format!("{{\"schema\":\"{SCHEMA}");
    // One changed byte, as a failing disk leaves, still reads as a header by nearly all of its opening.
    let alike = opening.bytes().zip(line).filter(|(one, two)| one == *two).count();
    if alike * 2 > opening.len() {
        JournalError::Damaged { path: path.to_owned(), place, what }
    } else {
        JournalError::NotAJournal { path: path.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;
    use kiln_event::RunEvent;
    use kiln_stories::endings;

    fn fixture(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/journals").join(name)
    }

    fn whole() -> Vec<u8> {
        fs::read(fixture("whole.jsonl")).expect("fixture")
    }

    fn parsed(bytes: &[u8]) -> Result<Read, JournalError> {
        parse(Path::new("run/journal.jsonl"), bytes).map(|(read, _)| read)
    }

    fn told(name: &str) -> String {
        let path = Path::new("run/journal.jsonl");
        let bytes = fs::read(fixture(name)).expect("fixture");
        let shown = parse(path, &bytes).map(|(read, _)| format!("{} events, torn: {:?}", read.events.len(), read.torn));
        shown.unwrap_or_else(|error| error.to_string())
    }

    #[test]
    fn the_whole_fixture_holds_the_run_it_was_made_from() {
        let read = parsed(&whole()).expect("sound");
        assert_eq!(read.events, endings()["aborted"].events);
        assert_eq!((read.written_by.as_str(), read.torn), ("kiln 0.1.0", None));
    }

    #[test]
    fn every_fixture_is_told_apart() {
        let names = [
            "whole",
            "torn",
            "flipped",
            "flipped-header",
            "gap",
            "newer-minor",
            "newer-major",
            "not-an-event",
            "foreign",
            "empty",
        ];
        let shown = names.map(|name| format!("{name}: {}", told(&format!("{name}.jsonl"))));
        insta::assert_snapshot!(shown.join("\n"));
    }

    #[test]
    fn events_and_fields_of_a_newer_minor_version_are_passed_over() {
        let bytes = fs::read(fixture("newer-minor.jsonl")).expect("fixture");
        let events = parsed(&bytes).expect("readable").events;
        assert_eq!(events[1].event, RunEvent::Unknown);
        assert!(matches!(events[2].event, RunEvent::GpuLost { .. }));
    }

    #[test]
    fn a_journal_cut_at_any_byte_loses_at_most_its_last_record() {
        let bytes = whole();
        let all = parsed(&bytes).expect("sound").events;
        for cut in 0..=bytes.len() {
            let read = parsed(&bytes[..cut]).unwrap_or_else(|error| panic!("cut at {cut}: {error}"));
            let whole_lines = bytes[..cut].split(|byte| *byte == b'\n').count() - 1;
            assert!(read.events.len() >= whole_lines.saturating_sub(1), "cut at {cut}");
            assert_eq!(read.events, all[..read.events.len()], "cut at {cut}");
            let at_an_end = cut == 0 || bytes[cut - 1] == b'\n' || bytes[cut] == b'\n';
            assert_eq!(read.torn.is_none(), at_an_end, "cut at {cut}");
        }
    }

    #[test]
    fn any_byte_changed_is_found_and_its_line_named() {
        let bytes = whole();
        let mut line = 1;
        for at in 0..bytes.len() {
            // Another bit each time, so that all eight are met in every kind of place.
            let mut changed = bytes.clone();
            changed[at] ^= 1 << (at % 8);
            match parsed(&changed) {
                Err(JournalError::Damaged { place, .. }) => assert_eq!(place.line, line, "byte {at}"),
                other => panic!("byte {at} changed and not found: {other:?}"),
            }
            line += u64::from(bytes[at] == b'\n');
        }
    }

    proptest! {
        #[test]
        fn any_change_of_any_byte_is_found(at in any::<prop::sample::Index>(), value: u8) {
            let mut bytes = whole();
            let at = at.index(bytes.len());
            prop_assume!(bytes[at] != value);
            bytes[at] = value;
            let found = matches!(parsed(&bytes), Err(JournalError::Damaged { .. }));
            prop_assert!(found);
        }

        #[test]
        fn no_bytes_at_all_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = parsed(&bytes);
        }
    }
}
