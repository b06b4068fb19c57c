//! Why something that was to be measured has no value.
//!
//! Only the facts are here: the sentences that people read, in any language, are made by reports.

use serde::{Deserialize, Deserializer, Serialize};

use super::{GpuIndex, LoadEnd, Moment, NoteFact, ReadingFailure, Source, SourceTrouble, Span, Unproven};

/// Why there is no value. What a driver or a program says in its own words is carried as data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Missing {
    /// The check ended without a value of this name.
    NotGiven,
    /// The arithmetic came to no finite number.
    NotFinite,

    // --- reading ---
    /// The driver or the host failed to answer.
    Read(ReadingFailure),
    /// A setting could be read before and not again.
    SettingUnread {
        setting: Setting,
        failure: ReadingFailure,
    },
    /// None of the readings gave a value.
    NeverRead,
    /// It could be read when the run began, and now cannot.
    NoLongerOffered,
    PowerLimitsUnread,
    ClockReasonsUnread,
    /// The driver does not list the part any more.
    NotListed,
    /// The profile's parameter asks for something that the node does not report.
    NotTold {
        param: String,
    },

    // --- parts that are gone ---
    /// The GPU stopped answering.
    GpuLost {
        at: Moment,
    },
    /// The GPU at the other end of a pair no longer answers.
    PeerLost {
        gpu: GpuIndex,
    },
    /// Every other GPU is gone.
    NoPartner,
    /// The node has no other GPU.
    NoOtherGpu,

    // --- windows of readings ---
    /// Too many readings of the window failed.
    FailedReadings {
        failed: u64,
        of: u64,
    },
    /// The good readings cover too little of the window.
    Coverage {
        readings: u64,
        covered: Span,
        window: Span,
    },
    /// The readings cover the window, which is too short for as many as a statistic needs.
    FewReadings {
        readings: u64,
        least: u64,
    },
    /// Two sensors were read together for too little of the window.
    CoverageTogether {
        covered: Span,
        window: Span,
    },
    /// The samples cover too little of the time in which there was traffic.
    TrafficCoverage {
        samples: u64,
        covered: Span,
        traffic: Span,
    },
    /// There are readings enough, but they allow no such statistic.
    NoStatistic,
    NoReadingUnderLoad,
    NoSampleInPulses,

    // --- counters ---
    CountersUnread,
    /// There is no earlier look at the counters to compare with.
    FirstLook,
    CounterNeverRead,
    CounterReadOnce,
    CounterUnreadAtEnd,
    CounterReadAtOneEnd,
    /// The counter was read over too little of the window.
    CounterCoverage {
        seen: Span,
        window: Span,
    },
    /// A driver that is loaded anew, or a GPU that is reset, begins to count again.
    CounterBackwards,
    /// The counter stands at the highest value it can show.
    CounterFull {
        at: u64,
    },
    /// The link was not there at the first look.
    LinkIsNew,

    // --- loads ---
    /// The load ended before the window was over.
    LoadEnded(LoadEnd),
    /// The load fell silent before the window was over.
    LoadSilent {
        told: Span,
        window: Span,
    },
    LoadNeverReported,
    /// A process that is not the load's came to the GPU while the load ran, and took its share of it.
    ForeignProcess,
    /// The driver refused the fastest kernel; `note` is what the load says of the one it used.
    SlowerKernel {
        note: Box<NoteFact>,
    },
    NothingCompared,
    NoCopyTimed,
    NoTrafficTold,
    NoPassFinished,
    MarchUnfinished,
    ScreenUnfinished,

    // --- physics ---
    /// There is neither an inlet temperature nor an idle state to compare with.
    NoReferenceTemperature,
    NoIdleState,
    /// The load drew too little power for the temperature to say anything.
    LittlePower {
        watts: f64,
    },
    /// The temperature never stood still.
    NeverSteady,
    /// The GPU was hardly warmer than at the end.
    HardlyWarmer,
    NeverBusy,
    /// The GPU was under load for too short a time.
    BusyFor {
        busy: Span,
    },
    LoadUnchanged {
        samples: u64,
    },
    /// What the value follows did not change enough.
    CauseUnchanged,

    /// The driver was told to hold the SM clock, and it ran faster. In MHz.
    ClockNotKept {
        held: f64,
        mean: f64,
    },

    // --- what the model says ---
    ClockCeilingUnknown,
    NvlinkCountUnknown,
    NvlinkSpeedUnknown,
    NoNvlinkActive,
    /// The model is sold with different numbers of GPUs in a node.
    GpuCountAmbiguous {
        sold: Vec<u32>,
        found: usize,
    },
    GpuCountUnknown,
    /// None of the driver's GPUs is on the PCI bus that this process sees.
    ForeignBus,

    // --- sources of events ---
    /// The kernel log is not followed.
    KernelLogUnread(SourceTrouble),
    KernelLogGaps,
    /// A source that was followed could no longer be read.
    SourceGone {
        source: Source,
        trouble: SourceTrouble,
    },

    // --- programs of other people ---
    /// The program offers no such value.
    NotOffered,
    NoSpeedShown,
    NoValueChecked,
    /// The output says nothing of these GPUs.
    SilentOn {
        gpus: Vec<GpuIndex>,
    },
    /// The program's report has nothing at this JSON pointer.
    NotInReport {
        pointer: String,
    },
    /// The program's report has something else than a number at this JSON pointer.
    NotANumber {
        pointer: String,
        found: String,
    },
    /// The program's output does not prove it.
    Program(Unproven),

    /// The sentence of a journal of version 1.0. Nothing makes it any more.
    #[serde(untagged)]
    Legacy(String),
}

/// A setting of a GPU that a run must leave as it found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Setting {
    Ecc,
    EccAfterReset,
    Mig,
    MigAfterReset,
    Persistence,
    ComputeMode,
    PowerLimit,
    ApplicationClock,
}

impl Setting {
    /// The name in the value `changed`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ecc => "ecc",
            Self::EccAfterReset => "ecc after reset",
            Self::Mig => "mig",
            Self::MigAfterReset => "mig after reset",
            Self::Persistence => "persistence",
            Self::ComputeMode => "compute mode",
            Self::PowerLimit => "power limit",
            Self::ApplicationClock => "application clock",
        }
    }
}

/// What version 1.0 of the journal says where the check ended without the value.
const NOT_GIVEN: &str = "the check gave no such value";

impl Missing {
    /// Reads the reason of a missing value from a journal of any version 1.
    pub fn of_journal<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(match Self::deserialize(from)? {
            Self::Legacy(text) if text == NOT_GIVEN => Self::NotGiven,
            other => other,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_read_back_and_those_of_version_1_0_are_kept_as_they_stood() {
        let read = |text: &str| serde_json::from_str::<Missing>(text).expect("readable");
        let all = [
            Missing::NotGiven,
            Missing::Read(ReadingFailure::Timeout),
            Missing::Coverage { readings: 3, covered: Span::from_secs(2), window: Span::from_secs(9) },
            Missing::LoadEnded(LoadEnd::Failed("out of memory".to_owned().into())),
        ];
        for one in all {
            assert_eq!(read(&serde_json::to_string(&one).expect("written")), one);
        }
        assert_eq!(read("\"3 of 60 samples\""), Missing::Legacy("3 of 60 samples".to_owned()));
    }
}
