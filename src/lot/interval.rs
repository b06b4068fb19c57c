//! How far a share seen in a sample may lie from the true one.

#![expect(clippy::cast_precision_loss, reason = "counts and nanoseconds become floats for statistics, far below 2^53")]

use serde::{Deserialize, Serialize};

/// A share with the ends of its confidence interval, all from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Interval {
    pub low: f64,
    pub high: f64,
}

/// Two-sided 95 % of the standard normal distribution.
const Z: f64 = 1.959_963_985;

/// The Wilson score interval at 95 % (Wilson 1927): it keeps its promise for shares of 0 and 1 too, where the textbook
/// interval has no width. Nothing tried says nothing: 0 to 1.
pub fn wilson_95(hits: usize, tried: usize) -> Interval {
    if tried == 0 {
        return Interval { low: 0.0, high: 1.0 };
    }
    let n = tried as f64;
    let share = hits as f64 / n;
    let scale = 1.0 + Z * Z / n;
    let middle = (share + Z * Z / (2.0 * n)) / scale;
    let half = Z / scale * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    // At the ends the exact value is 0 or 1; rounding leaves a trace of it.
    let low = if hits == 0 { 0.0 } else { (middle - half).max(0.0) };
    let high = if hits == tried { 1.0 } else { (middle + half).min(1.0) };
    Interval { low, high }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wilson_gives_the_published_values() {
        // Newcombe 1998, table I, method 3 (score without correction): 81 of 263, 15 of 148, 0 of 20, 1 of 29.
        for (hits, tried, low, high) in
            [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)]
        {
            let interval = wilson_95(hits, tried);
            assert!((interval.low - low).abs() < 5e-5, "{hits}/{tried}: {interval:?}");
            assert!((interval.high - high).abs() < 5e-5, "{hits}/{tried}: {interval:?}");
        }
    }

    #[test]
    fn the_ends_are_exact_and_nothing_tried_says_nothing() {
        assert_eq!(wilson_95(0, 2000).low, 0.0);
        assert_eq!(wilson_95(50, 50).high, 1.0);
        assert_eq!(wilson_95(0, 0), Interval { low: 0.0, high: 1.0 });
    }
}
