//! Both dialects of every story; the strict one held against the schema of Jenkins.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::*;
use crate::verdict::verdict_so_far;
use kiln_event::{RunRecord, VerdictWord};
use kiln_stories::endings;

fn strict(record: &RunRecord) -> String {
    junit(record, Junit::Strict)
}

fn rich(record: &RunRecord) -> String {
    junit(record, Junit::Rich { folder: Path::new("runs/./1/") })
}

/// The schema of Jenkins.
fn schema() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/schemas/junit/jenkins-junit-10.xsd")
}

fn refused_by(schema: &Path, file: &str) -> Option<String> {
    let mut xmllint = Command::new("xmllint");
    xmllint.arg("--noout").arg("--schema").arg(schema).arg("-");
    let spawned = xmllint.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = spawned.expect("xmllint runs; `ci/test` installs it (libxml2-utils)");
    child.stdin.take().expect("piped").write_all(file.as_bytes()).expect("written");
    let output = child.wait_with_output().expect("ended");
    (!output.status.success()).then(|| String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn every_ending_is_valid_under_the_schema_of_jenkins() {
    let schema = schema();
    assert!(refused_by(&schema, "<testsuites skipped=\"1\"/>").is_some(), "the validator refuses what is wrong");
    for (name, story) in endings() {
        assert_eq!(refused_by(&schema, &strict(&story.record())), None, "{name}");
    }
    let story = &endings()["fail-limit"];
    for cut in 0..story.events.len() {
        let record = RunRecord::of(&story.events[..cut]);
        assert_eq!(refused_by(&schema, &strict(&record)), None, "killed after {cut} events");
    }
}

#[test]
fn the_file_is_green_exactly_where_the_verdict_is_pass() {
    for (name, story) in endings() {
        let record = story.record();
        let file = strict(&record);
        let green = file.contains(" failures=\"0\" errors=\"0\" time");
        assert_eq!(green, verdict_so_far(&record).word == VerdictWord::Pass, "{name}:\n{file}");
        for cut in 0..story.events.len() - usize::from(record.verdict.is_some()) {
            let file = strict(&RunRecord::of(&story.events[..cut]));
            assert!(!file.contains(" failures=\"0\" errors=\"0\" time"), "{name} cut at {cut} is green");
        }
    }
}

fn names(file: &str) -> Vec<&str> {
    file.lines().filter(|line| line.contains("<testcase")).map(|line| line.split(" time=").next().unwrap()).collect()
}

#[test]
fn names_are_unique_and_the_same_for_every_ending() {
    let all = endings();
    let passed = strict(&all["pass"].record());
    let expected = names(&passed);
    assert_eq!(expected.iter().collect::<BTreeSet<_>>().len(), expected.len());
    for (name, story) in all {
        let file = strict(&story.record());
        let found: Vec<&str> = names(&file).into_iter().filter(|name| !name.contains(".guards")).collect();
        if name != "before-plan" {
            assert_eq!(found, expected, "{name}");
        }
    }
}

#[test]
fn every_ending_has_its_file() {
    for (name, story) in endings() {
        let file = strict(&story.record());
        // The properties are the same in all; one file shows them.
        let shown = file.lines().filter(|line| name == "fail-limit" || !line.contains("<property "));
        insta::assert_snapshot!(name, shown.collect::<Vec<_>>().join("\n"));
    }
    insta::assert_snapshot!("no-events", strict(&RunRecord::default()));
    insta::assert_snapshot!("started", strict(&RunRecord::of(&endings()["pass"].events[..1])));
}

#[test]
fn the_rich_dialect_has_more_of_every_case() {
    for name in ["fail-limit", "retried", "unstable", "resumed", "unfinished"] {
        let file = rich(&endings()[name].record());
        // The properties of the suites are the same in both dialects.
        let shown = file.lines().filter(|line| !line.starts_with("      <property "));
        insta::assert_snapshot!(format!("rich-{name}"), shown.collect::<Vec<_>>().join("\n"));
    }
}

#[test]
fn both_dialects_name_the_same_cases_and_say_the_same_of_them() {
    for (name, story) in endings() {
        let record = story.record();
        let (strict, rich) = (strict(&record), rich(&record));
        let heads = |file: &str| -> Vec<String> {
            let heads = file.lines().filter(|line| {
                ["<testsuite", "<testcase", "<failure", "<error", "<skipped"]
                    .iter()
                    .any(|tag| line.trim_start().starts_with(tag))
            });
            // Only the rich one can count in its first line what was skipped.
            let plain = |line: &str| {
                let line = line.trim_end_matches("/>").trim_end_matches('>').split(" timestamp=").next()?;
                match line.split_once(" skipped=").filter(|_| line.contains("<testsuites")) {
                    Some((counts, rest)) => Some(format!("{counts}{}", &rest[rest.find(" time=")?..])),
                    None => Some(line.to_owned()),
                }
            };
            heads.filter_map(plain).collect()
        };
        assert_eq!(heads(&strict), heads(&rich), "{name}");
        assert!(!rich.contains("flakyError") && !rich.contains("rerunError"), "{name}");
    }
}

#[test]
fn attachments_come_first_in_the_output() {
    let file = rich(&endings()["fail-limit"].record());
    let outputs: Vec<&str> = file.lines().filter(|line| line.contains("[[ATTACHMENT|")).collect();
    assert_eq!(outputs[0], "      <system-out>[[ATTACHMENT|runs/1/result.json]]</system-out>");
    assert!(outputs[1].starts_with("      <system-out>[[ATTACHMENT|runs/1/report.html]]"), "{outputs:?}");
    assert_eq!(outputs.last(), Some(&"[[ATTACHMENT|runs/1/telemetry/samples.parquet]]"));
}
