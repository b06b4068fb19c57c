//! The memory march: pass after pass over each GPU's memory, at the pace of its bandwidth.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the model computes in floats, and its counters, words and addresses are whole numbers within their range"
)]

use super::gpu::Gpu;
use super::load::{Bench, Job, Load, SECOND};
use super::noise::Noise;
use super::parameter::GpuParameter as G;
use kiln_model::{LoadKind, LoadSaid, WrongPlace, march_pass};

/// Passes of a march that was given no length, as of the worker's.
const PASSES: u32 = 1;
/// Share of memory the driver and the context keep for themselves.
const MEMORY_KEPT: f64 = 0.006;

impl Load {
    pub(super) fn pass_nanos(&self, gpu: &Gpu) -> u64 {
        let LoadKind::March { coverage } = self.kind else { return u64::MAX / 4 };
        let bytes = gpu.values[G::MemorySize] * 1_048_576.0 * coverage.clamp(0.01, 1.0) * (1.0 - MEMORY_KEPT);
        (bytes * f64::from(march_pass::MOVES) / (gpu.memory_bandwidth() * 1e9) * 1e9) as u64
    }

    pub(super) fn work_march(&mut self, now: u64, bench: &mut Bench<'_>) -> bool {
        let LoadKind::March { coverage } = self.kind else { return true };
        let Job::March { next, until, .. } = &mut self.job else { return true };
        let until = *until;
        if now >= *next {
            *next = (now / SECOND + 1) * SECOND;
            self.progress(now, bench);
        }
        for at in 0..self.on.len() {
            let place = self.on[at].gpu;
            let Job::March { ends, .. } = &self.job else { return true };
            if self.on[at].gone || now < ends[at] || bench.gpus[place].values[G::Hang] > 0.5 {
                continue;
            }
            let gpu = &bench.gpus[place];
            let words = gpu.values[G::MemorySize] * 1_048_576.0 / 8.0 * coverage * f64::from(march_pass::COMPARES);
            self.on[at].verified += words;
            let stuck = gpu.values[G::StuckCells].round() as u64;
            let (index, next_pass) = (gpu.index, now + self.pass_nanos(gpu));
            for cell in 0..stuck {
                // The same cells in every pass: they are where they are.
                let mut where_ = Noise::new(u64::from(index.0) * 7919 + cell, 77);
                if where_.uniform() > coverage {
                    continue;
                }
                let place = (WrongPlace::Chunk { chunk: where_.below(140), cell: None }, None);
                self.mismatch(now, at, place, where_.below(1 << 27), 1, bench);
            }
            let percent = 100.0 * coverage.clamp(0.0, 1.0) * (1.0 - MEMORY_KEPT);
            self.say(now, bench, LoadSaid::Covered { gpu: index, percent });
            let Job::March { ends, passes, .. } = &mut self.job else { return true };
            passes[at] += 1;
            let done = until.map_or(passes[at] >= PASSES, |until| now >= until);
            ends[at] = if done { u64::MAX } else { next_pass };
        }
        let Job::March { ends, .. } = &self.job else { return true };
        if self.on.iter().zip(ends).all(|(member, end)| member.gone || *end == u64::MAX) {
            self.progress(now, bench);
            return self.finish(now, bench);
        }
        true
    }
}
