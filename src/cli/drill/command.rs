//! `kiln drill`: from arguments to runs, from runs to a matrix.

use anyhow::anyhow;

use super::bench::{Bench, Done};
use super::faults::{self, Chosen};
use super::nodes::{self, DrillNode};
use super::progress::Progress;
use super::{interrupt, output, pool, shorten};
use crate::cli::args::DrillArgs;
use crate::cli::exit_code::Exit;
use crate::cli::trouble::Trouble;
use crate::cli::{drive, files};
use crate::drill::{
    Allowed, Coverage, DRILL_SCHEMA, Defect, Drill, Healthy, HealthyRun, LeftOut, Row, Trial, classify,
};
use crate::profile::Profile;

/// What is drilled.
pub(super) struct Range<'a> {
    pub profile: &'a Profile,
    pub nodes: &'a [DrillNode],
    pub chosen: &'a [Chosen],
    pub factors: &'a [f64],
}

/// `kiln drill`.
pub(in crate::cli) fn drill(args: &DrillArgs) -> Result<Exit, Trouble> {
    let skus = files::skus()?;
    let factors = factors(&args.severity)?;
    let file = files::find_profile(&args.profile)?;
    let profile = files::resolve(&file, &skus, &files::sets(&args.sets)?, None)?;
    let nodes = nodes::find(&args.sims, &profile, &skus)?;
    for node in &nodes {
        node.check(&profile, &skus)?;
    }
    let (chosen, left_out) = faults::choose(faults::find(&args.faults)?, &factors, &nodes)?;
    let range = Range { profile: &profile, nodes: &nodes, chosen: &chosen, factors: &factors };
    let threads = args.jobs.unwrap_or_else(pool::all_cores);
    let stop = interrupt::listen();
    let bench = Bench { skus: &skus, epoch: drive::now(), stop: &stop };

    let jobs = jobs(&range, args.seeds, args.healthy);
    let mut progress = Progress::new("drill", jobs.len());
    let results = pool::spread(&jobs, threads, &stop, |job| work(&bench, &range, *job), || progress.step());
    progress.end();
    let (trials, healthy) = sorted(&jobs, results);
    let mut drill = Drill { left_out, ..told(args, &range, jobs.len(), &trials, &healthy) };
    if args.shorten && !drill.partial {
        drill.shortening = shorten::shorten(&bench, &range, &trials, threads);
        // The matrix is whole all the same.
    }
    let interrupted = stop.load(std::sync::atomic::Ordering::Relaxed);
    output::tell(&drill)?;
    let folder = args.out.clone().unwrap_or_else(|| std::path::PathBuf::from("drills").join(&profile.id));
    let written = output::write(&folder, &drill);
    Ok(match (interrupted, drill.is_well(), written) {
        (true, ..) => Exit::Aborted,
        (_, false, _) => Exit::Fail,
        (_, true, true) => Exit::Pass,
        (_, true, false) => Exit::NoClaim,
    })
}

/// Severities as multiples of the default, each once, weakest first.
fn factors(typed: &[f64]) -> Result<Vec<f64>, Trouble> {
    if let Some(wrong) = typed.iter().find(|factor| !(factor.is_finite() && **factor > 0.0)) {
        return Err(Trouble::Usage(anyhow!("`--severity {wrong}` is not a positive number")));
    }
    let mut factors = typed.to_vec();
    factors.sort_by(f64::total_cmp);
    factors.dedup();
    Ok(factors)
}

#[derive(Debug, Clone, Copy)]
enum Job {
    Defect { row: usize, column: usize, seed: u64 },
    Healthy { node: usize, seed: u64 },
}

/// Every run there is to make. Seed by seed, so that a drill that is interrupted has seen all faults alike.
fn jobs(range: &Range<'_>, seeds: u64, healthy: u64) -> Vec<Job> {
    let mut jobs = Vec::new();
    for seed in 1..=seeds.max(healthy) {
        if seed <= seeds {
            for (row, fault) in range.chosen.iter().enumerate() {
                let columns = fault.uses.iter().enumerate().filter(|(_, used)| used.is_some());
                jobs.extend(columns.map(|(column, _)| Job::Defect { row, column, seed }));
            }
        }
        if seed <= healthy {
            jobs.extend((0..range.nodes.len()).map(|node| Job::Healthy { node, seed }));
        }
    }
    jobs
}

