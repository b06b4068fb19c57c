//! `kiln-floor reindex`: what follows from the events and the copies comes back; a damaged chain is refused by name.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Output;

use crate::bench::{Bench, wait};
use crate::prepared::{bodies, chained};
use crate::secure::tested;

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let read = |name: String| (name.clone(), fs::read(folder.join(&name)).expect("a note"));
    Bench::names_in(folder).into_iter().map(read).collect()
}

fn main_part(bench: &Bench, path: &str) -> String {
    bench.get(path).1.split("<main>").nth(1).expect("a main part").to_owned()
}

#[test]
fn a_floor_whose_notes_and_database_are_gone_comes_back_to_the_same_state() {
    let (mut bench, floor) = Bench::new();
    let serial = Bench::serial("1");
    bench.scan(&serial);
    let mut agent = bench.agent("spool", &[]);
    assert_eq!(wait("the agent's end", || agent.code()), 0);
    let unit = format!("/units/{serial}?lang=en");
    let before = [main_part(&bench, &unit), main_part(&bench, "/?lang=en")];
    assert!(before[0].contains("Passed ○"), "{before:?}");
    let at_work = bench.beside("reindex", &[]);
    assert!(
        at_work.status.code() == Some(3) && String::from_utf8_lossy(&at_work.stderr).contains("another kiln-floor"),
        "{at_work:?}"
    );
    floor.kill();
    let (notes, lines) = (files(&bench.path("floor/sealed")), bench.audited());
    assert_eq!(notes.len(), 1);
    let sound = bench.beside("reindex", &[]);
    let told = String::from_utf8_lossy(&sound.stdout).into_owned();
    assert!(sound.status.success() && told.contains("0 mended, 0 left for a person"), "{sound:?}");

    // Notes spoiled, then gone with the whole database.
    let note = bench.path("floor/sealed").join(notes.keys().next().expect("a note"));
    fs::write(&note, "spoiled").expect("written");
    let mended = bench.beside("reindex", &[]);
    assert!(
        mended.status.success() && String::from_utf8_lossy(&mended.stdout).contains("1 mended, 0 left"),
        "{mended:?}"
    );
    assert_eq!(files(&bench.path("floor/sealed")), notes);
    fs::remove_dir_all(bench.path("floor/sealed")).expect("gone");
    let data = bench.path("floor");
    for name in Bench::names_in(&data).iter().filter(|name| name.starts_with("floor.db")) {
        fs::remove_file(data.join(name)).expect("gone");
    }
    let none = bench.beside("reindex", &[]);
    assert!(none.status.code() == Some(3) && String::from_utf8_lossy(&none.stderr).contains("--events"), "{none:?}");
    let back = bench.restored(&lines);
    let told = String::from_utf8_lossy(&back.stdout).into_owned();
    assert!(back.status.success() && told.contains("1 mended, 0 left for a person"), "{back:?}");
    assert_eq!((files(&bench.path("floor/sealed")), bench.audited()), (notes, lines));
    let _floor = bench.floor();
    assert_eq!([main_part(&bench, &unit), main_part(&bench, "/?lang=en")], before);
}

#[test]
fn a_copy_that_was_altered_or_lost_and_an_event_that_was_altered_are_told_by_name() {
    let (bench, floor) = Bench::new();
    let serial = Bench::serial("1");
    bench.scan(&serial);
    let mut agent = bench.agent("spool", &[]);
    assert_eq!(wait("the agent's end", || agent.code()), 0);
    floor.kill();
    let run = bench.runs("floor/runs").remove(0);
    let journal = bench.path(&format!("floor/runs/{run}/journal.jsonl"));
    let bytes = fs::read(&journal).expect("a journal");
    let mut altered = bytes.clone();
    let at = altered.len() / 2;
    altered[at] ^= 1;
    fs::write(&journal, altered).expect("altered");
    let told = |out: &Output| String::from_utf8_lossy(&out.stdout).into_owned();
    let out = bench.beside("reindex", &[]);
    assert!(
        out.status.code() == Some(1) && told(&out).contains(&format!("run {run}: it arrived, and its copy is damaged")),
        "{out:?}"
    );
    assert!(told(&out).contains("the note was taken away") && Bench::names_in(&bench.path("floor/sealed")).is_empty());
    fs::write(&journal, &bytes).expect("as it was");
    let out = bench.beside("reindex", &[]);
    assert!(out.status.success() && told(&out).contains("noted again that its copy is whole"), "{out:?}");
    fs::remove_dir_all(bench.path("floor/runs")).expect("gone");
    let out = bench.beside("reindex", &[]);
    assert!(out.status.code() == Some(1) && told(&out).contains("its copy is gone"), "{out:?}");

    let database = rusqlite::Connection::open(bench.path("floor/floor.db")).expect("the database");
    database.execute("UPDATE event SET body = replace(body, 'sato', 'mori') WHERE seq = 0", []).expect("altered");
    drop(database);
    for command in ["reindex", "audit"] {
        let out = bench.beside(command, &[]);
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(out.status.code() == Some(3) && said.contains("event 0") && said.contains("was altered"), "{said}");
        assert!(out.stdout.is_empty(), "{out:?}");
    }
    let out = bench.beside("serve", &[]);
    assert!(out.status.code() == Some(3) && String::from_utf8_lossy(&out.stderr).contains("event 0"), "{out:?}");
}

