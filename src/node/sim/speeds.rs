//! How fast each GPU would be now, and whether it answers: for stand-ins of driver libraries that have no load of their
//! own to ask.

use serde::{Deserialize, Serialize};

use super::load::throughput;
use super::parameter::GpuParameter as G;
use super::sim_node::SimNode;
use kiln_model::{BurnKernel, CopyDirection, GpuIndex};

/// Whether calls to a GPU come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Presence {
    There,
    Hung,
    Lost,
}

/// One GPU at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GpuSpeeds {
    pub gpu: GpuIndex,
    pub presence: Presence,
    /// TFLOP/s of a burn at the clock of now: bf16, fp8, fp32, fp64.
    pub tflops: [f64; 4],
    /// GB/s of the GPU's memory.
    pub memory: f64,
    /// GB/s from and to the host.
    pub from_host: f64,
    pub to_host: f64,
    /// GB/s to each GPU with all others at rest, by place; 0 to itself.
    pub pairs: Vec<f64>,
    /// GB/s out of it with all GPUs copying to one another.
    pub all: f64,
}

impl SimNode {
    /// Locks the SM clock of a GPU from outside of any load, as the driver's setting does, or gives it back.
    pub fn lock_clock(&mut self, gpu: GpuIndex, megahertz: Option<f64>) {
        for gpu in self.gpus.iter_mut().filter(|of| of.index == gpu) {
            gpu.locked_clock = megahertz;
        }
    }

    /// How fast the GPUs are at the moment that was looked at last.
    pub fn speeds(&self) -> Vec<GpuSpeeds> {
        let kind = self.kind();
        let kernels = [BurnKernel::Bf16, BurnKernel::Fp8, BurnKernel::Fp32, BurnKernel::Fp64];
        let of = |(at, gpu): (usize, &super::gpu::Gpu)| GpuSpeeds {
            gpu: gpu.index,
            presence: if gpu.lost {
                Presence::Lost
            } else if gpu.values[G::Hang] > 0.5 {
                Presence::Hung
            } else {
                Presence::There
            },
            tflops: kernels.map(|kernel| throughput(gpu, kind, kernel)),
            memory: gpu.memory_bandwidth(),
            from_host: self.paths.host(gpu, CopyDirection::HostToDevice),
            to_host: self.paths.host(gpu, CopyDirection::DeviceToHost),
            pairs: (self.gpus.iter().enumerate())
                .map(|(to, other)| if to == at { 0.0 } else { self.paths.pair(gpu, other, kind) })
                .collect(),
            all: self.paths.all(gpu, kind),
        };
        self.gpus.iter().enumerate().map(of).collect()
    }
}
