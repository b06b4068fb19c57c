//! The functions of the driver's library that are used, declared as in its header and looked up when it is opened.
#![expect(
    unsafe_code,
    reason = "functions of a library opened at run time have no declared types; these are the header's"
)]

use std::ffi::{c_char, c_int, c_uint, c_void};
use std::sync::Arc;

use libloading::Library;

use kiln_model::OpenError;

use super::error::DriverError;

pub(super) type Handle = *mut c_void;
pub(super) type Address = u64;

/// The library as its packages install it; without the number it would be the toolkit's stub.
const LIBRARY: &str = "libcuda.so.1";
/// Names another library.
pub const LIBRARY_VARIABLE: &str = "KILN_CUDA_LIB";

macro_rules! functions {
    ($($function:ident = $symbol:literal ($($argument:ident: $kind:ty),*);)*) => {
        #[derive(Debug)]
        struct Functions { $($function: unsafe extern "C" fn($($kind),*) -> c_int,)* }

        impl Functions {
            fn find(library: &Library) -> Result<Self, OpenError> {
                Ok(Self { $($function: {
                    // SAFETY: the type is the one the driver's header declares for this symbol, and the library stays
                    // open as long as the pointer is kept.
                    let symbol = unsafe { library.get(concat!($symbol, "\0").as_bytes()) };
                    *symbol.map_err(|_| OpenError::TooOld { symbol: $symbol.to_owned() })?
                },)* })
            }
        }

        #[expect(clippy::too_many_arguments, reason = "a launch has as many as its header gives it")]
        impl Driver {
            $(
                /// The function of the driver's header.
                ///
                /// # Safety
                /// Every pointer must be what the header asks for.
                pub(super) unsafe fn $function(&self, $($argument: $kind),*) -> Result<(), DriverError> {
                    // SAFETY: the caller answers for the pointers.
                    let code = unsafe { (self.functions.$function)($($argument),*) };
                    if code == 0 { Ok(()) } else { Err(DriverError { call: $symbol, code }) }
                }
            )*
        }
    };
}

functions! {
    init = "cuInit" (flags: c_uint);
    driver_version = "cuDriverGetVersion" (version: *mut c_int);
    device_get = "cuDeviceGet" (device: *mut c_int, ordinal: c_int);
    device_by_pci = "cuDeviceGetByPCIBusId" (device: *mut c_int, pci: *const c_char);
    device_pci = "cuDeviceGetPCIBusId" (pci: *mut c_char, length: c_int, device: c_int);
    device_name = "cuDeviceGetName" (name: *mut c_char, length: c_int, device: c_int);
    device_attribute = "cuDeviceGetAttribute" (value: *mut c_int, attribute: c_int, device: c_int);
    context_retain = "cuDevicePrimaryCtxRetain" (context: *mut Handle, device: c_int);
    context_release = "cuDevicePrimaryCtxRelease_v2" (device: c_int);
    context_set = "cuCtxSetCurrent" (context: Handle);
    peer_can = "cuDeviceCanAccessPeer" (can: *mut c_int, device: c_int, peer: c_int);
    peer_enable = "cuCtxEnablePeerAccess" (peer: Handle, flags: c_uint);
    memory_info = "cuMemGetInfo_v2" (free: *mut usize, total: *mut usize);
    memory_alloc = "cuMemAlloc_v2" (address: *mut Address, bytes: usize);
    memory_free = "cuMemFree_v2" (address: Address);
    host_alloc = "cuMemHostAlloc" (pointer: *mut *mut c_void, bytes: usize, flags: c_uint);
    host_free = "cuMemFreeHost" (pointer: *mut c_void);
    host_address = "cuMemHostGetDevicePointer_v2" (address: *mut Address, pointer: *mut c_void, flags: c_uint);
    copy_to_device = "cuMemcpyHtoDAsync_v2" (to: Address, from: *const c_void, bytes: usize, stream: Handle);
    copy_to_host = "cuMemcpyDtoHAsync_v2" (to: *mut c_void, from: Address, bytes: usize, stream: Handle);
    copy_on_device = "cuMemcpyDtoDAsync_v2" (to: Address, from: Address, bytes: usize, stream: Handle);
    copy_to_peer = "cuMemcpyPeerAsync"
        (to: Address, to_context: Handle, from: Address, from_context: Handle, bytes: usize, stream: Handle);
    set_words = "cuMemsetD32Async" (to: Address, value: c_uint, count: usize, stream: Handle);
    module_load = "cuModuleLoadDataEx"
        (module: *mut Handle, image: *const c_void, count: c_uint, options: *mut c_int, values: *mut *mut c_void);
    module_unload = "cuModuleUnload" (module: Handle);
    module_function = "cuModuleGetFunction" (function: *mut Handle, module: Handle, name: *const c_char);
    function_set = "cuFuncSetAttribute" (function: Handle, attribute: c_int, value: c_int);
    launch = "cuLaunchKernel"
        (function: Handle, grid_x: c_uint, grid_y: c_uint, grid_z: c_uint, block_x: c_uint, block_y: c_uint,
         block_z: c_uint, shared: c_uint, stream: Handle, arguments: *mut *mut c_void, extra: *mut *mut c_void);
    stream_create = "cuStreamCreate" (stream: *mut Handle, flags: c_uint);
    stream_destroy = "cuStreamDestroy_v2" (stream: Handle);
    stream_query = "cuStreamQuery" (stream: Handle);
    stream_wait_value = "cuStreamWaitValue32_v2" (stream: Handle, address: Address, value: c_uint, flags: c_uint);
    event_create = "cuEventCreate" (event: *mut Handle, flags: c_uint);
    event_destroy = "cuEventDestroy_v2" (event: Handle);
    event_record = "cuEventRecord" (event: Handle, stream: Handle);
    event_elapsed = "cuEventElapsedTime" (milliseconds: *mut f32, start: Handle, end: Handle);
}

