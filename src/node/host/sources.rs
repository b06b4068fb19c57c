//! Which of the host's own sources of trouble are there: memory controllers, error counters, bus, network ports.

use std::collections::BTreeMap;
use std::path::Path;

use super::memory_errors;
use super::source::entries;
use kiln_model::{Moment, Reach, Reading, ReadingFailure, Source, SourceReport, SourceState, SourceTrouble};

/// How every source of the host stands now. May block on the files of a broken device.
pub fn host_sources(root: &Path) -> BTreeMap<Source, Result<(), SourceTrouble>> {
    let devices = entries(&root.join("sys/bus/pci/devices"));
    let counted = devices.value().is_some_and(|devices| devices.iter().any(|one| one.join("aer_dev_fatal").exists()));
    let counters = if counted { Reading::Value(()) } else { devices.clone().map(|_| ()).and_unsupported() };
    BTreeMap::from([
        (Source::MemoryControllers, state(&memory_errors(root))),
        (Source::PcieCounters, state(&counters)),
        (Source::PciBus, state(&devices)),
        (Source::Infiniband, state(&entries(&root.join("sys/class/infiniband")))),
    ])
}

trait Unsupported {
    /// A reading that answered, but with nothing of what was looked for.
    fn and_unsupported(self) -> Self;
}

impl Unsupported for Reading<()> {
    fn and_unsupported(self) -> Self {
        match self {
            Self::Value(()) | Self::Unsupported => Self::Unsupported,
            Self::Failed(failure) => Self::Failed(failure),
        }
    }
}

const fn state<T>(reading: &Reading<T>) -> Result<(), SourceTrouble> {
    match reading {
        Reading::Value(_) => Ok(()),
        Reading::Unsupported => Err(SourceTrouble::Absent),
        Reading::Failed(ReadingFailure::NoPermission) => Err(SourceTrouble::NoPermission),
        Reading::Failed(ReadingFailure::Driver(code)) => Err(SourceTrouble::Failed(*code)),
        Reading::Failed(_) => Err(SourceTrouble::Failed(0)),
    }
}

/// Remembers how sources stood, so that only changes are told.
#[derive(Debug, Default)]
pub struct SourceWatch {
    known: BTreeMap<Source, SourceState>,
}

impl SourceWatch {
    /// What is to be told of sources as they stand `now`.
    pub fn changes(&mut self, now: Moment, states: &BTreeMap<Source, Result<(), SourceTrouble>>) -> Vec<SourceReport> {
        let mut told = Vec::new();
        for (source, state) in states {
            let before = self.known.get(source).copied();
            let state = match (state, before) {
                // Counters keep what they counted since the start of the machine.
                (Ok(()), _) => SourceState::Followed(Reach::Boot),
                (Err(trouble), Some(SourceState::Followed(_) | SourceState::Ended(_))) => SourceState::Ended(*trouble),
                (Err(trouble), _) => SourceState::Closed(*trouble),
            };
            if before != Some(state) {
                self.known.insert(*source, state);
                told.push(SourceReport { at: now, source: *source, state });
            }
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_source_that_goes_away_has_ended_and_one_that_never_was_is_closed() {
        let root = tempfile::tempdir().expect("folder");
        let bus = root.path().join("sys/bus/pci/devices/0000:53:00.0");
        fs::create_dir_all(&bus).expect("folder");
        let mut watch = SourceWatch::default();
        let mut told = |at: u64| -> Vec<(Source, SourceState)> {
            let reports = watch.changes(Moment::from_secs(at), &host_sources(root.path()));
            reports.into_iter().map(|report| (report.source, report.state)).collect()
        };
        let absent = SourceState::Closed(SourceTrouble::Absent);
        assert_eq!(
            told(0),
            [
                (Source::MemoryControllers, absent),
                (Source::PcieCounters, absent),
                (Source::PciBus, SourceState::Followed(Reach::Boot)),
                (Source::Infiniband, absent),
            ]
        );
        fs::write(bus.join("aer_dev_fatal"), "TOTAL_ERR_FATAL 0\n").expect("file");
        assert_eq!(told(1), [(Source::PcieCounters, SourceState::Followed(Reach::Boot))]);
        assert_eq!(told(2), []);
        fs::remove_dir_all(root.path().join("sys")).expect("removed");
        let ended = SourceState::Ended(SourceTrouble::Absent);
        assert_eq!(told(3), [(Source::PcieCounters, ended), (Source::PciBus, ended)]);
    }
}
