//! What a line comes to that nobody taught us: by the words that every driver uses where something went wrong.
//!
//! Grave words are worth a look whoever says them. The others are said of small things as well, so that they count where
//! the speaker is known to say them of what is under test, or is a device that is under test itself.

use super::driver_words::means_nothing;
use super::host_line::{HostLine, event};
use super::kernel_event::{Class, Place, Severity};
use super::line_table::{DeviceLine, named_in};

/// Drivers whose every error is worth a look.
const DRIVERS: [&str; 7] = ["nvidia", "pcieport", "mlx5_core", "mlx4_core", "nvme", "bnxt_en", "ice"];
/// Subsystems likewise.
const SUBSYSTEMS: [&str; 8] =
    ["NVRM: ", "nvidia-nvlink: ", "nvidia-nvswitch", "nvidia: ", "nvidia-uvm: ", "AER: ", "EDAC MC", "mce: "];
/// Of these, the ones whose lines tell of refused requests as well.
const OF_THE_DRIVER: [&str; 2] = ["NVRM: ", "nvidia-uvm: "];
/// Controllers of drives, which have no address in their lines.
const DRIVES: &str = "nvme nvme";

pub(super) fn by_general_words(message: &str, device: Option<DeviceLine<'_>>) -> Option<HostLine> {
    match device {
        Some(line) => of_device(line),
        None => of_subsystem(message),
    }
}

fn of_device(line: DeviceLine<'_>) -> Option<HostLine> {
    let doubt = |class| Some(event(class, Severity::Unclear, Place::Pci(line.pci)));
    if is_grave(line.said) {
        return doubt(if line.is_of_network() { Class::Nic } else { Class::Unknown });
    }
    // Settings that are refused to an interface say nothing of it.
    if line.of_interface || !speaks_of_error(line.said) {
        return None;
    }
    doubt(match line.driver {
        _ if line.is_of_network() => Class::Nic,
        _ if DRIVERS.contains(&line.driver) => Class::Unknown,
        _ => Class::Unfamiliar,
    })
}

fn of_subsystem(message: &str) -> Option<HostLine> {
    if let Some((name, said)) =
        message.strip_prefix(DRIVES.trim_end_matches("nvme")).and_then(|rest| rest.split_once(": "))
        && message.starts_with(DRIVES)
    {
        return speaks_of_error(said).then(|| event(Class::Drive, Severity::Unclear, Place::Drive(name.to_owned())));
    }
    let known = SUBSYSTEMS.iter().any(|start| message.starts_with(start));
    let of_driver = OF_THE_DRIVER.iter().any(|start| message.starts_with(start));
    if !(known && speaks_of_error(message) || is_grave(message)) || (of_driver && means_nothing(message)) {
        return None;
    }
    Some(event(Class::Unknown, Severity::Unclear, named_in(message)))
}

/// Words by which a message shows that something went wrong.
pub(super) fn speaks_of_error(text: &str) -> bool {
    const WORDS: [&str; 16] = [
        "error",
        "unresponsive",
        // `_kgspRpcGspEventPmuHalted` of kernel_gsp.c, after which the GPU is marked for a reset.
        "halted",
        "fail",
        "fatal",
        "uncorrect",
        "timeout",
        "timed out",
        // `rpcRecvPoll timedout for fn 76` of rpc.c, `Bad checksum.` of message_queue_cpu.c.
        "timedout",
        "bad checksum",
        "stuck",
        "hung",
        "lost",
        "corrupt",
        "poison",
        "parity",
    ];
    // A call that is not supported, by its words or by its number (`EOPNOTSUPP`), is a question that was answered.
    let text = text.to_ascii_lowercase();
    let number =
        text.split_once("-95").is_some_and(|(_, rest)| !rest.starts_with(|next: char| next.is_ascii_alphanumeric()));
    WORDS.iter().any(|word| text.contains(word)) && !number && !text.contains("not supported")
}

/// Words that are not said of small things.
fn is_grave(text: &str) -> bool {
    const WORDS: [&str; 20] = [
        "hardware error",
        "hardware fault",
        "hardware failure",
        "uncorrectable",
        "uncorrected",
        "unrecoverable",
        "not recoverable",
        "machine check",
        "parity error",
        "ecc error",
        "double bit",
        "double-bit",
        "fatal error",
        "fatal hw",
        "assume dead",
        "has crashed",
        "overheat",
        "over temperature",
        "over-temperature",
        "power fault",
    ];
    let text = text.to_ascii_lowercase();
    let mild = ["non-fatal", "nonfatal", "non fatal"].iter().any(|words| text.contains(words));
    WORDS.iter().any(|word| text.contains(word) && !(mild && word.starts_with("fatal")))
}

#[cfg(test)]
mod tests {
    use super::super::host_line::read_host_line;
    use super::*;

    fn told(line: &str) -> Option<(Class, Place)> {
        match read_host_line(line)? {
            HostLine::Event { class, place, .. } => Some((class, place)),
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn a_driver_never_met_is_read_by_its_words() {
        let device = Place::Pci("0000:6b:00.0".parse().expect("an address"));
        for (line, class) in [
            ("newdrv 0000:6b:00.0: completion queue 3 failed", Class::Unfamiliar),
            ("newdrv 0000:6b:00.0: doorbell timeout", Class::Unfamiliar),
            ("newdrv 0000:6b:00.0: uncorrectable memory error in bank 3", Class::Unknown),
            ("newdrv 0000:6b:00.0: firmware has crashed", Class::Unknown),
        ] {
            assert_eq!(told(line), Some((class, device.clone())), "{line}");
        }
        for line in ["newsub: engine 3: unrecoverable state", "x: Hardware Failure of unit 7"] {
            assert_eq!(told(line), Some((Class::Unknown, Place::Node)), "{line}");
        }
        for line in [
            "newdrv 0000:6b:00.0: firmware version 3.1, 16 queues",
            "newdrv 0000:6b:00.0 eth7: setting failed",
            "newsub: option failed, and nobody minds",
            "newsub: a non-fatal error was met",
        ] {
            assert_eq!(told(line), None, "{line}");
        }
    }
}
