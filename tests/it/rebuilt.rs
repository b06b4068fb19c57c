//! Journal and reports together: what is made of a journal that was torn. (That reports rebuilt are those written live is
//! held beside the recorder.)

use std::fs;
use std::path::Path;

use kiln::event::RunEvent;
use kiln::journal::{self, Durability, Journal};
use kiln::report::{Language, Languages, Paint};
use kiln::rundir::{Look, RunDir};

const LOOK: Look = Look { language: Language::English, paint: Paint::Plain, languages: Languages::BOTH };

/// A fixture journal alone in a run directory.
fn run_directory(fixture: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/journals").join(fixture);
    fs::copy(path, dir.path().join(journal::FILE_NAME)).expect("copied");
    dir
}

#[test]
fn a_torn_journal_still_gives_reports_that_do_not_pass() {
    let dir = run_directory("torn.jsonl");
    let (journal, read) = Journal::open_for_resume(dir.path(), Durability::EverySync).expect("opened");
    assert!(read.torn.is_some());
    assert!(!read.events.iter().any(|event| matches!(event.event, RunEvent::RunFinished { .. })));
    journal.close().expect("closed");
    let run_dir = RunDir::open(dir.path()).and_then(RunDir::lock).expect("a run");
    let run = run_dir.run().expect("sound");
    assert!(!run.torn, "the torn end was cut off");
    let written = run_dir.write_reports(&run, LOOK).expect("written");
    assert!(written.told[0].starts_with("telemetry: there is no telemetry"), "{:?}", written.told);
    written.first_failure().expect("every report that can be made");
    let junit = fs::read_to_string(dir.path().join("junit.xml")).expect("junit.xml");
    assert!(junit.contains(r#"<error type="unfinished" message="the run did not come to its end">"#));
}
