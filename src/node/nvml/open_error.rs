//! Why the library could not be used, each cause with what to do about it.

use std::path::Path;

use nvml_wrapper::error::NvmlError;
use nvml_wrapper_sys::bindings as sys;

/// Why there is no node to read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NvmlOpenError {
    #[error(
        "{library}: no such library; install the NVIDIA driver (its package `libnvidia-ml1`, `nvidia-driver-*` or \
         `nvidia-utils`), or name the file with --nvml-lib"
    )]
    LibraryMissing { library: String },
    #[error(
        "{library}: built for another kind of machine ({detail}); name the library for this processor with --nvml-lib"
    )]
    WrongArchitecture { library: String, detail: String },
    #[error("{library}: cannot be loaded ({detail}); name another file with --nvml-lib, or install the driver again")]
    Unloadable { library: String, detail: String },
    #[error(
        "{library}: too old or not the NVIDIA management library: it has no `{symbol}`; a driver of release 535 or \
         later is needed"
    )]
    SymbolMissing { library: String, symbol: &'static str },
    #[error("the NVIDIA kernel driver is not loaded; load it with `modprobe nvidia`, and look for why not in `dmesg`")]
    DriverNotLoaded,
    #[error("no permission to use the GPUs; run as root, or open /dev/nvidiactl and /dev/nvidia* to this user")]
    NoPermission,
    #[error(
        "the loaded NVIDIA kernel driver and {library} are of different versions; reboot, or unload and load the \
         nvidia modules, so that both come from one installation"
    )]
    VersionMismatch { library: String },
    #[error("{library}: initialisation refused with code {code} ({text}); see `dmesg` for what the driver says")]
    InitRefused { library: String, code: u32, text: String },
    #[error(
        "{library}: initialisation did not return within {seconds} s; a GPU may hang the driver: see `dmesg`, then \
         reset or reboot"
    )]
    InitHung { library: String, seconds: u64 },
    #[error(
        "the driver shows no GPU; see `lspci -d 10de:` for whether the bus does, and `dmesg` for why not the driver"
    )]
    NoGpus,
    #[error(
        "the driver counted {count} GPUs, but GPU {index} was gone when it was opened; see `dmesg`, and start again \
         once the count is steady"
    )]
    Vanished { index: u32, count: u32 },
}

impl NvmlOpenError {
    /// From what the loader or the library's initialisation said.
    pub(super) fn from_init(library: &Path, error: NvmlError) -> Self {
        let name = library.display().to_string();
        match error {
            NvmlError::LibloadingError(error) => Self::from_loader(name, &loader_text(&error)),
            NvmlError::FailedToLoadSymbol(_) => Self::SymbolMissing { library: name, symbol: "nvmlInit_v2" },
            NvmlError::DriverNotLoaded => Self::DriverNotLoaded,
            NvmlError::NoPermission => Self::NoPermission,
            NvmlError::LibRmVersionMismatch => Self::VersionMismatch { library: name },
            other => {
                let text = other.to_string();
                Self::InitRefused { library: name, code: other.into(), text }
            }
        }
    }

    /// From the dynamic loader's own words; it offers no code.
    fn from_loader(library: String, said: &str) -> Self {
        let wrong =
            ["wrong ELF class", "ELF file's phentsize", "cannot open shared object file: Exec format", "machine"];
        if said.contains("No such file") {
            return Self::LibraryMissing { library };
        }
        let detail = said.strip_prefix(&library).unwrap_or(said).trim_start_matches(": ").to_owned();
        if wrong.iter().any(|words| said.contains(words)) {
            return Self::WrongArchitecture { library, detail };
        }
        Self::Unloadable { library, detail }
    }

    /// From the code with which a device handle was refused; `None` where the GPU is there but broken.
    pub(super) fn from_handle(code: u32, index: u32, count: u32, steady: bool) -> Option<Self> {
        match code {
            sys::nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT | sys::nvmlReturn_enum_NVML_ERROR_NOT_FOUND if !steady => {
                Some(Self::Vanished { index, count })
            }
            sys::nvmlReturn_enum_NVML_ERROR_NO_PERMISSION => Some(Self::NoPermission),
            _ => None,
        }
    }
}

/// The loader's text: `libloading` keeps it in the source of its error or in its display.
fn loader_text(error: &dyn std::error::Error) -> String {
    let own = error.to_string();
    match error.source() {
        Some(source) => format!("{own}: {source}"),
        None => own,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_library_is_told_from_one_that_does_not_load() {
        let missing = "libx.so: cannot open shared object file: No such file or directory";
        assert_eq!(
            NvmlOpenError::from_loader("libx.so".to_owned(), missing),
            NvmlOpenError::LibraryMissing { library: "libx.so".to_owned() }
        );
        assert_eq!(
            NvmlOpenError::from_loader("libx.so".to_owned(), "libx.so: wrong ELF class: ELFCLASS32"),
            NvmlOpenError::WrongArchitecture {
                library: "libx.so".to_owned(),
                detail: "wrong ELF class: ELFCLASS32".to_owned()
            }
        );
        assert_eq!(
            NvmlOpenError::from_loader("libx.so".to_owned(), "libx.so: file too short"),
            NvmlOpenError::Unloadable { library: "libx.so".to_owned(), detail: "file too short".to_owned() }
        );
    }

    #[test]
    fn each_refusal_of_the_library_has_its_own_cause() {
        let of = |code: u32| NvmlOpenError::from_init(Path::new("lib"), code.into());
        assert_eq!(of(9), NvmlOpenError::DriverNotLoaded);
        assert_eq!(of(4), NvmlOpenError::NoPermission);
        assert_eq!(of(18), NvmlOpenError::VersionMismatch { library: "lib".to_owned() });
        let NvmlOpenError::InitRefused { code: 999, .. } = of(999) else { panic!("not refused: {:?}", of(999)) };
        let vanished = Some(NvmlOpenError::Vanished { index: 7, count: 8 });
        assert_eq!(NvmlOpenError::from_handle(2, 7, 8, false), vanished);
        assert_eq!(NvmlOpenError::from_handle(2, 7, 8, true), None, "the driver still counts it");
        assert_eq!(NvmlOpenError::from_handle(15, 7, 8, true), None);
    }
}
