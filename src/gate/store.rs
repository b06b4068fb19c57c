//! The events of a floor on disk: appended, synced, read back at the start. What they mean is for `kiln_floor`.
//!
//! There are two places for them, SQLite in the floor's folder and PostgreSQL, with one behaviour that one suite of tests holds:
//! events are kept all or none, in order, without gaps, under a hash chain, and by one floor at a time.

#![expect(clippy::cast_possible_wrap, reason = "values are bounded where they are made, within the narrower type")]

use std::fs;
use std::path::{Path, PathBuf};

use kiln_floor::Stamped;

use super::tls::sha256;
use kiln_disk as disk;
use postgres::Postgres;
use rusqlite::ErrorCode;

mod address;
#[cfg(test)]
#[path = "../../tests/floor/cluster.rs"]
mod cluster;
pub(crate) mod postgres;
pub(crate) mod sqlite;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_postgres;

pub use address::{Address, AddressError};
pub use postgres::PostgresError;
pub(crate) use sqlite::{DATABASE, Sqlite};

/// The version of the events' form. A newer one is refused: a floor that passed over what it does not know would decide
/// otherwise. Version 1 had no chain; version 2 knew no list of people, no route checks, no waived holds, and not whether a lot
/// had a say in a run; version 3 knew no programs of agents.
const VERSION: i64 = 4;
/// The oldest version that is read as it is.
const READ_FROM: i64 = 2;
/// Before the chain's value in an event as a line.
const CHAIN_FIELD: &str = ",\"chain\":\"";
/// The file in a floor's folder that says that its events are in PostgreSQL, and in which database.
const NOTE: &str = "store";
/// What the chain begins with.
const BEGINNING: &str = "kiln.floor-events/1";

/// What a person does about a database that cannot be used; nothing where it is not the file.
fn what_to_do(error: &rusqlite::Error) -> &'static str {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            "; move floor.db and what begins with its name away, and have it made again from the newest file of \
             `kiln-floor audit`: `kiln-floor reindex --events FILE`"
        }
        Some(ErrorCode::CannotOpen) => "; is that the folder of a floor?",
        _ => "",
    }
}

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("{}: another kiln-floor works with it; end that one, or give this one another --data", .0.display())]
    InUse(PathBuf),
    #[error("{}: {source}", .path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("the floor's database: {0}{help}", help = what_to_do(.0))]
    Sqlite(#[from] rusqlite::Error),
    #[error(
        "{at}: this database is of form {found}, and this kiln-floor knows forms up to {VERSION}; use the kiln-floor that wrote it, or a \
         newer one"
    )]
    Newer { at: String, found: i64 },
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
    #[error(transparent)]
    Postgres(#[from] PostgresError),
    #[error(
        "the events of the floor in {} are in PostgreSQL; give its address with --store (if they were moved into {DATABASE}, take the \
         file `{NOTE}` away)", .0.display()
    )]
    Elsewhere(PathBuf),
    #[error(
        "{at} has the events of another floor than {} was used with; give the address that was given before, or another --data",
        .folder.display()
    )]
    OtherFloor { folder: PathBuf, at: String },
    #[error(
        "{folder}/{DATABASE} has events of this floor already, and --store names another place for them; to move them: kiln-floor audit \
         --data {folder} > events.jsonl, move {DATABASE}* away, and kiln-floor reindex --data {folder} --store … --events events.jsonl",
        folder = .0.display()
    )]
    TwoPlaces(PathBuf),
}

impl StoreError {
    /// Whether the events cannot be reached for now, and nothing else is wrong.
    pub(crate) const fn is_away(&self) -> bool {
        matches!(self, Self::Postgres(PostgresError::Away { .. }))
    }
}

/// Where the events of a floor are.
#[derive(Debug, Clone, Default)]
pub enum Database {
    /// In the floor's folder.
    #[default]
    Folder,
    Postgres(Box<Address>),
}

impl Database {
    /// Opens the events of a floor's folder for the one floor that decides.
    pub(crate) fn open(&self, dir: &Path) -> Result<Box<dyn Store>, StoreError> {
        self.fits(dir)?;
        Ok(match self {
            Self::Folder => Box::new(Sqlite::open(dir)?),
            Self::Postgres(address) => Box::new(Postgres::open(dir, address)?),
        })
    }

    /// The events with their chain, read beside a floor that may be at work.
    pub(crate) fn read_beside(&self, dir: &Path) -> Result<Vec<Kept>, StoreError> {
        self.fits(dir)?;
        match self {
            Self::Folder => sqlite::read_beside(dir),
            Self::Postgres(address) => postgres::read_beside(dir, address),
        }
    }

