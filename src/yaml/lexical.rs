//! What is checked in the bytes of a file before YAML is read from them.

use std::sync::Arc;

use super::{Diagnostic, Diagnostics, SourceText, TextPlace};

/// Turns bytes into text, or says at which byte they are not UTF-8.
pub(super) fn decode(name: &str, bytes: &[u8]) -> Result<Arc<SourceText>, Diagnostics> {
    // Windows editors put a byte order mark first; it means nothing in UTF-8.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(SourceText::new(name, text)),
        Err(error) => {
            let source = SourceText::new(name, String::from_utf8_lossy(bytes));
            let at = error.valid_up_to();
            // The replacement character that stands there now is three bytes long.
            let place = TextPlace::new(&source, at..at + 3);
            let mut all = Diagnostics::new();
            all.push(
                Diagnostic::new(&place, "the file is not UTF-8 text")
                    .label(format!("byte 0x{:02x}", bytes.get(at).copied().unwrap_or_default()))
                    .help("save the file as UTF-8; other encodings (Shift_JIS, Latin-1, UTF-16) are not read"),
            );
            Err(all)
        }
    }
}

/// Finds characters that must not be in a profile: invisible, or read differently by different people.
pub(super) fn check(source: &Arc<SourceText>, all: &mut Diagnostics) {
    let mut line_start = true;
    let mut content_seen = false;
    let text = source.text();
    for (at, character) in text.char_indices() {
        let place = || TextPlace::new(source, at..at + character.len_utf8());
        match character {
            '\n' | '\r' => line_start = true,
            '\t' if line_start => {
                let rest = text[at..].trim_start_matches([' ', '\t']);
                // One complaint a line; blank lines have no indentation.
                line_start = false;
                if !rest.is_empty() && !rest.starts_with(['\n', '\r']) {
                    all.push(Diagnostic::new(&place(), "a tab is used for indentation").help("indent with spaces"));
                }
            }
            ' ' | '\t' => {}
            '\u{feff}' => all.push(
                Diagnostic::new(&place(), "a byte order mark stands inside the file")
                    .help("delete the invisible character U+FEFF"),
            ),
            _ if is_forbidden(character) => all.push(
                Diagnostic::new(&place(), format!("the character U+{:04X} is not allowed", u32::from(character)))
                    .help("it cannot be seen in an editor; delete it, or write it as an escape in double quotes"),
            ),
            '%' if line_start && !content_seen && is_first_column(text, at) => {
                all.push(
                    Diagnostic::new(&TextPlace::new(source, at..text.len()).first_line(), "directives are not allowed")
                        .help("delete the line; files are always read as YAML 1.2"),
                );
                line_start = false;
            }
            '#' if line_start => line_start = false,
            _ => {
                content_seen |= line_start;
                line_start = false;
            }
        }
    }
}

fn is_first_column(text: &str, at: usize) -> bool {
    at == 0 || text[..at].ends_with(['\n', '\r'])
}

/// Control characters, and those that turn the direction of text around so that it reads as something else.
fn is_forbidden(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fffe}' | '\u{ffff}')
}

#[cfg(test)]
mod tests {
    use super::super::document::tests::{refused, refused_all};
    use crate::Document;

    #[test]
    fn bytes_that_are_no_clean_text_are_refused() {
        insta::assert_snapshot!(refused(b"a: 1\nb: \x83\x65 x\n"), @r#"
        error: the file is not UTF-8 text
         --> t.yaml:2:4
          |
        2 | b: �e x
          |    ^ byte 0x83
          |
          = help: save the file as UTF-8; other encodings (Shift_JIS, Latin-1, UTF-16) are not read
        "#);
        insta::assert_snapshot!(refused_all(&["a: 1\n\tb: 2\n  \tc: 3\n", "a: x\u{7}y\n", "a: x\u{202e}y\n", "a: 1\nb: \u{feff}2\n"]), @r#"
        error: a tab is used for indentation
         --> t.yaml:2:1
          |
        2 |     b: 2
          | ^^^^
          |
          = help: indent with spaces

        error: a tab is used for indentation
         --> t.yaml:3:3
          |
        3 |       c: 3
          |   ^^^^
          |
          = help: indent with spaces
        ----
        error: the character U+0007 is not allowed
         --> t.yaml:1:5
          |
        1 | a: x␇y
          |     ^
          |
          = help: it cannot be seen in an editor; delete it, or write it as an escape in double quotes
        ----
        error: the character U+202E is not allowed
         --> t.yaml:1:5
          |
        1 | a: x�y
          |     ^
          |
          = help: it cannot be seen in an editor; delete it, or write it as an escape in double quotes
        ----
        error: a byte order mark stands inside the file
         --> t.yaml:2:4
          |
        2 | b: ﻿2
          |    ^
          |
          = help: delete the invisible character U+FEFF
        "#);
    }

    #[test]
    fn a_tab_is_allowed_between_words_but_not_as_the_space_after_a_colon() {
        assert!(Document::parse("t.yaml", b"a: 1\t# one\nb: [1,\t2]\n").is_ok());
        insta::assert_snapshot!(refused(b"a:\t1\n"), @r#"
        error: a `:` must be followed by a space
         --> t.yaml:1:4
          |
        1 | a:    1
          |       ^
          |
          = help: write `key: value`; a tab is no space
        "#);
    }
}
