//! Pages of many runs: `stats`, `rejudge` and `baseline` with `--html`.

#![expect(clippy::cast_precision_loss, reason = "seconds, counts and pixels on a page are small")]

use std::collections::BTreeMap;

use super::super::language::Languages;
use super::super::phrase::Phrase;
use super::super::{value, words};
use super::page::{Page, escaped};
use super::svg::{Scale, number, short};
use kiln_event::{Outcome, Verdict};
use kiln_limit::Judged;
use kiln_lot::{Baseline, Change, Interval, NoCapability, SIDE_MOVED, Spread, Stats, Verdicts};
use kiln_model::Unit;

/// Rows of a table; JSON has all.
const SHOWN: usize = 500;

/// A run judged again.
#[derive(Debug, Clone, Copy)]
pub struct JudgedAgain<'a> {
    pub run: &'a str,
    pub serial: Option<&'a str>,
    /// The profile it ran with.
    pub profile: &'a str,
    pub simulated: bool,
    pub verdicts: &'a Verdicts,
    pub changes: &'a [Change],
    pub notes: &'a [String],
}

fn shown(value: f64, unit: Unit) -> String {
    if unit == Unit::One { short(value) } else { format!("{} {unit}", short(value)) }
}

fn begun(title: Phrase, languages: Languages) -> Page {
    let mut page = Page::new(languages);
    page.raw("<h1>");
    page.say(title);
    page.raw("</h1>\n");
    page
}

fn simulated(page: &mut Page) {
    page.raw("<p class=banner>");
    page.say(Phrase::SimulatedShort);
    page.raw("</p>\n");
}

fn unread(page: &mut Page, unread: &[(String, String)]) {
    if !unread.is_empty() {
        page.section(Phrase::Unreadable);
        page.raw("<ul>");
        for (run, why) in unread {
            page.raw("<li>");
            page.text(&format!("{run}: {why}"));
            page.raw("</li>");
        }
        page.raw("</ul>\n");
    }
}

/// The page of `kiln stats`; `unreadable` are runs with why they could not be read.
pub fn stats_page(profiles: &[Stats], unreadable: &[(String, String)], languages: Languages) -> String {
    let mut page = begun(Phrase::StatsTitle, languages);
    for stats in profiles {
        of_profile(&mut page, stats);
    }
    unread(&mut page, unreadable);
    page.finish("kiln stats")
}

fn of_profile(page: &mut Page, stats: &Stats) {
    page.put(format_args!("<h2>{}</h2>\n", escaped(&stats.profile)));
    if stats.simulated {
        simulated(page);
    }
    page.raw("<dl class=facts>");
    let left = stats.left_out.len();
    for (name, count) in [(Phrase::Runs, stats.runs), (Phrase::Units, stats.yields.units), (Phrase::LeftOut, left)] {
        page.raw("<div><dt>");
        page.say(name);
        page.put(format_args!("</dt><dd>{count}</dd></div>"));
    }
    page.raw("</dl>\n<h3>");
    page.say(Phrase::Yield);
    page.raw("</h3>\n<table>");
    page.head_row(&[Phrase::Attempt, Phrase::Units, Phrase::PassedUnits, Phrase::Percent, Phrase::Interval95]);
    for one in &stats.yields.attempts {
        page.put(format_args!(
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{:.1} %</td><td>{}</td></tr>",
            one.attempt,
            one.units,
            one.passed,
            one.percent,
            ends(one.interval)
        ));
    }
    page.raw("<tr><td>");
    page.say(Phrase::AtLast);
    let yields = &stats.yields;
    page.put(format_args!(
        "</td><td>{}</td><td>{}</td><td>{:.1} %</td><td>{}</td></tr></table>\n",
        yields.units,
        yields.passed_at_last,
        yields.percent_at_last,
        ends(yields.interval_at_last)
    ));
    pareto(page, stats);
    spreads(page, &stats.spreads);
    outliers(page, &stats.spreads);
}

fn ends(interval: Interval) -> String {
    format!("{:.1} … {:.1} %", 100.0 * interval.low, 100.0 * interval.high)
}

