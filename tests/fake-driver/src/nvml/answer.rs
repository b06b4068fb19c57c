//! From readings to return codes and out-parameters.

use std::ffi::{c_char, c_uint};
use std::panic::{AssertUnwindSafe, catch_unwind};

use kiln_model::{Reading, ReadingFailure};
use nvml_wrapper_sys::bindings as sys;

/// A return code of the library.
pub(crate) type Code = sys::nvmlReturn_t;

pub(crate) const SUCCESS: Code = sys::nvmlReturn_enum_NVML_SUCCESS;
pub(crate) const UNINITIALIZED: Code = sys::nvmlReturn_enum_NVML_ERROR_UNINITIALIZED;
pub(crate) const INVALID_ARGUMENT: Code = sys::nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT;
pub(crate) const NOT_SUPPORTED: Code = sys::nvmlReturn_enum_NVML_ERROR_NOT_SUPPORTED;
pub(crate) const FUNCTION_NOT_FOUND: Code = sys::nvmlReturn_enum_NVML_ERROR_FUNCTION_NOT_FOUND;
pub(crate) const NOT_FOUND: Code = sys::nvmlReturn_enum_NVML_ERROR_NOT_FOUND;
pub(crate) const INSUFFICIENT_SIZE: Code = sys::nvmlReturn_enum_NVML_ERROR_INSUFFICIENT_SIZE;
pub(crate) const TIMEOUT: Code = sys::nvmlReturn_enum_NVML_ERROR_TIMEOUT;
pub(crate) const LOST: Code = sys::nvmlReturn_enum_NVML_ERROR_GPU_IS_LOST;
pub(crate) const UNKNOWN: Code = sys::nvmlReturn_enum_NVML_ERROR_UNKNOWN;

/// Runs one call. A panic must not cross into C.
pub(crate) fn call(body: impl FnOnce() -> Result<(), Code>) -> Code {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => SUCCESS,
        Ok(Err(code)) => code,
        Err(_) => UNKNOWN,
    }
}

/// A reading as the value or the code it stands for.
pub(crate) fn settled<T>(reading: Reading<T>) -> Result<T, Code> {
    match reading {
        Reading::Value(value) => Ok(value),
        Reading::Unsupported => Err(NOT_SUPPORTED),
        Reading::Failed(ReadingFailure::Lost) => Err(LOST),
        Reading::Failed(ReadingFailure::Timeout) => Err(TIMEOUT),
        Reading::Failed(ReadingFailure::NoPermission) => Err(sys::nvmlReturn_enum_NVML_ERROR_NO_PERMISSION),
        Reading::Failed(ReadingFailure::Driver(code)) => Err(code as Code),
    }
}

/// Writes a value to where the caller wants it.
pub(crate) fn put<T>(out: *mut T, value: T) -> Result<(), Code> {
    if out.is_null() {
        return Err(INVALID_ARGUMENT);
    }
    // SAFETY: the interface asks callers for a pointer to a `T` that may be written; null is refused above.
    unsafe { out.write(value) };
    Ok(())
}

/// Writes a text with its final nul into a buffer of `length`.
pub(crate) fn put_text(out: *mut c_char, length: c_uint, text: &str) -> Result<(), Code> {
    if out.is_null() {
        return Err(INVALID_ARGUMENT);
    }
    if text.len() >= length as usize {
        return Err(INSUFFICIENT_SIZE);
    }
    // SAFETY: the interface asks callers for a buffer of `length` bytes, and text and nul are no more than that.
    unsafe {
        std::ptr::copy_nonoverlapping(text.as_ptr().cast(), out, text.len());
        out.add(text.len()).write(0);
    }
    Ok(())
}

/// A text into a fixed array of C characters, cut to fit.
pub(crate) fn characters<const N: usize>(text: &str) -> [c_char; N] {
    let mut array = [0; N];
    for (place, byte) in array.iter_mut().zip(text.bytes().take(N - 1)) {
        *place = byte as c_char;
    }
    array
}
