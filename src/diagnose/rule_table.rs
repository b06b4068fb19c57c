//! Limits that accuse by themselves: which missed limit of which check stands for which code.
//!
//! What needs a comparison between GPUs or steps has rules of its own.

use super::board::{Board, Suspicion};
use super::ecc_line::{FaultyMemory, faulty_memory};
use super::scene::{Fact, Line, Scene, listed};
use kiln_event::{Action, Confidence, Evidence, EvidenceFact, EvidenceSource};
use kiln_limit::read_list;
use kiln_model::{Component, GpuIndex, Reading};

/// The component to name, from the one measured.
#[derive(Debug, Clone, Copy)]
enum At {
    Itself,
    Pcie,
    Memory,
    Node,
}

/// Check (empty: any), measurement, code, component.
const TABLE: &[(&str, &str, &str, At)] = &[
    ("inventory.match", "gpus", "GPU-MISSING", At::Node),
    ("thermal.soak", "resistance.rise.least", "NODE-COOLING", At::Node),
    ("gpu.screen", "sms", "GPU-SLOW", At::Itself),
    ("gpu.screen", "sms.unreached", "GPU-SLOW", At::Itself),
    ("inventory.match", "gpus.missing", "GPU-MISSING", At::Node),
    ("inventory.match", "slots.empty", "GPU-MISSING", At::Node),
    ("inventory.match", "slots.beyond", "GPU-MISSING", At::Node),
    ("inventory.match", "present", "GPU-MISSING", At::Itself),
    ("inventory.match", "gpus.unclaimed", "GPU-NOT-STARTED", At::Node),
    ("inventory.match", "gpus.off-bus", "GPU-TOPOLOGY", At::Node),
    ("inventory.match", "topology.regular", "GPU-TOPOLOGY", At::Itself),
    ("inventory.match", "numa.regular", "PCIE-NUMA", At::Pcie),
    ("inventory.match", "numa", "PCIE-NUMA", At::Pcie),
    ("inventory.match", "bar1", "PCIE-BAR1", At::Pcie),
    ("inventory.match", "pcie.gen.max", "PCIE-GENERATION", At::Pcie),
    ("inventory.match", "pcie.width.max", "PCIE-WIDTH", At::Pcie),
    ("inventory.match", "c2c.lacking", "C2C-DEGRADED", At::Itself),
    ("inventory.match", "name", "GPU-PART-MISMATCH", At::Itself),
    ("inventory.match", "name.known", "GPU-PART-MISMATCH", At::Itself),
    ("inventory.match", "name.uniform", "GPU-PART-MISMATCH", At::Itself),
    ("inventory.match", "part", "GPU-PART-MISMATCH", At::Itself),
    ("inventory.match", "part.uniform", "GPU-PART-MISMATCH", At::Itself),
    ("inventory.match", "part.allowed", "GPU-PART-MISMATCH", At::Itself),
    ("inventory.match", "subsystem", "GPU-PART-MISMATCH", At::Itself),
    ("inventory.match", "subsystem.uniform", "GPU-PART-MISMATCH", At::Itself),
    ("inventory.match", "memory", "GPU-PART-MISMATCH", At::Itself),
    ("inventory.match", "vbios", "GPU-FIRMWARE-MISMATCH", At::Itself),
    ("inventory.match", "vbios.uniform", "GPU-FIRMWARE-MISMATCH", At::Itself),
    ("inventory.match", "vbios.allowed", "GPU-FIRMWARE-MISMATCH", At::Itself),
    ("inventory.match", "inforom", "GPU-FIRMWARE-MISMATCH", At::Itself),
    ("inventory.match", "inforom.uniform", "GPU-FIRMWARE-MISMATCH", At::Itself),
    ("inventory.match", "inforom.allowed", "GPU-FIRMWARE-MISMATCH", At::Itself),
    ("inventory.match", "gsp", "GPU-FIRMWARE-MISMATCH", At::Itself),
    ("inventory.match", "gsp.uniform", "GPU-FIRMWARE-MISMATCH", At::Itself),
    ("inventory.match", "gsp.allowed", "GPU-FIRMWARE-MISMATCH", At::Itself),
    ("inventory.match", "inforom.valid", "GPU-INFOROM-CORRUPT", At::Itself),
    ("inventory.match", "serial.unique", "GPU-IDENTITY-DUPLICATE", At::Itself),
    ("inventory.match", "uuid.unique", "GPU-IDENTITY-DUPLICATE", At::Itself),
    ("inventory.match", "serial.expected", "GPU-SERIAL-UNEXPECTED", At::Itself),
    ("inventory.match", "dimms", "HOST-DIMM-MISSING", At::Node),
    ("inventory.match", "dimms.balanced", "HOST-DIMM-MISSING", At::Node),
    ("inventory.match", "memory.host", "HOST-DIMM-MISSING", At::Node),
    ("inventory.match", "memory.host.share", "HOST-DIMM-MISSING", At::Node),
    ("inventory.match", "nics", "NIC-MISSING", At::Node),
    ("inventory.match", "nic.speed", "NIC-SPEED", At::Itself),
    ("inventory.match", "nic.usual", "NIC-SPEED", At::Itself),
    ("inventory.match", "nvmes", "NVME-MISSING", At::Node),
    ("inventory.match", "psu.ok", "PSU-FAILED", At::Itself),
    ("inventory.match", "nics.gone", "NIC-MISSING", At::Node),
    ("inventory.match", "nvmes.gone", "NVME-MISSING", At::Node),
    ("inventory.match", "dimms.gone", "HOST-DIMM-MISSING", At::Node),
    ("inventory.match", "psus.gone", "PSU-FAILED", At::Node),
    ("inventory.match", "psus", "PSU-FAILED", At::Node),
    ("inventory.match", "nics.missing", "NIC-MISSING", At::Node),
    ("inventory.match", "nvmes.missing", "NVME-MISSING", At::Node),
    ("inventory.match", "dimms.missing", "HOST-DIMM-MISSING", At::Node),
    ("inventory.match", "psus.missing", "PSU-FAILED", At::Node),
    ("inventory.match", "bios", "HOST-FIRMWARE", At::Node),
    ("inventory.match", "bios.allowed", "HOST-FIRMWARE", At::Node),
    ("inventory.match", "clock-source", "HOST-SETTING", At::Node),
    ("inventory.match", "driver", "HOST-SETTING", At::Node),
    ("inventory.match", "cuda", "HOST-SETTING", At::Node),
    ("inventory.match", "cpus", "HOST-SETTING", At::Node),
    ("config.policy", "ecc", "GPU-CONFIG-ECC", At::Itself),
    ("config.policy", "ecc.as-asked", "GPU-CONFIG-ECC", At::Itself),
    ("config.policy", "mig", "GPU-CONFIG-MIG", At::Itself),
    ("config.policy", "mig.as-asked", "GPU-CONFIG-MIG", At::Itself),
    ("config.policy", "persistence", "GPU-CONFIG-MODE", At::Itself),
    ("config.policy", "persistence.as-asked", "GPU-CONFIG-MODE", At::Itself),
    ("config.policy", "compute-mode", "GPU-CONFIG-MODE", At::Itself),
    ("config.policy", "compute-mode.as-asked", "GPU-CONFIG-MODE", At::Itself),
    ("config.policy", "power.limit", "GPU-POWER-CAP", At::Itself),
    ("config.policy", "power.limit.default", "GPU-PART-MISMATCH", At::Itself),
    ("config.policy", "power.limit.share", "GPU-POWER-CAP", At::Itself),
    ("config.policy", "clocks", "GPU-CLOCK-SETTING", At::Itself),
    ("config.policy", "clock.sm.max", "GPU-CLOCK-SETTING", At::Itself),
    ("config.policy", "processes", "GPU-FOREIGN-PROCESS", At::Itself),
    ("config.policy", "recovery", "GPU-RECOVERY-NEEDED", At::Itself),
    ("config.restored", "changes", "GPU-CONFIG-CHANGED", At::Itself),
    ("config.restored", "changed", "GPU-CONFIG-CHANGED", At::Itself),
    ("", "processes.joined", "GPU-FOREIGN-PROCESS", At::Itself),
    ("load.none", "util.max", "LOAD-LEFT", At::Itself),
    ("load.none", "processes", "GPU-FOREIGN-PROCESS", At::Itself),
    ("load.none", "power.mean", "LOAD-LEFT", At::Itself),
    ("operator.confirm", "confirmed", "OPERATOR-REFUSED", At::Node),
    ("kernel.log", "aer.corrected", "PCIE-ERRORS", At::Pcie),
    ("kernel.log", "aer.uncorrected", "PCIE-UNSTABLE", At::Pcie),
    ("kernel.log", "aer.corrected.rate", "PCIE-ERRORS", At::Pcie),
    ("kernel.log", "edac.corrected", "HOST-DIMM-ERRORS", At::Node),
    ("kernel.log", "edac.corrected.rate", "HOST-DIMM-ERRORS", At::Node),
    ("kernel.log", "hardware.suspect", "HOST-SUSPECT", At::Node),
    ("kernel.log", "pcie.uncorrected", "HOST-PCIE-ERRORS", At::Node),
    ("kernel.log", "pcie.corrected.rate", "HOST-PCIE-ERRORS", At::Node),
    ("kernel.log", "boots", "NODE-REBOOTED", At::Node),
    ("kernel.log", "xid.own", "LOAD-FAULT", At::Itself),
    ("gpu.memory", "bandwidth.mean", "HBM-SLOW", At::Memory),
    ("gpu.memory", "bandwidth.p5", "HBM-SLOW", At::Memory),
    ("gpu.memory", "coverage", "HBM-COVERAGE", At::Memory),
    ("gpu.fixed-clock", "power.mean", "GPU-POWER-EXCESS", At::Itself),
    ("gpu.idle", "power.mean", "GPU-IDLE-POWER", At::Itself),
    ("gpu.idle", "power.max", "GPU-IDLE-POWER", At::Itself),
    ("gpu.idle", "power.p95", "GPU-IDLE-POWER", At::Itself),
    ("gpu.idle", "util.max", "GPU-FOREIGN-PROCESS", At::Itself),
    ("pcie.link", "gen", "PCIE-GENERATION", At::Pcie),
    ("pcie.link", "gen.held", "PCIE-UNSTABLE", At::Pcie),
    ("pcie.link", "width", "PCIE-WIDTH", At::Pcie),
    ("pcie.link", "changes", "PCIE-UNSTABLE", At::Pcie),
    ("pcie.link", "retrains", "PCIE-UNSTABLE", At::Pcie),
    ("pcie.link", "fatal", "PCIE-UNSTABLE", At::Pcie),
    ("pcie.link", "replays", "PCIE-ERRORS", At::Pcie),
    ("pcie.link", "correctable", "PCIE-ERRORS", At::Pcie),
    ("", "pcie.retrains", "PCIE-UNSTABLE", At::Pcie),
    ("", "pcie.width.lost", "PCIE-WIDTH", At::Pcie),
    ("", "pcie.gen.lower", "PCIE-GENERATION", At::Pcie),
    ("", "power.limit.fall", "GPU-POWER-CAP", At::Itself),
    ("", "clock.memory.mean", "HBM-SLOW", At::Memory),
    ("", "pcie.fatal", "PCIE-UNSTABLE", At::Pcie),
    ("", "pcie.replays", "PCIE-ERRORS", At::Pcie),
    ("", "pcie.correctable", "PCIE-ERRORS", At::Pcie),
    ("pcie.bandwidth", "h2d", "PCIE-SLOW", At::Pcie),
    ("pcie.bandwidth", "d2h", "PCIE-SLOW", At::Pcie),
    ("pcie.bandwidth", "h2d.of-link", "PCIE-SLOW", At::Pcie),
    ("pcie.bandwidth", "d2h.of-link", "PCIE-SLOW", At::Pcie),
    ("gpu.training", "host.mean", "PCIE-SLOW", At::Pcie),
    ("gpu.training", "host.slower", "PCIE-SLOW", At::Pcie),
    ("gpu.training", "bandwidth.mean", "HBM-SLOW", At::Memory),
    ("", "ecc.corrected", "HBM-CORRECTED-RATE", At::Memory),
    ("", "ecc.corrected.rate", "HBM-CORRECTED-RATE", At::Memory),
    ("", "ecc.corrected.total", "HBM-CORRECTED-RATE", At::Memory),
    ("", "ecc.uncorrected", "HBM-UNCORRECTABLE", At::Memory),
    ("", "ecc.uncorrected.total", "HBM-UNCORRECTABLE", At::Memory),
    ("", "remaps", "HBM-REMAP-PENDING", At::Memory),
    ("", "remap.total", "HBM-REMAP-PENDING", At::Memory),
    ("", "remap.pending", "HBM-REMAP-PENDING", At::Memory),
    ("", "remap.failed", "HBM-REMAP-FAILED", At::Memory),
    ("", "remap.banks-exhausted", "HBM-REMAP-FAILED", At::Memory),
    ("", "sram.exceeded", "SRAM-THRESHOLD", At::Memory),
    ("fabric.ports", "up", "NIC-LINK-DOWN", At::Itself),
    ("fabric.ports", "kept", "NIC-LINK-DOWN", At::Itself),
    ("fabric.ports", "downs", "NIC-LINK-DOWN", At::Itself),
    ("fabric.ports", "ports.missing", "NIC-LINK-DOWN", At::Node),
    ("fabric.ports", "rate", "NIC-SPEED", At::Itself),
    ("fabric.ports", "width", "NIC-SPEED", At::Itself),
    ("fabric.ports", "rate.usual", "NIC-SPEED", At::Itself),
    ("fabric.ports", "width.usual", "NIC-SPEED", At::Itself),
    ("fabric.ports", "rate.as-asked", "NIC-SPEED", At::Itself),
    ("fabric.ports", "recoveries", "NIC-LINK-ERRORS", At::Itself),
    ("fabric.ports", "symbol.errors", "NIC-LINK-ERRORS", At::Itself),
    ("fabric.ports", "symbol.errors.share", "NIC-LINK-ERRORS", At::Itself),
    ("fabric.ports", "symbol.errors.of-cable", "NIC-LINK-ERRORS", At::Itself),
    ("fabric.ports", "receive.errors", "NIC-LINK-ERRORS", At::Itself),
    ("fabric.ports", "integrity.errors", "NIC-LINK-ERRORS", At::Itself),
    ("fabric.ports", "overruns", "NIC-LINK-ERRORS", At::Itself),
    ("fabric.ports", "checksum.errors", "NIC-LINK-ERRORS", At::Itself),
    ("fabric.ports", "out-of-sequence", "NIC-LINK-ERRORS", At::Itself),
    ("fabric.state", "health", "FABRIC-DEGRADED", At::Itself),
    ("fabric.state", "health.bad", "FABRIC-DEGRADED", At::Itself),
];

