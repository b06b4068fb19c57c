//! What the kernels on memory do: marches in every pattern, checksums, chases, and the kernel that hangs.

use crate::cuda::layout::{
    MARCH_VERIFY, MARCH_WRITE, MarchArgs, NONE_64, PATTERN_ADDRESS, PATTERN_CONSTANT, PATTERN_MODULO, PATTERN_RANDOM,
    PATTERN_WALKING, Pattern,
};
use crate::cuda::reference::{self, mix};
use kiln_ptx::{Fault, Grid, Kind, Machine, Module};

use crate::images::IMAGES;
use crate::rig::{Marched, bytes, march, words_at};

pub(crate) const PATTERNS: [Pattern; 7] = [
    Pattern { kind: PATTERN_CONSTANT, parameter: 0x5555, invert: 0, modulus: 0 },
    Pattern { kind: PATTERN_ADDRESS, parameter: 0, invert: u64::MAX, modulus: 0 },
    Pattern { kind: PATTERN_RANDOM, parameter: 99, invert: 0, modulus: 0 },
    Pattern { kind: PATTERN_MODULO, parameter: 7, invert: 0, modulus: 20 },
    Pattern { kind: PATTERN_MODULO, parameter: 19, invert: u64::MAX, modulus: 20 },
    Pattern { kind: PATTERN_MODULO, parameter: 0, invert: 0, modulus: 7 },
    Pattern { kind: PATTERN_WALKING, parameter: 3, invert: 5, modulus: 0 },
];

/// Index of a chunk's first word: the first chunk, one that crosses 32 bits, one far beyond.
const FIRST_WORDS: [u64; 3] = [0, (1 << 32) - 6, (1 << 33) + 2];

/// One march on memory with two spoiled words, against the reference.
pub(crate) fn march_is_right(module: &Module, args: &MarchArgs, order: u64) -> Result<(), String> {
    let count = 2 * args.pairs as usize;
    let mut memory = vec![0; count];
    let mut nothing = crate::cuda::layout::Log::default();
    let fill = MarchArgs { write: args.expect, flags: MARCH_WRITE, inject_word: NONE_64, ..*args };
    reference::march(&fill, &mut memory, &mut nothing, |_, word| word);
    for spoiled in 0..2 {
        let bits = mix(order ^ spoiled << 20);
        memory[bits as usize % count] ^= 1 << (bits >> 58);
    }
    let mut log = crate::cuda::layout::Log::default();
    let (found, _) = march(module, args, &memory, order).map_err(|fault| fault.to_string())?;
    reference::march(args, &mut memory, &mut log, |_, word| word);
    let right = Marched::of(memory, &log);
    if found == right {
        return Ok(());
    }
    let wrong = found.memory.iter().zip(&right.memory).filter(|(found, right)| found != right).count();
    Err(format!(
        "{args:?}: {wrong} words of memory, verified {} of {}, told {} of {}, {:?} of {:?}",
        found.verified, right.verified, found.mismatches, right.mismatches, found.records, right.records
    ))
}

/// Every pattern, direction and size, with and without a bit flipped on the way.
pub(crate) fn marches(module: &Module) -> Result<usize, String> {
    let mut proven = 0;
    for (number, pattern) in PATTERNS.into_iter().enumerate() {
        for flags in (1..8).filter(|flags| flags & (MARCH_VERIFY | MARCH_WRITE) != 0) {
            for (size, pairs) in [1, 31, 192, 1000, 4099].into_iter().enumerate() {
                for inject in [false, true] {
                    let args = MarchArgs {
                        pairs,
                        first_word: FIRST_WORDS[(number + flags as usize + size) % FIRST_WORDS.len()],
                        iteration: 77,
                        inject_word: if inject { pairs } else { NONE_64 },
                        expect: pattern,
                        write: Pattern { invert: !pattern.invert, ..PATTERNS[(number + size) % PATTERNS.len()] },
                        flags,
                        chunk: 5,
                        inject_bit: 11,
                        ..MarchArgs::default()
                    };
                    march_is_right(module, &args, proven as u64)?;
                    proven += 1;
                }
            }
        }
    }
    Ok(proven)
}

