//! The format of a line: a body, followed by the chain value over the body and all lines before it.

use sha2::{Digest, Sha256};

/// The SHA-256 value over a line and all lines before it.
pub(super) type Chain = [u8; 32];

/// The chain value before the first line.
pub(super) const BEGIN: Chain = [0; 32];

const MARK: &[u8] = b",\"chain\":\"";
const END: &[u8] = b"\"}";
const HEX: usize = 64;
/// The number of bytes of a line that are not its body, without the newline.
const TAIL: usize = MARK.len() + HEX + END.len();

fn next(chain: &Chain, body: &[u8]) -> Chain {
    let mut hash = Sha256::new();
    hash.update(chain);
    hash.update(body);
    hash.finalize().into()
}

pub(super) fn to_hex(chain: &Chain) -> String {
    let digit = |digit: u8| char::from(b"0123456789abcdef"[usize::from(digit)]);
    chain.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Appends the chain value and a newline to `line`, which holds one complete JSON object.
pub(super) fn close(line: &mut Vec<u8>, chain: &mut Chain) {
    debug_assert_eq!(line.last(), Some(&b'}'), "a line is one JSON object");
    line.pop();
    *chain = next(chain, line);
    line.extend_from_slice(MARK);
    line.extend_from_slice(to_hex(chain).as_bytes());
    line.extend_from_slice(END);
    line.push(b'\n');
}

/// Returns true if `line`, without its newline, is what was written after `chain`, and then advances the chain.
pub(super) fn check(line: &[u8], chain: &mut Chain) -> Result<(), &'static str> {
    let unframed = "the line does not end in a chain value";
    let (body, tail) = line.split_at(line.len().checked_sub(TAIL).ok_or(unframed)?);
    let hex = tail.strip_prefix(MARK).and_then(|tail| tail.strip_suffix(END)).ok_or(unframed)?;
    let found = parse_hex(hex).ok_or(unframed)?;
    let expected = next(chain, body);
    if found != expected {
        return Err("the bytes do not match their chain value");
    }
    *chain = expected;
    Ok(())
}

/// Parses lower-case digits only: upper-case ones are never written.
fn parse_hex(hex: &[u8]) -> Option<Chain> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut value = BEGIN;
    for (byte, pair) in value.iter_mut().zip(hex.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(value)
}
