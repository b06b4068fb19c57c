//! The events of a floor in SQLite: appended, synced, read back at the start. What they mean is for `kiln_floor`.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use super::tls::sha256;
use kiln_floor::Stamped;
use rusqlite::{Connection, params};

/// The version of the database's form, in its header. A newer one is refused: a floor that passed over what it does not know
/// would decide otherwise. Version 1 had no chain; version 2 knew no list of people, no route checks, no waived holds, and not
/// whether a lot had a say in a run.
const VERSION: i64 = 3;
/// The oldest version that is read as it is.
const READ_FROM: i64 = 2;
/// The file in a floor's folder.
pub(crate) const DATABASE: &str = "floor.db";
/// Before the chain's value in an event as a line.
const CHAIN_FIELD: &str = ",\"chain\":\"";
/// What the chain begins with.
const BEGINNING: &str = "kiln.floor-events/1";

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("{}: another kiln-floor works with it; end that one, or give this one another --data", .0.display())]
    InUse(PathBuf),
    #[error("{}: {source}", .path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("the floor's database: {0}")]
    Database(#[from] rusqlite::Error),
    #[error(
        "{}: this database is of form {found}, and this kiln-floor knows forms up to {VERSION}; use the kiln-floor that wrote it, or a \
         newer one", .path.display()
    )]
    Newer { path: PathBuf, found: i64 },
    #[error("the floor's database has no hash chain yet; `kiln-floor serve` gives it one when it is started")]
    Older,
    #[error("event {seq} in the floor's database cannot be read: {source}")]
    Event { seq: i64, source: serde_json::Error },
    #[error("the floor's database lacks event {0}; restore it from a copy")]
    Gap(u64),
    #[error(
        "event {0} in the floor's database, or one before it, was altered: the hash chain breaks there; restore it from a copy"
    )]
    Chain(u64),
}

const TABLE: &str = "CREATE TABLE IF NOT EXISTS event \
                     (seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, body TEXT NOT NULL, chain TEXT) STRICT";

/// The list of events. One process has it at a time.
#[derive(Debug)]
pub(crate) struct Store {
    connection: Connection,
    /// The value of the hash chain after the last event.
    chain: String,
    /// Held until the process ends, by whatever end.
    _lock: File,
}

impl Store {
    pub(crate) fn open(dir: &Path) -> Result<Self, StoreError> {
        fs::create_dir_all(dir).map_err(|source| StoreError::Io { path: dir.to_owned(), source })?;
        let lock = lock(dir)?;
        let mut connection = Connection::open(dir.join(DATABASE))?;
        // FULL syncs the write-ahead log at every commit: what was answered survives a power cut.
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if found > VERSION {
            return Err(StoreError::Newer { path: dir.join(DATABASE), found });
        }
        connection.execute_batch(TABLE)?;
        if found == 1 {
            link_up(&mut connection)?;
        }
        connection.pragma_update(None, "user_version", VERSION)?;
        let chain = events(&connection)?.last().map_or_else(beginning, |last| last.chain.clone());
        Ok(Self { connection, chain, _lock: lock })
    }

    /// All events, in order and without gaps.
    pub(crate) fn events(&self) -> Result<Vec<Stamped>, StoreError> {
        Ok(events(&self.connection)?.into_iter().map(|kept| kept.event).collect())
    }

    /// Keeps events, all or none; they are on the disk when this returns.
    pub(crate) fn append(&mut self, events: &[Stamped]) -> Result<(), StoreError> {
        let transaction = self.connection.transaction()?;
        let mut chain = self.chain.clone();
        for event in events {
            let seq = event.seq as i64;
            let body = serde_json::to_string(event).map_err(|source| StoreError::Event { seq, source })?;
            chain = next(&chain, &body);
            let mut insert =
                transaction.prepare_cached("INSERT INTO event (seq, at, body, chain) VALUES (?1, ?2, ?3, ?4)")?;
            insert.execute(params![seq, event.at as i64, body, chain])?;
        }
        transaction.commit()?;
        self.chain = chain;
        Ok(())
    }

    /// Reads the chain's last value back, after an error that may have come after a commit.
    pub(crate) fn look_again(&mut self) -> Result<Vec<Stamped>, StoreError> {
        let events = events(&self.connection)?;
        self.chain = events.last().map_or_else(beginning, |last| last.chain.clone());
        Ok(events.into_iter().map(|kept| kept.event).collect())
    }
}

