//! What one line of the kernel log says of the host: processors, memory, the kernel itself.
//!
//! Pure: one line in, what it says out. Joining lines to events is `kernel_event`'s; the GPU driver's lines are
//! `kernel_line`'s. Words are looked up in `line_table`; what has a structure of its own is read here, in `host_block`,
//! `device_line` and `drive_line`.

use super::PciAddress;
use super::device_line::{read_device, read_iommu, read_watchdog};
use super::drive_line::read_drive;
use super::general_words::by_general_words;
pub(super) use super::host_block::Part;
use super::host_block::read_block;
use super::kernel_event::{Class, Place, Severity};
use super::line_table::{DeviceLine, look_up};

/// What a line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum HostLine {
    Event {
        class: Class,
        severity: Severity,
        place: Place,
        count: u64,
    },
    /// `Machine check events logged`: printed for corrected errors too, and by itself says no more.
    Unnamed,
    /// A line of a report of the firmware.
    Block {
        number: u64,
        part: Part,
    },
    /// The error registers of a device, as firmware handed them on.
    AerStatus {
        pci: PciAddress,
    },
    /// One bit of them, or something that only errors of this severity have.
    AerBit {
        pci: PciAddress,
        severity: Severity,
    },
    /// Belongs to the event before it.
    Detail,
    /// Read, and of no bearing on hardware.
    Nothing,
    /// The kernel found no error in any device for what this one, or the port above it, told of, or somebody asked the port to act
    /// as if there was one.
    NoError {
        pci: PciAddress,
    },
    /// What became of an error of a device: a detail of that error, and an event where it was not logged.
    Aftermath {
        place: Place,
    },
    /// Says `[Hardware Error]` in words nobody taught us: a detail of the event before it, and an event where there is none.
    Loose,
}

pub(super) const fn event(class: Class, severity: Severity, place: Place) -> HostLine {
    HostLine::Event { class, severity, place, count: 1 }
}

/// Reads one line without the prefixes of log readers.
pub(super) fn read_host_line(message: &str) -> Option<HostLine> {
    read(message).filter(|line| *line != HostLine::Nothing)
}

/// What has a structure of its own, then what the table knows, then what general words say of it.
fn read(message: &str) -> Option<HostLine> {
    if message.starts_with("Linux version ") {
        return Some(event(Class::Boot, Severity::Told, Place::Node));
    }
    // Errors of the bus of which so many were told that the kernel told of no more (`aer_ratelimit` of drivers/pci/pcie/aer.c,
    // since Linux 6.16): of which device and how grave they were is in no line.
    if message.starts_with("aer_ratelimit: ") {
        return Some(event(Class::Pcie, Severity::Unclear, Place::Node));
    }
    // How often a line was left out, by the name of the function that prints it.
    if message.ends_with("callbacks suppressed") {
        return None;
    }
    // Beside the firmware's report of an error that was not corrected (`ghes_handle_arm_hw_error` of drivers/acpi/apei/ghes.c).
    if message.contains("GHES: Unhandled processor error type") {
        return Some(HostLine::Loose);
    }
    let device = DeviceLine::of(message);
    read_block(message)
        .or_else(|| read_edac(message))
        .or_else(|| read_iommu(message))
        .or_else(|| device.and_then(read_device))
        .or_else(|| read_watchdog(message))
        .or_else(|| read_drive(message))
        .or_else(|| read_storm(message))
        .or_else(|| look_up(message, device))
        .or_else(|| by_general_words(message, device))
}

/// `EDAC MC3: 1 UE memory read error on CPU_SrcID#1_MC#1_Chan#0_DIMM#0 (channel:0 slot:0 page:0x1 ...)`.
fn read_edac(message: &str) -> Option<HostLine> {
    let rest = message.strip_prefix("EDAC ")?;
    let (unit, rest) = rest.split_once(": ")?;
    // What a device says of its parity, where somebody asked for that (`edac_pci_sysfs.c`).
    if unit == "PCI" && (rest.contains("Parity Error on ") || rest.contains("System Error on ")) {
        let address = rest.split_whitespace().last()?.parse().ok()?;
        return Some(event(Class::Pcie, Severity::Unclear, Place::Pci(address)));
    }
    let mut words = rest.split_whitespace();
    let mut word = words.next()?;
    let mut count = 1;
    if let Ok(number) = word.parse() {
        count = number;
        word = words.next()?;
    }
    let severity = match word.trim_end_matches(':') {
        "CE" => Severity::Corrected,
        "UE" => Severity::Recoverable,
        // The memory driver thinks aloud before it names the module.
        _ if rest.contains("HANDLING") || rest.starts_with("CPU ") || is_register(rest) => {
            return Some(HostLine::Detail);
        }
        _ => return None,
    };
    if !unit.starts_with("MC") && !unit.starts_with("DEVICE") && !unit.starts_with("PCI") {
        return None;
    }
    let label = rest.split_once(" on ").map(|(_, label)| label.split(" (").next().unwrap_or(label).trim());
    let place = match label {
        Some(label) if !label.is_empty() && !label.starts_with("unknown") && !label.starts_with("any ") => {
            Place::Dimm(label.to_owned())
        }
        _ => Place::Node,
    };
    // Caches and the like, which count by themselves: `EDAC DEVICE0: CE: cpu0 instance: cpu0 block: L2 count: 3 'L2 ECC'`.
    if unit.starts_with("DEVICE") {
        let told = rest.split_once(" count: ").and_then(|(_, rest)| rest.split(' ').next()?.parse().ok());
        return Some(HostLine::Event {
            class: Class::MachineCheck,
            severity,
            place: Place::Node,
            count: told.unwrap_or(1),
        });
    }
    Some(HostLine::Event { class: Class::HostMemory, severity, place, count })
}

