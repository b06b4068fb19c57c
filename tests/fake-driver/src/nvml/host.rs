//! The machine around the GPUs, as files of a tree like the kernel's: `KILN_FAKE_HOST` names the folder that stands for `/`.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use kiln_model::{Inventory, LinkLayer, PciFunction, Reading, Sample, Sensor};

/// As often as a management controller renews its readings.
const INLET_EVERY: Duration = Duration::from_millis(500);
/// What Linux writes for a GPU: a 3D controller.
const CLASS: &str = "0x030200";

/// The tree.
pub(crate) struct HostTree {
    root: PathBuf,
    written: Option<Instant>,
}

impl HostTree {
    pub(crate) fn from_environment() -> Option<Self> {
        let root = std::env::var_os("KILN_FAKE_HOST").filter(|value| !value.is_empty())?;
        Some(Self { root: PathBuf::from(root), written: None })
    }

    /// The file that stands for the kernel log.
    pub(crate) fn kernel_log(&self) -> PathBuf {
        self.root.join("dev/kmsg")
    }

    /// Writes what does not change. What the node says it cannot tell has no file.
    pub(crate) fn build(&self, inventory: &Inventory) {
        let (node, host) = (&inventory.node, &inventory.host);
        let id = "sys/class/dmi/id";
        self.put(&format!("{id}/product_name"), node.model.value());
        self.put(&format!("{id}/product_serial"), node.serial.value());
        self.put(&format!("{id}/board_serial"), node.board_serial.value());
        self.put(&format!("{id}/bios_version"), node.bios.value());
        self.put("proc/sys/kernel/hostname", node.hostname.value());
        self.put("proc/sys/kernel/random/boot_id", node.boot_id.value());
        self.put("sys/devices/system/clocksource/clocksource0/current_clocksource", host.clock_source.value());
        let cpus = host.cpu_model.value().zip(host.cpus.get());
        let lines =
            |(model, count): (&String, u16)| format!("processor : 0\nmodel name : {model}\n\n").repeat(count.into());
        self.put("proc/cpuinfo", cpus.map(lines).as_ref());
        let memory = host.memory_mib.get().map(|mib| format!("MemTotal: {} kB", mib * 1024));
        self.put("proc/meminfo", memory.as_ref());
        self.write("dev/kmsg", "");
        self.bus(inventory);
        self.dimms(host.dimms);
        self.ports(inventory);
        for drive in host.nvmes.value().into_iter().flatten() {
            let folder = format!("sys/class/nvme/{}", drive.name);
            self.write(&format!("{folder}/model"), &drive.model);
            self.write(&format!("{folder}/serial"), &drive.serial);
        }
    }

    /// Renews what changes.
    #[expect(clippy::disallowed_methods, reason = "a library for programs that live in real time")]
    pub(crate) fn renew(&mut self, sample: Option<&Sample>) {
        if self.written.is_some_and(|written| written.elapsed() < INLET_EVERY) {
            return;
        }
        self.written = Some(Instant::now());
        let Some(inlet) = sample.and_then(|sample| sample.get(Sensor::TempInlet)) else { return };
        self.write("sys/class/hwmon/hwmon0/name", "bmc");
        self.write("sys/class/hwmon/hwmon0/temp1_input", &format!("{}", (inlet * 1000.0) as i64));
        self.write("sys/class/hwmon/hwmon0/temp1_label", "Inlet");
    }

    fn bus(&self, inventory: &Inventory) {
        for PciFunction { address, device, .. } in inventory.pci.value().into_iter().flatten() {
            let short = address.strip_prefix("0000").unwrap_or(address).to_lowercase();
            let folder = format!("sys/bus/pci/devices/{short}");
            let gpu = inventory
                .gpus
                .iter()
                .find(|gpu| gpu.identity.pci_address.value().is_some_and(|other| other.eq_ignore_ascii_case(address)));
            let (id, vendor) = device.split_at(device.len().min(4));
            self.write(&format!("{folder}/class"), CLASS);
            self.write(&format!("{folder}/device"), &format!("0x{id}"));
            self.write(&format!("{folder}/vendor"), &format!("0x{vendor}"));
            let numa = gpu.and_then(|gpu| gpu.pcie.numa_node.get()).map(|node| node.to_string());
            self.put(&format!("{folder}/numa_node"), numa.as_ref());
            if gpu.is_some() {
                self.write("sys/bus/pci/drivers/nvidia/module", "nvidia");
                // There already if the library was opened before.
                let _ = symlink("../../drivers/nvidia", self.root.join(&folder).join("driver"));
            }
        }
    }

