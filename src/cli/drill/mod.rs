//! `kiln drill`: many runs of one profile on simulated nodes with known defects, spread over the processor's cores.
//!
//! What a run says of a defect, and all that follows from it, is `crate::drill`'s.

mod again;
mod bench;
mod command;
mod faults;
mod interrupt;
mod lots;
mod nodes;
mod output;
mod pool;
mod progress;
mod shorten;
mod soak;
mod trials;
mod variant;

pub(super) use command::drill;
