//! What the driver answers when it does not do what it is asked, each with what it means here and what to do.

use kiln_model::{DriverCall, KernelFallback, LoadEnd, LoadFault, OpenError, cuda_error};

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

    /// The call as records have it.
    pub(super) fn told(&self) -> DriverCall {
        DriverCall::new(self.call, self.code)
    }

    /// The error as a fact, with the other processes on the GPU where they may be the reason.
    pub(crate) fn fault(&self, holders: String) -> LoadFault {
        LoadFault::Driver { failed: self.told(), holders }
    }
}

/// Why the driver does not take a kernel image, with what its compiler says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    pub error: DriverError,
    /// Empty where it says nothing.
    pub log: String,
}

impl Refused {
    /// Why another image is used in its place.
    pub(super) fn fallback(self) -> KernelFallback {
        KernelFallback::Refused { failed: self.error.told(), log: self.log }
    }
}

impl From<DriverError> for OpenError {
    fn from(error: DriverError) -> Self {
        Self::Call(error.told())
    }
}
