//! Whether what is written to a folder is kept in memory alone, so that it is gone after a reboot.

#![allow(
    clippy::allow_attributes,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the kernel's numbers for file systems have 32 bits, in a type that depends on the processor"
)]

use std::io;
use std::path::Path;

/// File systems that are in memory: `include/uapi/linux/magic.h` of Linux.
const IN_MEMORY: [(u32, &str); 2] = [(0x0102_1994, "tmpfs"), (0x8584_58f6, "ramfs")];

/// The name of the file system that a folder is on, or will be once it is made, if that is in memory.
///
/// An overlay, as a live image has it over its root, is not looked through.
pub fn in_memory(folder: &Path) -> io::Result<Option<&'static str>> {
    let there = folder.ancestors().find(|part| part.exists()).filter(|part| *part != Path::new(""));
    let status = rustix::fs::statfs(there.unwrap_or(Path::new(".")))?;
    Ok(by_number(status.f_type as u32))
}

fn by_number(number: u32) -> Option<&'static str> {
    IN_MEMORY.iter().find(|(known, _)| *known == number).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_systems_in_memory_are_known_by_their_numbers_and_disks_are_none() {
        assert_eq!(by_number(0x0102_1994), Some("tmpfs"));
        assert_eq!(by_number(0x8584_58f6), Some("ramfs"));
        // ext4, XFS, Btrfs, overlay.
        for number in [0xef53, 0x5846_5342, 0x9123_683e, 0x794c_7630] {
            assert_eq!(by_number(number), None);
        }
    }

    #[test]
    fn a_folder_that_is_still_to_be_made_is_where_its_parent_is() {
        let shared = Path::new("/dev/shm");
        let found = in_memory(shared).expect("every Linux has it");
        assert_eq!(in_memory(&shared.join("not/there/yet")).expect("asked"), found);
        assert_eq!(in_memory(Path::new("not-there")).expect("asked"), in_memory(Path::new(".")).expect("asked"));
        assert_eq!(in_memory(Path::new("/proc/self")).expect("asked"), None);
    }
}
