//! One suite for every place that events can be in, and what is SQLite's alone.

#![expect(clippy::cast_possible_wrap, reason = "values are bounded where they are made, within the narrower type")]

use std::path::Path;

use kiln_floor::{Actor, FloorEvent, Stamped};
use rusqlite::{Connection, params};

use super::tests_postgres::InCluster;
use super::{Chain, DATABASE, Database, Kept, Sqlite, Store, StoreError, VERSION, body_of, sqlite};

pub(super) fn event(seq: u64) -> Stamped {
    let unit = "SRV1".parse().expect("a serial");
    Stamped {
        seq,
        at: 7,
        // As long as a name may be in any language.
        actor: Actor::Person("sato 佐藤 \"\\\u{0}".to_owned()),
        event: FloorEvent::UnitScanned { unit, at: None, slot: None, lot: None },
    }
}

/// A place for events, with hands on it that only a test has.
pub(super) trait Place {
    fn open(&self) -> Result<Box<dyn Store>, StoreError>;
    /// As a second floor would, which has nothing of the first but the place of its events.
    fn open_elsewhere(&self) -> Result<Box<dyn Store>, StoreError>;
    fn read_beside(&self) -> Result<Vec<Kept>, StoreError>;
    fn restore(&self, events: &[Kept]) -> Result<(), StoreError>;
    /// `{event}` stands for the table of events.
    fn sql(&self, text: &str);
    fn form(&self) -> i64;
    fn set_form(&self, form: i64);
    /// What errors call it.
    fn name(&self) -> String;
}

/// A folder with SQLite in it.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn database(&self) -> Connection {
        Connection::open(self.0.path().join(DATABASE)).expect("a database")
    }
}

impl Place for Folder {
    fn open(&self) -> Result<Box<dyn Store>, StoreError> {
        Database::Folder.open(self.0.path())
    }

    fn open_elsewhere(&self) -> Result<Box<dyn Store>, StoreError> {
        self.open()
    }

    fn read_beside(&self) -> Result<Vec<Kept>, StoreError> {
        sqlite::read_beside(self.0.path())
    }

    fn restore(&self, events: &[Kept]) -> Result<(), StoreError> {
        sqlite::restore(self.0.path(), events)
    }

    fn sql(&self, text: &str) {
        self.database().execute_batch(&text.replace("{event}", "event")).expect("changed");
    }

    fn form(&self) -> i64 {
        self.database().pragma_query_value(None, "user_version", |row| row.get(0)).expect("its form")
    }

    fn set_form(&self, form: i64) {
        self.database().pragma_update(None, "user_version", form).expect("set");
    }

    fn name(&self) -> String {
        self.0.path().join(DATABASE).display().to_string()
    }
}

macro_rules! suite {
    ($($fact:ident),* $(,)?) => {
        mod in_sqlite {
            $(#[test]
            fn $fact() {
                super::$fact(&super::Folder::new());
            })*
        }

        mod in_postgres {
            $(#[test]
            fn $fact() {
                super::$fact(&super::InCluster::new());
            })*
        }
    };
}

suite!(
    events_are_there_again_after_a_start_and_one_floor_has_them,
    a_batch_with_an_event_that_is_there_already_is_kept_in_no_part,
    an_event_whose_commit_was_not_heard_of_is_found_again_and_the_next_one_follows_it,
    an_event_that_was_altered_taken_out_or_put_in_is_named,
    a_gap_and_a_newer_form_are_refused,
    the_second_form_is_read_as_it_is_and_taken_over_by_a_floor,
    what_was_read_beside_a_floor_is_restored_to_the_byte,
);

fn opened(place: &dyn Place, events: &[&[Stamped]]) -> Box<dyn Store> {
    let mut store = place.open().expect("a store");
    for batch in events {
        store.append(batch).expect("kept");
    }
    store
}

fn events_are_there_again_after_a_start_and_one_floor_has_them(place: &dyn Place) {
    let store = opened(place, &[&[event(0), event(1)], &[], &[event(2)]]);
    for second in [place.open(), place.open_elsewhere()] {
        let refused = second.map(drop).expect_err("there is one at work").to_string();
        assert!(refused.contains("another kiln-floor"), "{refused}");
    }
    drop(store);
    let mut store = place.open().expect("a store");
    assert_eq!(store.events().expect("events"), [event(0), event(1), event(2)]);
    store.append(&[event(3)]).expect("it goes on");
    assert_eq!(place.read_beside().expect("sound").len(), 4);
}

