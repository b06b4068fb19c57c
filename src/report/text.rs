//! What a person reads on a terminal: a line for every finished step, and the verdict with the part to act on.
//!
//! Shapes and words say all that colours say.

use super::plain::plain;
use super::verdict::verdict_so_far;
use super::{explain, row, value, words};
use crate::event::{Case, Finding, Outcome, RunRecord, StepKey, VerdictWord, uncarried_trips};
use crate::limit::Judged;
use crate::model::{Moment, Span, format_span};

/// Whether to write terminal colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    Plain,
    Colour,
}

/// Status words stand right-aligned in a gutter this wide, as the longest is.
const GUTTER: usize = "INCONCLUSIVE".len();

/// Findings and failures shown one by one; the files hold the rest.
const SHOWN: usize = 12;

impl Paint {
    /// Colours on a terminal, unless `NO_COLOR` is set (no-color.org: to anything but nothing).
    pub fn for_terminal(terminal: bool) -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        if terminal && !refused { Self::Colour } else { Self::Plain }
    }

    /// `text` in the colour of how good it is.
    pub(super) fn paint(self, tone: Tone, text: &str) -> String {
        // SGR codes of ECMA-48: 1 bold, 31 red, 32 green, 33 yellow, 35 magenta, 90 grey.
        let code = match tone {
            _ if self == Self::Plain => return text.to_owned(),
            Tone::Good => "32;1",
            Tone::Bad => "31;1",
            Tone::Doubt => "33;1",
            Tone::Trouble => "35;1",
            Tone::Quiet => "90",
            Tone::Strong => "1",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Good,
    Bad,
    Doubt,
    Trouble,
    Quiet,
    Strong,
}

const fn tone_of(outcome: Outcome) -> Tone {
    match outcome {
        Outcome::Pass => Tone::Good,
        Outcome::Fail => Tone::Bad,
        Outcome::Marginal | Outcome::Inconclusive | Outcome::Waived => Tone::Doubt,
        Outcome::Error => Tone::Trouble,
        Outcome::Skipped | Outcome::NotReached | Outcome::Aborted => Tone::Quiet,
    }
}

/// A gutter word and what follows it.
pub(super) fn gutter(paint: Paint, tone: Tone, word: &str, rest: &str) -> String {
    let padding = " ".repeat(GUTTER.saturating_sub(word.chars().count()));
    format!("{padding}{} {rest}", paint.paint(tone, word))
}

/// `PASS [        1m] burn.gemm  8 parts, nearest to its limit: gpu/3 temp.p95 82.5 °C, limit <= 83 °C`.
pub fn step_line(key: &StepKey, took: Span, cases: &[Case], paint: Paint) -> String {
    let worst = cases.iter().map(|case| case.outcome).max().unwrap_or(Outcome::Error);
    let rest = format!("[{:>10}] {}  {}", duration(took), step_name(key), step_summary(cases, worst));
    gutter(paint, tone_of(worst), words::outcome(worst), rest.trim_end())
}

/// The path, with round and attempt where they are not the first.
pub(super) fn step_name(key: &StepKey) -> String {
    let round = if key.round > 1 { format!(" round {}", key.round) } else { String::new() };
    let attempt = if key.attempt > 1 { format!(" attempt {}", key.attempt) } else { String::new() };
    format!("{}{round}{attempt}", key.path)
}

fn step_summary(cases: &[Case], worst: Outcome) -> String {
    if matches!(worst, Outcome::Pass | Outcome::Marginal) {
        let count = words::count(cases.len(), "part");
        let values = cases.iter().flat_map(|case| case.judgements.iter().map(move |one| (case, one)));
        let near = values.filter_map(|(case, one)| Some((value::relative_margin(one)?, case, one)));
        return match near.min_by(|one, two| one.0.total_cmp(&two.0)) {
            None => count,
            Some((_, case, judgement)) => {
                format!("{count}, nearest to its limit: {} {}", case.component, value::sentence(judgement))
            }
        };
    }
    let mut alike = cases.iter().filter(|case| case.outcome == worst);
    let first = alike.next().map(|case| format!("{} {}", case.component, explain::headline(case))).unwrap_or_default();
    match alike.count() {
        0 => first,
        more => format!("{first} (and {more} more)"),
    }
}

/// Below an hour with seconds, from then on with minutes; below ten seconds with tenths.
pub(super) fn duration(span: Span) -> String {
    if span < Span::from_secs(10) {
        return format!("{:.1}s", span.as_secs_f64());
    }
    let unit = if span < Span::from_secs(3600) { 1 } else { 60 };
    format_span(Span::from_secs(span.as_secs() / unit * unit))
}

/// The verdict, what it rests on and what to do: the last thing a run says.
pub fn verdict_block(record: &RunRecord, paint: Paint) -> String {
    let verdict = verdict_so_far(record);
    let mut lines = Vec::new();
    let banner = record.start.as_ref().and_then(|start| words::banner(&start.source));
    lines.extend(banner.as_ref().map(|banner| paint.paint(Tone::Strong, banner)));
    let word = format!("{} {}", words::shape(&verdict), words::verdict(&verdict));
    let tone = match verdict.word {
        VerdictWord::Pass if !verdict.marginal => Tone::Good,
        VerdictWord::Fail => Tone::Bad,
        VerdictWord::Pass | VerdictWord::Inconclusive => Tone::Doubt,
        VerdictWord::Error => Tone::Trouble,
        VerdictWord::Aborted | VerdictWord::Nothing => Tone::Quiet,
    };
    lines.push(format!("{}  {}", paint.paint(tone, &word), words::meaning(&verdict)));
    lines.push(identity(record));
    lines.push(format!("  {}", counts(record)));
    lines.extend(problems(record, paint));
    lines.extend(
        record
            .interruptions
            .iter()
            .skip(record.settled)
            .map(|(at, by)| format!("  stopped at {at}: {}", plain(&words::interruption(by)))),
    );
    if record.verdict.is_none() {
        lines.push("  the run has not come to its end; `kiln resume` takes it up".to_owned());
    }
    lines.extend(banner.map(|banner| paint.paint(Tone::Strong, &banner)));
    lines.join("\n") + "\n"
}

fn identity(record: &RunRecord) -> String {
    let mut parts = Vec::new();
    if let Some(start) = &record.start {
        parts.push(format!("profile {} revision {}", start.profile.id, start.profile.revision));
        let node = record.inventory.as_ref().and_then(|inventory| inventory.node.serial.value());
        let serial = start.operation.serial.as_ref().or(node);
        parts.extend(serial.map(|serial| format!("serial {serial}")));
        parts.extend(start.operation.station.iter().map(|station| format!("station {station}")));
        parts.push(format!("took {}", duration(record.last_at.since(Moment::ZERO))));
        parts.push(format!("run {}", start.run_id));
    }
    format!("  {}", parts.join(", "))
}

fn counts(record: &RunRecord) -> String {
    let verdict = verdict_so_far(record);
    let counts = [
        (verdict.passed, "passed"),
        (verdict.failed, "failed"),
        (verdict.errors, "with errors"),
        (verdict.inconclusive, "inconclusive"),
        (verdict.waived, "waived"),
        (verdict.skipped, "not applicable"),
        (verdict.not_reached, "not reached"),
    ];
    let told: Vec<String> = counts.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}")).collect();
    if told.is_empty() { "no cases".to_owned() } else { told.join(", ") }
}

