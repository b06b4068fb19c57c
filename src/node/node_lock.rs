//! One run at a time on a node: two that load the same GPUs would each measure the other's work and blame the hardware.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use kiln_disk::Folder;

/// The lock's name in a folder for locks.
const FILE_NAME: &str = "kiln-node.lock";
/// Who holds the lock says so in some hundred bytes; what else may be in the file is not told.
const TOLD_MAX: u64 = 4096;

/// Why the node cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum NodeLockError {
    #[error("another run is on this node's GPUs: {holder}; wait for it to end or stop it ({} is locked)", .path.display())]
    Held { path: PathBuf, holder: String },
    #[error("whether another run is on this node's GPUs cannot be told: {} cannot be locked", .path.display())]
    Unlockable { path: PathBuf, source: io::Error },
}

/// Held until it is dropped, by whatever end the process comes to.
#[derive(Debug)]
pub struct NodeLock {
    _file: File,
}

impl NodeLock {
    /// Takes this node for a run. The lock is in `/run/lock`, which all users of a machine share, or where that is missing
    /// in the user's own folder for such files.
    pub fn take(run: &Path) -> Result<Self, NodeLockError> {
        let own = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        let folders = [Some(PathBuf::from("/run/lock")), own];
        for folder in folders.into_iter().flatten() {
            match Self::take_in(&folder, run) {
                // Not there, or not for this user.
                Err(NodeLockError::Unlockable { .. }) => {}
                taken => return taken,
            }
        }
        Self::take_in(&std::env::temp_dir(), run)
    }

    fn take_in(folder: &Path, run: &Path) -> Result<Self, NodeLockError> {
        let path = folder.join(FILE_NAME);
        let unlockable = |source| NodeLockError::Unlockable { path: path.clone(), source };
        let folder = Folder::open(folder).map_err(unlockable)?;
        let mut file = open(&folder).map_err(unlockable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => {
                let said = folder.read(FILE_NAME, TOLD_MAX).unwrap_or_default();
                let said = String::from_utf8_lossy(&said).trim().to_owned();
                let holder = if said.is_empty() { "its process does not say which".to_owned() } else { said };
                return Err(NodeLockError::Held { path, holder });
            }
            Err(std::fs::TryLockError::Error(source)) => return Err(unlockable(source)),
        }
        let shown = std::path::absolute(run).unwrap_or_else(|_| run.to_owned());
        // The lock is what counts; another user's file can be locked and not written.
        let _ =
            file.set_len(0).and_then(|()| writeln!(file, "process {}, run {}", std::process::id(), shown.display()));
        Ok(Self { _file: file })
    }
}

/// The lock file, made where there is none; one of another user is opened as far as it can be.
fn open(folder: &Folder) -> io::Result<File> {
    for _ in 0..2 {
        match folder.open_to_append(FILE_NAME) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return folder.open_file(FILE_NAME),
            opened => return opened,
        }
        match folder.create_new(FILE_NAME) {
            // Another process was quicker.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made,
        }
    }
    folder.open_file(FILE_NAME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_run_on_a_node_is_refused_and_told_who_holds_it() {
        let folder = tempfile::tempdir().expect("folder");
        let held = NodeLock::take_in(folder.path(), Path::new("/data/runs/first")).expect("free");
        let refused = NodeLock::take_in(folder.path(), Path::new("runs/second")).expect_err("held").to_string();
        let holder = format!("process {}, run /data/runs/first", std::process::id());
        assert!(refused.contains(&holder), "{refused}");
        drop(held);
        NodeLock::take_in(folder.path(), Path::new("runs/second")).expect("free again");
    }

    #[test]
    fn a_planted_link_is_not_written_through() {
        let folder = tempfile::tempdir().expect("folder");
        let victim = folder.path().join("victim");
        std::fs::write(&victim, "precious").expect("written");
        std::os::unix::fs::symlink(&victim, folder.path().join(FILE_NAME)).expect("planted");
        assert!(matches!(NodeLock::take_in(folder.path(), Path::new("r")), Err(NodeLockError::Unlockable { .. })));
        assert_eq!(std::fs::read(&victim).expect("victim"), b"precious");
    }
}
