//! The worker's engine on CUDA: opens the GPUs of an order and hands them to the driver of its kind of load.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::drive::{self, Broken, Compared, DriveContext};
use super::driver::{Driver, Gpu, OUT_OF_MEMORY};
use super::holders::holders;
use crate::clock::ClockHold;
use crate::worker::{Beside, Device, Engine, Images, MarchWork, Pipe, Variant, WorkOrder};
use kiln_model::{
    BurnKernel, GpuIndex, KernelFallback, LoadEnd, LoadFault, LoadId, LoadKind, LoadOrder, LoadSaid, NoteFact,
    NoteKind, OpenError,
};

/// Longest a launch may take before it counts as hung. They are made to last a fifth of a second; the supervisor gives up
/// on a silent worker after thirty.
const PATIENCE: Duration = Duration::from_secs(20);
/// Another patience in milliseconds, to show in little time that hangs are found.
const PATIENCE_VARIABLE: &str = "KILN_LOAD_PATIENCE_MS";

/// Any will do: operands differ with it, and the results are compared whatever they are.
const LOOK_SEED: u64 = 1;

/// How closely to look at a GPU before a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closeness {
    /// The kernels are loaded, as an order would have them.
    Load,
    /// Every image the GPU is offered is loaded, and one window of each of its kernels is run and compared.
    Compute,
}

