//! `kiln baseline`: the file that `of baseline` limits are held against, made from runs that passed.

use anyhow::{Context as _, anyhow};

use super::args_lot::BaselineArgs;
use super::exit_code::Exit;
use super::language::Spoken;
use super::trouble::{Sorted as _, Trouble};
use super::{lots, printer};
use crate::disk;
use crate::event::RunRecord;
use crate::lot::{self, Outing};
use crate::report::baseline_page;
use crate::rundir::{read_many, run_folders};

/// `kiln baseline RUN..`.
pub(super) fn baseline(args: &BaselineArgs, spoken: Spoken) -> Result<Exit, Trouble> {
    let found = read_many(&run_folders(&args.runs)?, |events| {
        Outing::of(&RunRecord::of(events)).ok_or_else(|| "the run had not begun".to_owned())
    });
    lots::tell_unread(&found.unread);
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
        lots::write_page(path, &baseline_page(&baseline, &left_out, spoken.page()))?;
    }
    let mut text = serde_json::to_string_pretty(&baseline).no_claim()?;
    text.push('\n');
    match &args.out {
        None => printer::result(&text).no_claim()?,
        Some(path) => disk::replace(path, text.as_bytes())
            .with_context(|| format!("cannot write {}", path.display()))
            .no_claim()?,
    }
    printer::tell(&format!("a baseline of {} values from {} runs", baseline.values.len(), baseline.runs.len()));
    Ok(Exit::Pass)
}
