//! The sources a node is watched by, and from when to when each of them was followed.
//!
//! A source that is not there is not a quiet one: whoever counts what a source told must ask for its state first.

use serde::{Deserialize, Serialize};

use super::Moment;

/// Something that tells of trouble without being asked, or that is looked at for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// `/dev/kmsg`.
    KernelLog,
    /// The event set of the driver's library. It repeats Xids of the kernel log and never holds one that the log lacks.
    DriverEvents,
    /// Counters of the memory controllers (EDAC): without that driver no corrected error of host memory is ever logged.
    MemoryControllers,
    /// Error counters of PCIe devices (AER).
    PcieCounters,
    /// Devices on the PCI bus.
    PciBus,
    /// InfiniBand and RoCE ports.
    Infiniband,
}

/// How a source stands from a moment on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceState {
    /// It is followed from here on. Of the time before, this is what could still be read.
    Followed(Reach),
    /// It could not be opened.
    Closed(SourceTrouble),
    /// It was followed up to here and no further.
    Ended(SourceTrouble),
}

/// How far back a source reaches at the moment it is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reach {
    /// Nothing older is kept.
    Now,
    /// Everything since the machine was started.
    Boot,
    /// Since the machine was started, but the oldest records had been overwritten: so many.
    Overwritten(u64),
}

/// Why a source is not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceTrouble {
    /// It is not there.
    Absent,
    NoPermission,
    /// A folder lies in its place, as a container runtime makes one of a path it cannot find.
    Directory,
    /// What lies in its place cannot be read so.
    OtherKind,
    /// Reading it failed with this code of the operating system or the driver; 0 where there is none.
    Failed(i32),
    /// Whoever followed it stopped without a word.
    ReaderGone,
    /// The file was cut or replaced while it was followed.
    Replaced,
    /// Nobody told whether it was followed, as in recordings of earlier versions.
    NotTold,
}

/// What a node says of one of its sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceReport {
    pub at: Moment,
    pub source: Source,
    pub state: SourceState,
}

impl SourceReport {
    /// Says that `source` is followed from the start of the run, and all of it.
    pub const fn followed(at: Moment, source: Source) -> Self {
        Self { at, source, state: SourceState::Followed(Reach::Boot) }
    }
}

/// The trouble that stands in the way of believing what `source` did not tell; `None` where it is followed.
///
/// The last report decides: a log that is opened again is read from its oldest record.
pub fn trouble_of(source: Source, reports: &[SourceReport]) -> Option<SourceTrouble> {
    match reports.iter().rev().find(|report| report.source == source).map(|report| report.state) {
        Some(SourceState::Followed(_)) => None,
        Some(SourceState::Closed(trouble) | SourceState::Ended(trouble)) => Some(trouble),
        None => Some(SourceTrouble::NotTold),
    }
}

/// How many records of `source` had been overwritten before it was first opened.
pub fn overwritten(source: Source, reports: &[SourceReport]) -> u64 {
    let mut own = reports.iter().filter(|report| report.source == source);
    let first = own.find_map(|report| match report.state {
        SourceState::Followed(reach) => Some(reach),
        SourceState::Closed(_) | SourceState::Ended(_) => None,
    });
    match first {
        Some(Reach::Overwritten(count)) => count,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_told_of_is_not_followed_and_the_last_report_decides() {
        let report = |state| SourceReport { at: Moment::ZERO, source: Source::KernelLog, state };
        assert_eq!(trouble_of(Source::KernelLog, &[]), Some(SourceTrouble::NotTold));
        let mut reports = vec![report(SourceState::Followed(Reach::Overwritten(7)))];
        assert_eq!(trouble_of(Source::KernelLog, &reports), None);
        assert_eq!(trouble_of(Source::PciBus, &reports), Some(SourceTrouble::NotTold));
        assert_eq!(overwritten(Source::KernelLog, &reports), 7);
        // One that was none at first is one from its first record on.
        reports.insert(0, report(SourceState::Closed(SourceTrouble::OtherKind)));
        assert_eq!((trouble_of(Source::KernelLog, &reports), overwritten(Source::KernelLog, &reports)), (None, 7));
        reports.push(report(SourceState::Ended(SourceTrouble::ReaderGone)));
        assert_eq!(trouble_of(Source::KernelLog, &reports), Some(SourceTrouble::ReaderGone));
    }

    #[test]
    fn a_report_reads_back_as_written() {
        let report = SourceReport {
            at: Moment::from_secs(3),
            source: Source::KernelLog,
            state: SourceState::Ended(SourceTrouble::Failed(5)),
        };
        let text = serde_json::to_string(&report).expect("written");
        assert_eq!(serde_json::from_str::<SourceReport>(&text).expect("read"), report);
    }
}