/// The library as it is asked for: by its variable, or by the name its packages give it.
pub fn library_name() -> String {
    std::env::var(LIBRARY_VARIABLE).unwrap_or_else(|_| LIBRARY.to_owned())
}

/// The driver's library, open and initialised.
#[derive(Debug)]
pub struct Driver {
    functions: Functions,
    /// Keeps the functions where they are.
    _library: Library,
}

impl Driver {
    /// Opens the library named in `KILN_CUDA_LIB`, or the system's, and starts the driver.
    pub fn open() -> Result<Arc<Self>, OpenError> {
        Self::open_at(&library_name())
    }

    pub(super) fn open_at(name: &str) -> Result<Arc<Self>, OpenError> {
        let refuse =
            |error: libloading::Error| OpenError::NoLibrary { library: name.to_owned(), why: error.to_string() };
        // SAFETY: the initialisers of the driver's library are made to be run by opening it.
        let library = unsafe { Library::new(name) }.map_err(refuse)?;
        let driver = Self { functions: Functions::find(&library)?, _library: library };
        // SAFETY: takes no pointer.
        unsafe { driver.init(0) }?;
        Ok(Arc::new(driver))
    }

    /// The newest CUDA the driver has, as 1000 × major + 10 × minor.
    pub fn version(&self) -> Result<i32, DriverError> {
        let mut version = 0;
        // SAFETY: the pointer is to a live integer.
        unsafe { self.driver_version(&raw mut version) }?;
        Ok(version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_the_driver_is_told_what_is_missing() {
        let error = Driver::open_at("libkiln-nothing.so.1").unwrap_err();
        insta::assert_snapshot!(error, @"the NVIDIA driver's library libkiln-nothing.so.1 cannot be opened: libkiln-nothing.so.1: cannot open shared object file: No such file or directory; install the driver, or name the library in KILN_CUDA_LIB");
    }

    #[test]
    fn a_library_that_is_no_driver_is_told_by_what_it_lacks() {
        let error = Driver::open_at("libm.so.6").unwrap_err();
        insta::assert_snapshot!(error, @"the NVIDIA driver is too old: its library has no cuInit; install release 535 or later");
    }
}
