//! One driver for each kind of load: what is launched and copied in which order, how long, and what is said of it.

mod affinity;
mod burn;
mod burner;
mod copy;
mod device_copy;
mod drive_context;
mod exchange;
mod flips;
mod glance;
mod march;
mod memory_stream;
mod pace;
mod screen;
mod sweep;
mod wrong;

pub(super) use burn::{burn, pulse};
pub use burner::products_in_a_result;
pub(super) use copy::{host_copy, pair_copy};
pub(super) use device_copy::device_copy;
pub(super) use drive_context::{Broken, DriveContext};
pub(super) use exchange::all_to_all;
pub(super) use glance::{Compared, glance};
pub(super) use march::march;
pub(super) use screen::screen;
