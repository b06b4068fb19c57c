//! Marches, checksums and chases that are spoiled on purpose in their PTX: the proofs must notice every one of them.

use crate::cuda::reference::{self, mix};
use kiln_ptx::Module;

use crate::memory::{chase, checksum, marches};
use crate::spoiled::Spoiling;

const fn spoil(within: &'static str, what: &'static str, pattern: &'static str, replacement: &'static str) -> Spoiling {
    Spoiling { image: "compute_80", kernel: "march", what, within, pattern, replacement, place: None }
}

/// Offsets are those of the fields of [`crate::cuda::layout::MarchArgs`].
const MARCHES: &[Spoiling] = &[
    spoil("march", "indices of 32 bits", r"ld\.param\.u64(\s+%rd\d+, \[march_param_0\+24\])", "ld.param.u32$1"),
    spoil("march", "the first word is another", r"(%rd\d+, \[march_param_0)\+24\]", "$1+32]"),
    spoil("march", "another word is spoiled", r"(%rd\d+, \[march_param_0)\+40\]", "$1+16]"),
    spoil("march", "what is expected is not inverted", r"(%rd\d+, \[march_param_0)\+56\]", "$1+48]"),
    spoil("march", "what is expected has another parameter", r"(%rd\d+, \[march_param_0)\+48\]", "$1+56]"),
    spoil("march", "what is written is not inverted", r"(%rd\d+, \[march_param_0)\+80\]", "$1+72]"),
    spoil("march", "what is written has another parameter", r"(%rd\d+, \[march_param_0)\+72\]", "$1+80]"),
    spoil("march", "expected and written change places", r"\[march_param_0\+64\]", "[march_param_0+88]"),
    spoil("march", "one pair less", r"(ld\.param\.u64\s+(%rd\d+), \[march_param_0\+16\];)", "$1 sub.s64 $2, $2, 1;"),
    spoil("march", "nothing is counted", r"atom(?:\.global)?\.add\.u64[^;]*;", ""),
    spoil(
        "march",
        "words are stored half",
        r"st\.global\.cs\.v2\.u64 (\[[^\]]*\]), \{(%rd\d+), (%rd\d+)\};",
        "st.global.cs.v2.u64 $1, {$2, $2};",
    ),
    spoil("march", "the hash has another constant", "-4658895280553007687", "-4658895280553007685"),
    spoil("march", "the remainder is of another number", r"(rem\.u64\s+%rd\d+, %rd\d+), %rd\d+;", "$1, 21;"),
    spoil("march_pairs", "wrong words are not counted", r"atom\.add\.u64[^;]*, 1;", ""),
    spoil("march_pairs", "no second look", r"ld\.global\.cv\.u64 (%rd\d+), \[(%rd\d+)\];", "mov.u64 $1, 0;"),
    spoil("march_pairs", "the iteration is another", r"(ld\.local\.u64\s+%rd\d+, \[%rd\d+)\+8\]", "$1+16]"),
];

#[test]
fn spoiled_marches_are_noticed() {
    let missed: Vec<&Spoiling> = MARCHES.iter().filter(|spoiling| marches(&spoiling.apply()).is_ok()).collect();
    assert!(missed.is_empty(), "{} of {} were not noticed: {missed:#?}", missed.len(), MARCHES.len());
}

fn checksum_is_right(module: &Module) -> bool {
    let memory: Vec<u64> = (0..2 * 3001).map(mix).collect();
    checksum(module, &memory, 1 << 33, 1).is_ok_and(|found| found == reference::checksum(&memory, 1 << 33))
}

fn chase_is_right(module: &Module) -> bool {
    let memory: Vec<u64> = (0..512).map(|at| (at * 37 + 11) % 512).collect();
    (97..105).all(|hops| {
        chase(module, &memory, hops).is_ok_and(|(end, nanos)| end == reference::chase(&memory, hops) && nanos == 1000)
    })
}

#[test]
fn spoiled_checksums_and_chases_are_noticed() {
    let shuffle = spoil("checksum", "", r"(shfl\.sync\.down\.b32\s+%r\d+\|%p\d+, %r\d+), %r\d+,", "$1, 0,");
    let checksums = [
        spoil(
            "checksum",
            "indices of 32 bits",
            r"ld\.param\.u64(\s+%rd\d+, \[checksum_param_0\+16\])",
            "ld.param.u32$1",
        ),
        Spoiling { what: "one lane is added twice", place: Some(4), ..shuffle },
        spoil("checksum", "only the last is added", r"atom(\.global)?\.add\.u64", "atom${1}.exch.u64"),
    ];
    for spoiling in &checksums {
        assert!(!checksum_is_right(&spoiling.apply()), "{} was not noticed", spoiling.what);
    }
    let chases = [
        spoil(
            "chase",
            "a hop too many",
            r"(ld\.param\.u64\s+(%rd\d+), \[chase_param_0\+8\];)",
            "$1 add.s64 $2, $2, 1;",
        ),
        spoil("chase", "the clock is looked at once", r"mov\.u64 (%rd\d+), %globaltimer; \}", "mov.u64 $1, 0; }"),
    ];
    for spoiling in &chases {
        assert!(!chase_is_right(&spoiling.apply()), "{} was not noticed", spoiling.what);
    }
}
