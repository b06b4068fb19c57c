//! `kiln baseline`: the file that `of baseline` limits are held against, made from runs that passed.

use anyhow::anyhow;

use super::args_lot::BaselineArgs;
use super::command_error::CommandError;
use super::exit_code::Exit;
use super::language::Spoken;
use super::{lots, printer};
use crate::lot;
use crate::report::baseline_page;

/// `kiln baseline RUN..`.
pub(super) fn baseline(args: &BaselineArgs, spoken: Spoken) -> Result<Exit, CommandError> {
    let (summaries, _) = lots::summaries(&args.runs)?;
    let (baseline, left_out) = lot::baseline(&summaries, &[]);
    let left_out: Vec<(String, String)> = left_out
        .into_iter()
        .map(|(summary, why)| (format!("{} of {}", summary.run_id, summary.unit()), why.to_owned()))
        .collect();
    for (run, why) in &left_out {
        printer::tell(&format!("left out: {run}: {why}"));
    }
    if baseline.runs.is_empty() {
        return Err(CommandError::NoClaim(anyhow!(
            "none of these runs passed: there is nothing to make a baseline of"
        )));
    }
    if let Some(path) = &args.html {
        lots::write_page(path, &baseline_page(&baseline, &left_out, spoken.page()))?;
    }
    lots::put_document(args.out.as_deref(), &baseline)?;
    printer::note(&format!("a baseline of {} values from {} runs", baseline.values.len(), baseline.runs.len()));
    Ok(Exit::Pass)
}
