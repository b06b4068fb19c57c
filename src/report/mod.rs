//! Reports: pure functions of a run's record, and the witnesses that show or write them while the run goes on.
//!
//! Judging is done when they are made; nothing here changes what a run says. Texts for people stand in `words` and at the
//! top of each file.

mod console;
mod dcgm;
mod dcgm_error;
mod document;
mod explain;
mod files;
mod json;
mod junit;
mod layout;
mod ocptv;
mod pace;
mod plain;
mod properties;
mod row;
mod sheet;
mod text;
mod value;
mod verdict;
mod view;
mod words;
mod xml;

pub use console::Console;
pub use dcgm::dcgm;
pub use files::{RunFiles, write_files};
pub use json::{result, result_schema};
pub use junit::{Junit, junit};
pub use ocptv::{Ocptv, OcptvFile, broken_rule, ocptv, write_ocptv};
pub use pace::WallClock;
pub use plain::plain;
pub use sheet::{csv, json_rows};
pub use text::{Paint, step_line, verdict_block};
pub(crate) use xml::Xml;
