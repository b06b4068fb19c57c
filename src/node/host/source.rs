//! Small files of `/proc` and `/sys` as readings.

use std::fs;
use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};

use kiln_model::{Reading, ReadingFailure};

/// What an error says of a reading.
pub(super) fn refused<T>(error: &Error) -> Reading<T> {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => Reading::Unsupported,
        ErrorKind::PermissionDenied => Reading::Failed(ReadingFailure::NoPermission),
        _ => Reading::Failed(ReadingFailure::Driver(error.raw_os_error().unwrap_or_default())),
    }
}

/// The text of a file without the blanks around it. An empty file says nothing.
pub(super) fn text(path: &Path) -> Reading<String> {
    match fs::read(path) {
        Ok(bytes) => match String::from_utf8_lossy(&bytes).trim() {
            "" => Reading::Unsupported,
            text => Reading::Value(text.to_owned()),
        },
        Err(error) => refused(&error),
    }
}

/// A decimal number, or a hexadecimal one after `0x`. Anything else is no reading.
pub(super) fn number(path: &Path) -> Reading<u64> {
    parsed(text(path), |text| match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    })
}

/// A reading of the text, where it reads as wanted.
pub(super) fn parsed<T>(text: Reading<String>, read: impl FnOnce(&str) -> Option<T>) -> Reading<T> {
    match text {
        Reading::Value(text) => read(&text).map_or(Reading::Unsupported, Reading::Value),
        Reading::Unsupported => Reading::Unsupported,
        Reading::Failed(failure) => Reading::Failed(failure),
    }
}

/// The entries of a folder in the order of their names.
pub(super) fn entries(path: &Path) -> Reading<Vec<PathBuf>> {
    match fs::read_dir(path) {
        // A list that breaks off is not the whole list.
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

/// The last part of a path.
pub(super) fn name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
