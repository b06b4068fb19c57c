//! Which end of an NVLink is bad: the GPU, the switch or only the link between, by what errors and slow pairs have in common.
//!
//! Where the evidence does not decide, the finding names all suspects and says so by them.

#![expect(clippy::cast_precision_loss, reason = "counts and nanoseconds become floats for statistics, far below 2^53")]

use std::collections::{BTreeMap, BTreeSet};

use super::board::Board;
use super::scene::{Fact, Scene, listed};
use kiln_event::{Confidence, Evidence};
use kiln_model::{Component, GpuIndex, LinkState, NvLink, Reading, Remote};

/// Links that have the same thing wrong with them, with the evidence of each GPU.
#[derive(Debug, Default)]
struct Bad {
    links: BTreeSet<(GpuIndex, u8)>,
    evidence: BTreeMap<GpuIndex, Vec<Evidence>>,
}

/// So many links of one GPU wrong at once are its own doing: two at once on one GPU may still be a shared connector.
const OF_ONE_GPU: usize = 3;
/// So many GPUs with a wrong link to one switch accuse the switch; on a node of fewer, half of them. Two bad links of eight GPUs end
/// at the same switch in one case of four, and name it as the other end of each.
const OF_ONE_SWITCH: usize = 3;
/// Share of a GPU's pairs that must be slow for the GPU to be the reason.
const OWN_PAIRS: f64 = 0.75;

pub(super) fn read_links(scene: &Scene<'_>, board: &mut Board) {
    let kinds: [(&str, &[&str], &str, &str); 4] = [
        (
            "NVLINK-INACTIVE",
            &["links", "links.active", "links.lacking", "links.inactive", "links.away", "active"],
            "links.inactive",
            "SWITCH-FATAL",
        ),
        ("NVLINK-SLOW", &["links.slow", "speed.min", "speed"], "links.slow", "SWITCH-SLOW"),
        ("NVLINK-MISWIRED", &["links.misrouted", "remote"], "links.misrouted", ""),
        (
            "NVLINK-ERRORS",
            &["nvlink.errors", "nvlink.error-links", "link.errors"],
            "nvlink.error-links",
            "SWITCH-ERRORS",
        ),
    ];
    for (code, names, list, of_switch) in kinds {
        let bad = gather(scene, board, names, list);
        accuse(scene, board, code, of_switch, bad);
    }
    read_fabric(scene, board);
    read_pairs(scene, board);
}

fn gather(scene: &Scene<'_>, board: &mut Board, names: &[&str], list: &str) -> Bad {
    let mut bad = Bad::default();
    for (place, fact) in scene.facts.iter().enumerate() {
        let of_links = fact.check.starts_with("nvlink.")
            || ["counters.baseline", "gpu.training", "thermal.soak"].contains(&fact.check);
        let Some(gpu) = fact.gpu().filter(|_| of_links && fact.failed() && names.contains(&fact.name())) else {
            continue;
        };
        board.claim(place);
        bad.evidence.entry(gpu).or_default().push(fact.evidence());
        if let Component::NvLink(gpu, link) = fact.component() {
            bad.links.insert((gpu, link));
        } else {
            let text = scene.text_beside(fact.path, fact.component(), list);
            bad.links.extend(listed(text).into_iter().map(|link| (gpu, link)));
        }
    }
    bad
}

/// Names what the bad links have in common: a switch, a GPU, or nothing.
fn accuse(scene: &Scene<'_>, board: &mut Board, code: &str, of_switch: &str, bad: Bad) {
    let mut left = bad.links;
    let mut told: BTreeSet<GpuIndex> = BTreeSet::new();
    // A link that ends at the wrong place is no fault of the switch it ends at.
    let switches = if of_switch.is_empty() { BTreeMap::new() } else { by_switch(scene, &left) };
    for (switch, links) in switches {
        let gpus: BTreeSet<GpuIndex> = links.iter().map(|(gpu, _)| *gpu).collect();
        // Links of one GPU to one switch are no vote; neither is a switch that all bad links of many switches include.
        if gpus.len() >= OF_ONE_SWITCH.min(scene.gpus().len().div_ceil(2)).max(2) && links.len() * 2 > left.len() {
            let evidence = gpus.iter().filter_map(|gpu| bad.evidence.get(gpu)).flatten().cloned();
            board.accuse(of_switch, Component::Switch(switch), Confidence::Medium, evidence);
            left.retain(|link| !links.contains(link));
            told.extend(gpus);
        }
    }
    let mut by_gpu: BTreeMap<GpuIndex, Vec<u8>> = BTreeMap::new();
    for (gpu, link) in &left {
        by_gpu.entry(*gpu).or_default().push(*link);
    }
    for (gpu, evidence) in bad.evidence {
        match by_gpu.get(&gpu).map_or(&[][..], Vec::as_slice) {
            [] if told.contains(&gpu) => {}
            links if links.is_empty() || links.len() >= OF_ONE_GPU => {
                board.accuse(code, Component::Gpu(gpu), Confidence::Medium, evidence);
            }
            links => {
                for link in links {
                    let own = Component::NvLink(gpu, *link);
                    let code =
                        if code == "NVLINK-INACTIVE" && was_up(scene, gpu, *link) { "NVLINK-DOWN" } else { code };
                    let ends = other_end(scene, gpu, *link).map(|end| vec![own, end]).unwrap_or_default();
                    let suspicion = board.accuse(code, own, Confidence::Medium, evidence.iter().cloned());
                    suspicion.suspects = ends;
                }
            }
        }
    }
}

