//! Test suites and cases of a run, for both dialects.
//!
//! Names are the same for every unit: no serials, no rounds, no attempts; those stand in properties and texts. The file
//! is green exactly where the verdict is PASS; a record of a run that was cut short gives a valid file too.

use crate::language::Language;
use crate::properties::properties;
use crate::row::{Row, RowState, rows};
use crate::verdict::verdict_so_far;
use crate::{explain, sentence, value, words};
use kiln_event::{
    Case, Ground, GuardTrip, Interruption, NodeSource, Outcome, ReasonKind, RunRecord, StepRecord, Verdict,
    VerdictWord, uncarried_trips,
};
use kiln_model::{Component, Moment, Span, WallTime};
use kiln_plan::Readiness;
use kiln_profile::GuardResult;

/// All suites of a run, with what stands above them.
pub(super) struct Report<'a> {
    pub(super) record: &'a RunRecord,
    pub(super) profile: &'a str,
    pub(super) properties: Vec<(String, String)>,
    pub(super) suites: Vec<Suite>,
}

/// A stage.
pub(super) struct Suite {
    pub(super) name: String,
    pub(super) started: Option<WallTime>,
    pub(super) elapsed: Span,
    pub(super) cases: Vec<TestCase>,
}

/// A step on a component.
pub(super) struct TestCase {
    pub(super) name: String,
    pub(super) started: Option<WallTime>,
    pub(super) elapsed: Span,
    pub(super) result: TestResult,
    /// Attempts before the last.
    pub(super) earlier: Vec<Earlier>,
    /// What a case without failure or error says.
    pub(super) output: String,
    pub(super) properties: Vec<(String, String)>,
    /// Whether it stands for the run as a whole.
    pub(super) whole: bool,
}

/// An attempt that was followed by another.
pub(super) struct Earlier {
    /// Beside a pass; else beside a failure.
    pub(super) flaky: bool,
    /// By proof; else by trouble of the test.
    pub(super) failed: bool,
    pub(super) kind: String,
    pub(super) message: String,
    pub(super) text: String,
}

pub(super) enum TestResult {
    Passed,
    Skipped { message: String },
    Failure { kind: String, message: String, text: String },
    Error { kind: String, message: String, text: String },
}

impl TestCase {
    fn new(name: String, result: TestResult) -> Self {
        let (earlier, properties) = (Vec::new(), Vec::new());
        let (elapsed, output) = (Span::ZERO, String::new());
        Self { name, started: None, elapsed, result, earlier, output, properties, whole: false }
    }
}

