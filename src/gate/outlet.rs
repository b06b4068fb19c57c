//! What other systems are told: a file for every disposition, dropped into a folder that they watch.
//!
//! The floor's own events are the queue, and a cursor says up to which one files were written. It moves after the file is
//! there: a crash in between writes the same file with the same bytes once more, and never leaves one out. Who takes files
//! away keys on their name. A folder that cannot be written to is tried again for as long as it takes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use kiln_disk as disk;
use kiln_floor::{FloorEvent, FloorState, Stamped};
use serde::Serialize;

use super::store::StoreError;

/// The form of the files.
const SCHEMA: &str = "kiln.disposition/1";
/// Between two tries at a folder that cannot be written to.
const AGAIN: Duration = Duration::from_secs(5);
/// The file in the floor's folder that says what was dropped.
const CURSOR: &str = "dropped";

/// A unit's disposition, with what it was made from.
#[derive(Debug, Serialize)]
struct Dropped<'a> {
    schema: &'static str,
    floor: &'a str,
    /// The number of the floor's event: the same file is the same fact.
    seq: u64,
    /// Microseconds since 1970, UTC.
    at: u64,
    unit: &'a str,
    slot: Option<&'a str>,
    lot: Option<&'a str>,
    disposition: kiln_floor::Disposition,
    because: &'a kiln_floor::Because,
    by: &'a kiln_floor::Actor,
    runs: Vec<Run<'a>>,
}

#[derive(Debug, Serialize)]
#[expect(clippy::struct_field_names, reason = "the names are those of the file that is dropped")]
struct Run<'a> {
    run: &'a str,
    profile: &'a str,
    verdict: kiln_event::VerdictWord,
    codes: &'a [String],
}

/// Drops files for the events it is given, and for those of before that were not dropped yet.
pub(crate) struct Outlet {
    floor: String,
    folder: PathBuf,
    cursor: PathBuf,
    /// The first event that nothing was dropped for.
    next: u64,
    state: FloorState,
}

impl Outlet {
    pub(crate) fn open(floor: &str, data: &Path, folder: &Path) -> Result<Self, StoreError> {
        let cursor = data.join(CURSOR);
        let wrong = |path: &Path, source| StoreError::Io { path: path.to_owned(), source };
        fs::create_dir_all(folder).map_err(|source| wrong(folder, source))?;
        let next = match disk::read(&cursor, 64) {
            Ok(bytes) => {
                let text = String::from_utf8_lossy(&bytes);
                let read = text.trim().parse().map_err(|_| io::Error::other("this is no number of an event"));
                read.map_err(|source| wrong(&cursor, source))?
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(source) => return Err(wrong(&cursor, source)),
        };
        Ok(Self { floor: floor.to_owned(), folder: folder.to_owned(), cursor, next, state: FloorState::default() })
    }

    /// Works on a thread of its own until the floor ends.
    ///
    /// A cursor ahead of the events would leave out what comes next: it is refused.
    pub(crate) fn run(mut self, before: Vec<Stamped>, news: mpsc::Receiver<Vec<Stamped>>) -> io::Result<()> {
        if self.next > before.len() as u64 {
            let (cursor, next, events) = (self.cursor.display(), self.next, before.len());
            let why =
                format!("{cursor} is at event {next}, and the floor has {events}: its database was lost or replaced");
            return Err(io::Error::other(why));
        }
        std::thread::Builder::new().name("outlet".to_owned()).spawn(move || {
            for batch in std::iter::once(before).chain(news) {
                for event in &batch {
                    while let Err(error) = self.take(event) {
                        tell(&format!("{}: {error}; trying again", self.folder.display()));
                        wait();
                    }
                }
            }
        })?;
        Ok(())
    }

    /// Takes one event in, and drops a file if it is a disposition that none was dropped for.
    fn take(&mut self, stamped: &Stamped) -> io::Result<()> {
        let fresh = stamped.seq >= self.next;
        if fresh && let FloorEvent::Disposed { unit, disposition, because, .. } = &stamped.event {
            let known = self.state.units.get(unit);
            let runs = known.map_or(&[][..], |known| &known.runs).iter().map(|outcome| Run {
                run: outcome.facts.run.as_str(),
                profile: &outcome.profile,
                verdict: outcome.facts.verdict,
                codes: &outcome.facts.codes,
            });
            let dropped = Dropped {
                schema: SCHEMA,
                floor: &self.floor,
                seq: stamped.seq,
                at: stamped.at,
                unit: unit.as_str(),
                slot: known.and_then(|known| known.slot.as_ref()).map(kiln_wire::SlotId::as_str),
                lot: known.and_then(|known| known.lot.as_ref()).map(kiln_wire::LotId::as_str),
                disposition: *disposition,
                because,
                by: &stamped.actor,
                runs: runs.collect(),
            };
            let bytes = serde_json::to_vec_pretty(&dropped).map_err(io::Error::from)?;
            disk::replace(&self.folder.join(format!("{:012}-{unit}.json", stamped.seq)), &bytes)?;
            disk::replace(&self.cursor, format!("{}\n", stamped.seq + 1).as_bytes())?;
            self.next = stamped.seq + 1;
        }
        self.state.apply(stamped);
        Ok(())
    }
}

#[expect(clippy::print_stderr, reason = "nobody asked, and somebody must hear of it")]
fn tell(text: &str) {
    eprintln!("{text}");
}

#[expect(clippy::disallowed_methods, reason = "a thread that does nothing else waits for a folder to come back")]
fn wait() {
    std::thread::sleep(AGAIN);
}

#[cfg(test)]
mod tests {
    use kiln_floor::{Actor, Because, Disposition};

