//! The four functions of NVIDIA's management library by which a clock is locked, declared as in nvml.h.
#![expect(
    unsafe_code,
    reason = "functions of a library opened at run time have no declared types; these are the header's"
)]

use std::ffi::{CString, c_char, c_int, c_uint, c_void};

use libloading::Library;

use kiln_model::{ClockRefusal, GpuIndex};

/// The library as the driver's package installs it.
const LIBRARY: &str = "libnvidia-ml.so.1";
/// Names another library; the run reads the same.
const LIBRARY_VARIABLE: &str = "KILN_NVML_LIB";

/// `NVML_ERROR_NOT_SUPPORTED`, `NVML_ERROR_NO_PERMISSION` and `NVML_ERROR_FUNCTION_NOT_FOUND` of nvml.h.
const NOT_SUPPORTED: c_int = 3;
const NO_PERMISSION: c_int = 4;
const FUNCTION_NOT_FOUND: c_int = 13;

type Init = unsafe extern "C" fn() -> c_int;
type ByPci = unsafe extern "C" fn(*const c_char, *mut GpuHandle) -> c_int;
type ByIndex = unsafe extern "C" fn(c_uint, *mut GpuHandle) -> c_int;
type Lock = unsafe extern "C" fn(GpuHandle, c_uint, c_uint) -> c_int;
type Reset = unsafe extern "C" fn(GpuHandle) -> c_int;

/// What the library calls a device.
#[derive(Debug, Clone, Copy)]
#[repr(transparent)]
pub(super) struct GpuHandle(*mut c_void);

/// The library, open and initialised.
#[derive(Debug)]
pub(super) struct Management(Library);

impl Management {
    pub(super) fn open() -> Result<Self, ClockRefusal> {
        let name = std::env::var(LIBRARY_VARIABLE).ok().filter(|name| !name.is_empty());
        Self::open_at(name.as_deref().unwrap_or(LIBRARY))
    }

    fn open_at(name: &str) -> Result<Self, ClockRefusal> {
        // SAFETY: the initialisers of the driver's library are made to be run by opening it.
        let library = unsafe { Library::new(name) }
            .map_err(|error| ClockRefusal::NoLibrary { library: name.to_owned(), why: error.to_string() })?;
        let management = Self(library);
        let init: Init = management.function("nvmlInit_v2")?;
        // SAFETY: takes no pointer.
        outcome("nvmlInit_v2", unsafe { init() })?;
        Ok(management)
    }

    /// `F` must be the type that nvml.h declares for the symbol.
    fn function<F: Copy>(&self, symbol: &'static str) -> Result<F, ClockRefusal> {
        // SAFETY: every caller here names the header's type, and no function outlives the library, which is never closed while
        // `self` lives.
        let found = unsafe { self.0.get::<F>(symbol.as_bytes()) };
        // A library without the symbol is one of a driver that has no such setting.
        found.map(|function| *function).map_err(|_| ClockRefusal::NotOffered)
    }

    pub(super) fn gpu(&self, index: GpuIndex, pci: Option<&str>) -> Result<GpuHandle, ClockRefusal> {
        let mut handle = GpuHandle(std::ptr::null_mut());
        if let Some(pci) = pci.and_then(|pci| CString::new(pci).ok()) {
            let by_pci: ByPci = self.function("nvmlDeviceGetHandleByPciBusId_v2")?;
            // SAFETY: a text that ends in nul, and a live place for the handle.
            outcome("nvmlDeviceGetHandleByPciBusId_v2", unsafe { by_pci(pci.as_ptr(), &raw mut handle) })?;
        } else {
            let by_index: ByIndex = self.function("nvmlDeviceGetHandleByIndex_v2")?;
            // SAFETY: a live place for the handle.
            outcome("nvmlDeviceGetHandleByIndex_v2", unsafe { by_index(index.0.into(), &raw mut handle) })?;
        }
        Ok(handle)
    }

    /// Locks the GPU's clock to one frequency.
    pub(super) fn lock(&self, gpu: GpuHandle, megahertz: u32) -> Result<(), ClockRefusal> {
        let lock: Lock = self.function("nvmlDeviceSetGpuLockedClocks")?;
        // SAFETY: the handle is the library's own.
        outcome("nvmlDeviceSetGpuLockedClocks", unsafe { lock(gpu, megahertz, megahertz) })
    }

    pub(super) fn give_back(&self, gpu: GpuHandle) -> Result<(), ClockRefusal> {
        let reset: Reset = self.function("nvmlDeviceResetGpuLockedClocks")?;
        // SAFETY: the handle is the library's own.
        outcome("nvmlDeviceResetGpuLockedClocks", unsafe { reset(gpu) })
    }
}

fn outcome(call: &'static str, code: c_int) -> Result<(), ClockRefusal> {
    match code {
        0 => Ok(()),
        NO_PERMISSION => Err(ClockRefusal::NotPermitted),
        NOT_SUPPORTED | FUNCTION_NOT_FOUND => Err(ClockRefusal::NotOffered),
        code => Err(ClockRefusal::Call { call: call.to_owned(), code }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_the_library_is_told_what_is_missing() {
        let why = Management::open_at("libkiln-nothing.so.1").unwrap_err().to_string();
        assert!(why.starts_with("the NVIDIA management library libkiln-nothing.so.1 cannot be opened: "), "{why}");
        assert_eq!(Management::open_at("libm.so.6").unwrap_err(), ClockRefusal::NotOffered);
    }

    #[test]
    fn codes_of_the_library_mean_what_its_header_says() {
        let said = |code| outcome("x", code);
        assert_eq!((said(0), said(4)), (Ok(()), Err(ClockRefusal::NotPermitted)));
        assert_eq!((said(3), said(13)), (Err(ClockRefusal::NotOffered), Err(ClockRefusal::NotOffered)));
        assert_eq!(said(999), Err(ClockRefusal::Call { call: "x".to_owned(), code: 999 }));
    }
}
