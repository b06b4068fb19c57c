//! What one line of the kernel log says of a device on the bus: PCIe ports, GPUs as devices, network interfaces, and the
//! IOMMUs that watch where devices read and write.
//!
//! Pure: one line in, what it says out.

use super::PciAddress;
use super::general_words::speaks_of_error;
use super::host_line::{HostLine, event};
use super::kernel_event::{Class, KernelEvent, Open, Place, Severity};
use super::line_table::DeviceLine;

/// What a line of a device says that has a structure of its own: registers, events of ports, states of commands.
pub(super) fn read_device(line: DeviceLine<'_>) -> Option<HostLine> {
    let DeviceLine { driver, pci, said, .. } = line;
    if line.of_interface {
        return None;
    }
    let reported = said.strip_prefix("AER: ").unwrap_or(said).trim_start();
    if let Some(line) = read_registers(pci, reported).or_else(|| read_iommu_event(driver, pci, said)) {
        return Some(line);
    }
    if let Some(said) = said.strip_prefix("DPC: ").or_else(|| said.strip_prefix("DPC ")) {
        return Some(if said.starts_with("containment event") {
            let source = said.split_once("received from ").and_then(|(_, from)| from.trim().parse().ok());
            let source = source.or_else(|| source_of(pci.domain, said));
            event(Class::Containment, Severity::Recoverable, Place::Pci(source.unwrap_or(pci)))
        } else if said.starts_with("rp_pio_status:") {
            // An access of the port's own was not answered, which it tells after the containment (dpc.c).
            HostLine::Aftermath { place: Place::Pci(pci) }
        } else if said.starts_with("software trigger") {
            HostLine::NoError { pci }
        } else {
            HostLine::Detail
        });
    }
    if let Some(said) = said.strip_prefix("pciehp: ").or_else(|| (driver == "pciehp").then_some(said)) {
        let what = said.split_once("): ").map_or(said, |(_, what)| what).trim();
        if ["Link Down", "Power fault", "Power fault detected"].contains(&what) {
            return Some(event(Class::Removal, Severity::Recoverable, Place::Pci(pci)));
        }
        // With a link that stays up it is a hand, a contact that tells of the card, or a slot that had none.
        if what == "Card not present" {
            return Some(event(Class::Removal, Severity::Unclear, Place::Pci(pci)));
        }
    }
    driver.starts_with("mlx").then(|| read_mlx(pci, said))?
}

/// The device that sent the message for which a port shut its link, by bus, device and function in one number, which holds where the
/// status says that there was a message (bits 2 and 1, PCI Express Base Specification 6.0, 7.9.14.4): `status:0x1f05 source:0x5d00`.
fn source_of(domain: u32, said: &str) -> Option<PciAddress> {
    let number = |key: &str| u16::from_str_radix(said.split_once(key)?.1.split([' ', ',', ':']).next()?, 16).ok();
    let (status, source) = (number("status:0x")?, number("source:0x")?);
    let [bus, low] = source.to_be_bytes();
    let sent = matches!(status >> 1 & 3, 1 | 2) && source != 0;
    sent.then_some(PciAddress { domain, bus, device: low >> 3, function: low & 7 })
}

