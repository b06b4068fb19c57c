//! Names of agents, boots, units, runs and files. Each is a type of its own, checked where it comes in, so that a name
//! can safely become part of a path or a page. They are copied with every call and never changed, so that copies share their text.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The longest name that is taken. Serial numbers have at most some 30 characters, a digest has 71.
const LONGEST: usize = 80;

/// Why a name is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{shown}` is no {what}: expected 1 to {LONGEST} letters, digits and any of `.-_:`, beginning with a letter or digit"
)]
pub struct IdentifierError {
    what: &'static str,
    shown: String,
}

fn checked(what: &'static str, text: &str) -> Result<(), IdentifierError> {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || ".-_:".contains(letter);
    let begins = text.starts_with(|first: char| first.is_ascii_alphanumeric());
    if begins && text.len() <= LONGEST && text.chars().all(plain) {
        return Ok(());
    }
    let shown = text.chars().take(LONGEST).map(|letter| if letter.is_control() { '?' } else { letter }).collect();
    Err(IdentifierError { what, shown })
}

macro_rules! identifiers {
    ($($(#[$doc:meta])* $name:ident $what:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdentifierError;

            fn try_from(text: String) -> Result<Self, IdentifierError> {
                checked($what, &text)?;
                Ok(Self(text.into()))
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.as_ref().to_owned()
            }
        }

        impl std::str::FromStr for $name {
            type Err = IdentifierError;

            fn from_str(text: &str) -> Result<Self, IdentifierError> {
                checked($what, text)?;
                Ok(Self(text.into()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

identifiers! {
    /// One installation of an agent: made once, kept in its spool.
    AgentId "agent id";
    /// One boot of a machine, as its kernel names it.
    BootId "boot id";
    /// The serial number of a unit, as scanned or as the node says.
    Serial "serial number";
    /// One run; also the name of its directory.
    RunId "run id";
    /// A place for one unit in a rack, as the floor's file names it.
    SlotId "slot";
    /// A rack, a feed or a cooling unit, as the floor's file names it.
    PlaceId "place";
    /// Units that were built together from the same material.
    LotId "lot";
    /// `sha256:` and the digest of a file or profile.
    Digest "digest";
}

/// Counts the assignments of one unit. A run of an earlier generation is kept but decides nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Generation(pub u64);

impl Generation {
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_leave_a_folder_or_a_page_are_refused() {
        for text in ["", ".", "..", "../x", "a/b", "a\\b", "-rf", "a b", "<b>", "\u{1b}[31m", "ａ", &"x".repeat(81)] {
            assert!(text.parse::<RunId>().is_err(), "{text:?}");
        }
        for text in ["a", "0195d0c0-7c00-7000-8000-000000000001", "SGH123_4.5:6"] {
            assert!(text.parse::<Serial>().is_ok(), "{text}");
        }
    }

    #[test]
    fn a_refused_name_is_shown_without_control_characters() {
        let told = "\u{1b}[2J".parse::<AgentId>().expect_err("refused").to_string();
        assert!(told.starts_with("`?[2J` is no agent id"), "{told}");
    }
}
