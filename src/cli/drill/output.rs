//! What a drill leaves behind: the matrix on stdout, and `drill.json`, `junit.xml` and `drill.html` in its folder.

use std::fs;
use std::path::Path;

use anyhow::Context as _;

use crate::cli::printer;
use crate::cli::trouble::{Sorted as _, Trouble};
use crate::drill::{Drill, document, junit, page, text};

pub(super) fn tell(drill: &Drill) -> Result<(), Trouble> {
    printer::result(&text(drill)).no_claim()
}

/// Writes the files; what goes wrong is told, and the answer says whether all went well.
pub(super) fn write(folder: &Path, drill: &Drill) -> bool {
    match write_all(folder, drill) {
        Ok(()) => {
            printer::tell(&format!("drill.json, junit.xml and drill.html are in {}", folder.display()));
            true
        }
        Err(error) => {
            printer::error(&error);
            false
        }
    }
}

fn write_all(folder: &Path, drill: &Drill) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    for (name, text) in [("drill.json", document(drill)?), ("junit.xml", junit(drill)), ("drill.html", page(drill))] {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))?;
    }
    Ok(())
}
