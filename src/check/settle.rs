//! Waiting for the node to come to rest: no utilisation, die temperatures that stand still, within a limit in time.
//!
//! What a check does with a node that never settles is its own business; most cannot decide then.

#![expect(clippy::cast_precision_loss, reason = "counts and nanoseconds become floats for statistics, far below 2^53")]

use std::collections::{BTreeMap, BTreeSet};

use super::StepContext;
use super::sloping::Line;
use kiln_event::Restless;
use kiln_model::{GpuIndex, Moment, Sample, Sensor, Span};

/// Blocks a window is cut into; a trend over block means is steadier than one over single whole-degree readings.
const BLOCKS: u32 = 6;

/// Watches a few GPUs come to rest.
#[derive(Debug)]
pub(super) struct Settle {
    began: Moment,
    deadline: Moment,
    block: Span,
    /// K/s.
    steepest: f64,
    gpus: BTreeMap<GpuIndex, Rest>,
}

/// Where settling is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Settling {
    Waiting,
    Settled,
    /// The limit in time passed with these GPUs restless.
    TimedOut(Vec<Restless>),
}

/// A GPU at rest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Idle {
    pub(super) die: f64,
    pub(super) power: Option<f64>,
}

#[derive(Debug, Default)]
struct Rest {
    /// Means of complete blocks in a row, oldest first; at most [`BLOCKS`].
    blocks: Vec<Block>,
    open: Open,
    /// What was seen last, for the message of a time-out.
    busy: bool,
}

#[derive(Debug, Clone, Copy)]
struct Block {
    at: Moment,
    die: f64,
    power: Option<f64>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Open {
    started: Option<Moment>,
    die: f64,
    power: f64,
    powers: u32,
    count: u32,
}

impl Settle {
    /// Reads `settle-within`, `settle-over` and `settle-slope` from the step's parameters.
    pub(super) fn new(context: &StepContext<'_>, now: Moment) -> Self {
        let over = context.params.span("settle-over").unwrap_or(Span::from_secs(60));
        let within = context.params.span("settle-within").unwrap_or(Span::from_secs(600));
        let steepest = context.params.number("settle-slope").unwrap_or(2.0) / 60.0;
        let gpus = context.gpus().into_iter().map(|gpu| (gpu, Rest::default())).collect();
        Self { began: now, deadline: now + within, block: (over / BLOCKS).max(context.every), steepest, gpus }
    }

    /// When [`Settle::state`] must be asked at the latest.
    pub(super) const fn deadline(&self) -> Moment {
        self.deadline
    }

    pub(super) fn took(&self, now: Moment) -> Span {
        now.since(self.began)
    }

    pub(super) fn take(&mut self, sample: &Sample) {
        let block = self.block;
        if let Some(rest) = self.gpus.get_mut(&sample.gpu) {
            rest.take(sample, block);
        }
    }

    pub(super) fn state(&self, now: Moment, lost: &BTreeMap<GpuIndex, Moment>) -> Settling {
        let restless: BTreeSet<&GpuIndex> = self
            .gpus
            .iter()
            .filter(|(gpu, rest)| !lost.contains_key(gpu) && !rest.settled(self.steepest))
            .map(|(gpu, _)| gpu)
            .collect();
        if restless.is_empty() {
            return Settling::Settled;
        }
        if now < self.deadline {
            return Settling::Waiting;
        }
        let busy = |gpu: &GpuIndex| self.gpus.get(gpu).is_some_and(|rest| rest.busy);
        Settling::TimedOut(restless.into_iter().map(|gpu| Restless { gpu: *gpu, busy: busy(gpu) }).collect())
    }

    /// The GPU's idle values over the settled window.
    pub(super) fn idle(&self, gpu: GpuIndex) -> Option<Idle> {
        let rest = self.gpus.get(&gpu).filter(|rest| rest.settled(self.steepest))?;
        let n = rest.blocks.len() as f64;
        let die = rest.blocks.iter().map(|block| block.die).sum::<f64>() / n;
        let powers: Option<Vec<f64>> = rest.blocks.iter().map(|block| block.power).collect();
        Some(Idle { die, power: powers.map(|powers| powers.iter().sum::<f64>() / n) })
    }
}

impl Rest {
    fn take(&mut self, sample: &Sample, length: Span) {
        // Where utilisation cannot be read, steady temperatures alone must do.
        self.busy = sample.get(Sensor::UtilGpu).is_some_and(|util| util > 0.0);
        let Some(die) = sample.get(Sensor::TempGpu).filter(|_| !self.busy) else {
            self.blocks.clear();
            self.open = Open::default();
            return;
        };
        let started = *self.open.started.get_or_insert(sample.at);
        self.open.die += die;
        self.open.count += 1;
        if let Some(power) = sample.get(Sensor::Power) {
            self.open.power += power;
            self.open.powers += 1;
        }
        if sample.at.since(started) < length {
            return;
        }
        if self.blocks.len() == BLOCKS as usize {
            self.blocks.remove(0);
        }
        let open = std::mem::take(&mut self.open);
        self.blocks.push(Block {
            at: started,
            die: open.die / f64::from(open.count),
            power: (open.powers > 0).then(|| open.power / f64::from(open.powers)),
        });
    }

    fn settled(&self, steepest: f64) -> bool {
        let mut line = Line::default();
        for block in &self.blocks {
            line.add(block.at, block.die);
        }
        self.blocks.len() == BLOCKS as usize && line.slope().is_some_and(|slope| slope.abs() <= steepest)
    }
}
