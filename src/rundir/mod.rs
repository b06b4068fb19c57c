//! The run directory: the one place that opens, reads and writes what a run leaves behind.
//!
//! [`RunDir`] reads a run back, [`Recorder`] writes one while it goes on, and [`FORMATS`] lists the formats in which
//! a run can be written. File names are in `disk::RUN_FILES`. The contents of journal, telemetry and reports are left to the
//! crates of those names.

mod baseline;
mod error;
mod format;
mod index;
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
pub use index::{Index, IndexKey};
pub use lot::{read_guard_bands, read_lot};
pub use many::{Found, Unread, read_many, read_records, run_folders};
pub use recorder::{Progress, Recorder, Settings};
pub use reports::{Written, rebuilt};
pub use run_dir::{Run, RunDir};
pub use view::{Look, RunView};
