//! Pages: readings handed from the telemetry to the report, and files written whole or not at all.

use std::fs;
use std::path::Path;

use anyhow::Context as _;

use super::exit_code::Exit;
use super::printer;
use super::trouble::{Sorted as _, Trouble};
use crate::event::{RunRecord, concluded};
use crate::report::{self, Languages, Traces};
use crate::telemetry::{self, Reader, TelemetryError};
use crate::{journal, seal};

/// The page inside a run directory.
const FILE_NAME: &str = "report.html";

/// `kiln report RUN --format html`. A damaged journal still gives a page of what stands before the damage, which says so;
/// altered files of a sealed run give none.
pub(super) fn print(folder: &Path, languages: Languages) -> Result<Exit, Trouble> {
    seal::check_file(folder, journal::FILE_NAME)?;
    let (read, wrong) = journal::read_sound(folder).no_claim()?;
    let mut lacks = Vec::new();
    if let Some(torn) = &read.torn {
        lacks.push(super::run::torn_text(torn));
    }
    let whole = wrong.is_none();
    lacks.extend(wrong.map(|wrong| format!("{:#}", anyhow::Error::from(wrong))));
    for lack in &lacks {
        printer::tell(lack);
    }
    let record = RunRecord::of(&read.events);
    concluded(&record).with_context(|| folder.display().to_string()).no_claim()?;
    let traces = traces(folder, &record)?;
    printer::result(&report::run_page(&record, &traces, &lacks, languages)).no_claim()?;
    Ok(if whole { Exit::Pass } else { Exit::NoClaim })
}

/// Whether the page was written after the other reports were.
pub(super) fn is_newer_than(folder: &Path, other: &Path) -> bool {
    let written = |path: &Path| fs::metadata(path).and_then(|about| about.modified()).ok();
    written(&folder.join(FILE_NAME)).zip(written(other)).is_some_and(|(page, other)| page >= other)
}

/// Writes `report.html` of a run into its directory.
pub(super) fn write(folder: &Path, record: &RunRecord, languages: Languages) -> anyhow::Result<()> {
    let traces = read(folder, record);
    replace(&folder.join(FILE_NAME), &report::run_page(record, &traces, &[], languages))
}

/// Writes a page, or leaves what was there.
pub(super) fn replace(path: &Path, page: &str) -> anyhow::Result<()> {
    let told = || format!("cannot write {}", path.display());
    let part = path.with_extension("html.part");
    fs::write(&part, page).with_context(told)?;
    fs::rename(&part, path).with_context(told)
}

/// The readings of a run over time. A sealed run whose telemetry was altered is refused.
pub(super) fn traces(folder: &Path, record: &RunRecord) -> Result<Traces, Trouble> {
    let file = format!("{}/{}", telemetry::FOLDER, telemetry::FILE_NAME);
    if folder.join(&file).exists() {
        seal::check_file(folder, &file)?;
    }
    Ok(read(folder, record))
}

/// What is missing is told, in the page as well, and left at that.
fn read(folder: &Path, record: &RunRecord) -> Traces {
    let mut traces = Traces::of(record);
    if let Err(error) = fill(&mut traces, folder) {
        traces.gap(format!("telemetry: {:#}", anyhow::Error::from(error)));
    }
    traces
}

fn fill(traces: &mut Traces, folder: &Path) -> Result<(), TelemetryError> {
    let mut reader = Reader::open(folder)?;
    while let Some(block) = reader.next_block()? {
        for gpu in &block.gpus {
            traces.take(gpu.gpu, &gpu.at, |sensor| gpu.column(sensor));
        }
    }
    for gap in reader.gaps() {
        traces.gap(format!("telemetry: {gap}"));
    }
    Ok(())
}
