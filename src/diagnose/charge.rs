//! What an event of the kernel log counts as, and against what: the one place where the check that counts and the rule that
//! accuses agree.
//!
//! What was logged before the run counts only where it proves broken hardware: programs of others, hot-plugged drives and
//! corrected errors of an hour ago say nothing about a unit that is tested now.

use std::collections::BTreeMap;

use super::kernel_event::{Class, KernelEvent, Place, Severity};
use super::kernel_line::{Declared, InitCause, KernelLine, XidLine};
use super::{BurnIn, Origin, PciAddress, Relation, XidRow, drive_at, gpu_at, nic_at, silent_gpu, sxid, xid};
use kiln_model::{GpuIndex, Inventory};

/// What a code counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeCharge {
    /// Proof against the part.
    Failing,
    /// Needs an explanation.
    Suspect,
    /// Of a kind that programs cause, under a load that is known to be good.
    Own,
    /// Of that kind too, but the work of a program that is not ours.
    Foreign,
    /// No bearing on the unit, or the effect of another code.
    Other,
}

/// What an event counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charge {
    Xid {
        gpu: GpuIndex,
        code: u32,
        how: CodeCharge,
    },
    Sxid {
        switch: u8,
        code: u32,
        how: CodeCharge,
    },
    /// The GPU was not reachable or could not be started.
    OffBus(GpuIndex),
    /// An error on the PCIe link of a GPU.
    GpuPcie {
        gpu: GpuIndex,
        corrected: bool,
    },
    /// An error on the PCIe link of another device.
    HostPcie {
        corrected: bool,
    },
    /// Proof of broken hardware of the host.
    Hardware,
    /// Trouble that proves nothing by itself: of the host, or of the GPU that it names.
    HardwareSuspect(Option<GpuIndex>),
    /// Errors of the host's memory or processors that the hardware corrected.
    Corrected,
    Boot,
    /// Against a GPU that is not in the inventory.
    Unplaced,
    Nothing,
}

/// Where the addresses of the log belong.
#[derive(Debug, Clone)]
pub struct Places<'a> {
    inventory: &'a Inventory,
    /// Ports with one GPU and nothing else of ours below them.
    ports: BTreeMap<PciAddress, GpuIndex>,
}

impl<'a> Places<'a> {
    /// Ports are known from the bus, and from events in which a port tells of a GPU's error.
    pub fn of(inventory: &'a Inventory, events: &[KernelEvent]) -> Self {
        let mut owners: BTreeMap<PciAddress, Vec<Option<GpuIndex>>> = BTreeMap::new();
        let mut own = |port: PciAddress, device: PciAddress| {
            let owners = owners.entry(port).or_default();
            let gpu = gpu_at(device, inventory);
            if !owners.contains(&gpu) {
                owners.push(gpu);
            }
        };
        for function in inventory.pci.value().into_iter().flatten() {
            let Ok(device) = function.address.parse() else { continue };
            for port in function.ports.iter().filter_map(|port| port.parse().ok()) {
                own(port, device);
            }
        }
        for event in events {
            if let (Some(port), Place::Pci(device)) = (event.port, &event.place)
                && port != *device
            {
                own(port, *device);
            }
        }
        let single = |(port, owners): (PciAddress, Vec<Option<GpuIndex>>)| match owners[..] {
            [Some(gpu)] => Some((port, gpu)),
            _ => None,
        };
        Self { inventory, ports: owners.into_iter().filter_map(single).collect() }
    }

    /// The GPU at an address, or the only one below the port there.
    pub fn gpu(&self, address: PciAddress) -> Option<GpuIndex> {
        gpu_at(address, self.inventory).or_else(|| self.ports.get(&address).copied())
    }

    /// Whether an event is of a GPU, a network interface or a drive of the inventory.
    fn is_tested(&self, event: &KernelEvent) -> bool {
        let Place::Pci(address) = event.place else { return false };
        let is_of_host = || nic_at(address, self.inventory).is_some() || drive_at(address, self.inventory).is_some();
        self.gpu(address).is_some() || is_of_host()
    }

    /// Whether the GPU an event speaks of answers now.
    fn answers(&self, event: &KernelEvent) -> bool {
        let gpu = self.gpu_of(event).and_then(|gpu| self.inventory.gpu(gpu));
        gpu.is_some_and(|gpu| gpu.identity.uuid.value().is_some())
    }

