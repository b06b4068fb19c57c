//! A step that measures bandwidth: the node at rest, a number of rounds of timed copies, what each moved.
//!
//! Which copies are ordered and how their numbers are told is the check's business.

#![expect(clippy::cast_precision_loss, reason = "counts and nanoseconds become floats for statistics, far below 2^53")]

use std::collections::BTreeMap;

use super::course::never_rested;
use super::settle::{Settle, Settling};
use super::{Done, Seen, StepContext, Wants};
use kiln_event::{LoadTrouble, Phase, Reason};
use kiln_model::{Endpoint, GpuIndex, LoadEnd, LoadKind, LoadSaid, Moment, Span, Transfer};

/// A round that takes longer than this hangs: the slowest, all 56 pairs of eight GPUs on PCIe at a tenth of its speed,
/// takes some five minutes.
const ROUND_WITHIN: Span = Span::from_secs(600);

/// One end of a copy, orderable; the host comes first.
type End = Option<GpuIndex>;

/// All bandwidths of one path, GB/s.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Moved(Vec<f64>);

impl Moved {
    pub(super) fn mean(&self) -> f64 {
        self.0.iter().sum::<f64>() / self.0.len() as f64
    }

    pub(super) const fn count(&self) -> u64 {
        self.0.len() as u64
    }
}

#[derive(Debug)]
pub(super) struct Copies {
    kind: LoadKind,
    rounds_left: u32,
    stage: Stage,
    moved: BTreeMap<(End, End), Moved>,
    /// Why copies with a GPU broke off.
    pub(super) broken: BTreeMap<GpuIndex, LoadEnd>,
}

#[derive(Debug)]
enum Stage {
    Fresh,
    Settling(Settle),
    Copying { until: Moment },
    Over,
}

#[derive(Debug, PartialEq)]
pub(super) enum Copied {
    NotYet,
    /// All rounds are over.
    All,
    Ended(Done),
}

impl Copies {
    pub(super) const fn new(kind: LoadKind, rounds: u32) -> Self {
        Self { kind, rounds_left: rounds, stage: Stage::Fresh, moved: BTreeMap::new(), broken: BTreeMap::new() }
    }

    pub(super) fn moved(&self, from: Endpoint, to: Endpoint) -> Option<&Moved> {
        self.moved.get(&(end_of(from), end_of(to)))
    }

    pub(super) fn turn(
        &mut self,
        context: &StepContext<'_>,
        now: Moment,
        seen: &Seen<'_>,
        wants: &mut Wants,
    ) -> Copied {
        match seen {
            Seen::Began => {
                let settle = Settle::new(context, now);
                wants.enter(Phase::Settling, Some(settle.deadline()));
                wants.wake_at(settle.deadline());
                self.stage = Stage::Settling(settle);
            }
            Seen::Sampled(sample) => {
                if let Stage::Settling(settle) = &mut self.stage {
                    settle.take(sample);
                }
            }
            Seen::Load(report)
                if matches!(self.stage, Stage::Copying { .. }) && self.hear(context, &report.said, now, wants) =>
            {
                self.stage = Stage::Over;
                return Copied::All;
            }
            _ => {}
        }
        match &self.stage {
            Stage::Settling(settle) => match settle.state(now, context.lost) {
                Settling::Waiting => {}
                Settling::Settled => {
                    wants.enter(Phase::Measuring, None);
                    self.start_round(context, now, wants);
                }
                Settling::TimedOut(why) => {
                    self.stage = Stage::Over;
                    return Copied::Ended(never_rested(why));
                }
            },
            Stage::Copying { until } if now >= *until => {
                self.stage = Stage::Over;
                wants.stop_loads();
                let why = Reason::Load(LoadTrouble::CopiesUnfinished { after: ROUND_WITHIN });
                return Copied::Ended(Done::Failed { why, measured: Vec::new() });
            }
            _ => {}
        }
        Copied::NotYet
    }

    fn start_round(&mut self, context: &StepContext<'_>, now: Moment, wants: &mut Wants) {
        self.rounds_left = self.rounds_left.saturating_sub(1);
        wants.start_load(self.kind.clone(), context.gpus(), None);
        let until = now + ROUND_WITHIN;
        wants.wake_at(until);
        self.stage = Stage::Copying { until };
    }

    /// Takes in what the load says; true once there is nothing more to copy.
    fn hear(&mut self, context: &StepContext<'_>, said: &LoadSaid, now: Moment, wants: &mut Wants) -> bool {
        match said {
            LoadSaid::Moved(Transfer { from, to, gb_per_s }) => {
                self.moved.entry((end_of(*from), end_of(*to))).or_default().0.push(*gb_per_s);
            }
            LoadSaid::Ended { gpu: Some(gpu), end } if *end != LoadEnd::Finished => {
                self.broken.insert(*gpu, end.clone());
            }
            LoadSaid::Ended { gpu: None, end } => {
                if *end == LoadEnd::Finished && self.rounds_left > 0 {
                    self.start_round(context, now, wants);
                    return false;
                }
                if *end != LoadEnd::Finished {
                    for gpu in context.gpus() {
                        self.broken.entry(gpu).or_insert_with(|| end.clone());
                    }
                }
                return true;
            }
            _ => {}
        }
        false
    }
}

const fn end_of(endpoint: Endpoint) -> End {
    match endpoint {
        Endpoint::Host => None,
        Endpoint::Gpu(gpu) => Some(gpu),
    }
}
