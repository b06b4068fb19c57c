//! What each kind of work must give for each GPU to be a measurement, and what of it is missing.

use kiln_load::worker::Beside;
use kiln_model::{CopyDirection, Endpoint, GpuIndex, Transfer};

use super::document::GpuMeasured;
use super::phase::Work;

/// One thing that a GPU owes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owed {
    Power,
    Arithmetic,
    Memory,
    Compared,
    FlipsTold,
    Transfers,
}

impl Owed {
    const fn words(self) -> &'static str {
        match self {
            Self::Power => "power",
            Self::Arithmetic => "arithmetic",
            Self::Memory => "memory bandwidth",
            Self::Compared => "compared results",
            Self::FlipsTold => "found flips",
            Self::Transfers => "transfers",
        }
    }
}

const fn owed_of(work: Work) -> &'static [Owed] {
    match work {
        Work::Rest => &[Owed::Power],
        Work::Burn { beside: Beside::MemoryStream, .. } => &[Owed::Arithmetic, Owed::Memory, Owed::Power],
        Work::Burn { beside: Beside::Nothing, .. } | Work::Step { .. } => &[Owed::Arithmetic, Owed::Power],
        Work::March { .. } | Work::DeviceCopy => &[Owed::Memory, Owed::Power],
        Work::HostCopy(_) | Work::PairCopy | Work::AllToAll => &[Owed::Transfers],
        Work::Flips { .. } => &[Owed::FlipsTold],
        Work::Screen { .. } => &[Owed::Compared],
    }
}

/// What is missing, in words; nothing if all is there. A part that has no sensor of power owes none.
pub(super) fn missing(
    work: Work,
    gpus: &[GpuMeasured],
    transfers: &[Transfer],
    offers_power: impl Fn(GpuIndex) -> bool,
) -> Option<String> {
    let others = |gpu: GpuIndex| gpus.iter().map(|other| other.gpu).filter(move |other| *other != gpu);
    let lacks = |gpu: &GpuMeasured, owed: Owed| match owed {
        Owed::Power => gpu.power_watts.is_none() && offers_power(gpu.gpu),
        Owed::Arithmetic => gpu.tflops.is_none(),
        Owed::Memory => gpu.memory_gb_per_s.is_none(),
        Owed::Compared => gpu.verified == 0,
        Owed::FlipsTold => gpu.flips.is_none(),
        Owed::Transfers => !has_moved(work, gpu.gpu, others(gpu.gpu), transfers),
    };
    let mut told = Vec::new();
    for owed in owed_of(work) {
        let lacking: Vec<String> =
            gpus.iter().filter(|gpu| lacks(gpu, *owed)).map(|gpu| format!("gpu/{}", gpu.gpu.0)).collect();
        if !lacking.is_empty() {
            told.push(format!("{} ({})", owed.words(), lacking.join(", ")));
        }
    }
    // Of statistics too few readings leave as little as none.
    (!told.is_empty()).then(|| format!("not told, or for too little of the time: {}", told.join("; ")))
}

/// Whether all ways of a GPU were measured that this work is about.
fn has_moved(work: Work, gpu: GpuIndex, mut others: impl Iterator<Item = GpuIndex>, transfers: &[Transfer]) -> bool {
    let here = Endpoint::Gpu(gpu);
    let moved = |from: Endpoint, to: Endpoint| transfers.iter().any(|one| one.from == from && one.to == to);
    let (inward, outward) = (moved(Endpoint::Host, here), moved(here, Endpoint::Host));
    match work {
        Work::HostCopy(CopyDirection::HostToDevice) => inward,
        Work::HostCopy(CopyDirection::DeviceToHost) => outward,
        Work::HostCopy(CopyDirection::Both) => inward && outward,
        _ => others.all(|other| moved(here, Endpoint::Gpu(other))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_of_a_gpu_must_have_been_measured() {
        let gpu = |index: u8| Endpoint::Gpu(GpuIndex(index));
        let others = || [1, 2].map(GpuIndex).into_iter();
        let one = |from, to| Transfer { from, to, gb_per_s: 50.0 };
        let pairs = [one(gpu(0), gpu(1)), one(gpu(1), gpu(0)), one(gpu(2), gpu(0)), one(Endpoint::Host, gpu(0))];
        for work in [Work::PairCopy, Work::AllToAll] {
            assert!(!has_moved(work, GpuIndex(0), others(), &pairs), "nothing went to gpu/2");
            let all: Vec<Transfer> = pairs.iter().copied().chain([one(gpu(0), gpu(2))]).collect();
            assert!(has_moved(work, GpuIndex(0), others(), &all));
        }
        let host = |direction| has_moved(Work::HostCopy(direction), GpuIndex(0), others(), &pairs);
        assert!(host(CopyDirection::HostToDevice));
        assert!(!host(CopyDirection::DeviceToHost) && !host(CopyDirection::Both));
    }
}
