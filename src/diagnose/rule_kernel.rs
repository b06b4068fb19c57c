//! What the kernel logged, and GPUs that no longer answer.
//!
//! What proves broken hardware accuses by itself; what is only suspect, or counts by its number, does where a limit on it
//! was missed. What followed from another code is sorted out by `relation`.

use std::collections::BTreeSet;

use super::board::{Board, Suspicion};
use super::ecc_line::{FaultyMemory, faulty_memory};
use super::rule_table::{is_dram_error, is_sram_error};
use super::scene::{Line, Scene, both, event_evidence};
use super::{
    BurnIn, Charge, Class, CodeCharge, InitCause, KernelEvent, KernelLine, Place, XidLine, drive_at, nic_at, sxid, xid,
};
use kiln_event::{Action, Confidence, Evidence, EvidenceFact, EvidenceSource};
use kiln_model::{Component, ComponentKind, GpuIndex, Reading, ReadingFailure, Span};

pub(super) fn read_log(scene: &Scene<'_>, board: &mut Board) {
    let hanging: BTreeSet<GpuIndex> = gpus_with(scene, &HANG).difference(&gpus_with(scene, &[79])).copied().collect();
    for (gpu, at) in &scene.record.lost {
        let silent = silent_from_the_start(scene, *gpu);
        let hangs = hanging.contains(gpu) || silent == Some(ReadingFailure::Timeout);
        let code = match silent {
            Some(ReadingFailure::Driver(RESET_REQUIRED)) => "GPU-RECOVERY-NEEDED",
            _ if hangs => "GPU-HANG",
            _ => "GPU-LOST",
        };
        let fact = match silent {
            Some(failure) => EvidenceFact::SilentFromStart { failure },
            None => EvidenceFact::Lost { at: *at },
        };
        let evidence = Evidence { from: EvidenceSource::Readings, component: Component::Gpu(*gpu), fact };
        board.accuse(code, Component::Gpu(*gpu), Confidence::High, [evidence]);
    }
    // What is only suspect comes last: on a part that is proven broken it is evidence of that.
    let is_suspect = |charge: &Charge| matches!(charge, Charge::HardwareSuspect(_));
    for (event, charge) in scene.events.iter().filter(|(_, charge)| !is_suspect(charge)) {
        read_event(scene, board, event, *charge);
    }
    for (event, charge) in scene.events.iter().filter(|(_, charge)| is_suspect(charge)) {
        read_event(scene, board, event, *charge);
    }
    claim_counts(scene, board);
}

/// NVML's code for a GPU that answers nothing before it is reset (`NVML_ERROR_RESET_REQUIRED`).
const RESET_REQUIRED: i32 = 16;

/// How a GPU refused to say what it is when the run began.
fn silent_from_the_start(scene: &Scene<'_>, gpu: GpuIndex) -> Option<ReadingFailure> {
    match scene.inventory.gpu(gpu)?.identity.uuid {
        Reading::Failed(failure) => Some(failure),
        Reading::Value(_) | Reading::Unsupported => None,
    }
}

