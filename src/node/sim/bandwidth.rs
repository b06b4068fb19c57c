//! How fast copies run: host to GPU, GPU to GPU, and all to all, as the links' states allow.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the model computes in floats, and its counters, words and addresses are whole numbers within their range"
)]

use super::build::Kind;
use super::file::C2cSection;
use super::gpu::Gpu;
use super::parameter::{GpuParameter as G, LinkParameter as L};
use kiln_model::{CopyDirection, GpuIndex};
use std::collections::BTreeMap;

/// GB/s of one lane by generation: 2.5 and 5 GT/s with 8b/10b, then 8, 16 and 32 GT/s with 128b/130b, then 64 GT/s PAM4
/// flits (PCI Express Base Specification).
const LANE: [f64; 6] = [0.25, 0.5, 0.985, 1.969, 3.938, 7.563];
/// A peer copy over PCIe against a copy from host memory; through host memory it goes twice over the link.
const PEER_SHARE: f64 = 0.9;
const BOUNCED_SHARE: f64 = 0.42;
/// All GPUs copying over PCIe at once share root ports.
const PCIE_ALL_SHARE: f64 = 0.6;
/// What a replay and a recovery of an NVLink cost, s: a retransmission window, and a retraining.
const REPLAY_COST: f64 = 5e-6;
const RECOVERY_COST: f64 = 2e-3;

/// What copies run over, beside the GPUs themselves.
#[derive(Debug, Clone, Default)]
pub(super) struct Paths {
    pub(super) c2c: Option<C2cSection>,
    /// Share of its bandwidth each switch carries.
    pub(super) switches: Vec<f64>,
    /// Share of their bandwidth that copies from one slot to another get, where it is not all.
    pub(super) pairs: BTreeMap<(GpuIndex, GpuIndex), f64>,
}

/// GB/s that all NVLinks of a GPU carry together, each way.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Lanes {
    out: f64,
    into: f64,
}

impl Paths {
    /// GB/s between host and GPU.
    pub(super) fn host(&self, gpu: &Gpu, direction: CopyDirection) -> f64 {
        let values = &gpu.values;
        if let Some(c2c) = &self.c2c {
            let raw = values[G::C2cActive] * c2c.speed / 1000.0;
            let to_host = direction == CopyDirection::DeviceToHost;
            return (raw * if to_host { c2c.to_host_efficiency } else { c2c.to_gpu_efficiency }).max(0.5);
        }
        pcie(gpu) * one_way(gpu, direction)
    }

    /// GB/s from one GPU to another with all others at rest.
    pub(super) fn pair(&self, from: &Gpu, to: &Gpu, kind: &Kind) -> f64 {
        let slot = |gpu: &Gpu| GpuIndex(gpu.part.slot as u8);
        let share = self.pairs.get(&(slot(from), slot(to))).copied().unwrap_or(1.0);
        self.whole_pair(from, to, kind) * share
    }

    fn whole_pair(&self, from: &Gpu, to: &Gpu, kind: &Kind) -> f64 {
        if from.links.is_empty() {
            let out = pcie(from) * one_way(from, CopyDirection::DeviceToHost);
            let slower = out.min(pcie(to) * one_way(to, CopyDirection::HostToDevice));
            let direct = from.values[G::PcieP2p].min(to.values[G::PcieP2p]) > 0.5;
            return slower * if direct { PEER_SHARE } else { BOUNCED_SHARE };
        }
        let connected = fabric(from).min(fabric(to));
        (self.lanes(from).out.min(self.lanes(to).into) * kind.pair_efficiency * connected).max(0.5)
    }

    /// GB/s out of one GPU with all `gpus` copying to one another.
    pub(super) fn all(&self, gpu: &Gpu, kind: &Kind) -> f64 {
        if gpu.links.is_empty() {
            let direct = if gpu.values[G::PcieP2p] > 0.5 { PCIE_ALL_SHARE } else { PCIE_ALL_SHARE * BOUNCED_SHARE };
            return pcie(gpu) * direct;
        }
        let lanes = self.lanes(gpu);
        (lanes.out.min(lanes.into) * kind.all_efficiency * fabric(gpu)).max(0.5)
    }

    /// Addresses are striped evenly over the links that are up, so the slowest of them sets the pace of all.
    fn lanes(&self, gpu: &Gpu) -> Lanes {
        let mut up = 0.0;
        let mut slowest = Lanes { out: f64::INFINITY, into: f64::INFINITY };
        for link in gpu.links.iter().filter(|link| link[L::Active] > 0.5) {
            up += 1.0;
            let switch = self.switches.get(link[L::RemoteSwitch] as usize).copied().unwrap_or(1.0);
            let speed = link[L::Speed] / 1000.0 * switch;
            // Seconds lost for each TB.
            let lost = (link[L::CrcRate] + link[L::ReplayRate]) * REPLAY_COST + link[L::RecoveryRate] * RECOVERY_COST;
            let carries = |share: f64| 1.0 / (1.0 / (speed * share).max(0.001) + lost / 1000.0);
            let (share_out, share_into) = (link[L::SpeedOut], link[L::SpeedIn]);
            let out = carries(share_out);
            slowest.out = slowest.out.min(out);
            slowest.into = slowest.into.min(if share_into == share_out { out } else { carries(share_into) });
        }
        if up == 0.0 {
            return Lanes { out: 0.0, into: 0.0 };
        }
        Lanes { out: up * slowest.out, into: up * slowest.into }
    }
}

/// 0 where the GPU is not in the fabric: copies then find no NVLink path.
fn fabric(gpu: &Gpu) -> f64 {
    if gpu.values[G::FabricState] > 1.5 && gpu.values[G::FabricStatus] == 0.0 { 1.0 } else { 0.02 }
}

/// Share of its bandwidth that a link gives to one direction.
fn one_way(gpu: &Gpu, direction: CopyDirection) -> f64 {
    match direction {
        CopyDirection::HostToDevice => gpu.values[G::PcieToGpu],
        CopyDirection::DeviceToHost => gpu.values[G::PcieToHost],
        CopyDirection::Both => gpu.values[G::PcieToGpu].min(gpu.values[G::PcieToHost]),
    }
}

fn pcie(gpu: &Gpu) -> f64 {
    let values = &gpu.values;
    let generation = if gpu.clock_time < gpu.pcie_down_until { 1.0 } else { values[G::PcieGeneration].round() };
    let lane = LANE[(generation.clamp(1.0, 6.0) - 1.0) as usize];
    lane * values[G::PcieWidth].round() * values[G::PcieEfficiency]
}
