//! `kiln parts`: bills of materials, and `kiln run --parts`.

use std::path::Path;

use anyhow::{Context as _, anyhow};

use super::args_profile::PartsCommand;
use super::command_error::{CommandError, Sorted as _};
use super::exit_code::Exit;
use super::language::scanned;
use super::look::read_inventory;
use super::{dut, printer};
use crate::disk::{self, MIB};
use crate::profile::{PartsList, parts_schema};

/// `kiln parts make|check|schema`.
pub(super) fn parts(command: PartsCommand) -> Result<Exit, CommandError> {
    match command {
        PartsCommand::Make { node } => {
            let mut chosen = dut::choose(&node)?;
            let list = PartsList::of(&read_inventory(&mut chosen)?);
            printer::result(&list.to_yaml()).no_claim()?;
        }
        PartsCommand::Check { file } => {
            let list = read(&file)?;
            printer::result(&format!("{}: ok: {}", file.display(), list.digest)).no_claim()?;
        }
        PartsCommand::Schema => {
            printer::json(&parts_schema()).no_claim()?;
        }
    }
    Ok(Exit::Pass)
}

/// Reads a parts list.
pub(super) fn read(file: &Path) -> Result<PartsList, CommandError> {
    let name = file.display().to_string();
    let bytes = disk::read(file, MIB).with_context(|| format!("the parts list {name} cannot be read")).usage()?;
    let mut list = PartsList::read(&name, &bytes)?;
    // As `--serial` and `--order` take them, and for the same reason: both may come from an input method.
    for (key, text) in [("serial", &mut list.serial), ("order", &mut list.order)] {
        if let Some(text) = text {
            let plain = scanned(text).map_err(|why| anyhow!("{name}: `{key}` is `{text}`: {why}")).usage()?;
            *text = plain;
        }
    }
    Ok(list)
}
