//! The forms a run is told in, from the command line: streams, rows, dialects, and what is refused.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use kiln::report::broken_rule;
use serde_json::Value;

use crate::{KILN, kiln};

fn out(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).expect("UTF-8")
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("utf-8")
}

/// A run of this file, made once with its stream on stdout and the rich JUnit: a GPU falls off the bus.
fn streamed() -> &'static (tempfile::TempDir, Output) {
    static RUN: OnceLock<(tempfile::TempDir, Output)> = OnceLock::new();
    RUN.get_or_init(|| {
        let folder = tempfile::tempdir().expect("folder");
        let run = folder.path().join("run");
        let fault = ["--fault", "fell-off-bus@gpu/2", "--junit", "rich", "--ocptv", "-", "--out", text(&run)];
        let output = kiln(&[&["run", "smoke", "--sim", "hgx-h200-8"][..], &fault].concat());
        assert_eq!(output.status.code(), Some(1), "{}", err(&output));
        (folder, output)
    })
}

fn run() -> PathBuf {
    streamed().0.path().join("run")
}

fn report(format: &str) -> Output {
    let output = kiln(&["report", text(&run()), "--format", format]);
    assert_eq!(output.status.code(), Some(0), "{format}: {}", err(&output));
    output
}

#[test]
fn a_stream_on_stdout_is_the_stream_and_nothing_else() {
    let (_, output) = streamed();
    let stream = out(output);
    assert_eq!(broken_rule(stream), Ok(true));
    assert_eq!(stream, fs::read_to_string(run().join("ocptv.jsonl")).expect("ocptv.jsonl"), "the file holds the same");
    assert_eq!(stream, out(&report("ocptv")), "and so does what is made from the journal");
    let lines: Vec<Value> = stream.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines[0]["schemaVersion"]["major"], 2);
    let start = &lines[1]["testRunArtifact"]["testRunStart"];
    assert_eq!(start["name"], "SIMULATED smoke");
    assert_eq!(start["dutInfo"]["hardwareInfos"].as_array().expect("hardware").len(), 1 + 8 + hosts(start));
    let diagnoses = lines.iter().map(|line| &line["testStepArtifact"]["diagnosis"]);
    let bad: Vec<&str> =
        diagnoses.filter(|one| one["type"] == "FAIL").filter_map(|one| one["hardwareInfoId"].as_str()).collect();
    assert!(bad.contains(&"gpu/2") && bad.iter().all(|id| *id == "gpu/2"), "{bad:?}");
    let end = &lines.last().expect("lines")["testRunArtifact"]["testRunEnd"];
    assert_eq!((&end["status"], &end["result"]), (&"COMPLETE".into(), &"FAIL".into()));
    assert!(err(output).contains("FAIL"), "people are told on stderr");
}

/// A real run has parts and values that no invented one has.
#[test]
fn every_line_of_a_run_is_valid_under_the_published_schema() {
    let schema = include_str!("../../fixtures/schemas/ocptv/ocptv-2.0.corrected.schema.json");
    let schema = serde_json::from_str(schema).expect("JSON");
    let validator = jsonschema::options().should_validate_formats(true).build(&schema).expect("a schema");
    for line in out(&streamed().1).lines() {
        let instance = serde_json::from_str(line).expect("JSON");
        let refused = validator.iter_errors(&instance).next();
        assert!(refused.is_none(), "{line}: {}", refused.map(|error| error.to_string()).unwrap_or_default());
    }
}

fn hosts(start: &Value) -> usize {
    let all = start["dutInfo"]["hardwareInfos"].as_array().expect("hardware");
    all.iter().filter(|one| one["partType"] == "NIC" || one["partType"] == "NVME").count()
}

