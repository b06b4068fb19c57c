//! Trouble of this program's own that ends a run.
//!
//! It is an error like any other, with a message in English, so that it can travel inside one of the system's; a report says
//! the same in other languages.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// Why the run could not go on. What the system says is carried in its own words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum RunFailure {
    /// A file of the run directory cannot be written.
    #[error("cannot write {path}: {error}")]
    Unwritten { path: String, error: String },
    /// The journal was given an event out of its order.
    #[error("event {came} came to {path} where event {due} was due")]
    OutOfOrder { path: String, came: u64, due: u64 },
    /// The words of the system, and of older journals.
    #[error("{0}")]
    #[serde(untagged)]
    Words(String),
}

impl RunFailure {
    /// Returns the error with the path it happened at, of the same kind as before.
    pub fn unwritten(path: &Path, error: &io::Error) -> io::Error {
        let (path, kind) = (path.display().to_string(), error.kind());
        io::Error::new(kind, Self::Unwritten { path, error: error.to_string() })
    }
}

impl From<&io::Error> for RunFailure {
    /// Takes the failure out of an error that carries one.
    fn from(error: &io::Error) -> Self {
        let carried = error.get_ref().and_then(|inner| inner.downcast_ref::<Self>());
        carried.cloned().unwrap_or_else(|| Self::Words(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Interruption;

    #[test]
    fn a_failure_comes_out_of_the_error_that_carried_it() {
        let full = io::Error::from_raw_os_error(28);
        let carried = RunFailure::unwritten(Path::new("runs/1/journal.jsonl"), &full);
        assert_eq!(carried.kind(), full.kind());
        assert_eq!(carried.to_string(), format!("cannot write runs/1/journal.jsonl: {full}"));
        let (path, error) = ("runs/1/journal.jsonl".to_owned(), full.to_string());
        assert_eq!(RunFailure::from(&carried), RunFailure::Unwritten { path, error });
        assert_eq!(RunFailure::from(&full), RunFailure::Words(full.to_string()));
    }

    #[test]
    fn the_words_of_an_older_journal_are_read() {
        let old: Interruption = serde_json::from_str(r#"{"failure":"no space left on device"}"#).expect("read");
        assert_eq!(old, Interruption::Failure(RunFailure::Words("no space left on device".to_owned())));
        let now = Interruption::Failure(RunFailure::OutOfOrder { path: "x".to_owned(), came: 3, due: 2 });
        let text = serde_json::to_string(&now).expect("written");
        assert_eq!(serde_json::from_str::<Interruption>(&text).expect("read"), now, "{text}");
    }
}
