//! `kiln init`: a first profile to start from, which runs as it is.

use std::path::Path;

use super::command_error::CommandError;
use super::exit_code::Exit;
use super::{files, printer};

/// A profile on top of a built-in one: one value changed, one limit made tighter.
const FIRST: &str = include_str!("../../profiles/examples/first.yaml");

/// `kiln init [FILE]`.
pub(super) fn init(file: &Path) -> Result<Exit, CommandError> {
    files::write_new(file, FIRST)?;
    let name = file.display();
    printer::note(&format!(
        "{name} is written. Next:\n  kiln profile check {name}\n  kiln profile explain {name}\n  kiln run {name} --sim \
         hgx-h200-8"
    ));
    Ok(Exit::Pass)
}
