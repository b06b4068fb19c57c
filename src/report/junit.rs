//! `junit.xml`: one test case for every step and component, in the form Jenkins' own schema accepts.
//!
//! Names are the same for every unit: no serials, no rounds, no attempts; those stand in properties and texts. The file
//! is green exactly where the verdict is PASS; a record of a run that was cut short gives a valid file too.

use super::explain;
use super::properties::properties;
use super::row::{Row, RowState, rows};
use super::verdict::verdict_so_far;
use super::words;
use super::xml::Xml;
use crate::event::{
    Case, GuardTrip, Interruption, NodeSource, Outcome, RunRecord, StepRecord, Verdict, VerdictWord, uncarried_trips,
};
use crate::model::{Moment, Span, WallTime};
use crate::plan::Readiness;
use crate::profile::GuardResult;

/// The whole file.
pub fn junit(record: &RunRecord) -> String {
    let report = Report::of(record);
    let mut xml = Xml::new();
    xml.open("testsuites");
    xml.attribute("name", report.title());
    let cases: Vec<&TestCase> = report.suites.iter().flat_map(|suite| &suite.cases).collect();
    counts(&mut xml, &cases);
    xml.attribute("time", seconds(record.last_at.since(Moment::ZERO)));
    for (id, suite) in report.suites.iter().enumerate() {
        report.suite(&mut xml, id, suite);
    }
    xml.finish()
}

/// Seconds with three decimals: more, or an exponent, is refused by the schema.
fn seconds(span: Span) -> String {
    format!("{:.3}", span.as_secs_f64())
}

struct Report<'a> {
    record: &'a RunRecord,
    profile: &'a str,
    properties: Vec<(String, String)>,
    suites: Vec<Suite>,
}

struct Suite {
    name: String,
    started: Option<WallTime>,
    elapsed: Span,
    cases: Vec<TestCase>,
}

struct TestCase {
    name: String,
    elapsed: Span,
    result: TestResult,
    /// Attempts before the last: element name, type, message.
    earlier: Vec<(&'static str, String, String)>,
    /// What a case without failure or error says.
    output: String,
}

enum TestResult {
    Passed,
    Skipped { message: String },
    Failure { kind: String, message: String, text: String },
    Error { kind: String, message: String, text: String },
}

impl<'a> Report<'a> {
    fn of(record: &'a RunRecord) -> Self {
        let verdict = verdict_so_far(record);
        let mut report = Self {
            record,
            profile: record.start.as_ref().map_or("run", |start| start.profile.id.as_str()),
            properties: properties(record),
            suites: Vec::new(),
        };
        for row in rows(record) {
            report.add(&row);
        }
        let trips = uncarried_trips(record);
        if !trips.is_empty() {
            let cases = trips.into_iter().map(|(_, trip)| report.guard(trip)).collect();
            report.suites.push(Suite { name: "guards".to_owned(), started: None, elapsed: Span::ZERO, cases });
        }
        let cases = vec![report.completion(&verdict)];
        report.suites.push(Suite { name: "run".to_owned(), started: record.started_wall, elapsed: Span::ZERO, cases });
        report
    }

    /// Whoever reads only the first line of the file must not take a model for a machine.
    fn title(&self) -> String {
        match self.record.start.as_ref().map(|start| &start.source) {
            Some(NodeSource::Simulated { .. } | NodeSource::StandIn { .. }) => format!("SIMULATED {}", self.profile),
            Some(NodeSource::Replayed { .. }) => format!("REPLAYED {}", self.profile),
            Some(NodeSource::Hardware) | None => self.profile.to_owned(),
        }
    }

    fn add(&mut self, row: &Row<'_>) {
        let case = self.case(row);
        let path = format!("{}.{}", row.stage, row.step);
        let steps = self.record.steps.iter().filter(|step| step.key.path == path);
        let started = steps.map(|step| step.started_wall).next();
        let at = self.suites.iter().position(|suite| suite.name == row.stage).unwrap_or_else(|| {
            let name = row.stage.to_owned();
            self.suites.push(Suite { name, started: None, elapsed: Span::ZERO, cases: Vec::new() });
            self.suites.len() - 1
        });
        let suite = &mut self.suites[at];
        suite.started = suite.started.or(started);
        let prefix = format!("{}[", row.step);
        // A step's components are tested side by side: its time counts once.
        if !suite.cases.iter().any(|case| case.name.starts_with(&prefix)) {
            suite.elapsed += row.elapsed;
        }
        suite.cases.push(case);
    }

