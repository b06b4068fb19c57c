//! Every measurement of every step: value, limit, margin, and how it lies among its peers.
//!
//! Of a step that ran in several rounds the worst is shown for each part, as everywhere.

use super::super::language::Language;
use super::super::phrase::Phrase;
use super::super::plain::plain;
use super::super::row::{Row, RowState};
use super::super::text::{duration, nearest};
use super::super::{explain, sentence, value, words};
use super::page::{Page, escaped};
use super::summary::tone;
use super::svg::short;
use super::timeline::LINES_MAX;
use kiln_event::{Case, Outcome, RunRecord};
use kiln_limit::{Judged, Judgement, Measured};
use kiln_model::{Component, GpuIndex, Text};
use kiln_plan::Readiness;

/// Values of one measurement that are still listed one by one; a matrix shows more.
const LISTED: usize = 300;

/// All steps, by stage.
pub(super) fn steps(page: &mut Page, record: &RunRecord, rows: &[Row<'_>]) {
    let gpus: Vec<GpuIndex> =
        record.inventory.iter().flat_map(|inventory| &inventory.gpus).map(|gpu| gpu.index).collect();
    for stage in rows.chunk_by(|one, two| one.stage == two.stage) {
        let id = stage[0].stage;
        let title = record.start.as_ref().and_then(|start| {
            start.profile.stages.iter().find(|stage| stage.id == id).and_then(|stage| stage.title.as_ref())
        });
        page.raw("<h3>");
        titled(page, id, title);
        page.raw("</h3>\n");
        for step in stage.chunk_by(|one, two| one.step == two.step) {
            self::step(page, record, step, &gpus);
        }
    }
}

fn titled(page: &mut Page, id: &str, title: Option<&Text>) {
    match title {
        Some(title) => {
            page.tell(|language| language.of(title).to_owned());
            page.put(format_args!(" <span class=code>{}</span>", escaped(id)));
        }
        None => page.text(id),
    }
}

fn step(page: &mut Page, record: &RunRecord, rows: &[Row<'_>], gpus: &[GpuIndex]) {
    let path = format!("{}.{}", rows[0].stage, rows[0].step);
    let outcome = |row: &Row<'_>| match row.state {
        RowState::Judged(standing) => standing.outcome,
        RowState::Cut => Outcome::Aborted,
        RowState::Unstarted(Readiness::Skip(_)) => Outcome::Skipped,
        RowState::Unstarted(_) => Outcome::NotReached,
    };
    let worst = rows.iter().map(outcome).max().unwrap_or(Outcome::NotReached);
    let cases: Vec<&Case> = rows
        .iter()
        .filter_map(|row| match row.state {
            RowState::Judged(standing) => Some(standing.case),
            _ => None,
        })
        .collect();
    // What did not pass is open; the rest is one click away, and on paper all of it is.
    let open = if matches!(worst, Outcome::Pass | Outcome::Skipped | Outcome::NotReached) { "" } else { " open" };
    page.put(format_args!(
        "<details{open} class=step id=\"step-{}\"><summary><span class=took>{}</span>",
        escaped(&path),
        duration(rows[0].elapsed)
    ));
    page.put(format_args!("<span class=\"word {}\">", tone(worst)));
    page.say(words::outcome_phrase(worst));
    page.raw("</span> ");
    titled(page, &path, planned_title(record, &path));
    page.raw(" <small>");
    let summary = |language: Language| match nearest(cases.iter().copied()) {
        Some((component, judgement)) => format!("{component} {}", value::sentence_in(language, judgement)),
        None => String::new(),
    };
    page.tell(summary);
    page.raw("</small></summary>\n<div class=scroll>");
    reasons(page, record, rows);
    let rounds = rows.iter().map(|row| row.rounds).max().unwrap_or(0);
    if rounds > 1 {
        page.raw("<p class=dim>");
        page.say_with(Phrase::WorstOfRounds, &[&rounds]);
        page.raw("</p>");
    }
    let lines = lines(&cases);
    if !lines.is_empty() {
        table(page, &lines, gpus);
    }
    page.raw("</div></details>\n");
}

fn planned_title<'r>(record: &'r RunRecord, path: &str) -> Option<&'r Text> {
    let plan = record.plan.as_ref()?;
    plan.step(path)?.step.title.as_ref()
}