/// A device whose configuration space reads as all ones, or that did not come back from a reset (`drivers/pci/pci.c`).
pub(super) fn is_out_of_reach(said: &str) -> bool {
    said.starts_with("Unable to change power state") && said.ends_with("device inaccessible")
        || said.starts_with("not ready") && said.ends_with("giving up")
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

/// The same as kernels before 4.9 name them.
const UNCORRECTED_IN_WORDS: [&str; 11] = [
    "Data Link Protocol",
    "Surprise Down",
    "Poisoned TLP",
    "Flow Control Protocol",
    "Completion Timeout",
    "Completer Abort",
    "Unexpected Completion",
    "Receiver Overflow",
    "Malformed TLP",
    "Unsupported Request",
    "ACS Violation",
];
const CORRECTED_IN_WORDS: [&str; 6] =
    ["Receiver Error", "Bad TLP", "Bad DLLP", "RELAY_NUM Rollover", "Replay Timer Timeout", "Advisory Non-Fatal"];

/// Whether all that the registers told, as far as it was logged, is that a device did not know a request or that isolation kept
/// one away (bits 20 and 21): drivers, firmware and the kernel itself ask healthy devices for what they do not have, such as
/// messages of time (PTM) and of management (MCTP).
fn only_refused(text: &str) -> bool {
    let bits = text.split('[').skip(1).filter_map(|rest| {
        let (number, name) = rest.split_once(']')?;
        let bit = number.trim().parse::<u8>().ok()?;
        name.starts_with(' ').then_some(bit)
    });
    let mut bits = bits.peekable();
    bits.peek().is_some() && bits.all(|bit| REFUSED_BITS.contains(&bit))
}

/// Unsupported request and access control violation (PCI Express Base Specification 6.0, 7.8.4.2).
pub(super) const REFUSED_BITS: [u8; 2] = [20, 21];

impl KernelEvent {
    /// Takes in what one bit of the error registers makes of it.
    pub(super) fn take_bit(&mut self, severity: Severity) {
        if self.severity == Severity::Unclear {
            self.severity = severity;
        }
        if self.open == Open::Announced {
            self.open = Open::No;
        }
        if self.class == Class::Pcie && self.severity == Severity::Recoverable && only_refused(&self.text) {
            self.severity = Severity::Unclear;
        }
    }

    /// Takes in that no device had an error to show: a message that was sent proves none, while a fatal error may leave no device that
    /// can be asked.
    pub(super) const fn has_no_details(&mut self) {
        self.open = Open::No;
        if matches!(self.severity, Severity::Recoverable) {
            self.severity = Severity::Unclear;
        }
    }
}

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
        let in_words = |names: &[&str]| names.iter().any(|words| name.trim_start().starts_with(words));
        let (uncorrected, corrected) = (in_words(&UNCORRECTED_IN_WORDS), in_words(&CORRECTED_IN_WORDS));
        let name = name.split_whitespace().next().unwrap_or_default();
        if uncorrected || UNCORRECTED_BITS.contains(&name) {
            return Some(HostLine::AerBit { pci, severity: Severity::Recoverable });
        }
        let corrected = corrected || CORRECTED_BITS.contains(&name);
        return Some(if corrected {
            HostLine::AerBit { pci, severity: Severity::Corrected }
        } else {
            HostLine::Detail
        });
    }
    // Up to Linux 6.7 it found no device, which is the same.
    if said.starts_with("found no error details") || said.starts_with("can't find device") {
        return Some(HostLine::NoError { pci });
    }
    // Nobody logs these but after an error that was not corrected (drivers/pci/pcie/err.c).
    if ["can't recover", "device recovery failed", "subordinate device reset failed"]
        .iter()
        .any(|start| said.starts_with(start))
    {
        return Some(HostLine::Aftermath { place: Place::Pci(pci) });
    }
    let details = [
        "aer_layer=",
        "device [",
        "device error status/mask=",
        "TLP Header:",
        "Error of this Agent",
        "broadcast ",
        "device recovery",
        "subordinate device reset",
        "Root Port link has been reset",
        "Downstream Port link has been reset",
    ];
    details.iter().any(|start| said.starts_with(start)).then_some(HostLine::Detail)
}

/// `MLX5_INITIAL_SEG_HEALTH_SYNDROME_*` of include/linux/mlx5/device.h: an unrecoverable hardware error, a check sum of the
/// firmware that is wrong, a fault of the hardware that is fatal, one of the FFSER block.
const HARDWARE_SYNDROMES: [u8; 4] = [0x8, 0x9, 0xb, 0xf];

