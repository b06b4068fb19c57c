//! The version of the messages. A minor version only adds fields; a newer major version is refused with both named.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What this program speaks.
pub const WIRE: Version = Version { major: 1, minor: 2 };

/// The minor version since which an agent holds a run against the parts list that its assignment names. An earlier one passes
/// over the field, and would make the run without.
const PARTS_SINCE: u32 = 1;

/// The minor version since which an agent says how far the floor was in the last answer that it had.
const HEARD_SINCE: u32 = 2;

/// The most that a unit's parts list may have, in bytes: one of a node with 8 GPUs has some 700.
pub const PARTS_MOST: u64 = 64 << 10;

const SCHEMA: &str = "kiln.wire/";

/// A version as it is sent: `kiln.wire/1.0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Version {
    pub major: u32,
    pub minor: u32,
}

/// Why a message of another version is not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    #[error("`{0}` is no version of the protocol; expected the form `{SCHEMA}1.0`")]
    Form(String),
    #[error("the other side speaks {theirs}, this program reads up to major version {}; upgrade the floor first, then the agents", WIRE.major)]
    Newer { theirs: Version },
}

impl Version {
    /// Accepts every version this program can read.
    pub fn check(self) -> Result<(), VersionError> {
        if self.major > WIRE.major { Err(VersionError::Newer { theirs: self }) } else { Ok(()) }
    }

    /// Whether who speaks this version holds runs against parts lists.
    pub const fn knows_parts_lists(self) -> bool {
        self.minor >= PARTS_SINCE
    }

    /// Whether a call of who speaks this version says which answers came before it.
    pub const fn says_what_it_heard(self) -> bool {
        self.minor >= HEARD_SINCE
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEMA}{}.{}", self.major, self.minor)
    }
}

impl FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        let parts = text.strip_prefix(SCHEMA).and_then(|rest| rest.split_once('.'));
        let number = |digits: &str| digits.parse().ok().filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit()));
        parts
            .and_then(|(major, minor)| Some(Self { major: number(major)?, minor: number(minor)? }))
            .ok_or_else(|| VersionError::Form(text.chars().take(40).collect()))
    }
}

impl TryFrom<String> for Version {
    type Error = VersionError;

    fn try_from(text: String) -> Result<Self, VersionError> {
        text.parse()
    }
}

impl From<Version> for String {
    fn from(version: Version) -> Self {
        version.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_minor_is_read_and_a_newer_major_refused_with_both_named() {
        assert_eq!("kiln.wire/1.9".parse::<Version>().map(Version::check), Ok(Ok(())));
        let newer: Version = "kiln.wire/2.0".parse().expect("a version");
        let told = newer.check().expect_err("newer").to_string();
        assert!(told.contains("kiln.wire/2.0") && told.contains("major version 1"), "{told}");
    }

    #[test]
    fn an_agent_of_before_parts_lists_is_told_from_one_that_knows_them() {
        let knows = |text: &str| text.parse::<Version>().expect("a version").knows_parts_lists();
        assert!(!knows("kiln.wire/1.0") && knows("kiln.wire/1.1") && WIRE.knows_parts_lists());
    }

    #[test]
    fn what_is_no_version_is_told_so() {
        for text in ["", "1.0", "kiln.wire/1", "kiln.wire/+1.0", "kiln.wire/1.0.0", "kiln.journal/1.0"] {
            assert!(matches!(text.parse::<Version>(), Err(VersionError::Form(_))), "{text}");
        }
    }
}
