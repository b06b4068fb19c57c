//! Checks: kinds of test, one file each. A check is a pure fold: it sees observations and says what it wants.
//!
//! A check never waits, reads or starts anything by itself, and never judges: limits are the engine's to apply.

mod config_policy;
mod config_restored;
mod contract;
mod copies;
mod counters_baseline;
mod course;
mod declare;
mod delta;
mod exchange;
mod fabric_ports;
mod fabric_state;
mod foreign;
mod gauge;
mod gauges;
mod gpu_burn;
mod gpu_cooldown;
mod gpu_count;
mod gpu_fixed_clock;
mod gpu_idle;
mod gpu_memory;
mod gpu_pulse;
mod gpu_screen;
mod gpu_training;
mod held_clock;
mod host_lost;
mod inventory_match;
mod inventory_watch;
mod kept;
mod kernel_log;
mod links;
mod load_none;
mod look;
mod meters;
mod node_reboot;
mod nvlink_bandwidth;
mod nvlink_soak;
mod nvlink_state;
mod offset_apart;
mod operator_confirm;
mod parts_list;
mod pcie_bandwidth;
mod pcie_link;
mod per_clock;
mod registry;
#[cfg(test)]
mod rig;
mod screen_gauge;
mod screen_part;
mod sensor_plausibility;
mod sensor_trace;
mod settle;
mod sheet;
mod siblings;
mod sloping;
mod soak_line;
mod spells;
mod steady;
mod thermal_soak;
mod tool;
#[cfg(test)]
mod toy_node;
mod twins;
mod unrest;
mod window;

pub use contract::{Check, CheckRun, Done, Seen, StepContext, Subject, Want, Wants};
pub use registry::{all, catalogue, find};
pub use tool::{Adapter, Output, Unread, adapter};
