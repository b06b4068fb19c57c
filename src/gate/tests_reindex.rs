//! Events and copies held against each other: what comes back, what is refused by name, what is told and left alone.

use std::fs;
use std::path::Path;

use kiln_event::{NodeSource, VerdictWord};
use kiln_floor::{Actor, AssignedRun, Floor, FloorEvent, Input, LotSay, Policy, RunFacts, Stamped, Tick};
use kiln_wire::{Generation, RunId};

use super::reindex::{Difference, ReindexError, Reindexed, otherwise, reindex};
use super::store::{self, DATABASE, Database, Kept, StoreError};
use super::tls::sha256;

/// A unit that was scanned and tested, and whose run arrived.
fn events() -> Vec<Stamped> {
    let mut floor = Floor::of(Policy::one_profile("smoke"), &[]);
    let name = |text: &str| text.parse().expect("a serial");
    let mut sync = kiln_wire::Sync::idle("agent-1".parse().expect("an agent"), "boot-1".parse().expect("a boot"));
    sync.serial = Some(name("SRV1"));
    let run = "run-1".parse().expect("a run");
    let facts = RunFacts { serial: Some(name("SRV1")), ..RunFacts::plain(run, VerdictWord::Pass) };
    let scanned = Input::Scanned { unit: name("SRV1"), at: None, slot: None, lot: None, by: "sato".to_owned() };
    let mut events = Vec::new();
    for (now, input) in [scanned, Input::Synced(sync), Input::Arrived(facts)].into_iter().enumerate() {
        let tick = Tick { now: now as u64 + 1, fresh_run: "run-1".parse().expect("a run") };
        events.extend(floor.handle(&tick, input).expect("taken").events);
    }
    assert!(events.iter().any(|event| matches!(event.event, FloorEvent::RunArrived { .. })), "{events:?}");
    events
}

fn floor() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    Database::Folder.open(dir.path()).expect("a store").append(&events()).expect("kept");
    dir
}

fn audited(data: &Path) -> Vec<u8> {
    let mut lines = Vec::new();
    super::audit(data, &Database::Folder, &mut lines).expect("sound");
    lines
}

fn gone(data: &Path) {
    for part in ["", "-wal", "-shm"] {
        let path = data.join(format!("{DATABASE}{part}"));
        fs::remove_file(&path).or_else(|error| if path.exists() { Err(error) } else { Ok(()) }).expect("removed");
    }
}

#[test]
fn a_database_that_is_gone_comes_back_from_the_lines_of_an_audit_to_the_byte() {
    let dir = floor();
    let (data, file) = (dir.path(), dir.path().join("events.jsonl"));
    let lines = audited(data);
    fs::write(&file, &lines).expect("a copy");
    assert!(
        matches!(reindex(data, &Database::Folder, Some(&file)), Err(ReindexError::InTheWay(_))),
        "what is there is not replaced"
    );
    gone(data);
    assert!(matches!(reindex(data, &Database::Folder, None), Err(ReindexError::NoEvents(_))));
    assert!(!data.join(DATABASE).exists(), "nor is an empty one made");
    let found = reindex(data, &Database::Folder, Some(&file)).expect("restored");
    assert!(found.restored && found.events == events().len() as u64, "{found}");
    assert_eq!(audited(data), lines);
    let mut store = Database::Folder.open(data).expect("a floor goes on with it");
    assert_eq!(store.events().expect("sound"), events());
    let next = Stamped { seq: events().len() as u64, at: 99, actor: Actor::Floor, event: events()[0].event.clone() };
    store.append(&[next]).expect("kept");
}

#[test]
fn a_file_of_events_that_was_altered_cut_or_put_together_is_refused_by_its_line_and_nothing_is_made() {
    let dir = floor();
    let (data, file) = (dir.path(), dir.path().join("events.jsonl"));
    let text = String::from_utf8(audited(data)).expect("text");
    gone(data);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines.len() >= 4, "{text}");
    let swapped = [&[lines[1], lines[0]], &lines[2..]].concat().join("\n");
    let without = [&lines[..1], &lines[2..]].concat().join("\n");
    for (text, wanted) in [
        (text.replace("sato", "mori"), "line 1: event 0, or one before it, was altered"),
        (swapped, "line 1: event 0 is not where it belongs"),
        (without, "line 2: event 1 is not where it belongs"),
        (text[..text.len() - 9].to_owned(), "this is no event with its chain"),
        (format!("\n{text}"), "line 1: this is no event"),
        (String::new(), "line 1: this is no event"),
        ("{}".to_owned(), "line 1: this is no event"),
    ] {
        fs::write(&file, &text).expect("written");
        let error = reindex(data, &Database::Folder, Some(&file)).expect_err("refused").to_string();
        assert!(error.contains(wanted), "{error}");
        assert!(!data.join(DATABASE).exists(), "{wanted}");
    }
}

#[test]
fn an_event_of_an_older_version_comes_back_as_its_own_bytes() {
    // Before slots and lots were known: what writes this event now adds both.
    let body = "{\"seq\":0,\"at\":7,\"actor\":{\"person\":\"sato\"},\"event\":{\"unit-scanned\":{\"unit\":\"A\",\"at\":null}}}";
    let event: Stamped = serde_json::from_str(body).expect("an event");
    assert_ne!(serde_json::to_string(&event).expect("JSON"), body);
    let chain = sha256(format!("{}{body}", store::beginning()).as_bytes());
    let line = Kept { event, body: body.to_owned(), chain }.line() + "\n";
    let dir = tempfile::tempdir().expect("a folder");
    let (data, file) = (dir.path(), dir.path().join("events.jsonl"));
    fs::write(&file, &line).expect("written");
    assert_eq!(reindex(data, &Database::Folder, Some(&file)).expect("restored").events, 1);
    assert_eq!(String::from_utf8(audited(data)).expect("text"), line);
    // A floor that goes on with it takes over the same bytes, and so does whoever restores from it once more.
    drop(Database::Folder.open(data).expect("a floor goes on with it"));
    assert_eq!(String::from_utf8(audited(data)).expect("text"), line);
}