/// What came of loading the kernels onto one GPU, or of opening the driver at all.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Looked {
    pub gpu: Option<GpuIndex>,
    pub refused: Option<String>,
    /// Why the kernels are not those made for the part, where they are not.
    pub slower: Option<String>,
    /// The images whose kernels ran.
    #[serde(default)]
    pub images: Vec<String>,
    /// Results compared, where kernels ran.
    #[serde(default)]
    pub results: u64,
    /// What was computed wrong.
    #[serde(default)]
    pub wrong: Option<String>,
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

    /// Opens the driver and looks at each GPU: the image that it takes, or why none, and what its kernels compute.
    pub fn look(&self, devices: &[Device], closeness: Closeness) -> Vec<Looked> {
        let driver = match Driver::open() {
            Ok(driver) => driver,
            Err(error) => return vec![Looked { refused: Some(error.to_string()), ..Looked::default() }],
        };
        devices.iter().map(|device| self.look_at(&driver, device, closeness)).collect()
    }

    fn look_at(&self, driver: &Arc<Driver>, device: &Device, closeness: Closeness) -> Looked {
        let mut looked = Looked { gpu: Some(device.gpu), ..Looked::default() };
        for images in [Images::Best, Images::Fallback] {
            let gpu = match Gpu::open(driver, device, images) {
                Ok(gpu) => gpu,
                Err(error) => return Looked { refused: Some(error.to_string()), ..looked },
            };
            if images == Images::Best {
                let said = |why: &KernelFallback| format!("{} on gpu/{}: {why}", gpu.image, gpu.index.0);
                looked.slower = gpu.fallback.as_ref().map(said);
            }
            if closeness == Closeness::Load {
                return looked;
            }
            // One that falls back at once has no other image to try.
            if looked.images.iter().any(|name| name == gpu.image) {
                continue;
            }
            if let Err(why) = self.compute(&gpu, images, &mut looked) {
                return Looked { refused: Some(why), ..looked };
            }
        }
        looked
    }

    /// Runs each kernel of one image for a window.
    fn compute(&self, gpu: &Arc<Gpu>, images: Images, looked: &mut Looked) -> Result<(), String> {
        let gpus = [gpu.index].into();
        let kind = LoadKind::Burn(BurnKernel::Bf16);
        let order = LoadOrder { id: LoadId(0), kind, gpus, seed: LOOK_SEED, span: None };
        let pipe = Pipe::new(Box::new(std::io::sink()));
        let variant = Variant { beside: Beside::Nothing, images, ..Variant::default() };
        let context = DriveContext { order: &order, injection: None, variant, pipe: &pipe, patience: self.patience };
        let compared = drive::glance(&context, gpu).map_err(|broken| {
            let why = match broken.end() {
                LoadEnd::Failed(why) => why.to_string(),
                LoadEnd::GpuLost => "the GPU is gone".to_owned(),
                end => format!("{end:?}"),
            };
            format!("gpu/{} does not run the kernels of {}: {why}", gpu.index.0, gpu.image)
        })?;
        looked.images.push(gpu.image.to_owned());
        looked.results += compared.results;
        if compared.wrong > 0 {
            let Compared { results, wrong } = compared;
            looked.wrong =
                Some(format!("gpu/{}: {wrong} of {results} results are wrong with {}", gpu.index.0, gpu.image));
        } else if compared.results == 0 {
            return Err(format!("gpu/{} ran the kernels of {} and gave no result", gpu.index.0, gpu.image));
        }
        Ok(())
    }

    fn open(work: &WorkOrder, pipe: &Pipe) -> Result<Vec<Arc<Gpu>>, OpenError> {
        let driver = Driver::open()?;
        let mut gpus = Vec::new();
        for device in &work.devices {
            pipe.beat();
            let gpu = Gpu::open(&driver, device, work.variant.images)?;
            if let Some(why) = &gpu.fallback {
                let version = driver.version()?;
                let what = NoteFact::SlowerKernel {
                    name: gpu.name.clone(),
                    capability: format!("{}.{}", gpu.architecture.major, gpu.architecture.minor),
                    cuda: format!("{}.{}", version / 1000, version / 10 % 100),
                    image: gpu.image.to_owned(),
                    why: why.clone(),
                };
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
            Err(error) => return LoadEnd::Failed(LoadFault::Open(Box::new(error))),
        };
        let context = DriveContext {
            order: &work.order,
            injection: work.injection,
            variant: work.variant,
            pipe,
            patience: self.patience,
        };
        let done = match (&work.order.kind, gpus.as_slice()) {
            (_, []) => Err(Broken::Refused(LoadFault::BadOrder { what: "gpus: []".to_owned() })),
            (LoadKind::Burn(kernel), [gpu, ..]) => drive::burn(&context, gpu, *kernel),
            (LoadKind::FixedClock { kernel, megahertz }, [gpu, ..]) => {
                let device = Device { gpu: gpu.index, pci: Some(gpu.pci.clone()) };
                at_fixed_clock(&device, *megahertz, pipe, || drive::burn(&context, gpu, *kernel))
            }
            (LoadKind::Screen { kernel, turns, held: None }, [gpu, ..]) => {
                drive::screen(&context, gpu, *kernel, *turns)
            }
            (LoadKind::Screen { kernel, turns, held: Some(megahertz) }, [gpu, ..]) => {
                let device = Device { gpu: gpu.index, pci: Some(gpu.pci.clone()) };
                at_fixed_clock(&device, *megahertz, pipe, || drive::screen(&context, gpu, *kernel, *turns))
            }
            (LoadKind::Pulse { kernel, hertz, duty }, [gpu, ..]) => drive::pulse(&context, gpu, *kernel, *hertz, *duty),
            (LoadKind::March { .. }, [gpu, ..]) if work.variant.march == MarchWork::DeviceCopy => {
                drive::device_copy(&context, gpu)
            }
            (LoadKind::March { coverage }, [gpu, ..]) => drive::march(&context, gpu, *coverage),
            (LoadKind::HostCopy(direction), gpus) => drive::host_copy(&context, gpus, *direction),
            (LoadKind::PairCopy, gpus) => drive::pair_copy(&context, gpus),
            (LoadKind::AllToAll, gpus) => drive::all_to_all(&context, gpus),
            // The worker runs programs itself.
            (LoadKind::Program(_), _) => Err(Broken::Refused(LoadFault::BadOrder { what: "program".to_owned() })),
        };
        match done {
            Ok(()) => LoadEnd::Finished,
            Err(Broken::Driver(error)) if error.code == OUT_OF_MEMORY => {
                let others: String = gpus.iter().map(|gpu| holders(&gpu.pci)).collect();
                LoadEnd::Failed(error.fault(others))
            }
            Err(broken) => broken.end(),
        }
    }
}

/// Does work while the clock of a GPU is held, and gives it back.
fn at_fixed_clock(
    device: &Device,
    megahertz: f64,
    pipe: &Pipe,
    work: impl FnOnce() -> Result<(), Broken>,
) -> Result<(), Broken> {
    let refused = |why| Broken::Refused(LoadFault::ClockNotHeld(why));
    let hold = ClockHold::take(device, megahertz).map_err(refused)?;
    let done = work();
    if let Err(why) = hold.give_back() {
        let what = NoteFact::ClockStaysLocked { why };
        pipe.say(LoadSaid::Noted { gpu: Some(device.gpu), kind: NoteKind::Plain, what });
    }
    done
}
