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
use crate::event::{Envelope, NodeSource, Operation, RunKind, RunRecord, RunStart, ToolVersion, concluded, roll_up};
use crate::journal::{self, Journal};
use crate::profile::Skus;
use crate::report::{self, Paint};
use crate::seal;

/// `kiln run`.
pub(super) fn run(args: &RunArgs, spoken: Spoken) -> Result<Exit, Trouble> {
    let skus = files::skus()?;
    let file = files::find_profile(&args.profile)?;
    let sets = files::sets(&args.sets)?;
    let profile = files::resolve(&file, &skus, &sets, args.only.as_deref())?;
    let warnings = files::warnings(&file, &skus, &sets, args.baseline.is_some())?;
    if !warnings.is_empty() {
        printer::tell(&warnings);
    }
    let pace = drive::pace(args.sim_speed)?;
    let mut chosen = if args.node.sim.is_some() || args.node.replay.is_some() {
        station::choose(&args.node)?
    } else {
        station::hardware(&args.node.hardware, args.sim_speed.unwrap_or(1.0), args.inject)?
    };
    let baseline = args.baseline.as_deref().map(super::baseline::read).transpose()?.unwrap_or_default();
    let run_id = uuid::Uuid::now_v7().to_string();
    let folder = args.out.clone().unwrap_or_else(|| PathBuf::from("runs").join(&run_id));
    let start = RunStart {
        run_id,
        tool: ToolVersion { name: "kiln".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() },
        kind: RunKind::of(&profile, args.inject.is_some()),
        source: chosen.source.clone(),
        source_digest: chosen.digest.clone(),
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
        junit: args.junit.into(),
    };
    let machine = Machine::new(equipment(&skus), start, args.only.clone());
    let voice = Voice { answer: args.answer, spoken, streaming: args.ocptv.is_some() };
    conduct(machine, &mut chosen, Place::New(folder), pace, voice)
}

/// `kiln resume`.
pub(super) fn resume(args: &ResumeArgs, spoken: Spoken) -> Result<Exit, Trouble> {
    let skus = files::skus()?;
    let durability = drive::durability(args.sim_speed.is_none());
    let (journal, read) = Journal::open_for_resume(&args.run, durability).no_claim()?;
    if let Some(torn) = &read.torn {
        printer::tell(&torn_text(torn));
    }
    let record = RunRecord::of(&read.events);
    if record.verdict.is_some() {
        return super::report::finish(&args.run, &record, &read.events, spoken);
    }
    let Some(start) = record.start.clone() else {
        return Err(Trouble::Usage(anyhow!(
            "the run in {} had not begun; start it anew with `kiln run`",
            args.run.display()
        )));
    };
    let pace = drive::pace(args.sim_speed)?;
    let mut chosen = match &start.source {
        NodeSource::Hardware | NodeSource::StandIn { .. } => {
            station::hardware(&args.hardware, args.sim_speed.unwrap_or(1.0), None)?
        }
        NodeSource::Simulated { node, seed, faults } => station::simulated(node, *seed, faults)?,
        NodeSource::Replayed { file } => {
            return Err(Trouble::Usage(anyhow!("a replay of {file} is not resumed; start it anew")));
        }
    };
    if chosen.source != start.source {
        let error = anyhow!("this run was on other GPUs: {:?}, and here are {:?}", start.source, chosen.source);
        return Err(Trouble::Usage(error));
    }
    let equipment = equipment(&skus);
    let machine = Machine::resume(equipment, record, chosen.digest.clone())
        .ok_or_else(|| anyhow!("the journal in {} does not begin with the start of a run", args.run.display()))
        .no_claim()?;
    let place = Place::Open(args.run.clone(), Box::new(journal), read.events);
    let voice = Voice { answer: args.answer, spoken, streaming: args.ocptv.is_some() };
    conduct(machine, &mut chosen, place, pace, voice)
}

pub(super) fn equipment(skus: &Skus) -> Equipment<'_> {
    Equipment { skus, catalogue: check::catalogue(), find_check: check::find }
}

