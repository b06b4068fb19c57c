//! One GPU with its context and kernels: found by its PCI address, checked for what would spoil a load, opened.
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "sizes and places in memory are 64 bits wide on every host with a GPU, and rates are floats of counts"
)]
#![expect(unsafe_code, reason = "calls into the driver's library")]

use std::ffi::{CString, c_char, c_int, c_uint, c_void};
use std::ptr::null_mut;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::error::{DriverError, PEER_ALREADY_ENABLED, Refused, TOO_MANY_PEERS, UNAVAILABLE};
use super::image::{images_for, offered};
use super::symbols::{Driver, Handle};
use crate::cuda::holders::holders;
use crate::worker::{Device, Images};
use kiln_model::{Component, GpuIndex, KernelFallback, OpenError};

/// Attributes of the driver's header.
const MULTIPROCESSORS: c_int = 16;
const COMPUTE_MODE: c_int = 20;
const MAJOR: c_int = 75;
const MINOR: c_int = 76;
const SHARED_OPTIN: c_int = 97;

/// What a GPU can compute with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Architecture {
    pub major: i32,
    pub minor: i32,
}

/// How copies go from one GPU to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerReach {
    Direct,
    /// There is no direct way.
    None,
    /// There is one, but the driver opens no more of them: eight to a GPU where no switch joins them all.
    TooMany,
}

/// An open GPU.
#[derive(Debug)]
pub struct Gpu {
    pub index: GpuIndex,
    pub name: String,
    pub pci: String,
    pub architecture: Architecture,
    pub multiprocessors: u32,
    /// Shared memory a block may ask for.
    pub shared_bytes: u32,
    /// Which image was taken, and why not the first choice.
    pub image: &'static str,
    pub fallback: Option<KernelFallback>,
    pub(super) driver: Arc<Driver>,
    device: c_int,
    pub(super) context: Handle,
    pub(super) module: Handle,
    /// Work hangs on it: anything that waits for the GPU would hang too, so nothing is freed any more.
    wedged: AtomicBool,
}

// SAFETY: the driver's handles may be used from any thread; which context a thread has is set before each use.
unsafe impl Send for Gpu {}
// SAFETY: as above; the driver locks for itself.
unsafe impl Sync for Gpu {}

impl Gpu {
    pub fn open(driver: &Arc<Driver>, device: &Device, images: Images) -> Result<Arc<Self>, OpenError> {
        let gpu = Component::Gpu(device.gpu).to_string();
        let number = find(driver, device)?;
        let name = text(|at, length| {
            // SAFETY: the buffer has the length told.
            unsafe { driver.device_name(at, length, number) }
        })?;
        let pci = text(|at, length| {
            // SAFETY: as above.
            unsafe { driver.device_pci(at, length, number) }
        })?;
        if name.contains("MIG") {
            return Err(OpenError::Mig { gpu, name });
        }
        let attribute = |which| attribute(driver, number, which);
        // 1 was one thread only, long gone; 3 is one process only.
        let mode = match attribute(COMPUTE_MODE)? {
            2 => Some("prohibited"),
            1 | 3 => Some("exclusive"),
            _ => None,
        };
        if let Some(mode) = mode {
            return Err(OpenError::ComputeMode { gpu, mode: mode.to_owned(), holders: holders(&pci) });
        }
        let (major, minor) = (attribute(MAJOR)?, attribute(MINOR)?);
        if images_for(major, minor).is_empty() {
            return Err(OpenError::TooOldGpu { gpu, name, capability: format!("{major}.{minor}") });
        }
        let context = retain(driver, number).map_err(|error| match error.code {
            UNAVAILABLE => OpenError::Taken { gpu: gpu.clone(), holders: holders(&pci), failed: error.told() },
            _ => error.into(),
        })?;
        let (module, image, fallback) = load(driver, (major, minor), images).map_err(|refused| OpenError::NoImage {
            gpu,
            name: name.clone(),
            capability: format!("{major}.{minor}"),
            failed: refused.error.told(),
            log: refused.log.into(),
        })?;
        Ok(Arc::new(Self {
            index: device.gpu,
            name,
            pci,
            architecture: Architecture { major, minor },
            multiprocessors: attribute(MULTIPROCESSORS)?.unsigned_abs(),
            shared_bytes: attribute(SHARED_OPTIN)?.unsigned_abs(),
            image,
            fallback,
            driver: Arc::clone(driver),
            device: number,
            context,
            module,
            wedged: AtomicBool::new(false),
        }))
    }

    /// Makes this GPU the one that this thread talks to.
    pub(super) fn enter(&self) -> Result<(), DriverError> {
        // SAFETY: the context lives as long as `self`.
        unsafe { self.driver.context_set(self.context) }
    }

    /// Free and total memory in bytes.
    pub fn memory(&self) -> Result<(usize, usize), DriverError> {
        self.enter()?;
        let (mut free, mut total) = (0, 0);
        // SAFETY: both pointers are to live integers.
        unsafe { self.driver.memory_info(&raw mut free, &raw mut total) }?;
        Ok((free, total))
    }

