//! Products of a matrix with tiles in rotation: the results that are exact on every architecture, and the burn kernels'
//! doings around them.

#![expect(
    clippy::cast_possible_truncation,
    reason = "sizes and places in memory are 64 bits wide on every host with a GPU, and rates are floats of counts"
)]

use super::number::{
    element_bits, element_e4m3, element_float, element_int, element_ring, element_toggling, mix, toggling_e4m3,
};
use crate::cuda::layout::{
    BURN_RECORD, BURN_STEPS, Burn, BurnArgs, Log, Number, OPERANDS_EXACT, OPERANDS_TOGGLING, Record, Shape,
};

/// Sums up to here are exact in an f32.
const EXACT_F32: u64 = 1 << 24;
/// Accumulators of FP8 products keep 14 bits on Ada and Hopper and 25 on Blackwell (DeepSeek-V3 report, section 3.5.2;
/// deepseek-ai/DeepGEMM #176), none of which NVIDIA documents: so far below that the claim need not be true to the bit.
const EXACT_FP8: u64 = 1 << 10;

/// The steps of a window of exact operands, [`BURN_STEPS`] at the most: no sum on the way can have been rounded, in
/// whatever order the products of a step are added. Steps come one after another, as each adds to the accumulators of the
/// one before.
pub const fn steps_while_exact(number: Number, shape: Shape, limit: u32, tiles: u32) -> u32 {
    let step = shape.k as u64 * (limit as u64 * limit as u64);
    let bound = match number {
        // Before a step the sum is that of one difference of the ring (see `element_ring`), no larger than a step can make it: the
        // second step is as far as any. Whole turns of the ring would leave zeros as results.
        Number::E4m3 if tiles > 1 && 2 * step <= EXACT_FP8 => {
            return if BURN_STEPS.is_multiple_of(tiles) { BURN_STEPS - 1 } else { BURN_STEPS };
        }
        Number::E4m3 => EXACT_FP8,
        Number::Bf16 | Number::F32 => EXACT_F32,
        Number::F64 => 1 << 53,
    };
    let steps = bound / step;
    if steps > BURN_STEPS as u64 { BURN_STEPS } else { steps as u32 }
}

fn element(args: &BurnArgs, number: Number, matrix: u32, row: u32, column: u32) -> f64 {
    let bits = element_bits(args.seed, matrix, row, column);
    let toggling = args.operands == OPERANDS_TOGGLING;
    if args.operands == OPERANDS_EXACT {
        return f64::from(match number {
            Number::E4m3 => element_ring(args.seed, args.limit, args.tiles, matrix, row, column),
            Number::Bf16 | Number::F32 | Number::F64 => element_int(bits, args.limit),
        });
    }
    let real = if toggling { element_toggling(args.seed, matrix, row, column) } else { element_float(bits) };
    f64::from(match number {
        // Truncated to the upper half of its bits.
        Number::Bf16 => f32::from_bits(real.to_bits() & 0xFFFF_0000),
        Number::E4m3 if toggling => toggling_e4m3(real),
        Number::E4m3 => element_e4m3(bits),
        Number::F32 | Number::F64 => real,
    })
}

/// The results of a window row by row. Each tile's product is computed once and counted as often as its turn comes:
/// for exact operands that is the result whatever the order; for random ones it is near what hardware computes.
pub fn golden_f64(args: &BurnArgs, number: Number, shape: Shape) -> Vec<f64> {
    let (m, n, k) = (shape.m as usize, shape.n as usize, shape.k as usize);
    let a: Vec<f64> = (0..m * k).map(|at| element(args, number, 0, (at / k) as u32, (at % k) as u32)).collect();
    let mut results = vec![0.0; m * n];
    for tile in 0..args.tiles.min(args.steps) {
        let turns = f64::from((args.steps - tile).div_ceil(args.tiles));
        let b: Vec<f64> =
            (0..k * n).map(|at| element(args, number, 1 + tile, (at / n) as u32, (at % n) as u32)).collect();
        for row in 0..m {
            for depth in 0..k {
                let factor = a[row * k + depth] * turns;
                let line = &b[depth * n..(depth + 1) * n];
                for (result, value) in results[row * n..(row + 1) * n].iter_mut().zip(line) {
                    *result += factor * value;
                }
            }
        }
    }
    results
}

/// The results as the bits of the accumulators.
pub fn golden(args: &BurnArgs, number: Number, shape: Shape) -> Vec<u64> {
    let bits = |value: f64| match number {
        Number::F64 => value.to_bits(),
        Number::Bf16 | Number::E4m3 | Number::F32 => u64::from((value as f32).to_bits()),
    };
    // Sums on hardware begin at +0, and +0 and -x + x are +0.
    golden_f64(args, number, shape).into_iter().map(|value| bits(value + 0.0)).collect()
}

