//! Questions asked of a node now and then, beside the samples of every tick, and their answers.

use serde::{Deserialize, Serialize};

use super::{GpuIndex, Inventory, Reading, ReadingFailure};

/// A question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Probe {
    /// The whole inventory again.
    Inventory,
    /// Every error counter of every GPU and link.
    Counters,
}

/// An answer; `Err` carries why the question failed as a whole.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    Inventory(Result<Box<Inventory>, Unanswered>),
    Counters(Result<Vec<GpuCounters>, Unanswered>),
}

/// Why a question failed as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unanswered {
    /// A recording that is played back has no counters.
    CountersNotRecorded,
    /// What the node or its driver says instead, and the sentences of older journals.
    #[serde(untagged)]
    Words(String),
}

/// Totals since the driver loaded, of one GPU. Only differences mean anything.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GpuCounters {
    pub gpu: GpuIndex,
    pub ecc_corrected: Reading<u64>,
    pub ecc_uncorrected: Reading<u64>,
    /// SRAM errors passed the part's own threshold.
    pub sram_threshold_exceeded: Reading<bool>,
    pub remap_corrected: Reading<u64>,
    pub remap_uncorrected: Reading<u64>,
    pub remap_pending: Reading<bool>,
    pub remap_failed: Reading<bool>,
    /// Banks with no spare rows left.
    pub remap_banks_exhausted: Reading<u64>,
    pub pcie_replays: Reading<u64>,
    /// Correctable PCIe errors the device logged (AER).
    pub pcie_correctable: Reading<u64>,
    pub pcie_fatal: Reading<u64>,
    /// Speed and width of the link changed this many times.
    pub pcie_retrains: Reading<u64>,
    pub links: Reading<Vec<LinkCounters>>,
}

impl GpuCounters {
    /// Whether a call for one of them said that the GPU is lost.
    pub fn is_lost(&self) -> bool {
        const LOST: ReadingFailure = ReadingFailure::Lost;
        let links = self.links.value().into_iter().flatten();
        let counts = [
            self.ecc_corrected,
            self.ecc_uncorrected,
            self.remap_corrected,
            self.remap_uncorrected,
            self.remap_banks_exhausted,
            self.pcie_replays,
            self.pcie_correctable,
            self.pcie_fatal,
            self.pcie_retrains,
        ];
        let flags = [self.sram_threshold_exceeded, self.remap_pending, self.remap_failed];
        self.links == Reading::Failed(LOST)
            || flags.contains(&Reading::Failed(LOST))
            || counts
                .into_iter()
                .chain(links.flat_map(|link| [link.crc, link.replay, link.recovery]))
                .any(|count| count == Reading::Failed(LOST))
    }

    /// Every counter failed in the same way.
    pub const fn failed(gpu: GpuIndex, failure: ReadingFailure) -> Self {
        let (number, flag) = (Reading::Failed(failure), Reading::Failed(failure));
        Self {
            gpu,
            ecc_corrected: number,
            ecc_uncorrected: number,
            sram_threshold_exceeded: flag,
            remap_corrected: number,
            remap_uncorrected: number,
            remap_pending: flag,
            remap_failed: flag,
            remap_banks_exhausted: number,
            pcie_replays: number,
            pcie_correctable: number,
            pcie_fatal: number,
            pcie_retrains: number,
            links: Reading::Failed(failure),
        }
    }
}

/// Error totals of one NVLink.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkCounters {
    pub link: u8,
    pub crc: Reading<u64>,
    pub replay: Reading<u64>,
    pub recovery: Reading<u64>,
}
