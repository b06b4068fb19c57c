//! Small files of `/proc` and `/sys` as readings.

use std::fs;
use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};

use kiln_model::{Reading, ReadingFailure};

/// Converts an I/O error into a reading: a file that is not there is unsupported, all else has failed.
pub(super) fn refused<T>(error: &Error) -> Reading<T> {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => Reading::Unsupported,
        ErrorKind::PermissionDenied => Reading::Failed(ReadingFailure::NoPermission),
        _ => Reading::Failed(ReadingFailure::Driver(error.raw_os_error().unwrap_or_default())),
    }
}

/// Reads a file as text, without surrounding white space. An empty file counts as unsupported.
pub(super) fn text(path: &Path) -> Reading<String> {
    match fs::read(path) {
        Ok(bytes) => match String::from_utf8_lossy(&bytes).trim() {
            "" => Reading::Unsupported,
            text => Reading::Value(text.to_owned()),
        },
        Err(error) => refused(&error),
    }
}

/// Reads a decimal number, or a hexadecimal one that starts with `0x`. Anything else counts as unsupported.
pub(super) fn number(path: &Path) -> Reading<u64> {
    parsed(text(path), |text| match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    })
}

/// Parses the text of a reading with `read`. Text that does not parse counts as unsupported.
pub(super) fn parsed<T>(text: Reading<String>, read: impl FnOnce(&str) -> Option<T>) -> Reading<T> {
    match text {
        Reading::Value(text) => read(&text).map_or(Reading::Unsupported, Reading::Value),
        Reading::Unsupported => Reading::Unsupported,
        Reading::Failed(failure) => Reading::Failed(failure),
    }
}

/// Lists the entries of a folder, sorted by name.
pub(super) fn entries(path: &Path) -> Reading<Vec<PathBuf>> {
    match fs::read_dir(path) {
        // A listing that fails half-way is not used at all.
        Ok(found) => {
            match found.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<PathBuf>, Error>>() {
                Ok(mut paths) => {
                    paths.sort();
                    Reading::Value(paths)
                }
                Err(error) => refused(&error),
            }
        }
        Err(error) => refused(&error),
    }
}

/// Returns the last part of a path.
pub(super) fn name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