fn link<'a>(scene: &'a Scene<'_>, gpu: GpuIndex, number: u8) -> Option<&'a NvLink> {
    scene.inventory.gpu(gpu)?.nvlinks.value()?.iter().find(|link| link.link == number)
}

/// Whether the link was up when the run began.
fn was_up(scene: &Scene<'_>, gpu: GpuIndex, number: u8) -> bool {
    link(scene, gpu, number).is_some_and(|link| link.state == Reading::Value(LinkState::Active))
}

fn other_end(scene: &Scene<'_>, gpu: GpuIndex, number: u8) -> Option<Component> {
    match link(scene, gpu, number)?.remote.value()? {
        Remote::Switch { number, .. } => Some(Component::Switch(*number)),
        Remote::Gpu(other) => Some(Component::Gpu(*other)),
        Remote::Cpu(cpu) => Some(Component::Cpu(*cpu)),
        Remote::Other(_) => None,
    }
}

/// The switch a link ends at; of a link that is down, the one the same link of most GPUs ends at.
fn switch_of(scene: &Scene<'_>, gpu: GpuIndex, number: u8) -> Option<u8> {
    if let Some(Component::Switch(switch)) = other_end(scene, gpu, number) {
        return Some(switch);
    }
    let mut counts: BTreeMap<u8, usize> = BTreeMap::new();
    for other in scene.gpus() {
        if let Some(Component::Switch(switch)) = other_end(scene, other, number) {
            *counts.entry(switch).or_default() += 1;
        }
    }
    counts.into_iter().max_by_key(|(_, count)| *count).map(|(switch, _)| switch)
}

fn by_switch(scene: &Scene<'_>, links: &BTreeSet<(GpuIndex, u8)>) -> BTreeMap<u8, BTreeSet<(GpuIndex, u8)>> {
    let mut switches: BTreeMap<u8, BTreeSet<(GpuIndex, u8)>> = BTreeMap::new();
    for (gpu, link) in links {
        if let Some(switch) = switch_of(scene, *gpu, *link) {
            switches.entry(switch).or_default().insert((*gpu, *link));
        }
    }
    switches
}

/// A fabric that is not ready for every GPU is the node's matter, for one GPU that GPU's.
fn read_fabric(scene: &Scene<'_>, board: &mut Board) {
    const NAMES: &[&str] = &["state", "status", "cluster.set", "cluster.valid", "cluster.uniform"];
    let mut unready: BTreeMap<GpuIndex, Vec<Evidence>> = BTreeMap::new();
    for (place, fact) in scene.facts.iter().enumerate() {
        let is_of_fabric = fact.name() == "fabric.away" || fact.check == "fabric.state" && NAMES.contains(&fact.name());
        if fact.failed()
            && is_of_fabric
            && let Some(gpu) = fact.gpu()
        {
            unready.entry(gpu).or_default().push(fact.evidence());
            board.claim(place);
        }
    }
    let all = unready.len() > 1 && unready.len() == scene.gpus().len();
    for (gpu, evidence) in unready {
        let component = if all { Component::Node } else { Component::Gpu(gpu) };
        board.accuse("FABRIC-NOT-READY", component, Confidence::High, evidence);
    }
}

