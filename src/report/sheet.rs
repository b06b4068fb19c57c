//! One measurement a row, as CSV (RFC 4180) and as JSON lines, for shop-floor systems and spreadsheets.
//!
//! The columns are an API: they keep their names and order, new ones come at the end. A result without any value has a row
//! of its own, so that what was not measured is not missed.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

use super::language::Language;
use super::plain::plain;
use super::sentence;
use super::value;
use super::verdict::verdict_so_far;
use super::words;
use kiln_event::{Case, NodeSource, Outcome, RunRecord, StepRecord, VerdictWord};
use kiln_limit::{Judged, Judgement, Measured, Scalar};
use kiln_model::{Component, Inventory};

/// What stands in one place.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
enum Cell<'a> {
    Empty,
    Text(Cow<'a, str>),
    /// Finite.
    Number(f64),
    Count(u64),
    Flag(bool),
}

impl<'a> Cell<'a> {
    fn text(text: impl Into<Cow<'a, str>>) -> Self {
        let text: Cow<'a, str> = text.into();
        match plain(&text) {
            Cow::Borrowed(_) => Self::Text(text),
            Cow::Owned(clean) => Self::Text(Cow::Owned(clean)),
        }
    }

    fn maybe(text: Option<impl Into<Cow<'a, str>>>) -> Self {
        text.map_or(Self::Empty, Self::text)
    }

    fn number(number: Option<f64>) -> Self {
        number.filter(|number| number.is_finite()).map_or(Self::Empty, Self::Number)
    }
}

/// All that one row is read off.
struct Line<'a> {
    run: &'a Run<'a>,
    step: &'a StepRecord,
    last: bool,
    case: &'a Case,
    judgement: Option<&'a Judgement>,
}

/// What is the same in every row.
struct Run<'a> {
    record: &'a RunRecord,
    verdict: VerdictWord,
    /// Check of every planned path.
    checks: BTreeMap<&'a str, &'a str>,
}

/// How a column is read off a line.
type Read = for<'a> fn(&Line<'a>) -> Cell<'a>;

/// Name and content of every column. `docs/outputs.md` explains each.
const COLUMNS: &[(&str, Read)] = &[
    ("run_id", |line| Cell::maybe(line.start().map(|start| start.run_id.as_str()))),
    ("source", |line| Cell::maybe(line.start().map(|start| source(&start.source)))),
    ("kind", |line| Cell::maybe(line.start().map(|start| start.kind.word()))),
    ("run_verdict", |line| Cell::text(line.run.verdict.shown())),
    ("unit_serial", |line| Cell::maybe(line.unit())),
    ("station", |line| Cell::maybe(line.start().and_then(|start| start.operation.station.as_deref()))),
    ("operator", |line| Cell::maybe(line.start().and_then(|start| start.operation.operator.as_deref()))),
    ("order", |line| Cell::maybe(line.start().and_then(|start| start.operation.order.as_deref()))),
    ("profile", |line| Cell::maybe(line.start().map(|start| start.profile.id.as_str()))),
    ("profile_revision", |line| line.start().map_or(Cell::Empty, |start| Cell::Count(start.profile.revision.into()))),
    ("profile_digest", |line| Cell::maybe(line.start().map(|start| start.profile_digest.as_str()))),
    ("tool_version", |line| Cell::maybe(line.start().map(|start| start.tool.version.as_str()))),
    ("step", |line| Cell::text(line.step.key.path.as_str())),
    ("check", |line| Cell::maybe(line.run.checks.get(line.step.key.path.as_str()).copied())),
    ("round", |line| Cell::Count(line.step.key.round.into())),
    ("attempt", |line| Cell::Count(line.step.key.attempt.into())),
    ("last_attempt", |line| Cell::Flag(line.last)),
    ("started", |line| Cell::text(line.step.started_wall.to_string())),
    ("ended", |line| Cell::maybe(line.ended())),
    ("tested", |line| Cell::text(line.case.component.to_string())),
    ("result", |line| Cell::text(outcome(line.case.outcome))),
    ("reason", |line| Cell::maybe(line.case.reason.as_ref().map(|reason| reason.kind().word()))),
    ("reason_text", |line| {
        Cell::maybe(line.case.reason.as_ref().map(|reason| sentence::reason(Language::English, reason)))
    }),
    ("component", |line| Cell::text(line.component().to_string())),
    ("slot", |line| Cell::maybe(line.slot())),
    ("serial", |line| Cell::maybe(line.inventory().and_then(|inventory| inventory.serial(line.component())))),
    ("measurement", |line| Cell::maybe(line.judgement.map(|judgement| judgement.measurement.name.as_str()))),
    ("value", |line| line.judgement.map_or(Cell::Empty, measured)),
    ("unit", |line| Cell::maybe(line.judgement.and_then(unit))),
    ("samples", |line| line.judgement.map_or(Cell::Empty, |judgement| Cell::Count(judgement.measurement.samples))),
    ("limit", |line| Cell::maybe(line.judgement.and_then(|judgement| judgement.limit.as_deref()))),
    ("low", |line| Cell::number(line.judgement.and_then(|judgement| judgement.range.low))),
    ("high", |line| Cell::number(line.judgement.and_then(|judgement| judgement.range.high))),
    ("margin", |line| Cell::number(line.judgement.and_then(value::margin))),
    ("verdict", |line| Cell::maybe(line.judgement.map(judged))),
    ("why_not", |line| Cell::maybe(line.judgement.and_then(why_not))),
    ("decisive", |line| line.judgement.map_or(Cell::Empty, |judgement| Cell::Flag(judgement.decisive))),
    ("code", |line| Cell::maybe(line.judgement.and_then(|judgement| judgement.code.as_deref()))),
    ("waiver", |line| Cell::maybe(line.judgement.and_then(waiver))),
    ("deviations", |line| Cell::text(words::deviations(line.run.record))),
    ("value_num", |line| line.judgement.map_or(Cell::Empty, number)),
    ("parts_digest", |line| {
        Cell::maybe(line.start().and_then(|start| start.parts.as_ref()).map(|parts| parts.digest.as_str()))
    }),
];