impl<'a> Report<'a> {
    pub(super) fn of(record: &'a RunRecord) -> Self {
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
    pub(super) fn title(&self) -> String {
        match self.record.start.as_ref().map(|start| &start.source) {
            Some(NodeSource::Simulated { .. } | NodeSource::StandIn { .. }) => format!("SIMULATED {}", self.profile),
            Some(NodeSource::Replayed { .. }) => format!("REPLAYED {}", self.profile),
            Some(NodeSource::Hardware) | None => self.profile.to_owned(),
        }
    }

    fn add(&mut self, row: &Row<'_>) {
        let path = format!("{}.{}", row.stage, row.step);
        let steps = self.record.steps.iter().filter(|step| step.key.path == path);
        let started = steps.map(|step| step.started_wall).next();
        let case = TestCase { started, ..self.case(row) };
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
        let mut case = TestCase::new(format!("{}[{}]", row.step, row.component), result);
        case.properties = case_properties(self.record, row);
        TestCase { elapsed: row.elapsed, earlier, output, ..case }
    }

    fn judged(&self, outcome: Outcome, case: &Case, text: String) -> TestResult {
        let message = explain::headline(case);
        match outcome {
            Outcome::Pass | Outcome::Marginal => TestResult::Passed,
            Outcome::Waived => TestResult::Skipped { message: Self::waived(case) },
            Outcome::Skipped => TestResult::Skipped { message: format!("not applicable: {message}") },
            Outcome::NotReached => {
                let reason = case.reason.as_ref().filter(|_| !explain::is_aborted(self.record));
                let why = reason
                    .map_or_else(|| explain::end(self.record), |reason| sentence::reason(Language::English, reason));
                TestResult::Skipped { message: format!("not reached: {why}") }
            }
            Outcome::Fail => TestResult::Failure { kind: failure_kind(case).to_owned(), message, text },
            // The schema has two colours of red; an outlier is no failure that was proven.
            Outcome::Held => TestResult::Error { kind: "held".to_owned(), message, text },
            Outcome::Inconclusive => TestResult::Error { kind: "inconclusive".to_owned(), message, text },
            Outcome::Aborted => TestResult::Error { kind: "aborted".to_owned(), message, text },
            Outcome::Error => TestResult::Error { kind: error_kind(case), message, text },
        }
    }

    fn waived(case: &Case) -> String {
        let waived = case.judgements.iter().filter_map(|one| Some((one.waiver.as_ref()?, one)));
        let told = waived.map(|(waiver, judgement)| {
            format!("{}; {}", sentence::waiver(Language::English, waiver), value::sentence(judgement))
        });
        format!("waived: {}", told.collect::<Vec<_>>().join("; "))
    }

    fn unstarted(&self, readiness: &Readiness) -> String {
        match readiness {
            Readiness::Skip(why) => format!("not applicable: {}", sentence::unmet(Language::English, why)),
            Readiness::Deselected => "not reached: left out by --only".to_owned(),
            Readiness::Ready | Readiness::Unmet(_) => format!("not reached: {}", explain::end(self.record)),
        }
    }

    fn guard(&self, trip: &GuardTrip) -> TestCase {
        let place = explain::place(self.record.inventory.as_deref(), trip.component);
        let cause = sentence::trip_cause(Language::English, &trip.cause);
        let mut text = vec![place, format!("{}: {cause}", trip.code)];
        for finding in explain::findings(self.record, &trip.guard, trip.component) {
            text.extend(explain::finding(finding));
        }
        let (message, text) = (cause, text.join("\n"));
        let result = match trip.result {
            GuardResult::Fail => TestResult::Failure { kind: "event".to_owned(), message, text },
            GuardResult::Inconclusive => TestResult::Error { kind: "inconclusive".to_owned(), message, text },
        };
        let name = format!("{}[{}]", trip.guard, trip.component);
        let mut case = TestCase::new(name, result);
        case.properties = place_properties(self.record, trip.component);
        case
    }

    /// Whether the run came to its end and judged what it should: red where no other case would say why the verdict is
    /// no PASS.
    fn completion(&self, verdict: &Verdict) -> TestCase {
        let interruption = self.record.stops().next_back();
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
        let mut output = format!("{}: {}", words::verdict(verdict), words::meaning(verdict));
        if verdict.deviations > 0 {
            output.push('\n');
            output.push_str(&words::deviations(self.record));
        }
        let case = TestCase::new("completed[node]".to_owned(), result);
        TestCase { started: self.record.started_wall, elapsed, output, whole: true, ..case }
    }
}

/// Where it is and which part sits there: what changes from unit to unit and has no place in the name.
fn place_properties(record: &RunRecord, component: Component) -> Vec<(String, String)> {
    let mut all = vec![("component".to_owned(), component.to_string())];
    let Some(inventory) = &record.inventory else { return all };
    let gpu = component.gpu_index().and_then(|index| inventory.gpu(index));
    let mut add = |name: &str, value: Option<&str>| {
        all.extend(value.map(|value| (name.to_owned(), value.to_owned())));
    };
    add("slot", gpu.and_then(|gpu| gpu.identity.slot.value()).map(String::as_str));
    add("serial", inventory.serial(component));
    add("pci", gpu.and_then(|gpu| gpu.identity.pci_address.value()).map(String::as_str));
    all
}

/// The result in words, and every value with its limit.
fn case_properties(record: &RunRecord, row: &Row<'_>) -> Vec<(String, String)> {
    let mut all = place_properties(record, row.component);
    let RowState::Judged(standing) = row.state else { return all };
    all.push(("outcome".to_owned(), words::outcome(standing.outcome).to_owned()));
    all.push(("round".to_owned(), standing.step.key.round.to_string()));
    all.push(("attempt".to_owned(), standing.step.key.attempt.to_string()));
    for judgement in &standing.case.judgements {
        let measurement = &judgement.measurement;
        // A node's step measures its GPUs too: the name alone would stand there eight times.
        let of =
            if measurement.component == row.component { String::new() } else { format!("[{}]", measurement.component) };
        let sentence = value::sentence(judgement);
        // The name of the property says it already.
        let sentence = sentence.strip_prefix(&measurement.name).unwrap_or(&sentence).trim_start();
        let text = format!("{sentence}: {}", value::judged(judgement));
        all.push((format!("measurement.{}{of}", measurement.name), text));
    }
    all
}

fn earlier(step: &StepRecord, case: &Case, flaky: bool) -> Earlier {
    let failed = case.outcome == Outcome::Fail;
    let kind = if failed { failure_kind(case).to_owned() } else { error_kind(case) };
    let round = if step.key.round > 1 { format!(" of round {}", step.key.round) } else { String::new() };
    let message = format!("attempt {}{round}: {}", step.key.attempt, explain::headline(case));
    let mut text: Vec<String> = case.reason.iter().map(explain::reason).collect();
    text.extend(case.judgements.iter().map(|one| format!("{}: {}", value::sentence(one), value::judged(one))));
    Earlier { flaky, failed, kind, message, text: text.join("\n") }
}

/// What proves the fail: a value, a wrong result, or something that happened.
fn failure_kind(case: &Case) -> &'static str {
    match case.reason.as_ref().map_or(Ground::Value, |reason| reason.kind().ground()) {
        Ground::Mismatch => "mismatch",
        Ground::Guard | Ground::Lost => "event",
        Ground::Value | Ground::Ending => "limit",
    }
}

fn error_kind(case: &Case) -> String {
    match &case.reason {
        _ if case.outcome == Outcome::Held => "held".to_owned(),
        _ if case.outcome == Outcome::Inconclusive => "inconclusive".to_owned(),
        _ if case.outcome == Outcome::Aborted => "aborted".to_owned(),
        Some(reason) if reason.kind() == ReasonKind::Timeout => "timeout".to_owned(),
        Some(reason) => format!("error.{}", reason.kind().word()),
        None => "error".to_owned(),
    }
}
