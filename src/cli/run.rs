//! `kiln run` and `kiln resume`: wiring of profile, node, engine, journal and reports into one run.

#![expect(
    clippy::cast_possible_truncation,
    reason = "values are bounded where they are made, within the narrower type"
)]

use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};

use super::against::Against;
use super::args::{ResumeArgs, RunArgs, YesNo};
use super::command_error::{CommandError, Sorted as _};
use super::drive::Prompter;
use super::dut::{self, Chosen};
use super::exit_code::Exit;
use super::language::Spoken;
use super::signals::Interrupts;
use super::{drive, files, logging, printer, skus};
use crate::check;
use crate::engine::{Equipment, Machine, Refusal};
use crate::event::{Envelope, NodeSource, Operation, RunKind, RunRecord, RunStart, Surroundings, ToolVersion, roll_up};
use crate::journal::Journal;
use crate::model::GpuSet;
use crate::node::NodeLock;
use crate::plan;
use crate::profile::{Deviation, Profile, Skus};
use crate::report::{self, Paint};
use crate::rundir::{Look, Progress, Recorder, Run, RunDir, Settings, read_baseline};

/// `kiln run`.
pub(super) fn run(args: &RunArgs, spoken: Spoken) -> Result<Exit, CommandError> {
    let signals = listen(spoken)?;
    let skus = skus::of_profile(&args.profile)?;
    let file = files::find_profile(&args.profile)?;
    let sets = files::sets(&args.sets)?;
    let profile = files::resolve(&file, &skus, &sets, args.only.as_deref())?;
    let profile = with_gpus(profile, args.gpus.as_ref());
    let warnings = files::warnings(&file, &skus, &sets, args.baseline.is_some())?;
    if !warnings.is_empty() {
        printer::tell(&warnings);
    }
    let pace = drive::pace(args.sim_speed)?;
    let run_id = args.run_id.clone().map_or_else(|| uuid::Uuid::now_v7().to_string(), String::from);
    let folder =
        args.out.clone().unwrap_or_else(|| args.runs.clone().unwrap_or_else(|| PathBuf::from("runs")).join(&run_id));
    if RunDir::is_run(&folder) {
        let error = anyhow!(
            "{} holds a run already; give every run a directory of its own, or take this one up with `kiln resume`",
            folder.display()
        );
        return Err(CommandError::Usage(error));
    }
    let mut chosen = if args.node.sim.is_some() || args.node.replay.is_some() {
        dut::choose(&args.node)?
    } else {
        dut::hardware(&args.node.hardware, args.sim_speed.unwrap_or(1.0), args.inject)?
    }
    .narrowed(&profile);
    let digest = profile.digest();
    let (mut profile, mut operation) = (profile, operation(args));
    let parts = args.parts.as_deref().map(super::parts::read).transpose()?;
    if let Some(parts) = &parts {
        parts
            .apply(&mut profile)
            .with_context(|| format!("{}", args.parts.as_deref().unwrap_or(Path::new("")).display()))
            .usage()?;
        compared(&profile, args.only.as_deref())?;
        operation.serial = one_of("serial number", operation.serial, parts.serial.clone())?;
        operation.order = one_of("order", operation.order, parts.order.clone())?;
    }
    let baseline = args.baseline.as_deref().map(read_baseline).transpose()?.unwrap_or_default();
    let against = Against::read(args.lot.as_deref(), args.guard_bands.as_deref(), &profile)?;
    against.fits(&chosen.source)?;
    let start = RunStart {
        run_id,
        tool: ToolVersion { name: "kiln".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() },
        kind: RunKind::of(&profile, args.inject.is_some()),
        source: chosen.source.clone(),
        source_digest: chosen.digest.clone(),
        surroundings: chosen.surroundings.clone(),
        operation,
        seed: args.node.seed,
        // The digest of what the profile asks for, whatever the node and the selection.
        profile_digest: digest,
        profile: with_surroundings(profile, chosen.surroundings.as_ref()),
        parts,
        sku_digests: skus::own_digests(&skus),
        baseline,
        lot: against.lot,
        guard_bands: against.guard_bands.unwrap_or_default(),
        junit: args.junit.into(),
    };
    let _node = lock_node(&chosen, &folder)?;
    let machine = Machine::new(equipment(&skus), start, args.only.clone());
    let voice = Voice { answer: args.answer, spoken, streaming: args.ocptv.is_some() };
    conduct(machine, &mut chosen, Destination::New(folder), pace, voice, &signals)
}

