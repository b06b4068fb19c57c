//! Launches kernels in the interpreter and reads what they left.

use crate::cuda::layout::{Burn, BurnArgs, Log, MarchArgs, NONE_64, Number, OPERANDS_EXACT, Pattern, RECORDS, Record};
use crate::cuda::reference::golden;
use kiln_ptx::{Fault, Grid, Machine, Module, Outcome};

pub(crate) const LOG_BYTES: usize = size_of::<Log>();

fn words(bytes: &[u8]) -> Vec<u64> {
    bytes.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().expect("eight bytes"))).collect()
}

pub(crate) fn bytes(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// Words of eight bytes in the machine's memory.
pub(crate) fn words_at(machine: &Machine<'_>, address: u64, count: usize) -> Result<Vec<u64>, Fault> {
    Ok(words(machine.memory.bytes(address, 8 * count)?))
}

pub(crate) fn log_at(machine: &Machine<'_>, address: u64) -> Result<Log, Fault> {
    let words = words_at(machine, address, LOG_BYTES / 8)?;
    let mut log = Log { verified: words[0], mismatches: words[1], recorded: words[2], ..Log::default() };
    let there = usize::try_from(log.recorded).unwrap_or(RECORDS).min(RECORDS);
    for (record, words) in log.records[..there].iter_mut().zip(words[3..].chunks_exact(6)) {
        *record = Record {
            iteration: words[0],
            word: words[1],
            expected: words[2],
            found: words[3],
            reread: words[4],
            sm: words[5] as u32,
            unit: (words[5] >> 32) as u32,
        };
    }
    Ok(log)
}

fn burn_bytes(args: &BurnArgs) -> Vec<u8> {
    let wide =
        [args.log, args.golden, args.dump, args.sums, args.sms, args.seed, args.first_window, args.inject_window];
    let narrow = [
        args.windows,
        args.steps,
        args.tiles,
        args.operands,
        args.limit,
        args.mode,
        args.inject_unit,
        args.inject_word,
        args.inject_bit,
        args.slow,
        args.only_sm,
        // The structure ends where its widest fields are aligned.
        0,
    ];
    wide.iter().flat_map(|word| word.to_le_bytes()).chain(narrow.iter().flat_map(|word| word.to_le_bytes())).collect()
}

fn pattern_bytes(pattern: &Pattern) -> Vec<u8> {
    let mut out = bytes(&[pattern.parameter, pattern.invert]);
    out.extend(pattern.kind.to_le_bytes());
    out.extend(pattern.modulus.to_le_bytes());
    out
}

pub(crate) fn march_bytes(args: &MarchArgs) -> Vec<u8> {
    let mut out = bytes(&[args.log, args.base, args.pairs, args.first_word, args.iteration, args.inject_word]);
    out.extend(pattern_bytes(&args.expect));
    out.extend(pattern_bytes(&args.write));
    out.extend([args.flags, args.chunk, args.inject_bit, args.slow].iter().flat_map(|word| word.to_le_bytes()));
    out
}

/// A launch of a burn: what the host would choose, and what only tests do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting {
    pub(crate) args: BurnArgs,
    pub(crate) blocks: u32,
    /// Seed of the order in which warps run.
    pub(crate) order: u64,
    pub(crate) accumulator_bits: Option<u32>,
}

impl Setting {
    /// One window of exact products in one block.
    pub(crate) fn new(burn: Burn, seed: u64, steps: u32, tiles: u32) -> Self {
        let args = BurnArgs {
            seed,
            first_window: 100,
            inject_window: NONE_64,
            windows: 1,
            steps,
            tiles,
            operands: OPERANDS_EXACT,
            limit: burn.number.exact_limit(),
            ..BurnArgs::default()
        };
        Self { args, blocks: 1, order: seed, accumulator_bits: None }
    }
}

