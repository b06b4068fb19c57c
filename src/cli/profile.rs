//! `kiln profile …`: looking at a profile without running it.

use anyhow::anyhow;

use super::args::ProfileCommand;
use super::command_error::{CommandError, Sorted as _};
use super::exit_code::Exit;
use super::look::read_inventory;
use super::{dut, files, plan_table, printer};
use crate::check;
use crate::plan;
use crate::profile::{Profile, builtin};

/// `kiln profile check|explain|plan|schema|show`.
pub(super) fn profile(command: ProfileCommand) -> Result<Exit, CommandError> {
    match command {
        ProfileCommand::Check { profile, sets } => {
            let skus = files::skus()?;
            let file = files::find_profile(&profile)?;
            let sets = files::sets(&sets)?;
            let profile = files::resolve(&file, &skus, &sets, None)?;
            let warnings = files::warnings(&file, &skus, &sets, false)?;
            if !warnings.is_empty() {
                printer::tell(&warnings);
            }
            let steps: usize = profile.stages.iter().map(|stage| stage.steps.len()).sum();
            let text = format!(
                "{}: ok: {} revision {}, {} stages, {steps} steps, {}{}",
                file.name,
                profile.id,
                profile.revision,
                profile.stages.len(),
                profile.digest(),
                left_out(&profile, "\n"),
            );
            printer::result(&text).no_claim()?;
        }
        ProfileCommand::Explain { profile, sets } => {
            let skus = files::skus()?;
            let file = files::find_profile(&profile)?;
            printer::result(&files::explain(&file, &skus, &files::sets(&sets)?)?).no_claim()?;
        }
        ProfileCommand::Plan { profile, node, sets, only } => {
            let skus = files::skus()?;
            let file = files::find_profile(&profile)?;
            let profile = files::resolve(&file, &skus, &files::sets(&sets)?, only.as_deref())?;
            let mut chosen = dut::choose(&node)?;
            let inventory = read_inventory(&mut chosen)?;
            let plan = plan::make(&profile, &inventory, &skus, check::catalogue(), only.as_deref()).usage()?;
            printer::result(&plan_table::table(&profile, &plan)).no_claim()?;
        }
        ProfileCommand::Schema => {
            let skus = files::skus()?;
            let schema = crate::profile::json_schema(check::catalogue(), &skus);
            printer::result(&serde_json::to_string_pretty(&schema).no_claim()?).no_claim()?;
        }
        ProfileCommand::Show { profile: None } => {
            let names: Vec<&str> = builtin::profile_names().collect();
            printer::result(&names.join("\n")).no_claim()?;
        }
        ProfileCommand::Show { profile: Some(name) } => {
            let names = || builtin::profile_names().collect::<Vec<_>>().join(", ");
            let text = builtin::profile(&name);
            let text =
                text.ok_or_else(|| anyhow!("there is no built-in profile `{name}`; there are {}", names())).usage()?;
            printer::result(text).no_claim()?;
        }
    }
    Ok(Exit::Pass)
}

/// The line that says what a profile leaves out of its parent, after `before`.
pub(super) fn left_out(profile: &Profile, before: &str) -> String {
    if profile.without.is_empty() {
        String::new()
    } else {
        format!("{before}left out of the parent: {}", profile.without.join(", "))
    }
}
