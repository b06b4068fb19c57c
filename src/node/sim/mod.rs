//! A simulated node.

mod bandwidth;
mod build;
mod catalogue;
mod copies;
mod errors;
mod exert;
mod fault_file;
mod fault_run;
mod fault_use;
mod file;
mod gpu;
mod incident;
mod inventory;
mod library;
mod load;
mod march;
mod noise;
mod parameter;
mod sensor;
mod sim_node;
mod site;
mod thermal;
#[cfg(test)]
mod trial;

pub use catalogue::NodeFileError;
pub use fault_file::{FaultFile, FaultFileError, Severity};
pub use fault_use::{FaultUse, Injected};
pub use file::NodeFile;
pub use parameter::{Meaning, Parameter, ParameterSpec};
pub use sim_node::SimNode;
