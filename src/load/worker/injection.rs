//! Faults committed on purpose, so that detectors are shown to detect. Carrying them out is left to the engine.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What goes wrong on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Injection {
    /// One bit of one result or one word of memory is flipped in this iteration (window of a burn, sweep of a march).
    BitFlip { iteration: u64 },
    /// So many bits are flipped, one in a launch of a burn or in a sweep of a march, each in a place of its own; then the load ends.
    BitFlips { count: u32 },
    /// A kernel never ends.
    Hang,
    /// The work goes at a fraction of its speed.
    Slow,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no injection; write `bitflip@ITERATION` (such as `bitflip@3`), `bitflips@COUNT`, `hang` or `slow`")]
pub struct ParseInjectionError(pub String);

impl FromStr for Injection {
    type Err = ParseInjectionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = || ParseInjectionError(text.to_owned());
        match text {
            "hang" => Ok(Self::Hang),
            "slow" => Ok(Self::Slow),
            _ => {
                if let Some(count) = text.strip_prefix("bitflips@") {
                    return count.parse().map(|count| Self::BitFlips { count }).map_err(|_| refuse());
                }
                let iteration = text.strip_prefix("bitflip@").ok_or_else(refuse)?;
                iteration.parse().map(|iteration| Self::BitFlip { iteration }).map_err(|_| refuse())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn injections_read_as_written() {
        assert_eq!("bitflip@3".parse(), Ok(Injection::BitFlip { iteration: 3 }));
        assert_eq!("bitflips@100".parse(), Ok(Injection::BitFlips { count: 100 }));
        assert_eq!("hang".parse(), Ok(Injection::Hang));
        assert_eq!("slow".parse(), Ok(Injection::Slow));
        for wrong in ["bitflip", "bitflip@", "bitflip@-1", "bitflips@", "Hang", ""] {
            assert_eq!(wrong.parse::<Injection>(), Err(ParseInjectionError(wrong.to_owned())));
        }
    }
}
