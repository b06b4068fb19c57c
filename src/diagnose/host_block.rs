//! Lines marked `[Hardware Error]`: machine checks as the processor's handler prints them, and reports of the firmware.
//!
//! The firmware's reports are blocks of lines with one number in front: `{3}[Hardware Error]: event severity: fatal`.

use super::device_line::REFUSED_BITS;
use super::host_line::{HostLine, event, is_register};
use super::kernel_event::{Class, KernelEvent, Open, Place, Severity};

/// What a line of a firmware report adds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    Begins,
    Severity(Severity),
    /// A section that says nothing of what broke, such as the firmware's crash log from before the machine was started.
    Sealed,
    /// The kernel says that the report is wrong in itself.
    Incorrect,
    /// Which bits of the register of uncorrectable errors were set.
    Uncorrected(u32),
    Memory,
    Pcie,
    Processor,
    Place(Place),
    /// What the maker calls the unit that had the error; of memory it is the module.
    Unit(String),
    /// Where a module is by the numbers of its controller, which is little, but all where nothing names it.
    Numbers(String),
    Other,
}

impl KernelEvent {
    /// Takes in what a line of its report adds.
    pub(super) fn take_part(&mut self, part: Part) {
        match part {
            // A report has one severity and sections of their own: the gravest stands, in whatever order they come.
            Part::Severity(severity) => {
                self.told = self.told.max(Some(severity));
                self.severity = self.told.unwrap_or(severity);
            }
            Part::Sealed if self.class == Class::Firmware => self.severity = Severity::Unclear,
            Part::Incorrect => (self.severity, self.told) = (Severity::Unclear, Some(Severity::Unclear)),
            Part::Begins | Part::Sealed | Part::Other => {}
            Part::Memory => {
                self.is_of(Class::HostMemory);
                if let (Place::Node, Some(unit)) = (&self.place, self.unit.take()) {
                    self.place = Place::Dimm(unit);
                }
            }
            Part::Pcie => self.is_of(Class::Pcie),
            Part::Uncorrected(bits) => {
                let refused = REFUSED_BITS.iter().fold(0, |all, bit| all | 1 << bit);
                if self.severity == Severity::Recoverable && bits != 0 && bits & !refused == 0 {
                    (self.severity, self.told) = (Severity::Unclear, Some(Severity::Unclear));
                }
            }
            Part::Processor => self.is_of(Class::MachineCheck),
            Part::Place(place) => {
                if self.by_numbers || !matches!(self.place, Place::Dimm(_)) {
                    self.place = place;
                    self.by_numbers = false;
                }
            }
            // Also of other sections than memory, where a unit is no module.
            Part::Unit(unit) if unit.to_ascii_uppercase().contains("DIMM") || self.class == Class::HostMemory => {
                self.place = Place::Dimm(unit);
            }
            Part::Unit(unit) => self.unit = Some(unit),
            Part::Numbers(numbers) => {
                if self.class == Class::HostMemory && self.place == Place::Node {
                    self.place = Place::Dimm(numbers);
                    self.by_numbers = true;
                }
            }
        }
    }
}

impl KernelEvent {
    /// Takes in the unit that the decoder of AMD's machine checks names behind the processor (`smca_get_long_name` of
    /// arch/x86/kernel/cpu/mce/amd.c): the memory controller tells of memory, and its own driver may still say of which.
    pub(super) fn take_unit_of(&mut self, message: &str) {
        if self.class == Class::MachineCheck && message.contains("Unified Memory Controller") {
            self.class = Class::HostMemory;
            self.open = Open::Decoded;
        }
    }

    /// Whether a machine check names a unit of the processor, and no memory: the decoder of AMD's, Arm's caches, firmware.
    pub(super) fn is_of_a_processor(&self) -> bool {
        const NAMES: [&str; 4] = ["EDAC DEVICE", " processor error", "Ext. Error Code", "Extended Error Code"];
        self.class == Class::MachineCheck && NAMES.iter().any(|name| self.text.contains(name))
    }

    /// Whether errors were mended faster than the kernel takes them, and nothing says of which part.
    pub(super) fn is_a_storm_of_nobody(&self) -> bool {
        self.class == Class::MachineCheck && self.text.contains("CMCI storm detected")
    }

    /// Says what broke, for which what the report says of its severity holds.
    fn is_of(&mut self, class: Class) {
        self.class = class;
        self.severity = self.told.unwrap_or(self.severity);
    }
}

const MARK: &str = "[Hardware Error]:";

/// The number given to reports without one, such as the one kept from before the machine was started (BERT).
pub(super) const UNNUMBERED: u64 = u64::MAX;

