//! The events of a floor in SQLite: appended, synced, read back at the start. What they mean is for `kiln_floor`.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use kiln_floor::Stamped;
use rusqlite::{Connection, params};

/// The version of the database's form, in its header. A newer one is refused.
const VERSION: i64 = 1;

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
    #[error("event {seq} in the floor's database cannot be read: {source}")]
    Event { seq: i64, source: serde_json::Error },
    #[error("the floor's database lacks event {0}; restore it from a copy")]
    Gap(u64),
}

/// The list of events. One process has it at a time.
#[derive(Debug)]
pub(crate) struct Store {
    connection: Connection,
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
        let connection = Connection::open(dir.join("floor.db"))?;
        // FULL syncs the write-ahead log at every commit: what was answered survives a power cut.
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if found > VERSION {
            return Err(StoreError::Newer { found });
        }
        connection.execute_batch(
            "CREATE TABLE IF NOT EXISTS event (seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, body TEXT NOT NULL) STRICT",
        )?;
        connection.pragma_update(None, "user_version", VERSION)?;
        Ok(Self { connection, _lock: lock })
    }

    /// All events, in order and without gaps.
    pub(crate) fn events(&self) -> Result<Vec<Stamped>, StoreError> {
        let mut statement = self.connection.prepare("SELECT seq, body FROM event ORDER BY seq")?;
        let mut rows = statement.query([])?;
        let mut events = Vec::new();
        while let Some(row) = rows.next()? {
            let (seq, body): (i64, String) = (row.get(0)?, row.get(1)?);
            let stamped: Stamped = serde_json::from_str(&body).map_err(|source| StoreError::Event { seq, source })?;
            let due = events.len() as u64;
            if stamped.seq != due || seq != due as i64 {
                return Err(StoreError::Gap(due));
            }
            events.push(stamped);
        }
        Ok(events)
    }

    /// Keeps events, all or none; they are on the disk when this returns.
    pub(crate) fn append(&mut self, events: &[Stamped]) -> Result<(), StoreError> {
        let transaction = self.connection.transaction()?;
        for event in events {
            let seq = event.seq as i64;
            let body = serde_json::to_string(event).map_err(|source| StoreError::Event { seq, source })?;
            let mut insert = transaction.prepare_cached("INSERT INTO event (seq, at, body) VALUES (?1, ?2, ?3)")?;
            insert.execute(params![seq, event.at as i64, body])?;
        }
        Ok(transaction.commit()?)
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
