//! What is known of a machine before a run.

use crate::model::{Inventory, Reading};
use crate::node::host::PciDetail;
use crate::node::nvml::{LibraryFacts, NvmlOpenError};

/// Whether a daemon is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    Running,
    NotRunning,
    /// The list of processes cannot be read.
    Unknown,
}

/// The facts, each from its own source.
#[derive(Debug, Clone, PartialEq)]
pub struct DoctorFacts {
    pub library: Result<LibraryFacts, NvmlOpenError>,
    /// What the GPUs say, where the library opened and all answered in time.
    pub inventory: Option<Box<Inventory>>,
    /// GPUs on the bus.
    pub pci: Reading<Vec<PciDetail>>,
    pub is_root: bool,
    pub kernel_log: Reading<()>,
    /// The node's serial in the firmware's tables.
    pub serial: Reading<String>,
    pub fabric_manager: Service,
    pub imex: Service,
    /// Whether the first IMEX channel's device file is there.
    pub imex_channel: bool,
    /// Where run directories go, and how much room there is.
    pub disk: String,
    pub disk_free_mib: Reading<u64>,
    pub clock_synced: Reading<bool>,
}
