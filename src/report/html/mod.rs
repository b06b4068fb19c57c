//! Pages for people: `report.html` of a run, and what is made of several runs. Each is one file that fetches nothing, reads
//! without a script, in light and dark and on paper, and holds its phrases in the languages it was asked for.
//!
//! Pages are functions of the record, and of readings that the caller hands over as [`Traces`].

mod crowd;
mod diff_page;
mod link;
mod lot_page;
mod mark;
mod matrix;
mod measured;
mod origin;
mod page;
mod rows;
mod run_page;
mod slot;
mod summary;
mod svg;
#[cfg(test)]
mod tests;
mod timeline;
mod trace;

pub use diff_page::{Compared, diff_page};
pub use lot_page::{JudgedAgain, baseline_page, rejudge_page, stats_page};
pub use run_page::run_page;
pub use trace::Traces;
