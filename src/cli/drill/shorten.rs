//! `--shorten`: which runs must be made again to know what a shorter profile would lose, and making them.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;

use super::bench::Bench;
use super::pool;
use super::progress::Progress;
use super::soak::Soak;
use super::trials::{Placed, Range, attempt, main_column};
use super::variant;
use crate::drill::{
    Again, Cheapest, Coverage, IntermittentFault, Known, Shortening, SoakCut, StepValue, Trial, lengths, needless,
    with_less, without,
};
use crate::profile::Profile;

/// Whether it is caught, and whether its part is named.
fn fate(trial: &Trial) -> (bool, bool) {
    (trial.caught().is_some(), trial.is_well())
}

/// Shares of the soak that are tried.
const SHARES: [f64; 2] = [0.5, 0.25];

/// A trial with its row.
struct Case {
    row: usize,
    trial: Trial,
}

struct Runner<'a> {
    bench: &'a Bench<'a>,
    range: &'a Range<'a>,
    threads: NonZeroUsize,
    column: usize,
}

/// The whole answer; `None` when the drill was interrupted on the way.
pub(super) fn shorten(
    bench: &Bench<'_>,
    range: &Range<'_>,
    trials: &[Placed],
    threads: NonZeroUsize,
) -> Option<Shortening> {
    let runner = Runner { bench, range, threads, column: main_column(range.factors) };
    let whole = variant::unhalted(range.profile);
    let cases = runner.uncut(&whole, trials)?;
    let trials: Vec<Trial> = cases.iter().map(|case| case.trial.clone()).collect();
    let lengths = lengths(&trials);
    let timed = |path: &String| lengths.get(path).copied().unwrap_or(0.0);

    let mut steps = Vec::new();
    for path in variant::paths(&whole) {
        let shorter = variant::without(&whole, &BTreeSet::from([path.clone()]));
        let again = runner.again("shorten: steps", &shorter, &cases, |trial| without(trial, &path))?;
        steps.push(StepValue::of(&path, timed(&path), &trials, &again));
    }
    let soak = Soak::of(range.profile);
    let mut cuts = Vec::new();
    for (soak, share) in soak.iter().flat_map(|soak| SHARES.map(|share| (soak, share))) {
        let inside = soak.steps();
        let shorter = variant::with_soak(&whole, soak, share);
        let again = runner.again("shorten: soak", &shorter, &cases, |trial| with_less(trial, &inside))?;
        cuts.push(SoakCut::of(soak.name(), &inside, (share, soak.span()), &trials, &again));
    }
    let paths: BTreeSet<String> = variant::paths(&whole).into_iter().collect();
    let droppable = lengths.iter().filter(|(path, _)| paths.contains(*path));
    let droppable = droppable.map(|(path, seconds)| (path.clone(), *seconds)).collect();
    let mut dropped = needless(&trials, &droppable, &variant::bound(range.profile));
    let again = runner.cheapest(&whole, &cases, &mut dropped, &droppable)?;
    Some(Shortening {
        base: Coverage::of(&trials),
        run_s: lengths.values().sum(),
        steps,
        cuts,
        cheapest: Some(Cheapest::of(dropped, &lengths, &trials, &again)),
        intermittent: soak.map(|soak| IntermittentFault::of(soak.name(), soak.span())),
    })
}

impl Runner<'_> {
    /// Every trial of the column with nothing cut short: those that were are run again with nothing to stop them.
    fn uncut(&self, whole: &Profile, trials: &[Placed]) -> Option<Vec<Case>> {
        let own: Vec<&Placed> = trials.iter().filter(|(_, column, _)| *column == self.column).collect();
        let cut: Vec<&Placed> = own.iter().copied().filter(|(_, _, trial)| !trial.whole).collect();
        let mut again = self.make("shorten: whole runs", whole, &cut)?.into_iter();
        let case = |(row, _, trial): &Placed| {
            let trial = if trial.whole { trial.clone() } else { again.next()? };
            Some(Case { row: *row, trial })
        };
        own.into_iter().map(case).collect()
    }

    /// Runs every trial that is caught without `dropped`, and puts back what turns out to be needed after all: steps are
    /// not wholly independent of one another, one may warm up or load what the next one looks at.
    fn cheapest(
        &self,
        whole: &Profile,
        cases: &[Case],
        dropped: &mut BTreeSet<String>,
        lengths: &BTreeMap<String, f64>,
    ) -> Option<Again> {
        let shorter = variant::without(whole, dropped);
        let caught = |trial: &Trial| if trial.caught().is_some() { Known::RunAgain } else { Known::Missed };
        let mut again = self.again("shorten: check", &shorter, cases, caught)?;
        loop {
            let lost: Vec<usize> = again.iter().filter(|(_, (caught, _))| !caught).map(|(at, _)| *at).collect();
            if lost.is_empty() || dropped.is_empty() {
                return Some(again);
            }
            let mut best: Option<(usize, f64, String, Vec<Trial>)> = None;
            for path in dropped.iter() {
                let mut less = dropped.clone();
                less.remove(path);
                let jobs: Vec<(usize, u64)> = lost.iter().map(|at| (cases[*at].row, cases[*at].trial.seed)).collect();
                let trials = self.run("shorten: put back", &variant::without(whole, &less), &jobs)?;
                let found = trials.iter().filter(|trial| trial.caught().is_some()).count();
                let seconds = lengths.get(path).copied().unwrap_or(0.0);
                // What brings back the most, and of those the shortest.
                if best.as_ref().is_none_or(|(most, least, ..)| found > *most || (found == *most && seconds < *least)) {
                    best = Some((found, seconds, path.clone(), trials));
                }
            }
            let (_, _, path, trials) = best?;
            dropped.remove(&path);
            again.extend(lost.into_iter().zip(trials).map(|(at, trial)| (at, fate(&trial))));
        }
    }

    fn make(&self, what: &'static str, profile: &Profile, jobs: &[&Placed]) -> Option<Vec<Trial>> {
        let jobs: Vec<(usize, u64)> = jobs.iter().map(|(row, _, trial)| (*row, trial.seed)).collect();
        self.run(what, profile, &jobs)
    }

    /// Runs what does not follow from the first pass.
    fn again(
        &self,
        what: &'static str,
        profile: &Profile,
        cases: &[Case],
        known: impl Fn(&Trial) -> Known,
    ) -> Option<Again> {
        let open: Vec<usize> = (0..cases.len()).filter(|at| known(&cases[*at].trial) == Known::RunAgain).collect();
        let jobs: Vec<(usize, u64)> = open.iter().map(|at| (cases[*at].row, cases[*at].trial.seed)).collect();
        let trials = self.run(what, profile, &jobs)?;
        Some(open.into_iter().zip(trials).map(|(at, trial)| (at, fate(&trial))).collect())
    }

    fn run(&self, what: &'static str, profile: &Profile, jobs: &[(usize, u64)]) -> Option<Vec<Trial>> {
        let mut progress = Progress::new(what, jobs.len());
        let work = |(row, seed): &(usize, u64)| {
            attempt(self.bench, self.range, profile, (*row, self.column), *seed).map(|(trial, _)| trial)
        };
        let trials = pool::spread(jobs, self.threads, self.bench.stop, work, || progress.step());
        progress.end();
        trials.into_iter().collect()
    }
}
