//! Event sets: Xids as they come.

use std::ffi::c_uint;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use kiln_model::GpuIndex;
use nvml_wrapper_sys::bindings as sys;

use crate::nvml::answer::{Code, INVALID_ARGUMENT, NOT_SUPPORTED, TIMEOUT, UNKNOWN, call, put};
use crate::nvml::node;

/// How often a wait looks.
const LOOK: Duration = Duration::from_millis(100);

/// A set: which GPUs it hears, and how far it has read.
#[derive(Default)]
struct Set {
    gpus: Vec<GpuIndex>,
    read: usize,
}

static SETS: Mutex<Vec<Option<Set>>> = Mutex::new(Vec::new());

/// Handles are places counted from one.
fn with<T>(set: sys::nvmlEventSet_t, body: impl FnOnce(&mut Set) -> T) -> Result<T, Code> {
    let mut sets = SETS.lock().unwrap_or_else(PoisonError::into_inner);
    let place = set.addr().wrapping_sub(1);
    sets.get_mut(place).and_then(Option::as_mut).map(body).ok_or(INVALID_ARGUMENT)
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlEventSetCreate(out: *mut sys::nvmlEventSet_t) -> Code {
    call(|| {
        let read = node::listen(<[_]>::len)?;
        let mut sets = SETS.lock().unwrap_or_else(PoisonError::into_inner);
        sets.push(Some(Set { gpus: Vec::new(), read }));
        put(out, std::ptr::without_provenance_mut(sets.len()))
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlEventSetFree(set: sys::nvmlEventSet_t) -> Code {
    call(|| {
        with(set, |_| ())?;
        let mut sets = SETS.lock().unwrap_or_else(PoisonError::into_inner);
        sets[set.addr() - 1] = None;
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceRegisterEvents(device: sys::nvmlDevice_t, types: u64, set: sys::nvmlEventSet_t) -> Code {
    call(|| {
        let gpu = node::index_of(device)?;
        if types & u64::from(sys::nvmlEventTypeXidCriticalError) == 0 {
            return Err(NOT_SUPPORTED);
        }
        with(set, |set| set.gpus.push(gpu))
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetSupportedEventTypes(_device: sys::nvmlDevice_t, out: *mut u64) -> Code {
    call(|| put(out, sys::nvmlEventTypeXidCriticalError.into()))
}

#[unsafe(no_mangle)]
#[expect(clippy::disallowed_methods, reason = "a wait in real time")]
pub unsafe extern "C" fn nvmlEventSetWait_v2(
    set: sys::nvmlEventSet_t,
    out: *mut sys::nvmlEventData_t,
    timeout_ms: c_uint,
) -> Code {
    call(|| {
        let until = Instant::now() + Duration::from_millis(timeout_ms.into());
        loop {
            let (gpus, from) = with(set, |set| (set.gpus.clone(), set.read))?;
            let (found, read) =
                node::listen(|xids| match xids.iter().skip(from).position(|(gpu, _)| gpus.contains(gpu)) {
                    Some(place) => (Some(xids[from + place]), from + place + 1),
                    None => (None, xids.len()),
                })?;
            with(set, |set| set.read = read)?;
            if let Some((gpu, xid)) = found {
                // SAFETY: a plain C structure of a pointer and integers, for which all zeros are valid.
                let mut data: sys::nvmlEventData_t = unsafe { std::mem::zeroed() };
                data.device = node::handle(gpu);
                data.eventType = sys::nvmlEventTypeXidCriticalError.into();
                data.eventData = xid;
                return put(out, data);
            }
            if Instant::now() >= until {
                return Err(TIMEOUT);
            }
            thread::park_timeout(LOOK);
        }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlEventSetWait(
    set: sys::nvmlEventSet_t,
    out: *mut sys::nvmlEventData_t,
    timeout_ms: c_uint,
) -> Code {
    // SAFETY: as the caller promises.
    let code = unsafe { nvmlEventSetWait_v2(set, out, timeout_ms) };
    if code == INVALID_ARGUMENT { UNKNOWN } else { code }
}
