//! The matrix: for every fault and severity how many runs caught it, by what, how fast, and whether the part was named.

#![expect(clippy::cast_precision_loss, reason = "counts and nanoseconds become floats for statistics, far below 2^53")]

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::times::median;
use super::trial::{Caught, Ending, Naming, Trial};
use kiln_lot::{Interval, wilson_95};
use kiln_model::{Component, Span};

/// One fault on one node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Row {
    pub fault: String,
    pub node: String,
    /// The finding that is wanted.
    pub code: String,
    /// One for each severity of the drill; none where the fault has no such severity.
    pub cells: Vec<Option<Cell>>,
}

/// One fault at one severity, over all seeds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Cell {
    /// As the fault's own scale has it.
    pub severity: f64,
    pub tried: usize,
    pub caught: usize,
    /// The unit did not pass, but nothing was proven.
    pub held: usize,
    pub escaped: usize,
    /// 95 % Wilson interval of the share caught.
    pub caught_interval: Interval,
    pub named_right: usize,
    /// Several parts named that the evidence cannot tell apart, the right one among them.
    pub named_ambiguous: usize,
    pub named_wrong: usize,
    /// Runs with a finding of the code that is wanted.
    pub code_right: usize,
    /// What proved it first, most frequent first.
    pub by: Vec<Counted>,
    /// The step that came in, most frequent first; `-` between steps.
    pub steps: Vec<Counted>,
    /// Run time until it was proven, in seconds.
    pub median_s: Option<f64>,
    pub worst_s: Option<f64>,
    /// Runs that did not go well, by seed.
    pub misses: Vec<Miss>,
}

/// A word with how often it occurred.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Counted {
    pub what: String,
    pub times: usize,
}

/// A run that did not go well, with all that is needed to look at it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Miss {
    pub seed: u64,
    pub component: Component,
    pub kind: MissKind,
    /// What was said instead.
    pub text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MissKind {
    Escaped,
    Held,
    WrongComponent,
}

/// A fault that was not drilled, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LeftOut {
    pub fault: String,
    #[schemars(with = "String")]
    pub why: LeftOutWhy,
}

/// Why a fault was not drilled. A sentence in documents, and a fact for the page, which says it in two languages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(into = "String", from = "String")]
pub enum LeftOutWhy {
    /// No severity that was asked for lies within the fault's.
    Severity { min: f64, max: f64 },
    /// What it waits for did not happen in these runs, which are not counted.
    NeverCame { node: String, runs: usize },
    /// No node can have it; `said` is what was wrong with the first.
    NoNode { said: String },
}

impl fmt::Display for LeftOutWhy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Severity { min, max } => write!(f, "its severity goes from {min} to {max}"),
            Self::NeverCame { node, runs } => {
                write!(f, "what it waits for never came on `{node}`, in {runs} runs that are not counted")
            }
            Self::NoNode { said } => f.write_str(said),
        }
    }
}

impl From<LeftOutWhy> for String {
    fn from(why: LeftOutWhy) -> Self {
        why.to_string()
    }
}

impl From<String> for LeftOutWhy {
    fn from(said: String) -> Self {
        Self::NoNode { said }
    }
}

/// How much of what was put in was found, over all runs counted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Coverage {
    pub tried: usize,
    pub caught: usize,
    /// Of those caught, named right or ambiguous with the right one among them.
    pub named: usize,
    /// Faults, and how many of them were caught in every run.
    pub faults: usize,
    pub faults_caught: usize,
}

impl Row {
    /// The row of one fault from its runs, which need not be complete. `factors` are the severities of the drill.
    pub fn of(fault: &str, node: &str, code: &str, factors: &[f64], trials: &[&Trial]) -> Self {
        let cell = |factor: &f64| {
            let own: Vec<&Trial> = trials.iter().copied().filter(|trial| trial.factor == *factor).collect();
            Cell::of(&own)
        };
        Self {
            fault: fault.to_owned(),
            node: node.to_owned(),
            code: code.to_owned(),
            cells: factors.iter().map(cell).collect(),
        }
    }
}

impl Cell {
    /// `None` where nothing was tried.
    fn of(trials: &[&Trial]) -> Option<Self> {
        let first = trials.first()?;
        let caught: Vec<&Caught> = trials.iter().filter_map(|trial| trial.caught()).collect();
        let named = |naming: Naming| caught.iter().filter(|caught| caught.naming == naming).count();
        let held = trials.iter().filter(|trial| matches!(trial.ending, Ending::Held { .. })).count();
        let times: Vec<Span> = caught.iter().map(|caught| caught.after).collect();
        let step = |caught: &&Caught| caught.step.clone().unwrap_or_else(|| "-".to_owned());
        Some(Self {
            severity: first.defect.severity,
            tried: trials.len(),
            caught: caught.len(),
            held,
            escaped: trials.len() - caught.len() - held,
            caught_interval: wilson_95(caught.len(), trials.len()),
            named_right: named(Naming::Right),
            named_ambiguous: named(Naming::Ambiguous),
            named_wrong: named(Naming::Wrong),
            code_right: caught.iter().filter(|caught| caught.code_right).count(),
            by: counted(caught.iter().map(|caught| caught.by.clone())),
            steps: counted(caught.iter().map(step)),
            median_s: median(&times).map(|span| span.as_secs_f64()),
            worst_s: times.iter().max().map(Span::as_secs_f64),
            misses: trials.iter().filter_map(|trial| miss(trial)).collect(),
        })
    }

