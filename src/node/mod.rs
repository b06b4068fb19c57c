//! Adapters to nodes: where samples, inventories and kernel logs come from.
//!
//! What is asked of a node, and what follows from its answers, is the engine's and the checks' business.

pub mod doctor;
pub mod host;
mod narrowed;
mod node_lock;
pub mod nvml;
pub mod record;
pub mod sim;
pub mod snapshot;

pub use narrowed::Narrowed;
pub use node_lock::{NodeLock, NodeLockError};