/// Where the run is written.
enum Place {
    /// A folder to make once the run begins.
    New(PathBuf),
    /// A folder with an open journal, and what it holds.
    Open(PathBuf, Box<Journal>, Vec<Envelope>),
}

impl Place {
    fn folder(&self) -> &Path {
        match self {
            Self::New(folder) | Self::Open(folder, ..) => folder,
        }
    }
}

/// How a run speaks and is spoken to.
#[derive(Debug, Clone, Copy)]
struct Voice {
    answer: Option<YesNo>,
    spoken: Spoken,
    /// Whether stdout carries OCPTV lines.
    streaming: bool,
}

fn conduct(
    mut machine: Machine<'_>,
    chosen: &mut Chosen,
    place: Place,
    pace: Option<crate::engine::drive::Pace>,
    Voice { answer, spoken, streaming }: Voice,
) -> Result<Exit, Trouble> {
    let folder = place.folder().to_path_buf();
    let durability = drive::durability(drive::in_virtual_time(&chosen.source, pace));
    let mut recorder = match place {
        Place::New(folder) => Recorder::new(folder, durability, spoken, streaming),
        Place::Open(folder, journal, events) => {
            Recorder::over(folder, durability, spoken, *journal, &events, streaming).no_claim()?
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
    let whole = driven.is_ok() && record.verdict.is_some();
    let closed = recorder.close(whole);
    let written = driven.map_err(anyhow::Error::from).and(closed);
    let exit = Exit::of(&verdict);
    // A pass is said only once it can be read again. What was proven is said whatever became of our disk.
    let said = if written.is_ok() || exit != Exit::Pass { say(record, spoken, streaming) } else { Ok(()) };
    if record.start.is_some() {
        printer::tell(&report::files_are(spoken.console(), &folder));
    }
    let written = written.with_context(|| format!("the run could not be written to {}", folder.display()));
    let said = said.context("the result could not be written to stdout");
    let mut told = true;
    for error in [written, said].into_iter().filter_map(Result::err) {
        printer::error(&error);
        told = false;
    }
    Ok(if told || exit == Exit::Fail { exit } else { Exit::NoClaim })
}

/// Says what came of the run.
fn say(record: &RunRecord, spoken: Spoken, streaming: bool) -> anyhow::Result<()> {
    if record.start.is_none() {
        return Ok(());
    }
    if streaming {
        // The stream has stdout to itself and ends with the same verdict.
        let paint = Paint::for_terminal(io::stderr().is_terminal());
        printer::tell(report::verdict_block(record, paint, spoken.console()).trim_end());
        return Ok(());
    }
    let paint = Paint::for_terminal(io::stdout().is_terminal());
    Ok(printer::result(&report::verdict_block(record, paint, spoken.console()))?)
}

/// Reads a run's journal back.
pub(super) fn read_record(folder: &Path) -> Result<RunRecord, Trouble> {
    Ok(RunRecord::of(&read_events(folder)?))
}

/// Reads the events of a run back. A journal that is not what its run's seal says, or whose verdict does
/// not follow from its cases, is refused.
pub(super) fn read_events(folder: &Path) -> Result<Vec<crate::event::Envelope>, Trouble> {
    if !folder.exists() {
        return Err(Trouble::Usage(anyhow!("there is no run {}: no such folder", folder.display())));
    }
    seal::check_file(folder, journal::FILE_NAME)?;
    let read = journal::read(folder).no_claim()?;
    if let Some(torn) = &read.torn {
        printer::tell(&torn_text(torn));
    }
    if read.events.is_empty() {
        // Reports made from nothing would replace those of a run.
        let error =
            anyhow!("the journal in {} holds not one whole event: there is no run to tell of", folder.display());
        return Err(Trouble::NoClaim(error));
    }
    concluded(&RunRecord::of(&read.events)).with_context(|| folder.display().to_string()).no_claim()?;
    Ok(read.events)
}

pub(super) fn torn_text(torn: &journal::Torn) -> String {
    format!(
        "the last record of the journal, line {} at byte {}, was torn off after {} bytes and is left out",
        torn.line, torn.offset, torn.bytes
    )
}
