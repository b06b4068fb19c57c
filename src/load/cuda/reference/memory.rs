//! Patterns in memory, marches over them, checksums and pointer chases.

#![expect(
    clippy::cast_possible_truncation,
    reason = "sizes and places in memory are 64 bits wide on every host with a GPU, and rates are floats of counts"
)]

use super::number::mix;
use crate::cuda::layout::{
    Log, MARCH_DOWN, MARCH_VERIFY, MARCH_WRITE, MarchArgs, PATTERN_ADDRESS, PATTERN_MODULO, PATTERN_RANDOM,
    PATTERN_WALKING, Pattern, Record,
};

/// What a word of 8 bytes holds under a pattern.
pub const fn pattern_word(pattern: &Pattern, index: u64) -> u64 {
    let word = match pattern.kind {
        PATTERN_ADDRESS => index.wrapping_mul(8),
        PATTERN_RANDOM => mix(pattern.parameter ^ index),
        PATTERN_MODULO => {
            if index % pattern.modulus as u64 == pattern.parameter {
                u64::MAX
            } else {
                0
            }
        }
        PATTERN_WALKING => 1 << (index.wrapping_add(pattern.parameter) & 63),
        _ => pattern.parameter,
    };
    word ^ pattern.invert
}

/// What the march kernel does to one chunk of memory. A write goes through `store`, which may be faulty.
pub fn march(args: &MarchArgs, memory: &mut [u64], log: &mut Log, mut store: impl FnMut(usize, u64) -> u64) {
    let words = 2 * args.pairs as usize;
    for step in 0..words {
        // Pairs in either direction, the words of a pair upwards: a pair is one access.
        let at = if args.flags & MARCH_DOWN == 0 { step } else { (words - 2 - (step & !1)) | (step & 1) };
        let index = args.first_word + at as u64;
        if args.flags & MARCH_VERIFY != 0 {
            let inject = at as u64 == args.inject_word;
            let found = if inject { memory[at] ^ 1 << args.inject_bit } else { memory[at] };
            let expected = pattern_word(&args.expect, index);
            if found != expected {
                log.mismatches += 1;
                log.record(Record {
                    iteration: args.iteration,
                    word: at as u64,
                    expected,
                    found,
                    reread: memory[at],
                    sm: 0,
                    unit: args.chunk,
                });
            }
        }
        if args.flags & MARCH_WRITE != 0 {
            memory[at] = store(at, pattern_word(&args.write, index));
        }
    }
    if args.flags & MARCH_VERIFY != 0 {
        log.verified += words as u64;
    }
}

/// The sum over all words of a hash of word and place.
pub fn checksum(memory: &[u64], first_word: u64) -> u64 {
    let hash = |(at, word): (usize, &u64)| mix(word ^ mix(first_word + at as u64));
    memory.iter().enumerate().map(hash).fold(0, u64::wrapping_add)
}

/// Where a chase ends.
pub fn chase(memory: &[u64], hops: u64) -> u64 {
    (0..hops).fold(0, |at, _| memory[at as usize])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cuda::layout::{NONE_64, PATTERN_CONSTANT};

    const KINDS: [Pattern; 5] = [
        Pattern { kind: PATTERN_CONSTANT, parameter: 0x5555, invert: 0, modulus: 0 },
        Pattern { kind: PATTERN_ADDRESS, parameter: 0, invert: u64::MAX, modulus: 0 },
        Pattern { kind: PATTERN_RANDOM, parameter: 99, invert: 0, modulus: 0 },
        Pattern { kind: PATTERN_MODULO, parameter: 7, invert: 0, modulus: 20 },
        Pattern { kind: PATTERN_WALKING, parameter: 3, invert: 0, modulus: 0 },
    ];

    fn over(memory: &mut [u64], args: MarchArgs) -> Log {
        let mut log = Log::default();
        let args = MarchArgs { pairs: memory.len() as u64 / 2, inject_word: NONE_64, first_word: 1 << 33, ..args };
        march(&args, memory, &mut log, |_, word| word);
        log
    }

    #[test]
    fn what_was_written_is_found_again_in_both_directions() {
        for pattern in KINDS {
            let mut memory = vec![0; 64];
            over(&mut memory, MarchArgs { write: pattern, flags: MARCH_WRITE | MARCH_DOWN, ..MarchArgs::default() });
            for flags in [MARCH_VERIFY, MARCH_VERIFY | MARCH_DOWN] {
                let log = over(&mut memory, MarchArgs { expect: pattern, flags, ..MarchArgs::default() });
                assert_eq!((log.verified, log.mismatches), (64, 0), "{pattern:?}");
            }
        }
    }

    #[test]
    fn a_spoiled_word_is_found_with_its_bits_by_every_pattern() {
        for pattern in KINDS {
            let mut memory = vec![0; 64];
            over(&mut memory, MarchArgs { write: pattern, flags: MARCH_WRITE, ..MarchArgs::default() });
            memory[37] ^= 1 << 50;
            let log = over(&mut memory, MarchArgs { expect: pattern, flags: MARCH_VERIFY, ..MarchArgs::default() });
            let found = log.records()[0];
            assert_eq!((log.mismatches, found.word, found.found ^ found.expected), (1, 37, 1 << 50));
            assert_eq!(found.reread, found.found, "it lies in memory so");
        }
    }

    #[test]
    fn a_bit_flipped_on_the_way_reads_right_again() {
        let mut memory = vec![0; 8];
        let mut log = Log::default();
        let args = MarchArgs { pairs: 4, flags: MARCH_VERIFY, inject_word: 5, inject_bit: 1, ..MarchArgs::default() };
        march(&args, &mut memory, &mut log, |_, word| word);
        let found = log.records()[0];
        assert_eq!((log.mismatches, found.found, found.reread), (1, 2, found.expected));
    }

    /// Two words that share an address line: a write to one is seen in the other. Only a march that writes while it
    /// moves can see it, in at least one direction.
    #[test]
    fn coupled_words_are_found_by_a_march_up_and_down() {
        let zeros = KINDS[0];
        let ones = Pattern { invert: u64::MAX, ..zeros };
        let mut memory = vec![0; 32];
        let mut log = Log::default();
        let mut element = |expect, write, flags| {
            let args = MarchArgs { pairs: 16, inject_word: NONE_64, expect, write, flags, ..MarchArgs::default() };
            let mut written: Vec<(usize, u64)> = Vec::new();
            march(&args, &mut memory, &mut log, |at, word| {
                written.push((at, word));
                word
            });
            if let Some((_, word)) = written.iter().find(|(at, _)| *at == 4) {
                memory[20] = *word ^ 1;
            }
        };
        element(zeros, zeros, MARCH_WRITE);
        element(zeros, ones, MARCH_VERIFY | MARCH_WRITE);
        assert_eq!(log.mismatches, 1);
    }

    #[test]
    fn a_checksum_sees_values_and_places() {
        let sum = checksum(&[1, 2, 3, 4], 0);
        assert_ne!(sum, checksum(&[1, 2, 4, 3], 0));
        assert_ne!(sum, checksum(&[1, 2, 3, 5], 0));
        assert_ne!(sum, checksum(&[1, 2, 3, 4], 1));
        assert_eq!(checksum(&[1, 2, 3, 4], 0), checksum(&[1, 2], 0).wrapping_add(checksum(&[3, 4], 2)));
    }

    #[test]
    fn a_chase_goes_where_it_is_sent() {
        assert_eq!(chase(&[2, 0, 1], 2), 1);
    }
}
