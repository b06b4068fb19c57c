//! What a profile would lose if it were shorter: without a step, with less of the soak, at its cheapest.
//!
//! Most of it follows from which steps proved what. What does not follow has to be run again, and is counted.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::matrix::Coverage;
use super::times::median;
use super::trial::Trial;
use kiln_model::Span;

/// The whole answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Shortening {
    /// With the whole profile, every step run whatever the earlier ones said.
    pub base: Coverage,
    /// A run of the whole profile, in seconds.
    pub run_s: f64,
    pub steps: Vec<StepValue>,
    /// Less of the longest step under load.
    pub cuts: Vec<SoakCut>,
    pub cheapest: Option<Cheapest>,
    pub intermittent: Option<IntermittentFault>,
}

/// What a step is worth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct StepValue {
    pub step: String,
    /// How long it takes, in seconds.
    pub step_s: f64,
    /// Runs it was the first to prove.
    pub first: usize,
    /// Runs that nothing else proves.
    pub only: usize,
    /// Coverage without it.
    pub without: Coverage,
    pub lost: Vec<Lost>,
    /// How many runs were made again to know; all others follow from the first pass.
    pub run_again: usize,
}

/// A fault that is caught less often.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Lost {
    pub fault: String,
    pub caught: usize,
    pub still_caught: usize,
    pub tried: usize,
}

/// The soak at a share of its length.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SoakCut {
    pub step: String,
    /// Of the length it has, from 0 to 1.
    pub share: f64,
    /// Length of its steady window then, in seconds.
    pub window_s: f64,
    pub coverage: Coverage,
    pub lost: Vec<Lost>,
    pub run_again: usize,
}

/// The shortest set of steps that catches all that the whole profile catches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Cheapest {
    pub dropped: Vec<String>,
    /// A run of it, in seconds, by the sum of its steps.
    pub run_s: f64,
    /// As found by running it.
    pub coverage: Coverage,
    pub lost: Vec<Lost>,
    pub run_again: usize,
}

/// What a soak can say of faults that come and go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct IntermittentFault {
    pub step: String,
    /// Length of the steady window, in seconds.
    pub window_s: f64,
    /// The longest fixed period that must show at least once.
    pub surely_s: f64,
    /// The longest mean period that shows with 95 % if it comes at random.
    pub likely_s: f64,
    pub rows: Vec<Odds>,
}

/// One period.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Odds {
    pub period_s: f64,
    /// Chance that none of it falls into the window: at a fixed period with a random start, and at random moments.
    pub none_fixed: f64,
    pub none_random: f64,
    /// The soak that shows one with 95 % if it comes at random, in seconds.
    pub needed_s: f64,
}

/// What is known of a trial in a shorter profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    Caught,
    Missed,
    /// It does not follow from the first pass.
    RunAgain,
}

/// What a trial would end in without `step`.
///
/// A run that nothing cut short has shown what every other step says. A defect that is always there says the same to them
/// without the step; one that comes and goes may only have been seen later because it came in it.
pub fn without(trial: &Trial, step: &str) -> Known {
    let Some(caught) = trial.caught() else { return Known::Missed };
    if !caught.steps.contains(step) {
        return Known::Caught;
    }
    let others = caught.steps.len() > 1 || caught.between_steps;
    match (others, trial.defect.standing, trial.whole) {
        (true, true, _) => Known::Caught,
        (false, _, true) => Known::Missed,
        _ => Known::RunAgain,
    }
}

/// What a trial would end in with less of `steps`, which make up the soak. What a shorter soak still sees is not to be known
/// without running it.
pub fn with_less(trial: &Trial, steps: &BTreeSet<String>) -> Known {
    let Some(caught) = trial.caught() else { return Known::Missed };
    let elsewhere = caught.between_steps || !caught.steps.is_subset(steps);
    let here = !caught.steps.is_disjoint(steps);
    if !here || (elsewhere && trial.defect.standing) { Known::Caught } else { Known::RunAgain }
}

/// Caught or not, named or not, in a shorter profile, by the trial's place in the list; where it is not in the map, the
/// first pass stands.
pub type Again = BTreeMap<usize, (bool, bool)>;

/// Coverage of `trials` in a shorter profile, and what is lost.
fn shorter(trials: &[Trial], known: impl Fn(&Trial) -> Known, again: &Again) -> (Coverage, Vec<Lost>) {
    let fate = |(at, trial): (usize, &Trial)| match (again.get(&at), known(trial)) {
        (Some(fate), _) => *fate,
        (None, Known::Caught) => (true, trial.is_well()),
        (None, Known::Missed | Known::RunAgain) => (false, false),
    };
    let fates: Vec<(bool, bool)> = trials.iter().enumerate().map(fate).collect();
    let coverage =
        Coverage::counting(trials.iter().zip(&fates).map(|(trial, (caught, named))| (trial, *caught, *named)));
    let mut lost: BTreeMap<&str, Lost> = BTreeMap::new();
    for (trial, (still, _)) in trials.iter().zip(&fates) {
        let fault = &trial.defect.fault;
        let entry =
            lost.entry(fault).or_insert_with(|| Lost { fault: fault.clone(), caught: 0, still_caught: 0, tried: 0 });
        entry.tried += 1;
        entry.caught += usize::from(trial.caught().is_some());
        entry.still_caught += usize::from(*still);
    }
    (coverage, lost.into_values().filter(|lost| lost.still_caught < lost.caught).collect())
}

