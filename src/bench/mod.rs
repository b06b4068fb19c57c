//! Measuring a node without judging it, and what is made of the measurements.
//!
//! `phase` is what is measured, `measure` the fold from samples and reports of loads into a `document`, `owed` what must be
//! in it, `table` and `plot` the forms it is shown in, `aims` what the loads were to reach; `calibrate` makes proposed facts and
//! model parameters of documents.
//! Running the phases is the command line's.

mod aims;
mod calibrate;
mod document;
mod measure;
mod owed;
mod phase;
mod plot;
mod scatter;
mod screen;
mod table;

pub use calibrate::{
    Calibration, Comparison, Growth, LeftOut, NotUsable, Parameter, Proposal, calibrate, node_file_text, sku_file_text,
};
pub use document::{
    BENCH_SCHEMA, Bench, Flips, GpuMeasured, PhaseMeasured, ReadError, Trace, Trouble, Unit, document, read,
};
pub use measure::Meter;
pub use phase::{Lengths, Phase, Work, phases};
pub use plot::plots;
pub use scatter::Scatter;
pub use table::table;
