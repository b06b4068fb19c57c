//! A glance at a GPU before a run: one window of each burn kernel of the loaded image, its results compared.

use std::sync::Arc;

use super::burner::{Burner, Operands, has_kernel};
use super::drive_context::{Broken, DriveContext};
use super::pace::Pace;
use crate::cuda::driver::Gpu;
use kiln_model::BurnKernel;

/// How many results were compared, and how many of them were wrong.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::cuda) struct Compared {
    pub results: u64,
    pub wrong: u64,
}

/// Runs one window of each kernel with operands whose results are known beforehand, and one with random bits.
pub(in crate::cuda) fn glance(context: &DriveContext<'_>, gpu: &Arc<Gpu>) -> Result<Compared, Broken> {
    let mut compared = Compared::default();
    let kernels = [BurnKernel::Bf16, BurnKernel::Fp8, BurnKernel::Fp32, BurnKernel::Fp64];
    for kernel in kernels.into_iter().filter(|kernel| has_kernel(gpu, *kernel)) {
        let mut burner = Burner::new(context, gpu, kernel)?;
        let mut pace = Pace::new(gpu.index);
        for operands in [Operands::Exact, Operands::Random] {
            burner.launch(operands, 1)?;
            burner.finish(context, &mut pace)?;
        }
        compared.results += pace.verified;
        compared.wrong += pace.mismatches;
    }
    Ok(compared)
}