impl<'a> Line<'a> {
    fn start(&self) -> Option<&'a kiln_event::RunStart> {
        self.run.record.start.as_deref()
    }

    fn inventory(&self) -> Option<&'a Inventory> {
        self.run.record.inventory.as_deref()
    }

    fn component(&self) -> Component {
        self.judgement.map_or(self.case.component, |judgement| judgement.measurement.component)
    }

    /// What was scanned, or else what the node says.
    fn unit(&self) -> Option<&'a str> {
        let scanned = self.start().and_then(|start| start.operation.serial.as_deref());
        scanned.or_else(|| self.inventory()?.node.serial.value().map(String::as_str))
    }

    fn slot(&self) -> Option<&'a str> {
        let gpu = self.inventory()?.gpu(self.component().gpu_index()?)?;
        gpu.identity.slot.value().map(String::as_str)
    }

    /// By the run's own count from the start of the step, which no change of the wall clock moves.
    fn ended(&self) -> Option<String> {
        let finished = self.step.finished?;
        Some((self.step.started_wall + finished.since(self.step.started)).to_string())
    }
}

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(COLUMNS.len()))?;
        for (name, cell) in COLUMNS {
            map.serialize_entry(name, &cell(self))?;
        }
        map.end()
    }
}

/// Every measurement of a run as CSV: UTF-8, a header, lines that end in CR LF, numbers as in JSON.
pub fn csv(record: &RunRecord) -> String {
    let names: Vec<&str> = COLUMNS.iter().map(|(name, _)| *name).collect();
    let mut text = names.join(",");
    text.push_str("\r\n");
    each_line(record, |line| {
        for (number, (_, cell)) in COLUMNS.iter().enumerate() {
            if number > 0 {
                text.push(',');
            }
            csv_cell(&mut text, &cell(line));
        }
        text.push_str("\r\n");
    });
    text
}

/// Every measurement of a run as JSON, one object a line.
pub fn json_rows(record: &RunRecord) -> String {
    let mut text = String::new();
    each_line(record, |line| {
        text.push_str(&serde_json::to_string(line).expect("every key is a string"));
        text.push('\n');
    });
    text
}

