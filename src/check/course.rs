//! The course of a step that loads GPUs: rest where that is needed, load, warm-up, steady window.
//!
//! ```text
//! resting --(at rest, or needless)--> starting --(load runs)--> warming up --(time, or steady)--> measuring --> over
//! ```
//! What is measured on the way is the check's business. While the load runs the course asks four times a minute for the inventory, in
//! which a check sees what went away meanwhile and what came.

use std::collections::BTreeMap;

use super::inventory_watch::Glances;
use super::settle::{Idle, Settle, Settling};
use super::{Done, Seen, StepContext, Wants};
use kiln_event::{LoadTrouble, Phase, Reason, Restless};
use kiln_model::{GpuIndex, LoadEnd, LoadKind, LoadSaid, Moment, Probe, Sensor, Span};

/// How long a load may take until all GPUs are under it: operand generation and context creation on eight GPUs.
pub(super) const START_WITHIN: Span = Span::from_secs(120);

/// A load's first words tell of work that it was still taking up; these many seconds after its start it is under way.
const UNDER_WAY: Span = Span::from_secs(10);

/// Whether the node must be at rest before the load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rest {
    Needless,
    /// Only the idle state is wanted, and only where no inlet temperature can be read. A node that does not rest is
    /// loaded all the same.
    ForReference,
    /// What is measured depends on it: a node that does not rest cannot be judged.
    Must,
}

#[derive(Debug)]
pub(super) struct Course {
    rest: Rest,
    kind: LoadKind,
    warmup: Span,
    length: Span,
    stage: Stage,
    /// The idle state of every GPU that came to rest.
    pub(super) idle: BTreeMap<GpuIndex, Idle>,
    /// When the load was running on all GPUs.
    pub(super) running: Option<Moment>,
    window: Option<Moment>,
    glances: Glances,
}

#[derive(Debug)]
enum Stage {
    Fresh,
    Resting(Settle),
    Starting { until: Moment },
    WarmingUp { until: Moment },
    Measuring { until: Moment },
    Over,
}

/// What an observation did to the course.
#[derive(Debug, PartialEq)]
pub(super) enum Turn {
    Going,
    /// The steady window is over, or no GPU is left; the load has been told to stop.
    Over,
    /// Nothing could be measured.
    Ended(Done),
}

impl Course {
    pub(super) const fn new(rest: Rest, kind: LoadKind, warmup: Span, length: Span) -> Self {
        Self {
            rest,
            kind,
            warmup,
            length,
            stage: Stage::Fresh,
            idle: BTreeMap::new(),
            running: None,
            window: None,
            glances: Glances::new(),
        }
    }

    /// Whether what is seen now belongs to the steady window.
    pub(super) const fn is_measuring(&self) -> bool {
        matches!(self.stage, Stage::Measuring { .. })
    }

    /// Whether all GPUs are under the load: while they warm up, and while they are measured.
    pub(super) const fn is_loaded(&self) -> bool {
        matches!(self.stage, Stage::WarmingUp { .. } | Stage::Measuring { .. })
    }

    pub(super) const fn is_warming_up(&self) -> bool {
        matches!(self.stage, Stage::WarmingUp { .. })
    }

    /// How long ago the load was under way: since a little after it ran on all GPUs.
    pub(super) fn under_way(&self, now: Moment) -> Span {
        self.running.map_or(Span::ZERO, |running| now.since(running).saturating_sub(UNDER_WAY))
    }

    /// How long the steady window has been; nothing before it began.
    pub(super) fn over(&self, now: Moment) -> Span {
        self.window.map_or(Span::ZERO, |start| now.since(start))
    }

