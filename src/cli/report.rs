//! `kiln report`: the reports of a run, rebuilt from its journal.

use std::fs;
use std::io::{self, IsTerminal as _};
use std::path::Path;

use anyhow::anyhow;

use super::args::{ReportArgs, ReportFormat};
use super::exit_code::Exit;
use super::language::Spoken;
use super::printer;
use super::run::read_events;
use super::trouble::{Sorted as _, Trouble};
use crate::event::{Envelope, RunRecord, concluded};
use crate::report::{self, Junit, Paint};
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
    let events = read_events(folder)?;
    let record = RunRecord::of(&events);
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
            rebuild(folder, &record, &events, spoken)?;
            printer::result(&report::verdict_block(&record, paint, language)).no_claim()?;
        }
        Some(ReportFormat::Text) => printer::result(&report::verdict_block(&record, paint, language)).no_claim()?,
        Some(ReportFormat::Json) => printer::result(&report::result(&record)).no_claim()?,
        Some(ReportFormat::Html) => {}
        Some(ReportFormat::Parquet) => super::parquet::print(folder, &events)?,
        Some(ReportFormat::Junit) => printer::result(&report::junit(&record, Junit::Strict)).no_claim()?,
        Some(ReportFormat::JunitRich) => {
            printer::result(&report::junit(&record, Junit::Rich { folder })).no_claim()?;
        }
        Some(ReportFormat::Ocptv) => printer::exactly(&report::ocptv(&events)).no_claim()?,
        Some(ReportFormat::Csv) => printer::exactly(&report::csv(&record)).no_claim()?,
        Some(ReportFormat::Rows) => printer::exactly(&report::json_rows(&record)).no_claim()?,
        Some(ReportFormat::Dcgm3Json) => printer::result(&report::dcgm3(&record)).no_claim()?,
        Some(ReportFormat::DcgmJson) => printer::result(&report::dcgm(&record)).no_claim()?,
    }
    Ok(Exit::Pass)
}

/// Writes every report into the run's directory. The page is the last: where it is, the others are.
fn rebuild(folder: &Path, record: &RunRecord, events: &[Envelope], spoken: Spoken) -> Result<(), Trouble> {
    report::write_files(folder, record).no_claim()?;
    report::write_ocptv(folder, events).no_claim()?;
    super::parquet::write(folder).no_claim()?;
    super::html::write(folder, record, spoken.page()).no_claim()
}

/// `kiln resume` on a run that came to its end: the reports it was cut off in are written, and its verdict is said.
pub(super) fn finish(folder: &Path, record: &RunRecord, events: &[Envelope], spoken: Spoken) -> Result<Exit, Trouble> {
    concluded(record).no_claim()?;
    let Some(verdict) = &record.verdict else { return Ok(Exit::NoClaim) };
    let shown = folder.display();
    let reports = folder.join("result.json");
    let told = fs::read_to_string(&reports).is_ok_and(|text| text == report::result(record));
    if seal::is_sealed(folder) || (told && super::html::is_newer_than(folder, &reports)) {
        let word = verdict.word.shown();
        return Err(Trouble::Usage(anyhow!(
            "the run in {shown} is already finished: {word}; see `kiln report {shown}`"
        )));
    }
    rebuild(folder, record, events, spoken)?;
    printer::tell(&format!("the run in {shown} had come to its end; its reports were not whole and are written"));
    let paint = Paint::for_terminal(io::stdout().is_terminal());
    let said = printer::result(&report::verdict_block(record, paint, spoken.console()));
    match said {
        Err(error) if Exit::of(verdict) != Exit::Fail => Err(error).no_claim(),
        _ => Ok(Exit::of(verdict)),
    }
}
