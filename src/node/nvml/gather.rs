//! Puts the GPUs' own inventories together: what one GPU's link ends at is known only beside the others.

use std::collections::{BTreeMap, BTreeSet};

use super::links::{LinkFacts, RemoteFacts, RemoteKind};
use crate::host::HostFacts;
use kiln_model::{
    ClockLimits, Config, Gpu, GpuIdentity, GpuIndex, NvLink, PciFunction, PcieCapability, PowerLimits, Reading,
    ReadingFailure, Remote, ThermalLimits,
};

/// One GPU's inventory, its links as they were read.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct GpuFacts {
    pub(super) gpu: Gpu,
    pub(super) links: Reading<Vec<LinkFacts>>,
}

impl GpuFacts {
    /// A GPU that does not answer.
    pub(super) fn failed(index: GpuIndex, failure: ReadingFailure) -> Self {
        let (text, flag) = (Reading::Failed(failure), Reading::Failed(failure));
        let (number, small) = (Reading::Failed(failure), Reading::Failed(failure));
        let gpu = Gpu {
            index,
            identity: GpuIdentity {
                name: text.clone(),
                pci_address: text.clone(),
                pci_device: text.clone(),
                pci_subsystem: text.clone(),
                slot: text.clone(),
                serial: text.clone(),
                uuid: text.clone(),
                part_number: text.clone(),
                vbios: text.clone(),
                inforom: text.clone(),
                gsp_firmware: text.clone(),
                inforom_valid: flag,
            },
            memory_mib: Reading::Failed(failure),
            bar1_mib: Reading::Failed(failure),
            power: PowerLimits { min: number, default: number, max: number, set: number, enforced: number },
            clocks: ClockLimits {
                max_sm: number,
                max_memory: number,
                application_sm: number,
                default_application_sm: number,
            },
            thermal: ThermalLimits {
                shutdown_margin: number,
                slowdown_margin: number,
                operating_margin: number,
                slowdown_celsius: number,
                memory_max_celsius: number,
            },
            config: Config {
                ecc: flag,
                ecc_pending: flag,
                mig: flag,
                mig_pending: flag,
                persistence: flag,
                compute_mode: text.clone(),
                recovery_action: text,
            },
            pcie: PcieCapability { max_generation: small, max_width: small, numa_node: small },
            nvlinks: Reading::Failed(failure),
            fabric: Reading::Failed(failure),
            c2c: Reading::Failed(failure),
            processes: Reading::Failed(failure),
            lacks: Vec::new(),
        };
        Self { gpu, links: Reading::Failed(failure) }
    }
}

/// The places of switches in the node: numbered in the order of their addresses.
fn switches<'a>(links: impl Iterator<Item = &'a LinkFacts>, gpus: &BTreeMap<String, GpuIndex>) -> BTreeMap<String, u8> {
    let addresses: BTreeSet<&str> = links
        .filter_map(|link| link.remote.value())
        .filter(|remote| remote.kind == RemoteKind::Switch && !gpus.contains_key(&remote.address))
        .map(|remote| remote.address.as_str())
        .collect();
    addresses.into_iter().zip(0..).map(|(address, number)| (address.to_owned(), number)).collect()
}

/// The GPUs of the node in the driver's order, each link's far end named.
pub(super) fn together(mut facts: Vec<GpuFacts>) -> Vec<Gpu> {
    facts.sort_by_key(|facts| facts.gpu.index);
    let gpus: BTreeMap<String, GpuIndex> = facts
        .iter()
        .filter_map(|facts| facts.gpu.identity.pci_address.value().map(|address| (address.clone(), facts.gpu.index)))
        .collect();
    let links = || facts.iter().filter_map(|facts| facts.links.value()).flatten();
    let switches = switches(links(), &gpus);
    let mut ports = links().filter_map(|link| link.remote.value()).map(|remote| remote.port);
    let ports_are_told = ports.any(|port| port.is_some());
    facts
        .into_iter()
        .map(|GpuFacts { mut gpu, links }| {
            let named = |link| named(link, &gpus, &switches, ports_are_told);
            gpu.nvlinks = links.map(|links| links.into_iter().map(named).collect());
            gpu
        })
        .collect()
}

/// Seats GPUs that do not say where they sit: the driver counts in the order of addresses, so that as many functions as the
/// others leave on the bus are theirs, in the same order.
pub(super) fn seat_by_bus(gpus: &mut [Gpu], host: &HostFacts) {
    let told: BTreeSet<String> = gpus.iter().filter_map(|gpu| gpu.identity.pci_address.value().cloned()).collect();
    let mut left: Vec<PciFunction> =
        host.pci.value().into_iter().flatten().filter(|function| !told.contains(&function.address)).cloned().collect();
    left.sort_by(|one, other| one.address.cmp(&other.address));
    let silent = gpus.iter().filter(|gpu| gpu.identity.pci_address.value().is_none()).count();
    if silent != left.len() {
        return;
    }
    let mut left = left.into_iter();
    for gpu in gpus.iter_mut().filter(|gpu| gpu.identity.pci_address.value().is_none()) {
        let Some(function) = left.next() else { return };
        if let Some(subsystem) = host.subsystems.get(&function.address) {
            gpu.identity.pci_subsystem = subsystem.clone();
        }
        gpu.identity.pci_address = Reading::Value(function.address);
        gpu.identity.pci_device = Reading::Value(function.device);
    }
}

