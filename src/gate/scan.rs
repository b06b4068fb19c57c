//! What a scanner or a hand typed, as a serial number, or why it is none.

use kiln_wire::Serial;
use unicode_normalization::UnicodeNormalization as _;

/// Why a scan is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ScanError {
    Empty,
    /// What was read, with signs that cannot be shown replaced.
    NoSerial(String),
    /// What firmware says where nobody wrote a number.
    Placeholder(String),
}

/// Words that vendors' tools leave in the place of a serial number, without regard to case; `dmidecode` shows all of them.
const PLACEHOLDERS: [&str; 8] = ["na", "n-a", "none", "null", "unknown", "default", "0123456789", "not-specified"];

/// Reads a scan. Letters of full width, as an input method makes them, are plain ones (NFKC); spaces around are none.
pub(crate) fn scanned(text: &str) -> Result<Serial, ScanError> {
    let plain: String = text.nfkc().collect();
    let plain = plain.trim();
    if plain.is_empty() {
        return Err(ScanError::Empty);
    }
    let shown = || plain.chars().take(40).map(|letter| if letter.is_control() { '?' } else { letter }).collect();
    let same = |digit: u8| plain.bytes().all(|byte| byte == digit);
    if PLACEHOLDERS.contains(&plain.to_ascii_lowercase().as_str()) || same(b'0') {
        return Err(ScanError::Placeholder(shown()));
    }
    plain.parse().map_err(|_| ScanError::NoSerial(shown()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_letters_are_plain_ones_and_other_signs_are_refused() {
        assert_eq!(scanned(" ＳＧＨ１２３－４\r\n").map(String::from).as_deref(), Ok("SGH123-4"));
        assert_eq!(scanned("　"), Err(ScanError::Empty));
        for text in ["ｱｲｳ", "a b", "<script>", "x\u{1b}[0m", "../etc"] {
            assert!(matches!(scanned(text), Err(ScanError::NoSerial(_))), "{text}");
        }
        for text in ["N/A", "To be filled by O.E.M."] {
            assert!(scanned(text).is_err(), "{text}");
        }
        for text in ["NA", "none", "0000000", "ｎｏｎｅ"] {
            assert!(matches!(scanned(text), Err(ScanError::Placeholder(_))), "{text}");
        }
    }
}
