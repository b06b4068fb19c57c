//! What one line of the kernel log says of a drive by its structure, and which drive a line names. Words are `line_table`'s.
//!
//! Pure: one line in, what it says out.

use super::host_line::{HostLine, event};
use super::kernel_event::{Class, Place, Severity};
use super::line_table::DeviceLine;

/// What a line says of a drive or its controller that has a structure of its own: the status of a command, the grade of an event.
pub(super) fn read_drive(message: &str) -> Option<HostLine> {
    read_command(message).or_else(|| read_graded(message)).or_else(|| read_array(message))
}

/// `md/raid1:md0: active with 1 out of 2 mirrors`: an array without some of its drives (drivers/md/raid1.c, raid10.c, raid5.c).
fn read_array(message: &str) -> Option<HostLine> {
    let (array, said) = message.strip_prefix("md/raid").and_then(|rest| rest.split_once(": "))?;
    let (there, of) = said.split_once("active with ")?.1.split_once(" out of ")?;
    let (there, of) = (there.parse::<u32>().ok()?, of.split_whitespace().next()?.parse::<u32>().ok()?);
    let name = array.split_once(':').map_or(array, |(_, name)| name);
    if there < of { drive_event(Severity::Unclear, name) } else { Some(HostLine::Nothing) }
}

/// Where a line has the name of a drive: what is before it, and what ends it.
const NAMED: [(&str, &[char]); 16] = [
    ("nvme ", &[':']),
    ("block ", &[':']),
    ("integrity: ", &[':']),
    ("failing device ", &['.']),
    ("(device ", &[')', ' ', ':']),
    ("XFS (", &[')']),
    ("FAT-fs (", &[')']),
    ("F2FS-fs (", &[')']),
    (": [", &[']']),
    (", dev ", &[',', ' ']),
    (" vdev=/dev/", &[' ', '-']),
    (" on dev ", &[',', ' ']),
    (" on device ", &[',', ' ', '-']),
    (" for ", &['-', ' ']),
    ("Disk failure on ", &[',', ' ']),
    (" on ", &[')', ',', ' ']),
];

/// What a line names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named<'l> {
    Drive(&'l str),
    /// What is read as a drive and is none.
    NoDrive,
    Nothing,
}

/// The drive that a line names.
pub(super) fn drive_in(message: &str) -> Named<'_> {
    let between = |(start, ends): &(&str, &[char])| message.split_once(*start)?.1.split(*ends).next();
    let first = message.split_once(": ").map(|(name, _)| name);
    let array = || message.strip_prefix("md/raid")?.split(": ").nth(1);
    let mut names = first.into_iter().chain(NAMED.iter().filter_map(between)).chain(array());
    match names.find(|name| is_name(name)) {
        Some(name) if is_no_drive(name) => Named::NoDrive,
        Some(name) => Named::Drive(whole(name)),
        None => Named::Nothing,
    }
}

/// Whether a word is the name of a block device: `nvme3n1p2`, `sda`, `ata1.00`, `dm-3`, `loop7`.
fn is_name(word: &str) -> bool {
    let plain = word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-');
    let numbered = |start: &str| {
        word.strip_prefix(start).is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
    };
    let lettered = |start: &str| {
        let letters = word.strip_prefix(start).map(|rest| rest.trim_end_matches(|last: char| last.is_ascii_digit()));
        letters.is_some_and(|letters| {
            !letters.is_empty() && letters.len() < 4 && letters.bytes().all(|byte| byte.is_ascii_lowercase())
        })
    };
    let numbers = ["nvme", "ata", "md", "dm-", "sr", "fd", "loop", "ram", "zram", "nbd", "rbd", "pmem", "mmcblk"];
    plain && (numbers.iter().any(|start| numbered(start)) || lettered("sd") || lettered("vd"))
}

fn drive_event(severity: Severity, name: &str) -> Option<HostLine> {
    (!is_no_drive(name)).then(|| event(Class::Drive, severity, Place::Drive(whole(name).to_owned())))
}

/// Virtual CDs of a management controller, floppies and files as devices fail to be read on every healthy server, and what others have
/// of drives (drivers/block/nbd.c, rbd.c) says nothing of this one.
fn is_no_drive(name: &str) -> bool {
    ["sr", "fd", "loop", "ram", "zram", "nbd", "rbd"]
        .iter()
        .any(|kind| name.strip_prefix(kind).is_some_and(is_number_or_partition))
}

