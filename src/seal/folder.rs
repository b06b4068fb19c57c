//! Lists the regular files of a run directory by relative path, in order.

use std::fs;
use std::path::Path;

use super::FILE_NAME;
use super::error::{SealError, failed};

/// Lists all files except the seal itself.
pub(super) fn files(run: &Path) -> Result<Vec<String>, SealError> {
    let mut found = Vec::new();
    collect(run, "", &mut found)?;
    found.retain(|name| name != FILE_NAME);
    found.sort();
    Ok(found)
}

fn collect(folder: &Path, prefix: &str, found: &mut Vec<String>) -> Result<(), SealError> {
    for entry in fs::read_dir(folder).map_err(failed("list", folder))? {
        let entry = entry.map_err(failed("list", folder))?;
        let kind = entry.file_type().map_err(failed("look at", &entry.path()))?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        // A link is neither: what it leads to is not in the run.
        if kind.is_dir() {
            collect(&entry.path(), &format!("{name}/"), found)?;
        } else if kind.is_file() {
            found.push(name);
        } else {
            return Err(SealError::NotAFile { name });
        }
    }
    Ok(())
}
