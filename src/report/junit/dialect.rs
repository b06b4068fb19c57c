//! Which JUnit, and what only one of them has.

use std::path::{Path, PathBuf};

use crate::event::{JunitDialect, RunRecord};

/// Files a case that failed points at; they explain one case among all.
const OF_A_FAILURE: &[&str] = &["result.json"];

/// Files the run as a whole points at once it has ended.
const OF_THE_RUN: &[&str] =
    &["report.html", "result.json", "journal.jsonl", "ocptv.jsonl", "telemetry/samples.parquet"];

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

    /// Lines that name attachments, each alone on its line as readers want it.
    pub(super) fn attachments(self, names: &[&str]) -> Vec<String> {
        let Self::Rich { folder } = self else { return Vec::new() };
        // `runs/1/` and `runs/./1` are the same folder and must give the same file.
        let folder: PathBuf = folder.components().collect();
        names.iter().map(|name| format!("[[ATTACHMENT|{}]]", folder.join(name).display())).collect()
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
