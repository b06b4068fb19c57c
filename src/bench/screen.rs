//! What a screen for silent corruption excludes, as arithmetic, and which multiprocessors it caught.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use kiln_load::cuda::products_in_a_result;

use super::document::{Bench, GpuMeasured};
use super::phase::Work;

/// Products without a wrong one, over the rate that is excluded at 95 %: -ln 0.05, as (1 - rate)^n = 0.05.
const CONFIDENCE_95: f64 = 2.995_732_273_553_991;

/// The share of products that may be wrong without a screen of so many showing it: more is excluded at 95 %.
pub fn not_excluded(products: f64) -> f64 {
    CONFIDENCE_95 / products
}

/// The probability that so many products show nothing of a defect that spoils one in `one_in`.
pub fn missed(products: f64, one_in: f64) -> f64 {
    // ln_1p keeps what is lost in 1 - 1e-18.
    (products * (-1.0 / one_in).ln_1p()).exp()
}

/// The places of wrong results, with how many were told there.
fn places(gpu: &GpuMeasured) -> BTreeMap<&str, usize> {
    let mut places = BTreeMap::new();
    for wrong in &gpu.told {
        // `SM 17 (unit 34)`: units of one multiprocessor are one place.
        let place = wrong.place.split(" (unit").next().unwrap_or(&wrong.place);
        *places.entry(place).or_insert(0) += 1;
    }
    places
}

/// The same in words: `3 WRONG: SM 17 (3 told)`.
pub(super) fn wrong(gpu: &GpuMeasured) -> String {
    let named: Vec<String> = places(gpu).iter().map(|(place, told)| format!("{place} ({told} told)")).collect();
    format!("{} WRONG: {}", gpu.wrong(), named.join(", "))
}

pub(super) fn tell(text: &mut String, bench: &Bench) {
    for phase in &bench.phases {
        let Work::Screen { kernel } = phase.work else { continue };
        for gpu in phase.gpus.iter().filter(|gpu| gpu.verified > 0 || gpu.wrong() > 0) {
            let products = gpu.verified as f64 * products_in_a_result(kernel) as f64;
            let _ =
                write!(text, "{}, gpu/{}: {} results of {products:.1e} products", phase.name, gpu.gpu.0, gpu.verified);
            if gpu.wrong() > 0 {
                let _ = writeln!(text, ", {}", wrong(gpu));
                continue;
            }
            let rarest = (1.0 / not_excluded(products)).log10().floor();
            let _ = writeln!(
                text,
                ", none wrong: wrong results rarer than 1 in 10^{rarest:.0} products were not excluded (95 %); \
                 one in 10^{:.0} would have been missed with a probability of {:.0} %",
                rarest + 1.0,
                100.0 * missed(products, 10f64.powf(rarest + 1.0)),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_excluded_is_the_rate_that_would_be_missed_one_time_in_twenty() {
        for products in [1e3, 1e12, 1e18] {
            let miss = missed(products, 1.0 / not_excluded(products));
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
}
