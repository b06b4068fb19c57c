//! One record of `/dev/kmsg` as text: priority, number, time, flags, message, with the escapes taken out.
//!
//! The form is that of Documentation/ABI/testing/dev-kmsg of the Linux kernel.

/// A record, split into its fields.
pub(super) struct Record<'a> {
    pub(super) sequence: u64,
    /// Microseconds since the kernel started.
    pub(super) micros: u64,
    pub(super) by_kernel: bool,
    pub(super) text: &'a str,
}

/// Reads `6,1234,98765432,-;NVRM: ...`: priority and facility in one number, sequence, microseconds, flags; then the text.
/// Lines that begin with a blank are a record's dictionary.
pub(super) fn read_record(line: &str) -> Option<Record<'_>> {
    let (head, text) = line.split_once(';')?;
    let mut fields = head.split(',');
    let priority: u64 = fields.next()?.parse().ok()?;
    let sequence = fields.next()?.parse().ok()?;
    let micros = fields.next()?.parse().ok()?;
    // Facility 0 is the kernel. Programs may write to the log, but under another facility: they cannot forge an Xid.
    Some(Record { sequence, micros, by_kernel: priority >> 3 == 0, text })
}

/// Puts the bytes back that the kernel wrote as `\x0a`: all below the blank, the backslash, and all above the tilde.
pub(super) fn unescaped(text: &str) -> String {
    if !text.contains("\\x") {
        return text.to_owned();
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let code = rest.strip_prefix(b"\\x").and_then(|tail| tail.get(..2)).and_then(byte);
        if let Some(code) = code {
            bytes.push(code);
            rest = &rest[4..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn byte(digits: &[u8]) -> Option<u8> {
    let plain = digits.iter().all(u8::is_ascii_hexdigit);
    plain.then(|| std::str::from_utf8(digits).ok().and_then(|text| u8::from_str_radix(text, 16).ok()))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_become_the_bytes_they_stand_for_and_nothing_else_changes() {
        assert_eq!(unescaped(r"one\x0atwo\x09three"), "one\ntwo\tthree");
        assert_eq!(unescaped(r"\xe6\xb8\xa9 C:\x5cnew"), "温 C:\\new");
        assert_eq!(unescaped(r"cut \x0"), r"cut \x0");
        assert_eq!(unescaped(r"no \xzz code, \x+1 no number"), r"no \xzz code, \x+1 no number");
    }

    #[test]
    fn later_fields_of_the_head_are_passed_over() {
        let record = read_record("4,7,123456,-,caller=T812;text; with; semicolons").expect("record");
        assert_eq!((record.sequence, record.micros, record.by_kernel), (7, 123_456, true));
        assert_eq!(record.text, "text; with; semicolons");
        assert!(read_record(" SUBSYSTEM=pci").is_none());
    }
}
