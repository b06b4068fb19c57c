//! Text for terminals: a line for every finished step, and the verdict with the part to act on.
//!
//! Colours never carry meaning alone: shapes and words say the same.

use unicode_width::UnicodeWidthStr as _;

use super::blind::blind_lines;
use super::ending::ending;
use super::language::Language;
use super::phrase::Phrase;
use super::plain::plain;
use super::problems::Problems;
use super::verdict::verdict_so_far;
use super::{explain, remark, screened, sentence, value, words};
use kiln_event::{Case, Outcome, RunRecord, Standing, StepKey, Verdict, VerdictWord, standings};
use kiln_limit::Judgement;
use kiln_model::{Component, Moment, Span, format_span};

/// Whether to write terminal colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    Plain,
    Colour,
}

/// Width of the column in which status words are right-aligned: that of the longest word.
const GUTTER: usize = "INCONCLUSIVE".len();

impl Paint {
    /// Chooses colours on a terminal, unless `NO_COLOR` is set and not empty (no-color.org).
    pub fn for_terminal(terminal: bool) -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        if terminal && !refused { Self::Colour } else { Self::Plain }
    }

    /// Paints `text` in the colour of `tone`.
    pub(super) fn paint(self, tone: Tone, text: &str) -> String {
        if self == Self::Plain {
            return text.to_owned();
        }
        format!("\u{1b}[{}m{text}\u{1b}[0m", tone.code())
    }

    /// Lists every escape sequence that painting uses.
    pub(super) fn sequences() -> impl Iterator<Item = String> {
        Tone::ALL.into_iter().map(Tone::code).chain(["0"]).map(|code| format!("\u{1b}[{code}m"))
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

impl Tone {
    const ALL: [Self; 6] = [Self::Good, Self::Bad, Self::Doubt, Self::Trouble, Self::Quiet, Self::Strong];

    /// Returns the SGR code of ECMA-48: 1 bold, 31 red, 32 green, 33 yellow, 35 magenta, 90 grey.
    const fn code(self) -> &'static str {
        match self {
            Self::Good => "32;1",
            Self::Bad => "31;1",
            Self::Doubt => "33;1",
            Self::Trouble => "35;1",
            Self::Quiet => "90",
            Self::Strong => "1",
        }
    }
}

const fn tone_of(outcome: Outcome) -> Tone {
    match outcome {
        Outcome::Pass => Tone::Good,
        Outcome::Fail => Tone::Bad,
        Outcome::Marginal | Outcome::Held | Outcome::Inconclusive | Outcome::Waived => Tone::Doubt,
        Outcome::Error => Tone::Trouble,
        Outcome::Skipped | Outcome::NotReached | Outcome::Aborted => Tone::Quiet,
    }
}

/// Writes the status word, right-aligned, and what follows it. Full-width letters count as two columns.
pub(super) fn gutter(paint: Paint, tone: Tone, word: &str, rest: &str) -> String {
    let padding = " ".repeat(GUTTER.saturating_sub(word.width()));
    format!("{padding}{} {rest}", paint.paint(tone, word))
}

/// `PASS [        1m] burn.gemm  8 parts, nearest to its limit: gpu/3 temp.p95 82.5 °C, limit <= 83 °C`.
pub fn step_line(key: &StepKey, took: Span, cases: &[Case], paint: Paint, language: Language) -> String {
    let worst = cases.iter().map(|case| case.outcome).max().unwrap_or(Outcome::Error);
    let name = step_name(key, language);
    let rest = format!("[{:>10}] {name}  {}", duration(took), step_summary(cases, worst, language));
    gutter(paint, tone_of(worst), words::outcome_phrase(worst).say(language), rest.trim_end())
}

/// Writes the path of a step, with round and attempt unless they are the first.
pub(super) fn step_name(key: &StepKey, language: Language) -> String {
    let told = |number: u32, phrase: Phrase| {
        if number > 1 { phrase.with(language, &[&number]) } else { String::new() }
    };
    format!("{}{}{}", key.path, told(key.round, Phrase::RoundIs), told(key.attempt, Phrase::AttemptIs))
}

/// Lists each result that keeps a run from passing, such as `identify.config gpu/1: ecc.as-asked false, limit == true`.
pub fn unmet_lines(record: &RunRecord, language: Language) -> Vec<String> {
    let against = |standing: &Standing<'_>| {
        matches!(standing.outcome, Outcome::Fail | Outcome::Error | Outcome::Inconclusive | Outcome::Aborted)
    };
    let line = |standing: Standing<'_>| {
        let Standing { step, case, .. } = standing;
        format!("{} {}: {}", step.key.path, case.component, explain::headline_in(language, case))
    };
    standings(record).into_iter().filter(against).map(line).collect()
}

