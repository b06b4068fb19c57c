//! What is PostgreSQL's alone: who leads, what a lost session costs, and what is told of a database that is not as it must be.

use std::path::Path;

use super::cluster::{Cluster, cluster};
use super::tests::{Place, event};
use super::{Address, Database, Kept, PostgresError, Store, StoreError};

/// A database of a cluster, and the folders of two floors that know of it.
pub(super) struct InCluster {
    first: tempfile::TempDir,
    second: tempfile::TempDir,
    name: String,
}

impl InCluster {
    pub(super) fn new() -> Self {
        let folder = || tempfile::tempdir().expect("a folder");
        Self { first: folder(), second: folder(), name: cluster().database() }
    }

    fn address(&self) -> Address {
        let password = Cluster::password_in(self.first.path());
        Address::of(&cluster().url(&self.name), Some(&password), None).expect("an address")
    }

    fn database(&self) -> Database {
        Database::Postgres(Box::new(self.address()))
    }

    fn epoch(&self) -> String {
        cluster().sql(&self.name, "SELECT epoch FROM kiln_floor")
    }
}

impl Place for InCluster {
    fn open(&self) -> Result<Box<dyn Store>, StoreError> {
        self.database().open(self.first.path())
    }

    fn open_elsewhere(&self) -> Result<Box<dyn Store>, StoreError> {
        self.database().open(self.second.path())
    }

    fn read_beside(&self) -> Result<Vec<Kept>, StoreError> {
        self.database().read_beside(self.first.path())
    }

    fn restore(&self, events: &[Kept]) -> Result<(), StoreError> {
        self.database().restore(self.first.path(), events)
    }

    fn sql(&self, text: &str) {
        cluster().sql(&self.name, &text.replace("{event}", "kiln_floor_event"));
    }

    fn form(&self) -> i64 {
        cluster().sql(&self.name, "SELECT form FROM kiln_floor").parse().expect("a number")
    }

    fn set_form(&self, form: i64) {
        self.sql(&format!("UPDATE kiln_floor SET form = {form}"));
    }

    fn name(&self) -> String {
        self.address().name().to_owned()
    }
}

fn refused(opened: Result<Box<dyn Store>, StoreError>) -> String {
    opened.map(drop).expect_err("refused").to_string()
}

#[test]
fn an_insert_under_an_older_epoch_is_refused_by_name_though_its_session_is_sound() {
    let place = InCluster::new();
    let mut store = place.open().expect("a store");
    store.append(&[event(0)]).expect("kept");
    store.beat().expect("it leads");
    // As another floor would that got the lead while this one did not look.
    place.sql("UPDATE kiln_floor SET epoch = epoch + 1");
    let taken = |error: StoreError| {
        let told = error.to_string();
        assert!(matches!(error, StoreError::Postgres(PostgresError::LeadTaken { ours: 1, theirs: 2, .. })), "{told}");
        assert!(!error.is_away() && told.contains("another kiln-floor has taken the lead"), "{told}");
    };
    taken(store.append(&[event(1), event(2)]).expect_err("it does not lead"));
    taken(store.beat().expect_err("it does not lead"));
    taken(store.look_again().expect_err("it does not lead"));
    assert_eq!(place.read_beside().expect("sound").len(), 1, "nothing was kept of it");
}

#[test]
fn a_session_that_was_cut_is_made_again_and_leads_under_the_same_epoch() {
    let place = InCluster::new();
    let mut store = place.open().expect("a store");
    store.append(&[event(0)]).expect("kept");
    cluster().cut(&place.name);
    let lost = store.append(&[event(1)]).expect_err("the session is gone");
    assert!(lost.is_away(), "{lost}");
    assert!(store.append(&[event(1)]).is_err_and(|error| error.is_away()), "until it was looked again");
    assert_eq!(store.look_again().expect("it leads again"), [event(0)]);
    store.append(&[event(1)]).expect("kept");
    cluster().cut(&place.name);
    assert!(store.beat().is_err_and(|error| error.is_away()));
    assert_eq!(store.look_again().expect("it leads again").len(), 2);
    assert_eq!(place.epoch(), "1");
}

#[test]
fn a_floor_that_was_cut_off_and_replaced_can_write_nothing_any_more() {
    let place = InCluster::new();
    let mut old = place.open().expect("a store");
    old.append(&[event(0)]).expect("kept");
    cluster().cut(&place.name);
    let mut new = place.open_elsewhere().expect("the lead is free");
    assert_eq!(new.events().expect("sound"), [event(0)]);
    new.append(&[event(1)]).expect("kept");
    assert!(old.append(&[event(1), event(2)]).is_err_and(|error| error.is_away()));
    let told = old.look_again().expect_err("another one leads").to_string();
    assert!(told.contains("taken the lead") && told.contains("epoch 2; this one had 1"), "{told}");
    assert!(old.append(&[event(1)]).is_err());
    new.append(&[event(2)]).expect("the new one is not disturbed");
    assert_eq!(place.read_beside().expect("sound").len(), 3);
}

