//! `kiln report`: the reports of a run, rebuilt from its journal.

use std::io::{self, IsTerminal as _};

use anyhow::anyhow;

use super::args::{ReportArgs, ReportFormat};
use super::exit_code::Exit;
use super::language::Spoken;
use super::printer;
use super::run::{read_events, read_record};
use super::trouble::{Sorted as _, Trouble};
use crate::report::{self, Paint};
use crate::seal;

/// `kiln report RUN [--format …]`, `kiln report --schema`.
pub(super) fn report(args: &ReportArgs, spoken: Spoken) -> Result<Exit, Trouble> {
    if args.schema {
        let schema = serde_json::to_string_pretty(&report::result_schema()).no_claim()?;
        printer::result(&schema).no_claim()?;
        return Ok(Exit::Pass);
    }
    let folder = args.run.as_deref().ok_or_else(|| anyhow!("which run? give its folder")).usage()?;
    if args.format == Some(ReportFormat::Html) {
        return super::html::print(folder, spoken.page());
    }
    let record = read_record(folder)?;
    let language = spoken.console();
    let paint = Paint::for_terminal(io::stdout().is_terminal());
    match args.format {
        None => {
            if seal::is_sealed(folder) {
                let error = anyhow!(
                    "the run in {} is sealed, its reports with it; print one with `--format`",
                    folder.display()
                );
                return Err(Trouble::Usage(error));
            }
            report::write_files(folder, &record).no_claim()?;
            super::parquet::write(folder).no_claim()?;
            super::html::write(folder, &record, spoken.page()).no_claim()?;
            printer::result(&report::verdict_block(&record, paint, language)).no_claim()?;
        }
        Some(ReportFormat::Text) => printer::result(&report::verdict_block(&record, paint, language)).no_claim()?,
        Some(ReportFormat::Json) => printer::result(&report::result(&record)).no_claim()?,
        Some(ReportFormat::Parquet) => super::parquet::print(folder, &read_events(folder)?)?,
        Some(ReportFormat::Html) => {}
        Some(ReportFormat::Junit) => printer::result(&report::junit(&record)).no_claim()?,
    }
    Ok(Exit::Pass)
}