/// `7`, `7p1`.
fn is_number_or_partition(text: &str) -> bool {
    text.split('p').all(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The drive of a partition: `nvme3n1` of `nvme3n1p2`, `sda` of `sda2`.
fn whole(name: &str) -> &str {
    // Of a journal: `nvme2n1p2-8`, the inode of the file it lies in.
    let name = match name.split_once('-') {
        Some((drive, _)) if drive.starts_with("nvme") || drive.starts_with("sd") => drive,
        _ => name,
    };
    if let Some(letters) = name.strip_prefix("sd").map(|rest| rest.trim_end_matches(|last: char| last.is_ascii_digit()))
        && !letters.is_empty()
    {
        return &name[.."sd".len() + letters.len()];
    }
    match name.rsplit_once('p') {
        Some((drive, number))
            if drive.starts_with("nvme")
                && drive.ends_with(|last: char| last.is_ascii_digit())
                && !number.is_empty()
                && number.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            drive
        }
        _ => name,
    }
}

/// `6433 (721043250s/0x0001/CRIT) - VD 00/0 is now DEGRADED`: what the controller's own log says of the gravest three classes
/// (`megasas_decode_evt` of `megaraid_sas_base.c`), of its drives as well as of itself.
fn read_graded(message: &str) -> Option<HostLine> {
    let line = DeviceLine::of(message).filter(|line| line.driver == "megaraid_sas")?;
    let (_, class) = line.said.split_once(") - ")?.0.rsplit_once('/')?;
    let grave = ["CRIT", "FATAL", "DEAD"].contains(&class);
    Some(if grave { event(Class::Controller, Severity::Unclear, Place::Pci(line.pci)) } else { HostLine::Nothing })
}

/// `nvme3n1: Read(0x2) @ LBA 81920, 8 blocks, Unrecovered Read Error (sct 0x2 / sc 0x81) DNR`. Commands that a drive does
/// not know are reported as well, most of them of the controller and not of its name space.
fn read_command(message: &str) -> Option<HostLine> {
    let (name, said) = message.split_once(": ")?;
    if !name.starts_with("nvme") || !said.contains(" @ LBA ") {
        return None;
    }
    let status = |key: &str| {
        let digits = said.split_once(key)?.1.split([' ', ')']).next()?;
        u32::from_str_radix(digits, 16).ok()
    };
    // Types and codes of NVM Express Base Specification 2.0, figures 96 to 101: type 2 are errors of the medium and of data
    // integrity, codes 1 and 2 of type 0 an invalid command or field. Of type 2 are also the answers that data compared unequal
    // (85h), that a lock keeps them (86h) and that nothing was ever written there (87h).
    match (status("(sct 0x"), status("/ sc 0x")) {
        (Some(0), Some(1 | 2)) => Some(HostLine::Nothing),
        // The kernel's next line is of an error of the medium all the same.
        (Some(2), Some(0x85..=0x87)) => drive_event(Severity::Told, name),
        (Some(2), _) => drive_event(Severity::Recoverable, name),
        _ => drive_event(Severity::Unclear, name),
    }
}

#[cfg(test)]
mod tests {
    use super::super::host_line::read_host_line;
    use super::*;

    fn told(line: &str) -> Option<(Severity, String)> {
        match read_host_line(line)? {
            HostLine::Event { severity, place: Place::Drive(name), .. } => Some((severity, name)),
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn what_a_drive_lost_is_proof_and_what_may_be_its_cable_or_its_file_system_is_not() {
        let (lost, doubt) = (Severity::Recoverable, Severity::Unclear);
        for (line, severity, drive) in [
            ("nvme nvme3: resetting controller due to persistent internal error", lost, "nvme3"),
            (
                "nvme3n1: Read(0x2) @ LBA 81920, 8 blocks, Unrecovered Read Error (sct 0x2 / sc 0x81) DNR",
                lost,
                "nvme3n1",
            ),
            ("nvme3n1: Write(0x1) @ LBA 512, 8 blocks, Internal Error (sct 0x0 / sc 0x6)", doubt, "nvme3n1"),
            ("sd 0:0:0:0: [sda] tag#12 Sense Key : Medium Error [current]", lost, "sda"),
            ("ata1.00: exception Emask 0x10 SAct 0x0 SErr 0x4050002 action 0xe frozen", doubt, "ata1.00"),
            ("Buffer I/O error on dev nvme3n1, logical block 2, async page read", doubt, "nvme3n1"),
            ("Buffer I/O error on device sdb1, logical block 2", doubt, "sdb"),
            (
                "EXT4-fs error (device nvme0n1p2): ext4_find_entry:1682: inode #7: comm sh: reading directory",
                doubt,
                "nvme0n1",
            ),
            ("XFS (nvme1n1p1): log I/O error -5", doubt, "nvme1n1"),
            ("BTRFS error (device sda2): bdev /dev/sda2 errs: wr 1, rd 0, flush 0, corrupt 0, gen 0", doubt, "sda"),
            ("md/raid1:md0: Disk failure on nvme1n1p1, disabling device.", doubt, "nvme1n1"),
        ] {
            assert_eq!(told(line), Some((severity, drive.to_owned())), "{line}");
        }
    }

    #[test]
    fn virtual_media_unknown_commands_and_mounts_say_nothing_of_a_drive() {
        for line in [
            "blk_update_request: I/O error, dev sr0, sector 0 op 0x0:(READ) flags 0x80700 phys_seg 1 prio class 0",
            "Buffer I/O error on dev sr0, logical block 0, async page read",
            "I/O error, dev fd0, sector 0 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 0",
            "I/O error, dev loop7p1, sector 128 op 0x0:(READ) flags 0x80700 phys_seg 1 prio class 2",
            "operation not supported error, dev nvme0n1, sector 0 op 0x9:(WRITE_ZEROES) flags 0x8000800 phys_seg 0 prio class 2",
            "I/O error, dev loop7, sector 128 op 0x0:(READ) flags 0x80700 phys_seg 1 prio class 2",
            "I/O error, dev rbd0, sector 16 op 0x1:(WRITE) flags 0x0 phys_seg 1 prio class 2",
            "nvme nvme1: Shutdown timeout set to 10 seconds",
            "nvme1: Identify(0x6), Invalid Field in Command (sct 0x0 / sc 0x2) DNR",
            "nvme0n1: Write Zeroes(0x8) @ LBA 0, 8 blocks, Invalid Command Opcode (sct 0x0 / sc 0x1) DNR",
            "EXT4-fs (nvme0n1p2): mounted filesystem with ordered data mode. Opts: errors=remount-ro.",
            "XFS (nvme1n1p1): Ending clean mount",
            "ata3: SATA link down (SStatus 0 SControl 300)",
            "sd 0:0:0:0: [sda] Attached SCSI disk",
        ] {
            assert_eq!(told(line), None, "{line}");
        }
    }
}
