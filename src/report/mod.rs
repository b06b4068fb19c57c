//! Reports: pure functions of a run's record, and the witnesses that show or write them while the run goes on.
//!
//! Judging is done when they are made; nothing here changes what a run says. Texts for people stand in `words` and at the
//! top of each file.

mod document;
mod explain;
mod interim;
mod json;
mod junit;
mod layout;
mod properties;
mod row;
mod value;
mod verdict;
mod words;
mod xml;

pub use interim::{verdict_text, write_all, write_junit};
pub use json::{result, result_schema};
pub use junit::junit;
