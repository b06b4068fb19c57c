//! `kiln lot`: facts of a lot from runs that passed, and units held against them; `kiln msa`: how well measurements repeat.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, anyhow};
use serde::Serialize;

use super::args_lot::{LotBuildArgs, LotCommand, LotJudgeArgs, MsaArgs};
use super::command_error::{CommandError, Sorted as _};
use super::exit_code::Exit;
use super::{lots, printer};
use crate::disk;
use crate::lot::{
    Exclusion, GaugeStudies, GaugeStudy, LEAST_UNITS, Member, Members, Outside, PartAverages, Peers, Standing,
    UnitValues, gauge_studies,
};

/// The most that is read of a lot's facts.
const MOST: u64 = 64 * disk::MIB;
/// Values told of one unit, and shifts told of a lot.
const TOLD: usize = 5;

/// `kiln lot build` and `kiln lot judge`.
pub(super) fn lot(command: &LotCommand) -> Result<Exit, CommandError> {
    match command {
        LotCommand::Build(args) => build(args),
        LotCommand::Judge(args) => judge(args),
    }
}

fn read(runs: &[std::path::PathBuf]) -> Result<Vec<UnitValues>, CommandError> {
    let mut units = lots::units(runs)?;
    if units.iter().any(|unit| !unit.simulated) {
        for unit in units.extract_if(.., |unit| unit.simulated) {
            printer::tell(&format!("left out: {}: {}", unit.run_id, Exclusion::Simulated.shown()));
        }
    }
    Ok(units)
}

fn build(args: &LotBuildArgs) -> Result<Exit, CommandError> {
    if !(args.budget > 0.0 && args.budget <= 50.0) {
        return Err(CommandError::Usage(anyhow!(
            "`--budget {}` is no share: write more than 0 and at most 50",
            args.budget
        )));
    }
    let units = read(&args.runs)?;
    let members = if args.by_design { Members::AndAwaiting } else { Members::Passed };
    let facts = PartAverages::of(&units, members, args.budget);
    let awaiting = awaiting(&units);
    if facts.units == 0 {
        let help = if awaiting.is_empty() { "" } else { "; those that await a lot count with `--by-design`" };
        return Err(CommandError::NoClaim(anyhow!(
            "none of these runs passed: there is nothing to make a lot of{help}"
        )));
    }
    lots::put_document(args.out.as_deref(), &facts)?;
    printer::note(&format!(
        "facts of {} values from {} units; a unit is held from {:.1} robust sigmas on, for {} % of good units",
        facts.averages.len(),
        facts.units,
        facts.sigmas,
        facts.budget_percent
    ));
    for (value, units) in awaiting {
        printer::tell(&if args.by_design {
            format!("{value}: {units} units missed its limit; their middle is taken for the design of the chassis")
        } else {
            format!("{value}: {units} units missed its limit and count with `--by-design` alone")
        });
    }
    if facts.units < LEAST_UNITS {
        printer::tell(&format!(
            "a first lot: fewer than {LEAST_UNITS} units say nothing of the next; they were judged by physics and their siblings alone"
        ));
    }
    Ok(Exit::Pass)
}

/// By limit, how many units missed it and await what a lot says of it.
fn awaiting(units: &[UnitValues]) -> BTreeMap<&str, usize> {
    let mut awaiting = BTreeMap::new();
    for unit in units {
        let Member::AwaitsItsLot(values) = &unit.member else { continue };
        for value in values {
            *awaiting.entry(value.as_str()).or_default() += 1;
        }
    }
    awaiting
}

/// What is told of one unit.
#[derive(Serialize)]
struct Judged<'a> {
    run_id: &'a str,
    serial: &'a str,
    standing: Standing,
}

#[derive(Serialize)]
struct Moved {
    peers: Peers,
    sigmas: f64,
}

#[derive(Serialize)]
struct Answer<'a> {
    schema: &'static str,
    simulated: bool,
    units: Vec<Judged<'a>>,
    moved: Vec<Moved>,
}

fn judge(args: &LotJudgeArgs) -> Result<Exit, CommandError> {
    let facts = facts(&args.lot)?;
    let units = read(&args.runs)?;
    if units.is_empty() {
        return Err(CommandError::NoClaim(anyhow!("there is no run to judge")));
    }
    let judged: Vec<Judged<'_>> = units
        .iter()
        .map(|unit| Judged { run_id: &unit.run_id, serial: &unit.serial, standing: facts.judge(unit) })
        .collect();
    // One unit's middle is itself.
    let moved = if units.len() < LEAST_UNITS { Vec::new() } else { facts.moved(&units) };
    let moved: Vec<Moved> = moved.into_iter().map(|(peers, sigmas)| Moved { peers, sigmas }).collect();
    let held = judged.iter().any(|one| matches!(one.standing, Standing::Held { .. }));
    let unknown = judged.iter().any(|one| matches!(one.standing, Standing::Unknown | Standing::Incomplete { .. }));
    let exit = match (held, unknown) {
        (true, _) => Exit::NoClaim,
        (false, true) => Exit::Nothing,
        (false, false) => Exit::Pass,
    };
    if args.json {
        let answer = Answer { schema: "kiln.lot-judgement/1", simulated: facts.simulated, units: judged, moved };
        printer::json(&answer).no_claim()?;
    } else {
        printer::result(&told(&judged, &moved, &facts)).no_claim()?;
    }
    Ok(exit)
}

