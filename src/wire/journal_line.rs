//! Following a journal by its own hash chain: which offered bytes continue a copy, and where that copy then ends.
//!
//! Every line of a journal ends in `,"chain":"…"}`, the hash over all before it; `kiln_journal` writes and verifies it
//! whole. Here only the values at the ends of lines are read, so that a floor can say cheaply where it is.

use serde::{Deserialize, Serialize};

use super::{Appended, Position};

/// The chain value of a line, and so of everything before it; 64 zeros before the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Chain([u8; 32]);

/// Why bytes are not lines of a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    #[error("a line does not end in a chain value of 64 lower-case hexadecimal digits")]
    Unframed,
    #[error("the last line is not whole")]
    Torn,
    #[error("a line is longer than {} bytes", Tip::LONGEST_LINE)]
    TooLong,
}

impl Chain {
    fn parse(hex: &[u8]) -> Option<Self> {
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let mut value = [0; 32];
        if hex.len() != 2 * value.len() {
            return None;
        }
        for (byte, pair) in value.iter_mut().zip(hex.chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Some(Self(value))
    }
}

impl TryFrom<String> for Chain {
    type Error = LineError;

    fn try_from(hex: String) -> Result<Self, LineError> {
        Self::parse(hex.as_bytes()).ok_or(LineError::Unframed)
    }
}

impl From<Chain> for String {
    fn from(chain: Chain) -> Self {
        chain.to_string()
    }
}

impl std::fmt::Display for Chain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The one rule of handing journals over: both sides follow it, in the world and in simulations.
impl Position {
    /// What comes of lines that are offered from `from` on to a copy that ends here. Late, doubled and foreign ones change
    /// nothing; what is no lines of a journal is refused.
    pub fn offered(self, from: Self, lines: &[u8]) -> Result<Appended, LineError> {
        if self == from { Tip::after(from, lines).map(Appended::Here) } else { Ok(Appended::Elsewhere(self)) }
    }

    /// Whether a journal whose first bytes these are reads the same up to this position, so that a copy that ends here is one
    /// of it.
    pub fn is_end_of(self, bytes: &[u8]) -> bool {
        bytes.len() as u64 == self.offset && Tip::after(Self::default(), bytes) == Ok(self)
    }
}

/// Reads positions out of the bytes of a journal.
#[derive(Debug, Clone, Copy)]
pub struct Tip;

impl Tip {
    /// The longest line that is taken. Inventories and plans of large nodes have some 60 kB; the rest is patience.
    pub const LONGEST_LINE: usize = 1 << 20;

    /// Where a copy that ends at `from` ends after `bytes`, which must be whole lines.
    pub fn after(from: Position, bytes: &[u8]) -> Result<Position, LineError> {
        match Self::follow(from, bytes) {
            (end, None) => Ok(end),
            (_, Some(error)) => Err(error),
        }
    }

    /// How far `bytes` continue a copy that ends at `from`, and what is wrong with the line after that, if one is.
    pub fn follow(from: Position, bytes: &[u8]) -> (Position, Option<LineError>) {
        let mut at = from;
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let Some(body) = line.strip_suffix(b"\n") else { return (at, Some(LineError::Torn)) };
            if body.len() > Self::LONGEST_LINE {
                return (at, Some(LineError::TooLong));
            }
            let Some(chain) = Self::chain_of(body) else { return (at, Some(LineError::Unframed)) };
            at = Position { offset: at.offset + line.len() as u64, chain };
        }
        (at, None)
    }

    /// The part of `bytes` that is whole lines and at most `most` long, though never less than one line that is whole.
    pub fn whole_lines(bytes: &[u8], most: usize) -> &[u8] {
        let end = |bytes: &[u8]| bytes.iter().rposition(|byte| *byte == b'\n').map(|at| at + 1);
        let within = end(&bytes[..bytes.len().min(most)]);
        let first = || bytes.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
        &bytes[..within.or_else(first).unwrap_or(0)]
    }