    fn case(&self, row: &Row<'_>) -> TestCase {
        let path = format!("{}.{}", row.stage, row.step);
        let output = explain::row(self.record, row).join("\n");
        let result = match row.state {
            RowState::Cut => {
                let message = format!("was running when the run was cut short: {}", explain::end(self.record));
                TestResult::Error { kind: "interrupted".to_owned(), message, text: output.clone() }
            }
            RowState::Unstarted(readiness) => TestResult::Skipped { message: self.unstarted(readiness) },
            RowState::Judged(standing) => {
                let mut text = vec![];
                text.extend(self.record.start.as_ref().and_then(|start| words::banner(&start.source)));
                text.push(output.clone());
                for finding in explain::findings(self.record, &path, row.component) {
                    text.extend(explain::finding(finding));
                }
                self.judged(standing.outcome, standing.case, text.join("\n"))
            }
        };
        let green = matches!(result, TestResult::Passed | TestResult::Skipped { .. });
        let earlier = row.earlier.iter().map(|(step, case)| earlier(step, case, green)).collect();
        TestCase { name: format!("{}[{}]", row.step, row.component), elapsed: row.elapsed, result, earlier, output }
    }

    fn judged(&self, outcome: Outcome, case: &Case, text: String) -> TestResult {
        let message = explain::headline(case);
        match outcome {
            Outcome::Pass | Outcome::Marginal => TestResult::Passed,
            Outcome::Waived => TestResult::Skipped { message: self.waived(case) },
            Outcome::Skipped => TestResult::Skipped { message: format!("not applicable: {message}") },
            Outcome::NotReached => {
                let reason = case.reason.as_ref().filter(|_| explain::end(self.record) != "aborted");
                let why = reason.map_or_else(|| explain::end(self.record), |reason| reason.text.clone());
                TestResult::Skipped { message: format!("not reached: {why}") }
            }
            Outcome::Fail => TestResult::Failure { kind: failure_kind(case).to_owned(), message, text },
            Outcome::Inconclusive => TestResult::Error { kind: "inconclusive".to_owned(), message, text },
            Outcome::Aborted => TestResult::Error { kind: "aborted".to_owned(), message, text },
            Outcome::Error => TestResult::Error { kind: error_kind(case), message, text },
        }
    }

    fn waived(&self, case: &Case) -> String {
        let waivers = self.record.start.iter().flat_map(|start| &start.profile.waivers);
        let used = |id: &String| case.judgements.iter().any(|judgement| judgement.waiver.as_ref() == Some(id));
        let told: Vec<String> = waivers
            .filter(|waiver| used(&waiver.matches))
            .map(|waiver| format!("{}, until {} (by {})", waiver.reason, waiver.until, waiver.by))
            .collect();
        format!("waived: {}; {}", told.join("; "), explain::headline(case))
    }

    fn unstarted(&self, readiness: &Readiness) -> String {
        match readiness {
            Readiness::Skip(why) => format!("not applicable: {why}"),
            Readiness::Deselected => "not reached: left out by --only".to_owned(),
            Readiness::Ready | Readiness::Unmet(_) => format!("not reached: {}", explain::end(self.record)),
        }
    }

    fn guard(&self, trip: &GuardTrip) -> TestCase {
        let place = explain::place(self.record.inventory.as_deref(), trip.component);
        let mut text = vec![place, format!("{}: {}", trip.code, trip.text)];
        for finding in explain::findings(self.record, &trip.guard, trip.component) {
            text.extend(explain::finding(finding));
        }
        let (message, text) = (trip.text.clone(), text.join("\n"));
        let result = match trip.result {
            GuardResult::Fail => TestResult::Failure { kind: "event".to_owned(), message, text },
            GuardResult::Inconclusive => TestResult::Error { kind: "inconclusive".to_owned(), message, text },
        };
        let name = format!("{}[{}]", trip.guard, trip.component);
        TestCase { name, elapsed: Span::ZERO, result, earlier: Vec::new(), output: String::new() }
    }

