//! Drawing one healthy part's properties around the middle of its kind.
//!
//! A node file's own spread is cut off at its ends. The wider presets have the tails of a bell, and parts of one delivery,
//! such as those of one board, resemble one another: half of the variance lies between deliveries.

use super::noise::Noise;
use kiln_model::Spread;

/// Which of a part's properties is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Property {
    /// Leakage, switched capacitance and voltage: what sets the clock at the power cap.
    Electrical,
    /// Contacts and heat sinks.
    Cooling,
    /// Power at rest, most of which is memory, links and clocks and not the die's leakage.
    Rest,
    /// Rates that parts of one model share at one clock.
    Rate,
}

/// How many times the node file's standard deviation a preset has. Over fleets of one model, throughput at the power cap spans
/// 8 % from whisker to whisker on average and 22 % at most (Sinha et al., Not All GPUs Are Created Equal, SC 2022, arXiv
/// 2208.11035); whiskers are four quartile distances apart, or 5.4 standard deviations of a bell. Over 320 parts of the H200
/// node throughput has a standard deviation of 0.65 % as its file says, 1.6 % and four quartile distances of 9 % with the
/// electrical properties times 3, 4.1 % and 22 % with times 8. No such numbers are published of cooling and of power at
/// rest, for which the double is far out: the captures that node files name lie within 6 % to either side at rest.
const fn factor(spread: Spread, property: Property) -> f64 {
    match (spread, property) {
        (Spread::Tight, _) | (_, Property::Rate) => 1.0,
        (Spread::Usual, Property::Electrical) => 3.0,
        (Spread::Wide, Property::Electrical) => 8.0,
        (Spread::Usual, Property::Cooling | Property::Rest) => 1.5,
        (Spread::Wide, Property::Cooling | Property::Rest) => 2.0,
    }
}

/// Standard deviation of [`Noise::spread`], as a share of a node file's spread.
const SIGMA: f64 = 0.43;

/// Draws properties in the order it is asked for them.
#[derive(Debug)]
pub(super) struct Draw<'a> {
    spread: Spread,
    own: &'a mut Noise,
    /// What parts of one delivery share.
    lot: Noise,
}

impl<'a> Draw<'a> {
    pub(super) const fn new(spread: Spread, own: &'a mut Noise, lot: Noise) -> Self {
        Self { spread, own, lot }
    }

    /// `middle` times one and what this part differs by, `share` being the node file's spread.
    pub(super) fn around(&mut self, middle: f64, share: f64, property: Property) -> f64 {
        if self.spread == Spread::Tight {
            return middle * (1.0 + share * self.own.spread());
        }
        let off = (self.own.bell() + self.lot.bell()) * std::f64::consts::FRAC_1_SQRT_2;
        // No part is without leakage or resistance, however far out it lies.
        middle * (1.0 + share * SIGMA * factor(self.spread, property) * off).max(0.2)
    }
}

#[cfg(test)]
#[expect(
    clippy::cast_precision_loss,
    reason = "the model computes in floats, and its counters, words and addresses are whole numbers within their range"
)]
mod tests {
    use super::*;

    fn drawn(spread: Spread, lot: u64, part: u64) -> f64 {
        let mut own = Noise::new(part, 1);
        Draw::new(spread, &mut own, Noise::new(lot, 2)).around(1.0, 0.02, Property::Electrical)
    }

    fn sigma(values: &[f64]) -> f64 {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64).sqrt()
    }

    #[test]
    fn parts_of_one_lot_resemble_one_another() {
        let all: Vec<f64> = (0..4000).map(|part| drawn(Spread::Wide, part / 8, part)).collect();
        let within: Vec<f64> = all.chunks(8).map(sigma).collect();
        let within = within.iter().sum::<f64>() / within.len() as f64;
        // Half of the variance, and a little less in samples of eight.
        assert!((0.55..0.75).contains(&(within / sigma(&all))), "{within} of {}", sigma(&all));
    }

    #[test]
    fn wider_presets_spread_wider_and_have_tails() {
        let of = |spread| (0..4000).map(|part| drawn(spread, part, part)).collect::<Vec<f64>>();
        let (tight, usual, wide) = (of(Spread::Tight), of(Spread::Usual), of(Spread::Wide));
        assert!((2.7..3.3).contains(&(sigma(&usual) / sigma(&tight))));
        assert!((7.2..8.8).contains(&(sigma(&wide) / sigma(&tight))));
        let farthest = |values: &[f64]| values.iter().map(|value| (value - 1.0).abs()).fold(0.0, f64::max);
        assert!(farthest(&tight) <= 0.02 + 1e-9);
        assert!(farthest(&usual) > 3.0 * sigma(&usual));
    }
}