/// Findings first, then what failed or has no result and no finding explains.
fn problems(record: &RunRecord, paint: Paint) -> Vec<String> {
    let mut blocks: Vec<Vec<String>> = record.findings.iter().map(|one| finding(record, one, paint)).collect();
    for (_, trip) in uncarried_trips(record) {
        if !explained(record, &trip.guard, trip.component) {
            let place = explain::place(record.inventory.as_deref(), trip.component);
            blocks.push(vec![
                heading(&place, &trip.code, paint),
                format!("    guard     {}: {}", trip.guard, plain(&trip.text)),
            ]);
        }
    }
    for row in row::rows(record) {
        let path = format!("{}.{}", row.stage, row.step);
        match row.state {
            row::RowState::Judged(standing) if speaks(standing.outcome) => {
                if !explained(record, &path, row.component) {
                    let place = explain::place(record.inventory.as_deref(), row.component);
                    let mut lines = vec![heading(&place, words::outcome(standing.outcome), paint)];
                    lines.extend(measured(&path, standing.case));
                    if standing.outcome != standing.case.outcome {
                        lines.push(format!("    because   {}", explain::UNSTABLE));
                    }
                    blocks.push(lines);
                }
            }
            row::RowState::Cut => {
                let place = explain::place(record.inventory.as_deref(), row.component);
                blocks.push(vec![heading(&place, "CUT SHORT", paint), format!("    step      {path} was running")]);
            }
            row::RowState::Judged(_) | row::RowState::Unstarted(_) => {}
        }
    }
    let more = blocks.len().saturating_sub(SHOWN);
    let mut lines: Vec<String> =
        blocks.into_iter().take(SHOWN).flat_map(|block| [vec![String::new()], block].concat()).collect();
    if more > 0 {
        lines.extend([String::new(), format!("  and {more} more; all are in result.json and junit.xml")]);
    }
    if !lines.is_empty() {
        lines.push(String::new());
    }
    lines
}

