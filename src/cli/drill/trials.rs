//! The runs of a drill: which there are, making one, and putting what they came to in its place.

use super::bench::{Bench, Done};
use super::faults::Chosen;
use super::nodes::DrillNode;
use crate::drill::{Defect, Ending, HealthyRun, Look, Trial, classify};
use crate::profile::Profile;

/// What is drilled.
pub(super) struct Range<'a> {
    pub profile: &'a Profile,
    pub nodes: &'a [DrillNode],
    pub chosen: &'a [Chosen],
    pub factors: &'a [f64],
    /// Whether limits are to be proposed: then every run is looked at beside them.
    pub tuned: bool,
}

impl Range<'_> {
    fn look(&self, done: &Done<'_>) -> Look {
        if self.tuned { Look::of(done.record) } else { Look::default() }
    }
}

/// One run to make.
#[derive(Debug, Clone, Copy)]
pub(super) enum Job {
    Defect { row: usize, column: usize, seed: u64 },
    Healthy { node: usize, seed: u64 },
}

/// Every run there is to make. Seed by seed, so that a drill that is interrupted has seen all faults alike.
pub(super) fn jobs(range: &Range<'_>, first: u64, seeds: u64, healthy: u64) -> Vec<Job> {
    let mut jobs = Vec::new();
    for nth in 0..seeds.max(healthy) {
        let seed = first.wrapping_add(nth);
        if nth < seeds {
            for (row, fault) in range.chosen.iter().enumerate() {
                let columns = fault.uses.iter().enumerate().filter(|(_, used)| used.is_some());
                jobs.extend(columns.map(|(column, _)| Job::Defect { row, column, seed }));
            }
        }
        if nth < healthy {
            jobs.extend((0..range.nodes.len()).map(|node| Job::Healthy { node, seed }));
        }
    }
    jobs
}

/// What a job came to.
pub(super) enum Came {
    Trial(Box<Trial>, Look),
    Healthy(HealthyRun, Look),
}

pub(super) fn work(bench: &Bench<'_>, range: &Range<'_>, job: Job) -> Option<Came> {
    match job {
        Job::Defect { row, column, seed } => {
            let (trial, look) = attempt(bench, range, range.profile, (row, column), seed)?;
            Some(Came::Trial(Box::new(trial), look))
        }
        Job::Healthy { node, seed } => {
            let node = &range.nodes[node];
            let see = |done: &Done<'_>| (HealthyRun::of(done.record, &node.name, seed), range.look(done));
            let run = bench.run(range.profile, node, seed, &[], see);
            // A healthy node of this kind was made before the drill began.
            run.ok().flatten().map(|(run, look)| Came::Healthy(run, look))
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
) -> Option<(Trial, Look)> {
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
            beside: injected.beside.clone(),
            wanted: Defect::wanted_of(injected.expected),
            standing: fault.file.is_standing(),
            places: node.places.clone(),
        };
        let trial = match &done.refusal {
            Some(why) => Trial::refused(defect, factor, seed, why.clone()),
            None if done.never_held => {
                Trial { ending: Ending::NeverThere, ..classify(done.record, defect, factor, seed) }
            }
            None => classify(done.record, defect, factor, seed),
        };
        Some((trial, range.look(done)))
    };
    bench.run(profile, node, seed, used, see).ok()??
}

/// A trial with the row and column it belongs to.
pub(super) type Placed = (usize, usize, Trial);

/// How runs lie beside the limits.
#[derive(Debug, Default)]
pub(super) struct Looks {
    pub healthy: Vec<Look>,
    pub faulty: Vec<Look>,
}

/// Results apart, each with its place.
pub(super) fn sorted(jobs: &[Job], results: Vec<Option<Came>>) -> (Vec<Placed>, Vec<HealthyRun>, Looks) {
    let (mut trials, mut healthy) = (Vec::new(), Vec::new());
    let mut looks = Looks::default();
    for (job, result) in jobs.iter().zip(results) {
        match (job, result) {
            (Job::Defect { row, column, .. }, Some(Came::Trial(trial, look))) => {
                if trial.ending != Ending::NeverThere {
                    looks.faulty.push(look);
                }
                trials.push((*row, *column, *trial));
            }
            (_, Some(Came::Healthy(run, look))) => {
                looks.healthy.push(look);
                healthy.push(run);
            }
            _ => {}
        }
    }
    (trials, healthy, looks)
}

/// The column that shortening is about: the default severity, or else the strongest.
pub(super) fn main_column(factors: &[f64]) -> usize {
    factors.iter().position(|factor| *factor == 1.0).unwrap_or(factors.len().saturating_sub(1))
}
