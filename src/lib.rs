#![doc = include_str!("ARCHITECTURE.md")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "this crate has not been gone through by file yet"
)]

pub use kiln_bench as bench;
pub use kiln_check as check;
pub mod cli;
pub use kiln_diagnose as diagnose;
pub use kiln_disk as disk;
pub use kiln_drill as drill;
pub use kiln_engine as engine;
pub use kiln_event as event;
pub use kiln_journal as journal;
pub use kiln_limit as limit;
pub use kiln_load as load;
pub use kiln_lot as lot;
pub use kiln_model as model;
pub use kiln_node as node;
pub use kiln_plan as plan;
pub use kiln_profile as profile;
pub use kiln_report as report;
pub use kiln_rundir as rundir;
pub use kiln_seal as seal;
pub use kiln_telemetry as telemetry;
pub use kiln_yaml as yaml;