    /// Whether the run came to its end and judged what it should: red where no other case would say why the verdict is
    /// no PASS.
    fn completion(&self, verdict: &Verdict) -> TestCase {
        let interruption = self.record.interruptions.get(self.record.settled..).and_then(<[_]>::last);
        let error = match (interruption, verdict.word) {
            _ if self.record.verdict.is_none() => Some(("unfinished", "the run did not come to its end".to_owned())),
            (Some((_, by @ Interruption::Failure(_))), _) => Some(("error.run", words::interruption(by))),
            (Some((_, by)), _) => Some(("aborted", words::interruption(by))),
            (None, VerdictWord::Nothing) => Some(("nothing-judged", words::meaning(verdict).to_owned())),
            (None, VerdictWord::Inconclusive) if verdict.partial => {
                Some(("inconclusive", words::meaning(verdict).to_owned()))
            }
            (None, VerdictWord::Inconclusive) if verdict.inconclusive == 0 => {
                let cases = words::count(verdict.not_reached as usize, "case");
                Some(("inconclusive", format!("{cases} not reached: {}", explain::end(self.record))))
            }
            _ => None,
        };
        let result = error.map_or(TestResult::Passed, |(kind, message)| TestResult::Error {
            kind: kind.to_owned(),
            message,
            text: String::new(),
        });
        let elapsed = self.record.last_at.since(Moment::ZERO);
        let output = format!("{}: {}", words::verdict(verdict), words::meaning(verdict));
        TestCase { name: "completed[node]".to_owned(), elapsed, result, earlier: Vec::new(), output }
    }

    fn suite(&self, xml: &mut Xml, id: usize, suite: &Suite) {
        xml.open("testsuite");
        xml.attribute("name", &suite.name);
        counts(xml, &suite.cases.iter().collect::<Vec<_>>());
        let skipped = suite.cases.iter().filter(|case| matches!(case.result, TestResult::Skipped { .. }));
        xml.attribute("skipped", skipped.count());
        xml.attribute("time", seconds(suite.elapsed));
        if let Some(started) = suite.started {
            xml.attribute("timestamp", started.strftime("%Y-%m-%dT%H:%M:%SZ"));
        }
        let station = self.record.start.as_ref().and_then(|start| start.operation.station.as_ref());
        if let Some(station) = station {
            xml.attribute("hostname", station);
        }
        xml.attribute("id", id);
        xml.open("properties");
        for (name, value) in &self.properties {
            xml.open("property");
            xml.attribute("name", name);
            xml.attribute("value", value);
            xml.close();
        }
        xml.close();
        for case in &suite.cases {
            write_case(xml, &format!("{}.{}", self.profile, suite.name), case);
        }
        xml.close();
    }
}

fn counts(xml: &mut Xml, cases: &[&TestCase]) {
    let count = |wanted: fn(&TestResult) -> bool| cases.iter().filter(|case| wanted(&case.result)).count();
    xml.attribute("tests", cases.len());
    xml.attribute("failures", count(|result| matches!(result, TestResult::Failure { .. })));
    xml.attribute("errors", count(|result| matches!(result, TestResult::Error { .. })));
}

fn write_case(xml: &mut Xml, classname: &str, case: &TestCase) {
    xml.open("testcase");
    xml.attribute("classname", classname);
    xml.attribute("name", &case.name);
    xml.attribute("time", seconds(case.elapsed));
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
    for (element, kind, message) in &case.earlier {
        xml.open(element);
        xml.attribute("type", kind);
        xml.attribute("message", message);
        xml.close();
    }
    let told_already = matches!(case.result, TestResult::Failure { .. } | TestResult::Error { .. });
    if !told_already && !case.output.is_empty() {
        xml.open("system-out");
        xml.close_with(&case.output);
    }
    xml.close();
}

fn problem(xml: &mut Xml, element: &'static str, kind: &str, message: &str, text: &str) {
    xml.open(element);
    xml.attribute("type", kind);
    xml.attribute("message", message);
    xml.close_with(text);
}

/// An attempt that was followed by another. Readers count `flaky…` beside a pass and `rerun…` beside a failure.
fn earlier(step: &StepRecord, case: &Case, green: bool) -> (&'static str, String, String) {
    let failed = case.outcome == Outcome::Fail;
    let element = match (green, failed) {
        (true, true) => "flakyFailure",
        (true, false) => "flakyError",
        (false, true) => "rerunFailure",
        (false, false) => "rerunError",
    };
    let kind = if failed { failure_kind(case).to_owned() } else { error_kind(case) };
    let round = if step.key.round > 1 { format!(" of round {}", step.key.round) } else { String::new() };
    let message = format!("attempt {}{round}: {}", step.key.attempt, explain::headline(case));
    (element, kind, message)
}

/// What proves the fail: a value, a wrong result, or something that happened.
fn failure_kind(case: &Case) -> &'static str {
    match case.reason.as_ref().map(|reason| reason.kind.as_str()) {
        Some("mismatch") => "mismatch",
        Some("guard" | "lost") => "event",
        _ => "limit",
    }
}