    /// Takes in one observation. `gpus_left`: whether any GPU still answers and carries its load.
    pub(super) fn turn(
        &mut self,
        context: &StepContext<'_>,
        now: Moment,
        seen: &Seen<'_>,
        gpus_left: bool,
        wants: &mut Wants,
    ) -> Turn {
        match seen {
            Seen::Began => self.begin(context, now, wants),
            Seen::Sampled(sample) => {
                if let Stage::Resting(settle) = &mut self.stage {
                    settle.take(sample);
                    if self.rest == Rest::ForReference && sample[Sensor::TempInlet].get().is_some() {
                        self.start(context, now, wants);
                    }
                }
                self.look(now, wants);
            }
            Seen::Load(report) => match &report.said {
                LoadSaid::Running if matches!(self.stage, Stage::Starting { .. }) => {
                    self.running = Some(now);
                    let until = now + self.warmup;
                    wants.enter(Phase::WarmingUp, Some(until));
                    wants.wake_at(until);
                    self.stage = Stage::WarmingUp { until };
                }
                // A copy that has moved all it was to move is begun again until the window is over.
                LoadSaid::Ended { gpu: None, end: LoadEnd::Finished } if self.repeats() => {
                    wants.start_load(self.kind.clone(), context.gpus(), None);
                }
                _ => {}
            },
            _ => {}
        }
        self.advance(context, now, gpus_left, wants)
    }

    /// Asks for a look at the node when one is due.
    fn look(&mut self, now: Moment, wants: &mut Wants) {
        if self.is_loaded() && self.glances.is_due(now) {
            wants.ask(Probe::Inventory);
        }
    }

    /// Whether the load is one that ends by itself and is begun again.
    pub(super) fn repeats(&self) -> bool {
        let finite = matches!(
            self.kind,
            LoadKind::HostCopy(_) | LoadKind::AllToAll | LoadKind::PairCopy | LoadKind::March { .. }
        );
        finite && matches!(self.stage, Stage::Starting { .. } | Stage::WarmingUp { .. } | Stage::Measuring { .. })
    }

    /// Ends the warm-up now.
    pub(super) fn begin_window(&mut self, now: Moment, wants: &mut Wants) {
        let until = now + self.length;
        wants.enter(Phase::Measuring, Some(until));
        wants.wake_at(until);
        self.window = Some(now);
        self.stage = Stage::Measuring { until };
    }

    fn begin(&mut self, context: &StepContext<'_>, now: Moment, wants: &mut Wants) {
        if self.rest == Rest::Needless {
            return self.start(context, now, wants);
        }
        let settle = Settle::new(context, now);
        wants.enter(Phase::Settling, Some(settle.deadline()));
        wants.wake_at(settle.deadline());
        self.stage = Stage::Resting(settle);
    }

    fn start(&mut self, context: &StepContext<'_>, now: Moment, wants: &mut Wants) {
        // Longer than needed: the load is stopped when the window is over and must not end before.
        wants.start_load(self.kind.clone(), context.gpus(), Some(self.warmup + self.length + START_WITHIN));
        let until = now + START_WITHIN;
        wants.wake_at(until);
        self.stage = Stage::Starting { until };
    }

    fn advance(&mut self, context: &StepContext<'_>, now: Moment, gpus_left: bool, wants: &mut Wants) -> Turn {
        if !gpus_left && !matches!(self.stage, Stage::Over) {
            return self.finish(wants);
        }
        match &self.stage {
            Stage::Resting(settle) => match (settle.state(now, context.lost), self.rest) {
                (Settling::Waiting, _) => {}
                (Settling::TimedOut(why), Rest::Must) => {
                    self.stage = Stage::Over;
                    return Turn::Ended(never_rested(why));
                }
                (Settling::Settled | Settling::TimedOut(_), _) => {
                    let idle = |gpu| settle.idle(gpu).map(|idle| (gpu, idle));
                    self.idle = context.gpus().into_iter().filter_map(idle).collect();
                    self.start(context, now, wants);
                }
            },
            Stage::Starting { until } if now >= *until => {
                self.stage = Stage::Over;
                wants.stop_loads();
                let why = Reason::Load(LoadTrouble::NotRunning { after: START_WITHIN });
                return Turn::Ended(Done::Failed { why, measured: Vec::new() });
            }
            Stage::WarmingUp { until } if now >= *until => self.begin_window(now, wants),
            Stage::Measuring { until } if now >= *until => return self.finish(wants),
            _ => {}
        }
        Turn::Going
    }

    fn finish(&mut self, wants: &mut Wants) -> Turn {
        self.stage = Stage::Over;
        wants.stop_loads();
        Turn::Over
    }
}

/// How a step ends that needs a node at rest and has none.
pub(super) fn never_rested(gpus: Vec<Restless>) -> Done {
    Done::Undecided { why: Reason::Restless { gpus }, measured: Vec::new() }
}
