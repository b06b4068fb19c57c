//! Randomness from the kernel, as the gate needs it: secrets nobody can guess, and codes for people to compare.

use std::io;

/// Bytes nobody can guess.
pub(crate) fn bytes<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    kiln_disk::fill_with_randomness(&mut bytes)?;
    Ok(bytes)
}

/// 256 bits in hexadecimal.
pub(crate) fn secret() -> io::Result<String> {
    Ok(hex(&bytes::<32>()?))
}

/// Six digits.
pub(crate) fn code() -> io::Result<String> {
    Ok(format!("{:06}", u64::from_le_bytes(bytes()?) % 1_000_000))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Whether two secrets are the same, in a time that does not say where they differ.
pub(crate) fn same(one: &str, other: &str) -> bool {
    let differ = one.bytes().zip(other.bytes()).fold(0, |differ, (one, other)| differ | (one ^ other));
    one.len() == other.len() && differ == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_differ_and_are_compared_whole() {
        let (one, other) = (secret().expect("random"), secret().expect("random"));
        assert!(one.len() == 64 && same(&one, &one) && !same(&one, &other) && !same(&one, &one[..63]));
        assert!(code().expect("random").bytes().all(|byte| byte.is_ascii_digit()));
    }
}
