//! How far the parts of simulated nodes lie from one another.

use serde::{Deserialize, Serialize};

/// A preset of the healthy spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Spread {
    /// What the node file says, cut off at its ends: one delivery, sorted by its maker.
    #[default]
    Tight,
    /// Throughput at the power cap as it lies over a fleet on average: within 8 % from whisker to whisker.
    Usual,
    /// The widest that was published of a fleet: 22 %.
    Wide,
}

impl Spread {
    pub const ALL: [Self; 3] = [Self::Tight, Self::Usual, Self::Wide];

    /// As options and files write it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Tight => "tight",
            Self::Usual => "usual",
            Self::Wide => "wide",
        }
    }

    pub fn is_tight(&self) -> bool {
        *self == Self::Tight
    }
}

impl std::str::FromStr for Spread {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|spread| spread.word() == text);
        found.ok_or_else(|| format!("`{text}` is no spread; write tight, usual or wide"))
    }
}