#[test]
fn a_floor_made_again_from_older_events_gets_the_run_from_its_agent_again() {
    let (mut bench, floor) = Bench::new();
    let serial = Bench::serial("1");
    bench.scan(&serial);
    let mut agent = bench.agent("spool", &[]);
    assert_eq!(wait("the agent's end", || agent.code()), 0);
    floor.kill();
    let lines = bench.audited();
    let older: Vec<&str> = lines.split_inclusive('\n').take_while(|line| !line.contains("run-arrived")).collect();
    let older = older.concat();
    assert!(older.len() < lines.len() && older.contains("assigned"), "{lines}");
    let out = bench.restored(&older);
    let told = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(told.contains("no event says that it arrived") && told.contains("the note was taken away"), "{out:?}");
    let _floor = bench.floor();
    let mut agent = bench.agent("spool", &[]);
    assert_eq!(wait("the agent's end", || agent.code()), 0);
    assert!(main_part(&bench, &format!("/units/{serial}?lang=en")).contains("Passed ○"));
}

#[test]
fn a_copy_that_says_otherwise_than_its_event_is_left_for_a_person_and_keeps_its_note() {
    let (bench, floor) = Bench::new();
    bench.scan(&Bench::serial("1"));
    let mut agent = bench.agent("spool", &[]);
    assert_eq!(wait("the agent's end", || agent.code()), 0);
    floor.kill();
    let mut bodies = bodies(&bench.audited());
    let arrived = bodies.iter_mut().find(|body| body.contains("run-arrived")).expect("an arrival");
    *arrived =
        arrived.replace("\"verdict\":\"PASS\"", "\"verdict\":\"FAIL\"").replace("\"codes\":[]", "\"codes\":[\"X\"]");
    let run = bench.runs("floor/runs").remove(0);
    let out = bench.restored(&chained(&bodies));
    let told = String::from_utf8_lossy(&out.stdout).into_owned();
    let said = format!(
        "run {run}: its copy and the event of its arrival differ in verdict, codes; find out which was altered"
    );
    assert!(out.status.code() == Some(1) && told.contains(&said), "{out:?}");
    assert!(told.contains("0 mended, 1 left for a person"), "which of the two is right is not known: {told}");
    assert_eq!(Bench::names_in(&bench.path("floor/sealed")), [run]);
}

#[test]
fn seals_are_checked_under_the_key_that_held_when_the_run_arrived_and_what_was_not_checked_is_named() {
    let (bench, floor) = Bench::secured(&[]);
    tested(&bench, &[]);
    floor.kill();
    let bodies = bodies(&bench.audited());
    let told = |out: &Output| String::from_utf8_lossy(&out.stdout).into_owned();
    let out = bench.beside("reindex", &[]);
    assert!(out.status.success() && told(&out).contains("1 seals hold, each under the key"), "{out:?}");
    // The same key approved once more, after the run: the run of before is checked all the same.
    let is_approval = |body: &String| body.contains("agent-approved");
    let approved = bodies.iter().find(|body| is_approval(body)).expect("an approval").clone();
    let again = chained(&[&bodies[..], std::slice::from_ref(&approved)].concat());
    assert!(told(&bench.restored(&again)).contains("1 seals hold"), "approved again");
    let run = bench.runs("floor/runs").remove(0);
    let seal = bench.path(&format!("floor/runs/{run}/seal.json"));
    let bytes = fs::read(&seal).expect("a seal");
    fs::remove_file(&seal).expect("gone");
    let out = bench.restored(&again);
    assert!(out.status.code() == Some(1) && told(&out).contains("the run is not sealed by its agent's key"), "{out:?}");
    fs::write(&seal, bytes).expect("as it was");
    // A key that came after the run says nothing of it.
    let mut later: Vec<String> = bodies.iter().filter(|body| !is_approval(body)).cloned().collect();
    later.push(approved);
    let out = bench.restored(&chained(&later));
    assert!(out.status.success() && told(&out).contains("no seal was checked: no agent had a key"), "{out:?}");
}
