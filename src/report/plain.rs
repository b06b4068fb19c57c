//! Text from outside (drivers, kernels, tools) without what would act on a terminal or cannot stand in XML.

use std::borrow::Cow;

/// The text without terminal escape sequences and without control characters, tabs and line breaks excepted.
pub(super) fn plain(text: &str) -> Cow<'_, str> {
    let strange = |c: char| (c.is_control() && c != '\n' && c != '\t') || matches!(c, '\u{fffe}' | '\u{ffff}');
    if !text.contains(strange) {
        return Cow::Borrowed(text);
    }
    let mut kept = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        if character == '\u{1b}' {
            match rest.next() {
                // Control sequence: ends in a byte of @ to ~ (ECMA-48, 5.4).
                Some('[') => while rest.next().is_some_and(|c| !('@'..='~').contains(&c)) {},
                // Operating system command: ends in BEL or ESC \ (xterm).
                Some(']') => {
                    while let Some(c) = rest.next() {
                        if c == '\u{7}' || (c == '\u{1b}' && rest.next_if_eq(&'\\').is_some()) {
                            break;
                        }
                    }
                }
                _ => {}
            }
        } else if !strange(character) {
            kept.push(character);
        }
    }
    Cow::Owned(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_on_a_terminal_is_left_out() {
        let text = "a\u{1b}[1;31mb\u{1b}[0m\u{0}c\u{8}d\u{1b}]0;title\u{7}e\u{1b}]8;;x\u{1b}\\f\r\ng\u{ffff}温度\u{85}";
        assert_eq!(plain(text), "abcdef\ng温度");
        assert_eq!(plain("nothing strange\n"), "nothing strange\n");
    }
}
