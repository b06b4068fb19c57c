//! NVIDIA's functions on the PCI bus, from sysfs: what the bus sees whether or not the driver does.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::source::{entries, name, number, parsed, text};
use kiln_model::{PciFunction, Reading};

/// NVIDIA's vendor id in the PCI registry.
const NVIDIA: u64 = 0x10de;

/// PCI base class and subclass: VGA and 3D controllers.
const DISPLAY_CLASSES: [u64; 2] = [0x0300, 0x0302];

/// One GPU as the bus shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PciDetail {
    pub address: String,
    /// Device and vendor id, as `233010de`.
    pub device: String,
    /// The ports above it up to the root, outermost first.
    pub ports: Vec<String>,
    /// Subsystem id, as `16c110de`.
    pub subsystem: Reading<String>,
    /// Which driver has it, e.g. `nvidia` or `vfio-pci`.
    pub driver: Reading<String>,
    pub generation: Reading<u8>,
    pub max_generation: Reading<u8>,
    pub width: Reading<u8>,
    pub max_width: Reading<u8>,
    pub numa_node: Reading<u8>,
    pub iommu_group: Reading<u32>,
    /// Totals of the kernel's AER counters of the device.
    pub aer_correctable: Reading<u64>,
    pub aer_nonfatal: Reading<u64>,
    pub aer_fatal: Reading<u64>,
}

impl PciDetail {
    pub fn function(&self) -> PciFunction {
        PciFunction { address: self.address.clone(), device: self.device.clone(), ports: self.ports.clone() }
    }
}

/// Every NVIDIA GPU on the bus in the order of addresses.
pub fn pci_details(root: &Path) -> Reading<Vec<PciDetail>> {
    entries(&root.join("sys/bus/pci/devices"))
        .map(|devices| devices.iter().filter_map(|device| detail(device)).collect())
}

/// The NUMA nodes of the GPUs by address.
pub(super) fn numa_nodes(details: &[PciDetail]) -> BTreeMap<String, u8> {
    details.iter().filter_map(|detail| Some((detail.address.clone(), detail.numa_node.get()?))).collect()
}

fn detail(device: &Path) -> Option<PciDetail> {
    let class = number(&device.join("class")).get()? >> 8;
    let vendor = number(&device.join("vendor")).get()?;
    if vendor != NVIDIA || !DISPLAY_CLASSES.contains(&class) {
        return None;
    }
    let id = number(&device.join("device")).get()?;
    let subsystem = match (number(&device.join("subsystem_device")), number(&device.join("subsystem_vendor"))) {
        (Reading::Value(device), Reading::Value(vendor)) => Reading::Value(format!("{device:04x}{vendor:04x}")),
        (Reading::Failed(failure), _) | (_, Reading::Failed(failure)) => Reading::Failed(failure),
        _ => Reading::Unsupported,
    };
    let width = |file: &str| parsed(text(&device.join(file)), |text| text.parse().ok().filter(|width| *width > 0));
    Some(PciDetail {
        address: long_address(&name(device)),
        device: format!("{id:04x}{vendor:04x}"),
        ports: ports_above(device),
        subsystem,
        driver: link_name(&device.join("driver")),
        generation: parsed(text(&device.join("current_link_speed")), generation),
        max_generation: parsed(text(&device.join("max_link_speed")), generation),
        width: width("current_link_width"),
        max_width: width("max_link_width"),
        // -1 where the firmware names no node.
        numa_node: parsed(text(&device.join("numa_node")), |text| text.parse().ok()),
        iommu_group: parsed(link_name(&device.join("iommu_group")), |text| text.parse().ok()),
        aer_correctable: aer(device, "aer_dev_correctable", "TOTAL_ERR_COR"),
        aer_nonfatal: aer(device, "aer_dev_nonfatal", "TOTAL_ERR_NONFATAL"),
        aer_fatal: aer(device, "aer_dev_fatal", "TOTAL_ERR_FATAL"),
    })
}

/// What a link in sysfs points at.
fn link_name(path: &Path) -> Reading<String> {
    match fs::read_link(path) {
        Ok(target) => Reading::Value(name(&target)),
        Err(error) => super::source::refused(&error),
    }
}

/// The ports through which a device is reached: sysfs nests a device in the folders of what is above it.
fn ports_above(device: &Path) -> Vec<String> {
    let Ok(path) = fs::canonicalize(device) else { return Vec::new() };
    let above = path.parent().into_iter().flat_map(Path::components);
    let names = above.filter_map(|part| part.as_os_str().to_str());
    names.filter(|name| is_address(name)).map(long_address).collect()
}