    /// Share caught, from 0 to 1.
    pub fn share_caught(&self) -> f64 {
        self.caught as f64 / self.tried as f64
    }

    /// Share of those caught whose part was named, alone or among several.
    pub fn share_named(&self) -> Option<f64> {
        (self.caught > 0).then(|| (self.named_right + self.named_ambiguous) as f64 / self.caught as f64)
    }

    /// Runs that did what the profile is for.
    pub const fn well(&self) -> usize {
        self.named_right + self.named_ambiguous
    }
}

/// What stands in place of codes and parts where a run named none.
pub(super) const NOTHING_NAMED: &str = "nothing was named";

fn miss(trial: &Trial) -> Option<Miss> {
    let (kind, text) = match &trial.ending {
        Ending::Escaped => (MissKind::Escaped, trial.word.shown().to_owned()),
        Ending::Held { why } => (MissKind::Held, format!("{}: {why}", trial.word.shown())),
        Ending::Caught(caught) if caught.naming == Naming::Wrong => {
            let mut words = caught.codes.clone();
            words.extend(caught.named.iter().map(ToString::to_string));
            let text = if words.is_empty() { NOTHING_NAMED.to_owned() } else { words.join(" ") };
            (MissKind::WrongComponent, text)
        }
        Ending::Caught(_) | Ending::NeverThere => return None,
    };
    Some(Miss { seed: trial.seed, component: trial.defect.component, kind, text })
}

/// How often each word occurs, most frequent first, then by the alphabet.
pub(super) fn counted(words: impl IntoIterator<Item = String>) -> Vec<Counted> {
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for word in words {
        *times.entry(word).or_default() += 1;
    }
    let mut all: Vec<Counted> = times.into_iter().map(|(what, times)| Counted { what, times }).collect();
    all.sort_by(|one, two| two.times.cmp(&one.times).then_with(|| one.what.cmp(&two.what)));
    all
}

impl Coverage {
    /// Over any runs, whatever their severity.
    pub fn of<'a>(trials: impl IntoIterator<Item = &'a Trial>) -> Self {
        Self::counting(trials.into_iter().map(|trial| (trial, trial.caught().is_some(), trial.is_well())))
    }

    /// Over runs with what is known of each: whether it is caught, and whether the part is named.
    pub(super) fn counting<'a>(known: impl IntoIterator<Item = (&'a Trial, bool, bool)>) -> Self {
        let mut coverage = Self { tried: 0, caught: 0, named: 0, faults: 0, faults_caught: 0 };
        let mut whole: BTreeMap<&str, bool> = BTreeMap::new();
        for (trial, caught, named) in known {
            coverage.tried += 1;
            coverage.caught += usize::from(caught);
            coverage.named += usize::from(named);
            *whole.entry(&trial.defect.fault).or_insert(true) &= caught;
        }
        coverage.faults = whole.len();
        coverage.faults_caught = whole.values().filter(|whole| **whole).count();
        coverage
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial::tests::{caught, escaped};

    #[test]
    fn a_cell_counts_its_runs() {
        let mut wrong = caught("loose", 3, 900, &["burn.soak"]);
        if let Ending::Caught(caught) = &mut wrong.ending {
            caught.naming = Naming::Wrong;
        }
        let trials = [
            caught("loose", 1, 700, &["burn.gemm", "burn.soak"]),
            escaped("loose", 2),
            wrong,
            caught("loose", 4, 60, &[]),
        ];
        let row = Row::of("loose", "hgx", "GPU-COOLING-CONTACT", &[0.5, 1.0], &trials.each_ref());
        assert_eq!(row.cells[0], None);
        let cell = row.cells[1].as_ref().expect("a cell");
        assert_eq!((cell.tried, cell.caught, cell.escaped, cell.held), (4, 3, 1, 0));
        assert_eq!((cell.named_right, cell.named_ambiguous, cell.named_wrong), (2, 0, 1));
        assert_eq!((cell.median_s, cell.worst_s), (Some(700.0), Some(900.0)));
        let steps: Vec<&str> = cell.steps.iter().map(|step| step.what.as_str()).collect();
        assert_eq!(steps, ["-", "burn.gemm", "burn.soak"]);
        let misses: Vec<(u64, MissKind)> = cell.misses.iter().map(|miss| (miss.seed, miss.kind)).collect();
        assert_eq!(misses, [(2, MissKind::Escaped), (3, MissKind::WrongComponent)]);
    }

    #[test]
    fn coverage_counts_faults_that_are_always_caught() {
        let trials = [caught("a", 1, 1, &["x"]), caught("a", 2, 1, &["x"]), caught("b", 1, 1, &["x"]), escaped("b", 2)];
        let coverage = Coverage::of(&trials);
        assert_eq!((coverage.tried, coverage.caught, coverage.faults, coverage.faults_caught), (4, 3, 2, 1));
    }
}
