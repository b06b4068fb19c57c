//! The edge: arguments, exit codes and the wiring of everything below into commands.

mod args;
mod baseline;
mod checks;
mod diff;
mod drill;
mod drive;
mod exit_code;
mod files;
mod html;
mod language;
mod node;
mod parquet;
mod plan_table;
mod printer;
mod profile;
mod recorder;
mod rejudge;
mod report;
mod run;
mod runs;
mod seal;
mod start;
mod station;
mod stats;
mod trouble;
mod verify;

pub use exit_code::Exit;
pub use start::main;
