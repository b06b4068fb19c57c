//! What the driver answers when it does not do what it is asked, each with what it means here and what to do.

use kiln_model::{LoadEnd, LoadFault, cuda_error};

/// A call that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{call} failed: {} (CUDA error {code})", cuda_error::meaning(*code).0)]
pub struct DriverError {
    pub call: &'static str,
    pub code: i32,
}

/// Codes of the driver's header that are told apart here.
pub(crate) const OUT_OF_MEMORY: i32 = 2;
pub(crate) const NOT_READY: i32 = 600;
pub(crate) const NO_DEVICE: i32 = 100;
pub(crate) const INVALID_DEVICE: i32 = 101;
pub(crate) const NO_BINARY: i32 = 209;
pub(crate) const UNAVAILABLE: i32 = 46;
pub(crate) const PEER_ALREADY_ENABLED: i32 = 704;
pub(crate) const TOO_MANY_PEERS: i32 = 711;

impl DriverError {
    /// How a load ends that met this error while it ran.
    pub fn end(&self) -> LoadEnd {
        match self.code {
            UNAVAILABLE | NO_DEVICE | INVALID_DEVICE => LoadEnd::GpuLost,
            _ => LoadEnd::Failed(self.fault(String::new())),
        }
    }

    /// The error as a fact, with the other processes on the GPU where they may be the reason.
    pub(crate) fn fault(&self, holders: String) -> LoadFault {
        LoadFault::Driver { call: self.call.to_owned(), code: self.code, holders }
    }
}

/// Why the driver does not take a kernel image, with what its compiler says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub error: DriverError,
    /// Empty where it says nothing.
    pub log: String,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { error, log } = self;
        if log.is_empty() { write!(f, "{error}") } else { write!(f, "{error}: {log}") }
    }
}

/// Why there is no GPU to work on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    #[error(
        "the NVIDIA driver's library {library} cannot be opened: {why}; install the driver, or name the library in KILN_CUDA_LIB"
    )]
    NoLibrary { library: String, why: String },
    #[error("the NVIDIA driver is too old: its library has no {symbol}; install release 535 or later")]
    TooOld { symbol: &'static str },
    #[error("MIG is on for {gpu} ({name}); a load needs the whole GPU: turn MIG off with `nvidia-smi -i ID -mig 0`")]
    Mig { gpu: String, name: String },
    #[error("{gpu} is in compute mode {mode}{holders}; set it to default with `nvidia-smi -i ID -c 0`")]
    ComputeMode { gpu: String, mode: &'static str, holders: String },
    #[error("{gpu} cannot be used{holders}: {error}")]
    Taken { gpu: String, holders: String, error: DriverError },
    #[error("{gpu} ({name}) has compute capability {major}.{minor}; the kernels need 8.0 or newer")]
    TooOldGpu { gpu: String, name: String, major: i32, minor: i32 },
    #[error("no kernel image runs on {gpu} ({name}, compute capability {major}.{minor}): {error}")]
    NoImage { gpu: String, name: String, major: i32, minor: i32, error: Refused },
    #[error(transparent)]
    Driver(#[from] DriverError),
}
