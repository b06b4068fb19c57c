//! Cuts what a worker writes into lines, with a bound on their length. What they mean is left to the protocol.

use std::io::{BufRead, BufReader, Read};

/// Longest line a worker may write. The longest message, a mismatch with its place, is below 1 KiB.
pub(super) const LONGEST: usize = 16 * 1024;

/// What came through the pipe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Heard {
    Line(String),
    /// More than a line may have; what follows is not read.
    TooLong,
    /// The pipe closed within a line.
    Half(String),
    /// The pipe closed.
    Closed,
}

/// Reads lines until the pipe closes or breaks the rules, handing each to `take`; stops early if `take` says false.
pub(super) fn read(pipe: impl Read, mut take: impl FnMut(Heard) -> bool) {
    let mut reader = BufReader::new(pipe);
    let mut line = Vec::new();
    loop {
        line.clear();
        let got = Read::take(&mut reader, LONGEST as u64).read_until(b'\n', &mut line);
        let whole = line.last() == Some(&b'\n');
        let text = || String::from_utf8_lossy(&line).trim_end().to_owned();
        let heard = match got {
            Ok(_) if whole => Heard::Line(text()),
            Ok(LONGEST) => Heard::TooLong,
            Ok(0) | Err(_) if line.is_empty() => Heard::Closed,
            Ok(_) | Err(_) => Heard::Half(text()),
        };
        let last = !matches!(heard, Heard::Line(_));
        let half = matches!(heard, Heard::Half(_));
        if !take(heard) || last {
            if half {
                take(Heard::Closed);
            }
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(text: &[u8]) -> Vec<Heard> {
        let mut all = Vec::new();
        read(text, |heard| {
            all.push(heard);
            true
        });
        all
    }

    #[test]
    fn lines_halves_and_ends_are_told_apart() {
        assert_eq!(heard(b"a\nb\n"), [Heard::Line("a".into()), Heard::Line("b".into()), Heard::Closed]);
        assert_eq!(heard(b"a\nb"), [Heard::Line("a".into()), Heard::Half("b".into()), Heard::Closed]);
        assert_eq!(heard(b""), [Heard::Closed]);
        assert_eq!(heard(b"\xff\n"), [Heard::Line("\u{fffd}".into()), Heard::Closed]);
    }

    #[test]
    fn a_line_without_end_is_given_up() {
        assert_eq!(heard(&vec![b'x'; LONGEST * 3]), [Heard::TooLong]);
    }
}
