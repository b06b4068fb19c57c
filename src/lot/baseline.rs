//! A baseline from many runs: the median of every value, with how far units lie apart.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Exclusion, RunSummary, median, median_deviation};
use kiln_model::Unit;

/// The file that `of baseline` limits are held against.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// `kiln.baseline/1`.
    pub schema: String,
    /// Not of real units.
    pub simulated: bool,
    pub profiles: BTreeSet<String>,
    pub runs: Vec<String>,
    /// By `stage.step.measurement[component]`.
    pub values: BTreeMap<String, BaselineValue>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BaselineValue {
    pub median: f64,
    /// The median distance to the median.
    pub deviation: f64,
    pub runs: usize,
    pub unit: Unit,
}

impl Baseline {
    pub const SCHEMA: &'static str = "kiln.baseline/1";

    /// The numbers alone.
    pub fn numbers(&self) -> BTreeMap<String, f64> {
        self.values.iter().map(|(key, value)| (key.clone(), value.median)).collect()
    }
}

/// Of all runs that passed; the others with why they are left out.
pub fn baseline<'a>(runs: &'a [RunSummary], golden: &[String]) -> (Baseline, Vec<(&'a RunSummary, &'static str)>) {
    let hardware = runs.iter().any(|run| !run.simulated);
    let mut counted = Vec::new();
    let mut left_out = Vec::new();
    for run in runs {
        // A golden unit is what a baseline is best made of.
        let exclusion = run.exclusion(golden).filter(|why| *why != Exclusion::Golden);
        if run.simulated && hardware {
            left_out.push((run, Exclusion::Simulated.shown()));
        } else if let Some(why) = exclusion {
            left_out.push((run, why.shown()));
        } else if run.passed() {
            counted.push(run);
        } else {
            left_out.push((run, "did not pass"));
        }
    }
    let mut numbers: BTreeMap<String, (Unit, Vec<f64>)> = BTreeMap::new();
    for run in &counted {
        for (key, value) in run.values.iter() {
            numbers.entry(key.to_string()).or_insert((value.facts.unit, Vec::new())).1.push(value.number);
        }
    }
    let values = numbers.into_iter().filter_map(|(key, (unit, numbers))| {
        let (median, deviation) = (median(&numbers)?, median_deviation(&numbers)?);
        Some((key, BaselineValue { median, deviation, runs: numbers.len(), unit }))
    });
    let baseline = Baseline {
        schema: Baseline::SCHEMA.to_owned(),
        simulated: !hardware,
        profiles: counted.iter().map(|run| run.profile.clone()).collect(),
        values: values.collect(),
        runs: counted.iter().map(|run| run.run_id.clone()).collect(),
    };
    (baseline, left_out)
}
