//! What host and kernels share in memory: the arguments of each kernel and the log of wrong results. The same structures
//! stand in `kernels/shared.cuh` and `kernels/march.cu`; every kernel takes exactly one of them by value.

#![expect(
    clippy::cast_possible_truncation,
    reason = "sizes and places in memory are 64 bits wide on every host with a GPU, and rates are floats of counts"
)]

/// Records a log has room for.
pub const RECORDS: usize = 64;
/// A window, a word or a unit that does not occur.
pub const NONE_64: u64 = u64::MAX;

/// One wrong result.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Record {
    pub iteration: u64,
    pub word: u64,
    pub expected: u64,
    pub found: u64,
    pub reread: u64,
    pub sm: u32,
    pub unit: u32,
}

/// Everything a launch found wrong.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Log {
    pub verified: u64,
    pub mismatches: u64,
    /// Records asked for; those beyond [`RECORDS`] are dropped.
    pub recorded: u64,
    pub records: [Record; RECORDS],
}

impl Default for Log {
    fn default() -> Self {
        Self { verified: 0, mismatches: 0, recorded: 0, records: [Record::default(); RECORDS] }
    }
}

impl Log {
    /// The records that are there.
    pub fn records(&self) -> &[Record] {
        &self.records[..usize::try_from(self.recorded).unwrap_or(RECORDS).min(RECORDS)]
    }

    pub(crate) fn record(&mut self, record: Record) {
        if let Some(place) = self.records.get_mut(self.recorded as usize) {
            *place = record;
        }
        self.recorded += 1;
    }
}

/// [`BurnArgs::operands`]
pub const OPERANDS_EXACT: u32 = 0;
pub const OPERANDS_RANDOM: u32 = 1;
pub const OPERANDS_TOGGLING: u32 = 2;
/// [`BurnArgs::mode`]
pub const BURN_COMPARE: u32 = 0;
pub const BURN_RECORD: u32 = 1;

#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct BurnArgs {
    pub log: u64,
    pub golden: u64,
    pub dump: u64,
    pub sums: u64,
    pub sms: u64,
    pub seed: u64,
    pub first_window: u64,
    pub inject_window: u64,
    pub windows: u32,
    pub steps: u32,
    pub tiles: u32,
    pub operands: u32,
    pub limit: u32,
    pub mode: u32,
    pub inject_unit: u32,
    pub inject_word: u32,
    pub inject_bit: u32,
    pub slow: u32,
    /// 1 + the one multiprocessor that works; 0 for all.
    pub only_sm: u32,
}

pub const PATTERN_CONSTANT: u32 = 0;
pub const PATTERN_ADDRESS: u32 = 1;
pub const PATTERN_RANDOM: u32 = 2;
pub const PATTERN_MODULO: u32 = 3;
pub const PATTERN_WALKING: u32 = 4;

/// What every word of a memory holds.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pattern {
    pub parameter: u64,
    pub invert: u64,
    pub kind: u32,
    pub modulus: u32,
}

/// [`MarchArgs::flags`]
pub const MARCH_VERIFY: u32 = 1;
pub const MARCH_WRITE: u32 = 2;
pub const MARCH_DOWN: u32 = 4;

#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct MarchArgs {
    pub log: u64,
    pub base: u64,
    pub pairs: u64,
    pub first_word: u64,
    pub iteration: u64,
    pub inject_word: u64,
    pub expect: Pattern,
    pub write: Pattern,
    pub flags: u32,
    pub chunk: u32,
    pub inject_bit: u32,
    pub slow: u32,
}

#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct ChecksumArgs {
    pub base: u64,
    pub pairs: u64,
    pub first_word: u64,
    pub out: u64,
}

#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct ChaseArgs {
    pub base: u64,
    pub hops: u64,
    pub out: u64,
}

#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct HangArgs {
    pub flag: u64,
}

/// How a burn kernel is cut: one unit computes `m` × `n` results over products of depth `k`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    pub m: u32,
    pub n: u32,
    pub k: u32,
    /// Units in a block, each with results of its own.
    pub units: u32,
    pub threads: u32,
    /// Shared memory for A, and for each tile of B.
    pub a_bytes: u32,
    pub b_bytes: u32,
}