    /// The GPU an event speaks of.
    pub fn gpu_of(&self, event: &KernelEvent) -> Option<GpuIndex> {
        let address = match (&event.class, &event.place) {
            (Class::Driver(KernelLine::Xid(line)), _) => Some(line.pci),
            (_, Place::Pci(address)) => Some(*address),
            _ => None,
        };
        let placed = match (&event.class, address) {
            (Class::Driver(KernelLine::Xid(line)), _) => gpu_at(line.pci, self.inventory),
            (_, Some(address)) => self.gpu(address),
            (_, None) => None,
        };
        match &event.class {
            // Only of a GPU does the driver say so.
            Class::Driver(KernelLine::Xid(_) | KernelLine::OffTheBus { .. } | KernelLine::InitFailed { .. }) => {
                placed.or_else(|| silent_gpu(address, self.inventory))
            }
            _ => placed,
        }
    }
}

/// What each of `events` counts as.
pub fn charges(events: &[KernelEvent], places: &Places<'_>) -> Vec<Charge> {
    events.iter().enumerate().map(|(place, event)| charge(place, event, events, places)).collect()
}

fn charge(place: usize, event: &KernelEvent, events: &[KernelEvent], places: &Places<'_>) -> Charge {
    let earlier = event.before.is_some();
    let suspect = || Charge::HardwareSuspect(places.gpu_of(event));
    match &event.class {
        Class::Driver(line) => driver(place, line, event, events, places),
        Class::Pcie | Class::Containment | Class::Removal => pcie(event, places),
        Class::HostMemory | Class::MachineCheck | Class::Firmware => match event.severity {
            Severity::Told => Charge::Nothing,
            Severity::Recoverable | Severity::Fatal => Charge::Hardware,
            _ if earlier => Charge::Nothing,
            Severity::Corrected => Charge::Corrected,
            Severity::Unclear => suspect(),
        },
        Class::Nic | Class::Drive | Class::Controller if event.is_uncorrected() => Charge::Hardware,
        // Some devices of a board's own, its management controller first, reach for memory they were not given on every
        // healthy machine: only what is under test counts.
        Class::Access if !earlier && places.is_tested(event) => suspect(),
        Class::Boot if !earlier => Charge::Boot,
        Class::Access | Class::Boot => Charge::Nothing,
        Class::Nic | Class::Drive | Class::Controller | Class::Heat | Class::Stuck | Class::Unknown if earlier => {
            Charge::Nothing
        }
        Class::Nic | Class::Drive | Class::Controller | Class::Heat | Class::Stuck | Class::Unknown => suspect(),
    }
}

fn driver(place: usize, line: &KernelLine, event: &KernelEvent, all: &[KernelEvent], places: &Places<'_>) -> Charge {
    let earlier = event.before.is_some();
    match line {
        KernelLine::Xid(line) => {
            let how = xid_charge(place, line, event, all);
            match places.gpu_of(event) {
                Some(gpu) => Charge::Xid { gpu, code: line.code, how },
                None if matches!(how, CodeCharge::Failing | CodeCharge::Suspect) => Charge::Unplaced,
                None => Charge::Nothing,
            }
        }
        KernelLine::Sxid(line) => {
            // A code that is newer than the table: events that are not fatal are for information (NVIDIA Fabric Manager user
            // guide, on SXids).
            let untold = if line.declared == Some(Declared::NonFatal) { BurnIn::Counts } else { BurnIn::Suspect };
            let how = match sxid(line.code).map_or(untold, |row| row.burn_in) {
                BurnIn::Fails => CodeCharge::Failing,
                BurnIn::Suspect if !earlier => CodeCharge::Suspect,
                _ => CodeCharge::Other,
            };
            Charge::Sxid { switch: line.switch, code: line.code, how }
        }
        // The driver was installed anew since, and the GPU answers it.
        KernelLine::InitFailed { cause: InitCause::Installation, .. } if earlier && places.answers(event) => {
            Charge::Nothing
        }
        KernelLine::OffTheBus { .. } | KernelLine::InitFailed { .. } => {
            places.gpu_of(event).map_or(Charge::Unplaced, Charge::OffBus)
        }
        KernelLine::Aer(_) => pcie(event, places),
    }
}