/// Refuses a parts list that no step of the run would compare with.
fn compared(profile: &Profile, only: Option<&str>) -> Result<(), CommandError> {
    let Some(only) = only else { return Ok(()) };
    let selected = |stage: &str, path: &str| {
        only.split(',').map(str::trim).any(|one| plan::matches_glob(one, stage) || plan::matches_glob(one, path))
    };
    let steps = profile.stages.iter().flat_map(|stage| stage.steps.iter().map(move |step| (stage.id.as_str(), step)));
    let comparing: Vec<(&str, String)> = steps
        .filter(|(_, step)| step.check == "inventory.match")
        .map(|(stage, step)| (stage, format!("{stage}.{}", step.id)))
        .collect();
    match comparing.first() {
        Some((_, first)) if !comparing.iter().any(|(stage, path)| selected(stage, path)) => {
            Err(CommandError::Usage(anyhow!(
                "`--only {only}` leaves out every step that compares the parts list; write `--only {only},{first}`, or leave --parts out"
            )))
        }
        _ => Ok(()),
    }
}

fn operation(args: &RunArgs) -> Operation {
    Operation {
        serial: args.serial.clone(),
        station: args.station.clone(),
        operator: args.operator.clone(),
        order: args.order.clone(),
    }
}

/// Merges what was typed with the parts list; the two must agree if both give a value.
fn one_of(what: &str, typed: Option<String>, listed: Option<String>) -> Result<Option<String>, CommandError> {
    match (typed, listed) {
        (Some(typed), Some(listed)) if typed != listed => Err(CommandError::Usage(anyhow!(
            "the {what} typed is `{typed}`, and the parts list is for `{listed}`; take the list of this unit"
        ))),
        (typed, listed) => Ok(typed.or(listed)),
    }
}

/// `kiln resume`.
pub(super) fn resume(args: &ResumeArgs, spoken: Spoken) -> Result<Exit, CommandError> {
    let signals = listen(spoken)?;
    let skus = skus::known()?;
    let durability = drive::durability(args.sim_speed.is_none());
    let (journal, read) = Journal::open_for_resume(&args.run, durability).no_claim()?;
    if let Some(torn) = &read.torn {
        printer::tell(&torn.to_string());
    }
    let record = RunRecord::of(&read.events);
    if record.verdict.is_some() {
        // Release its lock: the reports are written under a lock of their own.
        drop(journal);
        return super::report::finish(&args.run, spoken);
    }
    let Some(start) = record.start.clone() else {
        return Err(CommandError::Usage(anyhow!(
            "the run in {} had not begun; start it anew with `kiln run`",
            args.run.display()
        )));
    };
    let planned = record.plan.iter().flat_map(|plan| &plan.skus);
    if let Some((_, unknown)) = planned.into_iter().find(|(_, id)| skus.by_id(id).is_none()) {
        return Err(CommandError::Usage(anyhow!(
            "the run was begun with facts about `{unknown}`, which is not built in; give the folder of its SKU file with --skus"
        )));
    }
    skus::same_facts(&start.sku_digests, &skus)?;
    let pace = drive::pace(args.sim_speed)?;
    let chosen = match &start.source {
        NodeSource::Hardware | NodeSource::StandIn { .. } => {
            dut::hardware(&args.hardware, args.sim_speed.unwrap_or(1.0), None)?
        }
        NodeSource::Simulated { node, seed, faults, spread } => {
            dut::simulated(node, *seed, faults, *spread, record.restarts.len() as u32)?
        }
        NodeSource::Replayed { file } => {
            return Err(CommandError::Usage(anyhow!("a replay of {file} is not resumed; start it anew")));
        }
    };
    if chosen.source != start.source {
        let error = anyhow!("this run was on other GPUs: {:?}, and here are {:?}", start.source, chosen.source);
        return Err(CommandError::Usage(error));
    }
    // Older journals do not record this.
    if let Some(then) = &start.surroundings
        && chosen.surroundings.as_ref() != Some(then)
    {
        let now = chosen.surroundings.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string);
        let error = anyhow!("this run was begun with {then}, and here is {now}; resume it as it was begun");
        return Err(CommandError::Usage(error));
    }
    let mut chosen = chosen.narrowed(&start.profile);
    let equipment = equipment(&skus);
    let _node = lock_node(&chosen, &args.run)?;
    let machine = Machine::resume(equipment, record, chosen.digest.clone())
        .ok_or_else(|| anyhow!("the journal in {} does not begin with the start of a run", args.run.display()))
        .no_claim()?;
    let destination = Destination::Open(args.run.clone(), Box::new(journal), read.events);
    let voice = Voice { answer: args.answer, spoken, streaming: args.ocptv.is_some() };
    conduct(machine, &mut chosen, destination, pace, voice, &signals)
}

/// Notes a deviation if only some of the GPUs are tested.
fn with_gpus(mut profile: Profile, gpus: Option<&GpuSet>) -> Profile {
    profile.deviations.extend(gpus.map(|gpus| Deviation::Gpus { chosen: gpus.clone() }));
    profile
}