/// The usual length of every step, in seconds: the median over all runs it ran in, as a defect may cut it short.
pub fn lengths(trials: &[Trial]) -> BTreeMap<String, f64> {
    let mut times: BTreeMap<&str, Vec<Span>> = BTreeMap::new();
    for (path, time) in trials.iter().flat_map(|trial| &trial.steps) {
        times.entry(path).or_default().push(time.took);
    }
    let length = |(path, times): (&str, Vec<Span>)| Some((path.to_owned(), median(&times)?.as_secs_f64()));
    times.into_iter().filter_map(length).collect()
}

impl StepValue {
    /// `again`: what runs made again without the step came to.
    pub fn of(step: &str, step_s: f64, trials: &[Trial], again: &Again) -> Self {
        let caught = || trials.iter().filter_map(Trial::caught);
        let (without, lost) = shorter(trials, |trial| without(trial, step), again);
        Self {
            step: step.to_owned(),
            step_s,
            first: caught().filter(|caught| caught.step.as_deref() == Some(step)).count(),
            only: caught()
                .filter(|caught| caught.steps.len() == 1 && caught.steps.contains(step) && !caught.between_steps)
                .count(),
            without,
            lost,
            run_again: again.len(),
        }
    }
}

impl SoakCut {
    /// `name` of the soak with its `steps`, of which `share` of the `window` is left.
    pub fn of(
        name: &str,
        steps: &BTreeSet<String>,
        (share, window): (f64, Span),
        trials: &[Trial],
        again: &Again,
    ) -> Self {
        let (coverage, lost) = shorter(trials, |trial| with_less(trial, steps), again);
        let window_s = window.as_secs_f64() * share;
        Self { step: name.to_owned(), share, window_s, coverage, lost, run_again: again.len() }
    }
}

impl Cheapest {
    /// `again`: what every trial came to in the profile without `dropped`.
    pub fn of(dropped: BTreeSet<String>, lengths: &BTreeMap<String, f64>, trials: &[Trial], again: &Again) -> Self {
        let (coverage, lost) = shorter(trials, |_| Known::RunAgain, again);
        let kept = lengths.iter().filter(|(path, _)| !dropped.contains(*path)).map(|(_, seconds)| seconds);
        Self { run_s: kept.sum(), dropped: dropped.into_iter().collect(), coverage, lost, run_again: again.len() }
    }
}

/// A step shorter than this is not worth dropping: it costs nothing.
const COSTS_NOTHING_S: f64 = 5.0;

/// Steps that can go while every trial that is caught is still proven by another: the longest go first. That is not
/// always the very least, but nothing that is left can go.
pub fn needless(trials: &[Trial], lengths: &BTreeMap<String, f64>, bound: &BTreeSet<String>) -> BTreeSet<String> {
    let mut order: Vec<(&String, f64)> = lengths.iter().map(|(path, seconds)| (path, *seconds)).collect();
    order.sort_by(|one, two| two.1.total_cmp(&one.1).then_with(|| one.0.cmp(two.0)));
    let mut dropped = BTreeSet::new();
    for (path, seconds) in order {
        if seconds < COSTS_NOTHING_S || bound.contains(path) {
            continue;
        }
        let still = |trial: &Trial| {
            trial.caught().is_none_or(|caught| {
                // What comes and goes is only held by the steps that saw it first: the rest may be its echo.
                let own = caught.step.as_ref().filter(|_| !trial.defect.standing);
                let holds = |step: &String| *step != *path && !dropped.contains(step);
                caught.between_steps || own.map_or_else(|| caught.steps.iter().any(holds), holds)
            })
        };
        if trials.iter().all(still) {
            dropped.insert(path.clone());
        }
    }
    dropped
}

impl IntermittentFault {
    /// The odds for some periods and for a window of `window`.
    pub fn of(step: &str, window: Span) -> Self {
        const PERIODS_S: [f64; 7] = [600.0, 1800.0, 3600.0, 7200.0, 14_400.0, 28_800.0, 86_400.0];
        let window_s = window.as_secs_f64();
        Self {
            step: step.to_owned(),
            window_s,
            surely_s: window_s,
            likely_s: window_s / LN_20,
            rows: PERIODS_S.map(|period_s| odds(window_s, period_s)).to_vec(),
        }
    }
}

