//! The top of the page: the verdict, what to do, and everything that speaks against the unit or the run.

use std::collections::BTreeSet;

use super::super::language::Language;
use super::super::phrase::Phrase;
use super::super::plain::plain;
use super::super::row::{Row, RowState};
use super::super::text::{counts, duration};
use super::super::verdict::verdict_so_far;
use super::super::{explain, remark, sentence, value, words};
use super::link;
use super::page::{Page, escaped};
use super::trace::Traces;
use kiln_diagnose as diagnose;
use kiln_event::{Case, Finding, Outcome, RunRecord, VerdictWord, uncarried_trips};
use kiln_limit::Judged;
use kiln_model::{Component, GpuIndex, Moment};

/// More results that no finding explains are a list instead of cards.
const CARDS: usize = 5;
/// Rows of that list; the tables below have all.
const SHOWN: usize = 40;

/// The class that colours an outcome.
pub(super) const fn tone(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "good",
        Outcome::Fail => "bad",
        Outcome::Marginal | Outcome::Held | Outcome::Inconclusive | Outcome::Waived => "doubt",
        Outcome::Error => "trouble",
        Outcome::Skipped | Outcome::NotReached | Outcome::Aborted => "quiet",
    }
}

pub(super) const fn verdict_tone(word: VerdictWord, marginal: bool) -> &'static str {
    match word {
        VerdictWord::Pass if !marginal => "good",
        VerdictWord::Fail => "bad",
        VerdictWord::Pass | VerdictWord::Held | VerdictWord::Inconclusive => "doubt",
        VerdictWord::Error => "trouble",
        VerdictWord::Aborted | VerdictWord::Nothing => "quiet",
    }
}

