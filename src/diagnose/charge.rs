//! What an event of the kernel log counts as, and against what: the one place where the check that counts and the rule that
//! accuses agree.
//!
//! What was logged before the run counts only where it proves broken hardware: programs of others, hot-plugged drives and
//! corrected errors of an hour ago say nothing about a unit that is tested now.

use std::collections::BTreeMap;

use super::kernel_event::{Class, KernelEvent, Place, Severity};
use super::kernel_line::{InitCause, KernelLine, XidLine};
use super::{BurnIn, FactoryAction, Origin, PciAddress, Relation, XidRow, drive_at, gpu_at, nic_at, silent_gpu, xid};
use kiln_model::{ComponentKind, GpuIndex, Inventory};

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
    /// Harmless one by one, and logged during the run: what counts is how many.
    Counted,
    /// No bearing on the unit, or the effect of another code.
    Other,
    /// Listed and not counted: its maker says that it may be ignored, or it was logged before the run and is no proof.
    Ignored,
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
    /// The driver lacks what it needs to start a GPU: nothing is known of the GPU.
    Installation,
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
            (_, None) => match event.place {
                Place::Gpu(number) => self.inventory.gpu(GpuIndex(number)).map(|gpu| gpu.index),
                _ => None,
            },
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
    // Proof that something broke before the machine was started; whether it is still there, and is still the same part, it does
    // not tell. What the hardware mended then is over.
    if event.of_earlier_boot {
        return if event.is_uncorrected() { suspect() } else { Charge::Nothing };
    }
    match &event.class {
        Class::Driver(line) => driver(place, line, event, events, places),
        Class::Pcie | Class::Containment | Class::Removal => pcie(event, places),
        // More than any one part may mend, and of which part, nothing told.
        Class::MachineCheck if event.is_a_storm_of_nobody() => {
            if earlier {
                Charge::Nothing
            } else {
                suspect()
            }
        }
        Class::HostMemory | Class::MachineCheck | Class::Firmware => match event.severity {
            Severity::Told => Charge::Nothing,
            Severity::Recoverable | Severity::Fatal => Charge::Hardware,
            _ if earlier => Charge::Nothing,
            Severity::Corrected => Charge::Corrected,
            Severity::Unclear => suspect(),
        },
        Class::Nic | Class::Drive | Class::Controller if event.is_uncorrected() => Charge::Hardware,
        Class::Drive if event.severity == Severity::Told => Charge::Nothing,
        // Some devices of a board's own, its management controller first, reach for memory they were not given on every
        // healthy machine: only what is under test counts.
        Class::Access | Class::Unfamiliar if !earlier && places.is_tested(event) => suspect(),
        Class::Boot if !earlier => Charge::Boot,
        Class::Access | Class::Unfamiliar | Class::Boot => Charge::Nothing,
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
                None if how == CodeCharge::Failing => Charge::Unplaced,
                // Of a device that is no GPU of this node, as far as is known: no proof against either.
                None if how == CodeCharge::Suspect => Charge::HardwareSuspect(None),
                None => Charge::Nothing,
            }
        }
        KernelLine::Sxid(line) => {
            let how = match line.burn_in() {
                BurnIn::Fails => CodeCharge::Failing,
                BurnIn::Suspect if !earlier => CodeCharge::Suspect,
                BurnIn::Counts if !earlier => CodeCharge::Counted,
                BurnIn::Suspect | BurnIn::Counts | BurnIn::Tolerated => CodeCharge::Ignored,
            };
            Charge::Sxid { switch: line.switch, code: line.code, how }
        }
        // The driver was installed anew since, and the GPU answers it.
        KernelLine::InitFailed { cause: InitCause::Installation, .. } if earlier && places.answers(event) => {
            Charge::Nothing
        }
        // The host's software cannot start the GPU, whatever the GPU is like.
        KernelLine::InitFailed { cause: InitCause::Installation, .. } => Charge::Installation,
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
    match (row.origin, row.burn_in_of(line), event.before) {
        (Origin::LoadProgram, ..) => match (event.before, &line.process) {
            (Some(_), _) => CodeCharge::Other,
            (None, Some(process)) if !is_ours(process) => CodeCharge::Foreign,
            (None, _) => CodeCharge::Own,
        },
        (Origin::Software, _, Some(_)) => CodeCharge::Other,
        (_, BurnIn::Fails, _) => CodeCharge::Failing,
        (_, BurnIn::Suspect, None) => CodeCharge::Suspect,
        (_, BurnIn::Counts, None) if row.component == ComponentKind::NvLink => CodeCharge::Counted,
        _ => CodeCharge::Other,
    }
}

/// Whether an earlier code on the same GPU explains this one.
fn is_effect(place: usize, line: &XidLine, row: &XidRow, all: &[KernelEvent]) -> bool {
    all[..place].iter().any(|cause| {
        let Class::Driver(KernelLine::Xid(one)) = &cause.class else { return false };
        let Some(from) = xid(one.code).filter(|_| one.pci == line.pci) else { return false };
        let harmless = from.origin != Origin::LoadProgram && !accuses(one, from, cause);
        // An event that goes on costs our own load no channel; one that did is no harmless one.
        let cost_us = line.caused_by == Some(one.code) && line.process.as_deref().is_some_and(is_ours);
        !(harmless && cost_us) && has_effect(cause, (one, from), row)
    })
}

/// Whether `later` is an effect of a code. A program's fault makes no GPU want a reset, nor does an event of a link that goes on:
/// what counts by itself is the effect only of what counts as well, and what the driver asks for only of what asks for as much.
fn has_effect(cause: &KernelEvent, (line, row): (&XidLine, &XidRow), later: &XidRow) -> bool {
    let asks = || row.burn_in_of(line) == BurnIn::Fails || row.factory == FactoryAction::ResetAndRetest;
    let counts = || accuses(line, row, cause) && (later.relation != Relation::Announcement || asks());
    row.code != later.code && row.explains(later) && (later.origin == Origin::LoadProgram || counts())
}

/// Whether a code is told of as one against its part.
fn accuses(line: &XidLine, row: &XidRow, event: &KernelEvent) -> bool {
    match (row.origin, row.burn_in_of(line)) {
        (Origin::LoadProgram, _) | (_, BurnIn::Counts | BurnIn::Tolerated) => false,
        (Origin::Software, BurnIn::Fails) | (_, BurnIn::Suspect) => event.before.is_none(),
        (_, BurnIn::Fails) => true,
    }
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
#[path = "charge_tests.rs"]
mod tests;
