//! The run directory: the one place that opens, reads and writes what a run leaves behind.
//!
//! [`RunDir`] reads a run back, [`Recorder`] writes one while it goes on, and [`FORMATS`] are all the forms a run is told
//! in. What the files are called stands in `disk::RUN_FILES`; journal, telemetry and reports are for rooms of their own.

mod baseline;
mod error;
mod format;
mod labels;
mod lot;
mod many;
mod readings;
mod recorder;
mod reports;
mod run_dir;
mod stream;
mod view;

pub use baseline::read_baseline;
pub use error::RunDirError;
pub use format::{FORMATS, Form, Format, FormatError, format};
pub use lot::{read_guard_bands, read_lot};
pub use many::{Found, Unread, read_many, run_folders};
pub use recorder::{Progress, Recorder, Settings};
pub use reports::{Written, rebuilt};
pub use run_dir::{Run, RunDir};
pub use view::{Look, RunView};
