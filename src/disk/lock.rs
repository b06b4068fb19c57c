//! Files that say by a lock that a folder is in use.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

/// A lock that nobody else has until it is dropped, or this process ends, however it does.
#[derive(Debug)]
pub struct Lock(File);

impl Lock {
    /// Takes the lock of a file, made if it is not there. `None` if somebody has it.
    pub fn take(path: &Path) -> io::Result<Option<Self>> {
        let file = File::create(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing is not enough: a child that is being started has the file as well until it becomes another program. A lock that
        // cannot be given back ends when the last of them closes it.
        let _ = self.0.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_had_once_and_given_back_though_a_child_still_has_the_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("lock");
        let take = || Lock::take(&path).expect("a lock");
        let first = take().expect("free");
        assert!(take().is_none());
        // What a child has between its birth and its program: the same open file.
        let of_a_child = first.0.try_clone().expect("a copy");
        drop(first);
        assert!(take().is_some());
        drop(of_a_child);
    }
}