/// Pins every missed limit that the table knows.
pub(super) fn read_table(scene: &Scene<'_>, board: &mut Board) {
    for (place, fact) in scene.facts.iter().enumerate().filter(|(_, fact)| fact.failed()) {
        let row =
            TABLE.iter().find(|(check, name, ..)| *name == fact.name() && (check.is_empty() || *check == fact.check));
        let Some((_, _, code, at)) = row else { continue };
        // A count of the whole node whose events were all told of the parts that they name says nothing more.
        if matches!(at, At::Node) && board.is_claimed(place) {
            continue;
        }
        let component = match *code {
            // Somebody's program came while the test ran: the station's, which says nothing of the GPU it came to.
            "GPU-FOREIGN-PROCESS" if came_meanwhile(scene, place, fact) => Component::Station,
            _ => placed(*at, fact.component()),
        };
        let code = match *code {
            "HBM-UNCORRECTABLE" if is_sram(scene, fact) => "SRAM-UNCORRECTABLE",
            // There is a link, and it is slower than it was.
            "NIC-LINK-DOWN" if fact.name() == "kept" && is_up(scene, fact) => "NIC-SPEED",
            code => code,
        };
        let suspicion = board.accuse(code, component, fact.confidence(), [fact.evidence()]);
        if component == Component::Station {
            suspicion.action = Some(Action::FixStation);
        }
        let named = match (fact.check, fact.name()) {
            (_, "processes") => scene.beside(fact.path, fact.component(), "processes.named"),
            ("fabric.ports", _) => scene.beside(fact.path, fact.component(), "link"),
            ("config.policy", "recovery") => {
                suspicion.action = fact.text().and_then(recovery);
                None
            }
            _ => None,
        };
        if let Some(named) = named {
            let said = match component {
                Component::Station => named.evidence(),
                component => Evidence { component, ..named.evidence() },
            };
            if !suspicion.evidence.contains(&said) {
                suspicion.evidence.push(said);
            }
        }
        board.claim(place);
    }
    listed_parts(scene, board);
    join_places(board);
    join_duplicates(scene, board);
    pending_settings(scene, board);
    name_slots(scene, board);
}