    /// Network ports of one kind each on a device of its own, as RDMA adapters are.
    fn ports(&self, inventory: &Inventory) {
        for (number, port) in inventory.host.nics.value().into_iter().flatten().enumerate() {
            let folder = format!("sys/class/infiniband/{}", port.name);
            self.write(&format!("{folder}/board_id"), &port.model);
            let rate =
                port.speed_mb_per_s.get().map(|speed| format!("{} Gb/sec (4X)", f64::from(speed) * 8.0 / 1000.0));
            self.put(&format!("{folder}/ports/1/rate"), rate.as_ref());
            for shown in &port.ports {
                let own = format!("{folder}/ports/{}", shown.number);
                let up = shown.is_up() == Reading::Value(true);
                self.write(&format!("{own}/state"), if up { "4: ACTIVE" } else { "1: DOWN" });
                self.write(&format!("{own}/phys_state"), if up { "5: LinkUp" } else { "2: Polling" });
                let layer = match shown.layer {
                    Reading::Value(LinkLayer::Ethernet) => "Ethernet",
                    _ => "InfiniBand",
                };
                self.write(&format!("{own}/link_layer"), layer);
                for (counter, count) in &shown.counters {
                    let count = count.get().map(|n| n.to_string());
                    // What no folder of the port has is the interface's.
                    let interface = format!("sys/devices/port{number}/net/ib{number}");
                    let place = match counter.folder() {
                        Some(folder) => format!("{own}/{folder}"),
                        None => interface.clone(),
                    };
                    self.put(&format!("{place}/{}", counter.name()), count.as_ref());
                    if counter.folder().is_none() {
                        self.write(&format!("{interface}/dev_port"), &(shown.number - 1).to_string());
                    }
                }
            }
            self.write(&format!("sys/devices/port{number}/vendor"), "0x15b3");
            let _ = symlink(format!("../../../devices/port{number}"), self.root.join(&folder).join("device"));
        }
    }

    /// Memory modules in the firmware's tables: SMBIOS 3, one structure of type 17 to a module.
    fn dimms(&self, count: Reading<u16>) {
        let Some(count) = count.get() else { return };
        let mut table = Vec::new();
        for handle in 0..count {
            let mut module = vec![0_u8; 0x28];
            (module[0], module[1]) = (17, 0x28);
            module[2..4].copy_from_slice(&handle.to_le_bytes());
            // 16 GiB, in MiB.
            module[0x0c..0x0e].copy_from_slice(&0x4000_u16.to_le_bytes());
            table.extend(module);
            table.extend([0, 0]);
        }
        table.extend([127, 4, 255, 255, 0, 0]);
        let mut entry = b"_SM3_\0\x18\x03\x02\x00\x01\x00".to_vec();
        entry.extend((table.len() as u32).to_le_bytes());
        entry.extend(0_u64.to_le_bytes());
        // The checksum makes the sum of all bytes zero.
        entry[5] = entry.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte)).wrapping_neg();
        self.write_bytes("sys/firmware/dmi/tables/smbios_entry_point", &entry);
        self.write_bytes("sys/firmware/dmi/tables/DMI", &table);
    }

    fn put(&self, path: &str, text: Option<&String>) {
        if let Some(text) = text {
            self.write(path, text);
        }
    }

    fn write(&self, path: &str, text: &str) {
        self.write_bytes(path, text.as_bytes());
    }

    /// A tree that cannot be written is one that tells nothing: the reader says so.
    fn write_bytes(&self, path: &str, bytes: &[u8]) {
        let path = self.root.join(path);
        let made = path.parent().map_or(Ok(()), fs::create_dir_all);
        // The kernel log is appended to, by us and by tests.
        if made.is_ok() && !(bytes.is_empty() && Path::exists(&path)) {
            let _ = fs::write(path, bytes);
        }
    }
}