fn a_batch_with_an_event_that_is_there_already_is_kept_in_no_part(place: &dyn Place) {
    let mut store = opened(place, &[&[event(0)]]);
    assert!(store.append(&[event(1), event(0)]).is_err());
    assert_eq!(store.events().expect("events"), [event(0)]);
    assert_eq!(store.look_again().expect("sound"), [event(0)]);
    store.append(&[event(1)]).expect("the chain is where it was");
    assert_eq!(place.read_beside().expect("sound").len(), 2);
}

fn an_event_whose_commit_was_not_heard_of_is_found_again_and_the_next_one_follows_it(place: &dyn Place) {
    let mut store = opened(place, &[&[event(0)]]);
    // As if the answer to a commit had been lost: another hand has written what this one does not know of.
    let mut chain = Chain::default();
    chain
        .take(&place.read_beside().expect("sound")[0].body, Some(&place.read_beside().expect("sound")[0].chain))
        .expect("sound");
    let unheard = super::linked(&chain.value, &[event(1)]).expect("linked").remove(0);
    let body = unheard.body.replace('\'', "''");
    let columns = if place.name().ends_with(DATABASE) { ("", "") } else { (", epoch", ", 1") };
    place.sql(&format!(
        "INSERT INTO {{event}} (seq, at, body, chain{}) VALUES (1, 7, '{body}', '{}'{})",
        columns.0, unheard.chain, columns.1
    ));
    assert!(store.append(&[event(1)]).is_err(), "it is there");
    assert_eq!(store.look_again().expect("sound"), [event(0), event(1)]);
    store.append(&[event(2)]).expect("kept");
    assert_eq!(store.events().expect("sound").len(), 3);
}

fn an_event_that_was_altered_taken_out_or_put_in_is_named(place: &dyn Place) {
    let mut store = opened(place, &[&[event(0), event(1)], &[event(2)]]);
    let sound = place.read_beside().expect("sound");
    assert_eq!(sound.len(), 3);
    let back = |seq: usize| {
        let Kept { body, chain, .. } = &sound[seq];
        format!("UPDATE {{event}} SET body = '{}', chain = '{chain}' WHERE seq = {seq}", body.replace('\'', "''"))
    };
    for (change, back, named) in [
        ("UPDATE {event} SET body = replace(body, 'sato', 'mori') WHERE seq = 1", back(1), 1),
        ("UPDATE {event} SET chain = (SELECT chain FROM {event} WHERE seq = 2) WHERE seq = 1", back(1), 1),
        ("UPDATE {event} SET chain = '' WHERE seq = 2", back(2), 2),
    ] {
        place.sql(change);
        assert!(matches!(store.events(), Err(StoreError::Chain(at)) if at == named), "{change}");
        assert!(matches!(store.look_again(), Err(StoreError::Chain(at)) if at == named), "{change}");
        assert!(matches!(place.read_beside(), Err(StoreError::Chain(at)) if at == named), "{change}");
        place.sql(&back);
    }
    assert_eq!(place.read_beside().expect("as it was"), sound);
    place.sql("DELETE FROM {event} WHERE seq = 1");
    assert!(matches!(store.events(), Err(StoreError::Gap(1))));
    drop(store);
    assert!(matches!(place.open().map(drop), Err(StoreError::Gap(1))));
    place.sql("UPDATE {event} SET seq = 1 WHERE seq = 2");
    assert!(matches!(place.open().map(drop), Err(StoreError::Gap(1))), "its body says which it is");
}

fn a_gap_and_a_newer_form_are_refused(place: &dyn Place) {
    let mut store = opened(place, &[&[event(0), event(2)]]);
    assert!(matches!(store.events(), Err(StoreError::Gap(1))));
    drop(store);
    place.set_form(VERSION + 1);
    let (opened, read) = (place.open().map(drop), place.read_beside().map(drop));
    for told in [opened, read].map(|refused| refused.expect_err("newer").to_string()) {
        for part in [place.name().as_str(), "of form 5", "up to 4"] {
            assert!(told.contains(part), "{told}");
        }
    }
    assert_eq!(place.form(), VERSION + 1);
}

