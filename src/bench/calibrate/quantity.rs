//! The quantities that benches are read for: where each stands in a document, which fact it is a limit of, and which
//! parameters of the simulated node scale it.

#![expect(clippy::cast_precision_loss, reason = "counts and nanoseconds become floats for statistics, far below 2^53")]

use kiln_load::worker::{Beside, Images};
use kiln_model::{BurnKernel, CopyDirection, Endpoint, GpuIndex, Unit};

use crate::document::{Bench, GpuMeasured, PhaseMeasured};
use crate::phase::Work;
use crate::scatter::Scatter;

/// On which side of healthy parts a limit lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Growth {
    Floor,
    Ceiling,
}

/// One quantity.
#[derive(Debug)]
pub(super) struct Quantity {
    pub(super) what: &'static str,
    pub(super) unit: Unit,
    pub(super) fact: Option<(&'static str, Growth)>,
    pub(super) parameters: &'static [&'static str],
    read: fn(&Bench, GpuIndex) -> Option<f64>,
}

impl Quantity {
    pub(super) fn of(&self, bench: &Bench, gpu: GpuIndex) -> Option<f64> {
        (self.read)(bench, gpu)
    }
}

/// Phases that are measurements.
fn phase(bench: &Bench, work: Work) -> Option<&PhaseMeasured> {
    bench.phases.iter().find(|phase| phase.work == work && phase.trouble.is_none())
}

fn gpu(bench: &Bench, work: Work, gpu: GpuIndex) -> Option<&GpuMeasured> {
    phase(bench, work)?.gpus.iter().find(|measured| measured.gpu == gpu)
}

const fn burn(kernel: BurnKernel) -> Work {
    Work::Burn { kernel, beside: Beside::MemoryStream, images: Images::Best }
}

fn tflops(bench: &Bench, kernel: BurnKernel, index: GpuIndex) -> Option<f64> {
    Some(gpu(bench, burn(kernel), index)?.tflops?.mean)
}

/// The mean of all transfers of a phase that begin and end there.
fn moved(bench: &Bench, work: Work, from: impl Fn(Endpoint) -> bool, to: impl Fn(Endpoint) -> bool) -> Option<f64> {
    let transfers = &phase(bench, work)?.transfers;
    let speeds: Vec<f64> =
        transfers.iter().filter(|one| from(one.from) && to(one.to)).map(|one| one.gb_per_s).collect();
    Scatter::of(&speeds).map(|spread| spread.mean)
}

fn host(bench: &Bench, direction: CopyDirection, index: GpuIndex) -> Option<f64> {
    let (host, this) = (|end| end == Endpoint::Host, |end| end == Endpoint::Gpu(index));
    match direction {
        CopyDirection::HostToDevice => moved(bench, Work::HostCopy(direction), host, this),
        CopyDirection::DeviceToHost | CopyDirection::Both => moved(bench, Work::HostCopy(direction), this, host),
    }
}