fn pcie(event: &KernelEvent, places: &Places<'_>) -> Charge {
    let corrected = event.severity == Severity::Corrected;
    let counts = match event.before {
        None => true,
        // While devices are looked for, requests go unanswered on healthy machines; drives are pulled by people.
        Some(_) => match event.class {
            Class::Removal => false,
            Class::Containment => true,
            _ => event.severity == Severity::Fatal,
        },
    };
    match (event.severity, places.gpu_of(event)) {
        _ if !counts => Charge::Nothing,
        (Severity::Told, _) => Charge::Nothing,
        (Severity::Unclear, gpu) => Charge::HardwareSuspect(gpu),
        (_, Some(gpu)) => Charge::GpuPcie { gpu, corrected },
        (_, None) => Charge::HostPcie { corrected },
    }
}

fn xid_charge(place: usize, line: &XidLine, event: &KernelEvent, all: &[KernelEvent]) -> CodeCharge {
    let Some(row) = xid(line.code) else {
        return if event.before.is_some() { CodeCharge::Other } else { CodeCharge::Suspect };
    };
    if is_effect(place, line, row, all) {
        return CodeCharge::Other;
    }
    // The GPU came back to needing nothing.
    if row.relation == Relation::Announcement && line.text.trim_end().ends_with("to 0x0 (None)") {
        return CodeCharge::Other;
    }
    // The code that came first is in no line, but this one names it: a trace of it, which is less than the code itself.
    if let Some(cause) = line.caused_by.and_then(xid).filter(|cause| cause.origin != Origin::LoadProgram) {
        let counts = cause.burn_in >= BurnIn::Suspect && event.before.is_none();
        return if counts { CodeCharge::Suspect } else { CodeCharge::Other };
    }
    match (row.origin, row.burn_in_when(line.declared), event.before) {
        (Origin::LoadProgram, ..) => match (event.before, &line.process) {
            (Some(_), _) => CodeCharge::Other,
            (None, Some(process)) if !is_ours(process) => CodeCharge::Foreign,
            (None, _) => CodeCharge::Own,
        },
        (Origin::Software, _, Some(_)) => CodeCharge::Other,
        (_, BurnIn::Fails, _) => CodeCharge::Failing,
        (_, BurnIn::Suspect, None) => CodeCharge::Suspect,
        _ => CodeCharge::Other,
    }
}

/// Whether an earlier code on the same GPU explains this one.
fn is_effect(place: usize, line: &XidLine, row: &XidRow, all: &[KernelEvent]) -> bool {
    all[..place].iter().any(|cause| {
        matches!(&cause.class, Class::Driver(KernelLine::Xid(one))
            if one.pci == line.pci && xid(one.code).is_some_and(|one| one.explains(row) && one.code != row.code))
    })
}

/// Programs that this one starts: its own workers, and the tools it has adapters for. The kernel keeps 15 letters of a name.
const OURS: [&str; 13] = [
    "kiln",
    "gpu_burn",
    "gpu-burn",
    "dcgmi",
    "nvvs",
    "nv-hostengine",
    "nvbandwidth",
    "all_reduce_perf",
    "alltoall_perf",
    "sendrecv_perf",
    "all_gather_perf",
    "reduce_scatter_",
    "ib_write_bw",
];

/// Whether a process is one of ours by its name. Threads of a worker may have a name of their own after the program's.
fn is_ours(process: &str) -> bool {
    OURS.iter()
        .any(|name| process == *name || process.strip_prefix(name).is_some_and(|rest| rest.starts_with([':', '-'])))
}

#[cfg(test)]
mod tests {
    use super::super::kernel_event::kernel_events;
    use super::*;
    use kiln_model::{Gpu, KernelRecord, KernelSource, Moment, PciFunction, Reading, Span};

    fn node() -> Inventory {
        let mut inventory = Inventory::default();
        for (index, bus) in [(0, "18"), (1, "5d")] {
            let mut gpu = Gpu::bare(GpuIndex(index));
            gpu.identity.pci_address = Reading::Value(format!("00000000:{bus}:00.0"));
            inventory.gpus.push(gpu);
        }
        let function = |address: &str, ports: &[&str]| PciFunction {
            address: address.to_owned(),
            device: "233010de".to_owned(),
            ports: ports.iter().map(|port| (*port).to_owned()).collect(),
        };
        inventory.pci = Reading::Value(vec![
            function("00000000:18:00.0", &["00000000:15:01.0", "00000000:17:00.0"]),
            function("00000000:5d:00.0", &["00000000:15:01.0", "00000000:5c:00.0"]),
        ]);
        inventory
    }