#[test]
fn events_that_were_kept_and_are_gone_end_the_floor() {
    let place = InCluster::new();
    let mut store = place.open().expect("a store");
    store.append(&[event(0), event(1)]).expect("kept");
    // As a server does that followed another one and took its place too early.
    place.sql("DELETE FROM {event} WHERE seq = 1");
    let told = store.look_again().expect_err("one is gone").to_string();
    assert!(told.contains("has 1 events, and lacks what this floor had kept there (it knows of 2)"), "{told}");
}

#[test]
fn a_database_that_is_not_as_it_must_be_is_refused_with_what_to_do() {
    let (place, folder) = (InCluster::new(), tempfile::tempdir().expect("a folder"));
    let password = Cluster::password_in(folder.path());
    let port = cluster().port;
    let open = |url: &str, password: Option<&Path>| {
        let address = Address::of(url, password, None).expect("an address");
        refused(Database::Postgres(Box::new(address)).open(folder.path()))
    };
    let wrong = folder.path().join("wrong");
    std::fs::write(&wrong, "guessed").expect("written");
    let told = open(&cluster().url(&place.name), Some(&wrong));
    assert!(told.contains("does not let user kiln in") && told.contains("--store-password FILE"), "{told}");
    let told = open(&cluster().url(&place.name), None);
    assert!(told.contains("no password was given"), "{told}");
    let told = open(&cluster().url("nowhere"), Some(&password));
    assert!(told.contains("there is no such database") && told.contains("createdb -O kiln"), "{told}");
    let told = open(&format!("postgres://kiln@localhost:{port}/postgres"), Some(&password));
    assert!(told.contains("user kiln lacks a right") && told.contains("OWNER TO kiln"), "{told}");
    let told = open("postgres://kiln@127.0.0.1:1/floor", Some(&password));
    assert!(told.contains("127.0.0.1:1/floor does not answer") && told.contains("refused"), "{told}");
    let ascii = "CREATE DATABASE ascii OWNER kiln ENCODING 'SQL_ASCII' TEMPLATE template0";
    cluster().sql("postgres", ascii);
    let told = open(&cluster().url("ascii"), Some(&password));
    assert!(told.contains("SQL_ASCII") && told.contains("-E UTF8"), "{told}");
    place.sql("CREATE TABLE kiln_floor (id TEXT, form BIGINT, epoch BIGINT)");
    let told = open(&cluster().url(&place.name), Some(&password));
    assert!(told.contains("kiln_floor_event is gone"), "{told}");
    let told = place.read_beside().expect_err("nor is it read").to_string();
    assert!(told.contains("kiln_floor_event is gone"), "{told}");
    let empty = InCluster::new();
    let told = empty.read_beside().expect_err("no floor used it").to_string();
    assert!(told.contains("has no events of a floor"), "{told}");
}

#[test]
fn a_folder_goes_with_one_place_for_its_events() {
    let (place, other) = (InCluster::new(), InCluster::new());
    drop(place.open().expect("a store"));
    drop(other.open().expect("a store"));
    let folder = place.first.path();
    let told = refused(Database::Folder.open(folder));
    assert!(told.contains("are in PostgreSQL") && told.contains("--store"), "{told}");
    let told = refused(other.database().open(folder));
    assert!(told.contains("has the events of another floor"), "{told}");
    drop(Database::Folder.open(place.second.path()).expect("a store"));
    for told in [
        refused(place.open_elsewhere()),
        place.database().read_beside(place.second.path()).expect_err("refused").to_string(),
    ] {
        assert!(
            told.contains("floor.db has events of this floor already") && told.contains("kiln-floor audit"),
            "{told}"
        );
    }
    let mut store = place.open().expect("a store");
    store.append(&[event(0)]).expect("kept");
    let kept = place.read_beside().expect("read");
    drop(store);
    let told = place.restore(&kept).expect_err("it has events").to_string();
    assert!(told.contains("holds 1 events already"), "{told}");
}

#[test]
fn tls_is_spoken_with_a_server_that_its_authority_vouches_for_and_with_no_other() {
    let place = InCluster::new();
    let folder = tempfile::tempdir().expect("a folder");
    let (password, authority) = (Cluster::password_in(folder.path()), folder.path().join("ca.pem"));
    let open = || {
        let address = Address::of(&cluster().url(&place.name), Some(&password), Some(&authority)).expect("an address");
        Database::Postgres(Box::new(address)).open(place.first.path())
    };
    std::fs::write(&authority, &cluster().certificate).expect("written");
    let mut store = open().expect("a store");
    store.append(&[event(0)]).expect("kept");
    let tls = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE ssl AND usename = 'kiln'";
    assert_eq!(cluster().sql(&place.name, &format!("{tls} AND datname = current_database()")), "1");
    drop(store);
    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    std::fs::write(&authority, other.cert.pem()).expect("written");
    let told = refused(open());
    assert!(told.contains("does not answer") && told.contains("certificate"), "{told}");
}