    /// Lets this GPU reach the memory of another.
    pub fn reach(&self, peer: &Self) -> Result<PeerReach, DriverError> {
        let mut can = 0;
        // SAFETY: the pointer is to a live integer.
        unsafe { self.driver.peer_can(&raw mut can, self.device, peer.device) }?;
        if can == 0 {
            return Ok(PeerReach::None);
        }
        self.enter()?;
        // SAFETY: the peer's context is live.
        match unsafe { self.driver.peer_enable(peer.context, 0) } {
            Err(error) if error.code == TOO_MANY_PEERS => Ok(PeerReach::TooMany),
            Err(error) if error.code != PEER_ALREADY_ENABLED => Err(error),
            _ => Ok(PeerReach::Direct),
        }
    }

    /// From now on nothing waits for this GPU any more.
    pub fn give_up(&self) {
        self.wedged.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_wedged(&self) -> bool {
        self.wedged.load(Ordering::Relaxed)
    }
}

impl Drop for Gpu {
    fn drop(&mut self) {
        if !self.is_wedged() && self.enter().is_ok() {
            // Whatever fails here fails because the GPU is gone, and the process ends soon after.
            // SAFETY: the module is live, and nothing that came of it outlives `self`.
            let _ = unsafe { self.driver.module_unload(self.module) };
            // SAFETY: takes no pointer.
            let _ = unsafe { self.driver.context_release(self.device) };
        }
    }
}

fn find(driver: &Driver, device: &Device) -> Result<c_int, OpenError> {
    let mut number = 0;
    if let Some(pci) = device.pci.as_deref().and_then(|pci| CString::new(pci).ok()) {
        // SAFETY: the pointers are to a live integer and a text that ends with a zero.
        unsafe { driver.device_by_pci(&raw mut number, pci.as_ptr()) }?;
    } else {
        // SAFETY: the pointer is to a live integer.
        unsafe { driver.device_get(&raw mut number, c_int::from(device.gpu.0)) }?;
    }
    Ok(number)
}

fn text(fill: impl FnOnce(*mut c_char, c_int) -> Result<(), DriverError>) -> Result<String, DriverError> {
    let mut bytes = [0u8; 128];
    fill(bytes.as_mut_ptr().cast(), bytes.len() as c_int)?;
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    Ok(String::from_utf8_lossy(&bytes[..end]).into_owned())
}

fn attribute(driver: &Driver, device: c_int, which: c_int) -> Result<i32, DriverError> {
    let mut value = 0;
    // SAFETY: the pointer is to a live integer.
    unsafe { driver.device_attribute(&raw mut value, which, device) }?;
    Ok(value)
}

fn retain(driver: &Driver, device: c_int) -> Result<Handle, DriverError> {
    let mut context = null_mut();
    // SAFETY: the pointer is to a live handle.
    unsafe { driver.context_retain(&raw mut context, device) }?;
    // SAFETY: the context was retained just now.
    unsafe { driver.context_set(context) }?;
    Ok(context)
}

fn load(
    driver: &Driver,
    (major, minor): (i32, i32),
    images: Images,
) -> Result<(Handle, &'static str, Option<KernelFallback>), Refused> {
    let mut first: Option<Refused> = None;
    for image in offered(major, minor, images) {
        match load_module(driver, image.bytes) {
            Ok(module) => {
                let why = first.map(Refused::fallback);
                let unknown = image.name.contains("PTX") && why.is_none();
                let reason = match images {
                    Images::Best => KernelFallback::NoOwnImage,
                    Images::Fallback => KernelFallback::Asked,
                };
                let why = why.or_else(|| unknown.then_some(reason));
                return Ok((module, image.name, why));
            }
            // The first is the part's own, whose refusal is what has to be looked into; what is said of another may explain it.
            Err(refused) => match &mut first {
                Some(first) if first.log.is_empty() => first.log = refused.log,
                Some(_) => {}
                None => first = Some(refused),
            },
        }
    }
    let none = DriverError { call: MODULE_LOAD, code: super::error::NO_BINARY };
    Err(first.unwrap_or(Refused { error: none, log: String::new() }))
}

const MODULE_LOAD: &str = "cuModuleLoadDataEx";
/// Room for what the driver's compiler says of an image it refuses: some lines.
const LOG_BYTES: usize = 4096;
/// `CU_JIT_ERROR_LOG_BUFFER` and `CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES` of cuda.h.
const ERROR_LOG: [c_int; 2] = [5, 6];

fn load_module(driver: &Driver, image: &[u8]) -> Result<Handle, Refused> {
    let mut module = null_mut();
    let mut log = [0_u8; LOG_BYTES];
    let mut options = ERROR_LOG;
    // The size stands where its pointer would, as cuda.h has it for options that are numbers.
    let mut values = [log.as_mut_ptr().cast::<c_void>(), std::ptr::without_provenance_mut(LOG_BYTES)];
    // SAFETY: the image is a whole cubin, or text that ends with a zero, and lives as long as the program. The two lists are
    // of the length that is given, and the log has the room that is given with it; all outlive the call.
    let loaded = unsafe {
        driver.module_load(
            &raw mut module,
            image.as_ptr().cast::<c_void>(),
            ERROR_LOG.len() as c_uint,
            options.as_mut_ptr(),
            values.as_mut_ptr(),
        )
    };
    let said = log.split(|byte| *byte == 0).next().unwrap_or_default();
    // All of it on one line, as everything that a load notes.
    let lines: Vec<String> = String::from_utf8_lossy(said).lines().map(|line| line.trim().to_owned()).collect();
    let log = lines.into_iter().filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ");
    loaded.map(|()| module).map_err(|error| Refused { error, log })
}
