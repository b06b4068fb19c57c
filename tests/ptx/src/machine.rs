//! A launch: all blocks at once, their warps and tensor units taken in an order drawn from a seed.

use std::collections::BTreeMap;

use crate::fault::{Fault, Kind};
use crate::memory::{Actor, Global, Store};
use crate::parser::{Function, Module, SHARED_START};
use crate::random::Random;
use crate::tensor_memory::{MemoryBarrier, TensorMemory};
use crate::warp::{State, Warp};

/// How a kernel is launched.
#[derive(Debug, Clone, Copy)]
pub struct Grid {
    pub blocks: u32,
    pub threads: u32,
    /// Dynamic shared memory of a block in bytes.
    pub shared: u32,
}

/// What a launch took.
#[derive(Debug, Clone, Copy, Default)]
pub struct Outcome {
    /// Instructions, counted once for each warp.
    pub instructions: u64,
    pub barriers: u64,
    /// Nanoseconds slept, of all warps together.
    pub slept: u64,
}

/// More instructions than a launch in a test takes, counted once for each warp.
const ENDLESS: u64 = 20_000_000;
/// The most instructions a warp runs before another has its turn.
const TURN: usize = 200;

/// A GPU with one module loaded.
#[derive(Debug)]
pub struct Machine<'a> {
    module: &'a Module,
    pub memory: Global,
    /// Significant bits that the accumulators of 8-bit products keep; none where they are whole f32.
    pub accumulator_bits: Option<u32>,
    /// Decides the order in which warps, blocks and tensor units go on.
    pub seed: u64,
    /// After so many instructions a launch counts as one that does not end.
    pub endless: u64,
}

/// What a block's warps share.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) number: u32,
    pub(crate) grid: Grid,
    pub(crate) shared: Store,
    pub(crate) dynamic: u64,
    pub(crate) epoch: u32,
    /// Proxy fences each thread has passed, and the epoch of the last.
    pub(crate) fences: Vec<(u32, u32)>,
    pub(crate) tensor: TensorMemory,
    pub(crate) barriers: BTreeMap<u64, MemoryBarrier>,
}

impl Block {
    fn new(number: u32, grid: Grid, function: &Function, module: &Module, random: &mut Random) -> Self {
        let mut shared = Store::new("shared", u64::from(SHARED_START), 1);
        let fixed = function.shared_end - SHARED_START;
        shared.allocate(fixed as usize, 1);
        let alignment = module.dynamic_alignment;
        // The base is a multiple of every alignment, so that places and addresses are aligned alike.
        let dynamic = shared.allocate(grid.shared as usize, alignment as usize);
        Self {
            number,
            grid,
            shared,
            dynamic,
            epoch: 0,
            fences: vec![(0, 0); grid.threads as usize],
            tensor: TensorMemory::new(random.next()),
            barriers: BTreeMap::new(),
        }
    }

    pub(crate) fn actor(&self, thread: u32) -> Actor {
        Actor { block: self.number, thread, epoch: self.epoch, fences: self.fences[thread as usize].0 }
    }

    /// Whether what `writer` stored after `stored` of its fences is visible to an asynchronous unit that `reader` started.
    pub(crate) fn is_fenced(fences: &[(u32, u32)], epoch: u32, reader: u32, writer: u32, stored: u32) -> bool {
        let (count, last) = fences[writer as usize];
        // A fence behind the barrier is too late for other threads.
        count > stored && (writer == reader || count > stored + 1 || last < epoch)
    }
}

/// What instructions act on besides their warp.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    pub(crate) module: &'a Module,
    pub(crate) memory: &'a mut Global,
    pub(crate) arguments: &'a [u8],
    pub(crate) accumulator_bits: Option<u32>,
    pub(crate) nanos: u64,
    endless: u64,
    pub(crate) random: Random,
    pub(crate) outcome: Outcome,
}

/// Who can go on.
#[derive(Debug, Clone, Copy)]
enum Turn {
    Warp(usize, usize),
    Tensor(usize),
}

impl<'a> Machine<'a> {
    pub fn new(module: &'a Module) -> Self {
        Self { module, memory: Global::default(), accumulator_bits: None, seed: 0, endless: ENDLESS }
    }

    /// Runs a kernel to its end.
    pub fn launch(&mut self, kernel: &str, grid: Grid, arguments: &[u8]) -> Result<Outcome, Fault> {
        let found = self.module.function(kernel).filter(|(_, function)| function.entry);
        let Some((index, function)) = found else {
            return Err(Fault::new(Kind::Syntax, format!("there is no kernel {kernel}")));
        };
        if function.parameters != [arguments.len()] {
            return Err(Fault::new(Kind::Bounds, format!("{kernel} takes {:?} bytes", function.parameters)));
        }
        self.memory.store.forget();
        let mut random = Random::new(self.seed);
        let mut blocks: Vec<(Block, Vec<Warp>)> = (0..grid.blocks)
            .map(|number| {
                let warps = (0..grid.threads.div_ceil(32)).map(|warp| Warp::new(index, function, warp, grid.threads));
                (Block::new(number, grid, function, self.module, &mut random), warps.collect())
            })
            .collect();
        let mut context = Context {
            module: self.module,
            memory: &mut self.memory,
            arguments,
            accumulator_bits: self.accumulator_bits,
            nanos: 1000,
            endless: self.endless,
            random,
            outcome: Outcome::default(),
        };
        while context.turn(&mut blocks)? {}
        Ok(context.outcome)
    }
}

impl Context<'_> {
    /// Lets one warp or tensor unit go on; false where all have ended.
    fn turn(&mut self, blocks: &mut [(Block, Vec<Warp>)]) -> Result<bool, Fault> {
        let mut able = Vec::new();
        let mut all_ended = true;
        for (at, (block, warps)) in blocks.iter_mut().enumerate() {
            if warps.iter().all(|warp| warp.state == State::AtBarrier) {
                self.open_barrier(block, warps);
            }
            for (number, warp) in warps.iter().enumerate() {
                all_ended &= warp.state == State::Ended;
                if warp.state == State::Running {
                    able.push(Turn::Warp(at, number));
                }
            }
            if block.tensor.has_work() {
                able.push(Turn::Tensor(at));
            }
        }
        if able.is_empty() {
            if !all_ended {
                return Err(Fault::new(Kind::Stuck, "threads wait at a barrier that others have left behind"));
            }
            return blocks.iter().try_for_each(|(block, _)| block.tensor.ends_well()).map(|()| false);
        }
        if self.outcome.instructions > self.endless {
            return Err(Fault::new(Kind::Stuck, "the launch does not end"));
        }
        match able[self.random.below(able.len())] {
            Turn::Warp(block, warp) => {
                let budget = 1 + self.random.below(TURN);
                let (block, warps) = &mut blocks[block];
                let others: Vec<_> = warps.iter().map(|warp| warp.order).collect();
                warps[warp].run(self, block, &others, budget)?;
            }
            Turn::Tensor(block) => blocks[block].0.tensor_step(self.accumulator_bits)?,
        }
        Ok(true)
    }

    fn open_barrier(&mut self, block: &mut Block, warps: &mut [Warp]) {
        block.epoch += 1;
        self.outcome.barriers += 1;
        for warp in warps {
            warp.pass_barrier();
        }
    }
}