/// Messages of mlx5's health watch: `print_health_info:425:(pid 912): Health issue observed, firmware internal error,
/// severity(3) ERROR:`.
fn read_mlx(pci: PciAddress, said: &str) -> Option<HostLine> {
    let has = |needle: &str| said.contains(needle);
    let place = Place::Pci(pci);
    // The firmware refuses a command, mostly one that this card does not know: monitors make healthy cards log this every
    // few seconds (leptonai/gpud issue 1164). Only an error inside the firmware is one of the card (`cmd_status_str`).
    if has(" op_mod(0x") && has(") failed") {
        let failed = has("status internal error(").then(|| event(Class::Nic, Severity::Unclear, place));
        return Some(failed.unwrap_or(HostLine::Nothing));
    }
    // An interrupt that was missed, and what waited for it came on (`mlx5_cmd_eqe_recover`).
    if has("recovered after timeout") {
        return Some(HostLine::Nothing);
    }
    // A syndrome says what broke (`hsynd_str` of health.c); firmware and queues may be mended by a reset, and 0 is none.
    if let Some((_, syndrome)) = said.split_once("synd 0x").filter(|_| has("print_health_info") && !has("ext_synd"))
        && let Ok(code) = u8::from_str_radix(syndrome.split([':', ' ']).next().unwrap_or_default(), 16)
        && code != 0
    {
        let broken = HARDWARE_SYNDROMES.contains(&code);
        let severity = if broken { Severity::Recoverable } else { Severity::Unclear };
        return Some(event(Class::Nic, severity, place));
    }
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
    // Its tables in software have fatal errors of their own.
    let broken = broken.iter().any(|word| has(word)) && !has("Fatal error during");
    if broken && !hot && !warns {
        return Some(event(Class::Nic, Severity::Recoverable, place));
    }
    if hot || warns || has("insufficient power") || has("Will cause a leak") {
        return Some(event(Class::Nic, Severity::Unclear, place));
    }
    None
}

/// `NETDEV WATCHDOG: ens1np0 (mlx5_core): transmit queue 5 timed out 5012 ms`.
pub(super) fn read_watchdog(message: &str) -> Option<HostLine> {
    let said = message.strip_prefix("NETDEV WATCHDOG: ").filter(|said| said.contains("timed out"))?;
    let name = said.split_once(" (").map(|(name, _)| name).filter(|name| !name.contains(' '));
    Some(event(Class::Nic, Severity::Unclear, name.map_or(Place::Node, |name| Place::Interface(name.to_owned()))))
}

/// `nvidia 0000:64:00.0: AMD-Vi: Event logged [IO_PAGE_FAULT domain=0x0019 address=0x1000 flags=0x0020]`. A drive that has the
/// driver of drives is one of the machine's, whether or not its address is known.
fn read_iommu_event(driver: &str, pci: PciAddress, said: &str) -> Option<HostLine> {
    let class = if driver == "nvme" { Class::Drive } else { Class::Access };
    said.starts_with("AMD-Vi: Event logged [").then(|| event(class, Severity::Unclear, Place::Pci(pci)))
}

/// What a device asked the IOMMU of AMD for in vain; the other events are of the IOMMU's own tables and commands (AMD I/O
/// Virtualization Technology Specification, 2.5).
const OF_A_DEVICE: [&str; 4] = ["IO_PAGE_FAULT", "INVALID_DEVICE_REQUEST", "INVALID_PPR_REQUEST", "RMP_PAGE_FAULT"];