fn read_event(scene: &Scene<'_>, board: &mut Board, event: &KernelEvent, charge: Charge) {
    let missed = |name: &str, on: Component| {
        scene.facts.iter().any(|fact| fact.failed() && fact.name() == name && fact.component() == on)
    };
    let node = Component::Node;
    let (high, medium) = (Confidence::High, Confidence::Medium);
    match charge {
        Charge::Xid { gpu, code, how } => read_xid(scene, board, event, (gpu, code, how)),
        Charge::Sxid { code, how: CodeCharge::Failing, .. }
            if sxid(code).is_some_and(|row| row.component == ComponentKind::NvLink)
                && let Some(lost) = lost_about(scene, event) =>
        {
            // The switch says that its link to a GPU went down, and a GPU is off the bus.
            accuse(board, "GPU-LOST", lost, high, event);
        }
        Charge::Sxid { switch, how, .. } => {
            let (finding, confidence) = match how {
                CodeCharge::Failing => ("SWITCH-FATAL", high),
                CodeCharge::Suspect if missed("sxid.suspect", node) => ("SWITCH-ERRORS", medium),
                CodeCharge::Counted if missed("sxid.other", node) => ("SWITCH-ERRORS", medium),
                _ => return,
            };
            let suspicion = accuse(board, finding, Component::Switch(switch), confidence, event);
            if let Class::Driver(KernelLine::Sxid(line)) = &event.class {
                suspicion.action = line.action().or(suspicion.action);
            }
            name(suspicion, event);
        }
        Charge::OffBus(gpu) => {
            let lost = matches!(event.class, Class::Driver(KernelLine::OffTheBus { .. }));
            let finding = if lost { "GPU-LOST" } else { "GPU-NOT-STARTED" };
            let suspicion = accuse(board, finding, Component::Gpu(gpu), high, event);
            suspicion.action = asked_by_driver(event).or(suspicion.action);
        }
        Charge::GpuPcie { gpu, corrected: false } => {
            accuse(board, "PCIE-UNSTABLE", Component::Pcie(gpu), high, event);
        }
        Charge::GpuPcie { gpu, corrected: true } => {
            let on = Component::Gpu(gpu);
            if missed("aer.corrected", on) || missed("aer.corrected.rate", on) {
                accuse(board, "PCIE-ERRORS", Component::Pcie(gpu), medium, event);
            }
        }
        Charge::HostPcie { corrected } if !corrected || missed("pcie.corrected.rate", node) => {
            let on = part_at(scene, &event.place);
            let suspicion = accuse(board, "HOST-PCIE-ERRORS", on, if corrected { medium } else { high }, event);
            name(suspicion, event);
        }
        Charge::Hardware => {
            let (finding, component) = hardware(scene, event);
            name(accuse(board, finding, component, high, event), event);
        }
        Charge::Installation if missed("hardware.suspect", node) => {
            accuse(board, "GPU-DRIVER-UNFIT", node, high, event);
        }
        Charge::HardwareSuspect(Some(gpu)) if missed("hardware.suspect", node) => {
            tell_of_earlier_boot(accuse(board, "HOST-SUSPECT", Component::Gpu(gpu), medium, event), event);
        }
        Charge::HardwareSuspect(None) if missed("hardware.suspect", node) => {
            let (broken, on) = hardware(scene, event);
            let finding = if on != node && board.has(broken, on) { broken } else { "HOST-SUSPECT" };
            let suspicion = accuse(board, finding, on, medium, event);
            tell_of_earlier_boot(suspicion, event);
            name(suspicion, event);
        }
        Charge::Corrected if missed("edac.corrected", node) || missed("edac.corrected.rate", node) => {
            // Of which part a machine check is that was only noted, those that were decoded tell.
            let noted = event.class == Class::MachineCheck;
            let of_a_processor = event.is_of_a_processor()
                || noted && scene.events.iter().any(|(decoded, _)| decoded.is_of_a_processor());
            let finding = if of_a_processor { "HOST-HARDWARE" } else { "HOST-DIMM-ERRORS" };
            name(accuse(board, finding, node, medium, event), event);
        }
        // Nothing of ours starts a node anew.
        Charge::Boot => {
            accuse(board, "NODE-REBOOTED", node, high, event);
        }
        Charge::Unplaced => {
            let lost = match &event.class {
                Class::Driver(KernelLine::OffTheBus { .. }) => true,
                Class::Driver(KernelLine::Xid(line)) => line.code == 79,
                _ => false,
            };
            let finding = if lost { "GPU-LOST" } else { "GPU-NOT-STARTED" };
            let suspicion = accuse(board, finding, node, high, event);
            suspicion.action = asked_by_driver(event).or(suspicion.action);
            name(suspicion, event);
        }
        Charge::HostPcie { .. }
        | Charge::Installation
        | Charge::HardwareSuspect(_)
        | Charge::Corrected
        | Charge::Nothing => {}
    }
}

