//! The table of lines: who says them, in which words, and what they come to. One matcher reads all of it.
//!
//! A row names the driver or the subsystem, words of the line, and what it says; the first row that fits counts. Words are
//! those of the sources that are named above the rows. A line with a structure of its own (registers, reports of the firmware,
//! states of commands) is read elsewhere; one that no row fits is classed by its general words in `general_words`.

mod bus;
mod drives;
mod host;
mod network;
mod quiet;

use super::PciAddress;
use super::drive_line::{Named, drive_in};
use super::host_line::{HostLine, event};
use super::kernel_event::{Class, Place, Severity};

/// Who says a line.
#[derive(Debug, Clone, Copy)]
enum Of {
    /// Lines that begin so, and what is said is the rest.
    Begins(&'static str),
    /// A driver of this name, of a device on the bus.
    Driver(&'static str),
    /// Any driver of a network card.
    Network,
    /// A driver of a network card, of one of its interfaces.
    Interface,
    /// Any device on the bus.
    Device,
    /// Whoever.
    Anyone,
}

#[derive(Debug)]
enum Says {
    /// No bearing on hardware, whatever its words.
    Nothing,
    /// Belongs to the event before it.
    Detail,
    /// What became of an error of the bus.
    Aftermath,
    Event(Class, Severity),
}

#[derive(Debug)]
struct Row {
    of: Of,
    /// What is said, in this order, with anything where a `*` is; at the start of what is said where a `^` is.
    words: &'static str,
    says: Says,
}

const fn nothing(of: Of, words: &'static str) -> Row {
    Row { of, words, says: Says::Nothing }
}

const fn detail(of: Of, words: &'static str) -> Row {
    Row { of, words, says: Says::Detail }
}

/// Mended by the hardware or by a copy of the data.
const fn mended(of: Of, words: &'static str, class: Class) -> Row {
    Row { of, words, says: Says::Event(class, Severity::Corrected) }
}

/// The hardware may be to blame, or software.
const fn doubt(of: Of, words: &'static str, class: Class) -> Row {
    Row { of, words, says: Says::Event(class, Severity::Unclear) }
}

/// Broken hardware, and nothing else is said so.
const fn proof(of: Of, words: &'static str, class: Class) -> Row {
    Row { of, words, says: Says::Event(class, Severity::Recoverable) }
}

/// What means nothing comes first, then whoever says most exactly who it is.
const TABLES: [&[Row]; 5] = [quiet::ROWS, network::ROWS, bus::ROWS, drives::ROWS, host::ROWS];

/// A line of a device on the bus: `mlx5_core 0000:c1:00.0 ens1f0np0: TX timeout detected`.
#[derive(Debug, Clone, Copy)]
pub(super) struct DeviceLine<'l> {
    pub(super) driver: &'l str,
    pub(super) pci: PciAddress,
    /// Whether the name of a network interface follows the address.
    pub(super) of_interface: bool,
    pub(super) said: &'l str,
}

impl<'l> DeviceLine<'l> {
    pub(super) fn of(message: &'l str) -> Option<Self> {
        let (driver, rest) = message.split_once(' ')?;
        let (address, said) = rest.split_once(": ")?;
        let mut words = address.split_whitespace();
        // Kernels before 4.20 name the port's service: `dpc 0000:00:03.2:pcie008: DPC containment event, ...`.
        let (address, interface) = (words.next()?, words.next());
        let pci = address.split(":pcie").next().unwrap_or(address).parse().ok()?;
        Some(Self { driver, pci, of_interface: interface.is_some(), said: said.trim_start() })
    }

