//! Events of the kernel log: lines that belong together are one event, with its class, its severity and its place.
//!
//! Written against the messages of the Linux kernel (drivers/pci/pcie/aer.c and dpc.c, drivers/pci/hotplug,
//! drivers/acpi/apei/ghes.c, drivers/firmware/efi/cper.c, arch/x86/kernel/cpu/mce, drivers/edac, drivers/nvme/host/pci.c,
//! mlx5 health.c) in their old and new forms, and of the NVIDIA driver. What one line says is `host_line`'s and
//! `kernel_line`'s.

use super::PciAddress;
use super::driver_words::init_cause;
use super::elsewhere::{Elsewhere, tells as tells_of_elsewhere};
use super::host_block::{UNNUMBERED, of_a_loose_line, tells_of_earlier_boot};
use super::host_line::{HostLine, Part, read_host_line};
use super::kernel_join::{
    PAGE_GIVEN_UP, announced, before_the_aftermath, controller_of, in_numbers, is_refusal, leads_to, of_a_page,
    reported_before, resolved_by, same_as, told_by,
};
use super::kernel_line::{AerLine, InitCause, KernelLine, one_line, own_lines, read_kernel_line, without_prefix};
use kiln_model::{KernelRecord, KernelSource, Moment, Span};

/// What kind of trouble an event is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Class {
    /// The GPU driver's: Xid, SXid, off the bus, not started.
    Driver(KernelLine),
    /// An error that a PCIe device or port reported (AER), natively or by way of the firmware.
    Pcie,
    /// A port shut its link to contain an error (DPC).
    Containment,
    /// A device or its link went away (hot plug).
    Removal,
    /// Memory of the host: EDAC, firmware reports, poisoned pages.
    HostMemory,
    /// A processor's machine check.
    MachineCheck,
    /// Hardware that firmware reported and that is none of the above.
    Firmware,
    Nic,
    Drive,
    /// A controller of drives.
    Controller,
    /// A device reached for memory that nobody gave it, and the IOMMU kept it away.
    Access,
    /// A part of the host ran hot.
    Heat,
    /// Processors or tasks that did not come on, and crashes of the kernel: of hardware or of software.
    Stuck,
    /// The kernel started.
    Boot,
    /// A line of a known subsystem that speaks of an error in words nobody taught us, or one in grave words of whomever.
    Unknown,
    /// A line with a word for an error of a device whose driver nobody taught us: it counts where that is under test.
    Unfamiliar,
}

/// How grave an event is by its own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// No bearing on hardware.
    Told,
    /// Mended by the hardware: what counts is how many.
    Corrected,
    /// The words do not say, or software may be to blame.
    Unclear,
    /// Not mended, but survived.
    Recoverable,
    Fatal,
}

