//! What one line of the kernel log says of the host: processors, memory, ports, network, drives, the kernel itself.
//!
//! Pure: one line in, what it says out. Joining lines to events is `kernel_event`'s, the GPU driver's lines `kernel_line`'s.

use super::PciAddress;
pub(super) use super::host_block::Part;
use super::host_block::read_block;
use super::kernel_event::{Class, Place, Severity};

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
}

pub(super) const fn event(class: Class, severity: Severity, place: Place) -> HostLine {
    HostLine::Event { class, severity, place, count: 1 }
}

/// Reads one line without the prefixes of log readers.
pub(super) fn read_host_line(message: &str) -> Option<HostLine> {
    if message.starts_with("Linux version ") {
        return Some(event(Class::Boot, Severity::Told, Place::Node));
    }
    read_block(message)
        .or_else(|| read_edac(message))
        .or_else(|| read_device(message))
        .or_else(|| read_drive(message))
        .or_else(|| read_kernel_itself(message))
        .or_else(|| read_unknown(message))
}

/// `EDAC MC3: 1 UE memory read error on CPU_SrcID#1_MC#1_Chan#0_DIMM#0 (channel:0 slot:0 page:0x1 ...)`.
fn read_edac(message: &str) -> Option<HostLine> {
    let rest = message.strip_prefix("EDAC ")?;
    let (unit, rest) = rest.split_once(": ")?;
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
    Some(HostLine::Event { class: Class::HostMemory, severity, place, count })
}

/// `TSC 0x..`, `ADDR 0x..`, `MISC 0x..`, `PROCESSOR ...`: registers that belong to the machine check before them.
pub(super) fn is_register(text: &str) -> bool {
    let first = text.split_whitespace().next().unwrap_or_default();
    ["TSC", "ADDR", "MISC", "PROCESSOR", "RIP", "SYND", "IPID", "PPIN"].contains(&first)
}

/// Drivers of devices whose unknown errors are worth a look.
const DRIVERS: [&str; 7] = ["nvidia", "pcieport", "mlx5_core", "mlx4_core", "nvme", "bnxt_en", "ice"];

/// `pcieport 0000:5c:01.0: DPC: containment event, ...`: driver, address, what it says.
fn read_device(message: &str) -> Option<HostLine> {
    let (driver, rest) = message.split_once(' ')?;
    let (address, rest) = rest.split_once(": ")?;
    // Kernels before 4.20 name the port's service: `dpc 0000:00:03.2:pcie008: DPC containment event, ...`.
    let address = address.split(":pcie").next().unwrap_or(address);
    let pci: PciAddress = address.parse().ok()?;
    let rest = rest.trim_start();
    let reported = rest.strip_prefix("AER: ").unwrap_or(rest).trim_start();
    if let Some(line) = read_registers(pci, reported) {
        return Some(line);
    }
    if let Some(said) = rest.strip_prefix("DPC: ").or_else(|| rest.strip_prefix("DPC ")) {
        return Some(if said.starts_with("containment event") {
            let source = said.split_once("received from ").and_then(|(_, from)| from.trim().parse().ok());
            event(Class::Containment, Severity::Recoverable, Place::Pci(source.unwrap_or(pci)))
        } else {
            HostLine::Detail
        });
    }
    if let Some(said) = rest.strip_prefix("pciehp: ") {
        let what = said.split_once("): ").map_or(said, |(_, what)| what).trim();
        let gone = ["Link Down", "Card not present", "Power fault", "Power fault detected"].contains(&what);
        return gone.then(|| event(Class::Removal, Severity::Recoverable, Place::Pci(pci)));
    }
    if driver.starts_with("mlx") {
        return read_mlx(pci, rest);
    }
    (DRIVERS.contains(&driver) && speaks_of_error(rest))
        .then(|| event(Class::Unknown, Severity::Unclear, Place::Pci(pci)))
}

