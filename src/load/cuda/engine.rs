//! The worker's engine on CUDA: opens the GPUs of an order and hands them to the driver of its kind of load.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::drive::{self, Broken, DriveContext};
use super::driver::{Driver, Gpu, OUT_OF_MEMORY, OpenError};
use super::holders::holders;
use crate::worker::{Device, Engine, Images, MarchWork, Pipe, WorkOrder};
use kiln_model::{GpuIndex, LoadEnd, LoadKind, LoadSaid, NoteKind};

/// Longest a launch may take before it counts as hung. They are made to last a fifth of a second; the supervisor gives up
/// on a silent worker after thirty.
const PATIENCE: Duration = Duration::from_secs(20);
/// Another patience in milliseconds, to show in little time that hangs are found.
const PATIENCE_VARIABLE: &str = "KILN_LOAD_PATIENCE_MS";

/// What came of loading the kernels onto one GPU, or of opening the driver at all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Looked {
    pub gpu: Option<GpuIndex>,
    pub refused: Option<String>,
    /// Why the kernels are not those made for the part, where they are not.
    pub slower: Option<String>,
}

/// Does orders on GPUs.
#[derive(Debug)]
pub struct CudaEngine {
    patience: Duration,
}

impl CudaEngine {
    pub fn from_environment() -> Self {
        let set = std::env::var(PATIENCE_VARIABLE).ok().and_then(|text| text.parse().ok());
        Self { patience: set.map_or(PATIENCE, Duration::from_millis) }
    }

    /// Opens the driver and loads the kernels onto each GPU, as an order would: the image that each takes, or why none.
    pub fn look(devices: &[Device]) -> Vec<Looked> {
        let driver = match Driver::open() {
            Ok(driver) => driver,
            Err(error) => return vec![Looked { gpu: None, refused: Some(error.to_string()), slower: None }],
        };
        let look = |device: &Device| match Gpu::open(&driver, device, Images::Best) {
            Ok(gpu) => {
                let slower = gpu.fallback.as_ref().map(|why| format!("{} on gpu/{}: {why}", gpu.image, gpu.index.0));
                Looked { gpu: Some(device.gpu), refused: None, slower }
            }
            Err(error) => Looked { gpu: Some(device.gpu), refused: Some(error.to_string()), slower: None },
        };
        devices.iter().map(look).collect()
    }

    fn open(work: &WorkOrder, pipe: &Pipe) -> Result<Vec<Arc<Gpu>>, OpenError> {
        let driver = Driver::open()?;
        let mut gpus = Vec::new();
        for device in &work.devices {
            pipe.beat();
            let gpu = Gpu::open(&driver, device, work.variant.images)?;
            if let Some(why) = &gpu.fallback {
                let version = driver.version()?;
                let (major, minor) = (gpu.architecture.major, gpu.architecture.minor);
                let what = format!(
                    "{} (compute capability {major}.{minor}, driver CUDA {}.{}): kernels from {}, slower than it could be: {why}",
                    gpu.name,
                    version / 1000,
                    version / 10 % 100,
                    gpu.image,
                );
                pipe.say(LoadSaid::Noted { gpu: Some(gpu.index), kind: NoteKind::SlowerKernel, what });
            }
            gpus.push(gpu);
        }
        Ok(gpus)
    }
}

impl Engine for CudaEngine {
    fn work(&mut self, work: &WorkOrder, pipe: &Pipe) -> LoadEnd {
        let gpus = match Self::open(work, pipe) {
            Ok(gpus) => gpus,
            Err(error) => return LoadEnd::Failed(error.to_string()),
        };
        let context = DriveContext {
            order: &work.order,
            injection: work.injection,
            variant: work.variant,
            pipe,
            patience: self.patience,
        };
        let done = match (&work.order.kind, gpus.as_slice()) {
            (_, []) => Err(Broken::Refused("the order names no GPU".to_owned())),
            (LoadKind::Burn(kernel), [gpu, ..]) => drive::burn(&context, gpu, *kernel),
            (LoadKind::Screen { kernel, turns }, [gpu, ..]) => drive::screen(&context, gpu, *kernel, *turns),
            (LoadKind::Pulse { kernel, hertz, duty }, [gpu, ..]) => drive::pulse(&context, gpu, *kernel, *hertz, *duty),
            (LoadKind::March { .. }, [gpu, ..]) if work.variant.march == MarchWork::DeviceCopy => {
                drive::device_copy(&context, gpu)
            }
            (LoadKind::March { coverage }, [gpu, ..]) => drive::march(&context, gpu, *coverage),
            (LoadKind::HostCopy(direction), gpus) => drive::host_copy(&context, gpus, *direction),
            (LoadKind::PairCopy, gpus) => drive::pair_copy(&context, gpus),
            (LoadKind::AllToAll, gpus) => drive::all_to_all(&context, gpus),
            // The worker runs programs itself.
            (LoadKind::Program(_), _) => Err(Broken::Refused("a program is no work for a GPU engine".to_owned())),
        };
        match done {
            Ok(()) => LoadEnd::Finished,
            Err(Broken::Driver(error)) if error.code == OUT_OF_MEMORY => {
                let others: String = gpus.iter().map(|gpu| holders(&gpu.pci)).collect();
                LoadEnd::Failed(format!("{error}{others}"))
            }
            Err(broken) => broken.end(),
        }
    }
}
