//! The sources of a simulated node: which of them are followed, and what is lost with one that is not.

use std::collections::BTreeMap;

use super::parameter::SiteParameter as S;
use super::sim_node::SimNode;
use kiln_model::{Component, KernelRecord, KernelSource, Moment, Source, SourceTrouble};

/// Every source with the parameter that closes it.
pub(super) const PARAMETERS: [(S, Source); 6] = [
    (S::LogFollowed, Source::KernelLog),
    (S::EventsFollowed, Source::DriverEvents),
    (S::ControllersFollowed, Source::MemoryControllers),
    (S::PcieCountersFollowed, Source::PcieCounters),
    (S::BusFollowed, Source::PciBus),
    (S::PortsFollowed, Source::Infiniband),
];

impl SimNode {
    pub(super) fn follows(&self, source: Source) -> bool {
        let node = self.site.values.get(&Component::Node);
        let parameter = PARAMETERS.iter().find(|(_, of)| *of == source).map(|(parameter, _)| *parameter);
        parameter.zip(node).is_none_or(|(parameter, node)| node[parameter] > 0.5)
    }

    /// Tells of sources that came or went.
    pub(super) fn tell_sources(&mut self) {
        let stands = |source| if self.follows(source) { Ok(()) } else { Err(SourceTrouble::Absent) };
        let states: BTreeMap<_, _> = PARAMETERS.iter().map(|(_, source)| (*source, stands(*source))).collect();
        let changes = self.sources.changes(Moment::from_nanos(self.now), &states);
        self.pending.sources.extend(changes);
    }

    /// Logs a line of the kernel. With the log closed, the driver's event channel still tells of Xids.
    pub(super) fn log(&mut self, text: String) {
        let at = Moment::from_nanos(self.now);
        if self.follows(Source::KernelLog) {
            self.pending.kernel.push(KernelRecord { at, source: KernelSource::KernelLog, text });
        } else if self.follows(Source::DriverEvents)
            && let Some((head, tail)) = text.split_once("): ")
            && head.starts_with("NVRM: Xid (")
        {
            let code = tail.split(',').next().unwrap_or_default();
            let text = format!("{head}): {code}, reported by the driver's event channel");
            self.pending.kernel.push(KernelRecord { at, source: KernelSource::DriverEvent, text });
        }
    }
}