enum Came {
    Trial(Box<Trial>),
    Healthy(HealthyRun),
}

fn work(bench: &Bench<'_>, range: &Range<'_>, job: Job) -> Option<Came> {
    match job {
        Job::Defect { row, column, seed } => {
            let trial = attempt(bench, range, range.profile, (row, column), seed)?;
            Some(Came::Trial(Box::new(trial)))
        }
        Job::Healthy { node, seed } => {
            let node = &range.nodes[node];
            let run = bench.run(range.profile, node, seed, &[], |done| HealthyRun::of(done.record, &node.name, seed));
            // A healthy node of this kind was made before the drill began.
            run.ok().flatten().map(Came::Healthy)
        }
    }
}

/// One run of `profile` with the fault of a row at the severity of a column. `None` when the drill is to end.
pub(super) fn attempt(
    bench: &Bench<'_>,
    range: &Range<'_>,
    profile: &Profile,
    (row, column): (usize, usize),
    seed: u64,
) -> Option<Trial> {
    let fault = &range.chosen[row];
    let node = &range.nodes[fault.node];
    let used = std::slice::from_ref(fault.uses[column].as_ref()?);
    let factor = range.factors[column];
    let see = |done: &Done<'_>| {
        let injected = done.injected.first()?;
        let defect = Defect {
            fault: fault.name.clone(),
            component: injected.component,
            severity: injected.severity,
            code: injected.code.clone(),
            expected: injected.expected,
            wanted: Defect::wanted_of(injected.expected),
            standing: fault.file.when.is_standing(),
            places: node.places.clone(),
        };
        Some(match &done.refusal {
            Some(why) => Trial::refused(defect, factor, seed, why.clone()),
            None => classify(done.record, defect, factor, seed),
        })
    };
    bench.run(profile, node, seed, used, see).ok()??
}

/// A trial with the row and column it belongs to.
pub(super) type Placed = (usize, usize, Trial);

fn sorted(jobs: &[Job], results: Vec<Option<Came>>) -> (Vec<Placed>, Vec<HealthyRun>) {
    let (mut trials, mut healthy) = (Vec::new(), Vec::new());
    for (job, result) in jobs.iter().zip(results) {
        match (job, result) {
            (Job::Defect { row, column, .. }, Some(Came::Trial(trial))) => trials.push((*row, *column, *trial)),
            (_, Some(Came::Healthy(run))) => healthy.push(run),
            _ => {}
        }
    }
    (trials, healthy)
}

fn told(args: &DrillArgs, range: &Range<'_>, planned: usize, trials: &[Placed], healthy: &[HealthyRun]) -> Drill {
    let row = |(at, fault): (usize, &Chosen)| {
        let own: Vec<&Trial> = trials.iter().filter(|(row, ..)| *row == at).map(|(_, _, trial)| trial).collect();
        Row::of(&fault.name, &range.nodes[fault.node].name, &fault.file.expect.code, range.factors, &own)
    };
    let done = trials.len() + healthy.len();
    Drill {
        schema: DRILL_SCHEMA.to_owned(),
        simulated: true,
        tool: format!("kiln {}", env!("CARGO_PKG_VERSION")),
        profile: range.profile.id.clone(),
        revision: range.profile.revision,
        profile_digest: range.profile.digest(),
        nodes: range.nodes.iter().map(|node| node.name.clone()).collect(),
        seeds: args.seeds,
        severities: range.factors.to_vec(),
        partial: done < planned,
        runs_planned: planned,
        runs_done: done,
        coverage: Coverage::of(trials.iter().map(|(_, _, trial)| trial).filter(|trial| trial.factor >= 1.0)),
        rows: range.chosen.iter().enumerate().map(row).collect(),
        left_out: Vec::<LeftOut>::new(),
        healthy: range.nodes.iter().map(|node| Healthy::of(&node.name, healthy)).collect(),
        allowed: Allowed { misses_percent: args.allow_misses, alarms_percent: args.allow_alarms },
        shortening: None,
    }
}

/// The column that shortening is about: the default severity, or else the strongest.
pub(super) fn main_column(factors: &[f64]) -> usize {
    factors.iter().position(|factor| *factor == 1.0).unwrap_or(factors.len().saturating_sub(1))
}
