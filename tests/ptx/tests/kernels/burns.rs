//! What burns compute, whatever the order of their warps.

use crate::cuda::layout::{BURN_RECORD, Burn, BurnArgs, Number, OPERANDS_RANDOM, OPERANDS_TOGGLING, Record};
use crate::cuda::reference::{golden, golden_f64, mix, steps_while_exact};
use kiln_ptx::Module;

use crate::images::burns;
use crate::rig::{Burned, Setting, burn};

/// One thing that is shown of a burn; what is wrong where it does not hold.
type Part = fn(&Module, Burn) -> Result<(), String>;

/// The launches all burns are held to, by parts, so that tests can run side by side.
pub(crate) const PARTS: [Part; 5] = [exact, injected, random, toggling, narrow];

fn launch(module: &Module, kernel: Burn, setting: &Setting) -> Result<Burned, String> {
    burn(module, kernel, setting).map_err(|fault| fault.to_string())
}

fn check(holds: bool, said: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(said()) }
}

fn unlike(burned: &Burned) -> usize {
    burned.units.iter().flat_map(|unit| unit.iter().zip(&burned.golden)).filter(|(found, right)| found != right).count()
}

/// Every result of exact products is the reference's, and the log says nothing.
fn exact(module: &Module, kernel: Burn) -> Result<(), String> {
    for (seed, steps, tiles) in [(42, 1, 1), (7, 5, 3), (1 << 40, 9, 4), (3, 2, 4)] {
        let burned = launch(module, kernel, &Setting::new(kernel, seed, steps, tiles))?;
        let log = burned.log;
        let cells = u64::from(kernel.shape.cells() * kernel.shape.units);
        check(unlike(&burned) == 0 && (log.verified, log.mismatches, log.recorded) == (cells, 0, 0), || {
            let (wrong, verified) = (unlike(&burned), log.verified);
            format!("{steps} steps, {tiles} tiles: {wrong} cells wrong, {verified} verified, {} told", log.mismatches)
        })?;
    }
    Ok(())
}

/// One flipped bit is found once, at its unit, window, word and bit, in every place of a block and of a thread's share.
fn injected(module: &Module, kernel: Burn) -> Result<(), String> {
    let cells = kernel.shape.cells();
    let units = 2 * kernel.shape.units;
    let top = if kernel.number == Number::F64 { 63 } else { 31 };
    let places = [
        (101, units - 1, 12_345 % cells, 7),
        (100, 0, 0, 0),
        (101, 1, cells - 1, top),
        (100, units - 1, cells / 2 + 3, 13),
    ];
    for (order, (window, unit, word, bit)) in places.into_iter().enumerate() {
        let mut setting = Setting::new(kernel, 5, 3, 2);
        (setting.blocks, setting.order, setting.args.windows) = (2, order as u64, 2);
        (setting.args.inject_window, setting.args.inject_unit) = (window, unit);
        (setting.args.inject_word, setting.args.inject_bit) = (word, bit);
        let burned = launch(module, kernel, &setting)?;
        let right = burned.golden[word as usize];
        let record = Record {
            iteration: window,
            word: u64::from(word),
            expected: right,
            found: right ^ 1 << bit,
            reread: right,
            sm: unit / kernel.shape.units,
            unit,
        };
        let log = burned.log;
        let verified = u64::from(2 * units * cells);
        let found = (log.verified, log.mismatches, log.records()) == (verified, 1, &[record][..]);
        check(found && unlike(&burned) == 0, || {
            format!("bit {bit} of word {word}: verified {}, told {}, {:?}", log.verified, log.mismatches, log.records())
        })?;
    }
    Ok(())
}

fn random(module: &Module, kernel: Burn) -> Result<(), String> {
    recorded(module, kernel, OPERANDS_RANDOM)
}

fn toggling(module: &Module, kernel: Burn) -> Result<(), String> {
    recorded(module, kernel, OPERANDS_TOGGLING)
}

