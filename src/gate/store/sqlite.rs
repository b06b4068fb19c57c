//! The events of a floor in SQLite, a file in the floor's folder: where they are unless a floor is told otherwise.

#![expect(clippy::cast_possible_wrap, reason = "values are bounded where they are made, within the narrower type")]

use std::fs::{self, File};
use std::path::Path;

use kiln_floor::Stamped;
use rusqlite::{Connection, params};

use super::{Chain, Kept, READ_FROM, Store, StoreError, VERSION, beginning, end_of, linked, lock, next, plain};

/// The file in a floor's folder.
pub(crate) const DATABASE: &str = "floor.db";

const TABLE: &str = "CREATE TABLE IF NOT EXISTS event \
                     (seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, body TEXT NOT NULL, chain TEXT) STRICT";
const INSERT: &str = "INSERT INTO event (seq, at, body, chain) VALUES (?1, ?2, ?3, ?4)";

#[derive(Debug)]
pub(crate) struct Sqlite {
    connection: Connection,
    /// The value of the hash chain after the last event.
    chain: String,
    /// Held until the process ends, by whatever end.
    _lock: kiln_disk::Lock,
}

impl Sqlite {
    pub(crate) fn open(dir: &Path) -> Result<Self, StoreError> {
        let lock = lock(dir)?;
        let mut connection = Connection::open(dir.join(DATABASE))?;
        // FULL syncs the write-ahead log at every commit: what was answered survives a power cut.
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if found > VERSION {
            return Err(newer(dir, found));
        }
        connection.execute_batch(TABLE)?;
        if found == 1 {
            link_up(&mut connection)?;
        }
        connection.pragma_update(None, "user_version", VERSION)?;
        let chain = end_of(&events(&connection)?);
        Ok(Self { connection, chain, _lock: lock })
    }
}

impl Store for Sqlite {
    fn events(&mut self) -> Result<Vec<Stamped>, StoreError> {
        Ok(plain(events(&self.connection)?))
    }

    fn append(&mut self, events: &[Stamped]) -> Result<(), StoreError> {
        let linked = linked(&self.chain, events)?;
        insert(&mut self.connection, &linked)?;
        if let Some(last) = linked.last() {
            self.chain.clone_from(&last.chain);
        }
        Ok(())
    }

    fn look_again(&mut self) -> Result<Vec<Stamped>, StoreError> {
        let kept = events(&self.connection)?;
        self.chain = end_of(&kept);
        Ok(plain(kept))
    }
}

fn newer(dir: &Path, found: i64) -> StoreError {
    StoreError::Newer { at: dir.join(DATABASE).display().to_string(), found }
}

fn insert(connection: &mut Connection, events: &[Kept]) -> Result<(), StoreError> {
    let transaction = connection.transaction()?;
    for Kept { event, body, chain } in events {
        let mut insert = transaction.prepare_cached(INSERT)?;
        insert.execute(params![event.seq as i64, event.at as i64, body, chain])?;
    }
    Ok(transaction.commit()?)
}

/// All events, of which none was altered, taken out or put in.
fn events(connection: &Connection) -> Result<Vec<Kept>, StoreError> {
    let mut statement = connection.prepare("SELECT seq, body, chain FROM event ORDER BY seq")?;
    let mut rows = statement.query([])?;
    let (mut events, mut chain) = (Vec::new(), Chain::default());
    while let Some(row) = rows.next()? {
        let said: Option<String> = row.get(2)?;
        events.push(chain.row(row.get(0)?, row.get(1)?, said.as_deref())?);
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
        found if found > VERSION => Err(newer(dir, found)),
        _ => Err(StoreError::Older),
    }
}

/// Makes the database of events that were read elsewhere, all of it or none, in a folder that has none.
pub(crate) fn restore(dir: &Path, events: &[Kept]) -> Result<(), StoreError> {
    let io = |source| StoreError::Io { path: dir.to_owned(), source };
    let fresh = dir.join("floor.db.new");
    fs::remove_file(&fresh).or_else(|error| if fresh.exists() { Err(error) } else { Ok(()) }).map_err(io)?;
    let mut connection = Connection::open(&fresh)?;
    connection.execute_batch(TABLE)?;
    connection.pragma_update(None, "user_version", VERSION)?;
    insert(&mut connection, events)?;
    connection.close().map_err(|(_, error)| error)?;
    fs::rename(&fresh, dir.join(DATABASE)).and_then(|()| File::open(dir)?.sync_all()).map_err(io)
}

#[cfg(test)]
impl Sqlite {
    /// Lets the database grow by so many pages from now on. SQLite answers one that may not as it answers a disk that is full.
    pub(crate) fn has_room_for(&self, more: i64) {
        let pages: i64 = self.connection.pragma_query_value(None, "page_count", |row| row.get(0)).expect("pages");
        self.connection.pragma_update(None, "max_page_count", pages + more).expect("set");
    }
}
