//! The events of a floor in SQLite: appended, synced, read back at the start. What they mean is for `kiln_floor`.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use super::tls::sha256;
use kiln_floor::Stamped;
use rusqlite::{Connection, params};

/// The version of the database's form, in its header. A newer one is refused; version 1 had no chain.
const VERSION: i64 = 2;
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
    #[error("the floor's database has form {found}, this program knows up to {VERSION}; use the newer kiln-floor")]
    Newer { found: i64 },
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
        let io = |source| StoreError::Io { path: dir.to_owned(), source };
        fs::create_dir_all(dir).map_err(io)?;
        let lock = File::create(dir.join("floor.lock")).map_err(io)?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => StoreError::InUse(dir.to_owned()),
            TryLockError::Error(source) => io(source),
        })?;
        let mut connection = Connection::open(dir.join("floor.db"))?;
        // FULL syncs the write-ahead log at every commit: what was answered survives a power cut.
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if found > VERSION {
            return Err(StoreError::Newer { found });
        }
        connection.execute_batch(
            "CREATE TABLE IF NOT EXISTS event \
             (seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, body TEXT NOT NULL, chain TEXT) STRICT",
        )?;
        if found == 1 {
            link_up(&mut connection)?;
        }
        connection.pragma_update(None, "user_version", VERSION)?;
        let chain = events(&connection)?.last().map_or_else(beginning, |(_, chain)| chain.clone());
        Ok(Self { connection, chain, _lock: lock })
    }

    /// All events, in order and without gaps.
    pub(crate) fn events(&self) -> Result<Vec<Stamped>, StoreError> {
        Ok(events(&self.connection)?.into_iter().map(|(event, _)| event).collect())
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
        self.chain = events.last().map_or_else(beginning, |(_, chain)| chain.clone());
        Ok(events.into_iter().map(|(event, _)| event).collect())
    }
}

fn beginning() -> String {
    sha256(BEGINNING.as_bytes())
}

/// The chain's value after an event: over the value before it and the event as it lies there.
fn next(before: &str, body: &str) -> String {
    sha256(format!("{before}{body}").as_bytes())
}

/// All events with the chain's value after each, of which none was altered, taken out or put in.
fn events(connection: &Connection) -> Result<Vec<(Stamped, String)>, StoreError> {
    let mut statement = connection.prepare("SELECT seq, body, chain FROM event ORDER BY seq")?;
    let mut rows = statement.query([])?;
    let (mut events, mut chain) = (Vec::new(), beginning());
    while let Some(row) = rows.next()? {
        let (seq, body, kept): (i64, String, Option<String>) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let stamped: Stamped = serde_json::from_str(&body).map_err(|source| StoreError::Event { seq, source })?;
        let due = events.len() as u64;
        if stamped.seq != due || seq != due as i64 {
            return Err(StoreError::Gap(due));
        }
        chain = next(&chain, &body);
        if kept.as_ref() != Some(&chain) {
            return Err(StoreError::Chain(due));
        }
        events.push((stamped, chain.clone()));
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
pub(crate) fn read_beside(dir: &Path) -> Result<Vec<(Stamped, String)>, StoreError> {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE | rusqlite::OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(dir.join("floor.db"), flags)?;
    connection.pragma_update(None, "query_only", true)?;
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    match found {
        VERSION => events(&connection),
        found if found > VERSION => Err(StoreError::Newer { found }),
        _ => Err(StoreError::Older),
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
    fn a_gap_and_a_newer_form_are_refused() {
        let dir = tempfile::tempdir().expect("folder");
        let mut store = Store::open(dir.path()).expect("a store");
        store.append(&[event(0), event(2)]).expect("kept");
        assert!(matches!(store.events(), Err(StoreError::Gap(1))));
        store.connection.pragma_update(None, "user_version", VERSION + 1).expect("set");
        drop(store);
        assert!(matches!(Store::open(dir.path()), Err(StoreError::Newer { .. })));
    }
}
