//! What loads do to their GPUs while they run, and the words fault files have for them.

#![expect(
    clippy::cast_precision_loss,
    reason = "the model computes in floats, and its counters, words and addresses are whole numbers within their range"
)]

use super::bandwidth::Paths;
use super::build::Kind;
use super::copies::{COPIES, COPY_GB, HOST_SET_UP, PAIR_SET_UP};
use super::gpu::{Activity, Gpu};
use super::load::{Job, Load, TILE_FLOP};
use kiln_model::{BurnKernel, LoadKind, Turns};

impl Load {
    /// Adds what this load does to its GPUs to `activities`, one for each GPU of the node.
    pub(super) fn exert(&self, gpus: &[Gpu], kind: &Kind, paths: &Paths, activities: &mut [Activity]) {
        for member in self.on.iter().filter(|member| !member.gone) {
            let activity = &mut activities[member.gpu];
            activity.busy = true;
            activity.duty = activity.duty.max(if self.running { self.duty() } else { 1.0 });
            if !self.running {
                continue;
            }
            match self.kind {
                LoadKind::Burn(kernel) => burn(activity, kind, kernel),
                LoadKind::FixedClock { kernel, megahertz } => {
                    burn(activity, kind, kernel);
                    activity.held_clock = Some(megahertz);
                }
                LoadKind::Screen { kernel, turns, held } => {
                    products(activity, kind, kernel, share_at_work(turns, kind.sms));
                    activity.held_clock = held.or(activity.held_clock);
                }
                LoadKind::Pulse { kernel, hertz, .. } => {
                    burn(activity, kind, kernel);
                    activity.hertz = hertz;
                }
                LoadKind::March { .. } => {
                    activity.memory = (activity.memory + 1.0).min(1.0);
                    activity.compute = activity.compute.max(0.15);
                }
                LoadKind::AllToAll => {
                    let out = paths.all(&gpus[member.gpu], kind);
                    carry(activity, out, &gpus[member.gpu]);
                }
                LoadKind::HostCopy(_) | LoadKind::PairCopy | LoadKind::Program(_) => {}
            }
        }
        self.exert_leg(gpus, kind, paths, activities);
    }

    fn exert_leg(&self, gpus: &[Gpu], kind: &Kind, paths: &Paths, activities: &mut [Activity]) {
        let Job::Legs { legs, at, .. } = &self.job else { return };
        let Some(leg) = legs.get(*at).filter(|_| self.running) else { return };
        match (leg.from, leg.to) {
            (Some(from), Some(to)) => {
                // The two GPUs move data for about a fifth of the leg; the rest is set-up.
                let rate = paths.pair(&gpus[from], &gpus[to], kind);
                let share = COPIES * COPY_GB / rate / (PAIR_SET_UP + COPIES * COPY_GB / rate);
                carry(&mut activities[from], rate * share, &gpus[from]);
                if gpus[to].links.is_empty() {
                    activities[to].host += rate * share;
                }
            }
            (Some(gpu), None) | (None, Some(gpu)) => {
                let rate = paths.host(&gpus[gpu], leg.direction);
                let share = COPIES * COPY_GB / rate / (HOST_SET_UP + COPIES * COPY_GB / rate);
                activities[gpu].host += rate * share;
            }
            (None, None) => {}
        }
    }

    /// Whether this load is of the kind a fault's condition names.
    pub(super) fn is_kind(&self, word: LoadWord, gpu: Option<usize>) -> bool {
        let there = gpu.is_none_or(|gpu| self.on.iter().any(|member| member.gpu == gpu && !member.gone));
        there && self.running && LoadWord::of(&self.kind) == Some(word)
    }
}

/// Kinds of load by the word a fault file uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadWord {
    Burn,
    Pulse,
    March,
    HostCopy,
    PairCopy,
    AllToAll,
    Screen,
    FixedClock,
}

impl LoadWord {
    pub const ALL: &'static [(&'static str, Self)] = &[
        ("burn", Self::Burn),
        ("pulse", Self::Pulse),
        ("march", Self::March),
        ("host-copy", Self::HostCopy),
        ("pair-copy", Self::PairCopy),
        ("all-to-all", Self::AllToAll),
        ("screen", Self::Screen),
        ("fixed-clock", Self::FixedClock),
    ];

    const fn of(kind: &LoadKind) -> Option<Self> {
        Some(match kind {
            LoadKind::Burn(_) => Self::Burn,
            LoadKind::Pulse { .. } => Self::Pulse,
            LoadKind::March { .. } => Self::March,
            LoadKind::HostCopy(_) => Self::HostCopy,
            LoadKind::PairCopy => Self::PairCopy,
            LoadKind::AllToAll => Self::AllToAll,
            LoadKind::Screen { .. } => Self::Screen,
            LoadKind::FixedClock { .. } => Self::FixedClock,
            LoadKind::Program(_) => return None,
        })
    }
}

/// Share of the multiprocessors' time that a screen has them at work. Where each works alone and then all together, a round
/// of `sms + 1` launches of one length holds two for each multiprocessor.
pub(super) fn share_at_work(turns: Turns, sms: u64) -> f64 {
    match turns {
        Turns::AllAtOnce => 1.0,
        Turns::EachInTurn => 2.0 / (sms + 1) as f64,
    }
}

fn burn(activity: &mut Activity, kind: &Kind, kernel: BurnKernel) {
    products(activity, kind, kernel, 1.0);
    activity.memory = (activity.memory + kind.kernel(kernel).memory).min(1.0);
}

/// Products on a share of the multiprocessors, from operands that stay on them.
fn products(activity: &mut Activity, kind: &Kind, kernel: BurnKernel, share: f64) {
    let kernel = kind.kernel(kernel);
    activity.compute = (activity.compute + share * kernel.activity).min(1.2);
    activity.arithmetic = (activity.arithmetic + share).min(1.0);
    activity.tiles += share * kernel.flop_per_clock * kernel.efficiency * 1e6 / TILE_FLOP;
}

/// GPU-to-GPU traffic goes over NVLink where there is one.
fn carry(activity: &mut Activity, gb_per_s: f64, gpu: &Gpu) {
    if gpu.links.is_empty() {
        activity.host += gb_per_s;
    } else {
        activity.nvlink += gb_per_s;
        // What goes out is read from memory, and as much comes in and is written.
        activity.memory = (activity.memory + 2.0 * gb_per_s / gpu.memory_bandwidth()).min(1.0);
    }
}
