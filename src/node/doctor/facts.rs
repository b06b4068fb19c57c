//! What is known of a machine before a run.

use crate::host::PciDetail;
use crate::nvml::{LibraryFacts, NvmlOpenError};
use kiln_model::{Inventory, Reading, SourceTrouble};
use kiln_plan::PlanError;

/// What came of opening the CUDA driver and loading the kernels onto every GPU, as each load of a run does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CudaFacts {
    NotTried,
    /// Every GPU takes kernels; some of them not the ones made for it.
    Loaded {
        slower: Vec<String>,
    },
    /// Every image that each GPU is offered ran there for a window, and so many results were compared and right.
    Computed {
        images: Vec<String>,
        results: u64,
        slower: Vec<String>,
    },
    /// What was computed wrong.
    Wrong(Vec<String>),
    /// What was said where it did not work.
    Refused(Vec<String>),
}

/// What a profile would do on this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    pub profile: String,
    /// Steps that cannot run, each with the reason.
    pub unmet: Vec<String>,
    /// Limits that cannot be judged here, or by less, with the reason.
    pub blind: Vec<String>,
}

/// What came of the checks that need no load, judged as every run begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identified {
    NotTried,
    /// No run would begin.
    Refused(String),
    /// How many cases were judged, and what was said of those that would keep a run from passing.
    Judged {
        cases: usize,
        unmet: Vec<String>,
    },
}

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
    /// The models of the GPUs as a run would plan them, or why it would not.
    pub models: Option<Result<Vec<String>, PlanError>>,
    pub cuda: CudaFacts,
    /// What a profile's plan says of this node.
    pub planned: Option<Planned>,
    /// What a run's first stage says of the node.
    pub identified: Identified,
    /// GPUs on the bus.
    pub pci: Reading<Vec<PciDetail>>,
    pub is_root: bool,
    pub kernel_log: Result<(), SourceTrouble>,
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