/// An IOMMU kept a device from memory that nobody gave it (`drivers/iommu/intel/dmar.c`, `amd/iommu.c`,
/// `arm/arm-smmu-v3`).
pub(super) fn read_iommu(message: &str) -> Option<HostLine> {
    let access = |place| Some(event(Class::Access, Severity::Unclear, place));
    let device = |text: &str, begin: &str, end: char| -> Option<PciAddress> {
        let name = text.split_once(begin)?.1.split([end, ' ']).next()?.replace("0x", "");
        // Some name bus, device and function only; one segment is all that machines with them have.
        name.parse().ok().or_else(|| format!("0000:{name}").parse().ok())
    };
    // A device that does not answer the IOMMU, by bus, device and function in one number, where that is known.
    if let Some((_, source)) =
        message.strip_prefix("DMAR: VT-d detected Invalidation ").and_then(|rest| rest.split_once("SID "))
    {
        let number = u16::from_str_radix(source.split_whitespace().next().unwrap_or_default(), 16).unwrap_or(0);
        let [bus, low] = number.to_be_bytes();
        let pci = PciAddress { domain: 0, bus, device: low >> 3, function: low & 7 };
        return Some(event(Class::Unknown, Severity::Unclear, if number == 0 { Place::Node } else { Place::Pci(pci) }));
    }
    // An interrupt that the device may not send is kept away as its accesses are (`dmar_fault_do_one`).
    let of_intel = message.strip_prefix("dmar: ").unwrap_or(message);
    if of_intel.starts_with("DMAR:") && (message.contains("fault addr") || message.contains("fault index")) {
        return access(Place::Pci(device(message, "Request device [", ']')?));
    }
    if let Some(said) = message.strip_prefix("AMD-Vi: ") {
        // What the IOMMU has no hardware error to tell of, it tells of a device.
        let told = said.strip_prefix("Event logged [").filter(|told| !told.contains("HARDWARE_ERROR"))?;
        let place = Place::Pci(device(told, "device=", ' ')?);
        let of_a_device = OF_A_DEVICE.iter().any(|name| told.starts_with(name));
        return if of_a_device { access(place) } else { Some(event(Class::Unknown, Severity::Unclear, place)) };
    }
    let (_, said) = message.strip_prefix("arm-smmu-v3 ")?.split_once(": ")?;
    // Interrupts by wire, where there are none by message.
    if said.contains("falling back to wired") {
        return Some(HostLine::Nothing);
    }
    // Up to Linux 6.14 an event is its four words, which name the device by a stream that the firmware numbered.
    if said.trim_start().starts_with("0x") {
        return Some(HostLine::Detail);
    }
    let of_a_device = said.contains(" client: ");
    if !of_a_device && (speaks_of_error(said) || said.contains("context fault") || said.starts_with("event 0x")) {
        return Some(event(Class::Unknown, Severity::Unclear, Place::Node));
    }
    access(Place::Pci(device(said, " client: ", ' ')?))
}

#[cfg(test)]
mod tests {
    use super::super::host_line::read_host_line;
    use super::*;

    fn place(line: Option<HostLine>) -> Option<(Class, Severity, String)> {
        match line? {
            HostLine::Event { class, severity, place: Place::Pci(pci), .. } => Some((class, severity, pci.to_string())),
            HostLine::Event { class, severity, .. } => Some((class, severity, "node".to_owned())),
            _ => None,
        }
    }

    #[test]
    fn a_command_that_the_firmware_refuses_says_nothing_and_one_that_it_fails_in_does() {
        let line = |status: &str| {
            read_host_line(&format!(
                "mlx5_core 0000:d2:00.0: mlx5_cmd_out_err:838:(pid 77): ACCESS_REG(0x805) op_mod(0x1) failed, {status}, syndrome (0x1a), err(-22)"
            ))
        };
        for status in ["status bad operation(0x2)", "status bad parameter(0x3)", "status bad resource(0x5)"] {
            assert_eq!(line(status), None, "{status}");
        }
        let failed = place(line("status internal error(0x1)"));
        assert_eq!(failed, Some((Class::Nic, Severity::Unclear, "00000000:d2:00.0".to_owned())));
        assert_eq!(read_host_line("mlx5_core 0000:d2:00.0: mlx5_cmd_out_err: 16 callbacks suppressed"), None);
    }

