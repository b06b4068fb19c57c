//! What a run is opened with, and what arrives before it has begun.

use kiln_event::RunStart;
use kiln_model::{KernelRecord, SourceReport};

/// Kept until the inventory is read, with which a run begins.
#[derive(Default)]
pub(super) struct Opening {
    /// The start of a new run; none where one is taken up again.
    pub(super) start: Option<Box<RunStart>>,
    /// The steps that alone are to run.
    pub(super) only: Option<String>,
    /// Digest of the files that the node of a resumed run is made from.
    pub(super) source_digest: Option<String>,
    /// What sources and the kernel said meanwhile.
    pub(super) sources: Vec<SourceReport>,
    pub(super) kernel: Vec<KernelRecord>,
}
