//! The edge: arguments, exit codes and the wiring of everything below into commands.

mod agent;
mod args;
mod args_agent;
mod args_lot;
mod baseline;
mod checks;
mod command_error;
mod cuda_look;
mod diff;
mod doctor;
mod drill;
mod drive;
mod dut;
mod exit_code;
mod files;
mod hardware;
mod language;
mod look;
mod lots;
mod node;
mod node_table;
mod plan_table;
mod playback;
mod printer;
mod profile;
mod record;
mod rejudge;
mod report;
mod run;
mod seal;
mod signals;
mod start;
mod stats;
mod verify;

pub use exit_code::Exit;
pub use start::main;
