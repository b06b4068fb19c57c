//! Error counters: memory, row remaps.

use std::ffi::{c_uint, c_ulonglong};

use kiln_model::Sensor;
use nvml_wrapper_sys::bindings as sys;

use crate::nvml::answer::{Code, INVALID_ARGUMENT, NOT_SUPPORTED, call, put, settled};
use crate::nvml::device::whole;
use crate::nvml::node;

/// Kinds: 0 corrected, 1 uncorrected. The simulated node has no life before it was started: both counts are the same.
#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetTotalEccErrors(
    device: sys::nvmlDevice_t,
    kind: c_uint,
    _counter: c_uint,
    out: *mut c_ulonglong,
) -> Code {
    call(|| {
        let sensor = match kind {
            0 => Sensor::EccCorrected,
            1 => Sensor::EccUncorrected,
            _ => return Err(INVALID_ARGUMENT),
        };
        put(out, node::of("nvmlDeviceGetTotalEccErrors", device, |seen| whole(seen, sensor, 1.0))?)
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetRemappedRows(
    device: sys::nvmlDevice_t,
    corrected: *mut c_uint,
    uncorrected: *mut c_uint,
    pending: *mut c_uint,
    failed: *mut c_uint,
) -> Code {
    call(|| {
        let rows = node::of("nvmlDeviceGetRemappedRows", device, |seen| {
            let counters = seen.counters;
            Ok((
                settled(counters.remap_corrected)? as c_uint,
                settled(counters.remap_uncorrected)? as c_uint,
                c_uint::from(settled(counters.remap_pending)?),
                c_uint::from(settled(counters.remap_failed)?),
            ))
        })?;
        put(corrected, rows.0)?;
        put(uncorrected, rows.1)?;
        put(pending, rows.2)?;
        put(failed, rows.3)
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetRowRemapperHistogram(
    device: sys::nvmlDevice_t,
    out: *mut sys::nvmlRowRemapperHistogramValues_t,
) -> Code {
    call(|| {
        let none =
            node::of("nvmlDeviceGetRowRemapperHistogram", device, |seen| settled(seen.counters.remap_banks_exhausted))?
                as c_uint;
        // 640 banks, as an H100 shows them.
        put(out, sys::nvmlRowRemapperHistogramValues_st { max: 640 - none.min(640), high: 0, partial: 0, low: 0, none })
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetSramEccErrorStatus(
    device: sys::nvmlDevice_t,
    out: *mut sys::nvmlEccSramErrorStatus_t,
) -> Code {
    call(|| {
        let exceeded =
            node::of("nvmlDeviceGetSramEccErrorStatus", device, |seen| settled(seen.counters.sram_threshold_exceeded))?;
        // SAFETY: a plain C structure of integers, for which all zeros are valid.
        let mut status: sys::nvmlEccSramErrorStatus_t = unsafe { std::mem::zeroed() };
        status.version = (size_of::<sys::nvmlEccSramErrorStatus_t>() | 1 << 24) as c_uint;
        status.bThresholdExceeded = exceeded.into();
        put(out, status)
    })
}

/// Location 7 is SRAM. The node keeps no count of its errors: none, or enough to have passed the threshold.
#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetMemoryErrorCounter(
    device: sys::nvmlDevice_t,
    kind: c_uint,
    _counter: c_uint,
    location: c_uint,
    out: *mut c_ulonglong,
) -> Code {
    call(|| {
        let exceeded =
            node::of("nvmlDeviceGetMemoryErrorCounter", device, |seen| settled(seen.counters.sram_threshold_exceeded))?;
        match (kind, location) {
            (1, 7) => put(out, if exceeded { 8 } else { 0 }),
            _ => Err(NOT_SUPPORTED),
        }
    })
}
