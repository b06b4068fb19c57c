//! `kiln baseline`, and reading what `--baseline` names: such a file, or an earlier run.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, anyhow};

use super::args_lot::BaselineArgs;
use super::exit_code::Exit;
use super::language::Spoken;
use super::run::read_record;
use super::trouble::{Sorted as _, Trouble};
use super::{html, printer, runs};
use crate::event::RunRecord;
use crate::lot::{self, Baseline, Outing};
use crate::report::baseline_page;

/// `kiln baseline RUN..`.
pub(super) fn baseline(args: &BaselineArgs, spoken: Spoken) -> Result<Exit, Trouble> {
    let found = runs::read(&runs::folders(&args.runs)?, |events| {
        Outing::of(&RunRecord::of(events)).ok_or_else(|| "the run had not begun".to_owned())
    });
    runs::tell_unread(&found.unread);
    let outings: Vec<Outing> = found.runs.into_iter().map(|(_, outing)| outing).collect();
    let (baseline, left_out) = lot::baseline(&outings, &[]);
    let left_out: Vec<(String, String)> = left_out
        .into_iter()
        .map(|(outing, why)| (format!("{} of {}", outing.run_id, outing.unit()), why.to_owned()))
        .collect();
    for (run, why) in &left_out {
        printer::tell(&format!("left out: {run}: {why}"));
    }
    if baseline.runs.is_empty() {
        return Err(Trouble::NoClaim(anyhow!("none of these runs passed: there is nothing to make a baseline of")));
    }
    if let Some(path) = &args.html {
        html::replace(path, &baseline_page(&baseline, &left_out, spoken.page())).no_claim()?;
    }
    let mut text = serde_json::to_string_pretty(&baseline).no_claim()?;
    text.push('\n');
    match &args.out {
        None => printer::result(&text).no_claim()?,
        Some(path) => fs::write(path, text).with_context(|| format!("cannot write {}", path.display())).no_claim()?,
    }
    printer::tell(&format!("a baseline of {} values from {} runs", baseline.values.len(), baseline.runs.len()));
    Ok(Exit::Pass)
}

/// The numbers of a baseline file, or of the last round of every step of a run: `stage.step.measurement[component]` to
/// value.
pub(super) fn read(path: &Path) -> Result<BTreeMap<String, f64>, Trouble> {
    if !path.is_file() {
        let outing = Outing::of(&read_record(path)?);
        let values = outing.map(|outing| outing.values).unwrap_or_default();
        return Ok(values.into_iter().map(|(key, value)| (key.to_string(), value.number)).collect());
    }
    let told = || format!("{} is no baseline", path.display());
    let text = fs::read(path).with_context(told).usage()?;
    let baseline: Baseline = serde_json::from_slice(&text).with_context(told).usage()?;
    if baseline.schema != Baseline::SCHEMA {
        let error = anyhow!("it is `{}`, and this version reads `{}`", baseline.schema, Baseline::SCHEMA);
        return Err(error).with_context(told).usage();
    }
    Ok(baseline.numbers())
}