fn step_summary(cases: &[Case], worst: Outcome, language: Language) -> String {
    if matches!(worst, Outcome::Pass | Outcome::Marginal) {
        let count = words::counted(language, cases.len(), Phrase::OnePart, Phrase::Parts);
        return match nearest(cases.iter()) {
            None => count,
            Some((component, judgement)) => {
                let value = value::sentence_in(language, judgement);
                Phrase::NearestToLimit.with(language, &[&count, &component, &value])
            }
        };
    }
    let mut alike = cases.iter().filter(|case| case.outcome == worst);
    let headline = |case: &Case| format!("{} {}", case.component, explain::headline_in(language, case));
    let first = alike.next().map(headline).unwrap_or_default();
    match alike.count() {
        0 => first,
        more => format!("{first} {}", Phrase::AndMore.with(language, &[&more])),
    }
}

/// Finds the value that came nearest to its limit, or went furthest beyond it.
pub(super) fn nearest<'c>(cases: impl Iterator<Item = &'c Case>) -> Option<(Component, &'c Judgement)> {
    let values = cases.flat_map(|case| case.judgements.iter().map(move |one| (case.component, one)));
    let near = values.filter_map(|(component, one)| Some((value::relative_margin(one)?, component, one)));
    near.min_by(|one, two| one.0.total_cmp(&two.0)).map(|(_, component, one)| (component, one))
}

/// Formats a duration: with tenths below ten seconds, with seconds below an hour, and in minutes from then on.
pub(super) fn duration(span: Span) -> String {
    if span < Span::from_secs(10) {
        return format!("{:.1}s", span.as_secs_f64());
    }
    let unit = if span < Span::from_secs(3600) { 1 } else { 60 };
    format_span(Span::from_secs(span.as_secs() / unit * unit))
}

/// Writes the verdict, what it rests on and what to do: the last output of a run.
pub fn verdict_block(record: &RunRecord, paint: Paint, language: Language) -> String {
    let verdict = verdict_so_far(record);
    let mut lines = Vec::new();
    let banner = record.start.as_ref().and_then(|start| words::banner_in(language, &start.source));
    lines.extend(banner.as_ref().map(|banner| paint.paint(Tone::Strong, banner)));
    let word = format!("{} {}", words::shape(&verdict), words::verdict_in(language, &verdict));
    let tone = match verdict.word {
        VerdictWord::Pass if !verdict.marginal && verdict.deviations == 0 => Tone::Good,
        VerdictWord::Fail => Tone::Bad,
        VerdictWord::Pass | VerdictWord::Held | VerdictWord::Inconclusive => Tone::Doubt,
        VerdictWord::Error => Tone::Trouble,
        VerdictWord::Aborted | VerdictWord::Nothing => Tone::Quiet,
    };
    let heading = format!("{}  {}", paint.paint(tone, &word), words::meaning_phrase(&verdict).say(language));
    lines.push(heading.clone());
    if verdict.deviations > 0 {
        lines.push(format!("  {}: {}", Phrase::Deviations.say(language), plain(&words::deviations(record))));
    }
    lines.push(identity(record, language));
    lines.extend(taken_from_elsewhere(record, language));
    lines.push(format!("  {}", counts(&verdict, language)));
    lines.extend(first_lot(record, language).map(|line| format!("  {line}")));
    let blind = record.plan.iter().flat_map(|plan| blind_lines(plan, language));
    lines.extend(blind.map(|line| format!("  {}", plain(&line))));
    lines.extend(screened::sentences(record, language).into_iter().map(|line| format!("  {line}")));
    lines.extend(remark::left_behind(record, language).map(|line| format!("  {line}")));
    lines.extend(Problems { record, paint, language }.lines());
    lines.extend(record.stops().map(|(at, by)| {
        let text = sentence::interruption(language, by);
        format!("  {}", Phrase::StoppedAt.with(language, &[at, &plain(&text)]))
    }));
    if record.boots() > 0 {
        lines.push(format!("  {}", Phrase::BootedBetween.with(language, &[&record.boots()])));
    }
    if record.restarted() > 0 {
        lines.push(format!("  {}", Phrase::RestartedBetween.with(language, &[&record.restarted()])));
    }
    if record.verdict.is_none() {
        lines.push(format!("  {}", Phrase::NotAtEnd.say(language)));
    }
    let banner = banner.map(|banner| paint.paint(Tone::Strong, &banner));
    lines.extend(ending(record, &lines, banner.as_deref(), &heading, paint, language));
    lines.extend(banner);
    lines.join("\n") + "\n"
}

/// Explains that the profile asks for a lot and there is none yet.
pub(super) fn first_lot(record: &RunRecord, language: Language) -> Option<String> {
    let start = record.start.as_deref()?;
    let mut steps = start.profile.stages.iter().flat_map(|stage| &stage.steps);
    let asks = steps.any(|step| !step.lot.is_empty());
    let has = start.lot.as_ref().is_some_and(|lot| !lot.values.is_empty());
    (asks && !has).then(|| Phrase::FirstLot.with(language, &[&kiln_lot::LEAST_UNITS]))
}