fn error_kind(case: &Case) -> String {
    match &case.reason {
        _ if case.outcome == Outcome::Inconclusive => "inconclusive".to_owned(),
        _ if case.outcome == Outcome::Aborted => "aborted".to_owned(),
        Some(reason) if reason.kind == "timeout" => "timeout".to_owned(),
        Some(reason) => format!("error.{}", reason.kind),
        None => "error".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::io::Write as _;
    use std::path::{Path, PathBuf};
    use std::process::{Command, Stdio};

    use super::*;
    use crate::event::invented::{Story, endings};

    /// Where the schema is: beside the project, or where `KILN_SCHEMAS` says.
    fn schema() -> Option<PathBuf> {
        let folder = std::env::var_os("KILN_SCHEMAS")
            .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/schemas"), PathBuf::from);
        let schema = folder.join("junit/jenkins-junit-10.xsd");
        schema.exists().then_some(schema)
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
        let Some(schema) = schema() else {
            let told = "SKIPPED: jenkins-junit-10.xsd is neither in ../shared/schemas/junit nor under $KILN_SCHEMAS; \
                        the JUnit files were NOT validated\n";
            std::io::stderr().write_all(told.as_bytes()).expect("stderr");
            return;
        };
        assert!(refused_by(&schema, "<testsuites skipped=\"1\"/>").is_some(), "the validator refuses what is wrong");
        for (name, story) in endings() {
            assert_eq!(refused_by(&schema, &junit(&story.record())), None, "{name}");
        }
        let story = &endings()["fail-limit"];
        for cut in 0..story.events.len() {
            let record = RunRecord::of(&story.events[..cut]);
            assert_eq!(refused_by(&schema, &junit(&record)), None, "killed after {cut} events");
        }
    }

    #[test]
    fn the_file_is_green_exactly_where_the_verdict_is_pass() {
        for (name, story) in endings() {
            let record = story.record();
            let file = junit(&record);
            let green = file.contains(" failures=\"0\" errors=\"0\" time");
            assert_eq!(green, verdict_so_far(&record).word == VerdictWord::Pass, "{name}:\n{file}");
            for cut in 0..story.events.len() - usize::from(record.verdict.is_some()) {
                let file = junit(&RunRecord::of(&story.events[..cut]));
                assert!(!file.contains(" failures=\"0\" errors=\"0\" time"), "{name} cut at {cut} is green");
            }
        }
    }

    fn names(file: &str) -> Vec<&str> {
        file.lines()
            .filter(|line| line.contains("<testcase"))
            .map(|line| line.split(" time=").next().unwrap())
            .collect()
    }

    #[test]
    fn names_are_unique_and_the_same_for_every_ending() {
        let all = endings();
        let passed = junit(&all["pass"].record());
        let expected = names(&passed);
        assert_eq!(expected.iter().collect::<BTreeSet<_>>().len(), expected.len());
        for (name, story) in all {
            let file = junit(&story.record());
            let found: Vec<&str> = names(&file).into_iter().filter(|name| !name.contains(".guards")).collect();
            if name != "before-plan" {
                assert_eq!(found, expected, "{name}");
            }
        }
    }

    #[test]
    fn every_ending_has_its_file() {
        for (name, story) in endings() {
            let file = junit(&story.record());
            // The properties are the same in all; one file shows them.
            let shown = file.lines().filter(|line| name == "fail-limit" || !line.contains("<property "));
            insta::assert_snapshot!(name, shown.collect::<Vec<_>>().join("\n"));
        }
        insta::assert_snapshot!("no-events", junit(&RunRecord::default()));
        insta::assert_snapshot!("started", junit(&Story::started().record()));
    }
}