/// `TSC 0x..`, `ADDR 0x..`, `MISC 0x..`, `PROCESSOR ...`: registers that belong to the machine check before them.
pub(super) fn is_register(text: &str) -> bool {
    let first = text.split_whitespace().next().unwrap_or_default().trim_end_matches(':');
    ["TSC", "ADDR", "MISC", "PROCESSOR", "RIP", "SYND", "IPID", "PPIN"].contains(&first)
}

/// Machine checks in one second at which the kernel stops taking them one by one (`CMCI_STORM_THRESHOLD` of
/// arch/x86/kernel/cpu/mce/intel.c): so many were corrected at the least.
const STORM: u64 = 15;

/// Machine checks that come so fast that the kernel stops to take them one by one.
fn read_storm(message: &str) -> Option<HostLine> {
    let said = message.strip_prefix("mce: ").unwrap_or(message);
    if !said.contains("CMCI storm detected") {
        return None;
    }
    // Since Linux 6.8 five of one bank in a row do (`STORM_BEGIN_THRESHOLD` of arch/x86/kernel/cpu/mce/internal.h), and the
    // line names it: `CPU12 BANK7 CMCI storm detected`. That is less than proof, and how many follow is not logged.
    if said.starts_with("CPU") {
        return Some(event(Class::MachineCheck, Severity::Unclear, Place::Node));
    }
    let (class, severity, place) = (Class::MachineCheck, Severity::Corrected, Place::Node);
    Some(HostLine::Event { class, severity, place, count: STORM })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ordinary_lines_of_a_healthy_machine_say_nothing() {
        for line in [
            "usb 1-1: new high-speed USB device number 2 using xhci_hcd",
            "EDAC MC: Ver: 3.0.0",
            "EDAC sbridge: Failed to register device with error -22.",
            "EDAC MC0: Giving out device to module skx_edac controller Skylake Socket#0 IMC#0",
            "NVRM: loading NVIDIA UNIX x86_64 Kernel Module  580.105.08",
            "pcieport 0000:5c:01.0: PME: Signaling with IRQ 41",
            "pcieport 0000:5c:01.0: pciehp: Slot(3): Link Down/Up ignored",
            "pcieport 0000:5c:01.0: pciehp: Slot(3): Card present",
            "mlx5_core 0000:18:00.0: Port module event: module 0, Cable plugged",
            "nvme nvme3: 32/0/0 default/read/poll queues",
            "traps: python3[812] general protection fault ip:7f01 sp:7ffd error:0 in libc.so.6",
            "ACPI BIOS Error (bug): Could not resolve symbol [_SB.PCI0], AE_NOT_FOUND",
            "mce: CPU0: Thermal monitoring enabled (TM1)",
            "HEST: Table parsing has been initialized.",
            "HEST: Enabling Firmware First mode for corrected errors.",
            "mce: CMCI storm subsided: switching to interrupt mode",
            "mlx5_cmd_out_err: 16 callbacks suppressed",
            "dmar_fault: 12 callbacks suppressed",
            "NVRM: nvAssertFailedNoLog: Assertion failed: 0 @ mapping_cpu.c:127",
            "nvidia 0000:64:00.0: [drm] *ERROR* [nvidia-drm] [GPU ID 0x00006400] Failed to allocate NvKmsKapiDevice",
            "kiln invoked oom-killer: gfp_mask=0x140cca(GFP_HIGHUSER_MOVABLE|__GFP_COMP), order=0, oom_score_adj=0",
            "usb 1-14.1: device descriptor read/64, error -71",
            "ipmi_si IPI0001:00: The BMC does not support setting the recv irq bit, compensating, but the BMC needs to be fixed.",
        ] {
            assert_eq!(read_host_line(line), None, "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(line in "\\PC{0,120}", start in 0..6_usize) {
            let starts = ["", "EDAC ", "mce: [Hardware Error]: CPU ", "{3}[Hardware Error]: ", "nvme nvme", "pcieport 0000:"];
            let _ = read_host_line(&format!("{}{line}", starts[start]));
        }
    }
}
