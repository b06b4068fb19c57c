//! The algorithms of a march as sweeps over all of memory: which pattern is expected, which is written, in which direction.
//!
//! Each is the published one: moving inversions, own address, March C-, walking bits, modulo-20, random, bit fade.

use std::time::Duration;

use crate::cuda::layout::{
    MARCH_DOWN, MARCH_VERIFY, MARCH_WRITE, PATTERN_ADDRESS, PATTERN_CONSTANT, PATTERN_MODULO, PATTERN_RANDOM,
    PATTERN_WALKING, Pattern,
};
use crate::worker::MarchPattern;

/// One element of an algorithm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Element {
    Sweep {
        expect: Option<Pattern>,
        write: Option<Pattern>,
        down: bool,
    },
    /// Memory is left alone, refreshed and nothing else.
    Rest(Duration),
}

impl Element {
    pub(super) const fn flags(&self) -> u32 {
        match self {
            Self::Sweep { expect, write, down } => {
                (if expect.is_some() { MARCH_VERIFY } else { 0 })
                    | (if write.is_some() { MARCH_WRITE } else { 0 })
                    | (if *down { MARCH_DOWN } else { 0 })
            }
            Self::Rest(_) => 0,
        }
    }
}

/// An algorithm and its elements.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Algorithm {
    pub name: &'static str,
    pub elements: Vec<Element>,
}

/// How long a bit has to fade, in a march that lasts ten times as long.
const FADE: Duration = Duration::from_secs(60);
/// Words further apart than a cache line and than a burst, prime to neither: as memtest86 has it.
const MODULUS: u32 = 20;

const fn constant(parameter: u64) -> Pattern {
    Pattern { parameter, invert: 0, kind: PATTERN_CONSTANT, modulus: 0 }
}

const fn inverted(pattern: Pattern) -> Pattern {
    Pattern { invert: !pattern.invert, ..pattern }
}

const fn write(pattern: Pattern) -> Element {
    Element::Sweep { expect: None, write: Some(pattern), down: false }
}

const fn read(pattern: Pattern) -> Element {
    Element::Sweep { expect: Some(pattern), write: None, down: false }
}

const fn up(expect: Pattern, write: Pattern) -> Element {
    Element::Sweep { expect: Some(expect), write: Some(write), down: false }
}

const fn down(expect: Pattern, write: Pattern) -> Element {
    Element::Sweep { expect: Some(expect), write: Some(write), down: true }
}

fn moving_inversions(name: &'static str, pattern: Pattern) -> Algorithm {
    let other = inverted(pattern);
    Algorithm { name, elements: vec![write(pattern), up(pattern, other), down(other, pattern), read(pattern)] }
}

fn march_c(zero: Pattern) -> Algorithm {
    let one = inverted(zero);
    let elements = vec![write(zero), up(zero, one), up(one, zero), down(zero, one), down(one, zero), read(zero)];
    Algorithm { name: "March C-", elements }
}

/// Moving inversions of one pattern alone.
pub(super) fn only(pattern: MarchPattern, seed: u64) -> Algorithm {
    let kind = match pattern {
        MarchPattern::Constant => constant(0),
        MarchPattern::Address => Pattern { kind: PATTERN_ADDRESS, ..Pattern::default() },
        MarchPattern::Walking => Pattern { kind: PATTERN_WALKING, ..Pattern::default() },
        MarchPattern::Modulo => Pattern { kind: PATTERN_MODULO, modulus: MODULUS, ..Pattern::default() },
        MarchPattern::Random => Pattern { kind: PATTERN_RANDOM, parameter: seed, ..Pattern::default() },
    };
    moving_inversions(pattern.name(), kind)
}

/// What pass number `pass` does. Passes differ where an algorithm has more steps than one pass should have.
pub(super) fn pass(pass: u64, seed: u64, span: Option<Duration>) -> Vec<Algorithm> {
    let address = Pattern { kind: PATTERN_ADDRESS, ..Pattern::default() };
    let walking = Pattern { kind: PATTERN_WALKING, parameter: pass % 64, ..Pattern::default() };
    let modulo =
        Pattern { kind: PATTERN_MODULO, parameter: pass % u64::from(MODULUS), modulus: MODULUS, ..Pattern::default() };
    let random = Pattern { kind: PATTERN_RANDOM, parameter: seed.wrapping_add(pass), ..Pattern::default() };
    let mut algorithms = vec![
        moving_inversions("moving inversions", constant(0)),
        moving_inversions("own address", address),
        march_c(constant(0)),
        moving_inversions("walking bits", walking),
        Algorithm {
            name: "modulo-20",
            elements: vec![write(modulo), up(modulo, inverted(modulo)), read(inverted(modulo))],
        },
        moving_inversions("random", random),
    ];
    if pass == 0 && span.is_some_and(|span| span >= FADE * 10) {
        let ones = inverted(constant(0));
        let elements =
            vec![write(ones), Element::Rest(FADE), up(ones, constant(0)), Element::Rest(FADE), read(constant(0))];
        algorithms.push(Algorithm { name: "bit fade", elements });
    }
    algorithms
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever an algorithm reads must be what it last wrote, in every pass.
    #[test]
    fn every_algorithm_expects_what_it_wrote() {
        for number in 0..64 {
            for algorithm in pass(number, 7, Some(FADE * 10)) {
                let mut holds = None;
                for element in &algorithm.elements {
                    if let Element::Sweep { expect, write, .. } = element {
                        assert!(expect.is_none() || *expect == holds, "{} in pass {number}", algorithm.name);
                        holds = write.or(holds);
                    }
                }
            }
        }
    }

    #[test]
    fn a_pass_reads_every_word_as_both_values_of_every_bit() {
        let sweeps: usize = pass(0, 7, None).iter().map(|algorithm| algorithm.elements.len()).sum();
        assert_eq!(sweeps, 4 + 4 + 6 + 4 + 3 + 4);
    }

    /// The simulated march is as long as this one.
    #[test]
    fn a_pass_reads_and_writes_each_word_as_often_as_the_model_says() {
        for number in [0, 1, 63, 64] {
            let flags = |flag| {
                let elements = pass(number, 7, None).into_iter().flat_map(|algorithm| algorithm.elements);
                elements.map(|element| u32::from(element.flags() & flag != 0)).sum::<u32>()
            };
            assert_eq!(flags(MARCH_VERIFY), kiln_model::march_pass::COMPARES);
            assert_eq!(flags(MARCH_VERIFY) + flags(MARCH_WRITE), kiln_model::march_pass::MOVES);
        }
    }
}
