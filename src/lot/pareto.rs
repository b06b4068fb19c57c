//! Which findings make up most of what goes wrong.

#![expect(clippy::cast_precision_loss, reason = "counts and nanoseconds become floats for statistics, far below 2^53")]

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::RunSummary;
use kiln_model::Component;

/// One finding code over all runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cause {
    pub code: String,
    /// Runs that have it at least once.
    pub runs: usize,
    pub units: usize,
    pub findings: usize,
    /// Share of all findings up to and with this one.
    pub cumulative_percent: f64,
    /// How often where, most often first.
    pub components: Vec<(Component, usize)>,
}

#[derive(Debug, Default)]
struct Count<'a> {
    runs: BTreeSet<&'a str>,
    units: BTreeSet<&'a str>,
    components: BTreeMap<Component, usize>,
}

/// Most frequent first; of the same frequency by code.
pub fn pareto(runs: &[&RunSummary]) -> Vec<Cause> {
    let mut counts: BTreeMap<&str, Count<'_>> = BTreeMap::new();
    for run in runs {
        for (code, component) in &run.findings {
            let count = counts.entry(code).or_default();
            count.runs.insert(&run.run_id);
            count.units.insert(run.unit());
            *count.components.entry(*component).or_default() += 1;
        }
    }
    let total: usize = counts.values().flat_map(|count| count.components.values()).sum();
    let mut causes: Vec<Cause> = counts.into_iter().map(|(code, count)| cause(code, count)).collect();
    causes.sort_by(|one, two| two.findings.cmp(&one.findings).then_with(|| one.code.cmp(&two.code)));
    let mut sum = 0;
    for cause in &mut causes {
        sum += cause.findings;
        cause.cumulative_percent = 100.0 * sum as f64 / total as f64;
    }
    causes
}

fn cause(code: &str, count: Count<'_>) -> Cause {
    let mut components: Vec<_> = count.components.into_iter().collect();
    components.sort_by_key(|(component, count)| (std::cmp::Reverse(*count), *component));
    Cause {
        code: code.to_owned(),
        runs: count.runs.len(),
        units: count.units.len(),
        findings: components.iter().map(|(_, count)| count).sum(),
        cumulative_percent: 0.0,
        components,
    }
}
