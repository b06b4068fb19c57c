//! A folder held open: everything in it is reached from there, so that no name on the way can be turned elsewhere.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::part::{Keep, Part};
use super::read::{CAUTIOUS, read_open, refuse_large, refuse_strange};

/// What a folder is opened for: to reach what is in it.
const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::RDONLY).union(OFlags::CLOEXEC);

/// Who may read a file that is made here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Readers {
    /// Whom the user's umask leaves.
    Usual,
    /// The owner alone, from the moment the file is there.
    Owner,
}

impl Readers {
    fn mode(self) -> Mode {
        Mode::from_raw_mode(match self {
            Self::Usual => 0o666,
            Self::Owner => 0o600,
        })
    }
}

/// An open folder.
#[derive(Debug, Clone)]
pub struct Folder {
    handle: Arc<OwnedFd>,
    path: PathBuf,
}

impl Folder {
    /// Opens a folder that a person named; links on the way to it are theirs and are followed.
    pub fn open(path: &Path) -> io::Result<Self> {
        // Named as nothing, a folder is the one we are in.
        let named = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let handle = rustix::fs::open(named, FOLDER, Mode::empty())?;
        Ok(Self { handle: Arc::new(handle), path: path.to_owned() })
    }

    /// Opens a folder, made with all above it where there is none.
    pub fn create(path: &Path) -> io::Result<Self> {
        if !path.as_os_str().is_empty() {
            fs::create_dir_all(path)?;
        }
        Self::open(path)
    }

    /// The folder as it was named.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn handle(&self) -> &OwnedFd {
        &self.handle
    }

    /// Opens the folder that `name`, which may go through folders, lies in, and gives the last part of the name.
    fn within<'n>(&self, name: &'n str) -> io::Result<(Self, &'n str)> {
        let mut folder = self.clone();
        let mut rest = name;
        while let Some((first, more)) = rest.split_once('/') {
            folder = folder.subfolder(first)?;
            rest = more;
        }
        Ok((folder, rest))
    }

    /// Opens a folder in this one; a link in its place is refused.
    pub fn subfolder(&self, name: &str) -> io::Result<Self> {
        let handle = rustix::fs::openat(&*self.handle, name, FOLDER | OFlags::NOFOLLOW, Mode::empty());
        let handle = handle.map_err(|error| if self.is_link(name) { linked() } else { io::Error::from(error) })?;
        Ok(Self { handle: Arc::new(handle), path: self.path.join(name) })
    }

    /// Opens a folder in this one, made where there is none.
    pub fn make_subfolder(&self, name: &str) -> io::Result<Self> {
        match rustix::fs::mkdirat(&*self.handle, name, Mode::from_raw_mode(0o777)) {
            Ok(()) | Err(Errno::EXIST) => self.subfolder(name),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether there is anything of that name, a link that leads nowhere included.
    pub fn has(&self, name: &str) -> bool {
        self.within(name)
            .is_ok_and(|(folder, name)| rustix::fs::statat(&*folder.handle, name, AtFlags::SYMLINK_NOFOLLOW).is_ok())
    }

    fn is_link(&self, name: &str) -> bool {
        let found = rustix::fs::statat(&*self.handle, name, AtFlags::SYMLINK_NOFOLLOW);
        found.is_ok_and(|found| rustix::fs::FileType::from_raw_mode(found.st_mode).is_symlink())
    }

    /// Opens a regular file in this folder to be read; a link in its place is refused.
    pub fn open_file(&self, name: &str) -> io::Result<File> {
        self.open_with(name, OFlags::RDONLY)
    }

    /// Opens a regular file in this folder to be read and appended to.
    pub fn open_to_append(&self, name: &str) -> io::Result<File> {
        self.open_with(name, OFlags::RDWR | OFlags::APPEND)
    }

    fn open_with(&self, name: &str, flags: OFlags) -> io::Result<File> {
        let (folder, name) = self.within(name)?;
        let found = rustix::fs::statat(&*folder.handle, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let kind = rustix::fs::FileType::from_raw_mode(found.st_mode);
        if kind.is_symlink() {
            return Err(linked());
        }
        if !kind.is_file() {
            // Not opened to find out: some devices act when they are.
            return Err(strange(kind));
        }
        let handle = rustix::fs::openat(&*folder.handle, name, flags | CAUTIOUS | OFlags::NOFOLLOW, Mode::empty())?;
        let file = File::from(handle);
        refuse_strange(file.metadata()?.file_type(), "read")?;
        Ok(file)
    }

    /// Reads all of a regular file of at most `most` bytes.
    pub fn read(&self, name: &str, most: u64) -> io::Result<Vec<u8>> {
        read_open(&self.open_file(name)?, most)
    }

    /// Opens a regular file of at most `most` bytes.
    pub fn open_bounded(&self, name: &str, most: u64) -> io::Result<File> {
        let file = self.open_file(name)?;
        refuse_large(file.metadata()?.len(), most)?;
        Ok(file)
    }

    /// Makes a file that is appended to; whatever has the name already, a link included, is left alone and refused.
    pub fn create_new(&self, name: &str) -> io::Result<File> {
        let (folder, name) = self.within(name)?;
        folder.create_with(name, OFlags::APPEND, Readers::Usual)
    }

    pub(super) fn create_with(&self, name: &str, more: OFlags, readers: Readers) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | CAUTIOUS | more;
        Ok(File::from(rustix::fs::openat(&*self.handle, name, flags, readers.mode())?))
    }

    /// Begins a file that takes the place of `name` once it is whole.
    pub fn begin(&self, name: &str) -> io::Result<Part> {
        self.begin_for(name, Readers::Usual)
    }

    fn begin_for(&self, name: &str, readers: Readers) -> io::Result<Part> {
        let (folder, name) = self.within(name)?;
        Part::new(folder, name, readers)
    }

    /// Puts a file in place, as a whole or not at all.
    pub fn replace(&self, name: &str, bytes: &[u8], keep: Keep) -> io::Result<()> {
        let mut part = self.begin(name)?;
        io::Write::write_all(&mut part, bytes)?;
        part.commit(keep)
    }

    /// Puts a file in place that its owner alone may read, as a whole or not at all, and for good.
    pub fn replace_secret(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut part = self.begin_for(name, Readers::Owner)?;
        io::Write::write_all(&mut part, bytes)?;
        part.commit(Keep::Synced)
    }

    /// Takes away what writers that were killed left half done of `name`.
    pub fn sweep(&self, name: &str) -> io::Result<()> {
        let (folder, name) = self.within(name)?;
        for entry in rustix::fs::Dir::read_from(&*folder.handle)? {
            let entry = entry?;
            let Ok(found) = entry.file_name().to_str() else { continue };
            if Part::is_of(found, name) {
                rustix::fs::unlinkat(&*folder.handle, found, AtFlags::empty())?;
            }
        }
        Ok(())
    }

    /// Makes the names in this folder survive a power cut.
    pub fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&*self.handle)?)
    }
}

