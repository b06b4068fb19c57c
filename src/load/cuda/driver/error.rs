//! What the driver answers when it does not do what it is asked, each with what it means here and what to do.

use kiln_model::LoadEnd;

/// A call that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{call} failed: {} (CUDA error {code})", meaning(*code))]
pub struct DriverError {
    pub call: &'static str,
    pub code: i32,
}

/// Codes of the driver's header that are told apart here.
pub(crate) const OUT_OF_MEMORY: i32 = 2;
pub(crate) const NOT_READY: i32 = 600;
pub(crate) const NO_DEVICE: i32 = 100;
pub(crate) const INVALID_DEVICE: i32 = 101;
pub(crate) const INVALID_IMAGE: i32 = 200;
pub(crate) const NO_BINARY: i32 = 209;
pub(crate) const UNSUPPORTED_PTX: i32 = 222;
pub(crate) const UNAVAILABLE: i32 = 46;
pub(crate) const PEER_ALREADY_ENABLED: i32 = 704;
pub(crate) const TOO_MANY_PEERS: i32 = 711;

const fn meaning(code: i32) -> &'static str {
    match code {
        1 => "an argument was refused; this is a defect of this program",
        OUT_OF_MEMORY => "out of GPU memory",
        3 | 4 => "the driver is not running in this process",
        34 => "the library is a stub for linking, not a driver; take the toolkit's stubs out of the library path",
        UNAVAILABLE => "the GPU is taken: it is in exclusive mode and another process has it, or use is prohibited",
        NO_DEVICE => "the driver sees no GPU",
        INVALID_DEVICE => "there is no such GPU any more",
        INVALID_IMAGE | NO_BINARY => "the driver does not take this kernel image",
        UNSUPPORTED_PTX => "the driver is too old for the kernels; install release 535 or later",
        214 => "an uncorrectable memory error (ECC) hit the running kernel",
        220 => "an uncorrectable NVLink error hit the running work",
        500 => "the kernel image lacks a kernel; this is a defect of this program",
        700 => "a kernel used an address that is not mapped",
        701 => "a kernel needs more registers or threads than there are",
        702 => "the driver stopped a kernel for running too long",
        716 => "a kernel used a misaligned address",
        715 => "a kernel hit an instruction the GPU calls illegal",
        719 => "a kernel failed on the GPU; the kernel log may name an Xid",
        721 => "the GPU contained an error and must be reset",
        801 => "this GPU or driver cannot do that",
        802 => "the system is not ready: start nvidia-fabricmanager and wait until the fabric is up",
        803 => "library and kernel driver are of different versions; reboot or reload the driver",
        999 => "the driver reports an unknown error; the kernel log may name an Xid",
        _ => "see the driver's list of errors",
    }
}

impl DriverError {
    /// How a load ends that met this error while it ran.
    pub fn end(&self) -> LoadEnd {
        match self.code {
            UNAVAILABLE | NO_DEVICE | INVALID_DEVICE => LoadEnd::GpuLost,
            _ => LoadEnd::Failed(self.to_string()),
        }
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
