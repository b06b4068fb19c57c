//! Keeps loads on a lead: starts the workers of an order, renews their leases, turns what they say into reports, and
//! ends them by asking, by signal and by force, without ever waiting for one that cannot be ended.
//!
//! What a worker does is left to `worker` and the engines.

mod group;
mod groups;
mod line;
mod process;
mod spawner;
#[cfg(test)]
mod tests;
mod worker_handle;

pub use groups::Supervisor;
pub use spawner::WorkerCommand;
