//! What a check and the engine owe each other.
//!
//! The engine shows a running check everything that concerns it and carries out what it wants. A check's measurements
//! come in one go with its end; the engine then holds them against the limits.

use std::collections::{BTreeMap, BTreeSet};

use kiln_event::{Boot, Phase, Reason};
use kiln_limit::Measurement;
use kiln_model::{
    Answer, Component, GpuCounters, GpuIndex, Inventory, KernelRecord, LoadKind, LoadReport, Moment, Probe, Restart,
    Sample, SourceReport, Span, Text,
};
use kiln_profile::{CheckSpec, Params, Sku};

/// A kind of test.
pub trait Check: Sync {
    fn spec(&self) -> &'static CheckSpec;

    /// What a result of the check is about.
    fn subject(&self) -> Subject {
        Subject::Performance
    }

    /// A fresh run of the check for one step. Parameters were validated against the spec.
    fn begin(&self, context: &StepContext<'_>) -> Box<dyn CheckRun>;
}

/// What a check's result is about, which decides how long it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// How the unit did while the step ran. It did so, whatever becomes of the unit later.
    Performance,
    /// What the unit is, how it is set up and what speaks against it so far. That holds for as long as somebody watches: a
    /// run that was interrupted looks again before it goes on.
    Condition,
}

/// One step in progress.
pub trait CheckRun: Send {
    /// Takes in one observation. The first is [`Seen::Began`], or [`Seen::Restarted`] for a step that had the node started anew.
    fn observe(&mut self, context: &StepContext<'_>, now: Moment, seen: Seen<'_>, wants: &mut Wants);
}

/// What a check knows besides what it sees.
#[derive(Debug, Clone, Copy)]
pub struct StepContext<'a> {
    pub components: &'a [Component],
    pub params: &'a Params,
    /// As read when the run began.
    pub inventory: &'a Inventory,
    pub skus: &'a BTreeMap<GpuIndex, Sku>,
    /// Sampling period in force.
    pub every: Span,
    /// The run's first look at all counters, if there was one.
    pub first_counters: Option<&'a [GpuCounters]>,
    /// Everything the kernel has logged since the run began.
    pub kernel: &'a [KernelRecord],
    /// What the node said of the sources it is watched by.
    pub sources: &'a [SourceReport],
    /// GPUs that no longer answer.
    pub lost: &'a BTreeMap<GpuIndex, Moment>,
    /// When the step began.
    pub began: Moment,
    /// GPUs whose PCIe link rests in a lower generation while nothing uses it.
    pub resting_links: &'a BTreeSet<GpuIndex>,
}

impl StepContext<'_> {
    /// The GPUs the step's components are or belong to; all of the node's for a step on the node.
    pub fn gpus(&self) -> BTreeSet<GpuIndex> {
        let mut gpus = BTreeSet::new();
        for component in self.components {
            match component {
                Component::Pair(from, to) => gpus.extend([*from, *to]),
                other => match other.gpu_index() {
                    Some(gpu) => {
                        gpus.insert(gpu);
                    }
                    None => gpus.extend(self.inventory.gpus.iter().map(|gpu| gpu.index)),
                },
            }
        }
        gpus
    }
}

/// Something that happened while the step runs.
#[derive(Debug, Clone, Copy)]
pub enum Seen<'a> {
    Began,
    /// One GPU's readings; only of GPUs that belong to the step.
    Sampled(&'a Sample),
    /// A report of a load this step started.
    Load(&'a LoadReport),
    /// The answer to a probe this step asked.
    Answered(&'a Answer),
    KernelLogged(&'a KernelRecord),
    /// A GPU of this step stopped answering.
    GpuLost(GpuIndex),
    /// A moment asked for with [`Wants::wake_at`] has come.
    Woken,
    OperatorAnswered {
        yes: bool,
        comment: Option<&'a str>,
    },
    /// All steps beside this one that are no watchers have ended.
    OthersEnded,
    /// The run was taken up again after this step had asked for a restart.
    Restarted {
        /// What the boot id says.
        boot: Boot,
        /// From the order until now, by the wall clock; None where that was set back meanwhile.
        after: Option<Span>,
    },
}

/// What a check wants done, in order.
#[derive(Debug, Default)]
pub struct Wants {
    list: Vec<Want>,
}

#[derive(Debug)]
pub enum Want {
    Enter {
        phase: Phase,
        until: Option<Moment>,
    },
    StartLoad {
        kind: LoadKind,
        gpus: BTreeSet<GpuIndex>,
        span: Option<Span>,
    },
    /// Stops every load of this step.
    StopLoads,
    Ask(Probe),
    WakeAt(Moment),
    AskOperator(Text),
    /// The node is to be started anew, and goes down within this time.
    Restart {
        how: Restart,
        within: Span,
    },
    End(Done),
}

/// How a check ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Done {
    /// With everything it could measure; what it declared and does not give counts as missing.
    Measured(Vec<Measurement>),
    /// It could not do its work: our trouble, not the unit's. What was measured until then is kept.
    Failed { why: Reason, measured: Vec<Measurement> },
    /// It cannot decide for a reason outside the unit, such as a node that never came to rest.
    Undecided { why: Reason, measured: Vec<Measurement> },
    /// What it needs is not there, and the profile says to skip it then.
    NotApplicable { why: Reason },
}

impl Wants {
    /// Tells where the step is; shown on the console.
    pub fn enter(&mut self, phase: Phase, until: Option<Moment>) {
        self.list.push(Want::Enter { phase, until });
    }

    pub fn start_load(&mut self, kind: LoadKind, gpus: BTreeSet<GpuIndex>, span: Option<Span>) {
        self.list.push(Want::StartLoad { kind, gpus, span });
    }

    pub fn stop_loads(&mut self) {
        self.list.push(Want::StopLoads);
    }

    pub fn ask(&mut self, probe: Probe) {
        self.list.push(Want::Ask(probe));
    }

    /// Asks for [`Seen::Woken`] at `at`. There is one alarm per step: a later wish replaces an earlier one.
    pub fn wake_at(&mut self, at: Moment) {
        self.list.push(Want::WakeAt(at));
    }

    pub fn ask_operator(&mut self, prompt: Text) {
        self.list.push(Want::AskOperator(prompt));
    }

    /// Has the node started anew. The run ends with the node; taken up again, it shows [`Seen::Restarted`] to a fresh run of the
    /// check.
    pub fn restart(&mut self, how: Restart, within: Span) {
        self.list.push(Want::Restart { how, within });
    }

    /// Ends the step. Loads still running are stopped by the engine.
    pub fn end(&mut self, done: Done) {
        self.list.push(Want::End(done));
    }

    pub fn drain(&mut self) -> std::vec::Drain<'_, Want> {
        self.list.drain(..)
    }

    pub const fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}
