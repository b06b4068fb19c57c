//! `kiln resume` by its exit codes: what changed while a run was away, what was left unwritten, what was forged.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use kiln::event::{Envelope, RunEvent, VerdictWord};
use kiln::journal::{self, Durability, Journal};
use kiln::node::sim::NodeFile;
use serde_json::Value;

const KILN: &str = env!("CARGO_BIN_EXE_kiln");

fn kiln(arguments: &[&str]) -> Output {
    Command::new(KILN).args(arguments).stdin(Stdio::null()).output().expect("kiln starts")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("utf-8")
}

fn told(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A run that came to its end, and its events.
fn run(folder: &Path, node: &str, more: &[&str]) -> (PathBuf, Vec<Envelope>) {
    let out = folder.join("run");
    let output = kiln(&[&["run", "smoke", "--sim", node, "--out", text(&out)], more].concat());
    assert!(out.exists(), "{}", told(&output));
    let events = journal::read(&out).expect("sound").events;
    (out, events)
}

/// A folder in which nothing lies but a journal with these events.
fn cut(folder: &Path, name: &str, events: &[Envelope]) -> PathBuf {
    let out = folder.join(name);
    let mut journal = Journal::create(&out, Durability::EverySync).expect("created");
    for event in events {
        journal.append(event).expect("appended");
    }
    journal.close().expect("closed");
    out
}

fn findings(run: &Path) -> Vec<String> {
    let result: Value = serde_json::from_slice(&fs::read(run.join("result.json")).expect("result")).expect("JSON");
    let all = result["findings"].as_array().expect("findings").iter();
    all.map(|one| format!("{} {}", one["code"], one["component"]).replace('"', "")).collect()
}

#[test]
fn a_node_that_was_changed_while_the_run_was_away_does_not_pass() {
    let folder = tempfile::tempdir().expect("a folder");
    let sound = NodeFile::embedded_text("hgx-h200-8").expect("embedded");
    let node = folder.path().join("n.yaml");
    fs::write(&node, sound).expect("written");
    let (_, events) = run(folder.path(), text(&node), &[]);
    let linked = |event: &Envelope| matches!(&event.event, RunEvent::StageFinished { stage, .. } if stage == "links");
    let linked = events.iter().position(linked).expect("the links were tested") + 1;

    let slot = sound.lines().find(|line| line.contains("address:")).expect("a slot");
    for (name, code, from, to) in [
        // Of all eight GPUs alike, which is no part's fault: nobody knows whether the order or the node is wrong.
        ("name", 3, "name: NVIDIA H200", "name: NVIDIA H100 80GB HBM3"),
        ("memory", 3, "size: 143771 MiB", "size: 81559 MiB"),
        ("generation", 3, "generation: 5", "generation: 4"),
        ("slot", 1, slot, ""),
        ("nics", 1, "count: 8", "count: 7"),
        ("driver", 3, "version: ", "version: 9"),
        ("comment", 3, "schema: ", "# Written anew.\nschema: "),
        ("nothing", 0, "", ""),
    ] {
        let changed = if from.is_empty() { sound.to_owned() } else { sound.replacen(from, to, 1) };
        assert_eq!(changed == sound, name == "nothing", "{name}: the file does not say `{from}`");
        fs::write(&node, changed).expect("written");
        let run = cut(folder.path(), name, &events[..linked]);
        let output = kiln(&["resume", text(&run)]);
        assert_eq!(output.status.code(), Some(code), "{name}: {}", told(&output));
        let told = findings(&run);
        assert_eq!(told.iter().any(|one| one.starts_with("UNIT-CHANGED ")), name != "nothing", "{name}: {told:?}");
    }
}

#[test]
fn a_run_killed_while_its_reports_were_written_is_finished_with_its_verdicts_code() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_, events) = run(folder.path(), "hgx-h200-8", &["--fault", "slow-outlier@gpu/3"]);
    let killed = cut(folder.path(), "killed", &events);
    let output = kiln(&["resume", text(&killed)]);
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    for name in ["result.json", "junit.xml", "report.html"] {
        assert!(killed.join(name).exists(), "{name}");
    }
    let again = kiln(&["resume", text(&killed)]);
    assert_eq!(again.status.code(), Some(2), "nothing is left to do: {}", told(&again));
}

#[test]
fn a_verdict_that_does_not_follow_from_its_cases_is_refused_by_every_reader() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_, mut events) = run(folder.path(), "hgx-h200-8", &["--fault", "slow-outlier@gpu/3"]);
    let Some(RunEvent::RunFinished { verdict }) = events.last_mut().map(|last| &mut last.event) else {
        panic!("the run came to no end")
    };
    assert_eq!(verdict.word, VerdictWord::Fail);
    verdict.word = VerdictWord::Pass;
    let forged = cut(folder.path(), "forged", &events);
    let forged = text(&forged);
    let readers: [&[&str]; 6] = [
        &["report", forged],
        &["report", forged, "--format", "json"],
        &["report", forged, "--format", "html"],
        &["stats", forged],
        &["resume", forged],
        &["rejudge", forged, "--profile", "smoke"],
    ];
    for reader in readers {
        let output = kiln(reader);
        assert_eq!(output.status.code(), Some(3), "{reader:?}: {}", told(&output));
        assert!(told(&output).contains("verdict PASS, but its cases add up to FAIL"), "{reader:?}: {}", told(&output));
    }
}

#[test]
fn a_full_stdout_changes_nothing_about_what_was_proven() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, faults, code) in [("bad", &["--fault", "slow-outlier@gpu/3"][..], 1), ("good", &[], 3)] {
        let out = folder.path().join(name);
        let full = OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
        let status = Command::new(KILN)
            .args(["run", "smoke", "--sim", "hgx-h200-8", "--out", text(&out)])
            .args(faults)
            .stdin(Stdio::null())
            .stdout(full)
            .stderr(Stdio::null())
            .status()
            .expect("kiln starts");
        assert_eq!(status.code(), Some(code), "{name}");
        assert!(out.join("report.html").exists(), "{name}: the reports are written all the same");
    }
}
