//! The way a load reaches the node behind the library: two functions no driver has.
//!
//! A stand-in for the CUDA driver finds them in the process and calls them where a real one would launch kernels.

use std::collections::BTreeSet;
use std::ffi::c_uint;

use kiln::engine::Station as _;
use kiln::model::{BurnKernel, GpuIndex, LoadId, LoadKind, LoadOrder, StopHow};

use crate::answer::{Code, INVALID_ARGUMENT, call};
use crate::node;

/// Starts a burn under `load` on the GPUs whose bits are set. Kernels: 0 bf16, 1 fp8, 2 fp32, 3 fp64.
#[unsafe(no_mangle)]
pub extern "C" fn kilnFakeStartBurn(load: c_uint, gpus: u64, kernel: c_uint) -> Code {
    call(|| {
        let kernel = match kernel {
            0 => BurnKernel::Bf16,
            1 => BurnKernel::Fp8,
            2 => BurnKernel::Fp32,
            3 => BurnKernel::Fp64,
            _ => return Err(INVALID_ARGUMENT),
        };
        let gpus: BTreeSet<GpuIndex> = (0..64).filter(|bit| gpus >> bit & 1 == 1).map(GpuIndex).collect();
        node::ask(|node| {
            let known = node.inventory.gpus.iter().map(|gpu| gpu.index).collect::<BTreeSet<_>>();
            if gpus.is_empty() || !gpus.is_subset(&known) {
                return Err(INVALID_ARGUMENT);
            }
            let (sim, now) = node.sim();
            sim.start_load(
                now,
                &LoadOrder { id: LoadId(load), kind: LoadKind::Burn(kernel), gpus, seed: 1, span: None },
            );
            Ok(())
        })
    })
}

/// Ends the load of that number.
#[unsafe(no_mangle)]
pub extern "C" fn kilnFakeStopLoad(load: c_uint) -> Code {
    call(|| {
        node::ask(|node| {
            let (sim, now) = node.sim();
            sim.stop_load(now, LoadId(load), StopHow::Kill);
            Ok(())
        })
    })
}