/// Whether a line tells of what the processor keeps over a reset (`print_s5_reset_status_mmio` of arch/x86/kernel/cpu/amd.c,
/// since Linux 6.16).
pub(super) fn tells_of_earlier_boot(message: &str) -> bool {
    message.starts_with(RESET_REASON)
}

pub(super) const RESET_REASON: &str = "x86/amd: Previous system reset reason ";

pub(super) fn read_block(message: &str) -> Option<HostLine> {
    let message = message.strip_prefix("mce: ").unwrap_or(message);
    if let Some((number, rest)) = message.strip_prefix('{').and_then(|rest| rest.split_once('}'))
        && let Ok(number) = number.parse()
    {
        return Some(HostLine::Block { number, part: part(rest.strip_prefix(MARK)?.trim()) });
    }
    let text = message.strip_prefix(MARK)?.trim();
    if text.starts_with("Machine check events logged") {
        return Some(HostLine::Unnamed);
    }
    if let Some(line) = machine_check(text).or_else(|| decoded(text)) {
        return Some(line);
    }
    Some(match part(text) {
        Part::Other if is_detail(text) => HostLine::Detail,
        Part::Other if is_sealed(text) => HostLine::Block { number: UNNUMBERED, part: Part::Sealed },
        Part::Other => HostLine::Loose,
        part => HostLine::Block { number: UNNUMBERED, part },
    })
}

/// What a line alone is of that says `[Hardware Error]`. Why a machine check ends in a panic, the kernel says after the registers that
/// raised it, and only then (`mce_panic` of arch/x86/kernel/cpu/mce/core.c).
pub(super) fn of_a_loose_line(message: &str) -> (Class, Severity) {
    if message.contains("[Hardware Error]: Machine check: ") {
        (Class::MachineCheck, Severity::Fatal)
    } else {
        (Class::Unknown, Severity::Unclear)
    }
}

fn is_sealed(text: &str) -> bool {
    text.starts_with("section_type: Firmware Error Record Reference") || text.starts_with("section type: unknown")
}

/// Bits of a bank's status register (Intel SDM vol. 3B 17.3.2.2, AMD APM vol. 2 9.3.2): the error was not corrected, and
/// the state of the processor may be corrupt.
const UNCORRECTED: u64 = 1 << 61;
const CONTEXT_CORRUPT: u64 = 1 << 57;

/// `CPU 12: Machine Check Exception: 5 Bank 7: be00000000800400`.
fn machine_check(text: &str) -> Option<HostLine> {
    let (cpu, rest) = text.strip_prefix("CPU ")?.split_once(": ")?;
    let rest = rest.strip_prefix("Machine Check")?;
    let is_exception = rest.starts_with(" Exception");
    let place = cpu.trim().parse().map_or(Place::Node, Place::Cpu);
    let status = rest.split_once("Bank ").and_then(|(_, rest)| rest.split_once(": ")).and_then(|(_, status)| {
        let digits = status.split_whitespace().next()?.trim_start_matches("0x");
        // A line that was cut off has lost digits, and with them the place of every bit.
        (digits.len() == 16).then(|| u64::from_str_radix(digits, 16).ok())?
    });
    let severity = match status {
        Some(status) if status & UNCORRECTED == 0 => Severity::Corrected,
        Some(status) if status & CONTEXT_CORRUPT != 0 => Severity::Fatal,
        Some(_) => Severity::Recoverable,
        // Processors raise the exception for errors only that they could not correct (Intel SDM vol. 3B 17.3).
        None if is_exception => Severity::Recoverable,
        None => Severity::Unclear,
    };
    Some(event(Class::MachineCheck, severity, place))
}

/// First lines of the decoder for AMD's machine checks (`drivers/edac/mce_amd.c`).
fn decoded(text: &str) -> Option<HostLine> {
    let severity = if text.starts_with("Corrected error") {
        Severity::Corrected
    } else if text.starts_with("Uncorrected") || text.starts_with("Deferred error") {
        Severity::Recoverable
    } else if text.starts_with("System Fatal error") || text.starts_with("Fatal error") {
        Severity::Fatal
    } else {
        return None;
    };
    Some(event(Class::MachineCheck, severity, Place::Node))
}

/// Lines that follow one of those.
fn is_detail(text: &str) -> bool {
    let starts = [
        "CPU:",
        "Error ",
        "cache level",
        "Run the above",
        "Some CPUs",
        "PROCESSOR",
        "MC",
        "fru_id",
        "Revision:",
        "Record Identifier",
        "Firmware Error Record Type",
        // What a decoder is for, which it says of no error (mce_amd.c).
        "Decoding supported only on",
    ];
    is_register(text)
        || starts.iter().any(|start| text.starts_with(start))
        || text.contains("Ext. Error Code")
        || text.contains("Extended Error Code")
}