fn identity(record: &RunRecord, language: Language) -> String {
    let mut parts = Vec::new();
    if let Some(start) = &record.start {
        let say = |phrase: Phrase, blank: &dyn std::fmt::Display| phrase.with(language, &[blank]);
        parts.push(Phrase::ProfileRevision.with(language, &[&start.profile.id, &start.profile.revision]));
        let node = record.inventory.as_ref().and_then(|inventory| inventory.node.serial.value());
        let serial = start.operation.serial.as_ref().or(node);
        parts.extend(serial.map(|serial| say(Phrase::SerialIs, serial)));
        parts.extend(start.operation.station.iter().map(|station| say(Phrase::StationIs, station)));
        parts.push(say(Phrase::Took, &duration(record.last_at.since(Moment::ZERO))));
        parts.push(say(Phrase::RunIs, &start.run_id));
    }
    format!("  {}", parts.join(", "))
}

/// Lists libraries and folders that were not the usual ones, so that readings may be of other hardware. People must see this
/// beside the verdict.
fn taken_from_elsewhere(record: &RunRecord, language: Language) -> impl Iterator<Item = String> {
    let changed = record.start.iter().filter_map(|start| start.surroundings.as_ref());
    let changed = changed.flat_map(|surroundings| &surroundings.changed);
    changed.map(move |(name, value)| format!("  {}", Phrase::TakenFrom.with(language, &[name, value])))
}

/// `12 passed, 1 failed`.
pub(super) fn counts(verdict: &Verdict, language: Language) -> String {
    let counts = [
        (verdict.passed, Phrase::Passed),
        (verdict.failed, Phrase::Failed),
        (verdict.errors, Phrase::WithErrors),
        (verdict.inconclusive, Phrase::WereInconclusive),
        (verdict.held, Phrase::WereHeld),
        (verdict.waived, Phrase::WereWaived),
        (verdict.skipped, Phrase::NotApplicable),
        (verdict.not_reached, Phrase::WereNotReached),
    ];
    let told = counts.iter().filter(|(n, _)| *n > 0).map(|(n, phrase)| phrase.with(language, &[n]));
    let told: Vec<String> = told.collect();
    if told.is_empty() { Phrase::NoCases.say(language).to_owned() } else { told.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_event::StepRecord;
    use kiln_stories::endings;

    #[test]
    fn every_ending_has_its_block() {
        for (name, story) in endings() {
            insta::assert_snapshot!(name, verdict_block(&story.record(), Paint::Plain, Language::English));
        }
    }

    #[test]
    fn colours_add_nothing_to_the_words() {
        for (name, story) in endings() {
            let record = story.record();
            let coloured = verdict_block(&record, Paint::Colour, Language::English);
            assert!(coloured.contains("\u{1b}["), "{name}");
            assert_eq!(plain(&coloured), verdict_block(&record, Paint::Plain, Language::English), "{name}");
        }
    }

    #[test]
    fn a_simulated_run_says_so_first_and_last() {
        let block = verdict_block(&endings()["simulated"].record(), Paint::Plain, Language::English);
        assert!(block.lines().next().unwrap().starts_with("SIMULATED"));
        assert!(block.lines().last().unwrap().starts_with("SIMULATED"));
    }

    #[test]
    fn every_step_has_its_line() {
        let lines = |name| {
            let record = endings()[name].record();
            let line = |step: &StepRecord| {
                Some(step_line(
                    &step.key,
                    step.finished?.since(step.started),
                    &step.cases,
                    Paint::Plain,
                    Language::English,
                ))
            };
            record.steps.iter().filter_map(line).collect::<Vec<_>>().join("\n")
        };
        let shown = ["fail-limit", "marginal", "unstable", "rounds", "aborted", "nothing"].map(lines);
        insta::assert_snapshot!(shown.join("\n\n"));
    }

    #[test]
    fn the_verdict_is_told_in_japanese() {
        let story = &endings()["fail-limit"];
        insta::assert_snapshot!("fail-limit-ja", verdict_block(&story.record(), Paint::Plain, Language::Japanese));
        for (name, story) in endings() {
            let block = verdict_block(&story.record(), Paint::Plain, Language::Japanese);
            let word = ["合格", "不合格", "判定不能", "中断", "試験エラー", "判定なし"]
                .iter()
                .any(|word| block.contains(word));
            assert!(word, "{name}: {block}");
        }
    }

    #[test]
    fn lines_stand_in_one_column_whatever_the_width_of_their_letters() {
        let key = StepKey { path: "burn.gemm".to_owned(), round: 1, attempt: 1 };
        for outcome in [Outcome::Pass, Outcome::Fail, Outcome::Inconclusive, Outcome::Skipped, Outcome::Aborted] {
            let case = Case { component: Component::Node, outcome, reason: None, judgements: Vec::new() };
            for language in Language::ALL {
                let line = step_line(&key, Span::from_secs(60), std::slice::from_ref(&case), Paint::Plain, language);
                let before = line.split('[').next().unwrap_or_default();
                assert_eq!(before.width(), GUTTER + 1, "{line}");
            }
        }
    }
}
