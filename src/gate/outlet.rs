//! Telling other systems what happened: files in a folder, calls of a webhook or of a manufacturing system.
//!
//! The floor's own events are the queue, and a cursor for each outlet says up to which one it was told. The cursor moves after
//! the other side took the message: a crash or a lost answer in between sends the same bytes under the same key once more, and
//! never leaves one out. Who receives keys on that. A system that is away is tried again for as long as it takes, and none
//! waits for another.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use kiln_disk as disk;
use kiln_floor::{FloorState, Stamped};

use super::messages::Form;
use super::store::StoreError;
use super::ways::Way;

/// Between two tries at a system that is away: soon at first, then ever later up to this.
const AGAIN_FIRST: Duration = Duration::from_millis(500);
const AGAIN_LONGEST: Duration = Duration::from_secs(60);

/// How far an outlet is, for the page and for monitoring.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Standing {
    pub(crate) name: &'static str,
    /// Messages that were given away since the start.
    pub(crate) told: u64,
    /// Why the message that is due was not taken, if it was tried.
    pub(crate) trouble: Option<String>,
}

pub(crate) type SharedStanding = Arc<Mutex<Standing>>;

/// Sends messages about the events it is given, and about those of before that it was not told of yet.
#[derive(Debug)]
pub(crate) struct Outlet {
    floor: String,
    cursor: PathBuf,
    form: Form,
    way: Way,
    /// The first event that nothing was told of.
    next: u64,
    state: FloorState,
    standing: SharedStanding,
}

impl Outlet {
    /// An outlet whose cursor is `<name>` in the floor's folder.
    pub(crate) fn open(name: &'static str, floor: &str, data: &Path, form: Form, way: Way) -> Result<Self, StoreError> {
        let cursor = data.join(name);
        let wrong = |path: &Path, source| StoreError::Io { path: path.to_owned(), source };
        if let Way::Folder(folder) = &way {
            fs::create_dir_all(folder).map_err(|source| wrong(folder, source))?;
        }
        let next = read_cursor(&cursor).map_err(|source| wrong(&cursor, source))?;
        let standing = Arc::new(Mutex::new(Standing { name, ..Standing::default() }));
        Ok(Self { floor: floor.to_owned(), cursor, form, way, next, state: FloorState::default(), standing })
    }

    pub(crate) fn standing(&self) -> SharedStanding {
        Arc::clone(&self.standing)
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
                    let mut pause = AGAIN_FIRST;
                    while let Err(error) = self.take(event) {
                        self.stands(Some(&error));
                        wait(pause);
                        pause = (pause * 2).min(AGAIN_LONGEST);
                    }
                }
            }
        })?;
        Ok(())
    }

    fn stands(&self, trouble: Option<&str>) {
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(trouble) = trouble.filter(|trouble| standing.trouble.as_deref() != Some(trouble)) {
            tell(&format!("outlet {}: {trouble}; trying again", standing.name));
        }
        standing.told += u64::from(trouble.is_none());
        standing.trouble = trouble.map(str::to_owned);
    }

    /// Takes one event in, and sends its message if it has one that was not sent.
    fn take(&mut self, stamped: &Stamped) -> Result<(), String> {
        if stamped.seq >= self.next {
            let message = self.form.message(&self.floor, &self.state, stamped).map_err(|error| error.to_string())?;
            if let Some(message) = message {
                self.way.give(&self.floor, &message)?;
                let next = format!("{}\n", stamped.seq + 1);
                disk::replace(&self.cursor, next.as_bytes())
                    .map_err(|error| format!("{}: {error}", self.cursor.display()))?;
                self.next = stamped.seq + 1;
                self.stands(None);
            }
        }
        self.state.apply(stamped);
        Ok(())
    }
}

/// The first event that an outlet was not told of; none was before it was first used.
pub(crate) fn read_cursor(cursor: &Path) -> io::Result<u64> {
    match disk::read(cursor, 64) {
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            text.trim().parse().map_err(|_| io::Error::other("this is no number of an event"))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error),
    }
}

#[expect(clippy::print_stderr, reason = "nobody asked, and somebody must hear of it")]
pub(crate) fn tell(text: &str) {
    eprintln!("{text}");
}

#[expect(clippy::disallowed_methods, reason = "a thread that does nothing else waits for a system to come back")]
fn wait(span: Duration) {
    std::thread::sleep(span);
}

#[cfg(test)]
mod tests {
    use kiln_floor::{Actor, Because, Disposition, FloorEvent};

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
        let open = || Outlet::open("dropped", "Hall", data, Form::Disposition, Way::Folder(folder.clone()));
        let take = |upto: usize| {
            let mut outlet = open().expect("an outlet");
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
        fs::remove_file(data.join("dropped")).expect("never written");
        take(3);
        assert_eq!(names(), ["000000000001-SRV1.json", "000000000002-SRV1.json"]);
        assert_eq!(fs::read(&first).expect("dropped"), bytes);
        assert!(String::from_utf8_lossy(&bytes).contains("\"disposition\": \"scrapped\""));
        let outlet = open().expect("an outlet");
        let (_news, heard_of) = mpsc::channel();
        assert!(outlet.run(events()[..2].to_vec(), heard_of).is_err(), "fewer events than were dropped");
        fs::write(data.join("dropped"), "x").expect("written");
        assert!(open().is_err(), "a cursor that cannot be read is no beginning anew");
    }
}