#[test]
fn marches_do_what_the_reference_does() {
    for image in IMAGES.iter() {
        let proven = marches(&image.module).unwrap_or_else(|said| panic!("{}: {said}", image.name));
        assert_eq!(proven, 420, "{}", image.name);
    }
}

#[test]
fn more_wrong_words_than_records_are_all_counted() {
    let args = MarchArgs {
        pairs: 500,
        inject_word: NONE_64,
        expect: PATTERNS[0],
        flags: MARCH_VERIFY,
        ..MarchArgs::default()
    };
    for image in IMAGES.iter() {
        let (found, _) = march(&image.module, &args, &[1; 1000], 3).expect("a march");
        assert_eq!((found.mismatches, found.recorded, found.records.len()), (1000, 1000, 64), "{}", image.name);
        assert!(found.records.iter().all(|record| (record.expected, record.found, record.reread) == (0x5555, 1, 1)));
    }
}

#[test]
fn a_slow_march_loses_its_time() {
    let args =
        MarchArgs { pairs: 500, inject_word: NONE_64, flags: MARCH_VERIFY, slow: 250_000, ..MarchArgs::default() };
    for image in IMAGES.iter() {
        let (_, outcome) = march(&image.module, &args, &[0; 1000], 3).expect("a march");
        assert_eq!(outcome.slept, 6 * 250_000, "{}", image.name);
    }
}

/// The sum over memory that three blocks make of it.
pub(crate) fn checksum(module: &Module, memory: &[u64], first_word: u64, order: u64) -> Result<u64, Fault> {
    let mut machine = Machine::new(module);
    machine.seed = order;
    let (base, out) = (machine.memory.put(&bytes(memory)), machine.memory.put(&[0; 8]));
    let args = bytes(&[base, memory.len() as u64 / 2, first_word, out]);
    machine.launch("checksum", Grid { blocks: 3, threads: 128, shared: 0 }, &args)?;
    Ok(words_at(&machine, out, 1)?[0])
}

#[test]
fn checksums_are_those_of_the_reference() {
    for image in IMAGES.iter() {
        for (order, (pairs, first)) in [(1, 0), (3001, 12), (384, (1 << 32) - 100)].into_iter().enumerate() {
            let memory: Vec<u64> = (0..2 * pairs).map(mix).collect();
            let found = checksum(&image.module, &memory, first, order as u64).expect("a checksum");
            assert_eq!(found, reference::checksum(&memory, first), "{}", image.name);
        }
    }
}

/// Where a chase of so many hops ends, and the nanoseconds it says it took.
pub(crate) fn chase(module: &Module, memory: &[u64], hops: u64) -> Result<(u64, u64), Fault> {
    let mut machine = Machine::new(module);
    let (base, out) = (machine.memory.put(&bytes(memory)), machine.memory.allocate(16));
    machine.launch("chase", Grid { blocks: 1, threads: 32, shared: 0 }, &bytes(&[base, hops, out]))?;
    let words = words_at(&machine, out, 2)?;
    Ok((words[0], words[1]))
}

#[test]
fn chases_go_where_they_are_sent_and_are_timed() {
    let memory: Vec<u64> = (0..512).map(|at| (at * 37 + 11) % 512).collect();
    for image in IMAGES.iter() {
        for hops in [1, 3, 4, 100, 101] {
            let (end, nanos) = chase(&image.module, &memory, hops).expect("a chase");
            assert_eq!(end, reference::chase(&memory, hops), "{}", image.name);
            // The interpreter's clock goes on at each look.
            assert_eq!(nanos, 1000, "{}: the clock is looked at twice", image.name);
        }
    }
}

#[test]
fn the_kernel_that_hangs_ends_when_it_is_told_and_only_then() {
    for image in IMAGES.iter() {
        let run = |flag: u32| {
            let mut machine = Machine::new(&image.module);
            machine.endless = 10_000;
            let address = machine.memory.put(&flag.to_le_bytes());
            machine.launch("hang", Grid { blocks: 1, threads: 1, shared: 0 }, &address.to_le_bytes())
        };
        assert!(run(1).is_ok(), "{}", image.name);
        assert_eq!(run(0).expect_err("it hangs").kind, Kind::Stuck, "{}", image.name);
    }
}
