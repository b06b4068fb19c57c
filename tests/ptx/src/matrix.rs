//! Executes `mma.sync`: products whose operands lie in the registers of a warp.
//!
//! Fragments by PTX ISA, "Matrix fragments for mma.m16n8k16 / m16n8k32 / m8n8k4 / m16n8k{4,8,16}": lane 4 g + t holds row g
//! (and g + 8) of A and of the results, and column g of B.

use crate::fault::Fault;
use crate::instruction::{Element, LANES, Lanes, Mask, Register, Source, Tensor};
use crate::machine::{Block, Context};
use crate::number::{accumulated, value};
use crate::tensor_memory::Order;
use crate::warp::Warp;

/// Columns of every `mma.sync` here.
const COLUMNS: usize = 8;

impl Warp {
    pub(crate) fn tensor(
        &mut self,
        context: &mut Context<'_>,
        block: &mut Block,
        others: &[Order],
        tensor: &Tensor,
        mask: Mask,
    ) -> Result<(), Fault> {
        match tensor {
            Tensor::Mma { element, d, a, b, c } => self.mma(context, block, (*element, mask), (d, a, b, c)),
            Tensor::MmaF64 { rows, depth, d, a, b, c } => {
                self.mma_f64(context, block, (*rows, *depth), (d, a, b, c), mask)
            }
            Tensor::Wgmma { .. } | Tensor::WgmmaFence | Tensor::WgmmaCommit | Tensor::WgmmaWait(_) => {
                self.wgmma(context, block, tensor, mask)
            }
            _ => self.tensor_memory(context, block, others, tensor, mask),
        }
    }

    fn all(
        &mut self,
        context: &mut Context<'_>,
        block: &Block,
        sources: &[Source],
        mask: Mask,
    ) -> Result<Vec<Lanes>, Fault> {
        sources.iter().map(|source| self.read(context, block, *source, mask)).collect()
    }

    fn mma(
        &mut self,
        context: &mut Context<'_>,
        block: &Block,
        (element, mask): (Element, Mask),
        (d, a, b, c): (&[Register], &[Source], &[Source], &[Source]),
    ) -> Result<(), Fault> {
        let (a, b, c) = (
            self.all(context, block, a, mask)?,
            self.all(context, block, b, mask)?,
            self.all(context, block, c, mask)?,
        );
        let (each, bits) = (4 / element.bytes(), 8 * element.bytes() as u32);
        let depth = 8 * each;
        let part = |word: u64, at: usize| value(element, (word >> (at as u32 * bits)) as u32 & ((1 << bits) - 1));
        let mut left = vec![0.0; 16 * depth];
        let mut right = vec![0.0; depth * COLUMNS];
        for lane in 0..LANES {
            let (g, t) = (lane / 4, lane % 4);
            for at in 0..each {
                for (register, words) in a.iter().enumerate() {
                    let (row, k) = (g + register % 2 * 8, t * each + at + register / 2 * depth / 2);
                    left[row * depth + k] = part(words[lane], at);
                }
                for (register, words) in b.iter().enumerate() {
                    right[(t * each + at + register * depth / 2) * COLUMNS + g] = part(words[lane], at);
                }
            }
        }
        let bits = if element.bytes() == 1 { context.accumulator_bits } else { None };
        for (register, (target, old)) in d.iter().zip(&c).enumerate() {
            let result = |lane: usize| {
                let (row, column) = (lane / 4 + register / 2 * 8, lane % 4 * 2 + register % 2);
                let start = f64::from(f32::from_bits(old[lane] as u32));
                let sum = (0..depth).fold(start, |sum, k| sum + left[row * depth + k] * right[k * COLUMNS + column]);
                u64::from(accumulated(sum, bits).to_bits())
            };
            self.write(*target, &std::array::from_fn(result), mask);
        }
        Ok(())
    }

    fn mma_f64(
        &mut self,
        context: &mut Context<'_>,
        block: &Block,
        (rows, depth): (usize, usize),
        (d, a, b, c): (&[Register], &[Source], &[Source], &[Source]),
        mask: Mask,
    ) -> Result<(), Fault> {
        let (a, b, c) = (
            self.all(context, block, a, mask)?,
            self.all(context, block, b, mask)?,
            self.all(context, block, c, mask)?,
        );
        let halves = rows / 8;
        let mut left = vec![0.0; rows * depth];
        let mut right = vec![0.0; depth * COLUMNS];
        for lane in 0..LANES {
            let (g, t) = (lane / 4, lane % 4);
            for (register, words) in a.iter().enumerate() {
                let (row, k) = (g + register % halves * 8, t + register / halves * 4);
                left[row * depth + k] = f64::from_bits(words[lane]);
            }
            for (register, words) in b.iter().enumerate() {
                right[(t + register * 4) * COLUMNS + g] = f64::from_bits(words[lane]);
            }
        }
        for (register, (target, old)) in d.iter().zip(&c).enumerate() {
            let result = |lane: usize| {
                let (row, column) = (lane / 4 + register / 2 * 8, lane % 4 * 2 + register % 2);
                let start = f64::from_bits(old[lane]);
                (0..depth).fold(start, |sum, k| sum + left[row * depth + k] * right[k * COLUMNS + column]).to_bits()
            };
            self.write(*target, &std::array::from_fn(result), mask);
        }
        Ok(())
    }
}