    /// Whether its driver is one of network cards.
    pub(super) fn is_of_network(&self) -> bool {
        self.of_interface || network::DRIVERS.contains(&self.driver)
    }
}

/// What the first row that fits makes of a line.
pub(super) fn look_up(message: &str, device: Option<DeviceLine<'_>>) -> Option<HostLine> {
    let row = TABLES.iter().copied().flatten().find(|row| row.fits(message, device))?;
    Some(match &row.says {
        Says::Nothing => HostLine::Nothing,
        Says::Detail => HostLine::Detail,
        Says::Aftermath => {
            HostLine::Aftermath { place: place_of(&Class::Drive, message, device).unwrap_or(Place::Node) }
        }
        Says::Event(class, severity) => match place_of(class, message, device) {
            Some(place) => event(class.clone(), *severity, place),
            None => HostLine::Nothing,
        },
    })
}

impl Row {
    fn fits(&self, message: &str, device: Option<DeviceLine<'_>>) -> bool {
        let said = match self.of {
            Of::Begins(start) => message.strip_prefix(start),
            Of::Anyone => Some(message),
            Of::Driver(name) => device.filter(|line| line.driver == name).map(|line| line.said),
            Of::Network => device.filter(DeviceLine::is_of_network).map(|line| line.said),
            Of::Interface => device.filter(|line| line.of_interface).map(|line| line.said),
            Of::Device => device.map(|line| line.said),
        };
        said.is_some_and(|said| has_words(said, self.words))
    }
}

/// Whether `said` has the words of a row in it.
fn has_words(said: &str, words: &str) -> bool {
    let (mut rest, words) = match words.strip_prefix('^') {
        Some(words) => {
            let first = words.split('*').next().unwrap_or_default();
            let Some(rest) = said.strip_prefix(first) else { return false };
            (rest, words[first.len()..].trim_start_matches('*'))
        }
        None => (said, words),
    };
    words.split('*').all(|part| match rest.split_once(part) {
        Some((_, after)) => {
            rest = after;
            true
        }
        None => false,
    })
}

/// Where it happened. `None` of a drive that is none, such as virtual media.
fn place_of(class: &Class, message: &str, device: Option<DeviceLine<'_>>) -> Option<Place> {
    let address = device.map(|line| Place::Pci(line.pci));
    match class {
        Class::Drive if address.is_none() => match drive_in(message) {
            Named::Drive(name) => Some(Place::Drive(name.to_owned())),
            Named::NoDrive => None,
            Named::Nothing => Some(Place::Node),
        },
        Class::Heat | Class::MachineCheck if address.is_none() => {
            let cpu = message.split_once("CPU").and_then(|(_, rest)| rest.split(':').next()?.trim().parse().ok());
            Some(cpu.map_or(Place::Node, Place::Cpu))
        }
        Class::Unknown if address.is_none() => Some(named_in(message)),
        _ => Some(address.unwrap_or(Place::Node)),
    }
}

/// Where a line without the address of its speaker says that it happened: by an address among its words, or by the number that the
/// driver puts before them: `NVRM: GPU3 kfspWaitForResponse: ...`, `nvidia-nvswitch1: ...`.
pub(super) fn named_in(message: &str) -> Place {
    let number = |start: &str| {
        let rest = message.strip_prefix(start)?;
        let end = rest.find(|sign: char| !sign.is_ascii_digit()).unwrap_or(rest.len());
        rest[..end].parse().ok()
    };
    match address_in(message) {
        Some(address) => Place::Pci(address),
        None => number("NVRM: GPU")
            .map(Place::Gpu)
            .or_else(|| number("nvidia-nvswitch").map(Place::Switch))
            .unwrap_or(Place::Node),
    }
}

/// The first address on the bus among the words of a line.
fn address_in(message: &str) -> Option<PciAddress> {
    let plain = |word: &str| {
        word.trim_start_matches(['('])
            .trim_start_matches("PCI:")
            .trim_matches(|end: char| !end.is_ascii_hexdigit())
            .parse()
            .ok()
    };
    message.split_whitespace().find_map(plain)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::super::kernel_events;
    use super::*;
    use kiln_model::{KernelRecord, KernelSource, Moment};

    /// What one line alone comes to, in one word each for how grave it is, what it is of, and where.
    fn told(line: &str) -> String {
        let record = KernelRecord { at: Moment::ZERO, source: KernelSource::KernelLog, text: line.to_owned() };
        let events = kernel_events(&[record]);
        let Some(event) = events.first() else { return "nothing".to_owned() };
        let class = match &event.class {
            Class::Driver(_) => "Driver".to_owned(),
            class => format!("{class:?}"),
        };
        let place = match &event.place {
            Place::Pci(address) => address.to_string(),
            Place::Dimm(name) | Place::Drive(name) | Place::Interface(name) => name.clone(),
            Place::Cpu(number) => format!("cpu {number}"),
            Place::Gpu(number) => format!("gpu {number}"),
            Place::Switch(number) => format!("switch {number}"),
            Place::Node => "node".to_owned(),
        };
        format!("{:?} {class} {place}", event.severity)
    }

    #[test]
    fn every_line_of_the_list_comes_to_what_it_says() {
        let list = include_str!("../../fixtures/kernel-log/lines.txt");
        let mut wrong = String::new();
        let mut lines = 0;
        for row in list.lines().filter(|row| !row.is_empty() && !row.starts_with("# ")) {
            let (expected, line) = row.split_once(" | ").unwrap_or(("", row));
            lines += 1;
            if told(line) != expected {
                let _ = writeln!(wrong, "{} | {line}", told(line));
            }
        }
        assert!(lines > 150, "{lines} lines");
        assert!(wrong.is_empty(), "\n{wrong}");
    }

    #[test]
    fn words_stand_in_their_order_with_anything_between() {
        assert!(has_words("Slot(3): Cannot train link: status 0x1", "Cannot*status"));
        assert!(has_words("not ready 9ms after FLR; giving up", "^not ready*giving up"));
        assert!(!has_words("is not ready; giving up", "^not ready*giving up"));
        assert!(!has_words("giving up: not ready", "^not ready*giving up"));
        assert!(!has_words("not ready", "^not ready*giving up"));
        assert!(has_words("anything", "") && has_words("anything", "^any"));
    }
}