/// Slow copies between GPUs, by voting over the matrix of pairs.
fn read_pairs(scene: &Scene<'_>, board: &mut Board) {
    let mut slow: BTreeMap<(GpuIndex, GpuIndex), Vec<Evidence>> = BTreeMap::new();
    let mut of_gpu: BTreeMap<GpuIndex, Vec<Evidence>> = BTreeMap::new();
    for (place, fact) in scene.facts.iter().enumerate() {
        // What a GPU sends in training is judged too; the rest of that step is no matter of links.
        let of_links = fact.check.starts_with("nvlink.") || fact.name() == "egress.mean";
        if !fact.failed() || board.is_claimed(place) || !of_links {
            continue;
        }
        match fact.component() {
            Component::Pair(from, to) => slow.entry((from, to)).or_default().push(fact.evidence()),
            Component::Gpu(gpu) => of_gpu.entry(gpu).or_default().push(fact.evidence()),
            _ => continue,
        }
        board.claim(place);
    }
    if slow.is_empty() && of_gpu.is_empty() {
        return;
    }
    let measured: BTreeSet<(GpuIndex, GpuIndex)> = scene.facts.iter().filter_map(pair_of).collect();
    if slow.is_empty() {
        return vote_by_gpu(scene, board, of_gpu);
    }
    if slow.len() * 10 >= measured.len() * 9 && measured.len() > 2 {
        let evidence: Vec<Evidence> = slow.into_values().chain(of_gpu.into_values()).flatten().collect();
        return accuse_all(scene, board, evidence);
    }
    let share = |is_own: &dyn Fn(&(GpuIndex, GpuIndex)) -> bool| {
        let all = measured.iter().filter(|pair| is_own(pair)).count();
        let bad = slow.keys().filter(|pair| is_own(pair)).count();
        if all == 0 { 0.0 } else { bad as f64 / all as f64 }
    };
    // A GPU may be slow as sender or as receiver alone.
    let is_guilty =
        |gpu: &GpuIndex| share(&|pair| pair.0 == *gpu) >= OWN_PAIRS || share(&|pair| pair.1 == *gpu) >= OWN_PAIRS;
    let guilty: BTreeSet<GpuIndex> = scene.gpus().into_iter().filter(is_guilty).collect();
    for ((from, to), evidence) in slow {
        let blamed: Vec<GpuIndex> = [from, to].into_iter().filter(|gpu| guilty.contains(gpu)).collect();
        if blamed.is_empty() {
            let suspicion = board.accuse("NVLINK-BANDWIDTH", Component::Pair(from, to), Confidence::Low, evidence);
            suspicion.suspects = vec![Component::Gpu(from), Component::Gpu(to)];
        }
        for gpu in &blamed {
            accuse_one(scene, board, *gpu, slow_evidence(&of_gpu, *gpu));
        }
    }
}

fn slow_evidence(of_gpu: &BTreeMap<GpuIndex, Vec<Evidence>>, gpu: GpuIndex) -> Vec<Evidence> {
    of_gpu.get(&gpu).cloned().unwrap_or_default()
}

fn pair_of(fact: &Fact<'_>) -> Option<(GpuIndex, GpuIndex)> {
    match fact.component() {
        Component::Pair(from, to) if fact.name() == "bandwidth" && fact.number().is_some() => Some((from, to)),
        _ => None,
    }
}

/// What is low where a GPU is slow with its middle partner, and not only with one.
const IN_THE_MIDDLE: &[&str] = &["out.median", "in.median", "egress.mean", "egress.worst"];

/// Without single pairs judged: all GPUs, or those that are slow with their middle partner.
fn vote_by_gpu(scene: &Scene<'_>, board: &mut Board, of_gpu: BTreeMap<GpuIndex, Vec<Evidence>>) {
    let gpus = scene.gpus().len();
    if gpus > 2 && of_gpu.len() == gpus {
        let in_the_middle =
            |evidence: &Evidence| evidence.measurement().is_some_and(|name| IN_THE_MIDDLE.contains(&name));
        let (own, others): (Vec<_>, Vec<_>) =
            of_gpu.into_iter().partition(|(_, evidence)| evidence.iter().any(in_the_middle));
        if own.is_empty() || others.is_empty() {
            return accuse_all(
                scene,
                board,
                own.into_iter().chain(others).flat_map(|(_, evidence)| evidence).collect(),
            );
        }
        for (gpu, evidence) in own {
            accuse_one(scene, board, gpu, evidence);
        }
        return;
    }
    for (gpu, evidence) in of_gpu {
        accuse_one(scene, board, gpu, evidence);
    }
}

fn has_nvlink(scene: &Scene<'_>, gpu: GpuIndex) -> bool {
    let links = scene.inventory.gpu(gpu).and_then(|gpu| gpu.nvlinks.value());
    links.is_some_and(|links| !links.is_empty())
}

fn accuse_one(scene: &Scene<'_>, board: &mut Board, gpu: GpuIndex, evidence: Vec<Evidence>) {
    let (code, component) = if has_nvlink(scene, gpu) {
        ("NVLINK-BANDWIDTH", Component::Gpu(gpu))
    } else {
        ("PCIE-P2P", Component::Pcie(gpu))
    };
    board.accuse(code, component, Confidence::Medium, evidence);
}

fn accuse_all(scene: &Scene<'_>, board: &mut Board, evidence: Vec<Evidence>) {
    let gpus = scene.gpus();
    let nvlink = gpus.iter().any(|gpu| has_nvlink(scene, *gpu));
    if !nvlink {
        let suspicion = board.accuse("PCIE-P2P", Component::Node, Confidence::Medium, evidence);
        suspicion.suspects = gpus.into_iter().map(Component::Pcie).collect();
        return;
    }
    let links = gpus.iter().filter_map(|gpu| scene.inventory.gpu(*gpu)?.nvlinks.value()).flatten();
    let ends = links.filter_map(|link| match link.remote.value()? {
        Remote::Switch { number, .. } => Some(Component::Switch(*number)),
        _ => None,
    });
    let switches: BTreeSet<Component> = ends.collect();
    let component = if switches.len() == 1 { switches.first().copied() } else { None };
    let suspicion = board.accuse("SWITCH-SLOW", component.unwrap_or(Component::Node), Confidence::Low, evidence);
    suspicion.suspects = if switches.len() > 1 { switches.into_iter().collect() } else { Vec::new() };
}
