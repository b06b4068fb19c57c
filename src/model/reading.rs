//! What came of reading one value from a node: the value, "this part has no such thing", or a failed call.
//!
//! The three are never folded into one: "unsupported" must not become 0, and a failure must not become "unsupported".

use std::fmt;

use serde::{Deserialize, Serialize};

/// The outcome of reading one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reading<T> {
    Value(T),
    /// The part or driver does not offer this value.
    #[default]
    Unsupported,
    Failed(ReadingFailure),
}

/// Why a call that should have given a value did not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReadingFailure {
    /// The GPU does not answer any more (fell off the bus).
    Lost,
    /// The call did not return within its deadline.
    Timeout,
    NoPermission,
    /// Any other error, with the code the library gave.
    Driver(i32),
}

impl<T> Reading<T> {
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Unsupported | Self::Failed(_) => None,
        }
    }

    /// The same reading of a value that is only looked at.
    pub const fn as_ref(&self) -> Reading<&T> {
        match self {
            Self::Value(value) => Reading::Value(value),
            Self::Unsupported => Reading::Unsupported,
            Self::Failed(failure) => Reading::Failed(*failure),
        }
    }

    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Reading<U> {
        match self {
            Self::Value(value) => Reading::Value(f(value)),
            Self::Unsupported => Reading::Unsupported,
            Self::Failed(failure) => Reading::Failed(failure),
        }
    }
}

impl<T: Copy> Reading<T> {
    pub fn get(&self) -> Option<T> {
        self.value().copied()
    }
}

impl<T: fmt::Display> fmt::Display for Reading<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(value) => value.fmt(f),
            Self::Unsupported => f.write_str("unsupported"),
            Self::Failed(failure) => failure.fmt(f),
        }
    }
}

impl fmt::Display for ReadingFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost => f.write_str("GPU is lost"),
            Self::Timeout => f.write_str("call timed out"),
            Self::NoPermission => f.write_str("no permission"),
            Self::Driver(code) => write!(f, "driver error {code}"),
        }
    }
}