/// Products before accumulators start anew: a millisecond on the fastest path, and sums stay small enough for their low
/// bits to toggle.
pub const BURN_STEPS: u32 = 2048;
/// Seconds of a launch of a burn on random operands: long enough that the gap between two launches does not count, short
/// enough to stop at once.
pub const BURN_RANDOM_SECONDS: f64 = 0.2;
/// Exact launches are shorter: their operands have fewer bits and draw less power.
pub const BURN_EXACT_SECONDS: f64 = 0.02;
/// One launch in so many is exact: together with its length some one percent of the time.
pub const BURN_EXACT_EVERY: u64 = 8;

impl Shape {
    /// Results of one unit.
    pub const fn cells(self) -> u32 {
        self.m * self.n
    }

    /// Floating point operations of one unit in one step.
    pub const fn flop(self) -> u64 {
        2 * self.m as u64 * self.n as u64 * self.k as u64
    }
}

/// How operands are made and results are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Number {
    Bf16,
    E4m3,
    F32,
    F64,
}

impl Number {
    /// The largest integer of exact operands: so small that a whole window of sums stays exact.
    pub const fn exact_limit(self) -> u32 {
        if matches!(self, Self::E4m3) { 2 } else { 8 }
    }
}

/// One burn kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Burn {
    pub name: &'static str,
    pub number: Number,
    pub shape: Shape,
}

const MMA: Shape = Shape { m: 64, n: 256, k: 64, units: 1, threads: 256, a_bytes: 0, b_bytes: 32 << 10 };
const WGMMA: Shape = Shape { units: 2, a_bytes: 8 << 10, ..MMA };
const TCGEN05: Shape = Shape { m: 128, threads: 128, a_bytes: 16 << 10, ..MMA };

/// All burn kernels there are.
pub const BURNS: &[Burn] = &[
    Burn { name: "burn_bf16_mma", number: Number::Bf16, shape: MMA },
    Burn { name: "burn_fp8_mma", number: Number::E4m3, shape: Shape { k: 128, ..MMA } },
    Burn { name: "burn_bf16_wgmma", number: Number::Bf16, shape: WGMMA },
    Burn { name: "burn_fp8_wgmma", number: Number::E4m3, shape: Shape { k: 128, ..WGMMA } },
    Burn { name: "burn_bf16_tcgen05", number: Number::Bf16, shape: TCGEN05 },
    Burn { name: "burn_fp8_tcgen05", number: Number::E4m3, shape: Shape { k: 128, ..TCGEN05 } },
    Burn { name: "burn_fp64_mma", number: Number::F64, shape: Shape { n: 64, k: 32, b_bytes: 16 << 10, ..MMA } },
    Burn { name: "burn_fp32", number: Number::F32, shape: Shape { k: 32, a_bytes: 8 << 10, ..MMA } },
];

#[cfg(test)]
mod tests {
    use super::*;

    /// The sizes that the C structures have; a change on one side alone would shift every field behind it.
    #[test]
    fn structures_have_the_size_the_kernels_were_built_with() {
        assert_eq!(size_of::<Record>(), 48);
        assert_eq!(size_of::<Log>(), 24 + 64 * 48);
        // Eleven words, and one for what follows to be aligned.
        assert_eq!(size_of::<BurnArgs>(), 8 * 8 + 12 * 4);
        assert_eq!(size_of::<Pattern>(), 24);
        assert_eq!(size_of::<MarchArgs>(), 6 * 8 + 2 * 24 + 4 * 4);
        assert_eq!(size_of::<ChecksumArgs>(), 32);
        assert_eq!(size_of::<ChaseArgs>(), 24);
    }

    /// What the kernels were built with stands in the fallback: `.param .align 8 .b8 march_param_0[112]`.
    #[test]
    fn the_built_kernels_take_arguments_of_these_sizes() {
        let ptx = include_str!("kernels/built/kiln_compute_80.ptx");
        for (name, size) in [
            ("burn_bf16_mma", size_of::<BurnArgs>()),
            ("burn_fp64_mma", size_of::<BurnArgs>()),
            ("burn_fp32", size_of::<BurnArgs>()),
            ("march", size_of::<MarchArgs>()),
            ("checksum", size_of::<ChecksumArgs>()),
            ("chase", size_of::<ChaseArgs>()),
            ("hang", size_of::<HangArgs>()),
        ] {
            let parameter = format!("{name}_param_0[{size}]");
            assert!(ptx.contains(&parameter), "{parameter} does not stand in the fallback");
        }
    }
}
