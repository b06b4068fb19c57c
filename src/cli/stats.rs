//! `kiln stats`: what a lot of runs says.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::args_lot::StatsArgs;
use super::command_error::{CommandError, Sorted as _};
use super::exit_code::Exit;
use super::language::Spoken;
use super::{lots, printer};
use crate::lot::{self, Histogram, Interval, NoCapability, SIDE_MOVED, Spread, Stats};
use crate::model::Quantity;
use crate::report::{plain, stats_page};
use crate::rundir::Unread;

/// Rows of a list in the text; JSON has all.
const SHOWN: usize = 20;
/// Attempts told one by one; few units come to more.
const ATTEMPTS: usize = 5;

#[derive(Debug, Serialize)]
struct Document<'a> {
    schema: &'static str,
    profiles: Vec<Stats>,
    unread: &'a [Unread],
}

/// `kiln stats RUN..`.
pub(super) fn stats(args: &StatsArgs, spoken: Spoken) -> Result<Exit, CommandError> {
    let (mut summaries, unread) = lots::summaries(&args.runs)?;
    let known =
        summaries.iter().flat_map(|summary| summary.values.keys().iter()).map(|key| key.measurement.as_str()).collect();
    lots::check_measurements(&args.measurements, known)?;
    if !args.measurements.is_empty() {
        for summary in &mut summaries {
            summary.values.retain(|key| args.measurements.contains(&key.measurement));
        }
    }
    let profiles = lot::stats(&summaries, &args.golden);
    let document = Document { schema: "kiln.stats/1", profiles, unread: &unread };
    if let Some(path) = &args.html {
        let page = stats_page(&document.profiles, &lots::reasons(document.unread), spoken.page());
        lots::write_page(path, &page)?;
    }
    if args.json {
        printer::json(&document).no_claim()?;
    } else {
        printer::result(&text(&document)).no_claim()?;
    }
    Ok(if unread.is_empty() { Exit::Pass } else { Exit::NoClaim })
}

fn text(document: &Document<'_>) -> String {
    let mut text = String::new();
    for stats in &document.profiles {
        of_profile(stats, &mut text);
    }
    match document.unread.len() {
        0 => {}
        1 => text.push_str("1 run could not be read and is not in these figures\n"),
        unread => {
            let _ = writeln!(text, "{unread} runs could not be read and are not in these figures");
        }
    }
    text
}

fn of_profile(stats: &Stats, text: &mut String) {
    let simulated = if stats.simulated { " (SIMULATED: not of real units)" } else { "" };
    let yields = &stats.yields;
    let _ = writeln!(text, "{}{simulated}: {} runs of {} units", plain(&stats.profile), stats.runs, yields.units);
    if stats.profile_digests.len() > 1 {
        let _ = writeln!(text, "  {} forms of this revision were run", stats.profile_digests.len());
    }
    let mut left: BTreeMap<&str, usize> = BTreeMap::new();
    for one in &stats.left_out {
        *left.entry(one.why.shown()).or_default() += 1;
    }
    for (why, count) in left {
        let _ = writeln!(text, "  left out: {count} {why}");
    }
    for one in yields.attempts.iter().take(ATTEMPTS) {
        let _ = writeln!(
            text,
            "  yield at attempt {}: {} of {} ({:.1} %, 95 % interval {})",
            one.attempt,
            one.passed,
            one.units,
            one.percent,
            ends(one.interval)
        );
    }
    let _ = writeln!(
        text,
        "  yield at last: {} of {} ({:.1} %, 95 % interval {})",
        yields.passed_at_last,
        yields.units,
        yields.percent_at_last,
        ends(yields.interval_at_last)
    );
    if !stats.pareto.is_empty() {
        text.push_str("\n  findings\n");
    }
    for cause in stats.pareto.iter().take(SHOWN) {
        let places: Vec<String> =
            cause.components.iter().take(4).map(|(component, count)| format!("{component} x{count}")).collect();
        let _ = writeln!(
            text,
            "    {:28} {:5} in {:4} runs, {:4} units  {:5.1} %  {}",
            cause.code,
            cause.findings,
            cause.runs,
            cause.units,
            cause.cumulative_percent,
            places.join(", ")
        );
    }
    tell_spreads(&stats.spreads, text);
    tell_outliers(&stats.spreads, text);
    text.push('\n');
}

/// `83.4 % to 99.2 %`.
fn ends(interval: Interval) -> String {
    format!("{:.1} % to {:.1} %", 100.0 * interval.low, 100.0 * interval.high)
}

/// The histogram in a row of blocks, each as high as its share of the fullest bin.
fn blocks(histogram: &Histogram) -> String {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = histogram.counts.iter().copied().max().unwrap_or(0).max(1);
    let block = |count: &usize| if *count == 0 { ' ' } else { BLOCKS[(count * 8).div_ceil(most).clamp(1, 8) - 1] };
    histogram.counts.iter().map(block).collect()
}

/// What has a limit and varies: the rest is in the JSON.
fn tell_spreads(spreads: &[Spread], text: &mut String) {
    let (limited, still): (Vec<&Spread>, Vec<&Spread>) = spreads
        .iter()
        .filter(|spread| !matches!(spread.capability, Err(NoCapability::NoLimit)))
        .partition(|spread| spread.units < 2 || spread.min < spread.max);
    if !still.is_empty() {
        let _ = writeln!(text, "\n  {} measurements with a limit are the same on all units", still.len());
    }
    if limited.is_empty() {
        return;
    }
    text.push_str("\n  measurements with a limit, first run of every unit: 5 % to 95 %, median, capability\n");
    let width = limited.iter().map(|spread| spread.key.to_string().len()).max().unwrap_or(0);
    for spread in limited {
        let shown = |value: f64| Quantity::new(value, spread.unit).to_string();
        let capability = match &spread.capability {
            Ok(capability) => format!("Cpk {:.2} (at least {:.2})", capability.cpk, capability.at_least),
            Err(why) => format!("no Cpk: {}", why.shown()),
        };
        let _ = writeln!(
            text,
            "    {:width$}  {} to {}, {}  {capability}  |{}|{}",
            spread.key.to_string(),
            shown(spread.p5),
            shown(spread.p95),
            shown(spread.median),
            blocks(&spread.histogram),
            moved(spread)
        );
    }
}

/// Said of a chart that stays on one side of its median for too long.
fn moved(spread: &Spread) -> String {
    if spread.longest_side < SIDE_MOVED {
        return String::new();
    }
    format!("  moved: {} units in a row on one side of the median", spread.longest_side)
}

fn tell_outliers(spreads: &[Spread], text: &mut String) {
    let mut all: Vec<_> =
        spreads.iter().flat_map(|spread| spread.outliers.iter().map(move |outlier| (spread, outlier))).collect();
    if all.is_empty() {
        return;
    }
    all.sort_by(|(_, one), (_, two)| two.z.abs().total_cmp(&one.z.abs()));
    text.push_str("\n  units apart from the lot (robust z beyond 3.5)\n");
    for (spread, outlier) in all.iter().take(SHOWN) {
        let shown = |value: f64| Quantity::new(value, spread.unit).to_string();
        let _ = writeln!(
            text,
            "    {}  {}: {}, median {}, z {:+.1}",
            plain(&outlier.unit),
            spread.key,
            shown(outlier.value),
            shown(spread.median),
            outlier.z
        );
    }
    if all.len() > SHOWN {
        let _ = writeln!(text, "    and {} more, in the JSON", all.len() - SHOWN);
    }
}
