//! Stands in until the report directory and the console land here.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use crate::event::{Outcome, RunRecord, roll_up};

/// JUnit only.
pub fn write_junit(folder: &Path, record: &RunRecord) -> io::Result<()> {
    std::fs::write(folder.join("junit.xml"), super::junit(record))
}

/// All.
pub fn write_all(folder: &Path, record: &RunRecord) -> io::Result<()> {
    std::fs::write(folder.join("result.json"), super::result(record))?;
    write_junit(folder, record)
}

/// Text.
pub fn verdict_text(record: &RunRecord, _: Option<&Path>) -> String {
    let mut text = String::new();
    for step in &record.steps {
        for case in &step.cases {
            if !matches!(case.outcome, Outcome::Pass | Outcome::Skipped) {
                let why = case.reason.as_ref().map_or("", |why| why.text.as_str());
                let _ = writeln!(
                    text,
                    "{} r{} [{}] {}: {why}",
                    step.key.path,
                    step.key.round,
                    case.component,
                    case.outcome.shown()
                );
            }
        }
    }
    let verdict = record.verdict.clone().unwrap_or_else(|| roll_up(record));
    for f in &record.findings {
        let _ = writeln!(text, "FINDING {} {} {:?}", f.code, f.component, f.suspects);
    }
    let _ = writeln!(text, "{} after {}: {verdict:?}", verdict.word.shown(), record.last_at);
    text
}