/// Whether a GPU had no process of somebody else's when the run looked at it first.
fn came_meanwhile(scene: &Scene<'_>, place: usize, fact: &Fact<'_>) -> bool {
    let clean = |one: &Fact<'_>| {
        (one.check, one.name()) == ("config.policy", "processes")
            && one.component() == fact.component()
            && one.number() == Some(0.0)
    };
    let looked = fact.name() == "processes.joined" || ["config.policy", "load.none"].contains(&fact.check);
    looked && (fact.name() == "processes.joined" || scene.facts[..place].iter().any(clean))
}

fn placed(at: At, component: Component) -> Component {
    match (at, component.gpu_index()) {
        (At::Pcie, Some(gpu)) => Component::Pcie(gpu),
        (At::Memory, Some(gpu)) => Component::Memory(gpu),
        (At::Node, _) => Component::Node,
        _ => component,
    }
}

/// What the driver asks for, in the words of the inventory.
fn recovery(asked: &str) -> Option<Action> {
    match asked {
        "reset" | "drain-and-reset" | "drain-p2p" => Some(Action::ResetGpu),
        "reboot" => Some(Action::Reboot),
        _ => None,
    }
}

/// Whether the port had a link when the fact was measured.
fn is_up(scene: &Scene<'_>, fact: &Fact<'_>) -> bool {
    let up =
        |other: &&Fact<'_>| other.path == fact.path && other.component() == fact.component() && other.name() == "up";
    scene.facts.iter().find(up).and_then(Fact::flag) == Some(true)
}

