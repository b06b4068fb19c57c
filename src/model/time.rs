//! Time as the core knows it: moments and spans since the run began, and wall-clock stamps that are only ever carried.
//!
//! Reading a clock is left to `engine::drive` and the adapters.

#![expect(clippy::cast_precision_loss, reason = "counts and nanoseconds become floats for statistics, far below 2^53")]

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A length of time. Nanosecond resolution.
pub type Span = Duration;

/// A point in time, as nanoseconds of the run's own monotonic clock. A resumed run goes on counting where it stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Moment(u64);

impl Moment {
    pub const ZERO: Self = Self(0);

    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds * 1_000_000_000)
    }

    pub const fn nanos(self) -> u64 {
        self.0
    }

    /// Seconds since the run began.
    pub fn seconds(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// The span from `earlier` to here; zero if `earlier` is later.
    pub const fn since(self, earlier: Self) -> Span {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Span> for Moment {
    type Output = Self;

    fn add(self, span: Span) -> Self {
        Self(self.0.saturating_add(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl Sub<Span> for Moment {
    type Output = Self;

    fn sub(self, span: Span) -> Self {
        Self(self.0.saturating_sub(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0 / 1_000_000_000;
        write!(f, "{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
    }
}

/// A wall-clock stamp in UTC, kept as it was read. The core never reads it and never computes with it.
pub type WallTime = jiff::Timestamp;

/// What is wrong with a span as typed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a length of time; write for example `90s`, `30m`, `1h 30m` or `72h`")]
pub struct ParseSpanError(pub String);

/// Reads `90s`, `30m`, `1h 30m`, `500ms`. A bare number is refused: its unit would be a guess.
pub fn parse_span(text: &str) -> Result<Span, ParseSpanError> {
    let refuse = || ParseSpanError(text.to_owned());
    let parsed: jiff::SignedDuration = text.trim().parse().map_err(|_| refuse())?;
    Duration::try_from(parsed).map_err(|_| refuse())
}

/// The shortest exact form: `2h`, `1h 30m`, `90s` as `1m 30s`, `500ms`.
pub fn format_span(span: Span) -> String {
    let mut parts = Vec::new();
    let total = span.as_secs();
    for (size, name) in [(3600, "h"), (60, "m"), (1, "s")] {
        let count = match size {
            3600 => total / 3600,
            60 => total / 60 % 60,
            _ => total % 60,
        };
        if count > 0 {
            parts.push(format!("{count}{name}"));
        }
    }
    if span.subsec_millis() > 0 {
        parts.push(format!("{}ms", span.subsec_millis()));
    }
    if parts.is_empty() { "0s".to_owned() } else { parts.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_as_written() {
        assert_eq!(parse_span("1h 30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(parse_span("500ms"), Ok(Duration::from_millis(500)));
        assert!(parse_span("30").is_err());
        assert!(parse_span("-5s").is_err());
        assert_eq!(format_span(Duration::from_secs(5400)), "1h 30m");
        assert_eq!(format_span(Duration::ZERO), "0s");
    }
}