fn facts(path: &Path) -> Result<PartAverages, CommandError> {
    let wrong = || format!("cannot read the lot {}", path.display());
    let bytes = disk::read(path, MOST).with_context(wrong).usage()?;
    let facts: PartAverages = serde_json::from_slice(&bytes).with_context(wrong).usage()?;
    if facts.schema == PartAverages::SCHEMA {
        return Ok(facts);
    }
    let error = anyhow!("{} is `{}`, and this version reads `{}`", path.display(), facts.schema, PartAverages::SCHEMA);
    Err(CommandError::Usage(error))
}

fn told(judged: &[Judged<'_>], moved: &[Moved], facts: &PartAverages) -> String {
    let mut text = String::new();
    if facts.simulated {
        text.push_str("SIMULATED: the lot is of simulated nodes\n");
    }
    for one in judged {
        let _ = match &one.standing {
            Standing::Inside { values } => {
                writeln!(text, "INSIDE   {}  {values} values like those of its lot", one.serial)
            }
            Standing::Incomplete { values, lacking } => {
                writeln!(
                    text,
                    "UNKNOWN  {}  {values} values like those of its lot, and {lacking} that its like have were not measured",
                    one.serial
                )
            }
            Standing::Unknown => {
                writeln!(
                    text,
                    "UNKNOWN  {}  no {LEAST_UNITS} units like it: judged by physics and its siblings alone",
                    one.serial
                )
            }
            Standing::Held { outside } => {
                let _ = writeln!(
                    text,
                    "HELD     {}  an outlier of its lot in {} values; not proven bad",
                    one.serial,
                    outside.len()
                );
                outside.iter().take(TOLD).for_each(|value| text.push_str(&line(value)));
                Ok(())
            }
        };
    }
    for shift in moved.iter().take(TOLD) {
        let Peers { place, value, .. } = &shift.peers;
        let _ = writeln!(
            text,
            "LOT OFF  {value} of {place}: the lot's middle lies {:+.1} sigmas from that of the lots before",
            shift.sigmas
        );
    }
    if moved.len() > TOLD {
        let _ = writeln!(text, "         and {} more values", moved.len() - TOLD);
    }
    let held = judged.iter().filter(|one| matches!(one.standing, Standing::Held { .. })).count();
    let _ = writeln!(text, "{held} of {} units held", judged.len());
    text
}

fn line(value: &Outside) -> String {
    let Peers { place, value: name, .. } = &value.peers;
    let (unit, sigmas) = (value.unit, value.sigmas);
    format!(
        "         {place}  {name} {:.4} {unit}, {sigmas:+.1} sigmas; its lot lies within {:.4} to {:.4} {unit}\n",
        value.value, value.low, value.high
    )
}

/// `kiln msa RUN..`.
pub(super) fn msa(args: &MsaArgs) -> Result<Exit, CommandError> {
    let units = read(&args.runs)?;
    let simulated = units.iter().any(|unit| unit.simulated);
    let studies = gauge_studies(&units);
    if studies.is_empty() {
        let error = anyhow!("no unit was run twice on one station: run the same units again, with the same --station");
        return Err(CommandError::NoClaim(error));
    }
    if args.json {
        printer::json(&GaugeStudies { simulated, studies, schema: GaugeStudies::SCHEMA.to_owned() }).no_claim()?;
    } else {
        let first = if simulated { "SIMULATED: these are runs of simulated nodes\n" } else { "" };
        printer::result(&format!("{first}{}", studies_text(&studies))).no_claim()?;
    }
    Ok(Exit::Pass)
}

fn studies_text(studies: &[GaugeStudy]) -> String {
    let mut text = String::from(
        "Gauge study: standard deviations. A limit has to stand off its guard band; a gauge of over 30 % sorts by chance.\n",
    );
    for study in studies {
        let stations = study.reproducibility.map_or_else(|| "one station".to_owned(), |sigma| format!("{sigma:.4}"));
        let _ = writeln!(
            text,
            "{}: mean {:.4} {unit}, repeats {:.4}, stations {stations}, units {:.4}, gauge {:.0} %, guard band {:.4} {unit} ({} parts, {} readings)",
            study.value,
            study.mean,
            study.repeatability,
            study.between_units,
            study.share_percent,
            study.guard_band,
            study.parts,
            study.readings,
            unit = study.unit,
        );
    }
    text
}
