//! What a drill leaves behind: the matrix on stdout, and `drill.json`, `junit.xml` and `drill.html` in its folder.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;

use crate::cli::command_error::{CommandError, Sorted as _};
use crate::cli::printer;
use crate::disk::{Folder, Keep};
use crate::drill::{Drill, comparison, document, junit, page, text};
use crate::lot::PartAverages;
use crate::report::Language;

/// What runs were held against, by the name of each one's file in the drill's folder.
#[derive(Debug, Default)]
pub(super) struct Held {
    pub lots: BTreeMap<String, PartAverages>,
    /// As YAML.
    pub parts: BTreeMap<String, String>,
}

pub(super) fn tell(drill: &Drill) -> Result<(), CommandError> {
    printer::result(&text(drill)).no_claim()
}

/// Several profiles side by side.
pub(super) fn compare(drills: &[Drill]) -> Result<(), CommandError> {
    printer::result(&format!("\n{}", comparison(drills))).no_claim()
}

/// Writes the files; what goes wrong is told, and the answer says whether all went well.
pub(super) fn write(folder: &Path, drill: &Drill, held: &Held, language: Language) -> bool {
    match write_all(folder, drill, held, language) {
        Ok(()) => {
            printer::note(&format!("drill.json, junit.xml and drill.html are in {}", folder.display()));
            true
        }
        Err(error) => {
            printer::error(&error);
            false
        }
    }
}

fn write_all(folder: &Path, drill: &Drill, held: &Held, language: Language) -> anyhow::Result<()> {
    let made = Folder::create(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let page = page(drill, language);
    let mut files = vec![("drill.json", document(drill)?), ("junit.xml", junit(drill)), ("drill.html", page)];
    for (name, lot) in &held.lots {
        files.push((name, serde_json::to_string_pretty(lot)? + "\n"));
    }
    files.extend(held.parts.iter().map(|(name, list)| (name.as_str(), list.clone())));
    for (name, text) in files {
        let path = folder.join(name);
        let put = made.replace(name, text.as_bytes(), Keep::Synced);
        put.with_context(|| format!("{} cannot be written", path.display()))?;
    }
    Ok(())
}
