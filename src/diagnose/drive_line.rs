//! What one line of the kernel log says of a drive: `NVMe` controllers, the block layer, ATA and SCSI, file systems.
//!
//! Pure: one line in, what it says out.

use super::host_line::{HostLine, event, speaks_of_error};
use super::kernel_event::{Class, Place, Severity};

pub(super) fn read_drive(message: &str) -> Option<HostLine> {
    if let Some((drive, said)) = message.strip_prefix("nvme ").and_then(|rest| rest.split_once(": "))
        && drive.starts_with("nvme")
    {
        return read_controller(drive, said);
    }
    read_command(message)
        .or_else(|| read_drives_controller(message))
        .or_else(|| read_block_layer(message))
        .or_else(|| read_scsi(message))
        .or_else(|| read_file_system(message))
}

fn drive_event(severity: Severity, name: &str) -> Option<HostLine> {
    (!is_no_drive(name)).then(|| event(Class::Drive, severity, Place::Drive(whole(name).to_owned())))
}

/// Virtual CDs of a management controller, floppies and files as devices fail to be read on every healthy server.
fn is_no_drive(name: &str) -> bool {
    ["sr", "fd", "loop", "ram", "zram", "nbd"]
        .iter()
        .any(|kind| name.strip_prefix(kind).is_some_and(is_number_or_partition))
}

