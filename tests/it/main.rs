//! Everything that is tested from outside: the library through its public face, the binary through its command line.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "numbers of tests and stand-ins are small, or words that are taken as they are"
)]

mod attacks;
mod blame;
mod command_line;
mod conveniences;
mod documents;
mod driver_calls;
mod driver_releases;
mod evidence;
mod fake_gpu;
mod formats;
mod load_on_a_fake_gpu;
mod load_variants;
mod lots;
mod names;
mod neighbours;
mod nodes;
mod pages;
mod parts;
mod profiles;
mod reasons;
mod rebuilt;
mod refusing;
mod restarts;
mod skus;
mod tidy;
mod tools;

use std::process::{Command, Output, Stdio};

const KILN: &str = env!("CARGO_BIN_EXE_kiln");

/// Runs the program without a terminal to ask at.
fn kiln(arguments: &[&str]) -> Output {
    Command::new(KILN).args(arguments).stdin(Stdio::null()).output().expect("kiln starts")
}
