//! `kiln run` and `kiln resume`: wiring of profile, node, engine, journal and reports into one run.

use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};

use super::args::{ResumeArgs, RunArgs, YesNo};
use super::drive::Prompter;
use super::exit_code::Exit;
use super::language::Spoken;
use super::recorder::Recorder;
use super::station::{self, Chosen};
use super::trouble::{Sorted as _, Trouble};
use super::{drive, files, printer};
use crate::check;
use crate::engine::{Equipment, Machine};
use crate::event::{NodeSource, Operation, RunKind, RunStart, ToolVersion, roll_up};
use crate::journal::{self, Journal};
use crate::profile::Skus;
use crate::report::{self, Paint};
use crate::seal;

/// `kiln run`.
pub(super) fn run(args: &RunArgs, spoken: Spoken) -> Result<Exit, Trouble> {
    let skus = files::skus()?;
    let file = files::find_profile(&args.profile)?;
    let profile = files::resolve(&file, &skus, &files::sets(&args.sets)?, args.only.as_deref())?;
    let mut chosen = station::choose(&args.node)?;
    let pace = drive::pace(args.sim_speed)?;
    let baseline = args.baseline.as_deref().map(super::baseline::read).transpose()?.unwrap_or_default();
    let run_id = uuid::Uuid::now_v7().to_string();
    let folder = args.out.clone().unwrap_or_else(|| PathBuf::from("runs").join(&run_id));
    let start = RunStart {
        run_id,
        tool: ToolVersion { name: "kiln".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() },
        kind: if args.only.is_some() { RunKind::Partial } else { RunKind::Production },
        source: chosen.source.clone(),
        operation: Operation {
            serial: args.serial.clone(),
            station: args.station.clone(),
            operator: args.operator.clone(),
            order: args.order.clone(),
        },
        seed: args.node.seed,
        profile_digest: profile.digest(),
        profile,
        baseline,
    };
    let machine = Machine::new(equipment(&skus), start, args.only.clone());
    conduct(machine, &mut chosen, Place::New(folder), pace, (args.answer, spoken))
}

/// `kiln resume`.
pub(super) fn resume(args: &ResumeArgs, spoken: Spoken) -> Result<Exit, Trouble> {
    let skus = files::skus()?;
    let durability = drive::durability(args.sim_speed.is_none());
    let (journal, read) = Journal::open_for_resume(&args.run, durability).no_claim()?;
    if let Some(torn) = &read.torn {
        printer::tell(&torn_text(torn));
    }
    let record = crate::event::RunRecord::of(&read.events);
    if let Some(verdict) = &record.verdict {
        return Err(Trouble::Usage(anyhow!(
            "the run in {} is already finished: {}; see `kiln report {}`",
            args.run.display(),
            verdict.word.shown(),
            args.run.display()
        )));
    }
    let Some(start) = record.start.clone() else {
        return Err(Trouble::Usage(anyhow!(
            "the run in {} had not begun; start it anew with `kiln run`",
            args.run.display()
        )));
    };
    let mut chosen = match &start.source {
        NodeSource::Hardware => station::hardware()?,
        NodeSource::Simulated { node, seed, faults } => station::simulated(node, *seed, faults)?,
        NodeSource::Replayed { file } => {
            return Err(Trouble::Usage(anyhow!("a replay of {file} is not resumed; start it anew")));
        }
    };
    let pace = drive::pace(args.sim_speed)?;
    let equipment = equipment(&skus);
    let machine = Machine::resume(equipment, record)
        .ok_or_else(|| anyhow!("the journal in {} does not begin with the start of a run", args.run.display()))
        .no_claim()?;
    conduct(machine, &mut chosen, Place::Open(args.run.clone(), Box::new(journal)), pace, (args.answer, spoken))
}

pub(super) fn equipment(skus: &Skus) -> Equipment<'_> {
    Equipment { skus, catalogue: check::catalogue(), find_check: check::find }
}

/// Where the run is written.
enum Place {
    /// A folder to make once the run begins.
    New(PathBuf),
    /// A folder with an open journal.
    Open(PathBuf, Box<Journal>),
}

impl Place {
    fn folder(&self) -> &Path {
        match self {
            Self::New(folder) | Self::Open(folder, _) => folder,
        }
    }
}

fn conduct(
    mut machine: Machine<'_>,
    chosen: &mut Chosen,
    place: Place,
    pace: Option<crate::engine::drive::Pace>,
    (answer, spoken): (Option<YesNo>, Spoken),
) -> Result<Exit, Trouble> {
    let folder = place.folder().to_path_buf();
    let durability = drive::durability(chosen.source != NodeSource::Hardware && pace.is_none());
    let mut recorder = match place {
        Place::New(folder) => Recorder::new(folder, durability, spoken),
        Place::Open(folder, journal) => {
            Recorder::over(folder, durability, spoken, *journal, machine.record().clone()).no_claim()?
        }
    };
    let driven =
        drive::drive(&mut machine, chosen, &mut recorder, pace, Prompter { answer, language: spoken.console() });
    recorder.clear();
    if let Some(refusal) = machine.refusal() {
        return Err(Trouble::Usage(anyhow!(refusal.clone())));
    }
    let record = machine.record();
    let verdict = record.verdict.clone().unwrap_or_else(|| roll_up(record));
    if record.start.is_some() {
        let paint = Paint::for_terminal(io::stdout().is_terminal());
        printer::result(&report::verdict_block(record, paint, spoken.console())).no_claim()?;
        printer::tell(&report::files_are(spoken.console(), &folder));
    }
    let whole = driven.is_ok() && record.verdict.is_some();
    let closed = driven.map_err(anyhow::Error::from).and_then(|()| recorder.close(whole));
    match closed.with_context(|| format!("the run could not be written to {}", folder.display())) {
        Ok(()) => Ok(Exit::of(&verdict)),
        Err(error) => {
            printer::error(&error);
            // A failure that was proven stays proven, whatever became of our disk.
            Ok(if Exit::of(&verdict) == Exit::Fail { Exit::Fail } else { Exit::NoClaim })
        }
    }
}

/// Reads a run's journal back.
pub(super) fn read_record(folder: &Path) -> Result<crate::event::RunRecord, Trouble> {
    Ok(crate::event::RunRecord::of(&read_events(folder)?))
}

/// Reads the events of a run back. A journal that is not what its run's seal says is refused.
pub(super) fn read_events(folder: &Path) -> Result<Vec<crate::event::Envelope>, Trouble> {
    seal::check_file(folder, journal::FILE_NAME)?;
    let read = journal::read(folder).no_claim()?;
    if let Some(torn) = &read.torn {
        printer::tell(&torn_text(torn));
    }
    Ok(read.events)
}

pub(super) fn torn_text(torn: &journal::Torn) -> String {
    format!(
        "the last record of the journal, line {} at byte {}, was torn off after {} bytes and is left out",
        torn.line, torn.offset, torn.bytes
    )
}
