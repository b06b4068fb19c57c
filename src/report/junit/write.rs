//! Suites and cases as XML, in the dialect asked for.

use super::dialect::Junit;
use super::suites::{Earlier, Report, Suite, TestCase, TestResult};
use crate::xml::Xml;
use kiln_event::RunRecord;
use kiln_model::{Moment, Span, WallTime};

/// The whole file.
pub fn junit(record: &RunRecord, dialect: Junit<'_>) -> String {
    let report = Report::of(record);
    let mut xml = Xml::new();
    xml.open("testsuites");
    xml.attribute("name", report.title());
    let cases: Vec<&TestCase> = report.suites.iter().flat_map(|suite| &suite.cases).collect();
    counts(&mut xml, &cases);
    // Whoever reads only the first line would take what was skipped for passed; the schema of Jenkins refuses it there.
    if dialect.is_rich() {
        xml.attribute("skipped", skipped(cases.iter().copied()));
    }
    xml.attribute("time", seconds(record.last_at.since(Moment::ZERO)));
    for (id, suite) in report.suites.iter().enumerate() {
        write_suite(&mut xml, &report, id, suite, dialect);
    }
    xml.finish()
}

/// Seconds with three decimals: more, or an exponent, is refused by the schema.
fn seconds(span: Span) -> String {
    format!("{:.3}", span.as_secs_f64())
}

fn stamp(wall: WallTime) -> String {
    wall.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn write_suite(xml: &mut Xml, report: &Report<'_>, id: usize, suite: &Suite, dialect: Junit<'_>) {
    xml.open("testsuite");
    xml.attribute("name", &suite.name);
    counts(xml, &suite.cases.iter().collect::<Vec<_>>());
    xml.attribute("skipped", skipped(&suite.cases));
    xml.attribute("time", seconds(suite.elapsed));
    if let Some(started) = suite.started {
        xml.attribute("timestamp", stamp(started));
    }
    let station = report.record.start.as_ref().and_then(|start| start.operation.station.as_ref());
    if let Some(station) = station {
        xml.attribute("hostname", station);
    }
    xml.attribute("id", id);
    properties(xml, &report.properties);
    // What a run that goes on will leave behind is not there yet.
    let ended = report.record.verdict.is_some();
    for case in &suite.cases {
        write_case(xml, &format!("{}.{}", report.profile, suite.name), case, dialect, ended);
    }
    xml.close();
}

fn properties(xml: &mut Xml, all: &[(String, String)]) {
    xml.open("properties");
    for (name, value) in all {
        xml.open("property");
        xml.attribute("name", name);
        xml.attribute("value", value);
        xml.close();
    }
    xml.close();
}

fn counts(xml: &mut Xml, cases: &[&TestCase]) {
    let count = |wanted: fn(&TestResult) -> bool| cases.iter().filter(|case| wanted(&case.result)).count();
    xml.attribute("tests", cases.len());
    xml.attribute("failures", count(|result| matches!(result, TestResult::Failure { .. })));
    xml.attribute("errors", count(|result| matches!(result, TestResult::Error { .. })));
}

fn skipped<'a>(cases: impl IntoIterator<Item = &'a TestCase>) -> usize {
    cases.into_iter().filter(|case| matches!(case.result, TestResult::Skipped { .. })).count()
}

fn write_case(xml: &mut Xml, classname: &str, case: &TestCase, dialect: Junit<'_>, ended: bool) {
    xml.open("testcase");
    xml.attribute("classname", classname);
    xml.attribute("name", &case.name);
    xml.attribute("time", seconds(case.elapsed));
    if dialect.is_rich() {
        if let Some(started) = case.started {
            xml.attribute("timestamp", stamp(started));
        }
        if !case.properties.is_empty() {
            properties(xml, &case.properties);
        }
    }
    match &case.result {
        TestResult::Passed => {}
        TestResult::Skipped { message } => {
            xml.open("skipped");
            xml.attribute("message", message);
            xml.close();
        }
        TestResult::Failure { kind, message, text } => problem(xml, "failure", kind, message, text),
        TestResult::Error { kind, message, text } => problem(xml, "error", kind, message, text),
    }
    for earlier in &case.earlier {
        write_earlier(xml, earlier, dialect);
    }
    let told_already = matches!(case.result, TestResult::Failure { .. } | TestResult::Error { .. });
    // Before all else: of a long output Jenkins keeps the beginning, and GitLab takes the first it finds.
    let mut output = match case.whole {
        true if ended => dialect.of_the_run(),
        false if told_already => dialect.of_a_failure(),
        _ => Vec::new(),
    };
    if !told_already && !case.output.is_empty() {
        output.push(case.output.clone());
    }
    if !output.is_empty() {
        xml.open("system-out");
        xml.close_with(&output.join("\n"));
    }
    xml.close();
}

fn problem(xml: &mut Xml, element: &'static str, kind: &str, message: &str, text: &str) {
    xml.open(element);
    xml.attribute("type", kind);
    xml.attribute("message", message);
    xml.close_with(text);
}

/// Readers count `flaky…` beside a pass and `rerun…` beside a failure. Those in `…Error` are of the schema alone: the plugin
/// reads the others, so that the rich dialect has no other, and its `type` says what it was.
fn write_earlier(xml: &mut Xml, earlier: &Earlier, dialect: Junit<'_>) {
    xml.open(match (earlier.flaky, earlier.failed || dialect.is_rich()) {
        (true, true) => "flakyFailure",
        (true, false) => "flakyError",
        (false, true) => "rerunFailure",
        (false, false) => "rerunError",
    });
    xml.attribute("type", &earlier.kind);
    xml.attribute("message", &earlier.message);
    if dialect.is_rich() {
        xml.open("stackTrace");
        xml.close_with(&earlier.text);
    }
    xml.close();
}
