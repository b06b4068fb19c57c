//! PTX text to tokens.

use crate::fault::{Fault, syntax};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token<'a> {
    /// A name, an opcode with all its parts, a directive or a number.
    Word(&'a str),
    /// What stands between quotation marks.
    Text(&'a str),
    Mark(char),
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Placed<'a> {
    pub(crate) token: Token<'a>,
    pub(crate) line: u32,
}

const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | b'%' | b'.')
}

/// Length of the word at the start of `rest`: `::` belongs to it, a single `:` ends a label.
fn word_length(rest: &[u8]) -> usize {
    let mut at = 0;
    loop {
        match rest.get(at..) {
            Some([b':', b':', ..]) if at > 0 => at += 2,
            Some([byte, ..]) if is_word(*byte) => at += 1,
            _ => return at,
        }
    }
}

pub(crate) fn tokens(text: &str) -> Result<Vec<Placed<'_>>, Fault> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let (mut at, mut line) = (0, 1);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\n' => {
                line += 1;
                at += 1;
            }
            b'/' if bytes.get(at + 1) == Some(&b'/') => at += text[at..].find('\n').unwrap_or(text.len() - at),
            b'"' => {
                let Some(length) = text[at + 1..].find('"') else {
                    return syntax("a quotation mark is not closed").map_err(|fault: Fault| fault.at(line));
                };
                found.push(Placed { token: Token::Text(&text[at + 1..at + 1 + length]), line });
                at += length + 2;
            }
            byte if is_word(*byte) => {
                let length = word_length(&bytes[at..]);
                found.push(Placed { token: Token::Word(&text[at..at + length]), line });
                at += length;
            }
            byte if byte.is_ascii_whitespace() => at += 1,
            byte if byte.is_ascii_punctuation() => {
                found.push(Placed { token: Token::Mark(char::from(*byte)), line });
                at += 1;
            }
            byte => return syntax(format!("the byte {byte:#x} is not PTX")).map_err(|fault: Fault| fault.at(line)),
        }
    }
    Ok(found)
}
