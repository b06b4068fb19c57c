//! Whether this machine is ready for a run: facts are collected in one place and judged in another, without a machine.

mod advice;
mod collect;
mod facts;

pub use advice::{Advice, Readiness, advise};
pub use collect::{DoctorOptions, collect_facts};
pub use facts::{CudaFacts, DoctorFacts, Identified, Planned, Service};