fn the_second_form_is_read_as_it_is_and_taken_over_by_a_floor(place: &dyn Place) {
    drop(opened(place, &[&[event(0)]]));
    place.set_form(2);
    assert_eq!((place.read_beside().expect("read").len(), place.form()), (1, 2));
    drop(place.open().expect("taken over"));
    assert_eq!(
        (place.read_beside().expect("read").len(), place.form()),
        (1, VERSION),
        "an older floor would go wrong with it"
    );
}

fn what_was_read_beside_a_floor_is_restored_to_the_byte(place: &dyn Place) {
    let store = opened(place, &[&[event(0), event(1)], &[event(2)]]);
    let kept = place.read_beside().expect("read beside a floor at work");
    for Kept { body, chain, .. } in &kept {
        let line = Kept { event: event(0), body: body.clone(), chain: chain.clone() }.line();
        assert_eq!(body_of(&line), Some((body.clone(), chain.clone())));
    }
    drop(store);
    place.sql("DROP TABLE {event}");
    place.restore(&kept).expect("restored");
    assert_eq!((place.read_beside().expect("sound"), place.form()), (kept, VERSION));
    let mut store = place.open().expect("a floor goes on with it");
    store.append(&[event(3)]).expect("kept");
    assert_eq!(store.events().expect("sound").len(), 4);
}

fn first_form(dir: &Path) {
    let old = Connection::open(dir.join("floor.db")).expect("a database");
    old.execute_batch("CREATE TABLE event (seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, body TEXT NOT NULL) STRICT")
        .expect("the first form");
    for seq in 0..2 {
        let body = serde_json::to_string(&event(seq)).expect("JSON");
        old.execute("INSERT INTO event (seq, at, body) VALUES (?1, 7, ?2)", params![seq as i64, body]).expect("kept");
    }
    old.pragma_update(None, "user_version", 1).expect("set");
}

#[test]
fn a_database_of_the_first_form_gets_its_chain_once() {
    let dir = tempfile::tempdir().expect("folder");
    first_form(dir.path());
    assert!(matches!(sqlite::read_beside(dir.path()), Err(StoreError::Older)));
    let mut store = Sqlite::open(dir.path()).expect("taken over");
    store.append(&[event(2)]).expect("kept");
    assert_eq!(store.events().expect("events"), [event(0), event(1), event(2)]);
    let first = sqlite::read_beside(dir.path()).expect("read");
    drop(store);
    drop(Sqlite::open(dir.path()).expect("again"));
    assert_eq!(sqlite::read_beside(dir.path()).expect("read"), first);
    // The first form's column may be empty.
    let database = Connection::open(dir.path().join(DATABASE)).expect("a database");
    database.execute("UPDATE event SET chain = NULL WHERE seq = 1", []).expect("changed");
    assert!(matches!(sqlite::read_beside(dir.path()), Err(StoreError::Chain(1))));
}

#[test]
fn a_disk_that_is_full_costs_what_was_not_acknowledged_and_nothing_else() {
    let dir = tempfile::tempdir().expect("folder");
    let mut store = Sqlite::open(dir.path()).expect("a store");
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
    assert_eq!(sqlite::read_beside(dir.path()).expect("sound").len() as u64, kept + 5);
}

#[test]
fn a_file_that_is_no_database_is_refused_with_what_to_do_and_left_as_it_is() {
    let dir = tempfile::tempdir().expect("folder");
    let path = dir.path().join(DATABASE);
    std::fs::write(&path, "something else".repeat(100)).expect("written");
    let error = Sqlite::open(dir.path()).expect_err("no database").to_string();
    assert!(error.contains("not a database") && error.contains("reindex --events"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).expect("text"), "something else".repeat(100));
    let error = sqlite::read_beside(&dir.path().join("none")).expect_err("nothing there").to_string();
    assert!(error.contains("is that the folder of a floor?"), "{error}");
}