/// Why parts have the result they have, where no value says it.
fn reasons(page: &mut Page, record: &RunRecord, rows: &[Row<'_>]) {
    let mut told: Vec<([String; Language::ALL.len()], Vec<String>)> = Vec::new();
    for row in rows {
        if matches!(row.state, RowState::Judged(one) if one.outcome == one.case.outcome && one.case.reason.is_none()) {
            continue;
        }
        let text = Language::ALL.map(|language| reason(language, record, row));
        let place = row.component.to_string();
        match told.iter_mut().find(|(known, _)| *known == text) {
            Some((_, places)) => places.push(place),
            None => told.push((text, vec![place])),
        }
    }
    for (texts, places) in told {
        page.raw("<p>");
        let places = if places.len() > LINES_MAX { places.len().to_string() } else { places.join(", ") };
        page.tell(|language| {
            let spoken = Language::ALL.into_iter().zip(&texts).find(|(one, _)| *one == language);
            format!("{places} — {}", spoken.map_or("", |(_, text)| text))
        });
        page.raw("</p>");
    }
    for row in rows {
        for (step, case) in &row.earlier {
            page.raw("<p class=dim>");
            page.tell(|language| {
                let word = words::outcome_phrase(case.outcome).say(language);
                let attempt = Phrase::AttemptIs.with(language, &[&step.key.attempt]);
                format!("{}{attempt}: {word}, {}", row.component, explain::headline_in(language, case))
            });
            page.raw("</p>");
        }
    }
}

/// Why a part has the result it has.
fn reason(language: Language, record: &RunRecord, row: &Row<'_>) -> String {
    match row.state {
        RowState::Judged(standing) if standing.outcome != standing.case.outcome => {
            let word = words::outcome_phrase(standing.outcome).say(language);
            format!("{word}: {}", Phrase::Unstable.say(language))
        }
        RowState::Judged(standing) => {
            let reason = standing.case.reason.as_ref().map(|reason| sentence::reason(language, reason));
            plain(&reason.unwrap_or_default()).into_owned()
        }
        RowState::Cut | RowState::Unstarted(Readiness::Ready) => explain::end_in(language, record),
        RowState::Unstarted(Readiness::Skip(why) | Readiness::Unmet(why)) => sentence::unmet(language, why),
        RowState::Unstarted(Readiness::Deselected) => "--only".to_owned(),
    }
}

/// One measurement on all parts.
struct Line<'a> {
    name: &'a str,
    judgements: Vec<&'a Judgement>,
}

fn lines<'a>(cases: &[&'a Case]) -> Vec<Line<'a>> {
    let mut lines: Vec<Line<'a>> = Vec::new();
    for judgement in cases.iter().flat_map(|case| &case.judgements) {
        let measurement = &judgement.measurement;
        let alike = |line: &&mut Line<'_>| {
            line.name == measurement.name
                && line.judgements[0].measurement.component.kind() == measurement.component.kind()
        };
        match lines.iter_mut().find(alike) {
            Some(line) => line.judgements.push(judgement),
            None => lines.push(Line { name: &measurement.name, judgements: vec![judgement] }),
        }
    }
    lines
}

fn table(page: &mut Page, lines: &[Line<'_>], gpus: &[GpuIndex]) {
    let columns = if gpus.len() > LINES_MAX { &[] } else { gpus };
    page.raw("<table class=steps><tr>");
    for phrase in [Phrase::Measurement, Phrase::Limit, Phrase::Peers, Phrase::Margin] {
        page.head_cell(phrase);
    }
    if columns.is_empty() {
        page.head_cell(Phrase::Value);
    }
    for gpu in columns {
        page.put(format_args!("<th class=n>gpu/{}</th>", gpu.0));
    }
    page.raw("</tr>\n");
    for line in lines {
        self::line(page, line, columns);
    }
    page.raw("</table>");
}

fn line(page: &mut Page, line: &Line<'_>, columns: &[GpuIndex]) {
    let first = line.judgements[0];
    let unit = first.measurement.unit.symbol();
    let unit = if unit == "1" { "" } else { unit };
    let told = if first.limit.is_none() { " class=told" } else { "" };
    page.put(format_args!("<tr{told}><td>{} <span class=dim>{unit}</span></td><td>", escaped(line.name)));
    limit(page, line);
    page.raw("</td><td>");
    peers(page, line);
    page.raw("</td><td>");
    let shown = |one: &Judgement| value::shown(Language::English, &one.measurement);
    let same = |one: &Judgement| shown(one) == shown(first) && one.outcome == first.outcome;
    let alike = line.judgements.len() > 1 && line.judgements.iter().all(|one| same(one));
    margin(page, line, alike);
    page.raw("</td>");
    let span = columns.len().max(1);
    if alike || line.judgements.len() == 1 {
        let class = class(first).unwrap_or("alike");
        page.put(format_args!("<td class=\"{class}\" colspan={span}>"));
        if alike {
            page.say_with(Phrase::AllAlike, &[&line.judgements.len()]);
            page.raw(": ");
        } else if first.measurement.component != Component::Node {
            page.text(&format!("{}: ", first.measurement.component));
        }
        value_of(page, first);
        page.raw("</td>");
    } else if columns.is_empty() || !fits(line, columns) {
        page.put(format_args!("<td colspan={span}>"));
        all(page, line);
        page.raw("</td>");
    } else {
        for gpu in columns {
            match line.judgements.iter().find(|one| one.measurement.component.gpu_index() == Some(*gpu)) {
                None => page.raw("<td class=n>–</td>"),
                Some(one) => {
                    page.put(format_args!("<td class=\"n {}\">", class(one).unwrap_or_default()));
                    value_of(page, one);
                    if let Some(margin) = value::margin(one).filter(|_| one.range.low != one.range.high) {
                        page.put(format_args!("<small>{}{}</small>", sign(margin), short(margin)));
                    }
                    page.raw("</td>");
                }
            }
        }
    }
    page.raw("</tr>\n");
}

/// Whether there is one value for each GPU and no other.
fn fits(line: &Line<'_>, columns: &[GpuIndex]) -> bool {
    let gpu = |one: &Judgement| one.measurement.component.gpu_index();
    line.judgements.len() <= columns.len()
        && line.judgements.iter().all(|one| gpu(one).is_some_and(|gpu| columns.contains(&gpu)))
        && !line.judgements.iter().any(|one| matches!(one.measurement.component, Component::Pair(..)))
}

const fn sign(value: f64) -> &'static str {
    if value >= 0.0 { "+" } else { "" }
}