/// Whether an uncorrectable error was one of the on-chip memory: the driver says so, and no row is to be remapped.
fn is_sram(scene: &Scene<'_>, fact: &Fact<'_>) -> bool {
    fact.gpu().is_some_and(|gpu| is_sram_error(scene, gpu))
}

pub(super) fn is_sram_error(scene: &Scene<'_>, gpu: GpuIndex) -> bool {
    logged(scene, gpu, FaultyMemory::Sram) && !is_dram_error(scene, gpu)
}

/// Whether the driver told of an error in the memory beside the die, or took a row of it out of use.
pub(super) fn is_dram_error(scene: &Scene<'_>, gpu: GpuIndex) -> bool {
    let remapped = |line: &Line| {
        line.gpu == Some(gpu) && matches!(&line.said, super::KernelLine::Xid(xid) if [63, 64].contains(&xid.code))
    };
    scene.lines.iter().any(remapped) || logged(scene, gpu, FaultyMemory::Dram)
}

fn logged(scene: &Scene<'_>, gpu: GpuIndex, memory: FaultyMemory) -> bool {
    scene.lines.iter().any(|line| {
        line.gpu == Some(gpu) && matches!(&line.said, super::KernelLine::Xid(xid) if faulty_memory(xid) == Some(memory))
    })
}

