//! Parts lists in the spool: `parts/<digest>` is the list of a unit, whole and with that digest. Runs are held against them.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::PathBuf;

use kiln_disk as disk;
use kiln_wire::{Digest, PARTS_MOST};
use sha2::{Digest as _, Sha256};

use super::programs::hex;
use super::spool::{Spool, SpoolError, wrong};

/// The parts lists in a spool.
#[derive(Debug)]
pub(super) struct Lists {
    dir: PathBuf,
    here: BTreeSet<Digest>,
}

impl Lists {
    /// Opens them. A file that is not what its name says is none: it is fetched again.
    pub(super) fn open(spool: &Spool) -> Result<Self, SpoolError> {
        let dir = spool.folder("parts");
        fs::create_dir_all(&dir).map_err(wrong(&dir))?;
        let mut here = BTreeSet::new();
        for entry in fs::read_dir(&dir).map_err(wrong(&dir))? {
            let name = entry.map_err(wrong(&dir))?.file_name();
            let Some(named) = name.to_str().and_then(|name| name.parse::<Digest>().ok()) else { continue };
            if disk::read(&dir.join(name), PARTS_MOST).is_ok_and(|bytes| digest(&bytes) == named.as_str()) {
                here.insert(named);
            }
        }
        Ok(Self { dir, here })
    }

    pub(super) const fn here(&self) -> &BTreeSet<Digest> {
        &self.here
    }

    pub(super) fn path(&self, parts: &Digest) -> PathBuf {
        self.dir.join(parts.as_str())
    }

    /// Keeps a list that came, durably; or says why it is not the one that was asked for.
    pub(super) fn keep(&mut self, parts: &Digest, bytes: &[u8]) -> Result<(), NotKept> {
        let found = digest(bytes);
        if found != parts.as_str() {
            return Err(NotKept::OtherList { wanted: parts.clone(), found });
        }
        let path = self.path(parts);
        disk::replace(&path, bytes).map_err(|source| NotKept::Io { path, source })?;
        self.here.insert(parts.clone());
        Ok(())
    }
}

/// Why a list that came is not kept.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotKept {
    #[error("the floor wants the run held against the parts list {wanted}, and gave one that is {found}")]
    OtherList { wanted: Digest, found: String },
    /// Trouble of this disk.
    #[error("{}: {source}", .path.display())]
    Io { path: PathBuf, source: io::Error },
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(&Sha256::digest(bytes)))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const TEXT: &[u8] = b"schema: kiln.parts/1\nnvmes: 8\n";

    fn spool(dir: &Path) -> Spool {
        Spool::open(dir).expect("a spool")
    }

    #[test]
    fn a_list_is_kept_if_it_is_the_one_that_was_pinned_and_is_there_after_a_restart() {
        let dir = tempfile::tempdir().expect("a folder");
        let parts: Digest = digest(TEXT).parse().expect("a digest");
        {
            let mut lists = Lists::open(&spool(dir.path())).expect("lists");
            let other = lists.keep(&parts, b"schema: kiln.parts/1\nnvmes: 7\n").expect_err("refused").to_string();
            assert!(other.contains(parts.as_str()), "{other}");
            assert!(lists.here().is_empty() && !lists.path(&parts).exists());
            lists.keep(&parts, TEXT).expect("kept");
        }
        let lists = Lists::open(&spool(dir.path())).expect("lists");
        assert_eq!(lists.here(), &BTreeSet::from([parts.clone()]));
    }

    #[test]
    fn a_list_that_was_damaged_or_is_too_big_is_fetched_again() {
        let dir = tempfile::tempdir().expect("a folder");
        let parts: Digest = digest(TEXT).parse().expect("a digest");
        let path = Lists::open(&spool(dir.path())).expect("lists").path(&parts);
        for bytes in [b"schema: kiln.parts/1\nnvmes: 9\n".to_vec(), vec![b'#'; 100_000], Vec::new()] {
            fs::write(&path, bytes).expect("written");
            assert!(Lists::open(&spool(dir.path())).expect("lists").here().is_empty());
        }
        fs::write(path.with_file_name("no digest of anything"), TEXT).expect("written");
        assert!(Lists::open(&spool(dir.path())).expect("lists").here().is_empty());
    }
}