    /// Keeps events that were read elsewhere, all of them or none, where there are none yet.
    pub(crate) fn restore(&self, dir: &Path, events: &[Kept]) -> Result<(), StoreError> {
        self.fits(dir)?;
        match self {
            Self::Folder => sqlite::restore(dir, events),
            Self::Postgres(address) => postgres::restore(dir, address, events),
        }
    }

    /// Refuses a folder whose floor has its events in the other kind of place: it would begin anew with none.
    pub(crate) fn fits(&self, dir: &Path) -> Result<(), StoreError> {
        match self {
            Self::Folder if dir.join(NOTE).exists() => Err(StoreError::Elsewhere(dir.to_owned())),
            Self::Postgres(_) if dir.join(DATABASE).exists() => Err(StoreError::TwoPlaces(dir.to_owned())),
            _ => Ok(()),
        }
    }
}

/// Refuses a database that has another floor's events than the folder was used with.
fn belongs(dir: &Path, at: &str, id: &str) -> Result<(), StoreError> {
    let path = dir.join(NOTE);
    if !path.exists() {
        return Ok(());
    }
    let noted = disk::read(&path, 256).map_err(|source| StoreError::Io { path, source })?;
    if noted.trim_ascii() == noted_as(id).trim().as_bytes() {
        return Ok(());
    }
    Err(StoreError::OtherFloor { folder: dir.to_owned(), at: at.to_owned() })
}

/// Notes in a floor's folder which database has its events.
fn note(dir: &Path, id: &str) -> Result<(), StoreError> {
    let path = dir.join(NOTE);
    disk::replace(&path, noted_as(id).as_bytes()).map_err(|source| StoreError::Io { path, source })
}

fn noted_as(id: &str) -> String {
    format!("postgres {id}\n")
}

/// The list of events. One process has it at a time.
pub(crate) trait Store: Send {
    /// All events, in order and without gaps.
    fn events(&mut self) -> Result<Vec<Stamped>, StoreError>;

    /// Keeps events, all or none; they are on the disk when this returns. After an error it is not known whether they are kept.
    fn append(&mut self, events: &[Stamped]) -> Result<(), StoreError>;

    /// Reads everything back, after an error that may have come after a commit, and goes on after the last event that is there.
    fn look_again(&mut self) -> Result<Vec<Stamped>, StoreError>;

    /// Makes sure that this floor still decides; to be asked every few seconds in which nothing is kept.
    fn beat(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Whether the events can be out of reach for a while.
    fn may_be_away(&self) -> bool {
        false
    }
}

/// Keeps every other process off a floor's folder until what it gives is dropped.
pub(crate) fn lock(dir: &Path) -> Result<disk::Lock, StoreError> {
    let io = |source| StoreError::Io { path: dir.to_owned(), source };
    fs::create_dir_all(dir).map_err(io)?;
    disk::Lock::take(&dir.join("floor.lock")).map_err(io)?.ok_or_else(|| StoreError::InUse(dir.to_owned()))
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

/// Events as they are to be kept, behind this value of the chain.
fn linked(before: &str, events: &[Stamped]) -> Result<Vec<Kept>, StoreError> {
    let mut chain = before.to_owned();
    let link = |event: &Stamped| {
        let of = |source| StoreError::Event { seq: event.seq as i64, source };
        let body = serde_json::to_string(event).map_err(of)?;
        chain = next(&chain, &body);
        Ok(Kept { event: event.clone(), body, chain: chain.clone() })
    };
    events.iter().map(link).collect()
}

/// The value of the chain after the last of these.
fn end_of(kept: &[Kept]) -> String {
    kept.last().map_or_else(beginning, |last| last.chain.clone())
}

/// The events alone.
fn plain(kept: Vec<Kept>) -> Vec<Stamped> {
    kept.into_iter().map(|kept| kept.event).collect()
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

    /// The same of a row of a database, which has the number of its event beside it.
    fn row(&mut self, seq: i64, body: String, said: Option<&str>) -> Result<Kept, StoreError> {
        if seq != self.due as i64 {
            return Err(StoreError::Gap(self.due));
        }
        let event = self.take(&body, said)?;
        Ok(Kept { event, body, chain: self.value.clone() })
    }
}

/// The event and the chain's value of a line that [`Kept::line`] made.
pub(crate) fn body_of(line: &str) -> Option<(String, String)> {
    let (open, chain) = line.strip_suffix("\"}")?.rsplit_once(CHAIN_FIELD)?;
    Some((format!("{open}}}"), chain.to_owned()))
}