/// Operands that are no integers, recorded: all units alike, checksums as the host computes them, results near those of f64.
fn recorded(module: &Module, kernel: Burn, operands: u32) -> Result<(), String> {
    let mut setting = Setting::new(kernel, 11, 4, 3);
    (setting.blocks, setting.args.mode, setting.args.operands) = (2, BURN_RECORD, operands);
    let burned = launch(module, kernel, &setting)?;
    let first = &burned.units[0];
    check(burned.units.iter().all(|unit| unit == first), || "units differ".to_owned())?;
    let hash = |(at, word): (usize, &u64)| mix(word ^ (at as u64) << 40);
    let sum = first.iter().enumerate().map(hash).fold(0, u64::wrapping_add);
    check(burned.sums.iter().all(|found| *found == sum), || format!("checksums {:x?}, not {sum:x}", burned.sums))?;
    let sms: Vec<u32> = (0..burned.units.len() as u32).map(|unit| unit / kernel.shape.units).collect();
    check(burned.sms == sms, || format!("multiprocessors {:?}", burned.sms))?;
    let near = golden_f64(&setting.args, kernel.number, kernel.shape);
    // Of all sums on the way, for they may be larger than what they end in.
    let on_the_way = (1..=setting.args.steps)
        .flat_map(|steps| golden_f64(&BurnArgs { steps, ..setting.args }, kernel.number, kernel.shape));
    let largest = on_the_way.fold(0.0f64, |largest, value| largest.max(value.abs()));
    let wide = kernel.number == Number::F64;
    let number = |bits: u64| if wide { f64::from_bits(bits) } else { f64::from(f32::from_bits(bits as u32)) };
    let error = first.iter().zip(&near).map(|(bits, near)| (number(*bits) - near).abs()).fold(0.0, f64::max) / largest;
    // Some roundings of half a unit in the last place, of f64 and of f32. Products of e4m3 need no rounding.
    let allowed = match kernel.number {
        Number::F64 => 4e-15,
        Number::E4m3 => 0.0,
        Number::Bf16 | Number::F32 => 1e-6,
    };
    check(error <= allowed && error.is_finite(), || format!("{error:e} away from f64"))
}

/// Accumulators of eight-bit products that keep few bits, as Hopper's are said to: a window of exact ones stays exact.
fn narrow(module: &Module, kernel: Burn) -> Result<(), String> {
    if kernel.number != Number::E4m3 {
        return Ok(());
    }
    let whole = steps_while_exact(kernel.number, kernel.shape, 2, 4);
    // Accumulators are where they began after every four steps: eight show all there is, and what is left over ends a window.
    let steps = 8 + whole % 4;
    let results = |steps| golden(&Setting::new(kernel, 42, steps, 4).args, kernel.number, kernel.shape);
    check(results(steps) == results(whole), || format!("{steps} steps end otherwise than {whole}"))?;
    for bits in [14, 12, 10] {
        let mut setting = Setting::new(kernel, 42, steps, 4);
        setting.accumulator_bits = Some(bits);
        let burned = launch(module, kernel, &setting)?;
        check(unlike(&burned) == 0 && burned.log.mismatches == 0, || {
            format!("{} of {steps} steps' results wrong at {bits} bits", unlike(&burned))
        })?;
    }
    // That the emulation takes bits away at all.
    let mut setting = Setting::new(kernel, 42, steps, 4);
    setting.accumulator_bits = Some(6);
    let burned = launch(module, kernel, &setting)?;
    let wrong = unlike(&burned) as u64;
    check(wrong > 0 && burned.log.mismatches == wrong, || {
        format!("{wrong} wrong at 6 bits, {} told", burned.log.mismatches)
    })
}

fn holds_for_all(part: usize) {
    let mut proven = 0;
    for (image, kernel) in burns() {
        PARTS[part](&image.module, kernel).unwrap_or_else(|said| panic!("{} of {}: {said}", kernel.name, image.name));
        proven += 1;
    }
    assert!(proven >= 21, "only {proven} kernels were found");
}

#[test]
fn exact_products_give_what_the_reference_says() {
    holds_for_all(0);
}

