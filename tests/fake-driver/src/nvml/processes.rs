//! Processes on a GPU.

use std::ffi::{c_char, c_uint};

use kiln_model::Process;
use nvml_wrapper_sys::bindings as sys;

use crate::nvml::answer::{Code, INSUFFICIENT_SIZE, INVALID_ARGUMENT, NOT_FOUND, call, put, put_text, settled};
use crate::nvml::node;

/// No part of the GPU: what the driver writes where MIG is off.
const WHOLE_GPU: c_uint = c_uint::MAX;

/// Fills `out` with as many entries as `count` says there is room for.
unsafe fn list<T>(device: sys::nvmlDevice_t, count: *mut c_uint, out: *mut T, entry: impl Fn(&Process) -> T) -> Code {
    call(|| {
        if count.is_null() {
            return Err(INVALID_ARGUMENT);
        }
        let processes =
            node::of("nvmlDeviceGetComputeRunningProcesses", device, |seen| settled(seen.gpu.processes.clone()))?;
        // SAFETY: the interface asks callers for a pointer to the number of entries there is room for.
        let room = unsafe { count.read() } as usize;
        put(count, processes.len() as c_uint)?;
        if processes.is_empty() {
            return Ok(());
        }
        if room < processes.len() || out.is_null() {
            return Err(INSUFFICIENT_SIZE);
        }
        for (place, process) in processes.iter().enumerate() {
            // SAFETY: the interface asks callers for `room` entries, and there are no more than that.
            unsafe { out.add(place).write(entry(process)) };
        }
        Ok(())
    })
}

fn newer(process: &Process) -> sys::nvmlProcessInfo_v2_t {
    sys::nvmlProcessInfo_v2_st {
        pid: process.pid,
        usedGpuMemory: process.memory_mib << 20,
        gpuInstanceId: WHOLE_GPU,
        computeInstanceId: WHOLE_GPU,
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetComputeRunningProcesses(
    device: sys::nvmlDevice_t,
    count: *mut c_uint,
    out: *mut sys::nvmlProcessInfo_v1_t,
) -> Code {
    let older =
        |process: &Process| sys::nvmlProcessInfo_v1_st { pid: process.pid, usedGpuMemory: process.memory_mib << 20 };
    // SAFETY: as the caller promises.
    unsafe { list(device, count, out, older) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetComputeRunningProcesses_v2(
    device: sys::nvmlDevice_t,
    count: *mut c_uint,
    out: *mut sys::nvmlProcessInfo_v2_t,
) -> Code {
    // SAFETY: as the caller promises.
    unsafe { list(device, count, out, newer) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetComputeRunningProcesses_v3(
    device: sys::nvmlDevice_t,
    count: *mut c_uint,
    out: *mut sys::nvmlProcessInfo_v2_t,
) -> Code {
    // SAFETY: as the caller promises.
    unsafe { list(device, count, out, newer) }
}

/// Functions for processes of kinds the node has none of.
macro_rules! empty {
    ($($name:ident)*) => {
        $(#[unsafe(no_mangle)]
        pub extern "C" fn $name(
            _device: sys::nvmlDevice_t,
            count: *mut c_uint,
            _out: *mut sys::nvmlProcessInfo_v2_t,
        ) -> Code {
            call(|| put(count, 0))
        })*
    };
}

empty! {
    nvmlDeviceGetGraphicsRunningProcesses nvmlDeviceGetGraphicsRunningProcesses_v2
    nvmlDeviceGetGraphicsRunningProcesses_v3 nvmlDeviceGetMPSComputeRunningProcesses
    nvmlDeviceGetMPSComputeRunningProcesses_v2 nvmlDeviceGetMPSComputeRunningProcesses_v3
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlSystemGetProcessName(pid: c_uint, out: *mut c_char, length: c_uint) -> Code {
    call(|| {
        let name = node::ask(|node| {
            let mut all = node.inventory.gpus.iter().filter_map(|gpu| gpu.processes.value()).flatten();
            all.find(|process| process.pid == pid).map(|process| process.name.clone()).ok_or(NOT_FOUND)
        })?;
        // As in a container, where the names of others are not seen.
        put_text(out, length, &node::setting("KILN_FAKE_PROCESS_NAME").unwrap_or(name))
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetProcessUtilization() -> Code {
    NOT_FOUND
}
