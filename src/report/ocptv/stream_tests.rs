//! The stream of every story, held against the published schema and against our own rules.

use super::*;
use crate::broken_rule;
use kiln_stories::endings;

#[test]
fn every_ending_has_its_stream() {
    for (name, story) in endings() {
        let stream = ocptv(&story.events);
        // The long one shows all; of the others, what differs.
        let shown = stream.split_inclusive('\n').filter(|line| {
            name == "fail-limit" || !(line.contains("testRunStart") || line.contains("\"PASS\",\"message\""))
        });
        insta::assert_snapshot!(name, shown.collect::<String>());
    }
}

#[test]
fn every_stream_keeps_the_rules_wherever_it_is_cut() {
    for (name, story) in endings() {
        let stream = ocptv(&story.events);
        let finished = story.record().verdict.is_some();
        assert_eq!(broken_rule(&stream), Ok(finished), "{name}");
        for cut in 0..story.events.len() {
            let part = ocptv(&story.events[..cut]);
            assert!(stream.starts_with(&part), "{name}: what was said after {cut} events stays said");
            assert_eq!(broken_rule(&part), Ok(false), "{name} after {cut} events");
        }
    }
}

#[test]
fn the_run_ends_as_its_verdict_says() {
    let endings = endings();
    let end = |name: &str| ocptv(&endings[name].events).lines().last().expect("lines").to_owned();
    let said = [
        "pass",
        "fail-limit",
        "waived",
        "marginal",
        "error",
        "inconclusive",
        "unstable",
        "aborted",
        "guard",
        "nothing",
    ];
    let said: String = said
        .map(|name| {
            let end: Value = serde_json::from_str(&end(name)).expect("JSON");
            format!("{name}: {}\n", end["testRunArtifact"]["testRunEnd"])
        })
        .concat();
    insta::assert_snapshot!(said, @r#"
    pass: {"result":"PASS","status":"COMPLETE"}
    fail-limit: {"result":"FAIL","status":"COMPLETE"}
    waived: {"result":"PASS","status":"COMPLETE"}
    marginal: {"result":"PASS","status":"COMPLETE"}
    error: {"result":"NOT_APPLICABLE","status":"ERROR"}
    inconclusive: {"result":"NOT_APPLICABLE","status":"ERROR"}
    unstable: {"result":"NOT_APPLICABLE","status":"ERROR"}
    aborted: {"result":"NOT_APPLICABLE","status":"SKIP"}
    guard: {"result":"FAIL","status":"COMPLETE"}
    nothing: {"result":"NOT_APPLICABLE","status":"SKIP"}
    "#);
}

#[test]
fn every_line_is_valid_under_the_published_schema() {
    let schema = include_str!("../../../fixtures/schemas/ocptv/ocptv-2.0.corrected.schema.json");
    let schema: Value = serde_json::from_str(schema).expect("JSON");
    let validator = jsonschema::options().should_validate_formats(true).build(&schema).expect("a schema");
    let refused = |line: &str| {
        let line: Value = serde_json::from_str(line).expect("JSON");
        validator.iter_errors(&line).next().map(|error| error.to_string())
    };
    for line in include_str!("../../../fixtures/schemas/ocptv/spec-examples.valid.jsonl").lines() {
        assert_eq!(refused(line), None, "an example of the specification: {line}");
    }
    let wrong = [
        r#"{"sequenceNumber":0,"timestamp":"2026-03-01 06:00","schemaVersion":{"major":2,"minor":0}}"#,
        r#"{"sequenceNumber":0,"timestamp":"2026-03-01T06:00:00Z"}"#,
        r#"{"sequenceNumber":1,"timestamp":"2026-03-01T06:00:00Z","testRunArtifact":{"testRunEnd":{"status":"SKIP","result":"PASS"}}}"#,
    ];
    for line in wrong {
        assert!(refused(line).is_some(), "the validator refuses {line}");
    }
    for (name, story) in endings() {
        for line in ocptv(&story.events).lines() {
            assert_eq!(refused(line), None, "{name}: {line}");
        }
    }
}