#[test]
fn a_flipped_bit_is_found_at_its_unit_window_word_and_bit() {
    holds_for_all(1);
}

#[test]
fn random_products_are_alike_in_all_units_and_near_those_of_f64() {
    holds_for_all(2);
}

#[test]
fn toggling_products_are_alike_in_all_units_and_near_those_of_f64() {
    holds_for_all(3);
}

#[test]
fn eight_bit_products_stay_exact_in_accumulators_of_few_bits() {
    holds_for_all(4);
}

/// Warps, blocks and tensor units in many orders: the results do not depend on it, and no order meets a race.
#[test]
fn the_order_of_warps_does_not_matter() {
    for (image, kernel) in burns() {
        for order in 0..6 {
            let mut setting = Setting::new(kernel, 9, 3, 2);
            (setting.blocks, setting.args.windows, setting.order) = (2, 2, 1000 + order);
            let burned = launch(&image.module, kernel, &setting)
                .unwrap_or_else(|said| panic!("{} of {}, order {order}: {said}", kernel.name, image.name));
            assert_eq!((unlike(&burned), burned.log.mismatches), (0, 0), "{} of {}", kernel.name, image.name);
        }
    }
}

/// Each multiprocessor works alone when it is asked to, the others do nothing, and one that is wrong is named.
#[test]
fn a_multiprocessor_can_be_asked_alone() {
    for (image, kernel) in burns() {
        for sm in 0..3 {
            let mut setting = Setting::new(kernel, 9, 3, 2);
            (setting.blocks, setting.args.only_sm) = (3, 1 + sm);
            // Wrong on the second: seen when it is asked, and not otherwise.
            (setting.args.inject_window, setting.args.inject_unit) = (100, kernel.shape.units);
            setting.args.inject_word = 77;
            let burned = launch(&image.module, kernel, &setting)
                .unwrap_or_else(|said| panic!("{} of {}: {said}", kernel.name, image.name));
            let named = format!("{} of {}, asked {sm}", kernel.name, image.name);
            let cells = u64::from(kernel.shape.cells() * kernel.shape.units);
            assert_eq!((burned.log.verified, burned.log.mismatches), (cells, u64::from(sm == 1)), "{named}");
            assert!(burned.log.records().iter().all(|record| record.sm == sm), "{named}");
            for (unit, results) in burned.units.iter().enumerate() {
                let worked = unit as u32 / kernel.shape.units == sm;
                assert!(results.iter().any(|word| *word != 0) == worked, "{named}: unit {unit}");
            }
        }
    }
}

/// Every wrong word of a window is counted, and each thread's first is recorded.
#[test]
fn every_wrong_word_is_counted() {
    for (image, kernel) in burns() {
        // The golden results of other operands: nearly all words are wrong.
        let mut setting = Setting::new(kernel, 9, 1, 1);
        setting.args.operands = OPERANDS_RANDOM;
        let burned = launch(&image.module, kernel, &setting)
            .unwrap_or_else(|said| panic!("{} of {}: {said}", kernel.name, image.name));
        let wrong = unlike(&burned) as u64;
        assert_eq!(burned.log.mismatches, wrong, "{} of {}", kernel.name, image.name);
        let threads = u64::from(kernel.shape.threads);
        assert!(wrong == 0 || burned.log.recorded <= threads, "{} of {}", kernel.name, image.name);
    }
}

#[test]
fn a_slow_burn_loses_its_time_in_every_window() {
    for (image, kernel) in burns() {
        let mut setting = Setting::new(kernel, 9, 1, 1);
        (setting.args.windows, setting.args.slow) = (2, 250_000);
        let burned = launch(&image.module, kernel, &setting)
            .unwrap_or_else(|said| panic!("{} of {}: {said}", kernel.name, image.name));
        let least = 2 * 250_000 * u64::from(kernel.shape.threads / 32);
        // The lanes of a warp that have parted sleep one after the other.
        let slept = burned.outcome.slept;
        assert!((least..2 * least).contains(&slept), "{slept} by {} of {}", kernel.name, image.name);
    }
}