/// Keeps every other process off a floor's folder until the file is dropped.
pub(crate) fn lock(dir: &Path) -> Result<File, StoreError> {
    let io = |source| StoreError::Io { path: dir.to_owned(), source };
    let lock = File::create(dir.join("floor.lock")).map_err(io)?;
    lock.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => StoreError::InUse(dir.to_owned()),
        TryLockError::Error(source) => io(source),
    })?;
    Ok(lock)
}

/// The chain's value before the first event.
pub(crate) fn beginning() -> String {
    sha256(BEGINNING.as_bytes())
}

/// The chain's value after an event: over the value before it and the event as it lies there.
fn next(before: &str, body: &str) -> String {
    sha256(format!("{before}{body}").as_bytes())
}

/// An event as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) event: Stamped,
    /// Its own bytes, over which the chain goes.
    pub(crate) body: String,
    /// The value of the chain after it.
    pub(crate) chain: String,
}

impl Kept {
    /// The event as a line of JSON: its own bytes, with the chain as its last field.
    pub(crate) fn line(&self) -> String {
        let open = self.body.strip_suffix('}').unwrap_or(&self.body);
        format!("{open}{CHAIN_FIELD}{}\"}}", self.chain)
    }
}

/// Follows the chain, event by event.
#[derive(Debug)]
pub(crate) struct Chain {
    value: String,
    due: u64,
}

impl Default for Chain {
    fn default() -> Self {
        Self { value: beginning(), due: 0 }
    }
}

impl Chain {
    /// Reads the event that comes next, which none was taken out or put in before, and which has this value.
    pub(crate) fn take(&mut self, body: &str, said: Option<&str>) -> Result<Stamped, StoreError> {
        let seq = self.due as i64;
        let event: Stamped = serde_json::from_str(body).map_err(|source| StoreError::Event { seq, source })?;
        if event.seq != self.due {
            return Err(StoreError::Gap(self.due));
        }
        self.value = next(&self.value, body);
        if said != Some(self.value.as_str()) {
            return Err(StoreError::Chain(self.due));
        }
        self.due += 1;
        Ok(event)
    }
}

/// All events, of which none was altered, taken out or put in.
fn events(connection: &Connection) -> Result<Vec<Kept>, StoreError> {
    let mut statement = connection.prepare("SELECT seq, body, chain FROM event ORDER BY seq")?;
    let mut rows = statement.query([])?;
    let (mut events, mut chain) = (Vec::new(), Chain::default());
    while let Some(row) = rows.next()? {
        let (seq, body, said): (i64, String, Option<String>) = (row.get(0)?, row.get(1)?, row.get(2)?);
        if seq != chain.due as i64 {
            return Err(StoreError::Gap(chain.due));
        }
        let event = chain.take(&body, said.as_deref())?;
        events.push(Kept { event, body, chain: chain.value.clone() });
    }
    Ok(events)
}

/// Gives the events of a database of version 1 their chain.
fn link_up(connection: &mut Connection) -> Result<(), StoreError> {
    let transaction = connection.transaction()?;
    // A crash between this and the version's number leaves the column there.
    let there: i64 =
        transaction
            .query_row("SELECT count(*) FROM pragma_table_info('event') WHERE name = 'chain'", [], |row| row.get(0))?;
    if there == 0 {
        transaction.execute_batch("ALTER TABLE event ADD COLUMN chain TEXT")?;
    }
    let bodies: Vec<(i64, String)> = {
        let mut statement = transaction.prepare("SELECT seq, body FROM event ORDER BY seq")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.collect::<Result<_, _>>()?
    };
    let mut chain = beginning();
    for (seq, body) in bodies {
        chain = next(&chain, &body);
        transaction.execute("UPDATE event SET chain = ?2 WHERE seq = ?1", params![seq, chain])?;
    }
    Ok(transaction.commit()?)
}

/// The events of a floor's folder with their chain, read beside a floor that may be at work.
pub(crate) fn read_beside(dir: &Path) -> Result<Vec<Kept>, StoreError> {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE | rusqlite::OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(dir.join(DATABASE), flags)?;
    connection.pragma_update(None, "query_only", true)?;
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    match found {
        READ_FROM..=VERSION => events(&connection),
        found if found > VERSION => Err(StoreError::Newer { path: dir.join(DATABASE), found }),
        _ => Err(StoreError::Older),
    }
}

