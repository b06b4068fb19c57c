//! What a screen for silent corruption has compared, and how rare a defect it excludes.
//!
//! Of *n* products without a wrong one, a defect that spoils each with probability *r* shows nothing with probability
//! (1 - *r*)^*n*. At 95 % confidence a screen excludes the rates for which that is less than 5 %.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "values are bounded where they are made, within the narrower type"
)]

use serde::{Deserialize, Serialize};

use super::GpuIndex;

/// Products that one screen of one GPU has had compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Screened {
    pub gpu: GpuIndex,
    /// Multiprocessors of the GPU that take work.
    pub sms: u32,
    /// Products of all multiprocessors, alone and together.
    pub products: f64,
    /// Products that the least reached multiprocessor gave while it worked alone; of those that worked alone at all.
    pub least_alone: f64,
    /// Multiprocessors that were to work alone and did not: not asked before the end, or given no block by the driver.
    pub unreached: Vec<u32>,
}

/// -ln 0.05, as (1 - r)^n = 0.05.
const CONFIDENCE_95: f64 = 2.995_732_273_553_991;

/// The rarest defect that so many products without a wrong one exclude at 95 %: one wrong product in this many.
pub fn excluded_one_in(products: f64) -> f64 {
    products / CONFIDENCE_95
}

/// The probability that so many products show nothing of a defect that spoils one in `one_in`.
pub fn missed(products: f64, one_in: f64) -> f64 {
    // ln_1p keeps what is lost in 1 - 1e-18.
    (products * (-1.0 / one_in).ln_1p()).exp()
}

/// The whole power of ten in a rate: a defect rarer than one in `10^rarest_excluded` is not excluded. Below one product in
/// ten nothing is.
pub fn rarest_excluded(products: f64) -> u32 {
    // A sum that ends a rounding error below a power of ten still reaches it.
    let power = (excluded_one_in(products).log10() + 1e-9).floor();
    if power > 0.0 { power as u32 } else { 0 }
}

#[cfg(test)]
#[expect(clippy::cast_precision_loss, reason = "counts and nanoseconds become floats for statistics, far below 2^53")]
mod tests {
    use super::*;

    #[test]
    fn what_is_excluded_is_the_rate_that_would_be_missed_one_time_in_twenty() {
        for products in [1e3, 1e12, 1e18] {
            let miss = missed(products, excluded_one_in(products));
            // The formula takes rates as small against one.
            assert!((miss - 0.05).abs() < 3e-4, "{products:e}: {miss}");
        }
        assert!(missed(1e12, 1e30) > 0.999_999 && missed(1e12, 1e9) < 1e-6);
        // By simulation: 400 screens of 3000 products each, with one in a thousand spoiled, miss about e^-3 of the time.
        let mut state = 7_u64;
        let mut draw = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as f64 / f64::from(1_u32 << 31)
        };
        let misses = (0..400).filter(|_| (0..3000).all(|_| draw() >= 1e-3)).count();
        let expected = 400.0 * missed(3000.0, 1e3);
        assert!((misses as f64 - expected).abs() < 4.0 * expected.sqrt(), "{misses} misses, {expected:.1} expected");
    }

    #[test]
    fn a_power_of_ten_is_claimed_only_where_it_is_reached() {
        let products = |one_in: f64| one_in * CONFIDENCE_95;
        assert_eq!(rarest_excluded(products(1e15)), 15);
        assert_eq!(rarest_excluded(products(9.9e14)), 14);
        assert_eq!(rarest_excluded(products(0.1)), 0);
        assert_eq!(rarest_excluded(0.0), 0, "nothing compared, nothing excluded");
    }
}