fn pareto(page: &mut Page, stats: &Stats) {
    page.raw("<h3>");
    page.say(Phrase::Pareto);
    page.raw("</h3>\n");
    let most = stats.pareto.iter().map(|cause| cause.findings).max().unwrap_or(0);
    if most == 0 {
        page.raw("<p class=dim>");
        page.say(Phrase::Nothing);
        page.raw("</p>\n");
        return;
    }
    page.raw("<table>");
    page.head_row(&[Phrase::Findings, Phrase::Runs, Phrase::Units, Phrase::Percent, Phrase::Places]);
    for cause in stats.pareto.iter().take(SHOWN) {
        let wide = number(160.0 * cause.findings as f64 / most as f64, 1);
        page.put(format_args!(
            "<tr><td>{} <svg width=170 height=12><rect class=\"bar fail\" width={wide} height=12 /></svg>{}</td><td>{}</td><td>{}</td>\
             <td>{:.1} %</td>",
            escaped(&cause.code),
            cause.findings,
            cause.runs,
            cause.units,
            cause.cumulative_percent
        ));
        let places: Vec<String> =
            cause.components.iter().take(6).map(|(component, count)| format!("{component} ×{count}")).collect();
        page.cell(&places.join(", "));
        page.raw("</tr>\n");
    }
    page.raw("</table>\n");
}

fn spreads(page: &mut Page, spreads: &[Spread]) {
    let limited: Vec<&Spread> = spreads
        .iter()
        .filter(|spread| !matches!(spread.capability, Err(NoCapability::NoLimit)))
        // What is the same on all units has no distribution; JSON has it.
        .filter(|spread| spread.min < spread.max)
        .collect();
    page.raw("<h3>");
    page.say(Phrase::Distributions);
    page.raw("</h3>\n<table>");
    page.head_row(&[
        Phrase::Measurement,
        Phrase::Component,
        Phrase::Limit,
        Phrase::Distribution,
        Phrase::Histogram,
        Phrase::RunChart,
        Phrase::Median,
        Phrase::Cpk,
    ]);
    for spread in limited.iter().take(SHOWN) {
        page.raw("<tr>");
        page.cell(&format!("{}.{}", spread.key.step, spread.key.measurement));
        page.cell(&spread.key.component.to_string());
        page.cell(spread.limit.as_deref().unwrap_or_default());
        page.raw("<td>");
        strip(page, spread);
        page.raw("</td><td>");
        histogram(page, spread);
        page.raw("</td><td>");
        chart(page, spread);
        page.put(format_args!("</td><td>{}</td><td>", shown(spread.median, spread.unit)));
        match &spread.capability {
            Ok(capability) => {
                page.put(format_args!("{} (≥ {})", number(capability.cpk, 2), number(capability.at_least, 2)));
            }
            Err(why) => page.say_with(Phrase::NoCpk, &[&why.shown()]),
        }
        page.raw("</td></tr>\n");
    }
    page.raw("</table>\n");
}

/// Least to greatest as a line, 5 % to 95 % as a box, the median across, and the limits where they are near.
fn strip(page: &mut Page, spread: &Spread) {
    let limits = spread.capability.as_ref().ok().map(|one| [one.low, one.high]).into_iter().flatten().flatten();
    let span = (spread.max - spread.min).max(f64::MIN_POSITIVE);
    let near: Vec<f64> =
        limits.filter(|end| *end > spread.min - 4.0 * span && *end < spread.max + 4.0 * span).collect();
    let low = near.iter().copied().fold(spread.min, f64::min);
    let high = near.iter().copied().fold(spread.max, f64::max);
    let scale = Scale::new(low, high, 4.0, 216.0);
    let at = |value: f64| number(scale.place(value), 1);
    page.put(format_args!(
        "<svg width=220 height=16 role=img><title>{} … {} … {} … {} … {} {}</title><path class=whisker d=\"M{} 8H{}\"/>\
         <path class=\"bar\" opacity=.55 d=\"M{} 3H{}V13H{}Z\"/><path class=whisker d=\"M{} 2v12\"/>",
        short(spread.min),
        short(spread.p5),
        short(spread.median),
        short(spread.p95),
        short(spread.max),
        spread.unit,
        at(spread.min),
        at(spread.max),
        at(spread.p5),
        at(spread.p95),
        at(spread.p5),
        at(spread.median)
    ));
    for end in near {
        page.put(format_args!("<path class=limit d=\"M{} 0v16\"/>", at(end)));
    }
    page.raw("</svg>");
}

/// Units by value.
fn histogram(page: &mut Page, spread: &Spread) {
    const HEIGHT: f64 = 24.0;
    let counts = &spread.histogram.counts;
    let most = counts.iter().copied().max().unwrap_or(0).max(1) as f64;
    let wide = 120.0 / counts.len().max(1) as f64;
    page.put(format_args!("<svg width=120 height={HEIGHT} role=img><title>{counts:?}</title>"));
    for (bin, count) in counts.iter().enumerate() {
        let high = HEIGHT * *count as f64 / most;
        page.put(format_args!(
            "<rect class=bar x={} y={} width={} height={} />",
            number(wide * bin as f64, 1),
            number(HEIGHT - high, 1),
            number((wide - 1.0).max(1.0), 1),
            number(high, 1)
        ));
    }
    page.raw("</svg>");
}

