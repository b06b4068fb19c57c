//! `kiln-floor reindex`: what follows from the events and the copies comes back; a damaged chain is refused by name.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::bench::{Bench, wait};

fn reindex(bench: &Bench, more: &[&Path]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kiln-floor"));
    command.args(["reindex", "--data"]).arg(bench.path("floor")).args(more);
    command.output().expect("kiln-floor")
}

fn audited(bench: &Bench) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kiln-floor"));
    let out = command.args(["audit", "--data"]).arg(bench.path("floor")).output().expect("an audit");
    String::from_utf8(out.stdout).expect("text")
}

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
    let at_work = reindex(&bench, &[]);
    assert!(
        at_work.status.code() == Some(3) && String::from_utf8_lossy(&at_work.stderr).contains("another kiln-floor"),
        "{at_work:?}"
    );
    floor.kill();
    let (notes, lines) = (files(&bench.path("floor/sealed")), audited(&bench));
    assert_eq!(notes.len(), 1);
    let saved = bench.path("events.jsonl");
    fs::write(&saved, &lines).expect("a copy of the events");
    let sound = reindex(&bench, &[]);
    let told = String::from_utf8_lossy(&sound.stdout).into_owned();
    assert!(sound.status.success() && told.contains("0 mended, 0 left for a person"), "{sound:?}");

    // Notes spoiled, then gone with the whole database.
    let note = bench.path("floor/sealed").join(notes.keys().next().expect("a note"));
    fs::write(&note, "spoiled").expect("written");
    let mended = reindex(&bench, &[]);
    assert!(
        mended.status.success() && String::from_utf8_lossy(&mended.stdout).contains("1 mended, 0 left"),
        "{mended:?}"
    );
    assert_eq!(files(&bench.path("floor/sealed")), notes);
    fs::remove_dir_all(bench.path("floor/sealed")).expect("gone");
    for name in Bench::names_in(&bench.path("floor")).iter().filter(|name| name.starts_with("floor.db")) {
        fs::remove_file(bench.path("floor").join(name)).expect("gone");
    }
    let none = reindex(&bench, &[]);
    assert!(none.status.code() == Some(3) && String::from_utf8_lossy(&none.stderr).contains("--events"), "{none:?}");
    let back = reindex(&bench, &[Path::new("--events"), &saved]);
    let told = String::from_utf8_lossy(&back.stdout).into_owned();
    assert!(back.status.success() && told.contains("1 mended, 0 left for a person"), "{back:?}");
    assert_eq!((files(&bench.path("floor/sealed")), audited(&bench)), (notes, lines));
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
    let out = reindex(&bench, &[]);
    assert!(
        out.status.code() == Some(1) && told(&out).contains(&format!("run {run}: it arrived, and its copy is damaged")),
        "{out:?}"
    );
    assert!(told(&out).contains("the note was taken away") && Bench::names_in(&bench.path("floor/sealed")).is_empty());
    fs::write(&journal, &bytes).expect("as it was");
    let out = reindex(&bench, &[]);
    assert!(out.status.success() && told(&out).contains("noted again that its copy is whole"), "{out:?}");
    fs::remove_dir_all(bench.path("floor/runs")).expect("gone");
    let out = reindex(&bench, &[]);
    assert!(out.status.code() == Some(1) && told(&out).contains("its copy is gone"), "{out:?}");

    let database = rusqlite::Connection::open(bench.path("floor/floor.db")).expect("the database");
    database.execute("UPDATE event SET body = replace(body, 'sato', 'mori') WHERE seq = 0", []).expect("altered");
    drop(database);
    for command in ["reindex", "audit"] {
        let mut floor = Command::new(env!("CARGO_BIN_EXE_kiln-floor"));
        let out = floor.args([command, "--data"]).arg(bench.path("floor")).output().expect("kiln-floor");
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(out.status.code() == Some(3) && said.contains("event 0") && said.contains("was altered"), "{said}");
        assert!(out.stdout.is_empty(), "{out:?}");
    }
    let mut floor = Command::new(env!("CARGO_BIN_EXE_kiln-floor"));
    let out = floor.args(["serve", "--data"]).arg(bench.path("floor")).output().expect("kiln-floor");
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
    let lines = audited(&bench);
    let older: Vec<&str> = lines.split_inclusive('\n').take_while(|line| !line.contains("run-arrived")).collect();
    let older = older.concat();
    assert!(older.len() < lines.len() && older.contains("assigned"), "{lines}");
    let saved = bench.path("events.jsonl");
    fs::write(&saved, older).expect("a copy of the events");
    for name in Bench::names_in(&bench.path("floor")).iter().filter(|name| name.starts_with("floor.db")) {
        fs::remove_file(bench.path("floor").join(name)).expect("gone");
    }
    let out = reindex(&bench, &[Path::new("--events"), &saved]);
    let told = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(told.contains("no event says that it arrived") && told.contains("the note was taken away"), "{out:?}");
    let _floor = bench.floor();
    let mut agent = bench.agent("spool", &[]);
    assert_eq!(wait("the agent's end", || agent.code()), 0);
    assert!(main_part(&bench, &format!("/units/{serial}?lang=en")).contains("Passed ○"));
}