/// Everything above the tables.
pub(super) fn summary(page: &mut Page, record: &RunRecord, traces: &Traces, rows: &[Row<'_>], lacks: &[String]) {
    if let Some(start) = &record.start {
        page.raw("<h1>");
        page.tell(|language| language.of(&start.profile.title).to_owned());
        page.raw("</h1>\n");
        if words::banner(&start.source).is_some() {
            page.raw("<p class=banner>");
            page.tell(|language| words::banner_in(language, &start.source).unwrap_or_default());
            page.raw("</p>\n");
        }
    }
    let verdict = verdict_so_far(record);
    page.put(format_args!("<div class=\"verdict {}\"><b>", verdict_tone(verdict.word, verdict.marginal)));
    page.tell(|language| format!("{} {}", words::shape(&verdict), words::verdict_in(language, &verdict)));
    page.raw("</b><span>");
    page.say(words::meaning_phrase(&verdict));
    page.raw("<br>");
    if verdict.deviations > 0 {
        page.text(&words::deviations(record));
        page.raw("<br>");
    }
    page.tell(|language| counts(&verdict, language));
    page.raw("</span></div>\n");
    facts(page, record);
    if record.verdict.is_none() {
        page.raw("<p class=banner>");
        page.say(Phrase::NotAtEnd);
        page.raw("</p>\n");
    }
    for lack in lacks {
        page.raw("<p class=banner>");
        page.say(Phrase::Lacking);
        page.raw(" ");
        page.text(lack);
        page.raw("</p>\n");
    }
    troubles(page, record, traces, rows);
    told_beside(page, record);
}

/// What loads and the host had to say that is no result.
fn told_beside(page: &mut Page, record: &RunRecord) {
    let count = remark::remarks(record, Language::English).len();
    if count == 0 {
        return;
    }
    page.section(Phrase::Remarks);
    page.raw("<ul>");
    for at in 0..count.min(SHOWN) {
        page.raw("<li>");
        page.tell(|language| remark::remarks(record, language).get(at).cloned().unwrap_or_default());
        page.raw("</li>");
    }
    page.raw("</ul>\n");
    if count > SHOWN {
        page.raw("<p>");
        page.say_with(Phrase::AndMore, &[&(count - SHOWN)]);
        page.raw("</p>\n");
    }
}

fn facts(page: &mut Page, record: &RunRecord) {
    let Some(start) = &record.start else { return };
    let node = record.inventory.as_ref().and_then(|inventory| inventory.node.serial.value());
    let profile = format!("{} r{}", start.profile.id, start.profile.revision);
    let took = duration(record.last_at.since(Moment::ZERO));
    let begun = record.started_wall.map(stamp);
    let facts = [
        (Phrase::Serial, start.operation.serial.as_ref().or(node).cloned()),
        (Phrase::Profile, Some(profile)),
        (Phrase::Begun, begun),
        (Phrase::Duration, Some(took)),
        (Phrase::Station, start.operation.station.clone()),
        (Phrase::Operator, start.operation.operator.clone()),
        (Phrase::Order, start.operation.order.clone()),
    ];
    page.raw("<dl class=facts>");
    for (name, value) in facts.into_iter().filter_map(|(name, value)| Some((name, value?))) {
        page.raw("<div><dt>");
        page.say(name);
        page.raw("</dt><dd>");
        if name == Phrase::Begun {
            time(page, &value);
        } else {
            page.text(&value);
        }
        page.raw("</dd></div>");
    }
    page.raw("</dl>\n");
}

/// A moment of the wall clock, which the page's script shows in the reader's time zone.
pub(super) fn time(page: &mut Page, stamp: &str) {
    page.put(format_args!("<time datetime=\"{stamp}\">{stamp}</time>"));
}

/// To the second: what people compare with the clock on the wall.
pub(super) fn stamp(wall: kiln_model::WallTime) -> String {
    format!("{wall:.0}")
}

fn troubles(page: &mut Page, record: &RunRecord, traces: &Traces, rows: &[Row<'_>]) {
    let unexplained: Vec<&Row<'_>> = rows.iter().filter(|row| is_unexplained(record, row)).collect();
    let trips: Vec<_> = uncarried_trips(record)
        .into_iter()
        .filter(|(_, trip)| explain::findings(record, &trip.guard, trip.component).is_empty())
        .collect();
    let stops: Vec<_> = record.stops().collect();
    if record.findings.is_empty() && unexplained.is_empty() && trips.is_empty() && stops.is_empty() {
        return;
    }
    page.section(Phrase::WhatToDo);
    for (at, by) in stops {
        page.raw("<div class=\"card quiet\"><h3>");
        page.tell(|language| Phrase::StoppedAt.with(language, &[at, &sentence::interruption(language, by)]));
        page.raw("</h3></div>\n");
    }
    record.findings.iter().for_each(|one| finding(page, record, traces, one));
    for (at, trip) in trips {
        page.raw("<div class=card><h3>");
        place(page, record, trip.component);
        page.raw("</h3><p>");
        page.say(Phrase::Guard);
        page.text(&format!(" {} {} {at}: ", trip.code, trip.guard));
        page.tell(|language| sentence::trip_cause(language, &trip.cause));
        page.raw("</p></div>\n");
    }
    if unexplained.len() > CARDS {
        list(page, record, &unexplained);
    } else {
        for row in &unexplained {
            card(page, record, row);
        }
    }
    if unexplained.len() > SHOWN {
        page.raw("<p>");
        page.say_with(Phrase::AndMore, &[&(unexplained.len() - SHOWN)]);
        page.raw("</p>\n");
    }
}

fn is_unexplained(record: &RunRecord, row: &Row<'_>) -> bool {
    let speaks = match row.state {
        RowState::Judged(standing) => {
            matches!(standing.outcome, Outcome::Fail | Outcome::Error | Outcome::Inconclusive | Outcome::Held)
        }
        RowState::Cut => true,
        RowState::Unstarted(_) => false,
    };
    speaks && explain::findings(record, &format!("{}.{}", row.stage, row.step), row.component).is_empty()
}

fn place(page: &mut Page, record: &RunRecord, component: Component) {
    page.tell(|language| explain::place_in(language, record.inventory.as_deref(), component));
}

fn finding(page: &mut Page, record: &RunRecord, traces: &Traces, finding: &Finding) {
    page.raw("<div class=card><h3>");
    place(page, record, finding.component);
    page.raw("</h3><p class=do>→ ");
    page.say(words::action_phrase(finding.action));
    page.raw("</p><p>");
    if let Some(entry) = diagnose::entry(&finding.code) {
        page.raw("<b>");
        page.tell(|language| language.of(&entry.title.text()).to_owned());
        page.raw("</b> ");
    }
    page.raw("<span class=code>");
    page.text(&finding.code);
    page.raw("</span><br>");
    page.tell(|language| language.of(&finding.cause).to_owned());
    page.raw(" <span class=dim>");
    page.tell(|language| {
        let confidence = words::confidence_phrase(finding.confidence).say(language);
        Phrase::WithConfidence.with(language, &[&confidence])
    });
    page.raw("</span></p>");
    if finding.suspects.len() > 1 {
        page.raw("<p>");
        page.tell(|language| {
            let place = |one: &Component| explain::place_in(language, record.inventory.as_deref(), *one);
            let suspects: Vec<String> = finding.suspects.iter().map(place).collect();
            Phrase::AnyOf.with(language, &[&suspects.join(" | ")])
        });
        page.raw("</p>");
    }
    page.raw("<ul>");
    for evidence in &finding.evidence {
        page.raw("<li>");
        let target = link::target(record, traces, evidence);
        if let Some(id) = &target {
            page.put(format_args!("<a href=\"#{}\">", escaped(id)));
        }
        page.tell(|language| {
            let from = sentence::from(language, &evidence.from);
            let text = sentence::evidence(language, evidence);
            Phrase::EvidenceOn.with(language, &[&from, &evidence.component, &plain(&text)])
        });
        page.raw(if target.is_some() { "</a></li>" } else { "</li>" });
    }
    page.raw("</ul></div>\n");
}

fn list(page: &mut Page, record: &RunRecord, rows: &[&Row<'_>]) {
    page.raw("<table>");
    page.head_row(&[Phrase::Component, Phrase::Result, Phrase::Step, Phrase::Value]);
    for row in rows.iter().take(SHOWN) {
        let (word, class, case) = told(row);
        page.raw("<tr><td>");
        place(page, record, row.component);
        page.put(format_args!("</td><td><span class=\"word {class}\">"));
        page.say(word);
        page.raw("</span></td>");
        page.cell(&format!("{}.{}", row.stage, row.step));
        page.raw("<td>");
        page.tell(|language| case.map(|case| explain::headline_in(language, case)).unwrap_or_default());
        page.raw("</td></tr>\n");
    }
    page.raw("</table>\n");
}

fn told<'a>(row: &Row<'a>) -> (Phrase, &'static str, Option<&'a Case>) {
    match row.state {
        RowState::Judged(standing) => {
            (words::outcome_phrase(standing.outcome), tone(standing.outcome), Some(standing.case))
        }
        _ => (Phrase::CutShort, "quiet", None),
    }
}

/// A result that no finding explains.
fn card(page: &mut Page, record: &RunRecord, row: &Row<'_>) {
    let path = format!("{}.{}", row.stage, row.step);
    let (word, class, case) = told(row);
    page.put(format_args!("<div class=\"card {class}\"><h3>"));
    place(page, record, row.component);
    page.raw("</h3><p><b>");
    page.say(word);
    page.raw("</b> <span class=code>");
    page.text(&path);
    page.raw("</span></p>");
    if let Some(case) = case {
        against(page, case);
    }
    page.raw("</div>\n");
}

fn against(page: &mut Page, case: &Case) {
    page.raw("<ul>");
    let values = case
        .judgements
        .iter()
        .filter(|one| one.limit.is_some() && one.decisive && matches!(one.outcome, Judged::Fail | Judged::Unjudged(_)));
    let mut none = true;
    for judgement in values {
        none = false;
        page.raw("<li>");
        page.tell(|language| value::sentence_in(language, judgement));
        page.raw("</li>");
    }
    if none {
        page.raw("<li>");
        page.tell(|language| explain::headline_in(language, case));
        page.raw("</li>");
    }
    page.raw("</ul>");
}

/// GPUs that anything speaks against: they are drawn thick.
pub(super) fn named(record: &RunRecord) -> BTreeSet<GpuIndex> {
    let findings = record.findings.iter().flat_map(|finding| &finding.suspects).copied();
    let whole = record.findings.iter().map(|finding| finding.component);
    let trips = record.trips.iter().map(|(_, trip)| trip.component);
    findings.chain(whole).chain(trips).filter_map(Component::gpu_index).chain(record.lost.keys().copied()).collect()
}
