//! What a driver or a part never offered, as the inventory tells it, so that a plan can say before a run what it will
//! not judge. A reading that was offered and fell silent is another matter and is not told here.

use serde::{Deserialize, Serialize};

/// One reading that is not offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lacking {
    /// The distance to slowdown (NVML before release 570; Ampere with any), where an absolute threshold stands in.
    MarginCall,
    /// The distance to slowdown, and no absolute threshold either.
    Margin,
    /// Counters of the time slowed down (NVML before release 575), where sampled clock event reasons stand in.
    ThrottleCounters,
    /// Neither counters of the time slowed down nor clock event reasons.
    ThrottleTimes,
    /// Whether SRAM errors passed the part's threshold (NVML before release 550), with errors on record that only the
    /// threshold could excuse.
    SramThreshold,
    /// Counters of PCIe errors, from the driver as from the kernel.
    PcieErrors,
    /// What NVLinks end at: a driver that does not see the switches, as in a virtual machine.
    LinkEnds,
    /// A kernel of this program that runs on the part: what needs a load ends in ERROR.
    Kernels,
    /// The node's power supplies, which on most servers answer to the management controller alone.
    Supplies,
}

impl Lacking {
    pub const ALL: [Self; 9] = [
        Self::MarginCall,
        Self::Margin,
        Self::ThrottleCounters,
        Self::ThrottleTimes,
        Self::SramThreshold,
        Self::PcieErrors,
        Self::LinkEnds,
        Self::Kernels,
        Self::Supplies,
    ];

    /// Whether something weaker is read in its place, so that limits on it are judged all the same.
    pub const fn has_stand_in(self) -> bool {
        matches!(self, Self::MarginCall | Self::ThrottleCounters)
    }
}