/// What a spreadsheet takes for the beginning of a formula, which may call programs or fetch pages (OWASP, "CSV Injection").
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];
/// Before such a text it is shown as text; numbers are numbers and need none.
const GUARD: &str = "'";
/// Says that a text is UTF-8: without it Excel reads by the locale of the machine, in Japan as `Shift_JIS`.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// The same as [`csv()`] for Excel: it begins with a byte order mark.
pub fn csv_for_excel(record: &RunRecord) -> String {
    let mut text = String::from(BYTE_ORDER_MARK);
    text.push_str(&csv(record));
    text
}

fn csv_cell(text: &mut String, cell: &Cell<'_>) {
    let written = match cell {
        Cell::Empty => Ok(()),
        // The shortest digits that read back as the same number; a point, no exponent, whatever the locale.
        Cell::Number(number) => write!(text, "{number}"),
        Cell::Count(number) => write!(text, "{number}"),
        Cell::Flag(flag) => write!(text, "{flag}"),
        Cell::Text(words) => {
            let guard = if words.starts_with(FORMULA) { GUARD } else { "" };
            if words.contains([',', '"', '\r', '\n']) {
                write!(text, "\"{guard}{}\"", words.replace('"', "\"\""))
            } else {
                write!(text, "{guard}{words}")
            }
        }
    };
    written.expect("memory takes every letter");
}

fn each_line(record: &RunRecord, mut take: impl FnMut(&Line<'_>)) {
    let planned = record.plan.as_deref().into_iter().flat_map(kiln_plan::Plan::steps);
    let checks = planned.map(|step| (step.path.as_str(), step.step.check.as_str())).collect();
    let run = Run { record, verdict: verdict_so_far(record).word, checks };
    let decisive = record.decisive();
    for (index, step) in record.steps.iter().enumerate() {
        let last = decisive.contains(&index);
        for case in &step.cases {
            let line = |judgement| Line { run: &run, step, last, case, judgement };
            if case.judgements.is_empty() {
                take(&line(None));
            }
            case.judgements.iter().for_each(|judgement| take(&line(Some(judgement))));
        }
    }
}

const fn source(source: &NodeSource) -> &'static str {
    match source {
        NodeSource::Hardware => "hardware",
        NodeSource::Simulated { .. } | NodeSource::StandIn { .. } => "simulated",
        NodeSource::Replayed { .. } => "replayed",
    }
}

const fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "pass",
        Outcome::Marginal => "marginal",
        Outcome::Waived => "waived",
        Outcome::Skipped => "skipped",
        Outcome::NotReached => "not-reached",
        Outcome::Held => "held",
        Outcome::Inconclusive => "inconclusive",
        Outcome::Aborted => "aborted",
        Outcome::Error => "error",
        Outcome::Fail => "fail",
    }
}

fn measured(judgement: &Judgement) -> Cell<'_> {
    match &judgement.measurement.value {
        Measured::Value(Scalar::Number(number)) => Cell::number(Some(*number)),
        Measured::Value(Scalar::Text(text)) => Cell::text(text.as_str()),
        Measured::Value(Scalar::Flag(flag)) => Cell::Flag(*flag),
        Measured::Unsupported | Measured::Missing(_) => Cell::Empty,
    }
}

/// The value where it is a number: a column of one type for programs that want one.
fn number(judgement: &Judgement) -> Cell<'_> {
    match &judgement.measurement.value {
        Measured::Value(Scalar::Number(number)) => Cell::number(Some(*number)),
        Measured::Value(Scalar::Text(_) | Scalar::Flag(_)) | Measured::Unsupported | Measured::Missing(_) => {
            Cell::Empty
        }
    }
}

/// Words and flags have none.
fn unit(judgement: &Judgement) -> Option<&'static str> {
    let words = matches!(judgement.measurement.value, Measured::Value(Scalar::Text(_) | Scalar::Flag(_)));
    (!words).then(|| judgement.measurement.unit.symbol())
}

fn judged(judgement: &Judgement) -> &'static str {
    match &judgement.outcome {
        Judged::Outlier => "outlier",
        _ if judgement.limit.is_none() => "told",
        Judged::Pass => "pass",
        Judged::Marginal => "marginal",
        Judged::Fail => "fail",
        Judged::Unjudged(_) => "unjudged",
    }
}

fn waiver(judgement: &Judgement) -> Option<String> {
    judgement.waiver.as_ref().map(|waiver| sentence::waiver(Language::English, waiver))
}