#[test]
fn a_refused_run_has_no_stream() {
    let output = kiln(&["run", "smok", "--sim", "hgx-h200-8", "--ocptv", "-"]);
    assert_eq!((output.status.code(), out(&output)), (Some(2), ""));
    let output = kiln(&["run", "smoke", "--sim", "hgx-h200-8", "--ocptv", "file"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(err(&output).contains("[possible values: -]"), "{}", err(&output));
}

#[test]
fn a_reader_that_went_away_does_not_end_the_run() {
    let folder = tempfile::tempdir().expect("folder");
    let run = folder.path().join("run");
    let script = format!("{KILN} run smoke --sim hgx-h200-8 --ocptv - --out {} | head -n 1", text(&run));
    let output = Command::new("sh").args(["-c", &script]).output().expect("sh");
    assert_eq!(out(&output).lines().count(), 1);
    let stream = fs::read_to_string(run.join("ocptv.jsonl")).expect("ocptv.jsonl");
    assert_eq!(broken_rule(&stream), Ok(true), "the file is whole");
}

#[test]
fn a_resumed_run_streams_from_its_beginning() {
    let folder = tempfile::tempdir().expect("folder");
    let whole = run();
    let cut = folder.path().join("run");
    fs::create_dir_all(cut.join("telemetry")).expect("made");
    fs::copy(whole.join("telemetry/samples.ktb"), cut.join("telemetry/samples.ktb")).expect("copied");
    let journal = fs::read_to_string(whole.join("journal.jsonl")).expect("journal");
    let begun = journal.lines().position(|line| line.contains(r#""step-started""#)).expect("a step");
    let kept: String = journal.split_inclusive('\n').take(begun + 1).collect();
    fs::write(cut.join("journal.jsonl"), kept).expect("cut");
    let output = kiln(&["resume", text(&cut), "--ocptv", "-"]);
    assert_eq!(output.status.code(), Some(1), "{}", err(&output));
    let stream = out(&output);
    assert_eq!(broken_rule(stream), Ok(true));
    assert!(stream.contains(r#""symptom":"interrupted""#), "the step that was cut says so");
    assert_eq!(stream, fs::read_to_string(cut.join("ocptv.jsonl")).expect("ocptv.jsonl"));
}

#[test]
fn the_dialect_that_was_asked_for_is_made_again() {
    let path = run().join("junit.xml");
    let live = fs::read_to_string(&path).expect("junit.xml");
    assert!(live.contains(&format!("[[ATTACHMENT|{}/result.json]]", run().display())), "{live}");
    assert!(live.contains(r#"<property name="slot""#));
    assert_eq!(live, out(&report("junit-rich")));
    let strict = report("junit");
    assert!(!out(&strict).contains("ATTACHMENT") && !out(&strict).contains(r#"name="slot""#));
    fs::remove_file(&path).expect("removed");
    let output = kiln(&["report", text(&run())]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert_eq!(fs::read_to_string(&path).expect("junit.xml"), live);
}

#[test]
fn every_measurement_is_a_row() {
    let (csv, rows) = (report("csv"), report("rows"));
    let objects: Vec<Value> = out(&rows).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(objects.len() > 300, "{} rows", objects.len());
    assert_eq!(out(&csv).matches("\r\n").count(), objects.len() + 1);
    assert!(out(&csv).starts_with("run_id,source,kind,run_verdict,unit_serial,"), "the columns are an API");
    let lost = objects.iter().find(|row| row["tested"] == "gpu/2" && row["result"] == "fail").expect("the bad GPU");
    assert_eq!((&lost["source"], &lost["run_verdict"]), (&"simulated".into(), &"FAIL".into()));
    assert!(lost["serial"].is_string() && lost["slot"].is_string(), "{lost}");
    let hot = objects.iter().find(|row| row["measurement"] == "power.mean" && row["verdict"] == "pass");
    assert!(hot.is_none_or(|row| row["value"].is_f64() && row["unit"] == "W"), "{hot:?}");
}

#[test]
fn readers_of_dcgm_find_the_bad_gpu() {
    let document: Value = serde_json::from_str(out(&report("dcgm-json"))).expect("JSON");
    let mut bad = Vec::new();
    for category in document["DCGM Diagnostic"]["test_categories"].as_array().expect("categories") {
        for test in category["tests"].as_array().expect("tests") {
            let results = test["results"].as_array().expect("results").iter();
            // 2 is to be isolated: the unit is proven bad there.
            let failed = results.filter(|one| one["status"] == "Fail" && one["warnings"][0]["error_severity"] == 2);
            bad.extend(failed.map(|one| one["entity_id"].as_i64().expect("a GPU")));
        }
    }
    assert!(!bad.is_empty() && bad.iter().all(|gpu| *gpu == 2), "{bad:?}: {document}");
    assert_eq!(document["entity_groups"][0]["entities"].as_array().expect("GPUs").len(), 8);
    assert_eq!(document["entity_groups"][0]["entities"][0]["device_id"], "2335");
    assert!(document["kiln"]["banner"].as_str().expect("a banner").starts_with("SIMULATED"));
}

#[test]
fn a_journal_without_a_whole_event_is_no_run_and_replaces_nothing() {
    let folder = tempfile::tempdir().expect("folder");
    fs::copy(run().join("result.json"), folder.path().join("result.json")).expect("copied");
    let journal = fs::read(run().join("journal.jsonl")).expect("journal");
    for kept in [0, 200] {
        fs::write(folder.path().join("journal.jsonl"), &journal[..kept]).expect("cut");
        for more in [&[][..], &["--format", "ocptv"], &["--format", "csv"]] {
            let output = kiln(&[&["report", text(folder.path())][..], more].concat());
            assert_eq!((output.status.code(), out(&output)), (Some(3), ""), "{more:?}");
            assert!(err(&output).contains("not one whole event"), "{}", err(&output));
        }
    }
    let left = fs::read(folder.path().join("result.json")).expect("result.json");
    assert_eq!(left, fs::read(run().join("result.json")).expect("result.json"));
}

#[test]
fn what_is_not_there_is_named_and_is_wrong_usage() {
    for arguments in [
        &["report", "no/such/run", "--format", "ocptv"][..],
        &["report", "no/such/run"],
        &["diff", text(&run()), "no/such/run"],
        &["seal", text(&run()), "--key", "no/such/key"],
    ] {
        let output = kiln(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", err(&output));
        assert!(err(&output).contains("no/such/"), "{arguments:?}: {}", err(&output));
        assert_eq!(out(&output), "");
    }
}

#[test]
fn an_unknown_format_is_refused_with_the_list() {
    let output = kiln(&["report", "anything", "--format", "pdf"]);
    assert_eq!(output.status.code(), Some(2));
    let list = "[possible values: text, json, junit, junit-rich, ocptv, csv, csv-excel, rows, dcgm-json, dcgm3-json, html, \
                parquet]";
    assert!(err(&output).contains(list), "{}", err(&output));
}
