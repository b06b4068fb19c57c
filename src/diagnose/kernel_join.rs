//! Which earlier event of the kernel log a line goes on with: the one it describes better, or the trouble it is a part of.
//!
//! Pure: over the events so far. What a line says is `host_line`'s; the events themselves are `kernel_event`'s.

use super::PciAddress;
use super::kernel_event::{Class, KernelEvent, Open, Place, Severity};
use kiln_model::{KernelRecord, Span};

/// A driver is done explaining a code after this long: it waits for the GPU in between, six seconds at a time.
const EXPLAINED: Span = Span::from_secs(20);
/// The commands to a drive whose controller is gone end with errors for as long as they wait (`SD_TIMEOUT` of
/// drivers/scsi/sd.h is 30 s, and the block layer tries again).
const GIVEN_UP: Span = Span::from_secs(120);

/// The controller that is gone, of an error of one of its drives. What a drive says of its own medium it says of itself.
pub(super) fn controller_of<'e>(
    events: &'e mut [KernelEvent],
    record: &KernelRecord,
    (class, severity): (&Class, Severity),
) -> Option<&'e mut KernelEvent> {
    let drives = *class == Class::Drive && severity == Severity::Unclear;
    events.iter_mut().rev().find(|event| {
        drives
            && event.class == Class::Controller
            && event.is_uncorrected()
            && event.is_of_the_time_of(record)
            && record.at < event.at + GIVEN_UP
    })
}

/// The error that a line tells the aftermath of.
pub(super) fn before_the_aftermath<'e>(
    events: &'e mut [KernelEvent],
    (index, record): (usize, &KernelRecord),
) -> Option<&'e mut KernelEvent> {
    events.iter_mut().rev().take(4).find(|event| {
        let of_the_bus = matches!(
            event.class,
            Class::Driver(_)
                | Class::Pcie
                | Class::Containment
                | Class::Removal
                | Class::Nic
                | Class::Drive
                | Class::Controller
        );
        of_the_bus && event.is_near(index) && event.is_of_the_time_of(record)
    })
}

/// Takes out what the GPU driver said in words of its own just before the code that they led to, by the number it counts the
/// GPU as and no address.
pub(super) fn leads_to(events: &mut Vec<KernelEvent>, (index, record): (usize, &KernelRecord)) -> String {
    let leads = |event: &mut KernelEvent| {
        event.class == Class::Unknown
            && matches!(event.place, Place::Gpu(_))
            && event.is_near(index)
            && record.at < event.at + EXPLAINED
            && event.is_of_the_time_of(record)
    };
    let lead = events.pop_if(leads);
    lead.map_or_else(String::new, |event| event.text + " | ")
}

/// The announcement that a device's own line completes.
pub(super) fn announced(
    events: &mut [KernelEvent],
    index: usize,
    device: PciAddress,
    severity: Severity,
) -> Option<&mut KernelEvent> {
    events.iter_mut().rev().find(|event| {
        let by_port = event.port.is_some() && event.place == Place::Pci(device);
        // The old form names a number only, so that the place is the port's.
        let by_number = event.port.is_none();
        event.open == Open::Announced
            && event.is_near(index)
            && event.severity == severity
            && (by_port || by_number || event.port == Some(device))
    })
}

/// The error that a port told of, or the containment of it, of which a later line says that there was none.
pub(super) fn told_by(events: &mut [KernelEvent], index: usize, pci: PciAddress) -> Option<&mut KernelEvent> {
    events.iter_mut().rev().find(|event| {
        (event.open == Open::Announced || event.class == Class::Containment)
            && event.is_near(index)
            && (event.place == Place::Pci(pci) || event.port == Some(pci))
    })
}

/// The error of hardware that was reported last, where it goes on with a line in words nobody taught us.
pub(super) fn reported_before<'e>(
    events: &'e mut [KernelEvent],
    (index, record): (usize, &KernelRecord),
) -> Option<&'e mut KernelEvent> {
    let reported = [Class::MachineCheck, Class::HostMemory, Class::Firmware, Class::Pcie, Class::Unknown];
    events
        .last_mut()
        .filter(|event| reported.contains(&event.class) && event.is_near(index) && event.is_of_the_time_of(record))
}