/// Bits of the status register of uncorrectable errors, as the kernel names them (`aer_uncorrectable_error_string`).
const UNCORRECTED_BITS: [&str; 17] = [
    "DLP",
    "SDES",
    "TLP",
    "FCP",
    "CmpltTO",
    "CmpltAbrt",
    "UnxCmplt",
    "RxOF",
    "MalfTLP",
    "ECRC",
    "UnsupReq",
    "ACSViol",
    "UncorrIntErr",
    "BlockedTLP",
    "AtomicOpBlocked",
    "TLPBlockedErr",
    "PoisonTLPBlocked",
];
/// Likewise of corrected ones (`aer_correctable_error_string`).
const CORRECTED_BITS: [&str; 8] =
    ["RxErr", "BadTLP", "BadDLLP", "Rollover", "Timeout", "NonFatalErr", "CorrIntErr", "HeaderOF"];

/// Lines that show the error registers of a device.
fn read_registers(pci: PciAddress, said: &str) -> Option<HostLine> {
    if said.starts_with("aer_status:") {
        return Some(HostLine::AerStatus { pci });
    }
    if said.starts_with("aer_uncor_severity:") {
        return Some(HostLine::AerBit { pci, severity: Severity::Recoverable });
    }
    if let Some((number, name)) = said.strip_prefix('[').and_then(|rest| rest.split_once(']'))
        && number.trim().parse::<u8>().is_ok()
    {
        let name = name.split_whitespace().next().unwrap_or_default();
        if UNCORRECTED_BITS.contains(&name) {
            return Some(HostLine::AerBit { pci, severity: Severity::Recoverable });
        }
        let corrected = CORRECTED_BITS.contains(&name);
        return Some(if corrected {
            HostLine::AerBit { pci, severity: Severity::Corrected }
        } else {
            HostLine::Detail
        });
    }
    let details = [
        "aer_layer=",
        "device [",
        "TLP Header:",
        "Error of this Agent",
        "found no error details",
        "can't find device",
        "can't recover",
        "broadcast ",
        "device recovery",
        "subordinate device reset",
        "Root Port link has been reset",
        "Downstream Port link has been reset",
    ];
    details.iter().any(|start| said.starts_with(start)).then_some(HostLine::Detail)
}

/// Messages of mlx5's health watch: `print_health_info:425:(pid 912): Health issue observed, firmware internal error,
/// severity(3) ERROR:`.
fn read_mlx(pci: PciAddress, said: &str) -> Option<HostLine> {
    let text = said.rsplit_once("): ").map_or(said, |(_, text)| text).trim();
    let has = |needle: &str| said.contains(needle);
    let place = Place::Pci(pci);
    if has("print_health_info") && !has("Health issue observed") && !has("PCI slot is unavailable") {
        return Some(HostLine::Detail);
    }
    let hot = has("High temperature") || has("high temperature") || has("temp_warn");
    // The firmware grades as syslog does: up to 3 is an error, from 4 on a warning.
    let warns = said.split_once("severity(").is_some_and(|(_, rest)| rest.starts_with(['4', '5', '6', '7']));
    let broken = [
        "Health issue observed",
        "PCI slot is unavailable",
        "handling bad device",
        "health compromised",
        "health recovery flow aborted",
        "Fatal error",
        "start removing",
    ];
    if broken.iter().any(|word| has(word)) && !hot && !warns {
        return Some(event(Class::Nic, Severity::Recoverable, place));
    }
    if hot || warns || has("insufficient power") || has("Will cause a leak") || speaks_of_error(text) {
        return Some(event(Class::Nic, Severity::Unclear, place));
    }
    None
}