#[test]
fn a_copy_that_says_otherwise_is_told_with_what_it_says_otherwise() {
    type Change = fn(&mut RunFacts);
    let told = || RunFacts {
        serial: Some("SRV1".parse().expect("a serial")),
        profile_digest: "sha256:aa".to_owned(),
        codes: vec!["GPU-HOT".to_owned()],
        source: Some(NodeSource::Hardware),
        lot: LotSay::Judged,
        parts: "sha256:bb".parse().ok(),
        ..RunFacts::plain("run-1".parse().expect("a run"), VerdictWord::Fail)
    };
    assert_eq!(otherwise(&told(), &told(), None), Vec::<&str>::new());
    let changes: [(&str, Change); 8] = [
        ("parts list", |read| read.parts = None),
        ("verdict", |read| read.verdict = VerdictWord::Pass),
        ("completeness", |read| read.partial = true),
        ("serial number", |read| read.serial = None),
        ("profile", |read| read.profile_digest.clear()),
        ("codes", |read| read.codes.clear()),
        ("source", |read| read.source = None),
        ("lot", |read| read.lot = LotSay::None),
    ];
    for (what, change) in changes {
        let mut read = told();
        change(&mut read);
        assert_eq!(otherwise(&told(), &read, None), [what]);
    }
    // What events of before it was kept do not say is nothing that could differ.
    let before = RunFacts { source: None, lot: LotSay::Unknown, ..told() };
    assert_eq!(otherwise(&before, &told(), None), Vec::<&str>::new());
    // A run of another profile than was assigned is told as one that is not whole, and its copy cannot know that.
    let assigned = AssignedRun {
        unit: "SRV1".parse().expect("a serial"),
        generation: Generation(1),
        agent: "agent-1".parse().expect("an agent"),
        slot: None,
        profile: "smoke".to_owned(),
        digest: "sha256:bb".parse().ok(),
        parts: None,
        ended: false,
    };
    assert_eq!(otherwise(&RunFacts { partial: true, ..told() }, &told(), Some(&assigned)), Vec::<&str>::new());
    assert_eq!(otherwise(&told(), &told(), Some(&assigned)), ["completeness"]);
}

#[test]
fn what_events_and_copies_say_of_each_other_is_told_and_only_notes_are_mended() {
    let dir = floor();
    let data = dir.path();
    let told = |found: &Reindexed| found.differences.clone();
    let run = |text: &str| -> RunId { text.parse().expect("a run") };
    assert_eq!(told(&reindex(data, &Database::Folder, None).expect("read")), [Difference::CopyLost(run("run-1"))]);
    // A note about what is not there, a copy nobody knows, one that is damaged, one that is no run, cursors.
    fs::write(data.join("sealed/run-1"), "{}").expect("written");
    fs::create_dir_all(data.join("runs/run-9")).expect("made");
    fs::create_dir_all(data.join("runs/run-1")).expect("made");
    fs::write(data.join("runs/run-1/journal.jsonl"), "{\"no\":\"line\"}\n").expect("written");
    fs::write(data.join("runs/lost+found"), "").expect("written");
    fs::write(data.join("webhook"), "900\n").expect("written");
    fs::write(data.join("mes"), "x").expect("written");
    fs::write(data.join("dropped"), "2\n").expect("written");
    let found = reindex(data, &Database::Folder, None).expect("read");
    let said = found.to_string();
    assert!(!found.is_sound() && said.ends_with("1 mended, 5 left for a person"), "{said}");
    for wanted in [
        "run run-1: it arrived, and its copy is damaged (",
        "move runs/run-1 away",
        "run run-1: it was noted to be whole and is not",
        "run run-9: there is a copy, and no event knows it",
        "runs/lost+found: no run has such a name",
        "outlet webhook: it was told up to event 900, and there are 5",
        "outlet mes: this is no number of an event",
    ] {
        assert!(said.contains(wanted), "{wanted} is not in {said}");
    }
    assert!(!data.join("sealed/run-1").exists());
    assert!(
        !told(&reindex(data, &Database::Folder, None).expect("read")).iter().any(Difference::is_mended),
        "mended once"
    );
}

#[test]
fn a_floor_at_work_and_a_damaged_chain_are_refused_by_name() {
    let dir = floor();
    let at_work = Database::Folder.open(dir.path()).expect("a floor at work");
    assert!(matches!(reindex(dir.path(), &Database::Folder, None), Err(ReindexError::Store(StoreError::InUse(_)))));
    drop(at_work);
    let database = rusqlite::Connection::open(dir.path().join(DATABASE)).expect("the database");
    database.execute("UPDATE event SET body = replace(body, 'sato', 'mori')", []).expect("altered");
    drop(database);
    let error = reindex(dir.path(), &Database::Folder, None).expect_err("refused").to_string();
    assert!(error.contains("event 0") && error.contains("was altered"), "{error}");
    assert!(matches!(reindex(&dir.path().join("nowhere"), &Database::Folder, None), Err(ReindexError::Io { .. })));
}
