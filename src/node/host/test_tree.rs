//! Files that stand for a machine, for the tests of those who read one.

use std::fs;
use std::path::Path;

/// Writes a file below `root`, and the folders it lies in.
pub(super) fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    fs::write(path, text).expect("a file");
}