/// Pins an event of the log.
fn accuse<'b>(
    board: &'b mut Board,
    code: &str,
    component: Component,
    confidence: Confidence,
    event: &KernelEvent,
) -> &'b mut Suspicion {
    board.accuse(code, component, confidence, [event_evidence(event, component)])
}

/// How near in time a GPU went off the bus and a switch lost its link to it: the driver of the one looks every few seconds.
const SAME_LOSS: Span = Span::from_secs(60);

/// The GPU that went off the bus about the time of an event; the node, where its address is none of the inventory's.
fn lost_about(scene: &Scene<'_>, event: &KernelEvent) -> Option<Component> {
    scene.events.iter().find_map(|(lost, charge)| {
        let is_lost = match &lost.class {
            Class::Driver(KernelLine::Xid(line)) => line.code == 79,
            Class::Driver(KernelLine::OffTheBus { .. }) => true,
            _ => false,
        };
        let apart = if lost.at < event.at { event.at.since(lost.at) } else { lost.at.since(event.at) };
        let together = match (lost.before, event.before) {
            (Some(one), Some(other)) => one.abs_diff(other) <= SAME_LOSS,
            (None, None) => apart <= SAME_LOSS,
            _ => false,
        };
        match charge {
            Charge::OffBus(gpu) | Charge::Xid { gpu, .. } if is_lost && together => Some(Component::Gpu(*gpu)),
            Charge::Unplaced if is_lost && together => Some(Component::Node),
            _ => None,
        }
    })
}

/// What the driver asks for where it could not start a GPU.
fn asked_by_driver(event: &KernelEvent) -> Option<Action> {
    let Class::Driver(KernelLine::InitFailed { cause, .. }) = &event.class else { return None };
    match cause {
        InitCause::Untold | InitCause::Installation => None,
        InitCause::NoPower => Some(Action::CheckPower),
        InitCause::NeedsReset => Some(Action::ResetGpu),
    }
}

/// What broke of the host, and which part of the inventory it is.
fn hardware(scene: &Scene<'_>, event: &KernelEvent) -> (&'static str, Component) {
    let part = part_at(scene, &event.place);
    match (&event.class, part, &event.place) {
        (Class::HostMemory, ..) => ("HOST-MEMORY-UNCORRECTABLE", Component::Node),
        (Class::Nic, ..) | (_, Component::Nic(_), _) => ("NIC-FAULT", part),
        // Only the driver of such drives names one by its address.
        (Class::Drive, Component::Nvme(_), _) | (Class::Drive, _, Place::Pci(_)) => ("NVME-FAULT", part),
        (Class::Drive, _, Place::Drive(name)) if controller(name).is_some() => ("NVME-FAULT", part),
        _ => ("HOST-HARDWARE", part),
    }
}

/// The part of the inventory at a place that the kernel named; the node, where it is none of them.
fn part_at(scene: &Scene<'_>, place: &Place) -> Component {
    let host = &scene.inventory.host;
    let found = match place {
        Place::Pci(address) => {
            let drive = || drive_at(*address, scene.inventory).map(Component::Nvme);
            nic_at(*address, scene.inventory).map(Component::Nic).or_else(drive)
        }
        Place::Interface(name) => {
            let nics = host.nics.value().into_iter().flatten();
            (0..=u8::MAX).zip(nics).find(|(_, nic)| nic.name == *name).map(|(nth, _)| Component::Nic(nth))
        }
        Place::Drive(name) => {
            let drives = host.nvmes.value().into_iter().flatten();
            let own =
                |drive: &kiln_model::Nvme| controller(name).is_some_and(|own| controller(&drive.name) == Some(own));
            (0..=u8::MAX).zip(drives).find(|(_, drive)| own(drive)).map(|(nth, _)| Component::Nvme(nth))
        }
        Place::Switch(number) => Some(Component::Switch(*number)),
        Place::Dimm(_) | Place::Cpu(_) | Place::Gpu(_) | Place::Node => None,
    };
    found.unwrap_or(Component::Node)
}

