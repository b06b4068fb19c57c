//! Reading: regular files only, up to a size.
//!
//! A named pipe would keep a reader waiting for ever, `/dev/zero` never ends, and opening some devices does something
//! (`/dev/watchdog` counts down to a reboot). So the kind is looked at before the file is opened, and once more after,
//! since a name may be given to something else in between.

use std::fs::{self, File, FileType, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;

pub const MIB: u64 = 1 << 20;
pub const GIB: u64 = 1 << 30;

/// Never waits for whoever is at the other end of a pipe or line, and never takes a terminal over.
pub(super) const CAUTIOUS: OFlags = OFlags::NONBLOCK.union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// Whether a name means a file and not something that is built in: it has a folder or an extension.
pub fn is_path(name: &str) -> bool {
    name.contains('/') || Path::new(name).extension().is_some()
}

/// Opens a regular file that a person named; links on the way are theirs and are followed.
pub fn open(path: &Path) -> io::Result<File> {
    refuse_strange(fs::metadata(path)?.file_type(), "read")?;
    let file = OpenOptions::new().read(true).custom_flags(CAUTIOUS.bits().cast_signed()).open(path)?;
    refuse_strange(file.metadata()?.file_type(), "read")?;
    Ok(file)
}

/// Reads all of a regular file of at most `most` bytes.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    read_open(&open(path)?, most)
}

/// Opens a regular file of at most `most` bytes that a person named.
pub fn open_bounded(path: &Path, most: u64) -> io::Result<File> {
    let file = open(path)?;
    refuse_large(file.metadata()?.len(), most)?;
    Ok(file)
}

/// Reads all of an open file of at most `most` bytes, from where it stands.
pub fn read_open(mut file: &File, most: u64) -> io::Result<Vec<u8>> {
    let length = file.metadata()?.len();
    refuse_large(length, most)?;
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
    // Files of /proc have no length, and any file may grow while it is read.
    file.by_ref().take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    refuse_large(bytes.len() as u64, most)?;
    Ok(bytes)
}

pub(super) fn refuse_large(length: u64, most: u64) -> io::Result<()> {
    if length <= most {
        return Ok(());
    }
    let text = format!("it is larger than {}, the most that is read of such a file", shown(most));
    Err(io::Error::new(io::ErrorKind::FileTooLarge, text))
}

fn shown(bytes: u64) -> String {
    if bytes.is_multiple_of(GIB) { format!("{} GiB", bytes / GIB) } else { format!("{} MiB", bytes / MIB) }
}

/// Refuses what is no regular file to be `done` to: read, or replaced.
pub(super) fn refuse_strange(kind: FileType, done: &str) -> io::Result<()> {
    let what = match kind {
        _ if kind.is_file() => return Ok(()),
        _ if kind.is_dir() => return Err(io::Error::new(io::ErrorKind::IsADirectory, not_regular("a folder", done))),
        _ if kind.is_fifo() => "a named pipe",
        _ if kind.is_socket() => "a socket",
        _ if kind.is_char_device() || kind.is_block_device() => "a device",
        _ if kind.is_symlink() => "a symbolic link",
        _ => "something else",
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, not_regular(what, done)))
}

fn not_regular(what: &str, done: &str) -> String {
    format!("it is {what}, and only a regular file is {done}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(path: &Path) -> String {
        read(path, 16).expect_err("refused").to_string()
    }

    #[test]
    fn a_pipe_a_device_and_a_folder_are_refused_by_what_they_are() {
        let folder = tempfile::tempdir().expect("folder");
        let pipe = folder.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).expect("a pipe");
        assert_eq!(refused(&pipe), "it is a named pipe, and only a regular file is read");
        assert_eq!(refused(Path::new("/dev/zero")), "it is a device, and only a regular file is read");
        assert_eq!(refused(folder.path()), "it is a folder, and only a regular file is read");
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("/dev/zero", &link).expect("linked");
        assert_eq!(refused(&link), "it is a device, and only a regular file is read");
    }

    #[test]
    fn a_file_that_is_too_large_is_refused_with_the_most_that_is_read() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("file");
        let file = File::create(&path).expect("made");
        file.set_len(2 * MIB + 1).expect("sparse");
        let said = read(&path, 2 * MIB).expect_err("refused").to_string();
        assert_eq!(said, "it is larger than 2 MiB, the most that is read of such a file");
        file.set_len(2 * MIB).expect("cut");
        assert_eq!(read(&path, 2 * MIB).expect("read").len() as u64, 2 * MIB);
        let said = read(Path::new("/proc/self/status"), 16).expect_err("no length, and longer").to_string();
        assert!(said.starts_with("it is larger than"), "{said}");
    }
}
