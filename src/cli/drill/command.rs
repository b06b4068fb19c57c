//! `kiln drill`: from arguments to runs, from runs to a matrix.

#![expect(
    clippy::cast_possible_truncation,
    reason = "values are bounded where they are made, within the narrower type"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::anyhow;

use super::bench::Bench;
use super::faults::{self, Chosen};
use super::nodes::{self, DrillNode};
use super::output::Held;
use super::progress::Progress;
use super::trials::{self, Job, Placed, Range};
use super::{again, interrupt, lots, output, pool, shorten};
use crate::cli::args::DrillArgs;
use crate::cli::command_error::CommandError;
use crate::cli::exit_code::Exit;
use crate::cli::language::Spoken;
use crate::cli::{drive, files, skus};
use crate::drill::{
    Allowed, Coverage, Curve, DRILL_SCHEMA, Drill, Ending, Healthy, HealthyRun, LeftOut, LeftOutWhy, Row, Trial, tune,
};
use crate::model::WallTime;
use crate::profile::{Profile, Skus};

/// A profile with what is drilled of it, ready to run.
struct Prepared {
    asked: String,
    profile: Profile,
    skus: Skus,
    nodes: Vec<DrillNode>,
    chosen: Vec<Chosen>,
    left_out: Vec<LeftOut>,
}

/// `kiln drill`.
pub(in crate::cli) fn drill(args: &DrillArgs, spoken: Spoken) -> Result<Exit, CommandError> {
    let factors = factors(&args.severity)?;
    if let Some(budget) = args.tune.filter(|budget| !(*budget > 0.0 && *budget <= 50.0)) {
        let error = anyhow!("`--tune {budget}` is no share: write more than 0 and at most 50");
        return Err(CommandError::Usage(error));
    }
    // A mistake in the last profile is told before the first one runs.
    let all: Vec<Prepared> =
        args.profiles.iter().map(|asked| prepare(args, asked, &factors)).collect::<Result<_, _>>()?;
    let stop = interrupt::listen()?;
    // Six digits are easily typed again, and enough that two drills hardly ever share their runs.
    let fresh = || drive::now().as_nanosecond().unsigned_abs() as u64 / 1000 % 1_000_000;
    let first_seed = args.first_seed.unwrap_or_else(fresh);
    let epoch = drive::now();
    let mut drills = Vec::new();
    let mut written = true;
    for prepared in all {
        let folder = folder(args, &prepared.profile.id);
        let (drill, held) = conduct(args, prepared, (epoch, &stop), (&factors, first_seed), &folder)?;
        output::tell(&drill)?;
        written &= output::write(&folder, &drill, &held, spoken.page().first());
        drills.push(drill);
        if stop.load(Ordering::Relaxed) {
            break;
        }
    }
    if drills.len() > 1 {
        output::compare(&drills)?;
    }
    Ok(match (stop.load(Ordering::Relaxed), drills.iter().all(Drill::is_well), written) {
        (true, ..) => Exit::Aborted,
        (_, false, _) => Exit::Fail,
        (_, true, true) => Exit::Pass,
        (_, true, false) => Exit::NoClaim,
    })
}

fn prepare(args: &DrillArgs, asked: &str, factors: &[f64]) -> Result<Prepared, CommandError> {
    let skus = skus::of_profile(asked)?;
    let file = files::find_profile(asked)?;
    let profile = files::resolve(&file, &skus, &files::sets(&args.sets)?, None)?;
    let nodes = nodes::find((&args.sims, args.spread), &profile, &skus)?;
    for node in &nodes {
        node.check(&profile, &skus)?;
    }
    let (chosen, left_out) = faults::choose(faults::find(&args.faults)?, factors, &nodes)?;
    Ok(Prepared { asked: asked.to_owned(), profile, skus, nodes, chosen, left_out })
}

/// Where the files of one drill go: several drills get a folder each.
fn folder(args: &DrillArgs, id: &str) -> PathBuf {
    match &args.out {
        Some(folder) if args.profiles.len() == 1 => folder.clone(),
        Some(folder) => folder.join(id),
        None => PathBuf::from("drills").join(id),
    }
}

