//! A drill on the terminal: plain lines that say the same with and without colour.

#![expect(clippy::cast_precision_loss, reason = "counts and nanoseconds become floats for statistics, far below 2^53")]

use std::borrow::Cow;
use std::fmt::Write as _;

use super::document::Drill;
use super::healthy::Healthy;
use super::matrix::{Cell, Counted, Coverage, MissKind, Row};
use super::text_shortening::shortening_text;
use super::times::short;
use super::tune::tuning_text;
use kiln_lot::{Interval, wilson_95};
use kiln_model::Span;

/// Misses told one by one for each fault: enough to take one up; the rest is in `drill.json`.
const MISSES_TOLD: usize = 1;

/// Everything, in the order in which it is asked for: the matrix, what went wrong, false alarms, what is shorter.
pub fn text(drill: &Drill) -> String {
    let mut text = heading(drill);
    if let Some(curve) = &drill.curve {
        let _ = writeln!(text, "{}; {}", curve.words(), alarm_words(drill));
    }
    if drill.severities.len() > 1 {
        text.push_str(&matrix(drill));
    }
    text.push_str(&details(drill));
    text.push_str(&misses(drill));
    text.push_str(&left_out(drill));
    text.push_str(&healthy(drill));
    if let Some(shortening) = &drill.shortening {
        text.push_str(&shortening_text(shortening));
    }
    if let Some(tuning) = &drill.tuning {
        text.push_str(&tuning_text(tuning));
    }
    text.push_str(&conclusion(drill));
    text
}

fn heading(drill: &Drill) -> String {
    let mut text =
        format!("Drill of {} revision {} on {} (simulated)\n", drill.profile, drill.revision, drill.nodes.join(", "));
    let _ = writeln!(text, "{}", parts_list(drill));
    if let Some(units) = drill.lot {
        let _ = writeln!(text, "Every run is held against a lot of {units} healthy units");
    }
    let spread = spread_option(drill);
    let _ = writeln!(text, "The same drill again: --first-seed {}{spread}", drill.first_seed);
    if drill.partial {
        let _ = writeln!(text, "PARTIAL: interrupted after {} of {} runs", drill.runs_done, drill.runs_planned);
    }
    text
}

/// How often healthy nodes were not passed: a severity that is caught is worth what it costs in these.
pub(super) fn alarm_words(drill: &Drill) -> String {
    let tried = drill.healthy.iter().map(|healthy| healthy.tried).sum();
    let alarms: usize = drill.healthy.iter().map(|healthy| healthy.alarms.len()).sum();
    if tried == 0 {
        return "no healthy node was run beside".to_owned();
    }
    format!("{alarms} of {tried} healthy runs not passed ({})", percents(wilson_95(alarms, tried)))
}

/// The option that makes the same nodes again.
fn spread_option(drill: &Drill) -> String {
    if drill.spread.is_tight() { String::new() } else { format!(" --spread {}", drill.spread.word()) }
}

/// A word of a command line. One that a shell would take apart is in quotes.
fn quoted(word: &str) -> Cow<'_, str> {
    let is_plain = |sign: char| sign.is_alphanumeric() || "/._-+:@%,=".contains(sign);
    if !word.is_empty() && word.chars().all(is_plain) {
        return Cow::Borrowed(word);
    }
    Cow::Owned(format!("'{}'", word.replace('\'', "'\\''")))
}

/// The command that makes one run of the drill again, with all that the drill gave it.
fn run_again(drill: &Drill, node: &str, fault: Option<String>, seed: u64) -> String {
    let (fault, seed_word) = (fault.map(|fault| ["--fault".to_owned(), fault]), seed.to_string());
    let lot = drill.lot_files.get(node).map(|file| ["--lot", file]);
    let parts = drill.parts_files.get(node).and_then(|files| files.get(&seed)).map(|file| ["--parts", file]);
    let spread = (!drill.spread.is_tight()).then(|| ["--spread", drill.spread.word()]);
    let first = ["kiln", "run", &drill.asked, "--sim", node].into_iter();
    let words = first
        .chain(fault.iter().flatten().map(String::as_str))
        .chain(["--seed", &seed_word])
        .chain(spread.into_iter().flatten())
        .chain(lot.into_iter().flatten())
        .chain(parts.into_iter().flatten())
        .chain(drill.run_options.iter().map(String::as_str));
    words.map(quoted).collect::<Vec<_>>().join(" ")
}

/// What the runs were given beside the profile.
pub(super) const fn parts_list(drill: &Drill) -> &'static str {
    if drill.parts_list {
        "Every run has the bill of materials of its node: serials, BIOS, counts of drives, interfaces, supplies and DIMMs"
    } else {
        "No run has a bill of materials: what only that can tell escapes unless the profile says it"
    }
}

