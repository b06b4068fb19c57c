//! `kiln report`: the reports of a run, rebuilt from its journal.

use std::io::{self, IsTerminal as _};

use anyhow::anyhow;

use super::args::{ReportArgs, ReportFormat};
use super::exit_code::Exit;
use super::printer;
use super::run::read_record;
use super::trouble::{Sorted as _, Trouble};
use crate::report::{self, Paint};

/// `kiln report RUN [--format …]`, `kiln report --schema`.
pub(super) fn report(args: &ReportArgs) -> Result<Exit, Trouble> {
    if args.schema {
        let schema = serde_json::to_string_pretty(&report::result_schema()).no_claim()?;
        printer::result(&schema).no_claim()?;
        return Ok(Exit::Pass);
    }
    let folder = args.run.as_deref().ok_or_else(|| anyhow!("which run? give its folder")).usage()?;
    let record = read_record(folder)?;
    let paint = Paint::for_terminal(io::stdout().is_terminal());
    match args.format {
        None => {
            report::write_files(folder, &record).no_claim()?;
            printer::result(&report::verdict_block(&record, paint)).no_claim()?;
        }
        Some(ReportFormat::Text) => printer::result(&report::verdict_block(&record, paint)).no_claim()?,
        Some(ReportFormat::Json) => printer::result(&report::result(&record)).no_claim()?,
        Some(ReportFormat::Junit) => printer::result(&report::junit(&record)).no_claim()?,
    }
    Ok(Exit::Pass)
}
