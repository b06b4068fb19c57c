//! Files, opened so that nobody who may write to a folder can turn a reader or a writer against its user.
//!
//! Readers take regular files up to a size they name; a pipe, device or folder in a file's place is refused by what it is.
//! Writers make a file of a random name inside an open folder and put it in place whole; no link is followed there. The
//! names of a run directory's files stand here as well, once: `names`.

mod folder;
mod lock;
mod names;
mod part;
mod read;

pub use folder::Folder;
pub use lock::Lock;
pub use names::{JOURNAL, JUNIT, LOG, Made, OCPTV, PAGE, PARQUET, RESULT, RUN_FILES, RunFile, SAMPLES, SEAL};
pub use part::{Keep, Part, create_new, fill_with_randomness, replace, replace_secret};
pub use read::{GIB, MIB, is_path, open, open_bounded, read, read_open};
