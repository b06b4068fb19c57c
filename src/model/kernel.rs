//! Lines of the kernel log as a node hands them over.
//!
//! What a line means (Xid, SXid, AER) is for the check `kernel.log` to say.

use serde::{Deserialize, Serialize};

use super::{Moment, Span};

/// One kernel log line, in the order it was logged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelRecord {
    pub at: Moment,
    pub source: KernelSource,
    pub text: String,
}

impl KernelRecord {
    /// How long before the run it was logged; `None` for what was logged during it.
    pub const fn before(&self) -> Option<Span> {
        match self.source {
            KernelSource::BeforeRun(span) => Some(span),
            KernelSource::KernelLog | KernelSource::DriverEvent | KernelSource::Gap => None,
        }
    }
}

/// Where a record came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KernelSource {
    /// The kernel's own log.
    KernelLog,
    /// The driver's event channel, which may hold only the latest of several.
    DriverEvent,
    /// Records were lost before this one.
    Gap,
    /// The kernel's own log, from before the run: logged so long before the log was opened.
    BeforeRun(Span),
}
