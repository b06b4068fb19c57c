//! Why a case says what it says, and how a step came to its end: facts, from which reports make sentences.

use serde::{Deserialize, Serialize};

use super::{Outcome, TripCause};
use kiln_limit::Judgement;
use kiln_model::{
    Component, GpuIndex, LoadEnd, Mismatch, Moment, ProgramAbsent, RestartRefusal, Span, Unanswered, Unreadable,
};
use kiln_plan::Unmet;

/// Why a case has its outcome, where the judgements alone do not say it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    // --- what a judgement came to ---
    /// The value is outside its limit.
    Limit(Box<Judgement>),
    /// The value is inside its limit and outside the marginal bound.
    Marginal(Box<Judgement>),
    /// The value is inside its limit and apart from those of the lot's good units.
    Outlier(Box<Judgement>),
    /// The value is outside its limit, and a waiver covers it.
    Waived(Box<Judgement>),
    /// All parts missed the limit alike, which accuses none of them alone.
    Alike {
        judgement: Box<Judgement>,
        parts: usize,
    },
    NotMeasured(Box<Judgement>),
    /// The part does not offer the value, and the profile requires it.
    Unsupported(Box<Judgement>),
    /// What the limit is relative to is not there.
    NoReference(Box<Judgement>),
    /// No limit applied, so nothing was judged.
    NoLimit,

    // --- what happened to the component during the step ---
    Lost {
        at: Moment,
    },
    Mismatch {
        at: Moment,
        mismatch: Mismatch,
    },
    /// A guard tripped on the component.
    Trip {
        guard: String,
        cause: TripCause,
    },

    // --- why the step did not come to the end of its check ---
    GuardStop(GuardStop),
    /// The operator asked for the end while the step ran.
    Interrupted,
    Timeout {
        after: Span,
    },
    /// The driver holds a load that does not die; the GPUs may still be under load.
    Unkillable,
    /// There was nobody to ask.
    NobodyAsked,
    /// The node did not come to rest.
    Restless {
        gpus: Vec<Restless>,
    },
    /// The node did not answer.
    Probe {
        said: Unanswered,
    },
    Load(LoadTrouble),
    /// The node was to be started anew.
    Restart(RestartTrouble),
    Program {
        program: String,
        trouble: ProgramTrouble,
    },
    /// The program is not installed.
    NotInstalled {
        said: ProgramAbsent,
    },
    Parameter(BadParameter),

    // --- why the step did not run ---
    /// The program is not installed, and the profile says to skip the step then.
    NotApplicable {
        said: ProgramAbsent,
    },
    /// No port of a fabric is connected, or the node shows none, and the profile expects none.
    NoPorts {
        shown: bool,
    },
    Unmet(Unmet),
    /// Left out by `--only`.
    Deselected,
    /// Another step had to pass first.
    Needs {
        step: String,
    },
    /// All steps of another stage had to pass first.
    NeedsStage {
        stage: String,
        step: String,
    },
    Stopped(Halted),

    /// The word and sentence of a journal of version 1.0. Nothing makes it any more.
    #[serde(untagged)]
    Legacy {
        kind: ReasonKind,
        text: String,
    },
}

/// A guard that stopped steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GuardStop {
    pub guard: String,
    /// The component it tripped on.
    pub component: Component,
    pub cause: TripCause,
}

/// Why nothing further starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Halted {
    ByOperator,
    ByGuard(GuardStop),
    /// The node started anew so often while the run was away, and nobody had asked for it.
    ByBoots {
        boots: usize,
    },
    /// A step ended so that the profile stops the stage or the run.
    ByStep {
        step: String,
        outcome: Outcome,
    },
}

/// A GPU that did not come to rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restless {
    pub gpu: GpuIndex,
    /// Something uses the GPU; otherwise its temperature does not stand still.
    pub busy: bool,
}

/// What became of a load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LoadTrouble {
    /// It was not running this long after its start.
    NotRunning { after: Span },
    /// A round of copies was not done after this time.
    CopiesUnfinished { after: Span },
}

/// Why a restart that a step asked for says nothing of the unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartTrouble {
    Refused(RestartRefusal),
    /// The order was taken, and the node was still up after this time.
    StillUp {
        after: Span,
    },
    /// The run was taken up again, and the node had not been started anew meanwhile.
    SameBoot,
    /// The boot id cannot be read, so that nothing could tell whether the node was started anew.
    BootUnread,
}

/// Why a program's run says nothing of the unit. `printed` is the end of what it printed, if it printed anything.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProgramTrouble {
    /// It still ran after this time and was stopped.
    Overdue {
        after: Span,
        printed: Option<String>,
    },
    /// Its output is not understood; `why` quotes it.
    Unreadable {
        exit: Option<i32>,
        why: Unreadable,
        printed: Option<String>,
    },
    /// Its output tells of a GPU that this node of so many GPUs does not have.
    Foreign {
        gpu: GpuIndex,
        of: usize,
    },
    Ended(LoadEnd),
}

/// What is wrong with a step's parameters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BadParameter {
    NoProgram,
    /// An entry of `values` that is not `name=/json/pointer`.
    Value(String),
    /// A regular expression; `error` is what its parser says.
    Pattern {
        param: String,
        error: String,
    },
}

/// The stable word of a reason, which machines read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReasonKind {
    Limit,
    Marginal,
    Outlier,
    Waived,
    Alike,
    NotMeasured,
    Unsupported,
    NoReference,
    NoLimit,
    Lost,
    Mismatch,
    Guard,
    Interrupted,
    Timeout,
    Unkillable,
    Operator,
    Restless,
    Probe,
    Load,
    Unreadable,
    Foreign,
    NotInstalled,
    Parameter,
    Restart,
    NotApplicable,
    Unmet,
    Deselected,
    Needs,
    Stopped,
    /// A word that this program does not know.
    #[serde(other)]
    Other,
}