/// What a launch of a burn kernel reads and leaves behind.
#[derive(Debug)]
pub struct Units<'a> {
    /// What results must be; unread when recording.
    pub golden: &'a [u64],
    pub dump: &'a mut [u64],
    pub sums: &'a mut [u64],
    pub sms: &'a mut [u32],
}

/// What a burn kernel does for `blocks` blocks on `processors` multiprocessors. `computed` gives the results of a unit,
/// as a GPU that may be wrong would compute them.
pub fn burn(
    kernel: Burn,
    args: &BurnArgs,
    blocks: u32,
    log: &mut Log,
    units: &mut Units<'_>,
    mut computed: impl FnMut(u64, u32) -> Vec<u64>,
) {
    let cells = kernel.shape.cells() as usize;
    for window in args.first_window..args.first_window + u64::from(args.windows) {
        for unit in 0..blocks * kernel.shape.units {
            let block = unit / kernel.shape.units;
            if args.only_sm != 0 && args.only_sm != 1 + block {
                continue;
            }
            let results = computed(window, unit);
            let dump = &mut units.dump[unit as usize * cells..][..cells];
            dump.copy_from_slice(&results);
            let inject = window == args.inject_window && unit == args.inject_unit;
            let mut sum = 0u64;
            let mut wrong = 0;
            for (word, put) in dump.iter().enumerate() {
                let found = if inject && word == args.inject_word as usize { put ^ 1 << args.inject_bit } else { *put };
                if args.mode == BURN_RECORD {
                    sum = sum.wrapping_add(mix(found ^ (word as u64) << 40));
                } else if found != units.golden[word] {
                    if wrong == 0 {
                        log.record(Record {
                            iteration: window,
                            word: word as u64,
                            expected: units.golden[word],
                            found,
                            reread: *put,
                            sm: block,
                            unit,
                        });
                    }
                    wrong += 1;
                }
            }
            log.mismatches += wrong;
            log.verified += cells as u64;
            if args.mode == BURN_RECORD {
                units.sums[unit as usize] = units.sums[unit as usize].wrapping_add(sum);
                units.sms[unit as usize] = block;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cuda::layout::{BURN_COMPARE, BURNS, NONE_64, OPERANDS_RANDOM};

    fn args(kernel: Burn, limit: u32) -> BurnArgs {
        let steps = steps_while_exact(kernel.number, kernel.shape, limit, 3).min(70);
        BurnArgs { seed: 42, inject_window: NONE_64, windows: 1, steps, tiles: 3, limit, ..BurnArgs::default() }
    }

    /// The sum taken step by step in f32, in a wild order, as different architectures do.
    fn in_another_order(args: &BurnArgs, kernel: Burn, row: u32, column: u32) -> f32 {
        let mut terms = Vec::new();
        for step in 0..args.steps {
            for k in 0..kernel.shape.k {
                let a = element(args, kernel.number, 0, row, k);
                let b = element(args, kernel.number, 1 + step % args.tiles, k, column);
                terms.push((a * b) as f32);
            }
        }
        let mut shuffled: Vec<(u64, f32)> =
            terms.into_iter().enumerate().map(|(at, term)| (mix(at as u64), term)).collect();
        shuffled.sort_by_key(|(key, _)| *key);
        shuffled.iter().map(|(_, term)| term).sum()
    }

    #[test]
    fn one_result_serves_whatever_the_order_of_the_sums() {
        for kernel in BURNS.iter().filter(|kernel| kernel.number != Number::F64) {
            let args = args(*kernel, if kernel.number == Number::E4m3 { 2 } else { 8 });
            let golden = golden(&args, kernel.number, kernel.shape);
            for (row, column) in [(0, 0), (17, 200), (63, 255)] {
                let sum = u64::from(in_another_order(&args, *kernel, row, column).to_bits());
                assert_eq!(golden[(row * kernel.shape.n + column) as usize], sum, "{} {row} {column}", kernel.name);
            }
        }
    }

    #[test]
    fn exact_windows_are_as_long_as_others_and_their_sums_stay_exact() {
        for (kernel, tiles) in BURNS.iter().flat_map(|kernel| (2..=4).map(move |tiles| (kernel, tiles))) {
            let limit = kernel.number.exact_limit();
            let steps = steps_while_exact(kernel.number, kernel.shape, limit, tiles);
            assert!((BURN_STEPS - 1..=BURN_STEPS).contains(&steps), "{steps} steps of {}", kernel.name);
            // The longest way from zero: all of a window, but for the ring.
            let apart = if kernel.number == Number::E4m3 { 2 } else { steps };
            let largest = u64::from(apart * kernel.shape.k) * u64::from(limit * limit);
            let exact = match kernel.number {
                Number::E4m3 => EXACT_FP8,
                Number::Bf16 | Number::F32 => EXACT_F32,
                Number::F64 => 1 << 53,
            };
            assert!(largest <= exact, "{largest} of {}", kernel.name);
        }
        let eight = BURNS.iter().find(|kernel| kernel.number == Number::E4m3).expect("a kernel of eight bits");
        assert_eq!(steps_while_exact(eight.number, eight.shape, 2, 1), 2, "one tile has no ring");
    }

    /// The largest sum that any accumulator meets on its way through a window, whatever the order within a step.
    fn farthest(args: &BurnArgs, kernel: Burn, row: u32, column: u32) -> f64 {
        let (mut sum, mut farthest) = (0.0_f64, 0.0_f64);
        for step in 0..args.steps {
            let product = |k| {
                element(args, kernel.number, 0, row, k) * element(args, kernel.number, 1 + step % args.tiles, k, column)
            };
            let (mut up, mut down) = (0.0, 0.0);
            for product in (0..kernel.shape.k).map(product) {
                *if product > 0.0 { &mut up } else { &mut down } += product;
            }
            farthest = farthest.max((sum + up).abs()).max((sum + down).abs());
            sum += up + down;
        }
        farthest
    }

    #[test]
    fn exact_sums_of_eight_bit_products_do_not_grow_with_their_number_and_leave_a_result() {
        let kernel = *BURNS.iter().find(|kernel| kernel.number == Number::E4m3).expect("a kernel of eight bits");
        for tiles in 2..=4 {
            let steps = steps_while_exact(kernel.number, kernel.shape, 2, tiles);
            let whole = BurnArgs { steps, tiles, ..args(kernel, 2) };
            for (row, column) in [(0, 0), (17, 200), (63, 255)] {
                let farthest = farthest(&BurnArgs { steps: steps.min(5 * tiles), ..whole }, kernel, row, column);
                assert!(
                    (16.0..=f64::from(u32::try_from(EXACT_FP8).expect("a small number"))).contains(&farthest),
                    "{farthest} with {tiles} tiles"
                );
            }
            let zeros = golden(&whole, kernel.number, kernel.shape).iter().filter(|bits| **bits == 0).count();
            assert!(zeros < 64 * 256 / 20, "{zeros} results are zero with {tiles} tiles");
            let short = BurnArgs { steps: steps % tiles, ..whole };
            let same = golden(&short, kernel.number, kernel.shape) == golden(&whole, kernel.number, kernel.shape);
            assert!(same, "a turn of {tiles} tiles left something");
        }
    }

    fn launch(args: &BurnArgs, spoil: impl Fn(u64, u32, &mut Vec<u64>)) -> Log {
        let kernel = BURNS[0];
        let golden = golden(args, kernel.number, kernel.shape);
        let cells = kernel.shape.cells() as usize;
        let mut log = Log::default();
        let (mut dump, mut sums, mut sms) = (vec![0; 4 * cells], vec![0; 4], vec![0; 4]);
        let mut units = Units { golden: &golden, dump: &mut dump, sums: &mut sums, sms: &mut sms };
        burn(kernel, args, 4, &mut log, &mut units, |window, unit| {
            let mut results = golden.clone();
            spoil(window, unit, &mut results);
            results
        });
        log
    }

    #[test]
    fn a_flipped_bit_is_found_where_it_was_put() {
        let injected = BurnArgs {
            windows: 3,
            inject_window: 1,
            inject_unit: 2,
            inject_word: 777,
            inject_bit: 9,
            mode: BURN_COMPARE,
            ..args(BURNS[0], 8)
        };
        let log = launch(&injected, |_, _, _| {});
        let found = log.records()[0];
        assert_eq!((log.mismatches, log.recorded), (1, 1));
        assert_eq!((found.iteration, found.unit, found.sm, found.word), (1, 2, 2, 777));
        assert_eq!(found.expected ^ found.found, 1 << 9);
        assert_eq!(log.verified, 3 * 4 * 64 * 256);
    }

    #[test]
    fn not_a_number_is_a_mismatch_like_any_other() {
        let log = launch(&args(BURNS[0], 8), |_, unit, results| {
            if unit == 1 {
                results[5] = u64::from(f32::NAN.to_bits());
            }
        });
        assert_eq!((log.mismatches, log.records()[0].word), (1, 5));
    }

    #[test]
    fn more_mismatches_than_records_are_all_counted() {
        let log = launch(&BurnArgs { windows: 20, ..args(BURNS[0], 8) }, |_, _, results| {
            for word in results.iter_mut() {
                *word ^= 1;
            }
        });
        assert_eq!(log.mismatches, 20 * 4 * 64 * 256);
        assert_eq!((log.recorded, log.records().len()), (80, 64));
    }

    #[test]
    fn random_and_toggling_operands_use_all_their_bits() {
        for operands in [OPERANDS_RANDOM, OPERANDS_TOGGLING] {
            let args = BurnArgs { operands, ..args(BURNS[0], 8) };
            let golden = golden(&args, Number::Bf16, BURNS[0].shape);
            let low = golden.iter().filter(|bits| *bits & 1 == 1).count();
            assert!((golden.len() / 3..golden.len() * 2 / 3).contains(&low), "{low} of {}", golden.len());
        }
    }
}
