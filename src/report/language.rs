//! Which language people are told things in. What machines read is English, whatever is chosen here.

use std::str::FromStr;

use kiln_model::Text;

/// A language the catalogue of phrases has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Language {
    #[default]
    English,
    Japanese,
}

impl Language {
    pub const ALL: [Self; 2] = [Self::English, Self::Japanese];

    /// As HTML, locales and `--lang` write it.
    pub const fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Japanese => "ja",
        }
    }

    /// What the language calls itself.
    pub const fn own_name(self) -> &'static str {
        match self {
            Self::English => "English",
            Self::Japanese => "日本語",
        }
    }

    /// What a text says in this language; English where it has no other.
    pub fn of(self, text: &Text) -> &str {
        match self {
            Self::Japanese => text.ja.as_deref().unwrap_or(&text.en),
            Self::English => &text.en,
        }
    }

    /// The language of a locale such as `ja_JP.UTF-8`; English for all that the catalogue lacks.
    pub fn of_locale(locale: &str) -> Self {
        if locale.split(['_', '.', '@']).next() == Some("ja") { Self::Japanese } else { Self::English }
    }

    /// The language of the environment, read as POSIX has it: `LC_ALL`, then `LC_MESSAGES`, then `LANG`. The bare Linux
    /// console has no room for Japanese letters, so that it is told English.
    pub fn of_environment(variable: impl Fn(&str) -> Option<String>) -> Self {
        if variable("TERM").as_deref() == Some("linux") {
            return Self::English;
        }
        let set = |name: &&str| variable(name).filter(|value| !value.is_empty());
        ["LC_ALL", "LC_MESSAGES", "LANG"].iter().find_map(set).map_or(Self::English, |locale| Self::of_locale(&locale))
    }
}

/// One language, or two of which the first is shown first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Languages {
    first: Language,
    second: Option<Language>,
}

impl Languages {
    /// What a report carries that nobody asked a language for: it is the same wherever it is made, and its reader chooses.
    pub const BOTH: Self = Self { first: Language::English, second: Some(Language::Japanese) };

    /// All there are.
    pub const ALL: [Self; 4] = [
        Self::BOTH,
        Self::only(Language::English),
        Self::only(Language::Japanese),
        Self { first: Language::Japanese, second: Some(Language::English) },
    ];

    pub const fn only(language: Language) -> Self {
        Self { first: language, second: None }
    }

    pub const fn first(self) -> Language {
        self.first
    }

    pub fn all(self) -> impl Iterator<Item = Language> + Clone {
        [Some(self.first), self.second].into_iter().flatten()
    }
}

/// What is wrong with languages as typed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no language of kiln; there are `en`, `ja`, and both as `en,ja` or `ja,en`")]
pub struct ParseLanguagesError(pub String);

impl FromStr for Languages {
    type Err = ParseLanguagesError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = || ParseLanguagesError(text.to_owned());
        let find = |code: &str| Language::ALL.into_iter().find(|one| one.code() == code.trim()).ok_or_else(refuse);
        let mut codes = text.split(',');
        let first = find(codes.next().unwrap_or_default())?;
        let second = codes.next().map(find).transpose()?;
        if codes.next().is_some() || second == Some(first) {
            return Err(refuse());
        }
        Ok(Self { first, second })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment<'a>(set: &'a [(&str, &str)]) -> impl Fn(&str) -> Option<String> + 'a {
        |name| set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    }

    #[test]
    fn the_locale_says_which_language() {
        for (set, wanted) in [
            (&[("LANG", "ja_JP.UTF-8")][..], Language::Japanese),
            (&[("LANG", "ja")], Language::Japanese),
            (&[("LANG", "en_US.UTF-8")], Language::English),
            (&[("LANG", "ja_JP.UTF-8"), ("LC_ALL", "C")], Language::English),
            (&[("LANG", "ja_JP.UTF-8"), ("LC_ALL", "")], Language::Japanese),
            (&[("LANG", "C"), ("LC_MESSAGES", "ja_JP.utf8")], Language::Japanese),
            (&[("LANG", "jam_JM")], Language::English),
            (&[("LANG", "ja_JP.UTF-8"), ("TERM", "linux")], Language::English),
            (&[], Language::English),
        ] {
            assert_eq!(Language::of_environment(environment(set)), wanted, "{set:?}");
        }
    }

    #[test]
    fn languages_are_read_as_typed_and_others_refused_with_the_list() {
        let codes = |text: &str| {
            text.parse::<Languages>().map(|found| found.all().map(Language::code).collect::<Vec<_>>().join(" "))
        };
        assert_eq!(codes("ja").as_deref(), Ok("ja"));
        assert_eq!(codes("ja,en").as_deref(), Ok("ja en"));
        assert_eq!(codes("en, ja").as_deref(), Ok("en ja"));
        for wrong in ["fr", "", "ja,ja", "ja,en,ja", "JA", "ja;en"] {
            let told = codes(wrong).unwrap_err().to_string();
            assert!(told.contains("`en`") && told.contains("`ja`"), "{told}");
        }
    }

    #[test]
    fn a_text_without_japanese_is_told_in_english() {
        let text = Text::english("Burn");
        assert_eq!(Language::Japanese.of(&text), "Burn");
        assert_eq!(Language::Japanese.of(&Text { ja: Some("負荷".to_owned()), ..text }), "負荷");
    }
}
