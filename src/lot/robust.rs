//! Statistics that a single wild value does not move.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "counts become floats far below 2^53, and floats become counts that were bounded before"
)]

use kiln_model::median;

/// How many standard deviations the median distance of a normal distribution is.
pub(crate) const MEDIAN_OF_SIGMA: f64 = 0.6745;

/// Linear between order statistics (type 7 of Hyndman and Fan, 1996: what R does).
pub fn quantile(values: &[f64], share: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = share.clamp(0.0, 1.0) * sorted.len().checked_sub(1)? as f64;
    let (below, above) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    Some(below + (above - below) * at.fract())
}

/// The median of the distances to the median.
pub fn median_deviation(values: &[f64]) -> Option<f64> {
    let middle = median(values)?;
    median(&values.iter().map(|value| (value - middle).abs()).collect::<Vec<_>>())
}

/// Where the middle of values lies and how far they lie from it, for telling which of them stand apart.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scatter {
    middle: f64,
    deviation: f64,
    /// The mean distance to the middle.
    mean: f64,
}

impl Scatter {
    /// `None` of none.
    pub(crate) fn of(all: &[f64]) -> Option<Self> {
        let middle = median(all)?;
        let deviation = median_deviation(all)?;
        let mean = all.iter().map(|one| (one - middle).abs()).sum::<f64>() / all.len() as f64;
        Some(Self { middle, deviation, mean })
    }

    /// How many standard deviations a value lies from the median, as the others would have them if they were normal (Iglewicz
    /// and Hoaglin, 1993). Where more than half are the same, by the mean distance; `None` where all are.
    pub(crate) fn z(&self, value: f64) -> Option<f64> {
        // Of a normal distribution, the mean distance in standard deviations.
        const MEAN: f64 = 0.7979;
        if self.deviation > 0.0 {
            return Some(MEDIAN_OF_SIGMA * (value - self.middle) / self.deviation);
        }
        (self.mean > 0.0).then(|| MEAN * (value - self.middle) / self.mean)
    }
}

/// How far a value stands apart from all; see `Scatter::z`.
pub fn robust_z(value: f64, all: &[f64]) -> Option<f64> {
    Scatter::of(all)?.z(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_r() {
        let values = [4.0, 1.0, 3.0, 2.0];
        assert_eq!(median(&values), Some(2.5));
        assert_eq!(quantile(&values, 0.05), Some(1.15));
        assert_eq!(quantile(&values, 1.0), Some(4.0));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn a_wild_value_does_not_hide_itself() {
        let mut values = vec![10.0, 10.1, 9.9, 10.2, 9.8, 10.0, 10.1];
        values.push(1000.0);
        assert!(robust_z(1000.0, &values).is_some_and(|z| z > 1000.0));
        assert!(robust_z(10.2, &values).is_some_and(|z| z < 2.0));
    }

    #[test]
    fn values_all_the_same_have_no_distance() {
        assert_eq!(robust_z(5.0, &[5.0; 10]), None);
        let mut nearly = vec![5.0; 20];
        nearly.push(6.0);
        assert!(robust_z(6.0, &nearly).is_some_and(|z| z > 10.0));
    }
}