/// The number of the controller in the name of an NVM Express drive: 3 of `nvme3` and of its name space `nvme3n1`, and of
/// `nvme0c3n1`, a way to the name space 1 of the subsystem 0.
fn controller(name: &str) -> Option<u32> {
    let numbers = name.strip_prefix("nvme")?;
    let of = |text: &str| text.split(|end: char| !end.is_ascii_digit()).next()?.parse().ok();
    numbers.split_once('c').map_or_else(|| of(numbers), |(_, way)| of(way))
}

/// Says which module, drive, processor or device it was: the node's inventory has no component for it.
fn name(suspicion: &mut Suspicion, event: &KernelEvent) {
    let (en, ja) = match &event.place {
        Place::Pci(address) => {
            let known = suspicion.pci_address.get_or_insert_default();
            let address = address.to_string();
            if !known.contains(&address) {
                let comma = if known.is_empty() { "" } else { ", " };
                known.push_str(comma);
                known.push_str(&address);
            }
            return;
        }
        Place::Dimm(label) => (format!("Memory module {label}."), format!("メモリモジュール{label}。")),
        Place::Drive(drive) => (format!("Drive {drive}."), format!("ドライブ{drive}。")),
        Place::Interface(name) => (format!("Interface {name}."), format!("インターフェース{name}。")),
        Place::Cpu(cpu) => (format!("Processor {cpu}."), format!("CPU{cpu}。")),
        Place::Gpu(_) | Place::Switch(_) | Place::Node => return,
    };
    remark(suspicion, &en, &ja);
}

fn remark(suspicion: &mut Suspicion, en: &str, ja: &str) {
    let known = suspicion.remark.get_or_insert_with(|| both(String::new(), String::new()));
    if !known.en.contains(en) && known.en.len() < REMARK_MAX {
        let space = if known.en.is_empty() { "" } else { " " };
        known.en.push_str(space);
        known.en.push_str(en);
        known.ja.get_or_insert_default().push_str(ja);
    }
}

/// Says that the report is of before the machine was started; when that was, its lines say where they know it.
fn tell_of_earlier_boot(suspicion: &mut Suspicion, event: &KernelEvent) {
    if event.of_earlier_boot {
        let en =
            "It happened before the machine was last started; if it was not put right since, it may still be there.";
        remark(suspicion, en, "前回の起動より前に発生した。以後に修理していなければ残っている可能性がある。");
    }
}

/// Ten modules or so: more say no more.
const REMARK_MAX: usize = 400;

/// The code of a memory error that reached more than the program it happened to.
const UNCONTAINED: u32 = 95;

/// The code of an error of more bits than ECC can mend.
const DOUBLE_BIT: u32 = 48;

/// Codes of firmware that does not answer.
const HANG: [u32; 3] = [119, 120, 109];

fn gpus_with(scene: &Scene<'_>, codes: &[u32]) -> BTreeSet<GpuIndex> {
    let has = |line: &&Line| matches!(&line.said, KernelLine::Xid(said) if codes.contains(&said.code));
    scene.lines.iter().filter(has).filter_map(|line| line.gpu).collect()
}

