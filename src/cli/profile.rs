//! `kiln profile …`: looking at a profile without running it.

use anyhow::anyhow;
use serde_json::json;

use super::args_profile::ProfileCommand;
use super::command_error::{CommandError, Sorted as _};
use super::exit_code::Exit;
use super::look::read_inventory;
use super::{dut, files, plan_table, printer, skus};
use crate::check;
use crate::plan;
use crate::profile::{Explained, Profile, builtin};
use crate::yaml::{Diagnostic, Diagnostics};

/// `kiln profile check|explain|plan|schema|show`.
pub(super) fn profile(command: ProfileCommand) -> Result<Exit, CommandError> {
    match command {
        ProfileCommand::Check { profile, sets, json: true } => return check_as_json(&profile, &sets),
        ProfileCommand::Check { profile, sets, json: false } => {
            let skus = skus::of_profile(&profile)?;
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
        ProfileCommand::Explain { profile, sets, json } => {
            let skus = skus::of_profile(&profile)?;
            let file = files::find_profile(&profile)?;
            let explanation = files::explain(&file, &skus, &files::sets(&sets)?)?;
            if json {
                let line = |line: &Explained| json!({ "path": line.path, "value": line.value, "origin": line.origin.to_string() });
                document(&explanation.0.iter().map(line).collect::<Vec<_>>())?;
            } else {
                printer::result(&explanation.to_string()).no_claim()?;
            }
        }
        ProfileCommand::Plan { profile, node, sets, only, json } => {
            let skus = skus::of_profile(&profile)?;
            let file = files::find_profile(&profile)?;
            let profile = files::resolve(&file, &skus, &files::sets(&sets)?, only.as_deref())?;
            let mut chosen = dut::choose(&node)?;
            let inventory = read_inventory(&mut chosen)?;
            let plan = plan::make(&profile, &inventory, &skus, check::catalogue(), only.as_deref()).usage()?;
            if json {
                document(&plan)?;
            } else {
                printer::result(&plan_table::table(&profile, &plan, &skus)).no_claim()?;
            }
        }
        ProfileCommand::Schema => {
            let skus = skus::known()?;
            let schema = crate::profile::json_schema(check::catalogue(), &skus);
            printer::json(&schema).no_claim()?;
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

fn document(value: &impl serde::Serialize) -> Result<(), CommandError> {
    printer::json(value).no_claim()
}

/// `kiln profile check --json`: what is wrong or deserves a second look, each with its place.
fn check_as_json(profile: &str, sets: &[String]) -> Result<Exit, CommandError> {
    let (skus, sets) = (skus::of_profile(profile)?, files::sets(sets)?);
    let file = files::find_profile(profile)?;
    let (resolved, errors) = match files::resolve(&file, &skus, &sets, None) {
        Ok(profile) => (Some(profile), Diagnostics::new()),
        Err(CommandError::Placed(errors)) => (None, errors),
        Err(other) => return Err(other),
    };
    let warnings = match resolved {
        Some(_) => files::second_looks(&file, &skus, &sets, false)?,
        None => Diagnostics::new(),
    };
    document(&json!({
        "file": file.name,
        "ok": resolved.is_some(),
        "id": resolved.as_ref().map(|profile| &profile.id),
        "revision": resolved.as_ref().map(|profile| profile.revision),
        "digest": resolved.as_ref().map(Profile::digest),
        "errors": placed(&errors),
        "warnings": placed(&warnings),
    }))?;
    Ok(if resolved.is_some() { Exit::Pass } else { Exit::Usage })
}

/// Lines and columns count from 1, columns in characters.
fn placed(diagnostics: &Diagnostics) -> Vec<serde_json::Value> {
    let one = |one: &Diagnostic| {
        let (start, label, help) = (&one.place, &one.label, &one.help);
        json!({
            "file": start.file(), "line": start.line(), "column": start.column(), "message": one.message, "label": label,
            "help": help,
        })
    };
    diagnostics.sorted().into_iter().map(one).collect()
}

/// The line that says what a profile leaves out of its parent, after `before`.
pub(super) fn left_out(profile: &Profile, before: &str) -> String {
    if profile.without.is_empty() {
        String::new()
    } else {
        format!("{before}left out of the parent: {}", profile.without.join(", "))
    }
}