    fn charged(source: KernelSource, lines: &[&str]) -> Vec<Charge> {
        let inventory = node();
        let records: Vec<KernelRecord> =
            lines.iter().map(|text| KernelRecord { at: Moment::ZERO, source, text: (*text).to_owned() }).collect();
        let events = kernel_events(&records);
        charges(&events, &Places::of(&inventory, &events))
    }

    fn one(line: &str) -> Charge {
        charged(KernelSource::KernelLog, &[line])[0]
    }

    fn code(line: &str) -> CodeCharge {
        match one(line) {
            Charge::Xid { how, .. } | Charge::Sxid { how, .. } => how,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_programs_xid_is_ours_or_anothers_by_the_name_the_driver_gives() {
        let by = |name: &str| code(&format!("NVRM: Xid (PCI:0000:5d:00): 31, pid=77, name={name}, MMU Fault"));
        assert_eq!(by("kiln"), CodeCharge::Own);
        assert_eq!(by("all_reduce_perf"), CodeCharge::Own);
        assert_eq!(by("<unknown>"), CodeCharge::Own);
        assert_eq!(by("python3"), CodeCharge::Foreign);
        assert_eq!(by("kilnfire"), CodeCharge::Foreign);
        assert_eq!(code("NVRM: Xid (PCI:0000:5d:00): 43, Ch 00000010"), CodeCharge::Own);
    }

    #[test]
    fn a_channel_removed_for_another_xid_is_a_trace_of_that_one_whosever_channel_it_was() {
        let removed = "NVRM: Xid (PCI:0000:5d:00): 45, pid=9, name=python3, Ch 00000003 caused by previous Xid";
        assert_eq!(code(&format!("{removed} 149")), CodeCharge::Suspect);
        assert_eq!(code(&format!("{removed} 43")), CodeCharge::Foreign);
        let told = charged(
            KernelSource::KernelLog,
            &["NVRM: Xid (PCI:0000:5d:00): 149, NETIR_LINK_EVT Fatal XC0 i0 Link 08", &format!("{removed} 149")],
        );
        let how = |charge: &Charge| matches!(charge, Charge::Xid { how: CodeCharge::Other, .. });
        assert!(how(&told[1]), "with the first code in the log it is no event of its own: {told:?}");
    }

    #[test]
    fn an_announcement_counts_where_nothing_it_follows_from_was_logged() {
        let announced =
            "NVRM: Xid (PCI:0000:5d:00): 154, GPU recovery action changed from 0x0 (None) to 0x1 (GPU Reset)";
        assert_eq!(code(announced), CodeCharge::Suspect);
        let both = charged(KernelSource::KernelLog, &["NVRM: Xid (PCI:0000:5d:00): 95, Uncontained", announced]);
        assert!(matches!(both[1], Charge::Xid { how: CodeCharge::Other, .. }), "{both:?}");
    }

    #[test]
    fn before_the_run_only_hardware_proof_counts() {
        let before = |line: &str| charged(KernelSource::BeforeRun(Span::from_secs(60)), &[line])[0];
        let xid = |code: u32| before(&format!("NVRM: Xid (PCI:0000:5d:00): {code}, pid=7, name=python3, x"));
        for (number, how) in [
            (48, CodeCharge::Failing),
            (79, CodeCharge::Failing),
            (13, CodeCharge::Other),
            (45, CodeCharge::Other),
            (69, CodeCharge::Other),
            (9999, CodeCharge::Other),
        ] {
            assert_eq!(xid(number), Charge::Xid { gpu: GpuIndex(1), code: number, how });
        }
        assert_eq!(
            before("NVRM: GPU 0000:5d:00.0: RmInitAdapter failed! (0x62:0x65:1816)"),
            Charge::OffBus(GpuIndex(1))
        );
        let check = "mce: [Hardware Error]: CPU 3: Machine Check";
        assert_eq!(before(&format!("{check} Exception: 5 Bank 7: be00000000800400")), Charge::Hardware);
        assert_eq!(before(&format!("{check}: 0 Bank 7: 8c00004000010092")), Charge::Nothing);
        assert_eq!(before("INFO: task kworker/3:1:99 blocked for more than 120 seconds."), Charge::Nothing);
        let unsupported =
            "nvidia 0000:5d:00.0: PCIe Bus Error: severity=Uncorrectable (Non-Fatal), type=Transaction Layer";
        assert_eq!(before(unsupported), Charge::Nothing);
        assert_eq!(one(unsupported), Charge::GpuPcie { gpu: GpuIndex(1), corrected: false });
    }

    #[test]
    fn trouble_that_names_a_gpu_or_its_port_is_that_gpus() {
        let gpu = Some(GpuIndex(1));
        for (line, of) in [
            ("nvidia 0000:5d:00.0: probe with driver nvidia failed with error -1", gpu),
            ("pcieport 0000:5c:00.0: retraining failed", gpu),
            ("DMAR: [DMA Read NO_PASID] Request device [5d:00.0] fault addr 0xfe3a2000 [fault reason 0x06] x", gpu),
            ("NVRM: krcWatchdog_IMPL: RC watchdog: GPU is probably locked!  Notify Timeout Seconds: 7", None),
        ] {
            assert_eq!(one(line), Charge::HardwareSuspect(of), "{line}");
        }
        let board = "DMAR: [DMA Read] Request device [02:00.2] fault addr 791dd000 [fault reason 06] PTE Read access is not set";
        assert_eq!(one(board), Charge::Nothing, "a management controller does so on every healthy machine");
    }

    #[test]
    fn a_gpu_that_needs_nothing_any_more_is_no_reason_to_doubt_it() {
        let changed = |to: &str| {
            code(&format!(
                "NVRM: Xid (PCI:0000:5d:00): 154, GPU recovery action changed from 0x1 (GPU Reset Required) to {to}"
            ))
        };
        assert_eq!(changed("0x0 (None)"), CodeCharge::Other);
        assert_eq!(changed("0x2 (Node Reboot Required)"), CodeCharge::Suspect);
    }

    #[test]
    fn a_gpu_whose_configuration_cannot_be_read_is_off_the_bus() {
        let line = "nvidia 0000:5d:00.0: Unable to change power state from D3cold to D0, device inaccessible";
        assert_eq!(one(line), Charge::OffBus(GpuIndex(1)));
    }

    #[test]
    fn a_line_without_a_known_address_is_the_one_gpus_that_does_not_answer_and_of_two_such_nobodys() {
        let charge = |silent: &[usize], told: bool, line: &str| {
            let mut inventory = node();
            for gpu in silent {
                let identity = &mut inventory.gpus[*gpu].identity;
                identity.uuid = Reading::Failed(kiln_model::ReadingFailure::Lost);
                if !told {
                    identity.pci_address = Reading::Failed(kiln_model::ReadingFailure::Lost);
                }
            }
            let record = KernelRecord { at: Moment::ZERO, source: KernelSource::KernelLog, text: line.to_owned() };
            let events = kernel_events(&[record]);
            charges(&events, &Places::of(&inventory, &events))[0]
        };
        let (nameless, elsewhere) = (
            "NVRM: RmInitAdapter failed! (0x62:0x65:1816)",
            "NVRM: GPU 0000:9b:00.0: RmInitAdapter failed! (0x62:0x65:1816)",
        );
        let here = Charge::OffBus(GpuIndex(1));
        assert_eq!(charge(&[], true, nameless), Charge::Unplaced);
        assert_eq!(charge(&[1], true, nameless), here);
        assert_eq!(charge(&[0, 1], true, nameless), Charge::Unplaced);
        assert_eq!(charge(&[1], false, elsewhere), here, "its address is what could not be read");
        assert_eq!(charge(&[1], true, elsewhere), Charge::Unplaced, "it sits at another address");
        let xid = "NVRM: Xid (PCI:0000:9b:00): 143, pid=7, name=x, GPU initialization failed";
        assert_eq!(charge(&[1], false, xid), Charge::Xid { gpu: GpuIndex(1), code: 143, how: CodeCharge::Failing });
    }

    #[test]
    fn a_port_above_one_gpu_is_that_gpus_and_a_shared_one_nobodys() {
        let down = |port: &str| one(&format!("pcieport {port}: pciehp: Slot(3): Link Down"));
        assert_eq!(down("0000:5c:00.0"), Charge::GpuPcie { gpu: GpuIndex(1), corrected: false });
        assert_eq!(down("0000:15:01.0"), Charge::HostPcie { corrected: false });
        let told = charged(
            KernelSource::KernelLog,
            &[
                "pcieport 0000:77:01.0: AER: Correctable error message received from 0000:18:00.0",
                "pcieport 0000:77:01.0: DPC: containment event, status:0x1f01 source:0x0000",
            ],
        );
        assert_eq!(
            told[1],
            Charge::GpuPcie { gpu: GpuIndex(0), corrected: false },
            "the log itself tells whose port it is"
        );
    }
}