/// `0000:17:01.0`, and not `pci0000:17`.
pub(super) fn is_address(name: &str) -> bool {
    let digits = |text: &str, count: usize| text.len() == count && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let parts: Vec<&str> = name.split([':', '.']).collect();
    matches!(parts[..], [domain, bus, slot, function]
        if domain.len() >= 4 && digits(domain, domain.len()) && digits(bus, 2) && digits(slot, 2) && digits(function, 1))
}

/// sysfs writes four digits of the domain, the driver eight.
pub(super) fn long_address(short: &str) -> String {
    match short.split_once(':') {
        Some((domain, rest)) => format!("{domain:0>8}:{rest}").to_lowercase(),
        None => short.to_lowercase(),
    }
}

/// Generations by their rate per lane, as the kernel words it: `32.0 GT/s PCIe`.
fn generation(text: &str) -> Option<u8> {
    match text.split(' ').next()? {
        "2.5" => Some(1),
        "5.0" | "5" => Some(2),
        "8.0" | "8" => Some(3),
        "16.0" | "16" => Some(4),
        "32.0" | "32" => Some(5),
        "64.0" | "64" => Some(6),
        "128.0" | "128" => Some(7),
        _ => None,
    }
}

/// The total at the end of an AER file: lines of a name and a count.
fn aer(device: &Path, file: &str, total: &str) -> Reading<u64> {
    parsed(text(&device.join(file)), |text| {
        text.lines().find_map(|line| line.strip_prefix(total)).and_then(|count| count.trim().parse().ok())
    })
}

#[cfg(test)]
mod tests {
    use super::super::test_tree::write;
    use super::*;

    fn device(root: &Path, address: &str, class: &str, vendor: &str) {
        let folder = format!("sys/bus/pci/devices/{address}");
        for (file, text) in [("class", class), ("vendor", vendor), ("device", "0x2330")] {
            write(root, &format!("{folder}/{file}"), text);
        }
    }

    #[test]
    fn gpus_are_found_by_class_and_vendor_alone() {
        let root = tempfile::tempdir().expect("folder");
        device(root.path(), "0000:53:00.0", "0x030200\n", "0x10de\n");
        device(root.path(), "0000:07:00.0", "0x068000\n", "0x10de\n");
        device(root.path(), "0000:02:00.0", "0x030000\n", "0x1a03\n");
        let folder = "sys/bus/pci/devices/0000:53:00.0";
        write(root.path(), &format!("{folder}/subsystem_device"), "0x16c1\n");
        write(root.path(), &format!("{folder}/subsystem_vendor"), "0x10de\n");
        write(root.path(), &format!("{folder}/current_link_speed"), "32.0 GT/s PCIe\n");
        write(root.path(), &format!("{folder}/current_link_width"), "16\n");
        write(root.path(), &format!("{folder}/numa_node"), "-1\n");
        write(root.path(), &format!("{folder}/aer_dev_fatal"), "Undefined 0\nTLP 0\nTOTAL_ERR_FATAL 2\n");
        let found = pci_details(root.path());
        assert_eq!(
            found,
            Reading::Value(vec![PciDetail {
                address: "00000000:53:00.0".to_owned(),
                device: "233010de".to_owned(),
                ports: Vec::new(),
                subsystem: Reading::Value("16c110de".to_owned()),
                driver: Reading::Unsupported,
                generation: Reading::Value(5),
                max_generation: Reading::Unsupported,
                width: Reading::Value(16),
                max_width: Reading::Unsupported,
                numa_node: Reading::Unsupported,
                iommu_group: Reading::Unsupported,
                aer_correctable: Reading::Unsupported,
                aer_nonfatal: Reading::Unsupported,
                aer_fatal: Reading::Value(2),
            }])
        );
    }

    #[test]
    fn the_ports_above_a_gpu_are_read_from_where_its_folder_lies() {
        let root = tempfile::tempdir().expect("folder");
        let real = "sys/devices/pci0000:50/0000:50:01.0/0000:51:00.0/0000:53:00.0";
        for (file, text) in [("class", "0x030200"), ("vendor", "0x10de"), ("device", "0x2330")] {
            write(root.path(), &format!("{real}/{file}"), text);
        }
        let bus = root.path().join("sys/bus/pci/devices");
        fs::create_dir_all(&bus).expect("folder");
        std::os::unix::fs::symlink(root.path().join(real), bus.join("0000:53:00.0")).expect("link");
        let found = pci_details(root.path());
        assert_eq!(found.value().expect("bus")[0].ports, ["00000000:50:01.0", "00000000:51:00.0"]);
    }

    #[test]
    fn a_machine_without_pci_says_so() {
        let root = tempfile::tempdir().expect("folder");
        assert_eq!(pci_details(root.path()), Reading::Unsupported);
    }
}
