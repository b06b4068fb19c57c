//! `kiln list`: what is built in, a line each, or as JSON.

use serde_json::{Value, json};

use super::args::Listed;
use super::command_error::{CommandError, Sorted as _};
use super::exit_code::Exit;
use super::{files, printer, skus};
use crate::check;
use crate::diagnose;
use crate::node::sim::{FaultFile, NodeFile};
use crate::profile::builtin;
use crate::report::Language;

/// One thing in a list: its name, what it is, and what else programs want to know of it.
struct Item {
    name: String,
    title: String,
    more: Value,
}

/// `kiln list WHAT [--json]`.
pub(super) fn list(what: Listed, json: bool, language: Language) -> Result<Exit, CommandError> {
    let items = match what {
        Listed::Profiles => profiles(language)?,
        Listed::Nodes => nodes(language)?,
        Listed::Faults => faults(language)?,
        Listed::Skus => skus(language)?,
        Listed::Checks => checks(),
        Listed::Findings => findings(language),
    };
    if json { document(&items) } else { table(&items) }
}

/// Prints a name and a title a line.
fn table(items: &[Item]) -> Result<Exit, CommandError> {
    let width = items.iter().map(|item| item.name.len()).max().unwrap_or(0);
    let lines: Vec<String> = items.iter().map(|item| format!("{:width$}  {}", item.name, item.title)).collect();
    printer::result(&lines.join("\n")).no_claim()?;
    Ok(Exit::Pass)
}

/// Prints a list of objects, each with `name` and `title`.
fn document(items: &[Item]) -> Result<Exit, CommandError> {
    let all: Vec<Value> = items
        .iter()
        .map(|item| {
            let mut object = json!({ "name": item.name, "title": item.title });
            if let (Some(object), Some(more)) = (object.as_object_mut(), item.more.as_object()) {
                object.extend(more.iter().map(|(key, value)| (key.clone(), value.clone())));
            }
            object
        })
        .collect();
    printer::json(&all).no_claim()?;
    Ok(Exit::Pass)
}

fn profiles(language: Language) -> Result<Vec<Item>, CommandError> {
    let skus = skus::known()?;
    builtin::profile_names()
        // What others extend is no profile to run.
        .filter(|name| *name != "base")
        .map(|name| {
            let profile = files::resolve(&files::find_profile(name)?, &skus, &[], None)?;
            let title = language.of(&profile.title).to_owned();
            let more = json!({ "revision": profile.revision, "digest": profile.digest() });
            Ok(Item { name: name.to_owned(), title, more })
        })
        .collect()
}

fn nodes(language: Language) -> Result<Vec<Item>, CommandError> {
    let item = |name: &str| {
        let file = NodeFile::find(name)?;
        Ok(Item { name: name.to_owned(), title: language.of(&file.title).to_owned(), more: json!({}) })
    };
    NodeFile::embedded().map(item).collect()
}

fn faults(language: Language) -> Result<Vec<Item>, CommandError> {
    let item = |name: &str| {
        let found = FaultFile::find(name)?;
        let more = found.as_ref().map(|fault| {
            json!({
                "component": fault.component().word(),
                "expect": fault.expect.code,
                "source": fault.source,
            })
        });
        let title = found.map(|fault| language.of(&fault.title).to_owned()).unwrap_or_default();
        Ok(Item { name: name.to_owned(), title, more: more.unwrap_or(json!({})) })
    };
    FaultFile::embedded().map(item).collect()
}

fn skus(language: Language) -> Result<Vec<Item>, CommandError> {
    let item = |sku: &crate::profile::Sku| Item {
        name: sku.id.clone(),
        title: language.of(&sku.title).to_owned(),
        more: json!({ "driver_names": sku.names, "gpus_per_node": sku.gpus_per_node }),
    };
    Ok(skus::known()?.0.iter().map(item).collect())
}

fn checks() -> Vec<Item> {
    let specs = check::catalogue().0;
    let item = |spec: &&crate::profile::CheckSpec| Item {
        name: spec.name.to_owned(),
        title: spec.summary.to_owned(),
        more: json!({}),
    };
    specs.iter().map(item).collect()
}

fn findings(language: Language) -> Vec<Item> {
    let item = |entry: &diagnose::Entry| Item {
        name: entry.code.to_owned(),
        title: super::explain::said(entry.title, language).to_owned(),
        more: json!({ "action": entry.action }),
    };
    diagnose::entries().iter().map(item).collect()
}