/// `7`, `7p1`.
fn is_number_or_partition(text: &str) -> bool {
    text.split('p').all(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The drive of a partition: `nvme3n1` of `nvme3n1p2`, `sda` of `sda2`.
fn whole(name: &str) -> &str {
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

/// `nvme nvme3: controller is down; will reset: CSTS=0xffffffff, PCI_STATUS=0x10`.
fn read_controller(drive: &str, said: &str) -> Option<HostLine> {
    let has = |needle: &str| said.contains(needle);
    let gone = [
        "controller is down",
        "Removing after probe failure",
        "after reset failure",
        "Device not ready",
        "persistent internal error",
    ];
    if gone.iter().any(|word| has(word)) {
        return drive_event(Severity::Recoverable, drive);
    }
    if has("frozen state error detected") || has("restart after slot reset") {
        return Some(HostLine::Detail);
    }
    if has("Shutdown timeout set to") {
        return None;
    }
    let doubt = has("timeout") || has("Abort status") || speaks_of_error(said);
    doubt.then(|| drive_event(Severity::Unclear, drive))?
}

/// Controllers of drives by their drivers: what says that one is gone, and what it may come back from (`megaraid_sas_fusion.c`,
/// `mpt3sas_base.c`, `hpsa.c` and `smartpqi_init.c` of drivers/scsi).
const CONTROLLERS: [(&str, &[&str], &[&str]); 4] = [
    (
        "megaraid_sas ",
        &["killing adapter", "Controller in crit error"],
        &["FW in FAULT state", "Diag reset adapter never"],
    ),
    (
        "mpt3sas_cm",
        &["SAS host is non-operational", "dead_ioc_thread success"],
        &["fault_state(", "diag reset: FAILED"],
    ),
    ("hpsa ", &["ontroller lockup detected"], &["heartbeat failed"]),
    ("smartpqi ", &["controller is offline", "controller offline"], &["resetting"]),
];

/// `megaraid_sas 0000:18:00.0: Reset failed, killing adapter scsi0.`, `mpt3sas_cm0: SAS host is non-operational !!!!`.
fn read_drives_controller(message: &str) -> Option<HostLine> {
    let (_, gone, doubt) = CONTROLLERS.iter().find(|(driver, ..)| message.starts_with(driver))?;
    let (name, said) = message.split_once(": ")?;
    let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
    let severity = if has(gone) {
        Severity::Recoverable
    } else if has(doubt) || is_grave_event(message, said) {
        Severity::Unclear
    } else {
        return None;
    };
    let place = name.split_once(' ').and_then(|(_, address)| address.parse().ok()).map_or(Place::Node, Place::Pci);
    Some(event(Class::Controller, severity, place))
}

/// `6433 (721043250s/0x0001/CRIT) - VD 00/0 is now DEGRADED`: what the controller's own log says of the gravest three classes
/// (`megasas_decode_evt` of `megaraid_sas_base.c`), of its drives as well as of itself.
fn is_grave_event(message: &str, said: &str) -> bool {
    let class = said.split_once(") - ").and_then(|(head, _)| head.rsplit_once('/'));
    message.starts_with("megaraid_sas ") && class.is_some_and(|(_, class)| ["CRIT", "FATAL", "DEAD"].contains(&class))
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
    // integrity, codes 1 and 2 of type 0 an invalid command or field.
    match (status("(sct 0x"), status("/ sc 0x")) {
        (Some(2), _) => drive_event(Severity::Recoverable, name),
        (Some(0), Some(1 | 2)) => None,
        _ => drive_event(Severity::Unclear, name),
    }
}

/// `I/O error, dev sda, sector 1234 op 0x0:(READ)`, `Buffer I/O error on dev sda, logical block 0, async page read`.
fn read_block_layer(message: &str) -> Option<HostLine> {
    if let Some(rest) = message.strip_prefix("Buffer I/O error on dev") {
        let rest = rest.strip_prefix("ice").unwrap_or(rest).trim_start();
        return drive_event(Severity::Unclear, rest.split([',', ' ']).next()?);
    }
    // Of an array: one of its drives was given up.
    if message.starts_with("md/raid")
        && let Some((_, rest)) = message.split_once("Disk failure on ")
    {
        return drive_event(Severity::Unclear, rest.split([',', ' ']).next()?);
    }
    let (what, rest) = message.split_once(", dev ")?;
    // A command that the drive does not know.
    if what.contains("operation not supported error") {
        return None;
    }
    let name = rest.split([',', ' ']).next()?;
    if what.contains("critical medium error") {
        return drive_event(Severity::Recoverable, name);
    }
    what.ends_with("error").then(|| drive_event(Severity::Unclear, name))?
}

/// `ata1.00: exception Emask 0x0 SAct 0x0 SErr 0x0 action 0x6 frozen`, `sd 0:0:0:0: [sda] tag#12 Sense Key : Medium Error`.
fn read_scsi(message: &str) -> Option<HostLine> {
    let (name, said) = message.split_once(": ")?;
    if let Some(number) = name.strip_prefix("ata") {
        let is_port = number.starts_with(|first: char| first.is_ascii_digit());
        return (is_port && said.starts_with("exception Emask")).then(|| drive_event(Severity::Unclear, name))?;
    }
    if !name.starts_with("sd ") {
        return None;
    }
    let drive = said.strip_prefix('[')?.split(']').next()?;
    let broken = ["Sense Key : Medium Error", "Sense Key : Hardware Error"].iter().any(|word| said.contains(word));
    // A command that nobody answered, however often it was given (`scsi_cmd_runtime_exceeced` of scsi_lib.c).
    let unanswered = said.contains("timing out command, waited");
    match (broken, unanswered) {
        (true, _) => drive_event(Severity::Recoverable, drive),
        (false, true) => drive_event(Severity::Unclear, drive),
        (false, false) => None,
    }
}

/// `EXT4-fs error (device nvme0n1p2): ext4_find_entry:1682: ...`, `XFS (sda1): metadata I/O error in ...`.
fn read_file_system(message: &str) -> Option<HostLine> {
    let device =
        |text: &str| text.split_once("(device ").map(|(_, rest)| rest.split(')').next().unwrap_or(rest).to_owned());
    if message.starts_with("EXT4-fs error") || message.starts_with("BTRFS error") || message.starts_with("BTRFS: error")
    {
        return drive_event(Severity::Unclear, &device(message)?);
    }
    let (name, said) = message.strip_prefix("XFS (")?.split_once("): ")?;
    (speaks_of_error(said) && !said.contains("Failing async write")).then(|| drive_event(Severity::Unclear, name))?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(line: &str) -> Option<(Severity, String)> {
        match read_drive(line)? {
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