/// ln 20: at a mean distance of a third of the window, `e^-3`, the chance to see none is 5 %.
const LN_20: f64 = 2.995_732_273_553_991;

fn odds(window_s: f64, period_s: f64) -> Odds {
    Odds {
        period_s,
        none_fixed: (1.0 - window_s / period_s).max(0.0),
        none_random: (-window_s / period_s).exp(),
        needed_s: period_s * LN_20,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial::tests::{caught, escaped};
    use crate::trial::{Ending, StepTime};

    fn cut_short(mut trial: Trial) -> Trial {
        trial.whole = false;
        trial
    }

    fn passing(mut trial: Trial) -> Trial {
        trial.defect.standing = false;
        trial
    }

    #[test]
    fn what_follows_from_the_first_pass_is_not_run_again() {
        let both = || caught("a", 1, 60, &["burn.gemm", "burn.soak"]);
        let one = || caught("a", 1, 60, &["burn.soak"]);
        assert_eq!(without(&both(), "burn.soak"), Known::Caught);
        assert_eq!(without(&both(), "identify.inventory"), Known::Caught);
        assert_eq!(without(&one(), "burn.soak"), Known::Missed);
        assert_eq!(without(&escaped("a", 1), "burn.soak"), Known::Missed);
    }

    #[test]
    fn what_does_not_follow_is_run_again() {
        let one = || caught("a", 1, 60, &["burn.soak"]);
        let both = || caught("a", 1, 60, &["burn.gemm", "burn.soak"]);
        assert_eq!(without(&cut_short(one()), "burn.soak"), Known::RunAgain, "later steps never ran");
        assert_eq!(without(&passing(both()), "burn.gemm"), Known::RunAgain, "the rest may be an echo");
        let soak = BTreeSet::from(["burn.soak".to_owned()]);
        assert_eq!(with_less(&one(), &soak), Known::RunAgain, "half a soak may still see it");
        assert_eq!(with_less(&both(), &soak), Known::Caught);
        assert_eq!(with_less(&passing(both()), &soak), Known::RunAgain);
        assert_eq!(with_less(&escaped("a", 1), &soak), Known::Missed);
    }

    #[test]
    fn a_step_is_worth_what_only_it_catches() {
        let trials = [caught("a", 1, 60, &["x", "y"]), caught("b", 1, 90, &["y"]), escaped("c", 1)];
        let value = StepValue::of("y", 300.0, &trials, &Again::new());
        assert_eq!((value.first, value.only), (1, 1));
        assert_eq!((value.without.caught, value.without.tried), (1, 3));
        let lost = Lost { fault: "b".to_owned(), caught: 1, still_caught: 0, tried: 1 };
        assert_eq!(value.lost, [lost]);
        let seen_again = StepValue::of("y", 300.0, &trials, &Again::from([(1, (true, true))]));
        assert_eq!((seen_again.without.caught, seen_again.run_again), (2, 1));
    }

    #[test]
    fn the_longest_steps_that_nothing_needs_go_first() {
        let mut trials = vec![caught("a", 1, 60, &["long", "short"]), caught("b", 1, 60, &["short", "middle"])];
        for trial in &mut trials {
            for (path, seconds) in [("long", 3600), ("middle", 600), ("short", 60), ("look", 1)] {
                trial.steps.insert(path.to_owned(), StepTime { took: Span::from_secs(seconds) });
            }
        }
        let lengths = lengths(&trials);
        let dropped = needless(&trials, &lengths, &BTreeSet::new());
        assert_eq!(dropped, BTreeSet::from(["long".to_owned(), "middle".to_owned()]));
        let bound = BTreeSet::from(["long".to_owned()]);
        assert_eq!(needless(&trials, &lengths, &bound), BTreeSet::from(["middle".to_owned()]));
        // One that comes and goes and was first seen in the long step keeps it.
        trials[0] = passing(trials[0].clone());
        assert!(!needless(&trials, &lengths, &BTreeSet::new()).contains("long"));
        if let Ending::Caught(caught) = &mut trials[0].ending {
            caught.between_steps = true;
        }
        assert!(needless(&trials, &lengths, &BTreeSet::new()).contains("long"));
    }

    #[test]
    fn the_odds_of_an_intermittent_fault_are_those_of_poisson() {
        let soak = IntermittentFault::of("burn.soak", Span::from_secs(1800));
        let hour = soak.rows.iter().find(|row| row.period_s == 3600.0).expect("an hour");
        assert!((hour.none_random - 0.606_53).abs() < 1e-5);
        assert_eq!(hour.none_fixed, 0.5);
        assert!((hour.needed_s - 10_784.6).abs() < 0.1);
        assert!((soak.likely_s - 600.9).abs() < 0.1);
    }
}
