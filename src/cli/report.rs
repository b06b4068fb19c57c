//! `kiln report`: the reports of a run, rebuilt from its journal.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;

use anyhow::{Context as _, anyhow};

use super::args::ReportArgs;
use super::command_error::{CommandError, Sorted as _};
use super::exit_code::Exit;
use super::language::Spoken;
use super::printer;
use super::run::read;
use crate::disk::{GIB, JUNIT};
use crate::report;
use crate::rundir::{self, Form, Format, Look, Run, RunDir};

/// `kiln report RUN [--format …]`, `kiln report --schema`.
pub(super) fn report(args: &ReportArgs, spoken: Spoken) -> Result<Exit, CommandError> {
    if args.schema {
        let schema = serde_json::to_string_pretty(&report::result_schema()).no_claim()?;
        printer::result(&schema).no_claim()?;
        return Ok(Exit::Pass);
    }
    let folder = args.run.as_deref().ok_or_else(|| anyhow!("which run? give its folder")).usage()?;
    let paint = printer::paint(io::stdout().is_terminal());
    let look = Look { language: spoken.console(), paint, languages: spoken.page() };
    match args.format.as_deref().map(rundir::format) {
        None => rebuild(folder, look),
        Some(Some(format)) => print(folder, format, look),
        Some(None) => Err(CommandError::Usage(anyhow!("there is no such format"))),
    }
}

/// Every report again, in place. A run that goes on is left alone.
fn rebuild(folder: &Path, look: Look) -> Result<Exit, CommandError> {
    let dir = RunDir::open(folder)?.lock()?;
    let run = dir.run()?;
    run.lacks.iter().for_each(|lack| printer::tell(lack));
    let written = dir.write_reports(&run, look)?;
    written.told.iter().for_each(|told| printer::tell(told));
    written.first_failure()?;
    printer::painted(&report::verdict_block(&run.record, look.paint, look.language)).no_claim()?;
    Ok(Exit::Pass)
}

/// `kiln resume` on a run that came to its end: the reports it was cut off in are written, and its verdict is said.
pub(super) fn finish(folder: &Path, spoken: Spoken) -> Result<Exit, CommandError> {
    let dir = RunDir::open(folder)?.lock()?;
    let run = dir.run()?;
    let Some(verdict) = run.record.verdict.clone() else { return Ok(Exit::NoClaim) };
    let shown = folder.display();
    if dir.is_sealed() || is_whole(&dir, &run)? {
        let word = verdict.word.shown();
        return Err(CommandError::Usage(anyhow!(
            "the run in {shown} is already finished: {word}; see `kiln report {shown}`"
        )));
    }
    drop((dir, run));
    let paint = printer::paint(io::stdout().is_terminal());
    let look = Look { language: spoken.console(), paint, languages: spoken.page() };
    let exit = Exit::of(&verdict);
    match rebuild(folder, look) {
        Ok(_) => {}
        Err(error) if exit != Exit::Fail => return Err(error),
        Err(error) => {
            error.tell();
        }
    }
    printer::note(&format!("the run in {shown} had come to its end; its reports were not whole and are written"));
    Ok(exit)
}

/// Whether every report is there as it would be made now.
fn is_whole(dir: &RunDir, run: &Run) -> Result<bool, CommandError> {
    let junit = dir.folder().read(JUNIT.name, GIB).ok();
    let made = rundir::rebuilt(dir, run, junit.as_deref())?;
    let as_made = |(name, variants): (&String, &Vec<Vec<u8>>)| {
        variants.is_empty() || dir.folder().read(name, GIB).is_ok_and(|found| variants.contains(&found))
    };
    Ok(made.iter().all(as_made))
}

/// One report to stdout. A form that can tell that the journal is damaged is made of what stands before the damage.
fn print(folder: &Path, format: &dyn Format, look: Look) -> Result<Exit, CommandError> {
    if format.form() == Form::Binary && io::stdout().is_terminal() {
        let name = format.name();
        return Err(CommandError::Usage(anyhow!(
            "`{name}` is not for a terminal; send it to a file: `… --format {name} > telemetry.{name}`"
        )));
    }
    let (dir, run) = if format.tells_damage() {
        let dir = RunDir::open(folder)?;
        let run = dir.sound_run()?;
        run.lacks.iter().for_each(|lack| printer::tell(lack));
        (dir, run)
    } else {
        read(folder)?
    };
    let view = dir.view(&run, look)?;
    let cannot = || format!("the run in {} cannot be told as `{}`", folder.display(), format.name());
    if format.form() == Form::Binary {
        // Not locked: the writer wants to be sent between threads.
        let mut out = io::stdout();
        format.write(&view, &mut out).with_context(cannot).no_claim()?;
        out.flush().no_claim()?;
    } else {
        let mut text = Vec::new();
        format.write(&view, &mut text).with_context(cannot).no_claim()?;
        let text = String::from_utf8_lossy(&text);
        match format.form() {
            Form::Exact => printer::exactly(&text).no_claim()?,
            _ if format.name() == "text" => printer::painted(&text).no_claim()?,
            _ => printer::document(&text).no_claim()?,
        }
    }
    view.told().iter().for_each(|told| printer::tell(told));
    Ok(if run.sound { Exit::Pass } else { Exit::NoClaim })
}
