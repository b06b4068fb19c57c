//! What the firmware's tables say of the machine: model, serials, version, memory modules.
//!
//! The kernel keeps serials and the tables themselves to root; closed is then the reading, not absent.

#![expect(
    clippy::cast_possible_truncation,
    reason = "what a driver or a text tells is within the range of what it measures"
)]

use std::fs;
use std::path::Path;

use dmidecode::{EntryPoint, Structure};

use super::machine;
use super::source::{refused, text};
use kiln_model::{NodeIdentity, Reading};

pub(super) fn node_identity(root: &Path) -> NodeIdentity {
    let word = |file: &str| told(text(&root.join("sys/class/dmi/id").join(file)));
    NodeIdentity {
        model: word("product_name"),
        serial: serial(word("product_serial")),
        board_serial: serial(word("board_serial")),
        hostname: machine::hostname(root),
        boot_id: machine::boot_id(root),
        bios: word("bios_version"),
    }
}

/// What makers leave in the tables for want of a value is no value.
fn told(text: Reading<String>) -> Reading<String> {
    const FILLERS: &[&str] = &[
        "to be filled by o.e.m.",
        "default string",
        "not specified",
        "none",
        "n/a",
        "unknown",
        "0",
        "not applicable",
        "not available",
        "empty",
        "oem",
        "o.e.m.",
        "invalid",
        "null",
        "undefined",
        "tbd",
        "to be filled",
    ];
    match text {
        Reading::Value(text) if FILLERS.contains(&text.to_ascii_lowercase().as_str()) => Reading::Unsupported,
        other => other,
    }
}

/// A serial number, unless it is made up for want of one.
fn serial(text: Reading<String>) -> Reading<String> {
    match text {
        Reading::Value(text) if is_filler(&text) => Reading::Unsupported,
        other => other,
    }
}

/// What no maker gives a second time and still is no value: digits that count up or down, one sign again and again, or the
/// field's own name. Seen on boards of several makers (`0123456789`, `123456789`, `........`, `System Serial Number`).
fn is_filler(text: &str) -> bool {
    const OWN_NAME: &[&str] = &[
        "system",
        "base",
        "board",
        "baseboard",
        "chassis",
        "product",
        "serial",
        "serialnumber",
        "number",
        "no",
        "sn",
        "bios",
        "version",
        "string",
        "default",
        "name",
        "manufacturer",
    ];
    let signs: Vec<u8> = text.bytes().filter(u8::is_ascii_alphanumeric).map(|sign| sign.to_ascii_lowercase()).collect();
    let repeated = signs.windows(2).all(|pair| pair[0] == pair[1]);
    // 9 is followed by 0, and five in a row are no serial number's chance.
    let counts = |step: u8| {
        let digits = signs.iter().all(u8::is_ascii_digit);
        digits && signs.len() >= 5 && signs.windows(2).all(|pair| (pair[1] - b'0') == (pair[0] - b'0' + step) % 10)
    };
    let words: Vec<String> = text
        .split(|sign: char| !sign.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
        .collect();
    let named = !words.is_empty() && words.iter().all(|word| OWN_NAME.contains(&word.as_str()));
    signs.is_empty() || repeated || counts(1) || counts(9) || named
}

/// Memory modules fitted.
pub(super) fn dimms(root: &Path) -> Reading<u16> {
    let tables = root.join("sys/firmware/dmi/tables");
    let (entry, table) = match (fs::read(tables.join("smbios_entry_point")), fs::read(tables.join("DMI"))) {
        (Ok(entry), Ok(table)) => (entry, table),
        (Err(error), _) | (_, Err(error)) => return refused(&error),
    };
    let Ok(entry) = EntryPoint::search(&entry) else { return Reading::Unsupported };
    let fitted = entry.structures(&table).filter(|structure| match structure {
        // An empty socket is a device of size 0, which the crate leaves out.
        Ok(Structure::MemoryDevice(device)) => device.size.is_some_and(|size| size > 0),
        _ => false,
    });
    Reading::Value(fitted.count() as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An entry point of SMBIOS 3 for `length` bytes of tables.
    fn entry_point(length: u32) -> Vec<u8> {
        let mut entry = b"_SM3_\0\x18\x03\x02\x00\x01\x00".to_vec();
        entry.extend(length.to_le_bytes());
        entry.extend(0_u64.to_le_bytes());
        let sum = entry.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
        entry[5] = 0_u8.wrapping_sub(sum);
        entry
    }

    /// A memory device of `size` MiB, as SMBIOS 2.8 has them.
    fn module(handle: u16, size: u16) -> Vec<u8> {
        let mut module = vec![0_u8; 0x28];
        module[0] = 17;
        module[1] = 0x28;
        module[2..4].copy_from_slice(&handle.to_le_bytes());
        module[0x0c..0x0e].copy_from_slice(&size.to_le_bytes());
        module.extend([0, 0]);
        module
    }

    #[test]
    fn only_sockets_with_a_module_count() {
        let root = tempfile::tempdir().expect("folder");
        assert_eq!(dimms(root.path()), Reading::Unsupported);
        let tables = root.path().join("sys/firmware/dmi/tables");
        fs::create_dir_all(&tables).expect("folder");
        let mut table = [module(1, 0x4000), module(2, 0), module(3, 0x4000)].concat();
        table.extend([127, 4, 9, 0, 0, 0]);
        fs::write(tables.join("smbios_entry_point"), entry_point(table.len() as u32)).expect("file");
        fs::write(tables.join("DMI"), table).expect("file");
        assert_eq!(dimms(root.path()), Reading::Value(2));
    }

    #[test]
    fn a_filler_is_no_serial() {
        assert_eq!(told(Reading::Value("To Be Filled By O.E.M.".to_owned())), Reading::Unsupported);
        let fillers = [
            "0123456789",
            "123456789",
            "1234567890",
            "9876543210",
            "0",
            "0000000000",
            "XXXXXXXX",
            "........",
            "----",
            "System Serial Number",
            "Base Board Serial Number",
            "Chassis-Serial",
            "Default string",
            "SerialNumber",
        ];
        for filler in fillers {
            assert_eq!(serial(told(Reading::Value(filler.to_owned()))), Reading::Unsupported, "{filler}");
        }
        for serial in ["SGH123", "S123456", "1650123", "12345678A", "J100", "A1234567890", "42", "2M270400TP"] {
            assert_eq!(super::serial(told(Reading::Value(serial.to_owned()))), Reading::Value(serial.to_owned()));
        }
        assert_eq!(told(Reading::Value("1.1.1".to_owned())), Reading::Value("1.1.1".to_owned()), "a version");
    }
}
