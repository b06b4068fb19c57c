//! A node at one moment, from or to a file: what `nvidia-smi -q -x` wrote, and node files made of real machines.

mod element;
mod node_file;
mod sheet;
mod smi;
mod smi_error;
mod smi_gpu;

pub use node_file::{NodeSnapshot, SnapshotError, node_file};
pub use sheet::{Field, FieldOrigin};
pub use smi::{SmiReport, decoded, read_smi};
pub use smi_error::SmiError;