/// `nvme nvme3: controller is down; will reset: CSTS=0xffffffff, PCI_STATUS=0x10`, and errors of the block layer.
fn read_drive(message: &str) -> Option<HostLine> {
    if let Some((drive, said)) = message.strip_prefix("nvme ").and_then(|rest| rest.split_once(": "))
        && drive.starts_with("nvme")
    {
        let has = |needle: &str| said.contains(needle);
        let place = Place::Drive(drive.to_owned());
        let gone = ["controller is down", "Removing after probe failure", "after reset failure", "Device not ready"];
        if gone.iter().any(|word| has(word)) {
            return Some(event(Class::Drive, Severity::Recoverable, place));
        }
        if has("frozen state error detected") || has("restart after slot reset") {
            return Some(HostLine::Detail);
        }
        let doubt = has("timeout") || has("Abort status") || speaks_of_error(said);
        return doubt.then(|| event(Class::Drive, Severity::Unclear, place));
    }
    let (what, rest) = message.split_once(", dev ")?;
    let name = rest.split([',', ' ']).next()?.to_owned();
    let severity = if what.contains("critical medium error") {
        Severity::Recoverable
    } else if what.ends_with("error") {
        Severity::Unclear
    } else {
        return None;
    };
    Some(event(Class::Drive, severity, Place::Drive(name)))
}

/// Processors and tasks that stand still, crashes, heat, memory that was given up.
fn read_kernel_itself(message: &str) -> Option<HostLine> {
    let has = |needle: &str| message.contains(needle);
    // A fault of a user's program.
    if message.starts_with("traps: ") {
        return None;
    }
    if message.starts_with("Memory failure: ") {
        return Some(event(Class::HostMemory, Severity::Unclear, Place::Node));
    }
    if message.starts_with("Kernel panic - not syncing: Fatal ") {
        return Some(event(Class::MachineCheck, Severity::Fatal, Place::Node));
    }
    if has("NMI: PCI system error") || has("NMI: IOCK error") {
        return Some(event(Class::Firmware, Severity::Recoverable, Place::Node));
    }
    let heat = (has("temperature") && has("above threshold")) || has("critical temperature reached");
    if heat {
        let cpu = message.split_once("CPU").and_then(|(_, rest)| rest.split(':').next()?.trim().parse().ok());
        return Some(event(Class::Heat, Severity::Unclear, cpu.map_or(Place::Node, Place::Cpu)));
    }
    let stuck = [
        "BUG: soft lockup",
        "hard LOCKUP",
        "blocked for more than",
        "self-detected stall",
        "detected stalls on CPUs",
        "BUG: unable to handle",
        "BUG: kernel NULL pointer",
        "kernel BUG at",
        "general protection fault",
        "Oops: ",
        "Kernel panic - not syncing",
        "NMI received for unknown reason",
    ];
    stuck.iter().any(|word| has(word)).then(|| event(Class::Stuck, Severity::Unclear, Place::Node))
}

/// Where an unknown error is taken seriously.
const SUBSYSTEMS: [&str; 7] = ["NVRM: ", "nvidia-nvswitch", "nvidia: ", "AER: ", "EDAC ", "mce: ", "HEST: "];

fn read_unknown(message: &str) -> Option<HostLine> {
    let known = SUBSYSTEMS.iter().any(|start| message.starts_with(start));
    let doubt = known && speaks_of_error(message) || message.to_ascii_lowercase().contains("hardware error");
    if !doubt {
        return None;
    }
    let address = message.split_whitespace().find_map(|word| {
        word.trim_start_matches("PCI:").trim_matches(|end: char| !end.is_ascii_hexdigit()).parse::<PciAddress>().ok()
    });
    Some(event(Class::Unknown, Severity::Unclear, address.map_or(Place::Node, Place::Pci)))
}

/// Words by which a message shows that something went wrong.
pub(super) fn speaks_of_error(text: &str) -> bool {
    const WORDS: [&str; 12] = [
        "error",
        "fail",
        "fatal",
        "uncorrect",
        "timeout",
        "timed out",
        "stuck",
        "hung",
        "lost",
        "corrupt",
        "poison",
        "parity",
    ];
    let text = text.to_ascii_lowercase();
    WORDS.iter().any(|word| text.contains(word))
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
