//! Which JUnit, and what only one of them has.

use std::path::{Path, PathBuf};

use kiln_disk::{JOURNAL, OCPTV, PAGE, PARQUET, RESULT};
use kiln_event::{JunitDialect, RunRecord};

/// Files a case that failed points at; they explain one case among all.
const OF_A_FAILURE: &[&str] = &[RESULT.name];

/// Files the run as a whole points at once it has ended.
const OF_THE_RUN: &[&str] = &[PAGE.name, RESULT.name, JOURNAL.name, OCPTV.name, PARQUET.name];

/// How a line that names an attachment begins; it ends in `]]`.
const ATTACHMENT: &str = "[[ATTACHMENT|";

/// A dialect with what it needs to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Junit<'a> {
    /// Valid under the schema of Jenkins.
    Strict,
    /// With all that readers make use of.
    Rich {
        /// The run directory, as it is reached from where the reader looks: attachments are named by it.
        folder: &'a Path,
    },
}

impl<'a> Junit<'a> {
    /// The dialect that the run was asked to leave in its directory.
    pub fn of(record: &RunRecord, folder: &'a Path) -> Self {
        match record.start.as_ref().map(|start| start.junit).unwrap_or_default() {
            JunitDialect::Strict => Self::Strict,
            JunitDialect::Rich => Self::Rich { folder },
        }
    }

    /// The folder that the attachments of a file in this dialect are named by.
    pub fn folder_in(text: &[u8]) -> Option<PathBuf> {
        let text = std::str::from_utf8(text).ok()?;
        let (_, rest) = text.split_once(ATTACHMENT)?;
        let (path, _) = rest.split_once("]]")?;
        OF_THE_RUN.iter().find_map(|name| path.strip_suffix(name)).map(PathBuf::from)
    }

    /// Lines that name attachments, each alone on its line as readers want it.
    pub(super) fn attachments(self, names: &[&str]) -> Vec<String> {
        let Self::Rich { folder } = self else { return Vec::new() };
        // `runs/1/` and `runs/./1` are the same folder and must give the same file.
        let folder: PathBuf = folder.components().collect();
        names.iter().map(|name| format!("{ATTACHMENT}{}]]", folder.join(name).display())).collect()
    }

    pub(super) fn of_a_failure(self) -> Vec<String> {
        self.attachments(OF_A_FAILURE)
    }

    pub(super) fn of_the_run(self) -> Vec<String> {
        self.attachments(OF_THE_RUN)
    }

    pub(super) const fn is_rich(self) -> bool {
        matches!(self, Self::Rich { .. })
    }
}