/// Makes the part of a number.
type Numbered = fn(u8) -> Component;

/// Counts of what was away, what lists the numbers of those, which they are, and the code.
const LISTED: [(&str, &str, Numbered, &str); 3] = [
    ("psus.away", "psus.bad", Component::Psu, "PSU-FAILED"),
    ("nics.away", "nics.bad", Component::Nic, "NIC-MISSING"),
    ("nvmes.away", "nvmes.bad", Component::Nvme, "NVME-MISSING"),
];

/// A count of parts that failed or were away is explained by those parts.
fn listed_parts(scene: &Scene<'_>, board: &mut Board) {
    for (place, fact) in scene.facts.iter().enumerate().filter(|(_, fact)| fact.failed()) {
        // As the step saw them, which may be long after the run's first inventory.
        let listing = LISTED.iter().find(|(name, ..)| *name == fact.name());
        let (parts, code): (Vec<Component>, _) = if let Some((_, list, component, code)) = listing {
            let numbers = listed(scene.text_beside(fact.path, fact.component(), list));
            (numbers.into_iter().map(component).collect(), *code)
        } else if fact.name() == "psus.failed" {
            let beside = scene.facts.iter().filter(|other| other.path == fact.path && other.name() == "psu.ok");
            (beside.filter(|other| other.flag() == Some(false)).map(Fact::component).collect(), "PSU-FAILED")
        } else {
            continue;
        };
        for component in &parts {
            board.accuse(code, *component, Confidence::High, [fact.evidence()]);
        }
        if parts.is_empty() {
            board.accuse(code, Component::Node, Confidence::High, [fact.evidence()]);
        }
        board.claim(place);
    }
}

/// GPUs that could each be the one at the wrong place are one finding.
fn join_places(board: &mut Board) {
    for code in ["GPU-TOPOLOGY", "PCIE-NUMA"] {
        let mut all = board.take(code);
        if all.len() > 1 {
            let suspects: Vec<Component> = all.iter().map(|one| one.component).collect();
            let evidence = all.iter().flat_map(|one| one.evidence.clone()).collect();
            let first = all.swap_remove(0);
            all = vec![Suspicion { suspects, evidence, confidence: Confidence::Medium, ..first }];
        }
        for one in all {
            board.put(one);
        }
    }
}

