//! The machine around the GPUs, as its kernel shows it: bus, firmware tables, sensors, disks, networks, log.
//!
//! Every reader takes the root directory to look under, so that a tree of files stands for a machine. What is not there
//! is said to be unsupported, what may not be read is said to be closed: nothing is guessed.

mod dmi;
mod kernel_log;
mod kernel_record;
mod machine;
mod parts;
mod pci;
mod ports;
mod read;
mod sensors;
mod source;
mod sources;
#[cfg(test)]
mod test_tree;

pub use kernel_log::{KernelEntry, KernelLog, is_own, trouble as log_trouble};
pub use machine::{MemoryErrors, memory_errors};
pub use pci::{PciDetail, pci_details};
pub use read::{HostFacts, read_host};
pub use sensors::inlet_celsius;
pub use sources::{SourceWatch, host_sources};
