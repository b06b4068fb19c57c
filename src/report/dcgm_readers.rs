//! What public readers of `dcgmi diag -j` make of both forms, by their keys and rules written anew (docs/readers.md names
//! them and their sources).

use std::fmt::Write as _;

use serde_json::Value;

use super::{dcgm, dcgm3};
use kiln_stories::endings;

type Reader = fn(&Value) -> String;

const READERS: [(&str, Reader); 6] = [
    ("aws", aws),
    ("aws-both", aws_both),
    ("gcm", gcm),
    ("autopilot", autopilot),
    ("remediation", remediation),
    ("failed-names", failed_names),
];

fn tests<'a>(document: &'a Value, roots: &[&str]) -> Option<Vec<&'a Value>> {
    let root = roots.iter().map(|root| &document[*root]).find(|root| root.is_object())?;
    let categories = root["test_categories"].as_array()?;
    Some(categories.iter().flat_map(|category| category["tests"].as_array().expect("tests")).collect())
}

fn results(test: &Value) -> impl Iterator<Item = &Value> {
    test["results"].as_array().into_iter().flatten()
}

fn word(level: i64) -> String {
    ["PASS", "MONITOR", "RESET", "ISOLATE"][usize::try_from(level).expect("a level")].to_owned()
}

/// `parse-dcgm-results.py`, first version: only the root of DCGM 3; `warning_level` or, without one, `Fail` is to be
/// isolated.
fn aws(document: &Value) -> String {
    let tests = tests(document, &["DCGM GPU Diagnostic"]).unwrap_or_default();
    let level = |result: &Value| match result["warning_level"].as_i64().unwrap_or(0) {
        0 if result["status"].as_str().is_some_and(|status| status.eq_ignore_ascii_case("fail")) => 3,
        level => level,
    };
    word(tests.iter().flat_map(|test| results(test)).map(level).max().unwrap_or(0))
}

/// The same script, later: both roots; severities of all warnings of results and summaries; a test without results and
/// what was skipped cannot pass.
fn aws_both(document: &Value) -> String {
    let roots = ["DCGM Diagnostic", "DCGM GPU Diagnostic"];
    let Some(tests) = tests(document, &roots).filter(|tests| !tests.is_empty()) else { return word(2) };
    let entry = |entry: &Value| {
        let status = entry["status"].as_str().unwrap_or("UNKNOWN").to_uppercase();
        let of = |warning: &Value| match warning["error_severity"].as_i64() {
            Some(1) => 1,
            Some(2) => 3,
            Some(0) => 0,
            _ => 2,
        };
        let warned = entry["warnings"].as_array().into_iter().flatten().map(of).max().unwrap_or(0);
        let level = warned.max(entry["warning_level"].as_i64().unwrap_or(0));
        match status.as_str() {
            "FAIL" if level == 0 => 3,
            "SKIP" | "NOT RUN" => level.max(1),
            "PASS" | "FAIL" => level,
            _ => level.max(2),
        }
    };
    let level = |test: &&Value| {
        let untested = if results(test).next().is_none() { 2 } else { 0 };
        results(test).chain([&test["test_summary"]]).map(entry).max().unwrap_or(0).max(untested)
    };
    let broken = roots.iter().any(|root| document[*root]["runtime_error"].is_string());
    word(tests.iter().map(level).max().unwrap_or(2).max(if broken { 2 } else { 0 }))
}

/// `check_dcgmi.py` of gcm: both roots; the summary of a test, or its first result.
fn gcm(document: &Value) -> String {
    let Some(tests) = tests(document, &["DCGM GPU Diagnostic", "DCGM Diagnostic"]) else { return "WARN".to_owned() };
    let status = |test: &&Value| {
        let summary = test["test_summary"]["status"].as_str().or_else(|| test["results"][0]["status"].as_str());
        summary.unwrap_or_default().to_owned()
    };
    if tests.iter().any(|test| status(test) == "Fail") { "CRITICAL" } else { "OK" }.to_owned()
}