/// Colour only where there is something to say.
fn class(judgement: &Judgement) -> Option<&'static str> {
    judgement.limit.as_ref()?;
    match judgement.outcome {
        Judged::Pass => None,
        Judged::Marginal | Judged::Outlier => Some("marginal"),
        Judged::Fail => Some("fail"),
        // Not offered, and the profile does not mind.
        Judged::Unjudged(_) if !judgement.decisive => None,
        Judged::Unjudged(_) => Some("unjudged"),
    }
}

/// The value without its unit, with a shape where it is not a pass.
fn value_of(page: &mut Page, judgement: &Judgement) {
    page.raw(match class(judgement) {
        Some("fail") => "× ",
        Some("marginal") => "△ ",
        Some(_) => "? ",
        None => "",
    });
    match (&judgement.measurement.value, judgement.measurement.as_number()) {
        (_, Some(number)) => page.raw(&short(number)),
        (Measured::Value(other), None) => page.text(&other.to_string()),
        (Measured::Unsupported, _) => page.say(Phrase::Unsupported),
        (Measured::Missing(_), _) => page.tell(|language| value::shown(language, &judgement.measurement)),
    }
    if judgement.waiver.is_some() {
        page.raw(" <small>");
        page.say(Phrase::Waived);
        page.raw("</small>");
    }
}

fn limit(page: &mut Page, line: &Line<'_>) {
    let first = line.judgements[0];
    let Some(limit) = &first.limit else {
        page.say(Phrase::NoLimit);
        return;
    };
    page.text(limit);
    let same = line.judgements.iter().all(|one| one.range == first.range);
    if same && value::range(Language::English, first).is_some() {
        page.raw(" <small>");
        page.tell(|language| value::range(language, first).unwrap_or_default());
        page.raw("</small>");
    }
    if !first.decisive {
        page.raw(" <small>");
        page.say(Phrase::NotDecisive);
        page.raw("</small>");
    }
    if let Some(source) = &first.source {
        page.raw("<small>");
        page.text(source);
        page.raw("</small>");
    }
}

/// Median, least and greatest.
fn peers(page: &mut Page, line: &Line<'_>) {
    let mut numbers: Vec<f64> = line.judgements.iter().filter_map(|one| one.measurement.as_number()).collect();
    numbers.sort_by(f64::total_cmp);
    let (Some(least), Some(greatest)) = (numbers.first(), numbers.last()) else { return };
    if least < greatest
        && let Some(median) = kiln_model::median(&numbers)
    {
        page.put(format_args!("{} <small>{} … {}</small>", short(median), short(*least), short(*greatest)));
    }
}

/// The least, with whose it is.
fn margin(page: &mut Page, line: &Line<'_>, alike: bool) {
    // Of a limit that is one number there is no nearer and farther.
    let bounded = line.judgements.iter().filter(|one| one.range.low != one.range.high);
    let margins = bounded.filter_map(|one| Some((value::margin(one)?, one.measurement.component)));
    if let Some((margin, component)) = margins.min_by(|one, two| one.0.total_cmp(&two.0)) {
        let class = if margin < 0.0 { " class=fail" } else { "" };
        page.put(format_args!("<span{class}>{}{}</span>", sign(margin), short(margin)));
        if line.judgements.len() > 1 && !alike {
            page.put(format_args!(" <small>{component}</small>"));
        }
    }
}

/// All values of a measurement, folded where there are many; what is not a pass comes first and unfolded.
fn all(page: &mut Page, line: &Line<'_>) {
    let entry = |page: &mut Page, one: &Judgement| {
        match class(one) {
            Some(class) => page.put(format_args!("<i class={class}>")),
            None => page.raw("<i>"),
        }
        page.put(format_args!("{} ", one.measurement.component));
        value_of(page, one);
        page.raw("</i>");
    };
    let bad: Vec<&&Judgement> = line.judgements.iter().filter(|one| class(one).is_some()).collect();
    if !bad.is_empty() {
        page.raw("<div class=all>");
        for one in bad.iter().take(LISTED) {
            entry(page, one);
        }
        page.raw("</div>");
    }
    if line.judgements.len() > LISTED {
        page.say_with(Phrase::SeeMatrix, &[&line.judgements.len()]);
        return;
    }
    page.raw("<details><summary>");
    page.say_with(Phrase::AllValues, &[&line.judgements.len()]);
    page.raw("</summary><div class=all>");
    for one in &line.judgements {
        entry(page, one);
    }
    page.raw("</div></details>");
}
