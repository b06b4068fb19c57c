//! What a shell and its manual know of the program: completions and man pages, made from the definitions of the arguments.

use std::path::Path;

use anyhow::Context as _;
use clap::CommandFactory as _;
use clap_complete::Shell;

use super::args::Cli;
use super::command_error::{CommandError, Sorted as _};
use super::exit_code::Exit;
use super::printer;

/// `kiln completions SHELL`.
pub(super) fn completions(shell: Shell) -> Result<Exit, CommandError> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "kiln", &mut script);
    printer::document(&String::from_utf8_lossy(&script)).no_claim()?;
    Ok(Exit::Pass)
}

/// `kiln man [--out DIR]`.
pub(super) fn man(folder: Option<&Path>) -> Result<Exit, CommandError> {
    if let Some(folder) = folder {
        std::fs::create_dir_all(folder)
            .and_then(|()| clap_mangen::generate_to(Cli::command(), folder))
            .with_context(|| format!("the pages cannot be written to {}", folder.display()))
            .no_claim()?;
    } else {
        let mut page = Vec::new();
        clap_mangen::Man::new(Cli::command()).render(&mut page).no_claim()?;
        printer::document(&String::from_utf8_lossy(&page)).no_claim()?;
    }
    Ok(Exit::Pass)
}
