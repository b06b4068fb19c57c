//! Disks that are no part of a machine: sticks on USB, virtual media of the management controller, disks that the kernel pretends.
//!
//! Their errors are in the words of any disk, with the number of their host adapter or their name. What they are was told when
//! they were found, mostly long before. Pure: over the lines so far.

use std::collections::BTreeSet;

use super::drive_line::{Named, drive_in};

/// What tells of a disk that belongs to nobody's machine, in the line of its adapter (`scsi host10: usb-storage 1-3:1.0`) or of the
/// disk (`scsi 10:0:0:0: Direct-Access     AMI      Virtual HDisk0   1.00 PQ: 0 ANSI: 0 CCS`).
const SIGNS: [&str; 4] = ["usb-storage", ": uas", "scsi_debug", " Virtual "];
/// `sd 11:0:0:0: [sdc] Attached SCSI removable disk`.
const ATTACHED: &str = "Attached SCSI removable disk";

/// Disks that can be taken out, by the numbers of their adapters and by their names.
#[derive(Debug, Default)]
pub(super) struct Removable {
    adapters: BTreeSet<u32>,
    names: BTreeSet<String>,
}

impl Removable {
    /// Whether a line is of such a disk; takes in what it tells of one.
    pub(super) fn is_of(&mut self, message: &str) -> bool {
        if let Some((adapter, said)) = adapter(message) {
            if tells(message) {
                self.adapters.insert(adapter);
            }
            if self.adapters.contains(&adapter) {
                let name = said.split_once('[').and_then(|(_, rest)| rest.split_once(']')).map(|(name, _)| name);
                self.names.extend(name.map(str::to_owned));
                return true;
            }
        }
        !self.names.is_empty() && matches!(drive_in(message), Named::Drive(name) if self.names.contains(name))
    }
}

/// Whether a line tells that a disk is one of those, which says nothing of anything by itself.
pub(super) fn tells(message: &str) -> bool {
    let is_of_scsi = message.starts_with("scsi ") || message.starts_with("sd ");
    let found = message.starts_with("scsi ") && SIGNS.iter().any(|sign| message.contains(sign));
    found || (is_of_scsi && message.contains(ATTACHED))
}

/// The number of the adapter and what is said of its disk: `sd 10:0:0:0: ...`, `scsi 10:0:0:0: ...`, `scsi host10: ...`.
fn adapter(message: &str) -> Option<(u32, &str)> {
    let rest = message.strip_prefix("sd ").or_else(|| message.strip_prefix("scsi "))?;
    let (place, said) = rest.split_once(": ")?;
    let number = place.strip_prefix("host").unwrap_or(place).split(':').next()?;
    Some((number.parse().ok()?, said))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_was_found_on_usb_or_pretended_is_known_by_its_adapter_and_its_name() {
        for found in [
            "scsi host11: usb-storage 1-3:1.0",
            "scsi 11:0:0:0: Direct-Access     AMI      Virtual HDisk0   1.00 PQ: 0 ANSI: 0 CCS",
            "scsi 11:0:0:0: Direct-Access     Linux    scsi_debug       0191 PQ: 0 ANSI: 7",
            "sd 11:0:0:0: [sdc] Attached SCSI removable disk",
        ] {
            let mut disks = Removable::default();
            assert!(tells(found) && disks.is_of(found), "{found}");
            assert!(disks.is_of("sd 11:0:0:0: [sdc] tag#0 Sense Key : Medium Error [current]"), "{found}");
            assert!(disks.is_of("critical medium error, dev sdc, sector 0 op 0x0:(READ)"), "{found}");
            assert!(!disks.is_of("sd 1:0:0:0: [sda] tag#0 Sense Key : Medium Error [current]"), "{found}");
            assert!(!disks.is_of("critical medium error, dev sda, sector 0 op 0x0:(READ)"), "{found}");
        }
    }

    #[test]
    fn a_disk_of_the_machine_is_none() {
        let mut disks = Removable::default();
        for line in [
            "scsi host0: Avago SAS based MegaRAID driver",
            "scsi 0:0:5:0: Direct-Access     SEAGATE  ST8000NM0075     E002 PQ: 0 ANSI: 6",
            "sd 0:0:5:0: [sdf] Attached SCSI disk",
            "sd 0:0:5:0: [sdf] tag#1 Sense Key : Medium Error [current]",
        ] {
            assert!(!tells(line) && !disks.is_of(line), "{line}");
        }
    }
}
