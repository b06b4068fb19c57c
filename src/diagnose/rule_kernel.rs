//! What the kernel logged, and GPUs that no longer answer.
//!
//! Only codes that fail a burn-in accuse by themselves; suspect ones do where a limit on them was missed. What followed
//! from another code is sorted out by `relation`.

use std::collections::BTreeSet;

use super::board::Board;
use super::rule_table::is_sram_error;
use super::scene::{Line, Scene};
use super::{BurnIn, KernelLine, Origin, SxidLine, XidLine, sxid, xid};
use crate::event::{Confidence, Evidence};
use crate::model::{Component, ComponentKind, GpuIndex, Reading, ReadingFailure};

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
        let text = match silent {
            Some(failure) => format!("no call was answered when the run began: {failure}"),
            None => format!("no call was answered any more from {at} on"),
        };
        let evidence = Evidence { from: "readings".to_owned(), component: Component::Gpu(*gpu), text };
        board.accuse(code, Component::Gpu(*gpu), Confidence::High, [evidence]);
    }
    let suspects = suspect_gpus(scene);
    for line in &scene.lines {
        match &line.said {
            KernelLine::Xid(said) => read_xid(scene, board, line, said, &suspects),
            KernelLine::Sxid(said) => read_sxid(scene, board, line, said),
            KernelLine::OffTheBus { .. } => {
                if let Some(gpu) = line.gpu {
                    board.accuse("GPU-LOST", Component::Gpu(gpu), Confidence::High, [line.evidence()]);
                }
            }
            KernelLine::InitFailed { .. } => {
                if line.gpu.is_none() {
                    board.accuse("GPU-NOT-STARTED", Component::Node, Confidence::High, [line.evidence()]);
                }
            }
            KernelLine::Aer(_) => {}
        }
    }
    read_boots(scene, board);
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

/// The kernel's banner inside a run: nothing of ours starts a node anew.
fn read_boots(scene: &Scene<'_>, board: &mut Board) {
    for record in scene.record.kernel.iter().filter(|record| record.text.contains("Linux version ")) {
        let text = format!("{} at {}", record.text.trim(), record.at);
        let evidence = Evidence { from: "kernel log".to_owned(), component: Component::Node, text };
        board.accuse("NODE-REBOOTED", Component::Node, Confidence::High, [evidence]);
    }
}

/// Codes of firmware that does not answer.
const HANG: [u32; 3] = [119, 120, 109];

fn gpus_with(scene: &Scene<'_>, codes: &[u32]) -> BTreeSet<GpuIndex> {
    let has = |line: &&Line<'_>| matches!(&line.said, KernelLine::Xid(said) if codes.contains(&said.code));
    scene.lines.iter().filter(has).filter_map(|line| line.gpu).collect()
}

/// GPUs for which a limit on suspect codes was missed.
fn suspect_gpus(scene: &Scene<'_>) -> BTreeSet<GpuIndex> {
    let missed = scene.facts.iter().filter(|fact| fact.failed() && fact.name() == "xid.suspect");
    missed.filter_map(super::scene::Fact::gpu).collect()
}

fn read_xid(scene: &Scene<'_>, board: &mut Board, line: &Line<'_>, said: &XidLine, suspects: &BTreeSet<GpuIndex>) {
    let Some(gpu) = line.gpu else {
        // Against a device that is not in the inventory: one that could not be started.
        if said.code == 143 {
            board.accuse("GPU-NOT-STARTED", Component::Node, Confidence::High, [line.evidence()]);
        }
        return;
    };
    let row = xid(said.code);
    if row.is_some_and(|row| row.origin == Origin::LoadProgram) {
        return;
    }
    let burn_in = row.map_or(BurnIn::Suspect, |row| row.burn_in_when(said.declared));
    let confidence = match burn_in {
        BurnIn::Fails => Confidence::High,
        BurnIn::Suspect if suspects.contains(&gpu) => Confidence::Medium,
        _ => return,
    };
    let (code, component) = meaning(scene, gpu, said);
    let new = !board.has(code, component);
    let suspicion = board.accuse(code, component, confidence, [line.evidence()]);
    // The general code asks for what the table asks for; the others know more than the Xid does.
    if new && code == "GPU-XID" {
        suspicion.action = row.and_then(|row| row.factory.action());
    }
}

/// The finding a code stands for, and on what.
fn meaning(scene: &Scene<'_>, gpu: GpuIndex, said: &XidLine) -> (&'static str, Component) {
    let (memory, whole) = (Component::Memory(gpu), Component::Gpu(gpu));
    match said.code {
        79 => ("GPU-LOST", whole),
        109 | 119 | 120 => ("GPU-HANG", whole),
        54 => ("GPU-POWER-BRAKE", whole),
        64 => ("HBM-REMAP-FAILED", memory),
        172 => ("SRAM-UNCORRECTABLE", memory),
        48 | 94 | 95 if is_sram_error(scene, gpu) => ("SRAM-UNCORRECTABLE", memory),
        63 => ("HBM-REMAP-PENDING", memory),
        48 | 94 | 95 | 140 | 171 => ("HBM-UNCORRECTABLE", memory),
        92 => ("HBM-CORRECTED-RATE", memory),
        code => {
            let kind = xid(code).map(|row| row.component);
            match (kind, said.link) {
                (Some(ComponentKind::NvLink), Some(link)) => ("NVLINK-DOWN", Component::NvLink(gpu, link)),
                (Some(ComponentKind::NvLink), None) => ("NVLINK-DOWN", whole),
                _ => ("GPU-XID", whole),
            }
        }
    }
}

fn read_sxid(scene: &Scene<'_>, board: &mut Board, line: &Line<'_>, said: &SxidLine) {
    let burn_in = sxid(said.code).map_or(BurnIn::Suspect, |row| row.burn_in);
    let missed = |name: &str| scene.facts.iter().any(|fact| fact.failed() && fact.name() == name);
    let component = Component::Switch(said.switch);
    match burn_in {
        BurnIn::Fails => {
            board.accuse("SWITCH-FATAL", component, Confidence::High, [line.evidence()]);
        }
        BurnIn::Suspect | BurnIn::Counts if missed("sxid.suspect") || missed("sxid.other") => {
            board.accuse("SWITCH-ERRORS", component, Confidence::Medium, [line.evidence()]);
        }
        _ => {}
    }
}

/// The counts of the check are explained by the lines they count.
fn claim_counts(scene: &Scene<'_>, board: &mut Board) {
    for (place, fact) in scene.facts.iter().enumerate() {
        if fact.failed() && fact.check == "kernel.log" {
            let explained = match fact.name() {
                "xid.failing" | "xid.suspect" | "off-bus" | "xid.codes" => {
                    scene.lines.iter().any(|line| line.gpu == fact.gpu())
                }
                "sxid.failing" | "sxid.suspect" | "sxid.other" | "sxid.codes" => {
                    scene.lines.iter().any(|line| matches!(line.said, KernelLine::Sxid(_)))
                }
                "unplaced" => board.of("GPU-NOT-STARTED").next().is_some(),
                _ => false,
            };
            if explained {
                board.claim(place);
            }
        }
    }
}