pub(super) const QUANTITIES: &[Quantity] = &[
    Quantity {
        what: "power at rest",
        unit: Unit::Watt,
        fact: Some(("power.idle.max", Growth::Ceiling)),
        parameters: &["power.idle"],
        read: |bench, index| Some(gpu(bench, Work::Rest, index)?.power_watts?.mean),
    },
    Quantity {
        what: "power of a bf16 burn",
        unit: Unit::Watt,
        fact: None,
        parameters: &[],
        read: |bench, index| Some(gpu(bench, burn(BurnKernel::Bf16), index)?.power_watts?.mean),
    },
    Quantity {
        what: "clock of a bf16 burn",
        unit: Unit::Megahertz,
        fact: Some(("clock.sm.load.min", Growth::Floor)),
        parameters: &[],
        read: |bench, index| Some(gpu(bench, burn(BurnKernel::Bf16), index)?.clock_mhz?.mean),
    },
    Quantity {
        what: "bf16 burn",
        unit: Unit::Teraflops,
        fact: Some(("throughput.bf16.min", Growth::Floor)),
        parameters: &[],
        read: |bench, index| tflops(bench, BurnKernel::Bf16, index),
    },
    Quantity {
        what: "fp8 burn",
        unit: Unit::Teraflops,
        fact: Some(("throughput.fp8.min", Growth::Floor)),
        parameters: &[],
        read: |bench, index| tflops(bench, BurnKernel::Fp8, index),
    },
    Quantity {
        what: "fp32 burn",
        unit: Unit::Teraflops,
        fact: Some(("throughput.fp32.min", Growth::Floor)),
        parameters: &[],
        read: |bench, index| tflops(bench, BurnKernel::Fp32, index),
    },
    Quantity {
        what: "fp64 burn",
        unit: Unit::Teraflops,
        fact: Some(("throughput.fp64.min", Growth::Floor)),
        parameters: &[],
        read: |bench, index| tflops(bench, BurnKernel::Fp64, index),
    },
    Quantity {
        what: "million bf16 operations in a clock",
        unit: Unit::One,
        fact: None,
        parameters: &["arithmetic.bf16.efficiency"],
        read: |bench, index| gpu(bench, burn(BurnKernel::Bf16), index)?.per_clock,
    },
    Quantity {
        what: "million fp8 operations in a clock",
        unit: Unit::One,
        fact: None,
        parameters: &["arithmetic.fp8.efficiency"],
        read: |bench, index| gpu(bench, burn(BurnKernel::Fp8), index)?.per_clock,
    },
    Quantity {
        what: "million fp32 operations in a clock",
        unit: Unit::One,
        fact: None,
        parameters: &["arithmetic.fp32.efficiency"],
        read: |bench, index| gpu(bench, burn(BurnKernel::Fp32), index)?.per_clock,
    },
    Quantity {
        what: "million fp64 operations in a clock",
        unit: Unit::One,
        fact: None,
        parameters: &["arithmetic.fp64.efficiency"],
        read: |bench, index| gpu(bench, burn(BurnKernel::Fp64), index)?.per_clock,
    },
    Quantity {
        what: "share of the bf16 operations that there could be",
        unit: Unit::Percent,
        fact: Some(("bf16.of-peak.min", Growth::Floor)),
        parameters: &[],
        read: |bench, index| gpu(bench, burn(BurnKernel::Bf16), index)?.duty_percent,
    },
    Quantity {
        what: "march",
        unit: Unit::TerabytePerSecond,
        fact: Some(("memory.bandwidth.min", Growth::Floor)),
        parameters: &["memory.bandwidth"],
        read: |bench, index| Some(gpu(bench, Work::March { pattern: None }, index)?.memory_gb_per_s?.mean / 1e3),
    },
    Quantity {
        what: "copy from the host",
        unit: Unit::GigabytePerSecond,
        fact: Some(("pcie.h2d.min", Growth::Floor)),
        parameters: &["pcie.efficiency"],
        read: |bench, index| host(bench, CopyDirection::HostToDevice, index),
    },
    Quantity {
        what: "copy to the host",
        unit: Unit::GigabytePerSecond,
        fact: Some(("pcie.d2h.min", Growth::Floor)),
        parameters: &[],
        read: |bench, index| host(bench, CopyDirection::DeviceToHost, index),
    },
    Quantity {
        what: "copy to one other GPU",
        unit: Unit::GigabytePerSecond,
        fact: Some(("nvlink.pair.min", Growth::Floor)),
        parameters: &["nvlink.pair_efficiency"],
        read: |bench, index| moved(bench, Work::PairCopy, |end| end == Endpoint::Gpu(index), |_| true),
    },
    Quantity {
        what: "what a GPU sends while all copy to all",
        unit: Unit::GigabytePerSecond,
        fact: Some(("nvlink.all-to-all.min", Growth::Floor)),
        parameters: &["nvlink.all_efficiency"],
        read: |bench, index| {
            let one = moved(bench, Work::AllToAll, |end| end == Endpoint::Gpu(index), |_| true)?;
            Some(one * (bench.gpus.len().max(2) - 1) as f64)
        },
    },
];