/// An event that goes on with this line: a port or a network interface tells of one trouble in several lines, and the
/// driver explains itself after a code.
pub(super) fn same_as<'e>(
    events: &'e mut [KernelEvent],
    (index, record, message): (usize, &KernelRecord, &str),
    class: &Class,
    place: &Place,
) -> Option<&'e mut KernelEvent> {
    let port = |class: &Class| matches!(class, Class::Containment | Class::Removal);
    if matches!(class, Class::Unknown | Class::Unfamiliar) {
        // A driver that explains itself dumps dozens of lines in a moment, most of which have no word for an error.
        let of_driver = message.starts_with("NVRM: ") || message.starts_with("nvidia");
        return events.iter_mut().rev().take(4).find(|event| {
            let driver = of_driver && matches!(event.class, Class::Driver(_));
            let here = event.place == *place || (driver && matches!(place, Place::Node | Place::Gpu(_)));
            let soon = driver && record.at < event.at + EXPLAINED;
            let unknown = matches!(event.class, Class::Unknown | Class::Unfamiliar);
            let goes_on = if driver { soon } else { unknown && event.is_near(index) };
            here && goes_on && event.is_of_the_time_of(record)
        });
    }
    events.iter_mut().rev().take(4).find(|event| {
        let same = |one: &Class| matches!(one, Class::Nic | Class::Controller | Class::Drive);
        let alike = (same(class) && event.class == *class) || (port(class) && port(&event.class));
        // The watchdog of the network names the interface, its driver the device as well.
        let interface = *class == Class::Nic && alike && is_of_one_interface(event, message, place);
        // The bus names a drive by its address, where its driver gives it a number: which of them is known by nothing but
        // that one has just gone away.
        let drive = *class == Class::Drive
            && event.class == Class::Drive
            && event.is_uncorrected()
            && matches!(place, Place::Pci(_));
        ((alike && event.place == *place) || interface || drive)
            && event.is_near(index)
            && event.is_of_the_time_of(record)
    })
}

/// The event of Arm's IOMMU in numbers, which newer kernels describe in words as well.
pub(super) fn in_numbers<'e>(
    events: &'e mut [KernelEvent],
    (index, record): (usize, &KernelRecord),
    class: &Class,
) -> Option<&'e mut KernelEvent> {
    let of_words = *class == Class::Access;
    events.iter_mut().rev().take(4).find(|event| {
        of_words
            && event.class == Class::Unknown
            && event.text.starts_with("arm-smmu-v3 ")
            && event.is_near(index)
            && event.is_of_the_time_of(record)
    })
}

/// An earlier event that this one is only a better description of.
pub(super) fn resolved_by<'e>(
    events: &'e mut [KernelEvent],
    (index, record): (usize, &KernelRecord),
    class: &Class,
    severity: Severity,
    place: &Place,
) -> Option<&'e mut KernelEvent> {
    events.iter_mut().rev().take(4).find(|event| {
        let unnamed = event.open == Open::Unnamed && matches!(class, Class::HostMemory | Class::MachineCheck);
        // The memory driver of firmware-first machines repeats the block that firmware gave.
        let repeated = matches!(event.open, Open::Block(_))
            && *class == Class::HostMemory
            && event.class == Class::HostMemory
            && (event.severity == severity || severity == Severity::Unclear);
        let followed = *class == Class::HostMemory
            && (severity == Severity::Unclear || record.text.contains(PAGE_GIVEN_UP))
            && matches!(event.class, Class::HostMemory | Class::MachineCheck)
            && *place == Place::Node;
        // The decoder of AMD's machine checks says that there was one before the memory driver says where.
        let decoded = *class == Class::HostMemory
            && (event.class == Class::MachineCheck && event.place == Place::Node || event.open == Open::Decoded)
            && event.severity == severity;
        event.is_near(index) && event.is_of_the_time_of(record) && (unnamed || repeated || decoded || followed)
    })
}

/// How the kernel begins what it does to a page with an error in it (mm/memory-failure.c), and what somebody does who wants to see it
/// do so (mm/hwpoison-inject.c, mm/madvise.c).
pub(super) const PAGE_GIVEN_UP: &str = "Memory failure: 0x";
pub(super) const INJECTED: &str = "Injecting memory failure ";

/// What a line of a page that is given up proves: that memory had an error which was not corrected, unless somebody pretended that
/// one was there, or gave up a page by hand for the corrected errors that were logged before.
pub(super) fn of_a_page(
    events: &[KernelEvent],
    (index, record, message): (usize, &KernelRecord, &str),
    severity: Severity,
) -> Severity {
    let excused = |event: &KernelEvent| {
        let corrected = matches!(event.class, Class::HostMemory | Class::MachineCheck)
            && event.severity == Severity::Corrected
            && event.open != Open::Unnamed;
        (event.text.starts_with(INJECTED) || corrected) && event.is_near(index) && event.is_of_the_time_of(record)
    };
    let of_page = message.starts_with(PAGE_GIVEN_UP);
    if of_page && events.iter().rev().take(4).any(excused) { Severity::Unclear } else { severity }
}

/// Whether a drive said that data compare unequal, or that it may not read, as it is locked or nothing was ever written there: the kernel
/// calls that an error of the medium all the same (`nvme_error_status` of drivers/nvme/host/core.c).
pub(super) fn is_refusal(text: &str) -> bool {
    ["(sct 0x2 / sc 0x85)", "(sct 0x2 / sc 0x86)", "(sct 0x2 / sc 0x87)"].iter().any(|status| text.contains(status))
}

/// Whether a line of a device and one of the network's watchdog are of the same interface, whose name the device's has too.
fn is_of_one_interface(event: &KernelEvent, message: &str, place: &Place) -> bool {
    match (&event.place, place) {
        (Place::Interface(name), Place::Pci(_)) => message.contains(name),
        (Place::Pci(_), Place::Interface(name)) => event.text.contains(name),
        _ => false,
    }
}
