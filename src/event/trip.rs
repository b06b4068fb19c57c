//! A guard that tripped, and why.

use serde::{Deserialize, Serialize};

use super::{Outcome, Vitals, legacy};
use kiln_model::{Component, Sensor, Span};
use kiln_profile::{GuardResult, GuardStop};

/// A guard that tripped, with what made it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GuardTrip {
    pub guard: String,
    pub component: Component,
    pub code: String,
    pub stop: GuardStop,
    pub result: GuardResult,
    #[serde(alias = "text", deserialize_with = "legacy::trip_cause")]
    pub cause: TripCause,
    /// The last reading, where there is one.
    pub reading: Option<f64>,
    /// What every GPU showed at that moment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub around: Vec<Vitals>,
}

/// What made a guard trip.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TripCause {
    /// A reading was in the trip range for so long.
    Reading {
        sensor: Sensor,
        value: f64,
        held: Span,
    },
    /// Part and driver do not offer the sensor, and the guard requires it.
    NotOffered {
        sensor: Sensor,
    },
    /// The sensor gave no reading of this part for so long.
    Silent {
        sensor: Sensor,
        span: Span,
    },
    /// The sensor gave no reading of any GPU for so long.
    SilentOnAll {
        sensor: Sensor,
        span: Span,
    },
    /// No GPU gave any reading for so long.
    NothingHeard {
        span: Span,
    },
    GpuLost,
    /// The kernel logged this Xid, which is proof by itself.
    Xid {
        code: u32,
    },

    /// The sentence of a journal of version 1.0. Nothing makes it any more.
    #[serde(untagged)]
    Legacy(String),
}

impl GuardTrip {
    /// What the trip says. At the station it is our trouble whatever the guard is for.
    pub fn outcome(&self) -> Outcome {
        match self.result {
            GuardResult::Fail => Outcome::Fail,
            GuardResult::Inconclusive if self.component == Component::Station => Outcome::Error,
            GuardResult::Inconclusive => Outcome::Inconclusive,
        }
    }

    /// The trip as the reason why steps were stopped.
    pub fn as_stop(&self) -> super::GuardStop {
        super::GuardStop { guard: self.guard.clone(), component: self.component, cause: self.cause.clone() }
    }
}
