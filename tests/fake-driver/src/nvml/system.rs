//! The library and the driver as a whole, and the way from an index, a serial, an address to a handle.

use std::ffi::{CStr, c_char, c_int, c_uint};

use kiln_model::{Gpu, GpuIndex};
use nvml_wrapper_sys::bindings as sys;

use crate::nvml::answer::{Code, INVALID_ARGUMENT, NOT_FOUND, call, put, put_text, settled};
use crate::nvml::node;

#[unsafe(no_mangle)]
pub extern "C" fn nvmlInit() -> Code {
    call(node::start)
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlInit_v2() -> Code {
    call(node::start)
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlInitWithFlags(_flags: c_uint) -> Code {
    call(node::start)
}

/// The node goes on: a program may initialise again and expects the same machine.
#[unsafe(no_mangle)]
pub extern "C" fn nvmlShutdown() -> Code {
    call(|| Ok(()))
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlErrorString(code: Code) -> *const c_char {
    let text: &CStr = match code {
        0 => c"Success",
        1 => c"Uninitialized",
        2 => c"Invalid Argument",
        3 => c"Not Supported",
        4 => c"Insufficient Permissions",
        6 => c"Not Found",
        7 => c"Insufficient Size",
        9 => c"Driver Not Loaded",
        10 => c"Timeout",
        15 => c"GPU is lost",
        18 => c"Driver/library version mismatch",
        _ => c"Unknown Error",
    };
    text.as_ptr()
}

/// The driver's version, marked: `580.105.08-SIM`.
#[unsafe(no_mangle)]
pub extern "C" fn nvmlSystemGetDriverVersion(version: *mut c_char, length: c_uint) -> Code {
    call(|| {
        let driver = node::ask(|node| settled(node.inventory.driver.clone()))?;
        put_text(version, length, &format!("{driver}-SIM"))
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlSystemGetNVMLVersion(version: *mut c_char, length: c_uint) -> Code {
    call(|| {
        let driver = node::ask(|node| settled(node.inventory.driver.clone()))?;
        put_text(version, length, &format!("13.{driver}"))
    })
}

/// `13.0` as 13000.
#[unsafe(no_mangle)]
pub extern "C" fn nvmlSystemGetCudaDriverVersion(version: *mut c_int) -> Code {
    call(|| {
        let text = node::ask(|node| settled(node.inventory.cuda.clone()))?;
        let (major, minor) = text.split_once('.').ok_or(INVALID_ARGUMENT)?;
        let number = |text: &str| text.parse::<c_int>().map_err(|_| INVALID_ARGUMENT);
        put(version, number(major)? * 1000 + number(minor)? * 10)
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlSystemGetCudaDriverVersion_v2(version: *mut c_int) -> Code {
    nvmlSystemGetCudaDriverVersion(version)
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetCount(count: *mut c_uint) -> Code {
    call(|| put(count, node::count()?))
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetCount_v2(count: *mut c_uint) -> Code {
    nvmlDeviceGetCount(count)
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetHandleByIndex(index: c_uint, device: *mut sys::nvmlDevice_t) -> Code {
    call(|| {
        if index >= node::count()? {
            return Err(INVALID_ARGUMENT);
        }
        if node::vanished() == Some(index) {
            node::vanish();
            return Err(NOT_FOUND);
        }
        crate::nvml::refusals::of(GpuIndex(index as u8), "nvmlDeviceGetHandleByIndex")?;
        put(device, node::handle(GpuIndex(index as u8)))
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetHandleByIndex_v2(index: c_uint, device: *mut sys::nvmlDevice_t) -> Code {
    nvmlDeviceGetHandleByIndex(index, device)
}

/// Whether two texts are alike but for their letters' size and zeros in front: the library reads the numbers of an address.
fn same(text: &str, other: &str) -> bool {
    let bare = |text: &str| text.trim_start_matches('0').to_ascii_lowercase();
    bare(text) == bare(other)
}

/// Finds the GPU of which `told` reads as `wanted`.
unsafe fn find(wanted: *const c_char, device: *mut sys::nvmlDevice_t, told: impl Fn(&Gpu) -> Option<&String>) -> Code {
    call(|| {
        if wanted.is_null() {
            return Err(INVALID_ARGUMENT);
        }
        // SAFETY: the interface asks callers for a text that ends in nul; null is refused above.
        let wanted = unsafe { CStr::from_ptr(wanted) }.to_string_lossy().into_owned();
        let found = node::ask(|node| {
            let is = |gpu: &&Gpu| told(gpu).is_some_and(|text| same(text, &wanted));
            node.inventory.gpus.iter().find(is).map(|gpu| gpu.index).ok_or(NOT_FOUND)
        })?;
        put(device, node::handle(found))
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetHandleByUUID(uuid: *const c_char, device: *mut sys::nvmlDevice_t) -> Code {
    // SAFETY: as the caller promises.
    unsafe { find(uuid, device, |gpu| gpu.identity.uuid.value()) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetHandleBySerial(serial: *const c_char, device: *mut sys::nvmlDevice_t) -> Code {
    // SAFETY: as the caller promises.
    unsafe { find(serial, device, |gpu| gpu.identity.serial.value()) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetHandleByPciBusId(bus: *const c_char, device: *mut sys::nvmlDevice_t) -> Code {
    // SAFETY: as the caller promises.
    unsafe { find(bus, device, |gpu| gpu.identity.pci_address.value()) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetHandleByPciBusId_v2(bus: *const c_char, device: *mut sys::nvmlDevice_t) -> Code {
    // SAFETY: as the caller promises.
    unsafe { nvmlDeviceGetHandleByPciBusId(bus, device) }
}
