//! Text for a terminal: what would act on it is shown instead of done.

use std::borrow::Cow;

use super::text::Paint;

/// The control pictures of Unicode, one for each of the first 32 control characters, in their order.
const PICTURES: u32 = 0x2400;
const PICTURE_OF_DELETE: char = '\u{2421}';

/// The text with every character that would act on a terminal as a sign for it; tabs and line breaks stay.
///
/// That is all control characters, and those that turn the direction of writing or break a line without looking like it.
/// Painted text keeps the colours that `Paint` gives, to the letter, and no other sequence.
pub fn visible(text: &str, paint: Paint) -> Cow<'_, str> {
    if !text.contains(acts) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        if paint == Paint::Colour
            && let Some(colour) = Paint::sequences().find(|sequence| rest.starts_with(sequence.as_str()))
        {
            shown.push_str(&colour);
            rest = &rest[colour.len()..];
            continue;
        }
        rest = &rest[letter.len_utf8()..];
        match letter {
            // A line break of Windows or CSV.
            '\r' if rest.starts_with('\n') => {}
            '\u{7f}' => shown.push(PICTURE_OF_DELETE),
            _ if !acts(letter) => shown.push(letter),
            _ => match char::from_u32(PICTURES + u32::from(letter)).filter(|_| letter < ' ') {
                Some(picture) => shown.push(picture),
                None => shown.extend(format!("<U+{:04X}>", u32::from(letter)).chars()),
            },
        }
    }
    Cow::Owned(shown)
}

fn acts(letter: char) -> bool {
    let direction =
        matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let separator = matches!(letter, '\u{2028}' | '\u{2029}');
    (letter.is_control() && !matches!(letter, '\n' | '\t')) || direction || separator
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_outside_acts_on_a_terminal() {
        let text = "a\u{1b}[31mb\u{7}c\u{8}d\u{9b}2Je\rf\u{202e}g\u{2066}h\u{2028}i\u{7f}\u{0}";
        let shown = "a␛[31mb␇c␈d<U+009B>2Je␍f<U+202E>g<U+2066>h<U+2028>i␡␀";
        for paint in [Paint::Plain, Paint::Colour] {
            assert_eq!(visible(text, paint), shown);
        }
        let harmless = "温度 85 °C ✓\tok\n";
        assert!(matches!(visible(harmless, Paint::Plain), Cow::Borrowed(same) if same == harmless));
        assert_eq!(visible("a,b\r\n", Paint::Plain), "a,b\n");
    }

    #[test]
    fn colours_of_our_own_stay_where_there_are_colours() {
        let painted = "\u{1b}[31;1mFAIL\u{1b}[0m \u{1b}[2J";
        assert_eq!(visible(painted, Paint::Colour), "\u{1b}[31;1mFAIL\u{1b}[0m ␛[2J");
        assert_eq!(visible(painted, Paint::Plain), "␛[31;1mFAIL␛[0m ␛[2J");
    }
}