/// Rows of cells under a heading, each column as wide as its widest cell; numbers are told from words by their column.
pub(super) fn table(heading: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].as_str()).chain([heading[column]]);
        cells.map(unicode_width::UnicodeWidthStr::width).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..heading.len()).map(width).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut line = String::new();
        for (cell, width) in cells.zip(&widths) {
            let gap = width - unicode_width::UnicodeWidthStr::width(cell);
            let _ = write!(line, "{cell}{:gap$}  ", "");
        }
        line.trim_end().to_owned() + "\n"
    };
    let mut text = line(&mut heading.iter().copied());
    for row in rows {
        text.push_str(&line(&mut row.iter().map(String::as_str)));
    }
    text
}

/// Fault by severity.
fn matrix(drill: &Drill) -> String {
    let factors: Vec<String> = drill.severities.iter().map(|factor| format!("x{factor}")).collect();
    let heading: Vec<&str> = ["fault"].into_iter().chain(factors.iter().map(String::as_str)).collect();
    let row = |row: &Row| {
        let cells = row.cells.iter().map(|cell| cell.as_ref().map_or_else(|| "-".to_owned(), in_matrix));
        [named(drill, row)].into_iter().chain(cells).collect()
    };
    let rows: Vec<Vec<String>> = drill.rows.iter().map(row).collect();
    let legend = "Runs caught of runs tried, by severity as a multiple of the fault's default; w: wrong part named in so many,\n\
                  h: not passed, but nothing proven, in so many.\n";
    format!("\n{}{legend}", table(&heading, &rows))
}

/// `20/20`, `17/20 w2 h1`.
pub(super) fn in_matrix(cell: &Cell) -> String {
    let mut text = format!("{}/{}", cell.caught, cell.tried);
    for (letter, count) in [('w', cell.named_wrong), ('h', cell.held)] {
        if count > 0 {
            let _ = write!(text, " {letter}{count}");
        }
    }
    text
}

/// A row's name; with its node where there is more than one.
pub(super) fn named(drill: &Drill, row: &Row) -> String {
    let several = drill.rows.iter().any(|other| other.node != row.node);
    if several { format!("{} @ {}", row.fault, row.node) } else { row.fault.clone() }
}

/// The column that details are told of: the default severity, or else the strongest.
pub(super) fn main_column(drill: &Drill) -> usize {
    let strongest = drill.severities.len().saturating_sub(1);
    drill.severities.iter().position(|factor| *factor == 1.0).unwrap_or(strongest)
}

fn details(drill: &Drill) -> String {
    let column = main_column(drill);
    let cells: Vec<(&Row, &Cell)> =
        drill.rows.iter().filter_map(|row| Some((row, row.cells.get(column)?.as_ref()?))).collect();
    if cells.is_empty() {
        return String::new();
    }
    let heading = ["fault", "caught", "part", "by", "step", "median", "worst"];
    let row = |(row, cell): &(&Row, &Cell)| {
        let share = format!("{}/{}", cell.caught, cell.tried);
        let mark = if drill.is_allowed(cell, true) { "" } else { " !" };
        let time = |seconds: Option<f64>| seconds.map_or_else(|| "-".to_owned(), shown);
        vec![
            named(drill, row),
            share + mark,
            part(cell),
            most(&cell.by),
            most(&cell.steps),
            time(cell.median_s),
            time(cell.worst_s),
        ]
    };
    let rows: Vec<Vec<String>> = cells.iter().map(row).collect();
    let factor = drill.severities.get(column).copied().unwrap_or(1.0);
    let of = if drill.severities.len() > 1 { format!("At severity x{factor}:\n") } else { String::new() };
    format!("\n{of}{}", table(&heading, &rows))
}

/// Of those caught, how many named the part: `20`, `18+2?` with ambiguous ones, `18 w2` with wrong ones.
fn part(cell: &Cell) -> String {
    if cell.caught == 0 {
        return "-".to_owned();
    }
    let mut text = cell.named_right.to_string();
    if cell.named_ambiguous > 0 {
        let _ = write!(text, "+{}?", cell.named_ambiguous);
    }
    if cell.named_wrong > 0 {
        let _ = write!(text, " w{}", cell.named_wrong);
    }
    text
}

/// The most frequent word, with how many others there are.
fn most(words: &[Counted]) -> String {
    match words {
        [] => "-".to_owned(),
        [only] => only.what.clone(),
        [first, rest @ ..] => format!("{} +{}", first.what, rest.len()),
    }
}

