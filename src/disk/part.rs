//! A file in the making: of a random name that nobody can have planted a link under, put in place once it is whole.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use rustix::fs::{AtFlags, OFlags};

use super::folder::{Folder, Readers};
use super::read::refuse_strange;

/// Bytes of the random part of a name: 64 bits cannot be guessed in the moment a file is made.
const RANDOM: usize = 8;

/// Whether a file must survive a power cut at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    Synced,
    /// Put in place whole; what it is made from is safe and can make it again.
    Rebuildable,
}

/// A file being written that does not have its name yet. Dropped without [`Part::commit`], it is taken away.
#[derive(Debug)]
pub struct Part {
    folder: Folder,
    file: File,
    /// The name it has until it is committed.
    temporary: String,
    name: String,
    placed: bool,
}

impl Part {
    pub(super) fn new(folder: Folder, name: &str, readers: Readers) -> io::Result<Self> {
        let mut random = [0; RANDOM];
        fill_with_randomness(&mut random)?;
        let temporary = format!(".{name}.{:016x}.part", u64::from_le_bytes(random));
        let file = folder.create_with(&temporary, OFlags::empty(), readers)?;
        Ok(Self { folder, file, temporary, name: name.to_owned(), placed: false })
    }

    /// Whether `found` is what a writer of `name` has in the making.
    pub(super) fn is_of(found: &str, name: &str) -> bool {
        let random = found.strip_prefix('.').and_then(|rest| rest.strip_prefix(name)?.strip_prefix('.'));
        let random = random.and_then(|rest| rest.strip_suffix(".part"));
        random.is_some_and(|random| random.len() == 2 * RANDOM && random.bytes().all(|one| one.is_ascii_hexdigit()))
    }

    /// Gives the file its name. Synced, both survive a power cut when this returns.
    pub fn commit(mut self, keep: Keep) -> io::Result<()> {
        if keep == Keep::Synced {
            self.file.sync_all()?;
        }
        self.place()?;
        if keep == Keep::Synced { self.folder.sync() } else { Ok(()) }
    }

    /// Gives the file its name while it is still being written, for one that is followed as it grows.
    pub fn place_early(mut self) -> io::Result<File> {
        self.place()?;
        self.file.try_clone()
    }

    fn place(&mut self) -> io::Result<()> {
        rustix::fs::renameat(self.folder.handle(), &self.temporary, self.folder.handle(), &self.name)?;
        self.placed = true;
        Ok(())
    }
}

impl Write for Part {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.placed {
            // What cannot be taken away is swept by the next writer.
            let _ = rustix::fs::unlinkat(self.folder.handle(), &self.temporary, AtFlags::empty());
        }
    }
}

/// Writes a file that a person named, as a whole or not at all, and for good. What is there and is no regular file is left
/// alone: a link may be planted, and `/dev/null` must stay what it is.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let (folder, name) = place_of(path)?;
    folder.replace(name, bytes, Keep::Synced)
}

/// Likewise, for a file that its owner alone may read.
pub fn replace_secret(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let (folder, name) = place_of(path)?;
    folder.replace_secret(name, bytes)
}

fn place_of(path: &Path) -> io::Result<(Folder, &str)> {
    let name = path.file_name().and_then(|name| name.to_str()).ok_or(io::ErrorKind::InvalidFilename)?;
    match path.symlink_metadata() {
        Ok(there) => refuse_strange(there.file_type(), "replaced")?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    Ok((Folder::open(path.parent().unwrap_or_else(|| Path::new("")))?, name))
}

/// Writes a file that a person named and that is not there yet. Whatever has the name, a link included, is left alone.
pub fn create_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let name = path.file_name().and_then(|name| name.to_str()).ok_or(io::ErrorKind::InvalidFilename)?;
    let folder = Folder::open(path.parent().unwrap_or_else(|| Path::new("")))?;
    let mut file = folder.create_new(name)?;
    io::Write::write_all(&mut file, bytes)?;
    file.sync_all()?;
    folder.sync()
}

/// Fills `bytes` from the kernel's random numbers, which nobody can guess.
pub fn fill_with_randomness(mut bytes: &mut [u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let filled = rustix::rand::getrandom(&mut *bytes, rustix::rand::GetRandomFlags::empty())?;
        bytes = &mut bytes[filled..];
    }
    Ok(())
}