fn linked() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "it is a symbolic link, and none is followed in a run directory")
}

fn strange(kind: rustix::fs::FileType) -> io::Error {
    let (sort, what) = match kind {
        rustix::fs::FileType::Directory => (io::ErrorKind::IsADirectory, "a folder"),
        rustix::fs::FileType::Fifo => (io::ErrorKind::InvalidInput, "a named pipe"),
        rustix::fs::FileType::Socket => (io::ErrorKind::InvalidInput, "a socket"),
        rustix::fs::FileType::CharacterDevice | rustix::fs::FileType::BlockDevice => {
            (io::ErrorKind::InvalidInput, "a device")
        }
        _ => (io::ErrorKind::InvalidInput, "something else"),
    };
    io::Error::new(sort, format!("it is {what}, and only a regular file is read"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn folder() -> (tempfile::TempDir, Folder) {
        let made = tempfile::tempdir().expect("folder");
        let folder = Folder::open(made.path()).expect("open");
        (made, folder)
    }

    #[test]
    fn a_planted_link_is_replaced_and_what_it_leads_to_is_left_alone() {
        let (made, folder) = folder();
        let victim = made.path().join("victim");
        fs::write(&victim, "precious").expect("written");
        symlink(&victim, made.path().join("result.json")).expect("planted");
        symlink(&victim, made.path().join(".result.json.part")).expect("planted");
        folder.replace("result.json", b"{}", Keep::Synced).expect("replaced");
        assert_eq!(fs::read(&victim).expect("victim"), b"precious");
        assert_eq!(fs::read(made.path().join("result.json")).expect("file"), b"{}");
        assert!(!made.path().join("result.json").is_symlink());
    }

    #[test]
    fn a_link_is_neither_read_nor_appended_to_nor_gone_through() {
        let (made, folder) = folder();
        let victim = made.path().join("victim");
        fs::write(&victim, "precious").expect("written");
        symlink(&victim, made.path().join("journal.jsonl")).expect("planted");
        symlink("/tmp", made.path().join("telemetry")).expect("planted");
        let told = "it is a symbolic link, and none is followed in a run directory";
        assert_eq!(folder.read("journal.jsonl", 99).expect_err("refused").to_string(), told);
        assert_eq!(folder.open_to_append("journal.jsonl").expect_err("refused").to_string(), told);
        assert_eq!(folder.make_subfolder("telemetry").expect_err("refused").to_string(), told);
        assert_eq!(folder.replace("telemetry/x", b"", Keep::Synced).expect_err("refused").to_string(), told);
        assert_eq!(folder.create_new("journal.jsonl").expect_err("refused").kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&victim).expect("victim"), b"precious");
    }

    #[test]
    fn what_is_half_done_is_taken_away_by_its_writer_or_by_the_next_one() {
        let (made, folder) = folder();
        drop(folder.begin("result.json").expect("begun"));
        assert_eq!(fs::read_dir(made.path()).expect("list").count(), 0, "given up");
        std::mem::forget(folder.begin("result.json").expect("begun"));
        fs::write(made.path().join(".result.json.mine.part"), "").expect("of somebody else");
        folder.sweep("result.json").expect("swept");
        let left: Vec<_> =
            fs::read_dir(made.path()).expect("list").map(|one| one.expect("entry").file_name()).collect();
        assert_eq!(left, [".result.json.mine.part"]);
    }
}