fn misses(drill: &Drill) -> String {
    let mut text = String::new();
    for fault in drill.missed_too_much() {
        let Some(cell) = &fault.row.cells[fault.column] else { continue };
        for miss in cell.misses.iter().take(MISSES_TOLD) {
            let kind = match miss.kind {
                MissKind::Escaped => "escaped",
                MissKind::Held => "held",
                MissKind::WrongComponent => "wrong part",
            };
            let given = format!("{}@{}:{}", fault.row.fault, miss.component, cell.severity);
            let _ = writeln!(
                text,
                "  {kind}: {} ({})\n    {}",
                fault.row.fault,
                miss.text,
                run_again(drill, &fault.row.node, Some(given), miss.seed)
            );
        }
        if cell.misses.len() > MISSES_TOLD {
            let _ = writeln!(text, "    and {} more", cell.misses.len() - MISSES_TOLD);
        }
    }
    if text.is_empty() { text } else { format!("\nNot caught, or the wrong part named:\n{text}") }
}

fn left_out(drill: &Drill) -> String {
    let mut text = String::new();
    for left_out in &drill.left_out {
        let _ = writeln!(text, "  {}: {}", left_out.fault, left_out.why);
    }
    if text.is_empty() { text } else { format!("\nLeft out:\n{text}") }
}

fn healthy(drill: &Drill) -> String {
    let mut text = String::new();
    for healthy in drill.healthy.iter().filter(|healthy| healthy.tried > 0) {
        let _ = writeln!(text, "  {}", healthy_line(healthy));
        for alarm in healthy.alarms.iter().take(MISSES_TOLD) {
            let _ = writeln!(
                text,
                "    {} seed {}: {}\n      {}",
                alarm.verdict.shown(),
                alarm.seed,
                alarm.why,
                run_again(drill, &healthy.node, None, alarm.seed)
            );
        }
    }
    if text.is_empty() { text } else { format!("\nHealthy nodes:\n{text}") }
}

pub(super) fn healthy_line(healthy: &Healthy) -> String {
    let mut text = format!("{}: {} false alarms", healthy.node, healthy.false_alarms);
    if healthy.without_verdict > 0 {
        let _ = write!(text, " and {} without a verdict", healthy.without_verdict);
    }
    if healthy.held > 0 {
        let _ = write!(text, " and {} held as outliers", healthy.held);
    }
    let _ = write!(
        text,
        " in {} runs of {} (95 % interval of the true share: {})",
        healthy.tried,
        shown(healthy.run_s),
        percents(healthy.interval)
    );
    text
}

fn conclusion(drill: &Drill) -> String {
    let coverage = &drill.coverage;
    let alarms: usize = drill.healthy.iter().map(|healthy| healthy.alarms.len()).sum();
    let word = if drill.is_well() { "OK" } else { "NOT OK" };
    let partial = if drill.partial { ", as far as it came" } else { "" };
    let must = drill.must.as_ref().map_or_else(String::new, |must| format!("\n{}", must_words(must)));
    format!(
        "{must}\n{word}{partial}: {}; {} escaped, {} held without proof, {} with the wrong part; {alarms} healthy runs not passed\n",
        coverage_words(coverage),
        drill.misses(MissKind::Escaped),
        drill.misses(MissKind::Held),
        drill.misses(MissKind::WrongComponent),
    )
}

/// What became of the faults that their files say must be caught.
pub(super) fn must_words(must: &Coverage) -> String {
    let share = |count: usize| percent(count as f64 / must.tried.max(1) as f64);
    format!(
        "Of the faults that a test of two hours must catch: {}, {}; with a wrong part named {}",
        coverage_words(must),
        share(must.caught),
        share(must.caught - must.named)
    )
}

/// `958 of 960 runs caught (47 of 48 faults in every run)`.
pub(super) fn coverage_words(coverage: &Coverage) -> String {
    format!(
        "{} of {} runs caught ({} of {} faults in every run)",
        coverage.caught, coverage.tried, coverage.faults_caught, coverage.faults
    )
}

/// A number of seconds as a time.
pub(super) fn shown(seconds: f64) -> String {
    short(Span::from_secs_f64(seconds.max(0.0)))
}

pub(super) fn percents(interval: Interval) -> String {
    format!("{} to {}", percent(interval.low), percent(interval.high))
}

/// `0 %`, `1.88 %`, `100 %`.
pub(super) fn percent(share: f64) -> String {
    let text = format!("{:.2}", share * 100.0);
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("{text} %")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::tests::{drill, swept};

    #[test]
    fn one_severity_is_one_table() {
        insta::assert_snapshot!(text(&drill()));
    }

    #[test]
    fn a_sweep_is_a_matrix_and_an_interrupted_drill_says_so() {
        insta::assert_snapshot!(text(&swept()));
    }

    #[test]
    fn shares_are_told_as_short_as_they_are() {
        assert_eq!([0.0, 0.01884, 1.0].map(percent), ["0 %", "1.88 %", "100 %"]);
    }
}
