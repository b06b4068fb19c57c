//! A profile as meant: validated, defaults filled in, variables replaced, parents merged.
//!
//! Later code never checks again what holds here. How it is read is for the files beside this one.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Params;
use kiln_limit::{Bound, IfUnsupported, Limit};
use kiln_model::{ComponentKind, GpuSet, Sensor, Span, Text};

/// A whole profile. Its JSON form is canonical: the digest of it names what was run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    pub id: String,
    pub revision: u32,
    pub title: Text,
    /// SKU ids this profile is for; any other GPU is refused.
    pub skus: Vec<String>,
    pub telemetry: Telemetry,
    pub guards: Vec<Guard>,
    pub stages: Vec<Stage>,
    pub teardown: Vec<Step>,
    pub waivers: Vec<Waiver>,
    /// Variables with the values in force.
    pub vars: BTreeMap<String, String>,
    /// Stages and steps of a parent that this profile leaves out, as `stage` or `stage.step`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
    /// What the command line changed.
    pub deviations: Vec<Deviation>,
}

/// A change made from outside the profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Deviation {
    /// `--set name=value`, with what the profile had.
    Set {
        name: String,
        value: String,
        was: String,
        /// The least value with which the profile keeps its promise, where it says one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        least: Option<String>,
        /// Whether the promise is kept: only a value that is no less than the least one can say so.
        #[serde(default)]
        kept: bool,
    },
    /// `--only FILTER`: such a run is partial and never an acceptance PASS.
    Only { filter: String },
    /// `--gpus 0-3,5`: the others of the node were not tested.
    Gpus {
        #[schemars(with = "String")]
        chosen: GpuSet,
    },
    /// A library or the host's files were taken from elsewhere: the variable or option that says so, and what it says.
    Surroundings { name: String, value: String },
}

impl Deviation {
    /// Whether what ran is less than what the profile stands for.
    pub const fn lessens(&self) -> bool {
        match self {
            Self::Set { kept, .. } => !*kept,
            // What answered was not what the profile is about: another library may answer otherwise.
            Self::Only { .. } | Self::Gpus { .. } | Self::Surroundings { .. } => true,
        }
    }
}

/// Fewer readings than this are no statistic of a window.
pub const LEAST_READINGS: u32 = 5;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Telemetry {
    pub every: Span,
}

/// An always-on stop rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Guard {
    pub id: String,
    pub scope: GuardScope,
    pub trigger: Trigger,
    /// How long the condition must hold before the guard trips.
    pub hold: Span,
    /// The bound that must be met again before the guard can trip anew. `None`: the trip bound itself, by a margin the
    /// engine sets.
    pub clear: Option<Bound>,
    /// Readings older than this count as a trip: stale data is hot data.
    pub stale: Option<Span>,
    /// What it makes of a part that does not offer the sensor: by default that is silence like any other.
    #[serde(default)]
    pub unsupported: IfUnsupported,
    pub stop: GuardStop,
    pub result: GuardResult,
    pub code: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GuardScope {
    EachGpu,
    Node,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trigger {
    /// A sensor's reading inside the bound trips.
    Reading { sensor: Sensor, bound: Bound },
    /// A GPU no longer answers.
    GpuLost,
    /// A kernel log Xid that must fail a burn-in.
    Xid,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GuardStop {
    /// Stop the steps now running on the component.
    Step,
    Stage,
    Run,
}

/// What a trip says about the unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GuardResult {
    Fail,
    Inconclusive,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    pub id: String,
    pub title: Option<Text>,
    pub then: Then,
    pub repeat: Loop,
    /// All steps of the stage run side by side.
    pub together: bool,
    /// Stages that must have passed.
    pub needs: Vec<String>,
    pub requires: BTreeMap<Capability, OnUnmet>,
    pub steps: Vec<Step>,
}

/// How often a stage runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loop {
    Count(u32),
    /// Again and again until this much time has passed; a round that has begun is finished.
    For(Span),
}

/// One use of a check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    pub id: String,
    pub check: String,
    pub title: Option<Text>,
    pub each: ComponentKind,
    pub params: Params,
    pub limits: BTreeMap<String, Limit>,
    /// Measurements that are held against the lot as well, where the run is given one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lot: Vec<String>,
    pub then: Then,
    pub retry: Retry,
    /// The longest the step may take; `None`: the engine's own margin over the estimate.
    pub timeout: Option<Span>,
    /// Steps of the same stage, or `stage.step`, that must have passed.
    pub needs: Vec<String>,
    pub requires: BTreeMap<Capability, OnUnmet>,
}

/// What to do after a step that did not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Then {
    pub fail: Policy,
    pub error: Policy,
    pub inconclusive: Policy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    Continue,
    StopStage,
    Stop,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    /// Further attempts after the first.
    pub max: u32,
    pub on: BTreeSet<RetryOn>,
    pub delay: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RetryOn {
    Error,
    Inconclusive,
    /// Needs a reason in the profile; a pass after a fail is shown as such.
    Fail,
}

/// Something a node has or has not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Capability {
    /// The SKU has NVLinks.
    Nvlink,
    /// Its NVLinks lead to switches, and not to the other GPUs directly.
    NvlinkSwitch,
    /// The SKU registers with an NVLink fabric.
    Fabric,
    C2c,
    /// HBM (or other memory) temperature can be read.
    MemoryTemperature,
    InletTemperature,
    KernelLog,
    /// At least two GPUs.
    Peers,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnUnmet {
    Error,
    Skip,
}

/// Leave to fail one measurement of one component for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiver {
    /// `stage.step[component].measurement`; `*` stands for any component or measurement.
    pub matches: String,
    /// Last day it holds, as `2026-12-31`.
    pub until: jiff::civil::Date,
    pub by: String,
    pub reason: String,
}