fn conduct(
    args: &DrillArgs,
    prepared: Prepared,
    (epoch, stop): (WallTime, &AtomicBool),
    (factors, first_seed): (&[f64], u64),
    folder: &Path,
) -> Result<(Drill, Held), CommandError> {
    let Prepared { asked, profile, skus, nodes, chosen, left_out } = prepared;
    let threads = args.jobs.unwrap_or_else(pool::all_cores);
    let mut bench = Bench { skus: &skus, epoch, parts_list: !args.no_parts_list, lots: BTreeMap::new(), stop };
    let lots = lots::gather(&bench, &profile, &nodes, (args.lot, first_seed), threads);
    bench.lots = lots.iter().map(|(node, lot)| (node.clone(), lots::facts(lot, &profile))).collect();
    let bench = &bench;
    let range = Range { profile: &profile, nodes: &nodes, chosen: &chosen, factors, tuned: args.tune.is_some() };
    let jobs = trials::jobs(&range, first_seed, args.seeds, args.healthy);
    let mut progress = Progress::new("drill", jobs.len());
    let work = |job: &Job| trials::work(bench, &range, *job);
    let results = pool::spread(&jobs, threads, bench.stop, work, || progress.step());
    progress.end();
    let (all, healthy, looks) = trials::sorted(&jobs, results);
    let done = all.len() + healthy.len();
    let (absent, trials): (Vec<Placed>, Vec<Placed>) =
        all.into_iter().partition(|(_, _, trial)| trial.ending == Ending::NeverThere);
    let left_out = left_out.into_iter().chain(never_there(&range, &absent)).collect();
    let told = told(args, &range, (jobs.len(), done), &trials, &healthy);
    let lot = bench.lots.values().map(|lot| lot.units).min();
    let tuning = args.tune.map(|budget| tune(&looks.healthy, &looks.faulty, budget));
    let files = lots::files(&lots);
    let named = |(node, file): (&String, &String)| (node.clone(), folder.join(file).display().to_string());
    let lot_files = lots.keys().zip(&files).map(named).collect();
    let run_options = again::options(args, &profile);
    let mut drill = Drill { asked, left_out, first_seed, lot, lot_files, tuning, run_options, ..told };
    let parts = again::parts_lists(&mut drill, (&nodes, &profile), folder)?;
    if args.shorten && !drill.partial {
        // Interrupted on the way, the matrix is whole all the same.
        drill.shortening = shorten::shorten(bench, &range, &trials, threads);
    }
    Ok((drill, Held { lots: files.into_iter().zip(lots.into_values()).collect(), parts }))
}

/// Severities as multiples of the default, each once, weakest first.
fn factors(typed: &[f64]) -> Result<Vec<f64>, CommandError> {
    if let Some(wrong) = typed.iter().find(|factor| !(factor.is_finite() && **factor > 0.0)) {
        return Err(CommandError::Usage(anyhow!("`--severity {wrong}` is not a positive number")));
    }
    let mut factors = typed.to_vec();
    factors.sort_by(f64::total_cmp);
    factors.dedup();
    Ok(factors)
}

/// Faults that waited in vain, each with in how many runs.
fn never_there(range: &Range<'_>, absent: &[Placed]) -> Vec<LeftOut> {
    let told = |(at, fault): (usize, &Chosen)| {
        let runs = absent.iter().filter(|(row, ..)| *row == at).count();
        let node = &range.nodes[fault.node].name;
        let why = LeftOutWhy::NeverCame { node: node.clone(), runs };
        (runs > 0).then(|| LeftOut { fault: fault.name.clone(), why })
    };
    range.chosen.iter().enumerate().filter_map(told).collect()
}

fn told(
    args: &DrillArgs,
    range: &Range<'_>,
    (planned, done): (usize, usize),
    trials: &[Placed],
    healthy: &[HealthyRun],
) -> Drill {
    let row = |(at, fault): (usize, &Chosen)| {
        let own: Vec<&Trial> = trials.iter().filter(|(row, ..)| *row == at).map(|(_, _, trial)| trial).collect();
        Row::of(&fault.name, &range.nodes[fault.node].name, &fault.file.expect.code, range.factors, &own)
    };
    let asked = || trials.iter().filter(|(_, _, trial)| trial.factor >= 1.0);
    let musts = || asked().filter(|(row, ..)| range.chosen[*row].file.must.is_some()).map(|(_, _, trial)| trial);
    let rows: Vec<Row> = range.chosen.iter().enumerate().map(row).collect();
    Drill {
        schema: DRILL_SCHEMA.to_owned(),
        simulated: true,
        tool: format!("kiln {}", env!("CARGO_PKG_VERSION")),
        profile: range.profile.id.clone(),
        asked: String::new(),
        revision: range.profile.revision,
        profile_digest: range.profile.digest(),
        nodes: range.nodes.iter().map(|node| node.name.clone()).collect(),
        seeds: args.seeds,
        first_seed: 1,
        spread: args.spread,
        parts_list: !args.no_parts_list,
        lot: None,
        lot_files: BTreeMap::new(),
        parts_files: BTreeMap::new(),
        run_options: Vec::new(),
        severities: range.factors.to_vec(),
        partial: done < planned,
        runs_planned: planned,
        runs_done: done,
        coverage: Coverage::of(trials.iter().map(|(_, _, trial)| trial).filter(|trial| trial.factor >= 1.0)),
        curve: Curve::of(range.factors, &rows),
        must: musts().next().map(|_| Coverage::of(musts())),
        rows,
        left_out: Vec::<LeftOut>::new(),
        healthy: range.nodes.iter().map(|node| Healthy::of(&node.name, healthy)).collect(),
        allowed: Allowed { misses_percent: args.allow_misses, alarms_percent: args.allow_alarms },
        shortening: None,
        tuning: None,
    }
}
