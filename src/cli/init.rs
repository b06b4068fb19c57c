//! `kiln init`: a first profile to start from, which runs as it is.

use std::path::Path;

use anyhow::{Context as _, anyhow};

use super::command_error::{CommandError, Sorted as _};
use super::exit_code::Exit;
use super::printer;
use crate::disk;

/// A profile on top of a built-in one: one value changed, one limit made tighter.
const FIRST: &str = include_str!("../../profiles/examples/first.yaml");

/// `kiln init [FILE]`.
pub(super) fn init(file: &Path) -> Result<Exit, CommandError> {
    if file.symlink_metadata().is_ok() {
        return Err(CommandError::Usage(anyhow!(
            "{} is there already; remove it or name another file",
            file.display()
        )));
    }
    disk::replace(file, FIRST.as_bytes())
        .with_context(|| format!("{} cannot be written", file.display()))
        .no_claim()?;
    let name = file.display();
    printer::note(&format!(
        "{name} is written. Next:\n  kiln profile check {name}\n  kiln profile explain {name}\n  kiln run {name} --sim \
         hgx-h200-8"
    ));
    Ok(Exit::Pass)
}