/// Notes a deviation if libraries or folders other than the usual ones are used; this counts as much as `--set`.
fn with_surroundings(mut profile: Profile, surroundings: Option<&Surroundings>) -> Profile {
    let changed = surroundings.iter().flat_map(|surroundings| &surroundings.changed);
    let deviation =
        |(name, value): (&String, &String)| Deviation::Surroundings { name: name.clone(), value: value.clone() };
    profile.deviations.extend(changed.map(deviation));
    profile
}

/// Locks real GPUs against other runs. A simulated node or a stand-in needs no lock.
fn lock_node(chosen: &Chosen, folder: &Path) -> Result<Option<NodeLock>, CommandError> {
    chosen.source.is_hardware().then(|| NodeLock::take(folder)).transpose().no_claim()
}

/// Starts to listen for interrupts, and says what each of them does.
fn listen(spoken: Spoken) -> Result<Interrupts, CommandError> {
    let language = spoken.console();
    Interrupts::listen(move |signal| printer::tell(report::signalled(language, signal)))
}

pub(super) fn equipment(skus: &Skus) -> Equipment<'_> {
    Equipment { skus, catalogue: check::catalogue(), find_check: check::find }
}

/// Where the run is written.
enum Destination {
    /// A folder to create when the run begins.
    New(PathBuf),
    /// A folder with an open journal, and the events in it.
    Open(PathBuf, Box<Journal>, Vec<Envelope>),
}

impl Destination {
    fn folder(&self) -> &Path {
        match self {
            Self::New(folder) | Self::Open(folder, ..) => folder,
        }
    }
}

/// How a run asks and reports.
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
    destination: Destination,
    pace: Option<crate::engine::drive::Pace>,
    Voice { answer, spoken, streaming }: Voice,
    signals: &Interrupts,
) -> Result<Exit, CommandError> {
    let folder = destination.folder().to_path_buf();
    logging::in_folder(&folder);
    let durability = drive::durability(drive::in_virtual_time(&chosen.source, pace));
    let settings = Settings {
        folder: folder.clone(),
        durability,
        look: Look { language: spoken.console(), paint: Paint::Plain, languages: spoken.page() },
        clock: drive::monotonic,
        progress: if printer::is_quiet() { Progress::Hidden } else { Progress::Shown },
        stream: streaming.then_some(printer::exactly as fn(&str) -> io::Result<()>),
    };
    let mut recorder = match destination {
        Destination::New(_) => Recorder::new(settings),
        Destination::Open(_, journal, events) => Recorder::over(settings, *journal, &events)?,
    };
    let prompter = Prompter { answer, language: spoken.console() };
    let driven = drive::drive(&mut machine, chosen, &mut recorder, pace, prompter, signals);
    recorder.clear();
    if let Some(refusal) = machine.refusal() {
        let error = anyhow!(refusal.clone());
        // A missing inventory is a problem of the driver or of this program; all other refusals are mistakes of the user.
        let ours = matches!(refusal, Refusal::Inventory(_) | Refusal::StillUp { .. });
        return Err(if ours { CommandError::NoClaim(error) } else { CommandError::Usage(error) });
    }
    let record = machine.record();
    let verdict = record.verdict.clone().unwrap_or_else(|| roll_up(record));
    let leaves = driven.is_ok() && record.open_restart().is_some();
    let exit = if leaves { Exit::Restarting } else { Exit::of(&verdict) };
    // Write every report that can be written, whatever went wrong before.
    let written = recorder.close(record);
    written.told.iter().for_each(|told| printer::tell(told));
    let written = driven.map_err(anyhow::Error::from).and_then(|()| Ok(written.first_failure()?));
    // Announce a pass only if the run can be read back. Announce proof against the unit in any case.
    let said = if leaves {
        printer::note(&report::restarts(spoken.console(), &folder));
        Ok(())
    } else if written.is_ok() || exit != Exit::Pass {
        say(record, spoken, streaming)
    } else {
        Ok(())
    };
    if record.start.is_some() {
        printer::note(&report::files_are(spoken.console(), &folder));
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

/// Prints the verdict of the run.
fn say(record: &RunRecord, spoken: Spoken, streaming: bool) -> anyhow::Result<()> {
    if record.start.is_none() {
        return Ok(());
    }
    if streaming {
        // Standard output belongs to the stream, which ends with the same verdict.
        let paint = printer::paint(io::stderr().is_terminal());
        printer::tell_painted(report::verdict_block(record, paint, spoken.console()).trim_end());
        return Ok(());
    }
    let paint = printer::paint(io::stdout().is_terminal());
    Ok(printer::painted(&report::verdict_block(record, paint, spoken.console()))?)
}

/// Reads a run back, and says what its journal lacks.
pub(super) fn read(folder: &Path) -> Result<(RunDir, Run), CommandError> {
    let dir = RunDir::open(folder)?;
    let run = dir.run()?;
    run.lacks.iter().for_each(|lack| printer::tell(lack));
    Ok((dir, run))
}
