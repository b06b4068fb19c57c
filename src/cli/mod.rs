//! The edge: arguments, exit codes and the wiring of everything below into commands.

mod args;
mod baseline;
mod checks;
mod drill;
mod drive;
mod exit_code;
mod files;
mod node;
mod plan_table;
mod printer;
mod profile;
mod recorder;
mod report;
mod run;
mod start;
mod station;
mod trouble;

pub use exit_code::Exit;
pub use start::main;