    use super::*;

    fn events() -> Vec<Stamped> {
        let unit = || "SRV1".parse().expect("a serial");
        let scanned = FloorEvent::UnitScanned { unit: unit(), at: None, slot: None, lot: None };
        let disposed = FloorEvent::Disposed {
            unit: unit(),
            disposition: Disposition::Scrapped,
            because: Because::Rules,
            class: None,
        };
        let stamped = |(seq, event)| Stamped { seq, at: 9, actor: Actor::Floor, event };
        [(0, scanned), (1, disposed.clone()), (2, disposed)].map(stamped).into()
    }

    #[test]
    fn every_disposition_is_dropped_once_over_restarts_and_the_same_again_after_a_crash() {
        let dir = tempfile::tempdir().expect("a folder");
        let (data, folder) = (dir.path(), dir.path().join("drop"));
        let take = |upto: usize| {
            let mut outlet = Outlet::open("Hall", data, &folder).expect("an outlet");
            events()[..upto].iter().for_each(|event| outlet.take(event).expect("dropped"));
        };
        let names = || -> Vec<String> {
            let entries = fs::read_dir(&folder).expect("the folder");
            let mut names: Vec<String> =
                entries.map(|entry| entry.expect("entry").file_name().to_string_lossy().into_owned()).collect();
            names.sort();
            names
        };
        take(2);
        let first = folder.join("000000000001-SRV1.json");
        let bytes = fs::read(&first).expect("dropped");
        // The other system has taken it: a restart does not drop it again.
        fs::remove_file(&first).expect("taken");
        take(3);
        assert_eq!(names(), ["000000000002-SRV1.json"]);
        // A crash before the cursor moved: the same bytes under the same name.
        fs::remove_file(data.join(CURSOR)).expect("never written");
        take(3);
        assert_eq!(names(), ["000000000001-SRV1.json", "000000000002-SRV1.json"]);
        assert_eq!(fs::read(&first).expect("dropped"), bytes);
        assert!(String::from_utf8_lossy(&bytes).contains("\"disposition\": \"scrapped\""));
        let outlet = Outlet::open("Hall", data, &folder).expect("an outlet");
        let (_news, heard_of) = mpsc::channel();
        assert!(outlet.run(events()[..2].to_vec(), heard_of).is_err(), "fewer events than were dropped");
        fs::write(data.join(CURSOR), "x").expect("written");
        assert!(Outlet::open("Hall", data, &folder).is_err(), "a cursor that cannot be read is no beginning anew");
    }
}
