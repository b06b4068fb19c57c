//! Work put on GPUs: what is ordered, and what the load says while it runs and when it ends.
//!
//! Kernels and processes are left to the load adapters.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{GpuIndex, LoadFault, Moment, NoteFact, ProgramOrder, ProgramSaid, Screened, Span, WrongPlace};

/// Names one started load inside a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LoadId(pub u32);

/// What kind of work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LoadKind {
    /// Tensor-core matrix products with an HBM stream beside them, results verified.
    Burn(BurnKernel),
    /// The burn with the SM clock held at one frequency, from before it begins until after it has ended.
    FixedClock { kernel: BurnKernel, megahertz: f64 },
    /// The burn gated on and off at `hertz`, in phase over all GPUs of the order.
    Pulse { kernel: BurnKernel, hertz: f64, duty: f64 },
    /// Matrix products alone, without the memory stream, every result verified: for a multiprocessor that computes wrong.
    Screen {
        kernel: BurnKernel,
        turns: Turns,
        /// The SM clock to hold meanwhile, in MHz; without one the GPU chooses its own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        held: Option<f64>,
    },
    /// Patterns written to and read back from the GPU's memory.
    March { coverage: f64 },
    /// Copies between host and GPU.
    HostCopy(CopyDirection),
    /// Copies between every ordered pair of GPUs of the order, one after another.
    PairCopy,
    /// Copies between all GPUs of the order at once.
    AllToAll,
    /// A program of somebody else, run once to its end.
    Program(Box<ProgramOrder>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BurnKernel {
    Bf16,
    Fp8,
    Fp32,
    Fp64,
}

/// Which multiprocessors a screen gives work at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Turns {
    AllAtOnce,
    /// Each alone, then all at once, over and over.
    EachInTurn,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CopyDirection {
    HostToDevice,
    DeviceToHost,
    Both,
}

/// One load to start on some GPUs. It runs until stopped, or ends by itself where the kind is finite (copies, march).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoadOrder {
    pub id: LoadId,
    pub kind: LoadKind,
    pub gpus: BTreeSet<GpuIndex>,
    /// Seed for operands and patterns.
    pub seed: u64,
    /// How long it should run where that is known beforehand; it is stopped from outside in any case.
    pub span: Option<Span>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StopHow {
    Gently,
    Kill,
}

/// A message from a running load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoadReport {
    pub load: LoadId,
    pub at: Moment,
    pub said: LoadSaid,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LoadSaid {
    /// All GPUs of the order are under load.
    Running,
    /// Work done by one GPU over the last interval.
    Progress {
        gpu: GpuIndex,
        /// Floating point throughput over the interval, TFLOP/s; 0 for loads that do no arithmetic.
        tflops: f64,
        /// Memory traffic over the interval, GB/s.
        memory_gb_per_s: f64,
        /// Results compared so far in this load.
        verified: u64,
        /// Results that were wrong so far in this load.
        mismatches: u64,
    },
    /// One wrong result, with what is known of it. At most the first 64 of a load are told one by one.
    Mismatched(Mismatch),
    /// Share of free memory a march has written and read back, in percent of the GPU's total.
    Covered { gpu: GpuIndex, percent: f64 },
    /// Bits that were flipped on purpose on one GPU in this load, and those of them whose very place was then told as wrong.
    Flipped { gpu: GpuIndex, flipped: u32, found: u32 },
    /// What a screen has compared on one GPU, told at its end.
    Screened(Screened),
    /// One bandwidth measured.
    Moved(Transfer),
    /// Something worth knowing that is no measurement: a fallback taken, memory somebody else holds, a latency.
    Noted {
        gpu: Option<GpuIndex>,
        #[serde(default)]
        kind: NoteKind,
        what: NoteFact,
    },
    /// What came of running a program.
    Program(ProgramSaid),
    /// The load is over.
    Ended { gpu: Option<GpuIndex>, end: LoadEnd },
}

/// What a note of a load is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NoteKind {
    /// Worth knowing, and nothing follows from it.
    #[default]
    Plain,
    /// The driver refused the load's best kernels: how fast it is, and what power it draws, says nothing of the GPU.
    SlowerKernel,
    /// Somebody else held memory when the load began.
    MemoryHeld,
    /// There is no direct way between two GPUs.
    ThroughHost,
}

/// A wrong result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mismatch {
    pub gpu: GpuIndex,
    pub place: WrongPlace,
    pub iteration: u64,
    pub word: u64,
    pub flipped_bits: u32,
    /// The number of the streaming multiprocessor, if the result was computed and not merely kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sm: Option<u32>,
}

/// A bandwidth measured by a copy load.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Transfer {
    pub from: Endpoint,
    pub to: Endpoint,
    pub gb_per_s: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Endpoint {
    Host,
    Gpu(GpuIndex),
}

/// How a load ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LoadEnd {
    /// It did all it was ordered to do.
    Finished,
    /// It was told to stop and did.
    Stopped,
    /// The GPU went away under it.
    GpuLost,
    /// It failed for a reason of its own: out of memory, launch failure, crash.
    Failed(LoadFault),
    /// It does not die: the driver holds it.
    Unkillable,
}