    fn chain_of(line: &[u8]) -> Option<Chain> {
        let before_end = line.strip_suffix(b"\"}")?;
        let at = before_end.len().checked_sub(64)?;
        before_end[..at].ends_with(b",\"chain\":\"").then(|| Chain::parse(&before_end[at..]))?
    }
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "values are bounded where they are made, within the narrower type")]
mod tests {
    use super::*;

    fn line(body: &str, digit: char) -> String {
        format!("{{{body},\"chain\":\"{}\"}}\n", digit.to_string().repeat(64))
    }

    #[test]
    fn whole_lines_move_the_position_to_the_last_chain_value() {
        let bytes = line("\"a\":1", 'a') + &line("\"b\":2", 'b');
        let end = Tip::after(Position::default(), bytes.as_bytes()).expect("lines");
        assert_eq!(end.offset, bytes.len() as u64);
        assert_eq!(end.chain.to_string(), "b".repeat(64));
        assert_eq!(Tip::after(end, b""), Ok(end));
    }

    #[test]
    fn lines_are_taken_only_where_they_continue_a_copy() {
        let (one, two) = (line("\"a\":1", 'a'), line("\"b\":2", 'b'));
        let start = Position::default();
        let Ok(Appended::Here(first)) = start.offered(start, one.as_bytes()) else { panic!("not taken") };
        let foreign = Position { chain: Tip::after(start, two.as_bytes()).expect("lines").chain, ..first };
        for from in [start, foreign, Position { offset: first.offset + 1, ..first }] {
            assert_eq!(first.offered(from, two.as_bytes()), Ok(Appended::Elsewhere(first)), "{from:?}");
        }
        assert_eq!(first.offered(first, &two.as_bytes()[1..9]), Err(LineError::Torn));
        assert!(
            first.is_end_of(one.as_bytes()) && !first.is_end_of(two.as_bytes()) && !foreign.is_end_of(one.as_bytes())
        );
        assert!(!first.is_end_of((one.clone() + &two).as_bytes()) && start.is_end_of(b""));
    }

    #[test]
    fn torn_and_foreign_lines_are_refused() {
        let whole = line("\"a\":1", 'a');
        let from = Position::default();
        assert_eq!(Tip::after(from, &whole.as_bytes()[..whole.len() - 1]), Err(LineError::Torn));
        assert_eq!(Tip::after(from, b"{\"a\":1}\n"), Err(LineError::Unframed));
        assert_eq!(Tip::after(from, line("\"a\":1", 'A').as_bytes()), Err(LineError::Unframed));
        assert_eq!(Tip::after(from, (whole.clone() + "\n").as_bytes()), Err(LineError::Unframed));
        let long = line(&"x".repeat(Tip::LONGEST_LINE), 'a');
        assert_eq!(Tip::after(from, long.as_bytes()), Err(LineError::TooLong));
    }

    #[test]
    fn lines_before_a_damaged_one_are_followed() {
        let (one, two) = (line("\"a\":1", 'a'), line("\"b\":2", 'b'));
        let damaged = one.clone() + "{\"b\":\u{0}\n" + &two;
        let (at, error) = Tip::follow(Position::default(), damaged.as_bytes());
        assert_eq!((at.offset as usize, error), (one.len(), Some(LineError::Unframed)));
        assert_eq!(Tip::after(Position::default(), one.as_bytes()), Ok(at));
    }

    #[test]
    fn only_whole_lines_are_offered() {
        let (one, two) = (line("\"a\":1", 'a'), line("\"b\":2", 'b'));
        let bytes = one.clone() + &two + "{\"torn";
        assert_eq!(Tip::whole_lines(bytes.as_bytes(), 1 << 16), (one.clone() + &two).as_bytes());
        assert_eq!(Tip::whole_lines(bytes.as_bytes(), one.len() + 3), one.as_bytes());
        assert_eq!(
            Tip::whole_lines(bytes.as_bytes(), 3),
            one.as_bytes(),
            "a line longer than the measure travels alone"
        );
        assert_eq!(Tip::whole_lines(b"{\"torn", 100), b"");
    }
}