/// The event and the chain's value of a line that [`Kept::line`] made.
pub(crate) fn body_of(line: &str) -> Option<(String, String)> {
    let (open, chain) = line.strip_suffix("\"}")?.rsplit_once(CHAIN_FIELD)?;
    Some((format!("{open}}}"), chain.to_owned()))
}

/// Makes the database of events that were read elsewhere, all of it or none, in a folder that has none.
pub(crate) fn restore(dir: &Path, events: &[Kept]) -> Result<(), StoreError> {
    let io = |source| StoreError::Io { path: dir.to_owned(), source };
    let fresh = dir.join("floor.db.new");
    fs::remove_file(&fresh).or_else(|error| if fresh.exists() { Err(error) } else { Ok(()) }).map_err(io)?;
    let mut connection = Connection::open(&fresh)?;
    connection.execute_batch(TABLE)?;
    connection.pragma_update(None, "user_version", VERSION)?;
    let transaction = connection.transaction()?;
    for kept in events {
        let mut insert =
            transaction.prepare_cached("INSERT INTO event (seq, at, body, chain) VALUES (?1, ?2, ?3, ?4)")?;
        insert.execute(params![kept.event.seq as i64, kept.event.at as i64, kept.body, kept.chain])?;
    }
    transaction.commit()?;
    connection.close().map_err(|(_, error)| error)?;
    fs::rename(&fresh, dir.join(DATABASE)).and_then(|()| File::open(dir)?.sync_all()).map_err(io)
}

#[cfg(test)]
impl Store {
    /// Lets the database grow by so many pages from now on. SQLite answers one that may not as it answers a disk that is full.
    pub(crate) fn has_room_for(&self, more: i64) {
        let pages: i64 = self.connection.pragma_query_value(None, "page_count", |row| row.get(0)).expect("pages");
        self.connection.pragma_update(None, "max_page_count", pages + more).expect("set");
    }
}

#[cfg(test)]
mod tests {
    use kiln_floor::{Actor, FloorEvent};

    use super::*;

    fn event(seq: u64) -> Stamped {
        let unit = "SRV1".parse().expect("a serial");
        Stamped {
            seq,
            at: 7,
            actor: Actor::Person("sato".to_owned()),
            event: FloorEvent::UnitScanned { unit, at: None, slot: None, lot: None },
        }
    }

    #[test]
    fn events_are_there_again_after_a_start_and_one_process_has_them() {
        let dir = tempfile::tempdir().expect("folder");
        let mut store = Store::open(dir.path()).expect("a store");
        store.append(&[event(0), event(1)]).expect("kept");
        assert!(matches!(Store::open(dir.path()), Err(StoreError::InUse(_))));
        drop(store);
        let store = Store::open(dir.path()).expect("a store");
        assert_eq!(store.events().expect("events"), [event(0), event(1)]);
    }

    #[test]
    fn a_batch_with_an_event_that_is_there_already_is_kept_in_no_part() {
        let dir = tempfile::tempdir().expect("folder");
        let mut store = Store::open(dir.path()).expect("a store");
        store.append(&[event(0)]).expect("kept");
        assert!(store.append(&[event(1), event(0)]).is_err());
        assert_eq!(store.events().expect("events").len(), 1);
    }

    #[test]
    fn an_event_that_was_altered_taken_out_or_put_in_is_named() {
        type Change = fn(&Connection) -> rusqlite::Result<usize>;
        let changes: [(Change, u64); 3] = [
            (|db| db.execute("UPDATE event SET body = replace(body, 'sato', 'mori') WHERE seq = 1", []), 1),
            (|db| db.execute("UPDATE event SET chain = (SELECT chain FROM event WHERE seq = 2) WHERE seq = 1", []), 1),
            (|db| db.execute("UPDATE event SET chain = NULL WHERE seq = 2", []), 2),
        ];
        for (change, named) in changes {
            let dir = tempfile::tempdir().expect("folder");
            let mut store = Store::open(dir.path()).expect("a store");
            store.append(&[event(0), event(1)]).expect("kept");
            store.append(&[event(2)]).expect("kept");
            assert_eq!(read_beside(dir.path()).expect("read").len(), 3);
            change(&store.connection).expect("changed");
            assert!(matches!(store.events(), Err(StoreError::Chain(at)) if at == named));
            assert!(matches!(read_beside(dir.path()), Err(StoreError::Chain(at)) if at == named));
            drop(store);
            assert!(matches!(Store::open(dir.path()), Err(StoreError::Chain(at)) if at == named));
        }
    }

