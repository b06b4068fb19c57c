//! A warp: its calls, registers and lanes.

use crate::asynchronous::InFlight;
use crate::fault::{Fault, Kind};
use crate::instruction::{LANES, Lanes, Mask, Register, Source, Special};
use crate::machine::{Block, Context};
use crate::memory::Local;
use crate::parser::Function;
use crate::tensor_memory::Order;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Running,
    AtBarrier,
    Ended,
}

/// One call of a function by some lanes.
///
/// Lanes that part go on one group at a time, the one that is furthest behind first, so that they meet again where the
/// compiler laid out the code to meet.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) function: usize,
    pub(crate) registers: Vec<Lanes>,
    /// The lanes in which each register was written.
    pub(crate) defined: Vec<Mask>,
    pub(crate) widths: Vec<u32>,
    pub(crate) slots: Vec<Lanes>,
    pub(crate) parameters: Vec<Lanes>,
    pub(crate) result: Lanes,
    /// Where the caller wants the result.
    pub(crate) result_slot: Option<usize>,
    pub(crate) local: u32,
    /// Lanes that made the call.
    pub(crate) lanes: Mask,
    /// Those that have not returned.
    pub(crate) live: Mask,
    /// Those of them that wait for their whole warp.
    pub(crate) waiting: Mask,
    /// The group that runs, where it is, and where it would meet the next one.
    pub(crate) active: Mask,
    pub(crate) at: u32,
    pub(crate) limit: u32,
    /// Where the others are.
    pub(crate) places: [u32; LANES],
}

impl Frame {
    pub(crate) fn new(index: usize, function: &Function, lanes: Mask, local: u32) -> Self {
        Self {
            function: index,
            registers: vec![[0; LANES]; function.widths.len()],
            defined: vec![0; function.widths.len()],
            widths: function.widths.clone(),
            slots: vec![[0; LANES]; function.slots],
            parameters: Vec::new(),
            result: [0; LANES],
            result_slot: None,
            local,
            lanes,
            live: lanes,
            waiting: 0,
            active: lanes,
            at: 0,
            limit: u32::MAX,
            places: [0; LANES],
        }
    }

    /// Leaves the running group where it is.
    pub(crate) fn park(&mut self) {
        for lane in lanes_of(self.active) {
            self.places[lane] = self.at;
        }
        self.active = 0;
    }

    /// Picks the group that is furthest behind; false where no lane can run.
    pub(crate) fn choose(&mut self) -> bool {
        let able = self.live & !self.waiting;
        let Some(at) = lanes_of(able).map(|lane| self.places[lane]).min() else { return false };
        self.at = at;
        self.active = lanes_of(able).filter(|lane| self.places[*lane] == at).fold(0, |mask, lane| mask | 1 << lane);
        self.limit = lanes_of(able & !self.active).map(|lane| self.places[lane]).min().unwrap_or(u32::MAX);
        true
    }
}

#[derive(Debug)]
pub(crate) struct Warp {
    pub(crate) state: State,
    pub(crate) number: u32,
    /// The lanes that are threads of the block.
    pub(crate) lanes: Mask,
    pub(crate) frames: Vec<Frame>,
    pub(crate) local: Local,
    pub(crate) in_flight: InFlight,
    pub(crate) order: Order,
}

/// The numbers of the lanes of a mask.
pub(crate) fn lanes_of(mask: Mask) -> impl Iterator<Item = usize> {
    (0..LANES).filter(move |lane| mask >> lane & 1 == 1)
}

pub(crate) const fn low_bits(bits: u32) -> u64 {
    if bits >= 64 { u64::MAX } else { (1 << bits) - 1 }
}

impl Warp {
    pub(crate) fn new(index: usize, function: &Function, number: u32, threads: u32) -> Self {
        let count = (threads - number * 32).min(32);
        let lanes = low_bits(count) as u32;
        Self {
            state: State::Running,
            number,
            lanes,
            frames: vec![Frame::new(index, function, lanes, 0)],
            local: Local::new(LANES),
            in_flight: InFlight::default(),
            order: Order::default(),
        }
    }

    pub(crate) fn pass_barrier(&mut self) {
        self.state = State::Running;
        self.order.pass_barrier();
    }

    pub(crate) fn frame(&mut self) -> &mut Frame {
        self.frames.last_mut().expect("a warp that runs has a call")
    }

    pub(crate) fn thread(&self, lane: usize) -> u32 {
        self.number * 32 + lane as u32
    }

    /// The values of a source in the lanes of a mask; what other lanes get means nothing.
    pub(crate) fn read(
        &mut self,
        context: &mut Context<'_>,
        block: &Block,
        source: Source,
        mask: Mask,
    ) -> Result<Lanes, Fault> {
        let number = self.number;
        let frame = self.frame();
        let value = match source {
            Source::Register(register) => {
                frame.check_defined(register, mask)?;
                return Ok(frame.registers[register as usize]);
            }
            Source::Value(value) => value,
            Source::Local(offset) => u64::from(frame.local + offset),
            Source::Dynamic => block.dynamic,
            Source::Special(Special::Thread) => {
                return Ok(std::array::from_fn(|lane| u64::from(number) * 32 + lane as u64));
            }
            Source::Special(Special::Lane) => return Ok(std::array::from_fn(|lane| lane as u64)),
            Source::Special(Special::Threads) => u64::from(block.grid.threads),
            Source::Special(Special::Block | Special::Processor) => u64::from(block.number),
            Source::Special(Special::Blocks) => u64::from(block.grid.blocks),
            Source::Special(Special::Timer) => {
                context.nanos += 1000;
                context.nanos
            }
        };
        Ok([value; LANES])
    }

    /// The values of a register that is a predicate, as a mask.
    pub(crate) fn predicate(&mut self, register: Register, mask: Mask) -> Result<Mask, Fault> {
        let frame = self.frame();
        frame.check_defined(register, mask)?;
        Ok(as_mask(&frame.registers[register as usize]))
    }

    pub(crate) fn write(&mut self, register: Register, values: &Lanes, mask: Mask) {
        self.frame().set(register, values, mask);
    }

    /// The value that all lanes must have alike.
    pub(crate) fn uniform(
        &mut self,
        context: &mut Context<'_>,
        block: &Block,
        source: Source,
        mask: Mask,
    ) -> Result<u64, Fault> {
        let values = self.read(context, block, source, mask)?;
        let first = values[mask.trailing_zeros() as usize & 31];
        if lanes_of(mask).any(|lane| values[lane] != first) {
            return Err(Fault::new(Kind::Convergence, "lanes differ in a value that is one for all"));
        }
        Ok(first)
    }
}

pub(crate) fn as_mask(values: &Lanes) -> Mask {
    values.iter().enumerate().fold(0, |mask, (lane, value)| mask | ((*value & 1) as u32) << lane)
}

impl Frame {
    pub(crate) fn check_defined(&self, register: Register, mask: Mask) -> Result<(), Fault> {
        if self.defined[register as usize] & mask == mask {
            return Ok(());
        }
        Err(Fault::new(Kind::Unwritten, format!("register {register} holds no value yet")))
    }

    pub(crate) fn set(&mut self, register: Register, values: &Lanes, mask: Mask) {
        let bits = low_bits(self.widths[register as usize]);
        let target = &mut self.registers[register as usize];
        if mask == u32::MAX {
            for (target, value) in target.iter_mut().zip(values) {
                *target = value & bits;
            }
        } else {
            for lane in lanes_of(mask) {
                target[lane] = values[lane] & bits;
            }
        }
        self.defined[register as usize] |= mask;
    }
}
