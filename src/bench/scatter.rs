//! How readings or units are distributed: mean, deviation, ends, count.

use serde::{Deserialize, Serialize};

/// Of at least one value.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Scatter {
    pub mean: f64,
    /// Of a sample (n - 1); none of a single value.
    pub deviation: Option<f64>,
    pub least: f64,
    pub most: f64,
    pub count: usize,
}

impl Scatter {
    /// None where there is no value.
    pub fn of(values: &[f64]) -> Option<Self> {
        if values.is_empty() {
            return None;
        }
        let count = values.len();
        let mean = values.iter().sum::<f64>() / count as f64;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let deviation = (count > 1).then(|| (squares / (count - 1) as f64).sqrt());
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Some(Self { mean, deviation, least, most, count })
    }
}
