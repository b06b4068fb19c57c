//! Disks that are no part of a machine: sticks on USB, virtual media of the management controller, disks that the kernel pretends,
//! and drives of other machines that are used over the network.
//!
//! Their errors are in the words of any disk, with the number of their host adapter or their name. What they are was told when
//! they were found, mostly long before, or when their machine was heard of no more. Pure: over the lines so far.

use std::collections::BTreeSet;

use super::drive_line::{Named, drive_in};

/// What tells of a disk that belongs to nobody's machine, in the line of its adapter (`scsi host10: usb-storage 1-3:1.0`,
/// `scsi host12: iSCSI Initiator over TCP/IP`) or of the disk
/// (`scsi 10:0:0:0: Direct-Access     AMI      Virtual HDisk0   1.00 PQ: 0 ANSI: 0 CCS`).
const SIGNS: [&str; 5] = ["usb-storage", ": uas", "scsi_debug", " Virtual ", "iSCSI Initiator"];
/// `sd 11:0:0:0: [sdc] Attached SCSI removable disk`.
const ATTACHED: &str = "Attached SCSI removable disk";
/// What the drivers of drives over a network say (drivers/nvme/host/fabrics.c, tcp.c, rdma.c, and of what keeps a connection alive
/// core.c), and the one of drives on the bus (pci.c) never.
const OVER_A_NETWORK: [&str; 10] = [
    "new ctrl: NQN ",
    "creating ",
    "mapped ",
    "starting error recovery",
    "Reconnecting in ",
    "reconnecting in ",
    "Failed reconnect attempt",
    "Successfully reconnected",
    "failed to connect socket",
    "failed nvme_keep_alive_end_io",
];

/// Such disks, by the numbers of their adapters, by their names and by those of their controllers.
#[derive(Debug, Default)]
pub(super) struct Elsewhere {
    adapters: BTreeSet<u32>,
    names: BTreeSet<String>,
    controllers: BTreeSet<u32>,
}

impl Elsewhere {
    /// Takes in that a controller is one of another machine, if the line tells so.
    pub(super) fn learn(&mut self, message: &str) {
        self.controllers.extend(over_a_network(message));
    }

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
        if self.names.is_empty() && self.controllers.is_empty() {
            return false;
        }
        let Named::Drive(name) = drive_in(message) else { return false };
        self.names.contains(name) || controller(name).is_some_and(|number| self.controllers.contains(&number))
    }
}

/// Whether a line tells that a disk is one of those, which says nothing of anything by itself.
pub(super) fn tells(message: &str) -> bool {
    let is_of_scsi = message.starts_with("scsi ") || message.starts_with("sd ");
    let found = message.starts_with("scsi ") && SIGNS.iter().any(|sign| message.contains(sign));
    found || (is_of_scsi && message.contains(ATTACHED)) || over_a_network(message).is_some()
}

/// The number of a controller that is reached over a network: `nvme nvme12: new ctrl: NQN "nqn...", addr 10.3.0.9:4420`.
fn over_a_network(message: &str) -> Option<u32> {
    let (name, said) = message.strip_prefix("nvme ")?.split_once(": ")?;
    let tells = OVER_A_NETWORK.iter().any(|words| said.starts_with(words));
    // `creating 8 I/O queues.`, `mapped 8/0/0 default/read/poll queues.`
    let of_queues = said.ends_with(" I/O queues.") || said.ends_with("default/read/poll queues.");
    let named_otherwise = said.starts_with("creating ") || said.starts_with("mapped ");
    (tells && (of_queues || !named_otherwise)).then(|| controller(name))?
}

/// The number of the controller of a drive: 12 of `nvme12` and `nvme12n1`, 3 of `nvme12c3n1`, a way of several to a drive.
fn controller(name: &str) -> Option<u32> {
    let rest = name.strip_prefix("nvme")?;
    let number = rest.split_once('c').map_or(rest, |(_, number)| number);
    number.split('n').next()?.parse().ok()
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
            let mut disks = Elsewhere::default();
            assert!(tells(found) && disks.is_of(found), "{found}");
            assert!(disks.is_of("sd 11:0:0:0: [sdc] tag#0 Sense Key : Medium Error [current]"), "{found}");
            assert!(disks.is_of("critical medium error, dev sdc, sector 0 op 0x0:(READ)"), "{found}");
            assert!(!disks.is_of("sd 1:0:0:0: [sda] tag#0 Sense Key : Medium Error [current]"), "{found}");
            assert!(!disks.is_of("critical medium error, dev sda, sector 0 op 0x0:(READ)"), "{found}");
        }
    }

    #[test]
    fn a_disk_of_the_machine_is_none() {
        let mut disks = Elsewhere::default();
        for line in [
            "scsi host0: Avago SAS based MegaRAID driver",
            "scsi 0:0:5:0: Direct-Access     SEAGATE  ST8000NM0075     E002 PQ: 0 ANSI: 6",
            "sd 0:0:5:0: [sdf] Attached SCSI disk",
            "sd 0:0:5:0: [sdf] tag#1 Sense Key : Medium Error [current]",
        ] {
            assert!(!tells(line) && !disks.is_of(line), "{line}");
        }
    }

    #[test]
    fn a_drive_of_another_machine_is_known_by_what_only_drivers_over_a_network_say() {
        for told in [
            "nvme nvme12: new ctrl: NQN \"nqn.2016-06.io.spdk:cnode1\", addr 10.3.0.9:4420",
            "nvme nvme12: creating 8 I/O queues.",
            "nvme nvme12: mapped 8/0/0 default/read/poll queues.",
            "nvme nvme12: starting error recovery",
            "nvme nvme12: Reconnecting in 10 seconds...",
        ] {
            let mut disks = Elsewhere::default();
            disks.learn(told);
            assert!(tells(told) && disks.is_of(told), "{told}");
            for line in [
                "nvme nvme12: failed to connect socket: -111",
                "nvme12c12n1: Read(0x2) @ LBA 81920, 8 blocks, Unrecovered Read Error (sct 0x2 / sc 0x81) DNR",
                "critical medium error, dev nvme12n1, sector 81920 op 0x0:(READ)",
                "Buffer I/O error on dev nvme12n1p2, logical block 0, async page read",
            ] {
                assert!(disks.is_of(line), "{told}: {line}");
            }
            for line in [
                "nvme nvme1: I/O 12 QID 4 timeout, aborting",
                "nvme12c3n1: Read(0x2) @ LBA 8, 8 blocks, Unrecovered Read Error (sct 0x2 / sc 0x81) DNR",
                "critical medium error, dev nvme1n1, sector 81920 op 0x0:(READ)",
            ] {
                assert!(!disks.is_of(line), "{told}: {line}");
            }
        }
        for line in ["nvme nvme3: 32/0/0 default/read/poll queues", "nvme nvme3: resetting controller"] {
            assert!(!tells(line), "{line}");
        }
    }
}