/// `entrypoint.py` of autopilot: the root of DCGM 3; the first result of each test, which must be there; the GPUs by
/// `gpu_id`.
fn autopilot(document: &Value) -> String {
    let Some(tests) = tests(document, &["DCGM GPU Diagnostic"]) else { return "KeyError".to_owned() };
    if tests.iter().any(|test| results(test).next().is_none()) {
        return "IndexError".to_owned();
    }
    let failed: Vec<&&Value> = tests.iter().filter(|test| test["results"][0]["status"] == "Fail").collect();
    if failed.is_empty() { "SUCCESS".to_owned() } else { "FAIL".to_owned() }
}

/// A shell script of a cloud's health checks: the root of DCGM 3; `error_severity` of each result decides between replace
/// and reboot; what it cannot place is left to the operator.
fn remediation(document: &Value) -> String {
    let tests = tests(document, &["DCGM GPU Diagnostic"]).unwrap_or_default();
    let all = || tests.iter().flat_map(|test| results(test)).filter(|result| result["status"] != "Pass");
    let any = |severity: i64| all().any(|result| result["error_severity"] == severity);
    if any(2) {
        "replace"
    } else if any(6) {
        "reboot"
    } else {
        "none"
    }
    .to_owned()
}

/// A fleet's probe: either root; the names of tests with a result that failed, and nothing at all without results.
fn failed_names(document: &Value) -> String {
    let tests = tests(document, &["DCGM GPU Diagnostic", "DCGM Diagnostic"]).unwrap_or_default();
    if !tests.iter().any(|test| results(test).next().is_some()) {
        return "not run".to_owned();
    }
    let failed = tests.iter().filter(|test| results(test).any(|result| result["status"] == "Fail"));
    format!("{} failed", failed.count())
}

fn read(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

#[test]
fn public_readers_take_no_other_ending_for_a_pass() {
    let mut table = String::new();
    for (name, story) in endings() {
        let record = story.record();
        let (four, three) = (read(&dcgm(&record)), read(&dcgm3(&record)));
        let verdict = four["kiln"]["verdict"].as_str().expect("a verdict").to_owned();
        let _ = writeln!(table, "{name}: {verdict}");
        for (form, document) in [("4", &four), ("3", &three)] {
            let said: Vec<String> =
                READERS.iter().map(|(name, reader)| format!("{name} {}", reader(document))).collect();
            let _ = writeln!(table, "  {form}: {}", said.join(", "));
        }
        // Each reader in the form it knows.
        let well = [aws(&three), aws_both(&four), gcm(&four), gcm(&three), autopilot(&three), failed_names(&four)];
        let healthy = ["PASS", "MONITOR", "OK", "SUCCESS", "0 failed"];
        if verdict == "PASS" {
            // The later script calls a pass with skipped tests one to be watched.
            assert!(well.iter().all(|said| healthy.contains(&said.as_str())), "{name}: {well:?}");
        } else {
            assert!(
                well.iter().all(|said| !["PASS", "OK", "SUCCESS", "0 failed"].contains(&said.as_str())),
                "{name}: {well:?}"
            );
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn only_proof_against_the_unit_is_isolated() {
    for (name, story) in endings() {
        let record = story.record();
        let document = read(&dcgm(&record));
        let isolated = document.to_string().contains(r#""error_severity":2"#);
        let verdict = document["kiln"]["verdict"].as_str().expect("a verdict");
        if verdict != "FAIL" {
            assert!(!isolated, "{name}: {verdict}");
        }
    }
}

#[test]
fn a_test_of_the_node_has_a_result_for_every_gpu() {
    for (name, story) in endings() {
        let record = story.record();
        let gpus = record.inventory.as_ref().map_or(0, |inventory| inventory.gpus.len());
        let (four, three) = (read(&dcgm(&record)), read(&dcgm3(&record)));
        for test in tests(&four, &["DCGM Diagnostic"]).expect("tests") {
            assert!(results(test).count() > 0 || gpus == 0, "{name}: {test}");
        }
        for test in tests(&three, &["DCGM GPU Diagnostic"]).expect("tests") {
            let statuses: Vec<&str> = results(test).map(|one| one["status"].as_str().expect("a status")).collect();
            assert!(!statuses.is_empty(), "{name}: {test}");
            assert_eq!(statuses.contains(&"Fail"), statuses[0] == "Fail", "{name}: the worst comes first");
        }
    }
}