/// Where no link's port at its switch is told, the link's own number stands for it. Beside ports that are told it would be another
/// link's: then the end is not known.
fn named(
    link: LinkFacts,
    gpus: &BTreeMap<String, GpuIndex>,
    switches: &BTreeMap<String, u8>,
    ports_are_told: bool,
) -> NvLink {
    let remote = match link.remote {
        Reading::Value(RemoteFacts { kind, address, port }) => match (gpus.get(&address), kind, switches.get(&address))
        {
            (Some(gpu), ..) => Reading::Value(Remote::Gpu(*gpu)),
            (None, RemoteKind::Switch, Some(_)) if port.is_none() && ports_are_told => Reading::Unsupported,
            (None, RemoteKind::Switch, Some(number)) => {
                Reading::Value(Remote::Switch { number: *number, port: port.unwrap_or(link.link) })
            }
            (None, RemoteKind::Cpu, _) => Reading::Value(Remote::Cpu(0)),
            _ => Reading::Value(Remote::Other(address)),
        },
        Reading::Unsupported => Reading::Unsupported,
        Reading::Failed(failure) => Reading::Failed(failure),
    };
    NvLink { link: link.link, state: link.state, speed_mb_per_s: link.speed_mb_per_s, remote }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_model::LinkState;

    fn link(link: u8, kind: RemoteKind, address: &str) -> LinkFacts {
        LinkFacts {
            link,
            state: Reading::Value(LinkState::Active),
            speed_mb_per_s: Reading::Value(26562),
            remote: Reading::Value(RemoteFacts { kind, address: address.to_owned(), port: Some(40 + link) }),
        }
    }

    fn gpu(index: u8, address: &str, links: Vec<LinkFacts>) -> GpuFacts {
        let mut gpu = Gpu::bare(GpuIndex(index));
        gpu.identity.pci_address = Reading::Value(address.to_owned());
        GpuFacts { gpu, links: Reading::Value(links) }
    }

    #[test]
    fn far_ends_are_named_by_what_sits_at_their_address() {
        let gpus = together(vec![
            gpu(1, "00000000:64:00.0", vec![link(0, RemoteKind::Unknown, "00000000:53:00.0")]),
            gpu(
                0,
                "00000000:53:00.0",
                vec![
                    link(0, RemoteKind::Switch, "00000000:07:00.0"),
                    link(1, RemoteKind::Switch, "00000000:05:00.0"),
                    link(2, RemoteKind::Unknown, "ffffffff:ff:1f.0"),
                ],
            ),
        ]);
        let remotes = |gpu: &Gpu| -> Vec<Remote> {
            gpu.nvlinks.value().expect("links").iter().filter_map(|link| link.remote.value().cloned()).collect()
        };
        assert_eq!(gpus[0].index, GpuIndex(0));
        assert_eq!(
            remotes(&gpus[0]),
            [
                Remote::Switch { number: 1, port: 40 },
                Remote::Switch { number: 0, port: 41 },
                Remote::Other("ffffffff:ff:1f.0".to_owned())
            ]
        );
        assert_eq!(remotes(&gpus[1]), [Remote::Gpu(GpuIndex(0))]);
    }

    #[test]
    fn a_port_that_one_gpu_does_not_tell_is_not_made_up_beside_ports_that_others_tell() {
        let untold = |number: u8| {
            let mut link = link(number, RemoteKind::Switch, "00000000:05:00.0");
            link.remote = link.remote.map(|remote| RemoteFacts { port: None, ..remote });
            link
        };
        let told = |number: u8| link(number, RemoteKind::Switch, "00000000:05:00.0");
        let ends = |links: Vec<LinkFacts>| {
            let gpus = together(vec![gpu(0, "00000000:53:00.0", links)]);
            gpus[0].nvlinks.value().expect("links").iter().map(|link| link.remote.clone()).collect::<Vec<_>>()
        };
        let switch = |port: u8| Reading::Value(Remote::Switch { number: 0, port });
        assert_eq!(ends(vec![told(0), untold(1)]), [switch(40), Reading::Unsupported]);
        assert_eq!(ends(vec![untold(0), untold(1)]), [switch(0), switch(1)]);
    }

    #[test]
    fn a_gpu_that_does_not_say_where_it_sits_has_the_place_that_the_others_leave() {
        let seated = |bus: &[&str]| {
            let silent = |index| GpuFacts::failed(GpuIndex(index), ReadingFailure::Lost);
            let others = ["00000000:19:00.0", "00000000:5d:00.0"];
            let mut gpus =
                together(vec![gpu(0, others[0], Vec::new()), silent(1), gpu(2, others[1], Vec::new()), silent(3)]);
            let mut host = HostFacts::failed(ReadingFailure::Timeout);
            let function = |address: &&str| PciFunction {
                address: (*address).to_owned(),
                device: "233010de".to_owned(),
                ports: Vec::new(),
            };
            host.pci = Reading::Value(bus.iter().map(function).collect());
            seat_by_bus(&mut gpus, &host);
            gpus.iter().map(|gpu| gpu.identity.pci_address.to_string()).collect::<Vec<_>>()
        };
        let all = ["00000000:19:00.0", "00000000:3b:00.0", "00000000:5d:00.0", "00000000:9b:00.0"];
        assert_eq!(seated(&all), all);
        // One of the two is no longer on the bus: which of them cannot be told.
        assert_eq!(seated(&all[..3])[1], "GPU is lost");
    }

    #[test]
    fn a_gpu_that_does_not_answer_keeps_its_place() {
        let gpus = together(vec![GpuFacts::failed(GpuIndex(4), ReadingFailure::Lost)]);
        assert_eq!((gpus[0].index, &gpus[0].nvlinks), (GpuIndex(4), &Reading::Failed(ReadingFailure::Lost)));
    }
}
