//! All of the host in one go, for an inventory.

use std::collections::BTreeMap;
use std::path::Path;

use super::pci::{PciDetail, numa_nodes, pci_details};
use super::{dmi, machine, parts};
use kiln_model::{Host, NodeIdentity, PciFunction, Reading, ReadingFailure};

/// What an inventory takes from the host.
#[derive(Debug, Clone, PartialEq)]
pub struct HostFacts {
    pub node: NodeIdentity,
    pub host: Host,
    /// GPUs as the bus shows them.
    pub pci: Reading<Vec<PciFunction>>,
    /// NUMA nodes of the GPUs by address.
    pub numa: BTreeMap<String, u8>,
    /// The kernel's totals of PCIe errors of the GPUs by address: corrected and fatal.
    pub aer: BTreeMap<String, (Reading<u64>, Reading<u64>)>,
    /// Subsystem ids of the GPUs by address.
    pub subsystems: BTreeMap<String, Reading<String>>,
}

impl HostFacts {
    /// A host whose files did not answer.
    pub fn failed(failure: ReadingFailure) -> Self {
        let text = || Reading::Failed(failure);
        Self {
            node: NodeIdentity {
                model: text(),
                serial: text(),
                board_serial: text(),
                hostname: text(),
                boot_id: text(),
                bios: text(),
            },
            host: Host {
                cpu_model: text(),
                cpus: Reading::Failed(failure),
                memory_mib: Reading::Failed(failure),
                dimms: Reading::Failed(failure),
                nics: Reading::Failed(failure),
                nvmes: Reading::Failed(failure),
                psus: Reading::Failed(failure),
                clock_source: text(),
            },
            pci: Reading::Failed(failure),
            numa: BTreeMap::new(),
            aer: BTreeMap::new(),
            subsystems: BTreeMap::new(),
        }
    }
}

/// Reads the host under `root`. May block on the files of a broken device.
pub fn read_host(root: &Path) -> HostFacts {
    let details = pci_details(root);
    HostFacts {
        node: dmi::node_identity(root),
        host: Host {
            cpu_model: machine::cpu_model(root),
            cpus: machine::cpus(root),
            memory_mib: machine::memory_mib(root),
            dimms: dmi::dimms(root),
            nics: parts::nics(root),
            nvmes: parts::nvmes(root),
            // Servers' supplies answer to the management controller alone; the kernel has no files of them, and a plan says so
            // before the run (`Lacking::Supplies`).
            psus: Reading::Unsupported,
            clock_source: machine::clock_source(root),
        },
        numa: details.value().map(|details| numa_nodes(details)).unwrap_or_default(),
        aer: by_address(&details, |detail| (detail.aer_correctable, detail.aer_fatal)),
        subsystems: by_address(&details, |detail| detail.subsystem.clone()),
        pci: details.map(|details| details.iter().map(super::PciDetail::function).collect()),
    }
}

fn by_address<T>(details: &Reading<Vec<PciDetail>>, pick: impl Fn(&PciDetail) -> T) -> BTreeMap<String, T> {
    details.value().into_iter().flatten().map(|detail| (detail.address.clone(), pick(detail))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_tree_gives_a_host_of_which_nothing_is_known() {
        let root = tempfile::tempdir().expect("folder");
        let facts = read_host(root.path());
        assert_eq!(facts.node, NodeIdentity::default());
        assert_eq!(facts.host, Host::default());
        assert_eq!(facts.pci, Reading::Unsupported);
    }
}
