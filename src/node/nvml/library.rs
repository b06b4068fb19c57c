//! Opens the library and finds the GPUs in it, on a thread that may hang without harm.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use nvml_wrapper::Nvml;
use nvml_wrapper::error::NvmlError;

use super::clock::RunClock;
use super::device::{NvmlGpu, Unreachable};
use super::facts::handle_failure;
use super::open_error::NvmlOpenError;
use super::outcome::read;
use super::raw::RawDevice;
use super::reader_threads::GpuReader;
use kiln_model::{GpuIndex, Reading};

/// The name the driver's package gives the library.
pub const DEFAULT_LIBRARY: &str = "libnvidia-ml.so.1";

/// Initialising wakes every GPU without persistence mode, which takes some seconds each.
const INIT_LIMIT: Duration = Duration::from_secs(60);

/// The library, open.
pub(super) struct Opened {
    pub(super) readers: Vec<(GpuIndex, Box<dyn GpuReader>)>,
    /// Handles of the GPUs that gave one, for events.
    pub(super) handles: Vec<(GpuIndex, RawDevice)>,
    pub(super) facts: LibraryFacts,
}

/// What the library says of the driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LibraryFacts {
    pub library: PathBuf,
    pub driver: Reading<String>,
    /// As `13.0`.
    pub cuda: Reading<String>,
    pub nvml: Reading<String>,
    pub gpus: u32,
}

/// Opens `lib`, or the driver's own library, and takes a handle of every GPU.
pub(super) fn open(lib: Option<&Path>, clock: &Arc<RunClock>) -> Result<Opened, NvmlOpenError> {
    let library = lib.map_or_else(|| PathBuf::from(DEFAULT_LIBRARY), Path::to_path_buf);
    let (told, came) = channel();
    let (path, thread_clock) = (library.clone(), Arc::clone(clock));
    let spawned = thread::Builder::new().name("nvml open".to_owned()).spawn(move || {
        // If nobody listens any more, the opening took too long and was given up.
        let _ = told.send(open_here(&path, &thread_clock));
    });
    let refused = |text: String| NvmlOpenError::InitRefused { library: library.display().to_string(), code: 999, text };
    spawned.map_err(|error| refused(format!("no thread: {error}")))?;
    match came.recv_timeout(INIT_LIMIT) {
        Ok(opened) => opened,
        Err(RecvTimeoutError::Timeout) => {
            Err(NvmlOpenError::InitHung { library: library.display().to_string(), seconds: INIT_LIMIT.as_secs() })
        }
        Err(RecvTimeoutError::Disconnected) => Err(refused("the library broke its own initialisation".to_owned())),
    }
}

/// What the library says without any GPU being read, for `doctor`.
pub fn library_facts(lib: Option<&Path>) -> Result<LibraryFacts, NvmlOpenError> {
    open(lib, &Arc::new(RunClock::new())).map(|opened| opened.facts)
}

fn open_here(library: &Path, clock: &Arc<RunClock>) -> Result<Opened, NvmlOpenError> {
    let nvml = Nvml::builder()
        .lib_path(library.as_os_str())
        .init()
        .map_err(|error| NvmlOpenError::from_init(library, error))?;
    // Never shut down: a thread may still be inside a call that hangs, and the process's end frees everything anyway.
    let nvml: &'static Nvml = Box::leak(Box::new(nvml));
    let count = nvml.device_count().map_err(|error| of_call(library, error, "nvmlDeviceGetCount_v2"))?;
    if count == 0 {
        return Err(NvmlOpenError::NoGpus);
    }
    let (mut readers, mut handles) = (Vec::<(GpuIndex, Box<dyn GpuReader>)>::new(), Vec::new());
    for number in 0..count {
        // A place is a byte; a library that counts more is broken, and the GPUs it does have are still read.
        let Ok(index) = u8::try_from(number).map(GpuIndex) else { break };
        match nvml.device_by_index(number) {
            Ok(device) => {
                handles.push((index, RawDevice::of(&device)));
                readers.push((index, Box::new(NvmlGpu::new(index, device, Arc::clone(clock)))));
            }
            Err(NvmlError::FailedToLoadSymbol(_)) => {
                return Err(missing(library, "nvmlDeviceGetHandleByIndex_v2"));
            }
            Err(error) => {
                let code: u32 = error.into();
                // A count that holds although the GPU has no handle is that of a GPU which is there, but broken.
                let steady = nvml.device_count().is_ok_and(|now| now == count);
                if let Some(error) = NvmlOpenError::from_handle(code, number, count, steady) {
                    return Err(error);
                }
                // There, but broken: the run goes on and names it.
                let failure = handle_failure(code);
                readers.push((index, Box::new(Unreachable { index, failure, clock: Arc::clone(clock) })));
            }
        }
    }
    let facts = LibraryFacts {
        library: library.to_path_buf(),
        driver: read(nvml.sys_driver_version()),
        cuda: read(nvml.sys_cuda_driver_version()).map(cuda_text),
        nvml: read(nvml.sys_nvml_version()),
        gpus: count,
    };
    Ok(Opened { readers, handles, facts })
}

fn missing(library: &Path, symbol: &'static str) -> NvmlOpenError {
    NvmlOpenError::SymbolMissing { library: library.display().to_string(), symbol }
}

fn of_call(library: &Path, error: NvmlError, symbol: &'static str) -> NvmlOpenError {
    match error {
        NvmlError::FailedToLoadSymbol(_) => missing(library, symbol),
        other => NvmlOpenError::from_init(library, other),
    }
}

/// `13000` as `13.0`, `12080` as `12.8`.
fn cuda_text(version: i32) -> String {
    format!("{}.{}", version / 1000, version % 1000 / 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuda_versions_read_as_people_write_them() {
        assert_eq!((cuda_text(13_000), cuda_text(12_080)), ("13.0".to_owned(), "12.8".to_owned()));
    }

    #[test]
    fn a_library_that_is_not_there_is_named_with_what_to_do() {
        let error = open(Some(Path::new("/nowhere/libnvidia-ml.so.1")), &Arc::new(RunClock::new())).err();
        let told = error.map(|error| error.to_string()).unwrap_or_default();
        insta::assert_snapshot!(told, @"/nowhere/libnvidia-ml.so.1: no such library; install the NVIDIA driver (its package `libnvidia-ml1`, `nvidia-driver-*` or `nvidia-utils`), or name the file with --nvml-lib");
    }

    #[test]
    fn a_file_that_is_no_library_is_not_called_missing() {
        let folder = tempfile::tempdir().expect("folder");
        let file = folder.path().join("libnvidia-ml.so.1");
        std::fs::write(&file, "not a library, and longer than any header of one would be at the least: 64 bytes")
            .expect("file");
        let error = open(Some(&file), &Arc::new(RunClock::new())).err();
        assert!(matches!(error, Some(NvmlOpenError::Unloadable { .. })), "{error:?}");
    }
}
