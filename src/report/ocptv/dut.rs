//! The unit as OCPTV tells of it: hardware and software with ids, and which id a component of ours has.

#![expect(clippy::cast_possible_truncation, reason = "seconds, counts and pixels on a page are small")]

use std::collections::BTreeSet;

use super::artifact::{
    DutInfo, HardwareInfo, Place, PlatformInfo, SoftwareInfo, SoftwareType, Subcomponent, SubcomponentKind,
};
use crate::plain::plain;
use kiln_event::RunStart;
use kiln_model::{Component, Gpu, Inventory, Reading};

/// Id of this program among the software, which errors of the test point at.
pub(super) const KILN: &str = "kiln";

/// Which components have an id of their own.
#[derive(Debug, Default)]
pub(super) struct Dut {
    known: BTreeSet<Component>,
}

impl Dut {
    /// Where `component` is: its own id, or that of what it belongs to and itself as a part of it.
    pub(super) fn place(&self, component: Component) -> Place {
        if component == Component::Station {
            return Place::default();
        }
        let whole = component.gpu_index().map_or(Component::Node, Component::Gpu);
        let whole = [component, whole].into_iter().find(|one| self.known.contains(one)).unwrap_or(Component::Node);
        Place {
            hardware_info_id: Some(whole.to_string()),
            subcomponent: (whole != component)
                .then(|| Subcomponent { kind: subcomponent(component), name: component.to_string() }),
        }
    }
}

const fn subcomponent(component: Component) -> SubcomponentKind {
    match component {
        Component::Memory(_) => SubcomponentKind::AsicSubsystem,
        Component::Pcie(_) | Component::NvLink(..) | Component::Pair(..) => SubcomponentKind::Bus,
        Component::Gpu(_) | Component::Switch(_) | Component::Cpu(_) => SubcomponentKind::Asic,
        Component::CoolingBranch(_) => SubcomponentKind::Function,
        _ => SubcomponentKind::Unspecified,
    }
}

fn known(reading: &Reading<String>) -> Option<String> {
    reading.value().map(|text| plain(text).into_owned())
}

/// What is known of the unit when the run begins; nothing but its scanned serial number where it did not answer.
pub(super) fn dut(start: Option<&RunStart>, inventory: Option<&Inventory>) -> (Dut, DutInfo) {
    let mut dut = Dut::default();
    let node = inventory.map(|inventory| &inventory.node);
    let scanned = start.and_then(|start| start.operation.serial.clone());
    let serial = scanned.or_else(|| known(&node?.serial));
    let mut hardware = Vec::new();
    let mut add = |component: Component, info: HardwareInfo| {
        dut.known.insert(component);
        hardware.push(HardwareInfo { id: component.to_string(), ..info });
    };
    let model = node.and_then(|node| known(&node.model));
    add(
        Component::Node,
        HardwareInfo {
            name: model.clone().unwrap_or_else(|| "node".to_owned()),
            part_type: Some("NODE"),
            serial_number: serial.clone(),
            ..HardwareInfo::default()
        },
    );
    for gpu in inventory.into_iter().flat_map(|inventory| &inventory.gpus) {
        add(Component::Gpu(gpu.index), gpu_info(gpu));
    }
    if let Some(inventory) = inventory {
        host(inventory, &mut add);
    }
    let info = DutInfo {
        id: serial.unwrap_or_else(|| "dut".to_owned()),
        name: node.and_then(|node| known(&node.hostname)),
        platform_infos: model.into_iter().map(|info| PlatformInfo { info }).collect(),
        hardware_infos: hardware,
        software_infos: software(start, inventory),
    };
    (dut, info)
}

fn gpu_info(gpu: &Gpu) -> HardwareInfo {
    let identity = &gpu.identity;
    // The slot is what a person pulls; the bus address says the same to a machine.
    let places = [("slot", &identity.slot), ("PCI", &identity.pci_address)];
    let places: Vec<String> =
        places.iter().filter_map(|(what, place)| Some(format!("{what} {}", known(place)?))).collect();
    HardwareInfo {
        name: known(&identity.name).unwrap_or_else(|| "GPU".to_owned()),
        part_type: Some("GPU"),
        serial_number: known(&identity.serial),
        part_number: known(&identity.part_number),
        location: (!places.is_empty()).then(|| places.join(", ")),
        ..HardwareInfo::default()
    }
}

fn host(inventory: &Inventory, add: &mut impl FnMut(Component, HardwareInfo)) {
    let clean = |text: &str| plain(text).into_owned();
    for (number, nic) in inventory.host.nics.value().into_iter().flatten().enumerate().take(256) {
        let info = HardwareInfo {
            name: clean(&nic.model),
            part_type: Some("NIC"),
            location: Some(clean(&nic.name)),
            ..HardwareInfo::default()
        };
        add(Component::Nic(number as u8), info);
    }
    for (number, nvme) in inventory.host.nvmes.value().into_iter().flatten().enumerate().take(256) {
        let info = HardwareInfo {
            name: clean(&nvme.model),
            part_type: Some("NVME"),
            serial_number: Some(clean(&nvme.serial)),
            location: Some(clean(&nvme.name)),
            ..HardwareInfo::default()
        };
        add(Component::Nvme(number as u8), info);
    }
}

fn software(start: Option<&RunStart>, inventory: Option<&Inventory>) -> Vec<SoftwareInfo> {
    let info = |id: String, name: &str, version: Option<String>, software_type| SoftwareInfo {
        id,
        name: name.to_owned(),
        version,
        software_type,
    };
    let own = start.map(|start| start.tool.version.clone());
    let mut all = vec![info(KILN.to_owned(), KILN, own, SoftwareType::Application)];
    let Some(inventory) = inventory else { return all };
    for (id, name, reading, kind) in [
        ("driver", "NVIDIA driver", &inventory.driver, SoftwareType::System),
        ("cuda", "CUDA", &inventory.cuda, SoftwareType::System),
        ("bios", "BIOS", &inventory.node.bios, SoftwareType::Firmware),
    ] {
        all.extend(known(reading).map(|version| info(id.to_owned(), name, Some(version), kind)));
    }
    for gpu in &inventory.gpus {
        let id = format!("vbios/{}", gpu.index.0);
        let name = format!("VBIOS of {}", Component::Gpu(gpu.index));
        all.extend(known(&gpu.identity.vbios).map(|version| info(id, &name, Some(version), SoftwareType::Firmware)));
    }
    all
}