/// Where it happened, as the kernel names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    Pci(PciAddress),
    /// The label of a memory module.
    Dimm(String),
    /// A drive by its kernel name: `nvme3`.
    Drive(String),
    /// A network interface by its name: `ens1f0np0`.
    Interface(String),
    Cpu(u32),
    /// A GPU by the number that its driver counts it as, which is the order on the bus and that of the inventory.
    Gpu(u8),
    /// An NVLink switch likewise.
    Switch(u8),
    Node,
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelEvent {
    pub at: Moment,
    /// How long before the run, if before.
    pub before: Option<Span>,
    pub class: Class,
    pub severity: Severity,
    pub place: Place,
    /// How many the kernel counted in it.
    pub count: u64,
    /// Its lines as logged, joined.
    pub text: String,
    /// The port that told of the error of a device below it.
    pub port: Option<PciAddress>,
    /// How it may still be completed by lines to come.
    pub(super) open: Open,
    /// Whether the place is only by the numbers of a memory controller, so that any name is better.
    pub(super) by_numbers: bool,
    /// Whether it is a report of a start of the machine before this one, which firmware or processor kept.
    pub of_earlier_boot: bool,
    /// What the firmware calls the unit, before it says of what kind that is.
    pub(super) unit: Option<String>,
    /// The gravest severity that a report of the firmware has told.
    pub(super) told: Option<Severity>,
    /// Place of its last line in the log.
    last: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Open {
    No,
    /// A port announced it; the device's own line may follow.
    Announced,
    /// A block of lines with this number in front.
    Block(u64),
    /// A machine check that only says that there was one.
    Unnamed,
    /// One that was decoded down to the controller of memory, whose driver may still say of which module.
    Decoded,
}

/// Lines that belong to one event lie this near in the log: details follow within a dozen lines, others between them.
const NEAR: usize = 16;
/// What is kept of an event's lines.
const TEXT_MAX: usize = 600;

impl KernelEvent {
    /// Whether it is proof of broken hardware by itself. What the GPU driver's codes prove is their tables' to say.
    pub const fn is_uncorrected(&self) -> bool {
        matches!(self.severity, Severity::Recoverable | Severity::Fatal)
    }

    fn add(&mut self, index: usize, text: &str) {
        self.last = index;
        if self.text.len() + text.len() < TEXT_MAX {
            self.text.push_str(" | ");
            self.text.push_str(text);
        }
    }

    /// Whether it is a machine check of which nothing was told so far but that there was one.
    fn is_unnamed(&self) -> bool {
        self.open == Open::Unnamed && self.text.ends_with("Machine check events logged")
    }

    pub(super) const fn is_near(&self, index: usize) -> bool {
        index - self.last <= NEAR
    }

    /// Whether a line is of the same time: what the run brought out is not part of what was there before it.
    pub(super) fn is_of_the_time_of(&self, record: &KernelRecord) -> bool {
        self.before.is_some() == record.before().is_some()
    }
}

/// Whether a line may belong to an event: what is worth keeping of a log.
pub fn names_trouble(text: &str) -> bool {
    let text = one_line(text);
    let message = without_prefix(&text);
    let begins = OFF_THE_BUS.iter().any(|start| message.starts_with(start));
    begins
        || tells_of_elsewhere(message)
        || init_cause(message).is_some()
        || read_kernel_line(&text).is_some()
        || read_host_line(message).is_some()
}

/// How the first two of the three lines begin by which the driver tells that a GPU is off the bus.
const OFF_THE_BUS: [&str; 2] = ["NVRM: The NVIDIA GPU ", "NVRM: (PCI ID: "];

/// The events that `records` tell of, in order of their first lines.
pub fn kernel_events(records: &[KernelRecord]) -> Vec<KernelEvent> {
    let mut reader = Reader::default();
    // Of a drive of another machine it is often told after its trouble that it is one.
    for record in records {
        reader.elsewhere.learn(without_prefix(&one_line(&record.text)));
    }
    for (index, record) in records.iter().enumerate() {
        if record.source != KernelSource::Gap {
            for line in own_lines(&record.text) {
                reader.take(index, record, &line);
            }
        }
    }
    for event in reader.events.iter_mut().filter(|event| event.open == Open::Announced) {
        event.has_no_details();
    }
    reader.events
}

#[derive(Debug, Default)]
struct Reader {
    events: Vec<KernelEvent>,
    elsewhere: Elsewhere,
    /// A message of the driver that goes on in the next record, and where it began.
    unfinished: Option<(usize, String)>,
    /// The last line that says why an initialisation is about to fail, and where it is.
    cause: Option<(usize, InitCause, String)>,
}

impl Reader {
    fn take(&mut self, index: usize, record: &KernelRecord, line: &str) {
        let message = without_prefix(line);
        if let Some(cause) = init_cause(message) {
            self.cause = Some((index, cause, message.to_owned()));
        }
        if let Some(whole) = self.continued(index, message) {
            return self.take_line(index, record, &whole);
        }
        self.take_line(index, record, message);
    }

    /// The driver's off-bus message comes in three lines on kernels that split them: the address, the id, what happened.
    fn continued(&mut self, index: usize, message: &str) -> Option<String> {
        let rest = message.strip_prefix("NVRM: ")?;
        if let Some((began, text)) = self.unfinished.take()
            && index - began <= 4
        {
            let whole = format!("{text} {rest}");
            if rest.contains("fallen off the bus") {
                return Some(whole);
            }
            self.unfinished = Some((began, whole));
            return None;
        }
        let begins = rest.starts_with("The NVIDIA GPU ");
        if begins && (!rest.contains("installed in this system has") || rest.ends_with("has")) {
            self.unfinished = Some((index, message.to_owned()));
        }
        None
    }

    fn take_line(&mut self, index: usize, record: &KernelRecord, message: &str) {
        if let Some(said) = read_kernel_line(message) {
            return self.take_driver(index, record, message, said);
        }
        let elsewhere = self.elsewhere.is_of(message);
        let Some(line) = read_host_line(message).filter(|_| !elsewhere) else { return };
        self.take_host(index, record, message, line);
    }

    fn take_driver(&mut self, index: usize, record: &KernelRecord, message: &str, mut said: KernelLine) {
        let mut message = message.to_owned();
        if let (KernelLine::InitFailed { cause, .. }, Some((at, told, words))) = (&mut said, &self.cause)
            && index - at <= NEAR
        {
            *cause = *told;
            message = format!("{words} | {message}");
        }
        let message = &message;
        match &said {
            KernelLine::Aer(aer) => self.take_aer(index, record, message, aer),
            KernelLine::Sxid(sxid) if sxid.continues() => {
                let same = |event: &&mut KernelEvent| {
                    event.is_near(index)
                        && matches!(&event.class, Class::Driver(KernelLine::Sxid(one))
                            if (one.switch, one.code) == (sxid.switch, sxid.code))
                };
                if let Some(event) = self.events.iter_mut().rev().find(same) {
                    return event.add(index, message);
                }
                let place = Place::Pci(sxid.pci);
                self.push(index, record, message, Class::Driver(said), Severity::Unclear, place);
            }
            KernelLine::Xid(xid) if record.source == KernelSource::DriverEvent => {
                // The log has the same Xid with its text, before or after; this one counts only where it has not.
                let (pci, code) = (xid.pci, xid.code);
                let told = self.events.iter().any(|event| {
                    matches!(&event.class, Class::Driver(KernelLine::Xid(one)) if (one.pci, one.code) == (pci, code))
                });
                if !told {
                    self.push(index, record, message, Class::Driver(said), Severity::Unclear, Place::Pci(pci));
                }
            }
            KernelLine::Xid(xid) => {
                let place = Place::Pci(xid.pci);
                let (pci, code) = (xid.pci, xid.code);
                let by_event = |event: &&mut KernelEvent| {
                    event.text.contains(EVENT_CHANNEL)
                        && matches!(&event.class, Class::Driver(KernelLine::Xid(one)) if (one.pci, one.code) == (pci, code))
                };
                if let Some(event) = self.events.iter_mut().find(by_event) {
                    event.class = Class::Driver(said);
                    message.clone_into(&mut event.text);
                    event.last = index;
                } else {
                    let lead = leads_to(&mut self.events, (index, record));
                    let event = self.push(index, record, message, Class::Driver(said), Severity::Unclear, place);
                    event.text = [lead.as_str(), &event.text].concat();
                }
            }
            KernelLine::OffTheBus { pci } | KernelLine::InitFailed { pci, .. } => {
                let place = pci.map_or(Place::Node, Place::Pci);
                let kind = std::mem::discriminant(&said);
                let again = |event: &&mut KernelEvent| {
                    event.is_near(index)
                        && event.place == place
                        && matches!(&event.class, Class::Driver(line) if std::mem::discriminant(line) == kind)
                };
                if let Some(event) = self.events.iter_mut().rev().find(again) {
                    return event.add(index, message);
                }
                self.push(index, record, message, Class::Driver(said), Severity::Unclear, place);
            }
            KernelLine::Sxid(sxid) => {
                let place = Place::Pci(sxid.pci);
                self.push(index, record, message, Class::Driver(said), Severity::Unclear, place);
            }
        }
    }

    /// An error of a device: announced by a port, told by the device itself, or both.
    fn take_aer(&mut self, index: usize, record: &KernelRecord, message: &str, aer: &AerLine) {
        let (severity, place) = (aer.severity.of_the_event(), Place::Pci(aer.pci));
        if aer.announces {
            let event = self.push(index, record, message, Class::Pcie, severity, place);
            event.port = aer.port;
            event.open = Open::Announced;
            if aer.without_details {
                event.has_no_details();
            }
        } else if let Some(event) = announced(&mut self.events, index, aer.pci, severity) {
            event.add(index, message);
            event.place = Place::Pci(aer.pci);
            event.open = Open::No;
        } else {
            self.push(index, record, message, Class::Pcie, severity, place);
        }
    }

    fn take_host(&mut self, index: usize, record: &KernelRecord, message: &str, line: HostLine) {
        match line {
            HostLine::Event { class, severity, place, count } => {
                let severity = of_a_page(&self.events, (index, record, message), severity);
                if let Some(event) = controller_of(&mut self.events, record, (&class, severity)) {
                    return event.add(index, message);
                }
                if let Some(event) = in_numbers(&mut self.events, (index, record), &class) {
                    event.add(index, message);
                    (event.class, event.place) = (class, place);
                    return;
                }
                if let Some(event) = same_as(&mut self.events, (index, record, message), &class, &place) {
                    event.severity =
                        if is_refusal(&event.text) { event.severity } else { event.severity.max(severity) };
                    event.add(index, message);
                    if matches!((&event.place, &place), (Place::Interface(_), Place::Pci(_))) {
                        event.place = place;
                    }
                    return;
                }
                if let Some(event) = resolved_by(&mut self.events, (index, record), &class, severity, &place) {
                    event.add(index, message);
                    if severity == Severity::Unclear
                        || message.starts_with(PAGE_GIVEN_UP) && event.open != Open::Unnamed
                    {
                        // A page that was given up is more than the corrected errors before it.
                        event.severity = event.severity.max(severity);
                        return;
                    }
                    event.severity = severity;
                    if place != Place::Node {
                        event.place = place;
                    }
                    event.class = class;
                    event.count = event.count.max(count);
                    event.open = Open::No;
                    return;
                }
                let event = self.push(index, record, message, class, severity, place);
                event.count = count;
            }
            HostLine::Unnamed => {
                // Another line alone is another error: the kernel says so twice a minute at the most (`mce_notify_irq`).
                let named = self.events.iter().rev().take(4).any(|event| {
                    event.is_near(index)
                        && matches!(event.class, Class::MachineCheck | Class::HostMemory)
                        && !event.is_unnamed()
                });
                if !named {
                    let event =
                        self.push(index, record, message, Class::MachineCheck, Severity::Corrected, Place::Node);
                    event.open = Open::Unnamed;
                }
            }
            HostLine::Block { number, part } => self.take_block(index, record, message, number, part),
            HostLine::AerStatus { pci } => {
                let same = |event: &&mut KernelEvent| event.is_near(index) && event.place == Place::Pci(pci);
                if let Some(event) = self.events.iter_mut().rev().find(same) {
                    event.add(index, message);
                } else {
                    self.push(index, record, message, Class::Pcie, Severity::Unclear, Place::Pci(pci));
                }
            }
            HostLine::AerBit { pci, severity } => {
                let same = |event: &&mut KernelEvent| event.is_near(index) && event.place == Place::Pci(pci);
                if let Some(event) = self.events.iter_mut().rev().find(same) {
                    event.add(index, message);
                    event.take_bit(severity);
                }
            }
            HostLine::NoError { pci } => {
                if let Some(event) = told_by(&mut self.events, index, pci) {
                    event.add(index, message);
                    event.has_no_details();
                }
            }
            HostLine::Aftermath { place } => {
                if let Some(event) = before_the_aftermath(&mut self.events, (index, record)) {
                    event.add(index, message);
                } else {
                    self.push(index, record, message, Class::Pcie, Severity::Unclear, place);
                }
            }
            HostLine::Nothing => {}
            HostLine::Detail => {
                if let Some(event) = self.events.last_mut().filter(|event| event.is_near(index)) {
                    event.add(index, message);
                    event.take_unit_of(message);
                }
            }
            HostLine::Loose => {
                if let Some(event) = reported_before(&mut self.events, (index, record)) {
                    event.add(index, message);
                } else {
                    let (class, severity) = of_a_loose_line(message);
                    self.push(index, record, message, class, severity, Place::Node);
                }
            }
        }
    }

    /// A line of a block that firmware's report is printed as: `{3}[Hardware Error]: ...`.
    fn take_block(&mut self, index: usize, record: &KernelRecord, message: &str, number: u64, part: Part) {
        if part == Part::Begins {
            let event = self.push(index, record, message, Class::Firmware, Severity::Unclear, Place::Node);
            event.open = Open::Block(number);
            return;
        }
        let own = |event: &KernelEvent| event.open == Open::Block(number);
        if !self.events.iter().any(own) {
            // Its beginning was lost, or it never had one: that is how the report kept from an earlier start is shown.
            let event = self.push(index, record, message, Class::Firmware, Severity::Unclear, Place::Node);
            event.open = Open::Block(number);
            event.of_earlier_boot = number == UNNUMBERED;
        }
        let Some(event) = self.events.iter_mut().rev().find(|event| own(event)) else { return };
        if event.last != index {
            event.add(index, message);
        }
        event.take_part(part);
    }

    fn push(
        &mut self,
        index: usize,
        record: &KernelRecord,
        message: &str,
        class: Class,
        severity: Severity,
        place: Place,
    ) -> &mut KernelEvent {
        let at = self.events.len();
        self.events.push(KernelEvent {
            at: record.at,
            before: record.before(),
            class,
            severity,
            place,
            count: 1,
            text: message.chars().take(TEXT_MAX).collect(),
            port: None,
            open: Open::No,
            by_numbers: false,
            of_earlier_boot: tells_of_earlier_boot(message),
            unit: None,
            told: None,
            last: index,
        });
        &mut self.events[at]
    }
}

/// What marks a line that the driver's event channel gave.
const EVENT_CHANNEL: &str = "reported by the driver's event channel";

#[cfg(test)]
#[path = "kernel_event_tests.rs"]
mod tests;