/// More points than this lie on one another.
const POINTS: usize = 120;

/// Values in the order in which their runs began, with the median across.
fn chart(page: &mut Page, spread: &Spread) {
    let (time, scale) =
        (Scale::new(0.0, spread.chart.len() as f64 - 1.0, 2.0, 158.0), Scale::new(spread.min, spread.max, 22.0, 2.0));
    page.put(format_args!(
        "<svg width=160 height=24 role=img><path class=whisker d=\"M2 {}H158\"/><path class=whisker fill=none d=\"",
        number(scale.place(spread.median), 1)
    ));
    let step = spread.chart.len().div_ceil(POINTS).max(1);
    for (nth, value) in spread.chart.iter().enumerate().step_by(step) {
        let pen = if nth == 0 { 'M' } else { 'L' };
        page.put(format_args!("{pen}{} {}", number(time.place(nth as f64), 1), number(scale.place(*value), 1)));
    }
    page.raw("\"/></svg>");
    if spread.longest_side >= SIDE_MOVED {
        page.raw("<br>");
        page.say_with(Phrase::Moved, &[&spread.longest_side]);
    }
}

fn outliers(page: &mut Page, spreads: &[Spread]) {
    let mut all: Vec<_> =
        spreads.iter().flat_map(|spread| spread.outliers.iter().map(move |outlier| (spread, outlier))).collect();
    all.sort_by(|(_, one), (_, two)| two.z.abs().total_cmp(&one.z.abs()));
    page.raw("<h3>");
    page.say(Phrase::Outliers);
    page.raw("</h3>\n");
    if all.is_empty() {
        page.raw("<p class=dim>");
        page.say(Phrase::Nothing);
        page.raw("</p>\n");
        return;
    }
    page.raw("<table><tr>");
    for phrase in [Phrase::Serial, Phrase::Measurement, Phrase::Component, Phrase::Value, Phrase::Median] {
        page.head_cell(phrase);
    }
    page.raw("<th>z</th></tr>\n");
    for (spread, outlier) in all.iter().take(SHOWN) {
        page.raw("<tr>");
        page.cell(&outlier.unit);
        page.cell(&format!("{}.{}", spread.key.step, spread.key.measurement));
        page.cell(&spread.key.component.to_string());
        page.cell(&shown(outlier.value, spread.unit));
        page.cell(&short(spread.median));
        page.put(format_args!("<td>{:+.1}</td></tr>\n", outlier.z));
    }
    page.raw("</table>\n");
}

