//! Yield: how many units passed at their first run, at their second, and at last.

#![expect(clippy::cast_precision_loss, reason = "counts and nanoseconds become floats for statistics, far below 2^53")]

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Interval, RunSummary, wilson_95};

/// Of one attempt: all units that came to it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AttemptYield {
    /// From 1.
    pub attempt: usize,
    pub units: usize,
    pub passed: usize,
    pub percent: f64,
    /// 95 % Wilson interval of the true share.
    pub interval: Interval,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Yields {
    pub units: usize,
    pub attempts: Vec<AttemptYield>,
    /// Units whose last run passed.
    pub passed_at_last: usize,
    pub percent_at_last: f64,
    /// 95 % Wilson interval of the true share.
    pub interval_at_last: Interval,
}

/// The runs of every unit, in the order they were begun.
pub(super) fn by_unit<'a>(runs: &[&'a RunSummary]) -> BTreeMap<&'a str, Vec<&'a RunSummary>> {
    let mut units: BTreeMap<&str, Vec<&RunSummary>> = BTreeMap::new();
    for run in runs {
        units.entry(run.unit()).or_default().push(run);
    }
    for runs in units.values_mut() {
        runs.sort_by(|one, two| (one.started, &one.run_id).cmp(&(two.started, &two.run_id)));
    }
    units
}

fn percent(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { 100.0 * part as f64 / whole as f64 }
}

/// Over runs that count. ERROR and INCONCLUSIVE have not passed.
pub fn yields(runs: &[&RunSummary]) -> Yields {
    let units = by_unit(runs);
    let most = units.values().map(Vec::len).max().unwrap_or(0);
    let attempts = (0..most).map(|attempt| {
        let at: Vec<&&RunSummary> = units.values().filter_map(|runs| runs.get(attempt)).collect();
        let passed = at.iter().filter(|run| run.passed()).count();
        AttemptYield {
            attempt: attempt + 1,
            units: at.len(),
            passed,
            percent: percent(passed, at.len()),
            interval: wilson_95(passed, at.len()),
        }
    });
    let passed_at_last = units.values().filter(|runs| runs.last().is_some_and(|run| run.passed())).count();
    Yields {
        units: units.len(),
        attempts: attempts.collect(),
        passed_at_last,
        percent_at_last: percent(passed_at_last, units.len()),
        interval_at_last: wilson_95(passed_at_last, units.len()),
    }
}
