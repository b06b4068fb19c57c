//! Runs a program inside a worker: found, started so that it dies with the worker, read to a bound, stopped, and what it
//! printed turned into reports.
//!
//! The worker's lease and signals are its own and the supervisor's business; what the output means is the adapters'.

mod child;
mod kept;
mod launch;
mod search;
mod session;

pub(crate) use launch::become_program_if_asked;
pub(crate) use session::run;