const fn speaks(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Fail | Outcome::Error | Outcome::Inconclusive)
}

fn explained(record: &RunRecord, from: &str, component: crate::model::Component) -> bool {
    !explain::findings(record, from, component).is_empty()
}

fn heading(place: &str, word: &str, paint: Paint) -> String {
    format!("  {}  {word}", paint.paint(Tone::Strong, place))
}

fn finding(record: &RunRecord, finding: &Finding, paint: Paint) -> Vec<String> {
    let place = explain::place(record.inventory.as_deref(), finding.component);
    let mut lines = vec![heading(&place, &finding.code, paint)];
    if finding.suspects.len() > 1 {
        let suspects: Vec<String> =
            finding.suspects.iter().map(|one| explain::place(record.inventory.as_deref(), *one)).collect();
        lines.push(format!("    ambiguous any of {}", suspects.join(" | ")));
    }
    for evidence in &finding.evidence {
        lines.push(format!("    measured  {} on {}: {}", evidence.from, evidence.component, plain(&evidence.text)));
    }
    lines.push(format!("    cause     {} (confidence {})", finding.cause.en, words::confidence(finding.confidence)));
    lines.push(format!("    do        {}", paint.paint(Tone::Strong, words::action(finding.action))));
    lines
}

/// The values that speak against the component; the reason where there are none.
fn measured(path: &str, case: &Case) -> Vec<String> {
    let against = |judged: &Judged| matches!(judged, Judged::Fail | Judged::Unjudged(_));
    let values = case.judgements.iter().filter(|one| one.limit.is_some() && against(&one.outcome));
    let mut lines: Vec<String> =
        values.map(|one| format!("    measured  {path}: {}", plain(&value::sentence(one)))).collect();
    if lines.is_empty() {
        lines.push(format!("    step      {path}: {}", explain::headline(case)));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::StepRecord;
    use crate::event::invented::endings;

    #[test]
    fn every_ending_has_its_block() {
        for (name, story) in endings() {
            insta::assert_snapshot!(name, verdict_block(&story.record(), Paint::Plain));
        }
    }

    #[test]
    fn colours_add_nothing_to_the_words() {
        for (name, story) in endings() {
            let record = story.record();
            let coloured = verdict_block(&record, Paint::Colour);
            assert!(coloured.contains("\u{1b}["), "{name}");
            assert_eq!(plain(&coloured), verdict_block(&record, Paint::Plain), "{name}");
        }
    }

    #[test]
    fn a_simulated_run_says_so_first_and_last() {
        let block = verdict_block(&endings()["simulated"].record(), Paint::Plain);
        assert!(block.lines().next().unwrap().starts_with("SIMULATED"));
        assert!(block.lines().last().unwrap().starts_with("SIMULATED"));
    }

    #[test]
    fn every_step_has_its_line() {
        let lines = |name| {
            let record = endings()[name].record();
            let line = |step: &StepRecord| {
                Some(step_line(&step.key, step.finished?.since(step.started), &step.cases, Paint::Plain))
            };
            record.steps.iter().filter_map(line).collect::<Vec<_>>().join("\n")
        };
        let shown = ["fail-limit", "marginal", "unstable", "rounds", "aborted", "nothing"].map(lines);
        insta::assert_snapshot!(shown.join("\n\n"));
    }
}
