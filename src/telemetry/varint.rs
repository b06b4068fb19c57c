//! Integers of variable length: seven bits a byte, lowest first; signed ones folded so that small is short.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "columns are bounded by the length of a block, and values are kept in the width they came in"
)]

/// Appends `value`.
pub(super) fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// 0, -1, 1, -2, … as 0, 1, 2, 3, …
pub(super) const fn fold(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

pub(super) const fn unfold(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// Bytes of the longest number: 64 bits by seven.
const LONGEST: usize = 10;

/// Reads from the front of bytes that may be anything.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a>(pub(super) &'a [u8]);

impl<'a> Cursor<'a> {
    pub(super) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    #[inline]
    pub(super) fn number(&mut self) -> Option<u64> {
        let (mut value, mut shift) = (0, 0);
        for (index, byte) in self.0.iter().take(LONGEST).enumerate() {
            value |= u64::from(byte & 0x7f) << shift;
            if *byte < 0x80 {
                self.0 = &self.0[index + 1..];
                return Some(value);
            }
            shift += 7;
        }
        None
    }

    pub(super) fn bytes(&mut self, count: u64) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(usize::try_from(count).ok()?)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_come_back(value: i64) {
            let mut bytes = Vec::new();
            put(&mut bytes, fold(value));
            let mut cursor = Cursor(&bytes);
            prop_assert_eq!(cursor.number().map(unfold), Some(value));
            prop_assert!(cursor.is_empty());
        }
    }

    #[test]
    fn a_number_without_end_is_none() {
        assert_eq!(Cursor(&[0x80; 20]).number(), None);
        assert_eq!(Cursor(&[0x80]).number(), None);
    }
}
