//! The memory stream beside a burn: a buffer larger than any cache, swept over and over by moving inversions, so that
//! memory is loaded and checked while the tensor cores are.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "sizes and places in memory are 64 bits wide on every host with a GPU, and rates are floats of counts"
)]

use std::sync::Arc;

use super::drive_context::{Broken, DriveContext};
use crate::cuda::driver::{Buffer, Event, Gpu, Grid, Kernel, Stream};
use crate::cuda::layout::{MARCH_DOWN, MARCH_VERIFY, MARCH_WRITE, MarchArgs, NONE_64, PATTERN_RANDOM, Pattern};
use kiln_model::GpuWork;

/// Many times the largest cache, so that every access goes to memory; a quarter of what is free on small GPUs.
const LARGEST: usize = 4 << 30;
/// Small enough for a block to stand beside a burn's.
const THREADS: u32 = 256;

/// The unit of a record that is the stream's and not the burn's.
pub(super) const OF_THE_STREAM: u32 = u32::MAX;

#[derive(Debug)]
pub(super) struct MemoryStream {
    pub(super) stream: Stream,
    buffer: Buffer,
    march: Kernel<MarchArgs>,
    began: Event,
    ended: Event,
    log: u64,
    pattern: Pattern,
    blocks: u32,
    sweep: u64,
    /// Sweeps that fit into one launch of the burn.
    sweeps: u32,
    queued: u32,
}

impl MemoryStream {
    /// Writes its pattern. The log is the burn's.
    pub(super) fn new(context: &DriveContext<'_>, gpu: &Arc<Gpu>, log: u64) -> Result<Self, Broken> {
        let (free, _) = gpu.memory()?;
        let bytes = (free / 4).min(LARGEST) & !0xFFFF;
        let pattern = Pattern { kind: PATTERN_RANDOM, parameter: context.order.seed, ..Pattern::default() };
        let memory_stream = Self {
            stream: Stream::new(gpu)?,
            buffer: Buffer::new(gpu, bytes)?,
            march: Kernel::new(gpu, "march")?,
            began: Event::new(gpu)?,
            ended: Event::new(gpu)?,
            log,
            pattern,
            blocks: gpu.multiprocessors,
            sweep: 0,
            sweeps: 1,
            queued: 0,
        };
        memory_stream.launch(MarchArgs { write: pattern, flags: MARCH_WRITE, ..memory_stream.args() })?;
        context.wait(&memory_stream.stream, GpuWork::StreamBegins)?;
        Ok(memory_stream)
    }

    fn args(&self) -> MarchArgs {
        MarchArgs {
            log: self.log,
            base: self.buffer.address(),
            pairs: self.buffer.bytes() as u64 / 16,
            iteration: self.sweep,
            inject_word: NONE_64,
            chunk: OF_THE_STREAM,
            ..MarchArgs::default()
        }
    }

    fn launch(&self, args: MarchArgs) -> Result<(), Broken> {
        let grid = Grid { blocks: self.blocks, threads: THREADS, shared_bytes: 0 };
        Ok(self.march.launch(&self.stream, grid, args)?)
    }

    /// Queues as many sweeps as fit beside the burn's launch.
    pub(super) fn run(&mut self) -> Result<(), Broken> {
        self.stream.mark(&self.began)?;
        for _ in 0..self.sweeps {
            let expect = self.pattern;
            self.pattern.invert = !self.pattern.invert;
            let down = if self.sweep.is_multiple_of(2) { 0 } else { MARCH_DOWN };
            let flags = MARCH_VERIFY | MARCH_WRITE | down;
            self.launch(MarchArgs { expect, write: self.pattern, flags, ..self.args() })?;
            self.sweep += 1;
        }
        self.stream.mark(&self.ended)?;
        self.queued = self.sweeps;
        Ok(())
    }

    /// Waits for the sweeps, fits their number to what the burn took, and gives the bytes moved.
    pub(super) fn finish(&mut self, context: &DriveContext<'_>, burn_seconds: f64) -> Result<f64, Broken> {
        context.wait(&self.stream, GpuWork::Stream)?;
        let seconds = self.ended.seconds_since(&self.began)?.max(1e-9) / f64::from(self.queued);
        // Not more than doubled at once: the first sweeps are the slowest.
        let fit = (burn_seconds / seconds) as u32;
        self.sweeps = fit.clamp(1, self.sweeps * 2);
        Ok(2.0 * self.buffer.bytes() as f64 * f64::from(self.queued))
    }
}
