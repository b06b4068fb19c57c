//! Executes `wgmma`: products of a warpgroup that run on while its warps do.
//!
//! The accumulators of a product that runs belong to nobody: they hold no value until `wait_group`. Whether it reads its
//! operands at once or only at the wait is drawn from the seed.

use std::collections::BTreeMap;

use crate::fault::{Fault, protocol};
use crate::instruction::{Element, LANES, Lanes, Mask, Register, Tensor};
use crate::machine::{Block, Context};
use crate::number::accumulated;
use crate::operand_matrix::{OperandMatrix, multiply};
use crate::warp::Warp;

const COLUMNS: usize = 256;
/// Rows of the 64 that each warp of the group holds.
const ROWS: usize = 16;

#[derive(Debug)]
struct Product {
    group: usize,
    element: Element,
    d: Vec<Register>,
    a: u64,
    b: u64,
    keep: bool,
    done: bool,
}

/// The products of one warp that were started and not waited for.
#[derive(Debug, Default)]
pub(crate) struct InFlight {
    products: Vec<Product>,
    accumulators: BTreeMap<Register, Lanes>,
    /// Groups committed so far.
    groups: usize,
    fenced: bool,
    /// Loads from tensor memory.
    pub(crate) loads: Vec<(Register, Lanes)>,
}

impl InFlight {
    /// A call or the end of a function between a product and its wait would lose the accumulators.
    pub(crate) fn check_idle(&self) -> Result<(), Fault> {
        if self.products.is_empty() && self.loads.is_empty() {
            Ok(())
        } else {
            protocol("a call or a return while products or loads run")
        }
    }
}

/// Where a register of a lane lies among the results of its warp.
const fn place(register: usize, lane: usize) -> usize {
    let row = lane / 4 + register / 2 % 2 * 8;
    row * COLUMNS + register / 4 * 8 + lane % 4 * 2 + register % 2
}

impl Warp {
    pub(crate) fn wgmma(
        &mut self,
        context: &mut Context<'_>,
        block: &mut Block,
        tensor: &Tensor,
        mask: Mask,
    ) -> Result<(), Fault> {
        match tensor {
            Tensor::WgmmaFence => self.in_flight.fenced = true,
            Tensor::WgmmaCommit => self.in_flight.groups += 1,
            Tensor::WgmmaWait(running) => return self.wait(context, block, *running, mask),
            Tensor::Wgmma { element, d, a, b, keep } => {
                // Needed before the first product and wherever other instructions may have touched the accumulators.
                if !self.in_flight.fenced {
                    return protocol("no wgmma.fence since the accumulators were free");
                }
                if !block.grid.threads.is_multiple_of(128) || mask != u32::MAX {
                    return protocol("a warpgroup has 128 threads");
                }
                let keep = match self.predicate(*keep, mask)? {
                    0 => false,
                    u32::MAX => true,
                    _ => return protocol("lanes differ in whether the accumulators are kept"),
                };
                for register in d {
                    if !self.in_flight.accumulators.contains_key(register) {
                        let frame = self.frame();
                        if keep {
                            frame.check_defined(*register, mask)?;
                        }
                        let values = frame.registers[*register as usize];
                        frame.defined[*register as usize] = 0;
                        self.in_flight.accumulators.insert(*register, values);
                    }
                }
                let a = self.uniform(context, block, *a, mask)?;
                let b = self.uniform(context, block, *b, mask)?;
                let group = self.in_flight.groups;
                self.in_flight.products.push(Product {
                    group,
                    element: *element,
                    d: d.clone(),
                    a,
                    b,
                    keep,
                    done: false,
                });
                if context.random.below(2) == 0 {
                    self.finish(context, block, usize::MAX)?;
                }
            }
            _ => return protocol("not an instruction of warpgroups"),
        }
        Ok(())
    }

    /// Computes the products of the groups before `end`.
    fn finish(&mut self, context: &Context<'_>, block: &mut Block, end: usize) -> Result<(), Fault> {
        let thread = self.thread(0);
        let first_row = u64::from(self.number % 4) * ROWS as u64;
        for product in self.in_flight.products.iter_mut().filter(|product| !product.done && product.group < end) {
            product.done = true;
            let a =
                OperandMatrix::of_wgmma(product.a)?.read(block, thread, product.element, (first_row, ROWS as u64))?;
            let b = OperandMatrix::of_wgmma(product.b)?.read(block, thread, product.element, (0, COLUMNS as u64))?;
            let mut sums = vec![0.0; ROWS * COLUMNS];
            if product.keep {
                for (at, register) in product.d.iter().enumerate() {
                    let values = &self.in_flight.accumulators[register];
                    for lane in 0..LANES {
                        sums[place(at, lane)] = f64::from(f32::from_bits(values[lane] as u32));
                    }
                }
            }
            multiply(&mut sums, &a, &b, 32 / product.element.bytes());
            let bits = if product.element.bytes() == 1 { context.accumulator_bits } else { None };
            for (at, register) in product.d.iter().enumerate() {
                let sum = |lane: usize| u64::from(accumulated(sums[place(at, lane)], bits).to_bits());
                self.in_flight.accumulators.insert(*register, std::array::from_fn(sum));
            }
        }
        Ok(())
    }

    /// Lets so many of the last groups run on, and gives back the accumulators of those before.
    fn wait(&mut self, context: &Context<'_>, block: &mut Block, running: usize, mask: Mask) -> Result<(), Fault> {
        let end = self.in_flight.groups.saturating_sub(running);
        self.finish(context, block, end)?;
        self.in_flight.products.retain(|product| product.group >= end);
        let busy: Vec<Register> =
            self.in_flight.products.iter().flat_map(|product| product.d.iter().copied()).collect();
        let (kept, free): (BTreeMap<_, _>, BTreeMap<_, _>) = std::mem::take(&mut self.in_flight.accumulators)
            .into_iter()
            .partition(|(register, _)| busy.contains(register));
        self.in_flight.accumulators = kept;
        self.in_flight.fenced &= !self.in_flight.products.is_empty();
        for (register, values) in free {
            self.write(register, &values, mask);
        }
        Ok(())
    }
}