impl ReasonKind {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Limit => "limit",
            Self::Marginal => "marginal",
            Self::Outlier => "outlier",
            Self::Waived => "waived",
            Self::Alike => "alike",
            Self::NotMeasured => "not-measured",
            Self::Unsupported => "unsupported",
            Self::NoReference => "no-reference",
            Self::NoLimit => "no-limit",
            Self::Lost => "lost",
            Self::Mismatch => "mismatch",
            Self::Guard => "guard",
            Self::Interrupted => "interrupted",
            Self::Timeout => "timeout",
            Self::Unkillable => "unkillable",
            Self::Operator => "operator",
            Self::Restless => "restless",
            Self::Probe => "probe",
            Self::Load => "load",
            Self::Unreadable => "unreadable",
            Self::Foreign => "foreign",
            Self::NotInstalled => "not-installed",
            Self::Parameter => "parameter",
            Self::Restart => "restart",
            Self::NotApplicable => "not-applicable",
            Self::Unmet => "unmet",
            Self::Deselected => "deselected",
            Self::Needs => "needs",
            Self::Stopped => "stopped",
            Self::Other => "other",
        }
    }
}

/// What a fail rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ground {
    /// A value, held against its limit.
    Value,
    /// A result that was compared bit for bit.
    Mismatch,
    /// The component does not answer any more.
    Lost,
    /// A guard tripped.
    Guard,
    /// Not on the component: how the step ended, or that it did not run.
    Ending,
}

impl ReasonKind {
    pub const fn ground(self) -> Ground {
        match self {
            Self::Limit
            | Self::Marginal
            | Self::Outlier
            | Self::Waived
            | Self::Alike
            | Self::NotMeasured
            | Self::Unsupported
            | Self::NoReference
            | Self::NoLimit => Ground::Value,
            Self::Mismatch => Ground::Mismatch,
            Self::Lost => Ground::Lost,
            Self::Guard => Ground::Guard,
            Self::Interrupted
            | Self::Timeout
            | Self::Unkillable
            | Self::Operator
            | Self::Restless
            | Self::Probe
            | Self::Load
            | Self::Unreadable
            | Self::Foreign
            | Self::NotInstalled
            | Self::Parameter
            | Self::Restart
            | Self::NotApplicable
            | Self::Unmet
            | Self::Deselected
            | Self::Needs
            | Self::Stopped
            | Self::Other => Ground::Ending,
        }
    }
}

impl Reason {
    /// The stable word.
    pub const fn kind(&self) -> ReasonKind {
        match self {
            Self::Limit(_) => ReasonKind::Limit,
            Self::Marginal(_) => ReasonKind::Marginal,
            Self::Outlier(_) => ReasonKind::Outlier,
            Self::Waived(_) => ReasonKind::Waived,
            Self::Alike { .. } => ReasonKind::Alike,
            Self::NotMeasured(_) => ReasonKind::NotMeasured,
            Self::Unsupported(_) => ReasonKind::Unsupported,
            Self::NoReference(_) => ReasonKind::NoReference,
            Self::NoLimit => ReasonKind::NoLimit,
            Self::Lost { .. } => ReasonKind::Lost,
            Self::Mismatch { .. } => ReasonKind::Mismatch,
            Self::Trip { .. } | Self::GuardStop(_) => ReasonKind::Guard,
            Self::Interrupted => ReasonKind::Interrupted,
            Self::Timeout { .. } | Self::Program { trouble: ProgramTrouble::Overdue { .. }, .. } => ReasonKind::Timeout,
            Self::Unkillable => ReasonKind::Unkillable,
            Self::NobodyAsked => ReasonKind::Operator,
            Self::Restless { .. } => ReasonKind::Restless,
            Self::Probe { .. } => ReasonKind::Probe,
            Self::Load(_) | Self::Program { trouble: ProgramTrouble::Ended(_), .. } => ReasonKind::Load,
            Self::Program { trouble: ProgramTrouble::Unreadable { .. }, .. } => ReasonKind::Unreadable,
            Self::Program { trouble: ProgramTrouble::Foreign { .. }, .. } => ReasonKind::Foreign,
            Self::NotInstalled { .. } => ReasonKind::NotInstalled,
            Self::Parameter(_) => ReasonKind::Parameter,
            Self::Restart(_) => ReasonKind::Restart,
            Self::NotApplicable { .. } | Self::NoPorts { .. } => ReasonKind::NotApplicable,
            Self::Unmet(_) => ReasonKind::Unmet,
            Self::Deselected => ReasonKind::Deselected,
            Self::Needs { .. } | Self::NeedsStage { .. } => ReasonKind::Needs,
            Self::Stopped(_) => ReasonKind::Stopped,
            Self::Legacy { kind, .. } => *kind,
        }
    }
}

/// How a step came to its end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepEnding {
    /// The check said so.
    Measured,
    /// The check could not do its work.
    Failed(Reason),
    /// The check could not decide for a reason outside the unit.
    Undecided(Reason),
    /// Stopped from outside before the check was done, or not begun.
    Stopped { reason: Reason, outcome: Outcome },
}

impl StepEnding {
    /// What the ending says of a component that nothing is proven against; `None` where the check came to its end.
    pub fn told(&self) -> Option<(Outcome, &Reason)> {
        match self {
            Self::Measured => None,
            Self::Failed(reason) => Some((Outcome::Error, reason)),
            Self::Undecided(reason) => Some((Outcome::Inconclusive, reason)),
            Self::Stopped { reason, outcome } => Some((*outcome, reason)),
        }
    }
}
