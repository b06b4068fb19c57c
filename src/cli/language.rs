//! `--lang` as meant: what the console says, and what reports carry.

use unicode_normalization::UnicodeNormalization as _;

use crate::report::{Language, Languages};

/// What was asked for, if anything.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spoken(pub(super) Option<Languages>);

impl Spoken {
    /// For the terminal: the first that was asked for, or the locale's.
    pub(super) fn console(self) -> Language {
        self.0.map_or_else(|| Language::of_environment(|name| std::env::var(name).ok()), Languages::first)
    }

    /// For pages: what was asked for, or both. Not the locale's, so that a page rebuilt elsewhere is the same.
    pub(super) fn page(self) -> Languages {
        self.0.unwrap_or(Languages::BOTH)
    }
}

/// A serial or order number as a scanner or keyboard gave it: letters and digits of full width, as an input method makes
/// them, become plain ones (NFKC), and what surrounds them goes.
pub(super) fn scanned(text: &str) -> Result<String, String> {
    let plain: String = text.nfkc().collect();
    let plain = plain.trim();
    if plain.is_empty() {
        return Err("it is empty".to_owned());
    }
    match plain.chars().find(|letter| letter.is_control()) {
        Some(letter) => Err(format!("it holds a control character, {}", letter.escape_unicode())),
        None => Ok(plain.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_input_method_made_wide_is_read_as_scanned() {
        assert_eq!(scanned("ＳＩＭＮ１６７４５").as_deref(), Ok("SIMN16745"));
        assert_eq!(scanned(" ｱｲ-\u{3000}7\r\n").as_deref(), Ok("アイ- 7"));
        assert_eq!(scanned("SRV-0001").as_deref(), Ok("SRV-0001"));
    }

    #[test]
    fn an_empty_or_broken_scan_is_refused() {
        assert!(scanned("　").is_err() && scanned("").is_err());
        assert!(scanned("A\u{1b}[31mB").unwrap_err().contains("control"));
    }
}