/// What a launch of a burn left behind.
#[derive(Debug)]
pub(crate) struct Burned {
    pub(crate) log: Log,
    /// The results of each unit, as the bits of its accumulators.
    pub(crate) units: Vec<Vec<u64>>,
    pub(crate) golden: Vec<u64>,
    pub(crate) sums: Vec<u64>,
    pub(crate) sms: Vec<u32>,
    pub(crate) outcome: Outcome,
}

pub(crate) fn burn(module: &Module, burn: Burn, setting: &Setting) -> Result<Burned, Fault> {
    let wide = burn.number == Number::F64;
    let size = if wide { 8 } else { 4 };
    let cells = burn.shape.cells() as usize;
    let units = (setting.blocks * burn.shape.units) as usize;
    let golden = golden(&setting.args, burn.number, burn.shape);
    let as_stored = |results: &[u64]| -> Vec<u8> {
        if wide { bytes(results) } else { results.iter().flat_map(|word| (*word as u32).to_le_bytes()).collect() }
    };
    let mut machine = Machine::new(module);
    machine.seed = setting.order;
    machine.accumulator_bits = setting.accumulator_bits;
    let args = BurnArgs {
        log: machine.memory.put(&[0; LOG_BYTES]),
        golden: machine.memory.put(&as_stored(&golden)),
        // Nobody has written it: looking at a result before it is there is a fault.
        dump: if setting.args.only_sm == 0 {
            machine.memory.allocate(size * cells * units)
        } else {
            machine.memory.put(&vec![0; size * cells * units])
        },
        sums: machine.memory.put(&vec![0; 8 * units]),
        sms: machine.memory.put(&vec![0xFF; 4 * units]),
        ..setting.args
    };
    let grid = Grid {
        blocks: setting.blocks,
        threads: burn.shape.threads,
        shared: burn.shape.a_bytes + args.tiles * burn.shape.b_bytes,
    };
    let outcome = machine.launch(burn.name, grid, &burn_bytes(&args))?;
    let dumped = machine.memory.bytes(args.dump, size * cells * units)?;
    let value = |bytes: &[u8]| {
        let mut word = [0; 8];
        word[..size].copy_from_slice(bytes);
        u64::from_le_bytes(word)
    };
    let all: Vec<u64> = dumped.chunks_exact(size).map(value).collect();
    Ok(Burned {
        log: log_at(&machine, args.log)?,
        units: all.chunks_exact(cells).map(<[u64]>::to_vec).collect(),
        golden,
        sums: words_at(&machine, args.sums, units)?,
        sms: machine.memory.bytes(args.sms, 4 * units)?.chunks_exact(4).map(value4).collect(),
        outcome,
    })
}

fn value4(bytes: &[u8]) -> u32 {
    u32::from_le_bytes(bytes.try_into().expect("four bytes"))
}

/// What a march left behind.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Marched {
    pub(crate) memory: Vec<u64>,
    pub(crate) verified: u64,
    pub(crate) mismatches: u64,
    pub(crate) recorded: u64,
    /// By word; where a march runs on several multiprocessors their numbers are left out.
    pub(crate) records: Vec<Record>,
}

impl Marched {
    pub(crate) fn of(memory: Vec<u64>, log: &Log) -> Self {
        let mut records: Vec<Record> = log.records().iter().map(|record| Record { sm: 0, ..*record }).collect();
        records.sort_by_key(|record| record.word);
        Self { memory, verified: log.verified, mismatches: log.mismatches, recorded: log.recorded, records }
    }
}

pub(crate) fn march(
    module: &Module,
    args: &MarchArgs,
    memory: &[u64],
    order: u64,
) -> Result<(Marched, Outcome), Fault> {
    let mut machine = Machine::new(module);
    machine.seed = order;
    let args =
        MarchArgs { log: machine.memory.put(&[0; LOG_BYTES]), base: machine.memory.put(&bytes(memory)), ..*args };
    let outcome = machine.launch("march", Grid { blocks: 2, threads: 96, shared: 0 }, &march_bytes(&args))?;
    let left = words_at(&machine, args.base, memory.len())?;
    Ok((Marched::of(left, &log_at(&machine, args.log)?), outcome))
}
