//! What `--baseline` names: a file of `kiln baseline`, or an earlier run.

use std::collections::BTreeMap;
use std::path::Path;

use super::error::RunDirError;
use super::run_dir::RunDir;
use kiln_disk::{self as disk, MIB};
use kiln_lot::{Baseline, RunSummary};

/// Size limit of a baseline file: thousands of values take a few hundred kilobytes.
const MOST: u64 = 64 * MIB;

/// Reads the values of a baseline file, or those of the last round of every step of a run: `stage.step.measurement[component]` to
/// value.
pub fn read_baseline(path: &Path) -> Result<BTreeMap<String, f64>, RunDirError> {
    if path.is_dir() || !path.exists() {
        let summary = RunSummary::of(&RunDir::open(path)?.record()?);
        let values = summary.map(|summary| summary.values).unwrap_or_default();
        return Ok(values.iter().map(|(key, value)| (key.to_string(), value.number)).collect());
    }
    let wrong =
        |source: Box<dyn std::error::Error + Send + Sync>| RunDirError::NotABaseline { path: path.to_owned(), source };
    let text = disk::read(path, MOST).map_err(|error| wrong(error.into()))?;
    let baseline: Baseline = serde_json::from_slice(&text).map_err(|error| wrong(error.into()))?;
    if baseline.schema != Baseline::SCHEMA {
        let told = format!("it is `{}`, and this version reads `{}`", baseline.schema, Baseline::SCHEMA);
        return Err(wrong(told.into()));
    }
    Ok(baseline.numbers())
}