/// Why there is no value, or no judgement of it.
fn why_not(judgement: &Judgement) -> Option<Cow<'_, str>> {
    match (&judgement.measurement.value, &judgement.outcome) {
        (Measured::Missing(why), _) => Some(Cow::Owned(sentence::missing(Language::English, why))),
        (Measured::Unsupported, _) => Some(Cow::Borrowed("not supported by the part")),
        (Measured::Value(_), Judged::Unjudged(why)) if judgement.limit.is_some() => {
            Some(Cow::Owned(value::why_unjudged(why)))
        }
        (Measured::Value(_), _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_event::{Reason, RunEvent};
    use kiln_stories::{Story, endings};

    #[test]
    fn every_value_of_a_run_has_its_row() {
        insta::assert_snapshot!("csv", csv(&endings()["fail-limit"].record()).replace('\r', "␍"));
        insta::assert_snapshot!("rows", json_rows(&endings()["fail-limit"].record()));
    }

    #[test]
    fn what_was_not_measured_and_what_was_not_reached_have_theirs() {
        let rows = |name: &str| {
            let mut story = endings()[name].clone();
            story.events.retain(
                |envelope| matches!(&envelope.event, RunEvent::StepFinished { key, .. } if key.path == "burn.soak"),
            );
            csv(&story.record()).replace('\r', "␍")
        };
        insta::assert_snapshot!("error", rows("error"));
        insta::assert_snapshot!("guard", rows("guard"));
    }

    /// Reads CSV as RFC 4180 has it.
    fn parsed(text: &str) -> Vec<Vec<String>> {
        let (mut rows, mut row, mut cell, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
        let mut rest = text.chars().peekable();
        while let Some(letter) = rest.next() {
            match letter {
                '"' if quoted && rest.next_if_eq(&'"').is_some() => cell.push('"'),
                '"' => quoted = !quoted,
                ',' if !quoted => row.push(std::mem::take(&mut cell)),
                '\r' if !quoted => {
                    assert_eq!(rest.next(), Some('\n'), "CR stands before LF alone");
                    row.push(std::mem::take(&mut cell));
                    rows.push(std::mem::take(&mut row));
                }
                '\n' if !quoted => panic!("a bare LF ends no line"),
                other => cell.push(other),
            }
        }
        assert!(row.is_empty() && cell.is_empty() && !quoted, "the text ends with a line");
        rows
    }

    #[test]
    fn both_forms_say_the_same_of_every_ending() {
        for (name, story) in endings() {
            let record = story.record();
            let rows = parsed(&csv(&record));
            let objects: Vec<serde_json::Map<String, serde_json::Value>> =
                json_rows(&record).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
            assert_eq!(rows.len(), objects.len() + 1, "{name}");
            for (row, object) in rows[1..].iter().zip(&objects) {
                for (column, cell) in rows[0].iter().zip(row) {
                    let same = match &object[column] {
                        serde_json::Value::Null => cell.is_empty(),
                        serde_json::Value::String(text) => cell.strip_prefix(GUARD).unwrap_or(cell) == text,
                        serde_json::Value::Number(number) => cell.parse().ok() == number.as_f64(),
                        serde_json::Value::Bool(flag) => cell.parse().ok() == Some(*flag),
                        _ => false,
                    };
                    assert!(same, "{name}, {column}: {cell} is not {}", object[column]);
                }
                assert_eq!(row.len(), rows[0].len(), "{name}");
            }
        }
    }

    #[test]
    fn hostile_texts_stay_in_their_cell() {
        let mut story = endings()["pass"].cut_in("identify.inventory");
        let text = "a,\"b\"\r\nc\u{1b}[31m;=1+1";
        let reason = Some(Reason::Probe { said: kiln_model::Unanswered::Words(text.to_owned()) });
        let case = Case { component: Component::Node, outcome: Outcome::Error, reason, judgements: Vec::new() };
        let ended = RunEvent::StepFinished { key: Story::key("burn.gemm"), cases: vec![case], ending: None };
        let text = csv(&story.tell(1.0, ended).record());
        let rows = parsed(&text);
        let column = rows[0].iter().position(|name| name == "reason_text").expect("a column");
        assert_eq!(rows[1][column], "a,\"b\"\nc;=1+1");
    }
}
