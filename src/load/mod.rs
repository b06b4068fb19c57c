//! Loads: what puts work on GPUs for real, and what keeps it on a lead.
//!
//! `supervisor` runs one child process for each GPU and turns what it says into reports; `worker` is the inside of that
//! child; `cuda` is the work itself, through the driver alone; `clock` holds a GPU's clock meanwhile; `tool` reads what other programs print. How the engine
//! uses loads is left to the engine.

mod clock;
pub mod cuda;
pub mod supervisor;
pub mod tool;
pub mod worker;
