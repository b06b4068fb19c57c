//! A node at one moment, from or to a file: what `nvidia-smi -q -x` wrote, and node files made of real machines.

mod element;
mod smi;
mod smi_error;
mod smi_gpu;

pub use smi::{SmiReport, read_smi};
pub use smi_error::SmiError;
