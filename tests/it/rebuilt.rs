//! Journal and reports together: what is rebuilt from a journal is what was written while the run went on.

use std::fs;
use std::path::Path;
use std::time::Duration;

use kiln::engine::Witness;
use kiln::event::{RunEvent, RunRecord};
use kiln::journal::{self, Durability, Journal};
use kiln::report::{RunFiles, write_files};

const FILES: [&str; 2] = ["junit.xml", "result.json"];

/// A fixture journal alone in a run directory.
fn run_directory(fixture: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/journals").join(fixture);
    fs::copy(path, dir.path().join(journal::FILE_NAME)).expect("copied");
    dir
}

#[test]
fn reports_rebuilt_from_a_journal_are_those_written_live() {
    let events = journal::read(run_directory("whole.jsonl").path()).expect("sound").events;
    let live = tempfile::tempdir().expect("a directory");
    let mut writer = Journal::create(live.path(), Durability::EverySync).expect("created");
    let mut files = RunFiles::new(live.path(), RunRecord::default(), || Duration::ZERO);
    for event in &events {
        writer.event(event).expect("written");
        writer.sync().expect("synced");
        files.event(event).expect("written");
    }
    writer.close().expect("closed");
    let written = FILES.map(|name| fs::read(live.path().join(name)).expect("written live"));

    for name in FILES {
        fs::remove_file(live.path().join(name)).expect("removed");
    }
    let record = RunRecord::of(&journal::read(live.path()).expect("sound").events);
    write_files(live.path(), &record).expect("rebuilt");
    assert!(written == FILES.map(|name| fs::read(live.path().join(name)).expect("rebuilt")));
}

#[test]
fn a_torn_journal_still_gives_reports_that_do_not_pass() {
    let dir = run_directory("torn.jsonl");
    let (journal, read) = Journal::open_for_resume(dir.path(), Durability::EverySync).expect("opened");
    assert!(read.torn.is_some());
    assert!(!read.events.iter().any(|event| matches!(event.event, RunEvent::RunFinished { .. })));
    write_files(dir.path(), &RunRecord::of(&read.events)).expect("written");
    let junit = fs::read_to_string(dir.path().join("junit.xml")).expect("junit.xml");
    assert!(junit.contains(r#"<error type="unfinished" message="the run did not come to its end">"#));
    journal.close().expect("closed");
    assert!(journal::read(dir.path()).expect("sound").torn.is_none());
}
