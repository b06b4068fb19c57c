//! The events of a run, each a past-tense fact, and the envelope they travel in.

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Case, Finding, GuardTrip, Lateness, RunFailure, RunStart, StepEnding, Verdict};

use kiln_model::{
    Component, GpuCounters, GpuIndex, Inventory, KernelRecord, LoadEnd, LoadId, LoadOrder, Mismatch, Moment, NoteFact,
    NoteKind, Reading, Restart, SourceReport, Span, Text, WallTime,
};
use kiln_plan::Plan;

/// One event with its place in the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Envelope {
    /// Counts from 0 without gaps.
    pub seq: u64,
    pub at: Moment,
    /// As the wall clock was read when the event was recorded.
    pub wall: WallTime,
    pub event: RunEvent,
}

/// One execution of a step: which round of its stage, which attempt.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
pub struct StepKey {
    /// `stage.step`.
    pub path: String,
    /// Round of the stage, from 1.
    pub round: u32,
    /// Attempt in this round, from 1.
    pub attempt: u32,
}

/// A fact about the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunEvent {
    RunStarted(Box<RunStart>),
    InventoryRead(Box<Inventory>),
    PlanMade(Box<Plan>),
    StageStarted {
        stage: String,
        round: u32,
    },
    StageFinished {
        stage: String,
        round: u32,
    },
    StepStarted {
        key: StepKey,
    },
    PhaseEntered {
        key: StepKey,
        phase: Phase,
        until: Option<Moment>,
    },
    LoadStarted {
        key: StepKey,
        order: LoadOrder,
    },
    LoadEnded {
        load: LoadId,
        gpu: Option<GpuIndex>,
        end: LoadEnd,
    },
    ResultMismatched {
        load: LoadId,
        mismatch: Mismatch,
        gpu_celsius: Reading<f64>,
    },
    /// A load had something to say that is no measurement.
    LoadNoted {
        load: LoadId,
        gpu: Option<GpuIndex>,
        kind: NoteKind,
        what: NoteFact,
    },
    /// The host did not keep up while a step ran. It is told before the step's end.
    HostLate {
        key: StepKey,
        lateness: Lateness,
    },
    /// The run's first look at all error counters, which later looks are held against.
    CountersRead(Vec<GpuCounters>),
    /// The PCIe link of a GPU was found to rest in a lower generation while nothing uses it.
    LinkRests {
        gpu: GpuIndex,
    },
    KernelLogged(KernelRecord),
    /// From when on a source of the node is followed, or no longer.
    SourceTold(SourceReport),
    GpuLost {
        gpu: GpuIndex,
    },
    GuardTripped(GuardTrip),
    GuardCleared {
        guard: String,
        component: Component,
    },
    OperatorAsked {
        key: StepKey,
        prompt: Text,
    },
    OperatorAnswered {
        key: StepKey,
        yes: bool,
        comment: Option<String>,
    },
    /// The node is about to be started anew, as a step asks for. Written before the order is given: whoever gives it goes
    /// down with the node.
    RestartAsked {
        key: StepKey,
        how: Restart,
        /// How long the node may take until it goes down.
        within: Span,
    },
    StepFinished {
        key: StepKey,
        cases: Vec<Case>,
        /// Version 1.0 of the journal does not have it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ending: Option<StepEnding>,
    },
    FindingMade(Finding),
    RunInterrupted {
        by: Interruption,
    },
    /// The run was taken up again after a crash or reboot; steps that were running are interrupted.
    ///
    /// The inventory that is read next is of the node as it is then.
    RunResumed {
        interrupted: Vec<StepKey>,
        /// Of the files a simulated node is now made from.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        source_digest: Option<String>,
    },
    RunFinished {
        verdict: Verdict,
    },
    /// Written by a newer minor version. Every kind of event has content, so that whatever it is can be passed over.
    #[serde(other, serialize_with = "write_nothing", deserialize_with = "pass_over")]
    Unknown,
}

/// Takes in the content of an unknown kind of event, whatever its form, and keeps nothing of it.
fn pass_over<'de, D: Deserializer<'de>>(content: D) -> Result<(), D::Error> {
    IgnoredAny::deserialize(content).map(drop)
}

fn write_nothing<S: Serializer>(serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_unit()
}

/// Where a step is inside itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Waiting for the node to be idle and its temperatures to stand still.
    Settling,
    WarmingUp,
    Measuring,
    CoolingDown,
    Waiting,
}

/// Who interrupted a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Interruption {
    /// First signal: teardown runs, then the end.
    Signal,
    /// Second signal: loads are killed.
    Kill,
    /// Our own trouble.
    Failure(RunFailure),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_kind_is_passed_over_with_all_its_content() {
        for content in ["null", "7", "\"word\"", "[1,[2]]", "{\"key\":{\"deep\":[true]}}"] {
            let text = format!("{{\"moon-phase-changed\":{content}}}");
            assert_eq!(serde_json::from_str::<RunEvent>(&text).expect("passed over"), RunEvent::Unknown);
        }
        let written = serde_json::to_string(&RunEvent::Unknown).expect("written");
        assert_eq!(serde_json::from_str::<RunEvent>(&written).expect("read again"), RunEvent::Unknown);
    }

    #[test]
    fn a_known_kind_with_wrong_content_is_refused() {
        let refused = serde_json::from_str::<RunEvent>("{\"gpu-lost\":{\"gpu\":\"three\"}}");
        assert!(refused.is_err());
        assert!(serde_json::from_str::<RunEvent>("{\"gpu-lost\":{\"gpu\":3,\"rack\":7}}").is_ok());
    }
}
