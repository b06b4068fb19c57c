//! Randomness of the simulated node: one generator for each purpose, so that a fault on one GPU does not shift the noise
//! of another; and events at random times.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "the model computes in floats, and its counters, words and addresses are whole numbers within their range"
)]

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::Rng;

/// A stream of random numbers.
#[derive(Debug, Clone)]
pub(super) struct Noise(Pcg64Mcg);

impl Noise {
    /// The stream numbered `stream` of `seed`; streams of one seed do not resemble one another.
    pub(super) fn new(seed: u64, stream: u64) -> Self {
        let low = scramble(seed ^ scramble(stream));
        let high = scramble(low ^ seed.rotate_left(32));
        Self(Pcg64Mcg::new((u128::from(high) << 64) | u128::from(low)))
    }

    /// Evenly spread over 0..1.
    pub(super) fn uniform(&mut self) -> f64 {
        // 53 bits are what a double holds.
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(super) fn below(&mut self, end: u64) -> u64 {
        if end == 0 { 0 } else { self.0.next_u64() % end }
    }

    pub(super) fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Bell-shaped, mean 0, standard deviation 1, never beyond ±3.5: the sum of four even parts of one draw. Sensor
    /// noise does not need its tails, and this costs a tenth of an exact normal.
    pub(super) fn bell(&mut self) -> f64 {
        let bits = self.0.next_u64();
        let sum = (bits & 0xffff) + (bits >> 16 & 0xffff) + (bits >> 32 & 0xffff) + (bits >> 48);
        // The sum of four parts of 0..65535 has mean 131070 and standard deviation 37837.
        (sum as f64 - 131_070.0) / 37_837.0
    }

    /// Like [`Noise::bell`], cut at ±1, with half of it inside ±0.35: how far a part lies from its kind's middle as a
    /// share of what its maker lets pass.
    pub(super) fn spread(&mut self) -> f64 {
        (self.bell() * 0.45).clamp(-1.0, 1.0)
    }

    /// How long until the next of events that come once in a unit of time on average.
    fn wait(&mut self) -> f64 {
        -libm::log(1.0 - self.uniform())
    }
}

/// The finaliser of splitmix64 (Steele, Lea, Flood 2014).
fn scramble(value: u64) -> u64 {
    let mut x = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Events at random times at a rate that may change: for any step width, without a draw for each step.
#[derive(Debug, Clone)]
pub(super) struct Hazard {
    /// How much expected number is left until the next event.
    left: f64,
}

impl Hazard {
    pub(super) fn new(noise: &mut Noise) -> Self {
        Self { left: noise.wait() }
    }

    /// How many events happen while `expected` are expected.
    pub(super) fn pass(&mut self, expected: f64, noise: &mut Noise) -> u64 {
        self.left -= expected;
        if self.left > 0.0 { 0 } else { self.happened(noise) }
    }

    #[cold]
    fn happened(&mut self, noise: &mut Noise) -> u64 {
        // Beyond this many the exact waiting times are no longer worth drawing one by one.
        const MANY: f64 = 32.0;
        if self.left < -MANY {
            // So many are as good as bell-shaped: their number scatters by its own root.
            let expected = -self.left;
            let drawn = (expected + expected.sqrt() * noise.bell()).round();
            self.left = noise.wait();
            return 1 + drawn as u64;
        }
        let mut events = 0;
        while self.left <= 0.0 {
            events += 1;
            self.left += noise.wait();
        }
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_of_one_seed_differ_and_repeat() {
        let draw = |seed, stream| Noise::new(seed, stream).bits();
        assert_eq!(draw(7, 1), draw(7, 1));
        assert_ne!(draw(7, 1), draw(7, 2));
        assert_ne!(draw(7, 1), draw(8, 1));
    }

    #[test]
    fn events_come_at_their_rate_whatever_the_step() {
        for step in [0.001, 0.1, 3.0, 500.0] {
            let mut noise = Noise::new(1, 1);
            let mut hazard = Hazard::new(&mut noise);
            let steps = (10_000.0 / step) as u64;
            let events: u64 = (0..steps).map(|_| hazard.pass(step, &mut noise)).sum();
            // Four standard deviations of a Poisson count of 10,000.
            assert!((events as f64 - 10_000.0).abs() < 400.0, "{events} events in steps of {step}");
        }
    }

    #[test]
    fn bell_has_unit_spread() {
        let mut noise = Noise::new(3, 3);
        let draws: Vec<f64> = (0..20_000).map(|_| noise.bell()).collect();
        let mean = draws.iter().sum::<f64>() / 20_000.0;
        let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 20_000.0;
        assert!(mean.abs() < 0.03, "mean {mean}");
        assert!((variance - 1.0).abs() < 0.03, "variance {variance}");
    }
}