    #[test]
    fn a_device_that_cannot_be_reached_is_gone_whichever_driver_it_has() {
        for said in [
            "Unable to change power state from D3cold to D0, device inaccessible",
            "Unable to change power state from unknown to D0, device inaccessible",
            "not ready 65535ms after bus reset; giving up",
        ] {
            for driver in ["mlx5_core", "pcieport", "vfio-pci"] {
                let told = place(read_host_line(&format!("{driver} 0000:41:00.0: {said}")));
                let gone = (Class::Removal, Severity::Recoverable, "00000000:41:00.0".to_owned());
                assert_eq!(told, Some(gone), "{driver} {said}");
            }
        }
        assert_eq!(read_host_line("vfio-pci 0000:41:00.0: not ready 1023ms after FLR; waiting"), None);
    }

    #[test]
    fn ports_of_old_kernels_have_their_service_in_their_name() {
        let told = place(read_host_line("pciehp 0000:5c:01.0:pcie004: Slot(9): Link Down"));
        assert_eq!(told, Some((Class::Removal, Severity::Recoverable, "00000000:5c:01.0".to_owned())));
        assert_eq!(read_host_line("pciehp 0000:5c:01.0:pcie004: Slot(9): Card present"), None);
    }

    #[test]
    fn a_queue_that_stands_still_is_the_interfaces() {
        let told = place(read_host_line("mlx5_core 0000:18:00.0 ens1f0np0: TX timeout detected"));
        assert_eq!(told, Some((Class::Nic, Severity::Unclear, "00000000:18:00.0".to_owned())));
        for line in [
            "mlx5_core 0000:18:00.0 ens1f0np0: Link up",
            "mlx5_core 0000:18:00.0 ens1f0np0 (unregistered): Failed to set a feature nobody has",
            "bnxt_en 0000:18:00.0 enp24s0: NIC Link is Up, 100000 Mbps full duplex, Flow control: none",
        ] {
            assert_eq!(read_host_line(line), None, "{line}");
        }
        let watchdog = "NETDEV WATCHDOG: ens1f0np0 (mlx5_core): transmit queue 5 timed out 5012 ms";
        assert_eq!(place(read_watchdog(watchdog)).map(|(class, ..)| class), Some(Class::Nic));
    }

    #[test]
    fn every_makers_iommu_names_the_device() {
        for line in [
            "DMAR: [DMA Read NO_PASID] Request device [64:00.0] fault addr 0xfe3a2000 [fault reason 0x06] PTE Read access is not set",
            "DMAR: [DMA Write] Request device [0x64:0x00.0] PASID ffffffff fault addr fe3a2000 [fault reason 05] PTE Write access is not set",
            "DMAR:[DMA Read] Request device [64:00.0] fault addr fe3a2000",
            "AMD-Vi: Event logged [IO_PAGE_FAULT device=64:00.0 domain=0x0013 address=0xfe3a2000 flags=0x0050]",
            "AMD-Vi: Event logged [IO_PAGE_FAULT device=0000:64:00.0 domain=0x0013 address=0xfe3a2000 flags=0x0050]",
            "arm-smmu-v3 arm-smmu-v3.11.auto: event: F_TRANSLATION client: 0000:64:00.0 sid: 0x10 ssid: 0x0 iova: 0xfe3a2000 ipa: 0x0",
        ] {
            let told = place(read_iommu(line));
            assert_eq!(told, Some((Class::Access, Severity::Unclear, "00000000:64:00.0".to_owned())), "{line}");
        }
        let device =
            "nvidia 0000:64:00.0: AMD-Vi: Event logged [IO_PAGE_FAULT domain=0x0019 address=0xfe3a2000 flags=0x0020]";
        assert_eq!(place(read_host_line(device)).map(|(class, ..)| class), Some(Class::Access));
        for line in [
            "DMAR: DRHD: handling fault status reg 3",
            "DMAR: Host address width 52",
            "AMD-Vi: Interrupt remapping enabled",
        ] {
            assert_eq!(read_iommu(line), None, "{line}");
        }
    }
}
