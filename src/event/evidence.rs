//! What a finding rests on: a value with its judgement, a trip, a line of the kernel log.

use serde::{Deserialize, Serialize};

use super::{Lateness, TripCause};
use kiln_limit::Judgement;
use kiln_model::{Change, Component, Mismatch, Moment, ReadingFailure, Span};

/// One fact that speaks for a finding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    pub from: EvidenceSource,
    pub component: Component,
    #[serde(alias = "text")]
    pub fact: EvidenceFact,
}

/// Where a piece of evidence comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum EvidenceSource {
    /// `stage.step`.
    Step(String),
    Guard(String),
    KernelLog,
    /// Whether the GPU answers at all.
    Readings,
    /// The results of loads, compared bit for bit.
    Results,
    PciBus,
    /// What was found when the run was taken up again.
    Resume,
}

impl EvidenceSource {
    /// The word that machines read.
    pub fn word(&self) -> &str {
        match self {
            Self::Step(id) | Self::Guard(id) => id,
            Self::KernelLog => "kernel log",
            Self::Readings => "readings",
            Self::Results => "results",
            Self::PciBus => "PCI bus",
            Self::Resume => "resume",
        }
    }
}

impl From<String> for EvidenceSource {
    fn from(word: String) -> Self {
        let named = [Self::KernelLog, Self::Readings, Self::Results, Self::PciBus, Self::Resume];
        match named.into_iter().find(|one| one.word() == word) {
            Some(named) => named,
            // Only the paths of steps have a dot.
            None if word.contains('.') => Self::Step(word),
            None => Self::Guard(word),
        }
    }
}

impl From<EvidenceSource> for String {
    fn from(source: EvidenceSource) -> Self {
        source.word().to_owned()
    }
}

/// What is known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EvidenceFact {
    /// A value of a step with its judgement.
    Value(Box<Judgement>),
    /// A guard tripped.
    Trip {
        at: Moment,
        cause: TripCause,
    },
    /// The kernel logged this, during the run or so long before it.
    Logged {
        text: String,
        at: Moment,
        before: Option<Span>,
    },
    /// No call was answered any more.
    Lost {
        at: Moment,
    },
    /// No call was answered when the run began.
    SilentFromStart {
        failure: ReadingFailure,
    },
    Mismatch {
        at: Moment,
        mismatch: Mismatch,
        celsius: Option<f64>,
    },
    /// Most of the wrong results that were told came from one multiprocessor.
    OneSm {
        sm: u32,
        told: usize,
        of: usize,
    },
    /// The host was late while a step ran.
    Late(Lateness),
    /// A part was another one when the run was taken up again.
    Changed {
        at: Moment,
        change: Change,
    },
    /// Nothing told whether the node was the one the run began on when it was taken up again.
    Unrecognised {
        at: Moment,
    },
    /// The node had been started anew when the run was taken up again, and nobody had asked for it.
    Booted {
        at: Moment,
    },
    /// PCI functions of GPUs that the driver does not have.
    NotWithDriver {
        addresses: Vec<String>,
    },

    /// The sentence of a journal of version 1.0. Nothing makes it any more.
    #[serde(untagged)]
    Legacy(String),
}

impl Evidence {
    /// The fact as a value of a step, if it is one.
    pub const fn value(&self) -> Option<&Judgement> {
        match &self.fact {
            EvidenceFact::Value(judgement) => Some(judgement),
            _ => None,
        }
    }

    /// The name of the measurement, if the evidence is a value of a step.
    pub fn measurement(&self) -> Option<&str> {
        self.value().map(|judgement| judgement.measurement.name.as_str())
    }

    /// What the evidence is about: the measurement, the sensor, or how the log names itself. Two pieces of one subject, from
    /// one source and on one component, say the same twice.
    pub fn subject(&self) -> &str {
        match &self.fact {
            EvidenceFact::Value(judgement) => &judgement.measurement.name,
            EvidenceFact::Trip { cause, .. } => match cause {
                TripCause::Reading { sensor, .. }
                | TripCause::NotOffered { sensor }
                | TripCause::Silent { sensor, .. }
                | TripCause::SilentOnAll { sensor, .. } => sensor.name(),
                TripCause::NothingHeard { .. } => "no readings",
                TripCause::GpuLost => "GPU lost",
                TripCause::Xid { .. } => "Xid",
                TripCause::Legacy(text) => first_word(text),
            },
            // The kernel and its drivers begin their lines with their names.
            EvidenceFact::Logged { text, .. } | EvidenceFact::Legacy(text) => first_word(text),
            EvidenceFact::Lost { .. } | EvidenceFact::SilentFromStart { .. } => "no answer",
            EvidenceFact::Mismatch { .. } => "wrong result",
            EvidenceFact::OneSm { .. } => "multiprocessor",
            EvidenceFact::Late(_) => "late samples",
            EvidenceFact::Changed { change, .. } => change.fact.word(),
            EvidenceFact::Unrecognised { .. } => "identity",
            EvidenceFact::Booted { .. } => "boot",
            EvidenceFact::NotWithDriver { .. } => "driver",
        }
    }
}

fn first_word(text: &str) -> &str {
    text.split(' ').next().unwrap_or_default()
}
