//! Runs a program inside a worker: found, started so that it dies with the worker and all it started with it, read to a
//! bound, stopped, and what it printed turned into reports.
//!
//! The worker's lease and signals are its own and the supervisor's business; what the output means is the adapters'.

mod child;
mod descendants;
mod keeper;
mod kept;
mod launch;
mod search;
mod session;

pub(crate) use launch::become_program_if_asked;
pub(crate) use session::run;