/// The page of `kiln rejudge`; `profile` is the one judged by.
pub fn rejudge_page(
    profile: &str,
    runs: &[JudgedAgain<'_>],
    unreadable: &[(String, String)],
    languages: Languages,
) -> String {
    let mut page = begun(Phrase::RejudgeTitle, languages);
    page.put(format_args!("<p><b>{}</b></p>\n", escaped(profile)));
    verdict_counts(&mut page, runs);
    page.raw("<table>");
    page.head_row(&[Phrase::Run, Phrase::Serial, Phrase::Profile, Phrase::Before, Phrase::After]);
    for run in runs {
        page.raw("<tr>");
        page.raw("<td>");
        page.text(run.run);
        if run.simulated {
            page.raw(" <b>");
            page.say(Phrase::SimulatedShort);
            page.raw("</b>");
        }
        page.raw("</td>");
        page.cell(run.serial.unwrap_or_default());
        page.cell(run.profile);
        let changed = run.verdicts.before.word != run.verdicts.after.word;
        verdict(&mut page, &run.verdicts.before, "");
        verdict(&mut page, &run.verdicts.after, if changed { "marginal" } else { "" });
        page.raw("</tr>\n");
    }
    page.raw("</table>\n");
    for run in runs.iter().filter(|run| !run.changes.is_empty() || !run.notes.is_empty()) {
        // Closed: of a thousand runs somebody looks into a few.
        page.put(format_args!("<details><summary>{}</summary>\n", escaped(run.run)));
        for note in run.notes {
            page.raw("<p class=dim>");
            page.text(note);
            page.raw("</p>\n");
        }
        changes(&mut page, run.changes);
        page.raw("</details>\n");
    }
    unread(&mut page, unreadable);
    page.finish("kiln rejudge")
}

/// How many runs come out as what, those that change first.
fn verdict_counts(page: &mut Page, runs: &[JudgedAgain<'_>]) {
    let mut counts: BTreeMap<(bool, String, String), (usize, &Verdict, &Verdict)> = BTreeMap::new();
    for run in runs {
        let (before, after) = (&run.verdicts.before, &run.verdicts.after);
        let key = (before.word == after.word, before.word.shown().to_owned(), after.word.shown().to_owned());
        counts.entry(key).or_insert((0, before, after)).0 += 1;
    }
    page.raw("<table>");
    page.head_row(&[Phrase::Runs, Phrase::Before, Phrase::After]);
    for ((alike, ..), (count, before, after)) in counts {
        page.put(format_args!("<tr><td>{count}</td>"));
        verdict(page, before, "");
        verdict(page, after, if alike { "" } else { "marginal" });
        page.raw("</tr>\n");
    }
    page.raw("</table>\n");
}

fn verdict(page: &mut Page, verdict: &Verdict, class: &str) {
    page.put(format_args!("<td class=\"{class}\">"));
    page.tell(|language| format!("{} {}", words::shape(verdict), words::verdict_in(language, verdict)));
    page.raw("</td>");
}

fn changes(page: &mut Page, changes: &[Change]) {
    if changes.is_empty() {
        return;
    }
    page.raw("<table>");
    page.head_row(&[Phrase::Step, Phrase::Component, Phrase::Before, Phrase::After, Phrase::Value]);
    for change in changes.iter().take(SHOWN) {
        page.raw("<tr>");
        page.cell(&change.step);
        page.cell(&change.component.to_string());
        for outcome in [change.before, change.after] {
            page.raw("<td>");
            outcome_word(page, outcome);
            page.raw("</td>");
        }
        page.raw("<td>");
        for value in &change.values {
            let side = |limit: &Option<String>, judged: Option<&Judged>| {
                format!("{} {}", limit.as_deref().unwrap_or("–"), shape(judged))
            };
            page.tell(|language| {
                let shown = value::shown(language, &value.value);
                format!(
                    "{}[{}] {shown}: {} → {}",
                    value.measurement,
                    value.component,
                    side(&value.limit_before, value.before.as_ref()),
                    side(&value.limit_after, value.after.as_ref())
                )
            });
            page.raw("<br>");
        }
        page.raw("</td></tr>\n");
    }
    page.raw("</table>\n");
}

fn outcome_word(page: &mut Page, outcome: Option<Outcome>) {
    match outcome {
        Some(outcome) => page.say(words::outcome_phrase(outcome)),
        None => page.raw("–"),
    }
}

const fn shape(judged: Option<&Judged>) -> &'static str {
    match judged {
        None => "–",
        Some(Judged::Pass) => "○",
        Some(Judged::Marginal | Judged::Outlier) => "△",
        Some(Judged::Fail) => "×",
        Some(Judged::Unjudged(_)) => "?",
    }
}

/// The page of `kiln baseline`; `left_out` are runs with why they do not count.
pub fn baseline_page(baseline: &Baseline, left_out: &[(String, String)], languages: Languages) -> String {
    let mut page = begun(Phrase::BaselineTitle, languages);
    if baseline.simulated {
        simulated(&mut page);
    }
    let profiles: Vec<&str> = baseline.profiles.iter().map(String::as_str).collect();
    page.put(format_args!("<p>{} · {} ", escaped(&profiles.join(", ")), baseline.runs.len()));
    page.say(Phrase::Runs);
    page.raw("</p>\n<table>");
    page.head_row(&[Phrase::Measurement, Phrase::Median, Phrase::Deviation, Phrase::Percent, Phrase::Runs]);
    for (key, value) in &baseline.values {
        let share = if value.median == 0.0 { 0.0 } else { 100.0 * value.deviation / value.median.abs() };
        page.raw("<tr>");
        page.cell(key);
        page.put(format_args!(
            "<td>{}</td><td>{}</td><td>{} %</td><td>{}</td></tr>\n",
            shown(value.median, value.unit),
            short(value.deviation),
            number(share, 2),
            value.runs
        ));
    }
    page.raw("</table>\n");
    if !left_out.is_empty() {
        page.section(Phrase::LeftOut);
        page.raw("<ul>");
        for (run, why) in left_out {
            page.raw("<li>");
            page.text(&format!("{run}: {why}"));
            page.raw("</li>");
        }
        page.raw("</ul>\n");
    }
    page.finish("kiln baseline")
}
