//! How readings or units are distributed: mean, deviation, ends, count.

#![expect(clippy::cast_precision_loss, reason = "counts and nanoseconds become floats for statistics, far below 2^53")]

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
    /// Of values that count alike. None where there is no value.
    pub fn of(values: &[f64]) -> Option<Self> {
        Self::weighed(values.iter().map(|value| (*value, 1.0)))
    }

    /// Of values with their weights: the time that each stands for. None where nothing has a weight.
    pub fn weighed(values: impl Iterator<Item = (f64, f64)> + Clone) -> Option<Self> {
        let weight: f64 = values.clone().map(|(_, weight)| weight).sum();
        if weight <= 0.0 {
            return None;
        }
        let over =
            |of: &dyn Fn(f64) -> f64| values.clone().map(|(value, weight)| weight * of(value)).sum::<f64>() / weight;
        let mean = over(&|value| value);
        let count = values.clone().count();
        let variance = over(&|value| (value - mean).powi(2));
        let deviation = (count > 1).then(|| (variance * count as f64 / (count - 1) as f64).sqrt());
        let least = values.clone().map(|(value, _)| value).fold(f64::INFINITY, f64::min);
        let most = values.map(|(value, _)| value).fold(f64::NEG_INFINITY, f64::max);
        Some(Self { mean, deviation, least, most, count })
    }
}