fn read_xid(scene: &Scene<'_>, board: &mut Board, event: &KernelEvent, xid_event: (GpuIndex, u32, CodeCharge)) {
    let (gpu, code, how) = xid_event;
    let Class::Driver(KernelLine::Xid(said)) = &event.class else { return };
    let missed =
        |name: &str| scene.facts.iter().any(|fact| fact.failed() && fact.name() == name && fact.gpu() == Some(gpu));
    let confidence = match how {
        CodeCharge::Failing => Confidence::High,
        CodeCharge::Suspect if missed("xid.suspect") => Confidence::Medium,
        CodeCharge::Counted if missed("xid.harmless") => Confidence::Medium,
        CodeCharge::Own if missed("xid.own") => {
            accuse(board, "LOAD-FAULT", Component::Gpu(gpu), Confidence::Medium, event);
            return;
        }
        _ => return,
    };
    // A channel removed for another Xid speaks of that one.
    let meant = said.caused_by.unwrap_or(code);
    let (finding, component) = meaning(scene, gpu, &XidLine { code: meant, ..said.clone() });
    // The link of a GPU to one that has just gone away.
    if finding == "NVLINK-DOWN"
        && let Some(lost) = lost_about(scene, event)
    {
        accuse(board, "GPU-LOST", lost, confidence, event);
        return;
    }
    let new = !board.has(finding, component);
    let suspicion = accuse(board, finding, component, confidence, event);
    // What to do is the table's to say where a code stands alone; findings of more evidence know better.
    let of_table = announced(said).or_else(|| xid(meant).and_then(|row| row.factory.action()));
    if finding == "HBM-UNCORRECTABLE" {
        // The codes of one memory error come together, also as consequences of one another; the gravest says what to do.
        let uncontained = gpus_with(scene, &[UNCONTAINED]).contains(&gpu);
        suspicion.action = if uncontained { Some(Action::ReplaceFru) } else { of_table };
    } else if new && (finding == "GPU-XID" || how == CodeCharge::Suspect) {
        suspicion.action = of_table;
    } else if finding == "GPU-XID" {
        // Of several codes of one part, the one that asks for the part to be exchanged knows most.
        suspicion.action = of_table.filter(|action| *action == Action::ReplaceFru).or(suspicion.action);
    } else if finding == "GPU-NOT-STARTED" {
        // The driver's own words before it gave up know more than the code.
    } else if how == CodeCharge::Failing {
        // NVIDIA's catalogue resets the GPU first for a system processor that does not answer (119, 120).
        let again = finding == "GPU-HANG" && came_back(scene, gpu);
        suspicion.action = again.then_some(Action::ReplaceFru);
    }
}

/// Whether the firmware of a GPU was silent before the run, answered when the run began, and is silent again.
fn came_back(scene: &Scene<'_>, gpu: GpuIndex) -> bool {
    let silent = |before: bool| {
        scene.events.iter().any(|(event, charge)| {
            event.before.is_some() == before
                && matches!(charge, Charge::Xid { gpu: of, code: 119 | 120, .. } if *of == gpu)
        })
    };
    silent_from_the_start(scene, gpu).is_none() && silent(true) && silent(false)
}

/// What the driver itself says has to be done: `GPU recovery action changed from 0x0 (None) to 0x2 (Node Reboot Required)`.
fn announced(said: &XidLine) -> Option<Action> {
    let (_, to) = said.text.split_once("recovery action changed from ")?.1.split_once(" to ")?;
    to.contains("Reboot").then_some(Action::Reboot)
}

