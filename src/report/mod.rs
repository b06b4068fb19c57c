//! Reports: pure functions of a run's record, and the witnesses that show or write them while the run goes on.
//!
//! Judging is done when they are made; nothing here changes what a run says. What people are told stands in `phrase`, in every
//! language; machines are told English.

mod blind;
mod console;
mod dcgm;
mod dcgm_error;
#[cfg(test)]
mod dcgm_readers;
mod dcgm_three;
mod document;
mod ending;
mod explain;
#[cfg(test)]
mod glossary;
mod html;
mod json;
mod junit;
mod language;
mod layout;
mod ocptv;
mod pace;
mod phrase;
mod plain;
mod problems;
mod prompt;
mod properties;
mod remark;
mod row;
mod screened;
mod sentence;
mod sheet;
mod text;
mod value;
mod verdict;
mod view;
mod visible;
mod words;
mod xml;

pub use blind::blind_lines;
pub use console::Console;
pub use dcgm::dcgm;
pub use dcgm_three::dcgm3;
pub use html::{Compared, JudgedAgain, Traces, baseline_page, diff_page, rejudge_page, run_page, stats_page};
pub use json::{result_schema, write_result};
pub use junit::{Junit, junit};
pub use language::{Language, Languages, ParseLanguagesError};
pub use ocptv::{Ocptv, broken_rule, ocptv};
pub use pace::{Pace, WallClock};
pub use plain::plain;
pub use prompt::{files_are, restarts, signalled, yes_or_no};
pub use sentence::{
    evidence, from as evidence_source, interruption, missing, no_reference, reason, trip_cause, unmet, waiver,
};
pub use sheet::{csv, csv_for_excel, json_rows};
pub use text::{Paint, step_line, unmet_lines, verdict_block};
pub use value::shown;
pub use visible::visible;
pub use words::next_step;
pub use xml::Xml;
