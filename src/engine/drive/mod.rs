//! The drivers: the only place that waits. One runs on the clock of the world, one jumps from deadline to deadline.

mod performer;
mod real_time;
mod virtual_time;

pub use performer::{DriveError, Operator};
pub use real_time::{Pace, Signals, run_in_real_time};
pub use virtual_time::run_in_virtual_time;