/// The finding a code stands for, and on what.
fn meaning(scene: &Scene<'_>, gpu: GpuIndex, said: &XidLine) -> (&'static str, Component) {
    let (memory, whole) = (Component::Memory(gpu), Component::Gpu(gpu));
    match said.code {
        79 => ("GPU-LOST", whole),
        119 | 120 => ("GPU-HANG", whole),
        143 => ("GPU-NOT-STARTED", whole),
        54 => ("GPU-POWER-BRAKE", whole),
        64 => ("HBM-REMAP-FAILED", memory),
        172 => ("SRAM-UNCORRECTABLE", memory),
        48 | 94 | 95 | 140 if is_sram_error(scene, gpu) => ("SRAM-UNCORRECTABLE", memory),
        63 => ("HBM-REMAP-PENDING", memory),
        154 => ("GPU-RECOVERY-NEEDED", whole),
        94 | 95 | 140 => match faulty_memory(said) {
            Some(FaultyMemory::Sram) => ("SRAM-UNCORRECTABLE", memory),
            // Of two memories neither is accused where nothing else tells which of them it was.
            Some(FaultyMemory::PassedOn)
                if !is_dram_error(scene, gpu) && !gpus_with(scene, &[DOUBLE_BIT]).contains(&gpu) =>
            {
                ("GPU-XID", whole)
            }
            // A unit that this release of the driver has and no list here: it may hold data of its own, or have been handed them.
            None if said.text.contains("ontained: ") => ("GPU-XID", whole),
            Some(FaultyMemory::Dram | FaultyMemory::PassedOn) | None => ("HBM-UNCORRECTABLE", memory),
        },
        48 if faulty_memory(said) == Some(FaultyMemory::Sram) => ("SRAM-UNCORRECTABLE", memory),
        48 | 171 => ("HBM-UNCORRECTABLE", memory),
        92 => ("HBM-CORRECTED-RATE", memory),
        code => {
            let row = xid(code);
            match row.map(|row| row.component) {
                Some(ComponentKind::NvLink) => {}
                Some(ComponentKind::Memory) => return ("GPU-XID", memory),
                _ => return ("GPU-XID", whole),
            }
            // An event of a link that is not fatal, such as an access that was refused, does not take it down.
            let fatal = row.is_some_and(|row| row.burn_in_of(said) == BurnIn::Fails);
            let on = said.link.map_or(whole, |link| Component::NvLink(gpu, link));
            (if fatal { "NVLINK-DOWN" } else { "GPU-XID" }, on)
        }
    }
}

/// The counts of the check are explained by the events they count.
fn claim_counts(scene: &Scene<'_>, board: &mut Board) {
    let any = |held: &dyn Fn(&Charge) -> bool| scene.events.iter().any(|(_, charge)| held(charge));
    for (place, fact) in scene.facts.iter().enumerate() {
        if !fact.failed() || fact.check != "kernel.log" {
            continue;
        }
        let explained = match fact.name() {
            "xid.failing" | "xid.suspect" | "xid.own" | "xid.harmless" | "xid.codes" => {
                any(&|charge| matches!(charge, Charge::Xid { gpu, .. } if Some(*gpu) == fact.gpu()))
            }
            "off-bus" => any(&|charge| matches!(charge, Charge::OffBus(gpu) if Some(*gpu) == fact.gpu())),
            "sxid.failing" | "sxid.suspect" | "sxid.other" | "sxid.codes" => {
                any(&|charge| matches!(charge, Charge::Sxid { .. }))
            }
            "hardware" => any(&|charge| matches!(charge, Charge::Hardware | Charge::HostPcie { corrected: false })),
            // What all belongs to parts is told of them.
            "hardware.suspect" => {
                !board.has("HOST-SUSPECT", Component::Node)
                    && any(&|charge| matches!(charge, Charge::HardwareSuspect(_) | Charge::Installation))
            }
            "pcie.uncorrected" | "pcie.corrected.rate" => {
                let corrected = fact.name() == "pcie.corrected.rate";
                !board.has("HOST-PCIE-ERRORS", Component::Node)
                    && any(&|charge| *charge == Charge::HostPcie { corrected })
            }
            // Of the host's memory, unless all of it is of processors.
            "edac.corrected" | "edac.corrected.rate" => {
                !board.has("HOST-DIMM-ERRORS", Component::Node) && any(&|charge| *charge == Charge::Corrected)
            }
            "unplaced" => any(&|charge| *charge == Charge::Unplaced),
            _ => false,
        };
        if explained {
            board.claim(place);
        }
    }
}

#[cfg(test)]
#[path = "rule_kernel_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "rule_kernel_reset_tests.rs"]
mod reset_tests;
