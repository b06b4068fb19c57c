//! The result of one step on one component, and the roll-up to a verdict.

use serde::{Deserialize, Serialize};

use super::Reason;
use kiln_limit::Judgement;
use kiln_model::Component;

/// One test case: a step on a component, with everything measured for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Case {
    pub component: Component,
    pub outcome: Outcome,
    /// Why, where the judgements alone do not say it.
    pub reason: Option<Reason>,
    pub judgements: Vec<Judgement>,
}

impl Case {
    /// Holds together with an earlier round or attempt of the same step on the same component what the judgements of both have in common:
    /// what was measured, and nearly always what it was held against and what came of it. Left to each are its values.
    pub(super) fn share(&mut self, earlier: &Self) {
        for (place, own) in self.judgements.iter_mut().enumerate() {
            let same = |one: &&Judgement| {
                one.measurement.name == own.measurement.name && one.measurement.component == own.measurement.component
            };
            // A step tells its values in the same order in every round, mostly.
            let there = earlier.judgements.get(place).filter(same);
            if let Some(earlier) = there.or_else(|| earlier.judgements.iter().find(same)) {
                own.share(earlier);
            }
        }
        self.judgements.shrink_to_fit();
    }
}

/// What a case says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Pass,
    /// Passed inside the marginal band.
    Marginal,
    /// Failed, and a waiver covers every failed limit.
    Waived,
    /// Not applicable here, and the profile says so.
    Skipped,
    /// Left out by `--only`, or stopped before it began.
    NotReached,
    /// Met every limit, and stands apart from the good units of its lot: nothing is proven, and somebody has to look.
    Held,
    Inconclusive,
    Aborted,
    /// Our trouble: no claim about the unit.
    Error,
    /// Proof against the unit.
    Fail,
}

impl Outcome {
    /// The word people read.
    pub const fn shown(self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::Marginal => "PASS (marginal)",
            Self::Waived => "WAIVED",
            Self::Skipped => "SKIPPED",
            Self::NotReached => "NOT REACHED",
            Self::Held => "HELD",
            Self::Inconclusive => "INCONCLUSIVE",
            Self::Aborted => "ABORTED",
            Self::Error => "ERROR",
            Self::Fail => "FAIL",
        }
    }
}

/// The displayed word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum VerdictWord {
    Pass,
    Fail,
    Error,
    Inconclusive,
    /// Every limit was met, and the unit is an outlier of its lot.
    Held,
    Aborted,
    /// Nothing was judged.
    #[serde(rename = "NOTHING JUDGED")]
    Nothing,
}

/// What a run says about the unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Verdict {
    pub word: VerdictWord,
    /// A pass with at least one marginal case.
    pub marginal: bool,
    /// A pass that took more than one whole attempt at some step; a step run again after a crash is not one.
    pub retried: bool,
    /// The run was narrowed by `--only`: a pass here is no acceptance.
    pub partial: bool,
    /// How many settings of the run are less than what the profile stands for.
    #[serde(default, skip_serializing_if = "is_none")]
    pub deviations: u32,
    pub failed: u32,
    pub errors: u32,
    pub inconclusive: u32,
    /// Cases that met their limits and are outliers of the lot.
    #[serde(default, skip_serializing_if = "is_none")]
    pub held: u32,
    pub passed: u32,
    pub waived: u32,
    pub skipped: u32,
    pub not_reached: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
const fn is_none(count: &u32) -> bool {
    *count == 0
}

impl VerdictWord {
    pub const fn shown(self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::Fail => "FAIL",
            Self::Error => "ERROR",
            Self::Inconclusive => "INCONCLUSIVE",
            Self::Held => "HELD",
            Self::Aborted => "ABORTED",
            Self::Nothing => "NOTHING JUDGED",
        }
    }
}
