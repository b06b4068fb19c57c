//! What a return code of the library means for a reading: a value, "unsupported", or a failure.

#![expect(clippy::cast_possible_wrap, reason = "what a driver or a text tells is within the range of what it measures")]

use nvml_wrapper::error::NvmlError;
use nvml_wrapper_sys::bindings as sys;

use kiln_model::{Reading, ReadingFailure};

/// Whether the code says that this part or driver has no such thing.
///
/// `DEPRECATED` is how drivers since 580 answer for application clocks; `ARGUMENT_VERSION_MISMATCH` is how older ones
/// answer for structures newer than they are; `FUNCTION_NOT_FOUND` how a library answers for a kernel module too old.
fn is_unsupported(code: u32) -> bool {
    matches!(
        code,
        sys::nvmlReturn_enum_NVML_ERROR_NOT_SUPPORTED
            | sys::nvmlReturn_enum_NVML_ERROR_FUNCTION_NOT_FOUND
            | sys::nvmlReturn_enum_NVML_ERROR_ARGUMENT_VERSION_MISMATCH
            | sys::nvmlReturn_enum_NVML_ERROR_DEPRECATED
            | sys::nvmlReturn_enum_NVML_ERROR_VGPU_ECC_NOT_SUPPORTED
    )
}

/// The failure that a code stands for; `None` for "unsupported" and success.
pub(super) fn failure(code: u32) -> Option<ReadingFailure> {
    if code == sys::nvmlReturn_enum_NVML_SUCCESS || is_unsupported(code) {
        return None;
    }
    Some(match code {
        sys::nvmlReturn_enum_NVML_ERROR_GPU_IS_LOST | sys::nvmlReturn_enum_NVML_ERROR_GPU_NOT_FOUND => {
            ReadingFailure::Lost
        }
        sys::nvmlReturn_enum_NVML_ERROR_NO_PERMISSION => ReadingFailure::NoPermission,
        sys::nvmlReturn_enum_NVML_ERROR_TIMEOUT => ReadingFailure::Timeout,
        other => ReadingFailure::Driver(other as i32),
    })
}

/// Whether a GPU of which every call ends so is a broken GPU. The other codes tell of the library, of the driver as a whole
/// or of our rights, and say nothing of the part.
///
/// Codes of nvml.h: a power connector is off (8), no interrupt arrives (11), the InfoROM is corrupt (14), a reset is
/// required (16), an internal driver error (999).
pub(super) const fn is_dead(failure: ReadingFailure) -> bool {
    match failure {
        ReadingFailure::Lost | ReadingFailure::Timeout => true,
        ReadingFailure::NoPermission => false,
        ReadingFailure::Driver(code) => matches!(code, 8 | 11 | 14 | 16 | 999),
    }
}

/// A number that the library gives for want of a value: all bits set (`NVML_VALUE_NOT_AVAILABLE` of nvml.h, and what a
/// register reads as on a bus without its device).
pub(super) fn number(reading: Reading<u32>) -> Reading<f64> {
    match reading {
        Reading::Value(u32::MAX) => Reading::Unsupported,
        other => other.map(f64::from),
    }
}

/// A reading from a code and the value that counts where the code is success.
pub(super) fn coded<T>(code: u32, value: T) -> Reading<T> {
    match failure(code) {
        Some(failure) => Reading::Failed(failure),
        None if code == sys::nvmlReturn_enum_NVML_SUCCESS => Reading::Value(value),
        None => Reading::Unsupported,
    }
}

/// A reading from a call of the wrapper.
pub(super) fn read<T>(result: Result<T, NvmlError>) -> Reading<T> {
    match result {
        Ok(value) => Reading::Value(value),
        Err(error) => refused(error),
    }
}

fn refused<T>(error: NvmlError) -> Reading<T> {
    match error {
        NvmlError::FailedToLoadSymbol(_) => Reading::Unsupported,
        // Text that is not UTF-8 and the like: the driver answered nonsense.
        NvmlError::Utf8Error(_) | NvmlError::NulError(_) | NvmlError::IncorrectBits(_) => {
            Reading::Failed(ReadingFailure::Driver(sys::nvmlReturn_enum_NVML_ERROR_UNKNOWN as i32))
        }
        // Either a value or a code that the wrapper does not know; it keeps the number in both cases.
        NvmlError::UnexpectedVariant(number) => match failure(number) {
            Some(failure) => Reading::Failed(failure),
            None if is_unsupported(number) => Reading::Unsupported,
            None => Reading::Failed(ReadingFailure::Driver(number as i32)),
        },
        other => coded(other.into(), ()).and_never(),
    }
}

trait AndNever {
    fn and_never<T>(self) -> Reading<T>;
}

impl AndNever for Reading<()> {
    /// The same refusal as a reading of another type. An error that carries success is a broken library.
    fn and_never<T>(self) -> Reading<T> {
        match self {
            Reading::Value(()) => Reading::Failed(ReadingFailure::Driver(0)),
            Reading::Unsupported => Reading::Unsupported,
            Reading::Failed(failure) => Reading::Failed(failure),
        }
    }
}

/// `first`, or what `second` reads where the part does not offer the first.
pub(super) fn or<T>(first: Reading<T>, second: impl FnOnce() -> Reading<T>) -> Reading<T> {
    match first {
        Reading::Unsupported => second(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsupported_failed_and_lost_stay_three_things() {
        assert_eq!(coded(0, 7), Reading::Value(7));
        assert_eq!(coded(3, 7), Reading::Unsupported);
        assert_eq!(coded(26, 7), Reading::Unsupported);
        assert_eq!(coded(4, 7), Reading::Failed(ReadingFailure::NoPermission));
        assert_eq!(coded(15, 7), Reading::Failed(ReadingFailure::Lost));
        assert_eq!(coded(999, 7), Reading::Failed(ReadingFailure::Driver(999)));
        assert_eq!(coded(16, 7), Reading::Failed(ReadingFailure::Driver(16)));
    }

    #[test]
    fn all_bits_set_is_no_value() {
        assert_eq!(number(Reading::Value(u32::MAX)), Reading::Unsupported);
        assert_eq!(number(Reading::Value(41)), Reading::Value(41.0));
        assert_eq!(number(Reading::Failed(ReadingFailure::Lost)), Reading::Failed(ReadingFailure::Lost));
    }

    #[test]
    fn only_codes_about_the_part_make_a_silent_gpu_a_broken_one() {
        let dead = |code| failure(code).is_some_and(is_dead);
        for code in [8, 10, 11, 14, 15, 16, 28, 999] {
            assert!(dead(code), "{code}");
        }
        for code in [0, 1, 2, 3, 4, 6, 7, 9, 12, 13, 17, 18, 19, 20, 21, 22, 23, 25, 26, 27] {
            assert!(!dead(code), "{code}");
        }
    }

    #[test]
    fn codes_survive_the_wrapper() {
        let through = |code: u32| read::<()>(Err(code.into()));
        for code in [1, 2, 3, 4, 6, 10, 14, 15, 16, 20, 21, 25, 26, 27, 28, 999] {
            assert_eq!(through(code), coded(code, ()), "code {code}");
        }
        assert_eq!(read::<()>(Err(NvmlError::FailedToLoadSymbol(String::new()))), Reading::Unsupported);
    }
}