/// GPUs that carry the same identity are one finding: which of them is the copy cannot be told.
fn join_duplicates(scene: &Scene<'_>, board: &mut Board) {
    let identity = |component: Component| {
        let identity = &scene.inventory.gpu(component.gpu_index()?)?.identity;
        Some((identity.serial.value(), identity.uuid.value()))
    };
    let mut joined: Vec<Suspicion> = Vec::new();
    for one in board.take("GPU-IDENTITY-DUPLICATE") {
        let same = |other: &&mut Suspicion| match (identity(other.component), identity(one.component)) {
            (Some((serial, uuid)), Some((other_serial, other_uuid))) => {
                (serial.is_some() && serial == other_serial) || (uuid.is_some() && uuid == other_uuid)
            }
            _ => false,
        };
        match joined.iter_mut().find(same) {
            Some(first) => {
                first.suspects.push(one.component);
                first.evidence.extend(one.evidence);
            }
            None => joined.push(Suspicion { suspects: vec![one.component], ..one }),
        }
    }
    for mut one in joined {
        // A copy that is not in this node leaves nothing to choose from.
        if one.suspects.len() == 1 {
            one.suspects.clear();
        }
        board.put(one);
    }
}

/// A pending change accuses the setting that is pending.
fn pending_settings(scene: &Scene<'_>, board: &mut Board) {
    let pending = |fact: &Fact<'_>| fact.failed() && fact.check == "config.policy" && fact.name() == "pending";
    for (place, fact) in scene.facts.iter().enumerate().filter(|(_, fact)| pending(fact)) {
        let config = fact.gpu().and_then(|gpu| scene.inventory.gpu(gpu)).map(|gpu| &gpu.config);
        let differs = |pick: fn(&kiln_model::Config) -> (Reading<bool>, Reading<bool>)| {
            config.is_some_and(|config| {
                let (now, later) = pick(config);
                now != later
            })
        };
        let mut codes = Vec::new();
        if differs(|config| (config.ecc, config.ecc_pending)) {
            codes.push("GPU-CONFIG-ECC");
        }
        if differs(|config| (config.mig, config.mig_pending)) {
            codes.push("GPU-CONFIG-MIG");
        }
        if codes.is_empty() {
            codes.push("GPU-CONFIG-CHANGED");
        }
        for code in codes {
            board.accuse(code, fact.component(), Confidence::High, [fact.evidence()]);
        }
        board.claim(place);
    }
}

/// Addresses of GPUs on the bus that the driver does not list.
fn idle_functions(scene: &Scene<'_>) -> Vec<String> {
    let listed = |address: &str| {
        let own = |gpu: &kiln_model::Gpu| gpu.identity.pci_address.value().is_some_and(|own| own == address);
        scene.inventory.gpus.iter().any(own)
    };
    let functions = scene.inventory.pci.value().into_iter().flatten();
    functions.map(|function| function.address.clone()).filter(|address| !listed(address)).collect()
}

/// A missing GPU has no index of its own; the empty slot and the idle PCI function say where it is.
fn name_slots(scene: &Scene<'_>, board: &mut Board) {
    let told = scene.facts.iter().rev().find(|fact| fact.name() == "slots.empty").and_then(Fact::text);
    let slots = told.filter(|slots| !read_list(slots).is_empty());
    let idle = idle_functions(scene);
    for code in ["GPU-MISSING", "GPU-NOT-STARTED"] {
        for mut suspicion in board.take(code) {
            if suspicion.component == Component::Node {
                suspicion.slot = slots.map(str::to_owned);
                if code == "GPU-NOT-STARTED" && !idle.is_empty() {
                    suspicion.pci_address = Some(idle.join(", "));
                    let fact = EvidenceFact::NotWithDriver { addresses: idle.clone() };
                    let from = EvidenceSource::PciBus;
                    suspicion.evidence.push(Evidence { from, component: Component::Node, fact });
                }
                if let Some(slots) = slots {
                    suspicion.remark = Some(super::scene::both(
                        format!("Slot {slots} shows no GPU."),
                        format!("スロット{slots}にGPUが認識されない。"),
                    ));
                }
            }
            board.put(suspicion);
        }
    }
}