fn part(text: &str) -> Part {
    if text.starts_with("Hardware error from APEI") || text.starts_with("Hardware error detected on") {
        return Part::Begins;
    }
    // `cper_estatus_print_section` of drivers/firmware/efi/cper.c.
    if text.starts_with("firmware-generated error record is incorrect") {
        return Part::Incorrect;
    }
    if let Some(numbers) = numbers(text) {
        return Part::Numbers(numbers);
    }
    let Some((key, value)) = text.split_once(": ") else { return Part::Other };
    match key {
        "event severity" => Part::Severity(match value.trim() {
            "fatal" => Severity::Fatal,
            "recoverable" => Severity::Recoverable,
            "corrected" => Severity::Corrected,
            "info" => Severity::Told,
            _ => Severity::Unclear,
        }),
        "section_type" if value.starts_with("memory error") => Part::Memory,
        "section_type" if value.starts_with("PCIe error") || value.starts_with("CXL Protocol Error") => Part::Pcie,
        "section_type" if value.contains("processor error") => Part::Processor,
        "aer_uncor_status" => {
            let digits = value.trim_start_matches("0x").split(',').next().unwrap_or_default();
            u32::from_str_radix(digits, 16).map_or(Part::Other, Part::Uncorrected)
        }
        "device_id" | "agent_address" => value.trim().parse().map_or(Part::Other, |pci| Part::Place(Place::Pci(pci))),
        // The kernel knows no module by the handle that the firmware gave: `not present. DMI handle: 0x0000`.
        "DIMM location" if !value.starts_with("not present") => Part::Place(Place::Dimm(value.trim().to_owned())),
        "fru_text" if names_a_unit(value.trim()) => Part::Unit(value.trim().to_owned()),
        _ => Part::Other,
    }
}

/// Whether a field that makers fill as they like names a unit and not the error.
fn names_a_unit(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    !text.is_empty() && !["correct", "error", "unknown", "n/a", "generic"].iter().any(|word| text.contains(word))
}

/// `node: 1 card: 3 module: 0 rank: 1 bank: 2 device: 9 row: 1651`: node, card and module.
fn numbers(text: &str) -> Option<String> {
    let plain = text.replace(": ", ":");
    if !plain.starts_with("node:") {
        return None;
    }
    let told = plain.split_whitespace().filter_map(|word| word.split_once(':'));
    let told: Vec<String> = told
        .filter(|(key, _)| ["node", "card", "module"].contains(key))
        .map(|(key, value)| format!("{key} {value}"))
        .collect();
    (told.len() > 1).then(|| told.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn severity(text: &str) -> Option<Severity> {
        match read_block(text)? {
            HostLine::Event { severity, .. } => Some(severity),
            _ => None,
        }
    }

    #[test]
    fn the_status_register_says_whether_a_machine_check_was_corrected() {
        let case = |status: &str| severity(&format!("mce: [Hardware Error]: CPU 4: Machine Check: 0 Bank 8: {status}"));
        assert_eq!(case("8c00004000010092"), Some(Severity::Corrected));
        assert_eq!(case("be00000000800400"), Some(Severity::Fatal));
        assert_eq!(case("bd00000000c00135"), Some(Severity::Recoverable));
        assert_eq!(case("be0000000080"), Some(Severity::Unclear), "cut off");
        let exception = "mce: [Hardware Error]: CPU 4: Machine Check Exception: 5 Bank 7";
        assert_eq!(severity(exception), Some(Severity::Recoverable));
        // The handler prints the banks of corrected errors beside the one that raised the exception.
        let beside = format!("{exception}: 8c00004000010092");
        assert_eq!(severity(&beside), Some(Severity::Corrected));
    }

    #[test]
    fn what_the_decoder_of_the_other_maker_says_is_read_too() {
        assert_eq!(severity("[Hardware Error]: Corrected error, no action required."), Some(Severity::Corrected));
        assert_eq!(severity("[Hardware Error]: Deferred error, no action required."), Some(Severity::Recoverable));
        assert_eq!(severity("[Hardware Error]: System Fatal error."), Some(Severity::Fatal));
        let detail = "[Hardware Error]: CPU:2 (19:11:1) MC17_STATUS[Over|CE|MiscV|AddrV|-|-|SyndV|CECC|-|-|-]: 0xdc2040000400011b";
        assert_eq!(read_block(detail), Some(HostLine::Detail));
    }
}
