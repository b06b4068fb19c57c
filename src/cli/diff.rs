//! `kiln diff`: two runs, or two units, side by side.

use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;

use super::args_lot::DiffArgs;
use super::command_error::{CommandError, Sorted as _};
use super::exit_code::Exit;
use super::language::Spoken;
use super::rejudge::judged;
use super::run::read;
use super::{lots, printer};
use crate::event::{RunRecord, Verdict, roll_up};
use crate::lot::{self, Difference, RunSummary};
use crate::report::{Compared, Language, diff_page, plain, shown};

#[derive(Debug, Serialize)]
struct Document {
    schema: &'static str,
    a: Head,
    b: Head,
    differences: Vec<Difference>,
}

/// Which run a side is.
#[derive(Debug, Serialize)]
struct Head {
    run: String,
    run_id: String,
    serial: Option<String>,
    profile: String,
    profile_digest: String,
    simulated: bool,
    verdict: Verdict,
    findings: Vec<String>,
    /// Why it ended before its last step, if it did.
    ended: Vec<String>,
}

/// `kiln diff A B`.
pub(super) fn diff(args: &DiffArgs, spoken: Spoken) -> Result<Exit, CommandError> {
    let ((dir_a, a), (dir_b, b)) = (read(&args.a)?, read(&args.b)?);
    let (a, b) = (a.record, b.record);
    let mut differences = lot::differences(&a, &b);
    let known = differences.iter().map(|one| one.key.measurement.as_str()).collect();
    lots::check_measurements(&args.measurements, known)?;
    differences.retain(|one| args.measurements.is_empty() || args.measurements.contains(&one.key.measurement));
    if let Some(path) = &args.html {
        let (names, traces) = (
            [&args.a, &args.b].map(|folder| folder.display().to_string()),
            [dir_a.telemetry()?.traces(&a), dir_b.telemetry()?.traces(&b)],
        );
        let side = |name, record, traces| Compared { name, record, traces };
        let (left, right) = (side(&names[0], &a, &traces[0]), side(&names[1], &b, &traces[1]));
        lots::write_page(path, &diff_page(left, right, &differences, spoken.page()))?;
    }
    let document = Document { schema: "kiln.diff/1", a: head(&args.a, &a), b: head(&args.b, &b), differences };
    if args.json {
        printer::json(&document).no_claim()?;
    } else {
        printer::result(&text(&document, args.all)).no_claim()?;
    }
    Ok(Exit::Pass)
}

fn head(folder: &Path, record: &RunRecord) -> Head {
    let summary = RunSummary::of(record);
    let findings = record.findings.iter().map(|finding| format!("{} on {}", finding.code, finding.component));
    Head {
        run: folder.display().to_string(),
        run_id: summary.as_ref().map(|summary| summary.run_id.clone()).unwrap_or_default(),
        serial: summary.as_ref().and_then(|summary| summary.serial.clone()),
        profile: summary.as_ref().map(|summary| summary.profile.clone()).unwrap_or_default(),
        profile_digest: summary.as_ref().map(|summary| summary.profile_digest.clone()).unwrap_or_default(),
        simulated: summary.is_none_or(|summary| summary.simulated),
        verdict: record.verdict.clone().unwrap_or_else(|| roll_up(record)),
        findings: findings.collect(),
        ended: ended(record),
    }
}

/// Guards that stopped something and steps of the plan that were not reached: why one side has fewer values.
fn ended(record: &RunRecord) -> Vec<String> {
    let at = |at| crate::model::format_span(at);
    let mut ended: Vec<String> = record
        .trips
        .iter()
        .map(|(moment, trip)| {
            let passed = at(moment.since(crate::model::Moment::ZERO));
            format!("guard {} tripped on {} after {passed}", trip.guard, trip.component)
        })
        .collect();
    let planned = record.plan.iter().flat_map(|plan| &plan.stages).flat_map(|stage| &stage.steps);
    let missed: Vec<&str> = planned
        .map(|step| step.path.as_str())
        .filter(|path| record.steps.iter().all(|step| step.key.path != *path))
        .collect();
    if let Some(last) = record.steps.last().filter(|_| !missed.is_empty()) {
        ended.push(format!("ended at {}; not reached: {}", last.key.path, missed.join(", ")));
    }
    ended
}

fn text(document: &Document, all: bool) -> String {
    let mut text = String::new();
    for (name, head) in [("A", &document.a), ("B", &document.b)] {
        let simulated = if head.simulated { " (SIMULATED)" } else { "" };
        let serial = head.serial.as_deref().unwrap_or("no serial number");
        let (run, profile, verdict) = (&head.run, &head.profile, head.verdict.word.shown());
        let _ = writeln!(text, "{name}  {run}: {verdict}{simulated}, {}, {profile}", plain(serial));
        for finding in &head.findings {
            let _ = writeln!(text, "   {finding}");
        }
        for ended in &head.ended {
            let _ = writeln!(text, "   {ended}");
        }
    }
    if document.a.profile_digest != document.b.profile_digest {
        text.push_str("the profiles are not the same: limits and parameters may differ\n");
    }
    let (both, single): (Vec<_>, Vec<_>) = document.differences.iter().partition(|one| one.is_in_both());
    let (otherwise, alike): (Vec<_>, Vec<_>) = both.into_iter().partition(|one| one.is_judged_otherwise());
    let mut rest: Vec<&Difference> = alike.into_iter().filter(|one| all || one.differs()).collect();
    // The largest share first; what has none by name.
    let share = |one: &Difference| one.percent.map_or(-1.0, f64::abs);
    rest.sort_by(|one, two| share(two).total_cmp(&share(one)).then_with(|| one.key.cmp(&two.key)));
    tell("\njudged otherwise", &otherwise, &mut text);
    tell(if all { "\njudged alike" } else { "\njudged alike, other values" }, &rest, &mut text);
    let (only_a, only_b): (Vec<_>, Vec<_>) = single.into_iter().partition(|one| one.a.is_some());
    for (name, rows) in [("A", only_a), ("B", only_b)] {
        if all {
            tell(&format!("\nonly in {name}"), &rows, &mut text);
        } else if !rows.is_empty() {
            let _ = writeln!(text, "\nonly in {name}: {} values; --all lists them", rows.len());
        }
    }
    text
}

fn tell(title: &str, rows: &[&Difference], text: &mut String) {
    let _ = writeln!(text, "{title}: {}", if rows.is_empty() { "none".to_owned() } else { rows.len().to_string() });
    let side = |side: &Option<lot::Side>| {
        let told = side.as_ref().map(|side| {
            format!("{} ({})", plain(&shown(Language::English, &side.measurement)), judged(Some(&side.outcome)))
        });
        told.unwrap_or_else(|| "-".to_owned())
    };
    let cells: Vec<[String; 4]> = rows
        .iter()
        .map(|row| {
            let percent = row.percent.map_or_else(String::new, |percent| format!("{percent:+.2} %"));
            [row.key.to_string(), side(&row.a), side(&row.b), percent]
        })
        .collect();
    let width = |column: usize| {
        cells.iter().map(|row| unicode_width::UnicodeWidthStr::width(row[column].as_str())).max().unwrap_or(0)
    };
    let widths = [width(0), width(1), width(2)];
    for row in &cells {
        let mut line = String::from(" ");
        for (cell, width) in row.iter().zip(widths) {
            let padding = width.saturating_sub(unicode_width::UnicodeWidthStr::width(cell.as_str()));
            let _ = write!(line, " {cell}{:padding$} ", "");
        }
        let _ = writeln!(text, "{}", format!("{line} {}", row[3]).trim_end());
    }
}
