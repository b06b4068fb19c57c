//! Calls that are to fail: `KILN_FAKE_ERRORS` as `gpu:call:code`, with semicolons between; `*` stands for every GPU, or for every
//! call but those that give a handle; a call also matches by its end. A program that loads the library may change them with `kiln_fake_errors`.

use std::ffi::{CStr, c_char};
use std::sync::{Mutex, PoisonError};

use kiln_model::GpuIndex;

use crate::nvml::answer::{Code, INVALID_ARGUMENT, call};

struct Refusal {
    gpu: Option<u8>,
    call: String,
    code: Code,
}

static REFUSALS: Mutex<Option<Vec<Refusal>>> = Mutex::new(None);

fn read(text: &str) -> Vec<Refusal> {
    let one = |text: &str| {
        let mut words = text.split(':');
        let (gpu, call, code) = (words.next()?, words.next()?, words.next()?);
        Some(Refusal { gpu: gpu.parse().ok(), call: call.to_owned(), code: code.parse().ok()? })
    };
    text.split(';').filter_map(one).collect()
}

/// The code with which `call` of `gpu` is to fail, if it is.
pub(crate) fn of(gpu: GpuIndex, call: &str) -> Result<(), Code> {
    let mut refusals = REFUSALS.lock().unwrap_or_else(PoisonError::into_inner);
    let refusals = refusals.get_or_insert_with(|| read(&std::env::var("KILN_FAKE_ERRORS").unwrap_or_default()));
    let meant = |refusal: &&Refusal| {
        let all = refusal.call == "*" && !call.contains("HandleBy");
        refusal.gpu.is_none_or(|number| number == gpu.0) && (all || call.ends_with(&refusal.call))
    };
    refusals.iter().find(meant).map_or(Ok(()), |refusal| Err(refusal.code))
}

/// Says anew which calls are to fail.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kiln_fake_errors(text: *const c_char) -> Code {
    call(|| {
        if text.is_null() {
            return Err(INVALID_ARGUMENT);
        }
        // SAFETY: callers pass a text that ends in nul; null is refused above.
        let text = unsafe { CStr::from_ptr(text) }.to_string_lossy();
        *REFUSALS.lock().unwrap_or_else(PoisonError::into_inner) = Some(read(&text));
        Ok(())
    })
}