    #[test]
    fn a_database_of_the_first_form_gets_its_chain_once() {
        let dir = tempfile::tempdir().expect("folder");
        let old = Connection::open(dir.path().join("floor.db")).expect("a database");
        old.execute_batch(
            "CREATE TABLE event (seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, body TEXT NOT NULL) STRICT",
        )
        .expect("the first form");
        for seq in 0..2 {
            let body = serde_json::to_string(&event(seq)).expect("JSON");
            old.execute("INSERT INTO event (seq, at, body) VALUES (?1, 7, ?2)", params![seq as i64, body])
                .expect("kept");
        }
        old.pragma_update(None, "user_version", 1).expect("set");
        drop(old);
        assert!(matches!(read_beside(dir.path()), Err(StoreError::Older)));
        let mut store = Store::open(dir.path()).expect("taken over");
        store.append(&[event(2)]).expect("kept");
        assert_eq!(store.events().expect("events"), [event(0), event(1), event(2)]);
        let first = read_beside(dir.path()).expect("read");
        drop(store);
        drop(Store::open(dir.path()).expect("again"));
        assert_eq!(read_beside(dir.path()).expect("read"), first);
    }

    #[test]
    fn a_disk_that_is_full_costs_what_was_not_acknowledged_and_nothing_else() {
        let dir = tempfile::tempdir().expect("folder");
        let mut store = Store::open(dir.path()).expect("a store");
        store.has_room_for(2);
        let batch = |from: u64| (from..from + 5).map(event).collect::<Vec<_>>();
        let mut kept = 0;
        let error = loop {
            match store.append(&batch(kept)) {
                Ok(()) => kept += 5,
                Err(error) => break error.to_string(),
            }
            assert!(kept < 10_000, "it never was full");
        };
        assert!(kept > 0 && error.contains("full"), "{kept}: {error}");
        assert_eq!(store.look_again().expect("sound").len() as u64, kept);
        store.has_room_for(100);
        store.append(&batch(kept)).expect("the same once more");
        assert_eq!(read_beside(dir.path()).expect("sound").len() as u64, kept + 5);
    }

    #[test]
    fn a_gap_and_a_newer_form_are_refused() {
        let dir = tempfile::tempdir().expect("folder");
        let mut store = Store::open(dir.path()).expect("a store");
        store.append(&[event(0), event(2)]).expect("kept");
        assert!(matches!(store.events(), Err(StoreError::Gap(1))));
        store.connection.pragma_update(None, "user_version", VERSION + 1).expect("set");
        drop(store);
        let path = dir.path().join(DATABASE).display().to_string();
        let (opened, read) = (Store::open(dir.path()).map(drop), read_beside(dir.path()).map(drop));
        for told in [opened, read].map(|refused| refused.expect_err("newer").to_string()) {
            for part in [path.as_str(), "of form 4", "up to 3"] {
                assert!(told.contains(part), "{told}");
            }
        }
    }

    #[test]
    fn a_database_of_the_second_form_is_read_as_it_is_and_taken_over_by_a_floor() {
        let dir = tempfile::tempdir().expect("folder");
        let mut store = Store::open(dir.path()).expect("a store");
        store.append(&[event(0)]).expect("kept");
        store.connection.pragma_update(None, "user_version", 2).expect("set");
        drop(store);
        let form = || -> i64 {
            let database = Connection::open(dir.path().join(DATABASE)).expect("a database");
            database.pragma_query_value(None, "user_version", |row| row.get(0)).expect("its form")
        };
        assert_eq!((read_beside(dir.path()).expect("read").len(), form()), (1, 2));
        drop(Store::open(dir.path()).expect("taken over"));
        assert_eq!(
            (read_beside(dir.path()).expect("read").len(), form()),
            (1, VERSION),
            "an older floor would go wrong with it"
        );
    }
}
