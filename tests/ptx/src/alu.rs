//! Executes one instruction for the lanes of a mask: arithmetic and moves here, the rest where it belongs.

use crate::fault::{Fault, unsupported};
use crate::instruction::{
    Binary, Comparison, LANES, Lanes, Mask, Operation, Register, Sort, Source, Ternary, Type, Unary,
};
use crate::machine::{Block, Context};
use crate::tensor_memory::Order;
use crate::warp::{Warp, lanes_of, low_bits};

pub(crate) const fn signed(value: u64, bits: u32) -> i64 {
    (value << (64 - bits)).cast_signed() >> (64 - bits)
}

fn float(value: u64, bits: u32) -> f64 {
    if bits == 32 { f64::from(f32::from_bits(value as u32)) } else { f64::from_bits(value) }
}

fn each(a: &Lanes, operation: impl Fn(u64) -> u64) -> Lanes {
    std::array::from_fn(|lane| operation(a[lane]))
}

fn each_two(a: &Lanes, b: &Lanes, operation: impl Fn(u64, u64) -> u64) -> Lanes {
    std::array::from_fn(|lane| operation(a[lane], b[lane]))
}

fn each_three(a: &Lanes, b: &Lanes, c: &Lanes, operation: impl Fn(u64, u64, u64) -> u64) -> Lanes {
    std::array::from_fn(|lane| operation(a[lane], b[lane], c[lane]))
}

impl Warp {
    /// Reads a source as a value of `bits`.
    fn cut(
        &mut self,
        context: &mut Context<'_>,
        block: &Block,
        source: Source,
        bits: u32,
        mask: Mask,
    ) -> Result<Lanes, Fault> {
        let values = self.read(context, block, source, mask)?;
        Ok(each(&values, |value| value & low_bits(bits)))
    }

    pub(crate) fn execute(
        &mut self,
        context: &mut Context<'_>,
        block: &mut Block,
        others: &[Order],
        operation: &Operation,
        mask: Mask,
    ) -> Result<(), Fault> {
        match operation {
            Operation::Sleep { nanos } => {
                let values = self.read(context, block, *nanos, mask)?;
                let longest = lanes_of(mask).map(|lane| values[lane]).max().unwrap_or(0);
                context.nanos += longest;
                context.outcome.slept += longest;
            }
            Operation::Fence => {}
            Operation::ProxyFence => {
                for lane in lanes_of(mask) {
                    let thread = self.thread(lane) as usize;
                    block.fences[thread] = (block.fences[thread].0 + 1, block.epoch);
                }
            }
            Operation::Tensor(tensor) => self.tensor(context, block, others, tensor, mask)?,
            Operation::Shuffle { .. } | Operation::Vote { .. } | Operation::Elect { .. } => {
                self.exchange(context, block, operation, mask)?;
            }
            Operation::Load { .. }
            | Operation::Store { .. }
            | Operation::Atomic { .. }
            | Operation::ToGeneric { .. }
            | Operation::FromGeneric { .. }
            | Operation::LoadArgument { .. }
            | Operation::LoadParameter { .. }
            | Operation::StoreSlot { .. }
            | Operation::LoadSlot { .. }
            | Operation::StoreResult { .. } => self.access(context, block, operation, mask)?,
            Operation::Unpack { parts, a, bits } => {
                let values = self.read(context, block, *a, mask)?;
                for (part, register) in parts.iter().enumerate() {
                    self.write(
                        *register,
                        &each(&values, |value| value >> (part as u32 * bits) & low_bits(*bits)),
                        mask,
                    );
                }
            }
            _ => {
                let (d, values) = self.computed(context, block, operation, mask)?;
                self.write(d, &values, mask);
            }
        }
        Ok(())
    }

    /// Instructions that make one register out of others.
    fn computed(
        &mut self,
        context: &mut Context<'_>,
        block: &Block,
        operation: &Operation,
        mask: Mask,
    ) -> Result<(Register, Lanes), Fault> {
        Ok(match operation {
            Operation::Move { d, a } => (*d, self.read(context, block, *a, mask)?),
            Operation::Pack { d, parts, bits } => {
                let mut packed = [0; LANES];
                for (part, source) in parts.iter().enumerate() {
                    let values = self.cut(context, block, *source, *bits, mask)?;
                    packed = each_two(&packed, &values, |all, value| all | value << (part as u32 * bits));
                }
                (*d, packed)
            }
            Operation::Unary { operation, of, d, a } => {
                (*d, unary(*operation, *of, &self.cut(context, block, *a, of.bits, mask)?)?)
            }
            Operation::Binary { operation, of, d, a, b } => {
                let shift = matches!(operation, Binary::ShiftLeft | Binary::ShiftRight);
                let a = self.cut(context, block, *a, of.bits, mask)?;
                let b = self.cut(context, block, *b, if shift { 32 } else { of.bits }, mask)?;
                (*d, binary(*operation, *of, &a, &b)?)
            }
            Operation::Ternary { operation, of, d, a, b, c } => {
                let wide = if *operation == Ternary::MultiplyAddWide { 2 * of.bits } else { of.bits };
                let a = self.cut(context, block, *a, of.bits, mask)?;
                let b = self.cut(context, block, *b, of.bits, mask)?;
                let c = self.cut(context, block, *c, wide, mask)?;
                (*d, ternary(*operation, *of, &a, &b, &c)?)
            }
            Operation::Insert { d, a, b, place, length } => {
                let (a, b) = (self.read(context, block, *a, mask)?, self.read(context, block, *b, mask)?);
                let place = self.cut(context, block, *place, 8, mask)?;
                let length = self.cut(context, block, *length, 8, mask)?;
                let insert = |lane: usize| {
                    let field = low_bits(length[lane] as u32).checked_shl(place[lane] as u32).unwrap_or(0);
                    b[lane] & !field | a[lane].checked_shl(place[lane] as u32).unwrap_or(0) & field
                };
                (*d, std::array::from_fn(insert))
            }
            Operation::Select { d, a, b, by } => {
                let (a, b) = (self.read(context, block, *a, mask)?, self.read(context, block, *b, mask)?);
                let by = self.predicate(*by, mask)?;
                (*d, std::array::from_fn(|lane| if by >> lane & 1 == 1 { a[lane] } else { b[lane] }))
            }
            Operation::Compare { comparison, of, d, a, b } => {
                let a = self.cut(context, block, *a, of.bits, mask)?;
                let b = self.cut(context, block, *b, of.bits, mask)?;
                (*d, compare(*comparison, *of, &a, &b))
            }
            Operation::Convert { to, from, d, a } => {
                (*d, convert(*to, *from, &self.cut(context, block, *a, from.bits, mask)?))
            }
            other => return unsupported(format!("{other:?}")),
        })
    }
}

fn unary(operation: Unary, of: Type, a: &Lanes) -> Result<Lanes, Fault> {
    let bits = of.bits;
    let sign = 1u64 << (bits - 1);
    Ok(match (operation, of.sort) {
        (Unary::Not, _) => each(a, |a| !a),
        (Unary::Negate, Sort::Float) => each(a, |a| a ^ sign),
        (Unary::Negate, _) => each(a, u64::wrapping_neg),
        (Unary::Absolute, Sort::Float) => each(a, |a| a & !sign),
        (Unary::Absolute, _) => each(a, |a| signed(a, bits).unsigned_abs()),
        (_, Sort::Float) => return unsupported("this instruction on floats"),
        (Unary::Population, _) => each(a, |a| u64::from(a.count_ones())),
        (Unary::LeadingZeros, _) => each(a, |a| u64::from(a.leading_zeros() - (64 - bits))),
        (Unary::Reverse, _) => each(a, |a| a.reverse_bits() >> (64 - bits)),
    })
}

fn float_binary(operation: Binary, of: Type, a: &Lanes, b: &Lanes) -> Result<Lanes, Fault> {
    if of.bits == 32 {
        let both = |compute: fn(f32, f32) -> f32| {
            each_two(a, b, |a, b| u64::from(compute(f32::from_bits(a as u32), f32::from_bits(b as u32)).to_bits()))
        };
        return Ok(match operation {
            Binary::Add => both(|a, b| a + b),
            Binary::Subtract => both(|a, b| a - b),
            Binary::MultiplyLow => both(|a, b| a * b),
            _ => return unsupported("this instruction on floats"),
        });
    }
    let both =
        |compute: fn(f64, f64) -> f64| each_two(a, b, |a, b| compute(f64::from_bits(a), f64::from_bits(b)).to_bits());
    Ok(match operation {
        Binary::Add => both(|a, b| a + b),
        Binary::Subtract => both(|a, b| a - b),
        Binary::MultiplyLow => both(|a, b| a * b),
        _ => return unsupported("this instruction on floats"),
    })
}

fn binary(operation: Binary, of: Type, a: &Lanes, b: &Lanes) -> Result<Lanes, Fault> {
    if of.sort == Sort::Float {
        return float_binary(operation, of, a, b);
    }
    let bits = of.bits;
    let s = |value| signed(value, bits);
    let by_sign = of.signed();
    Ok(match operation {
        Binary::Add => each_two(a, b, u64::wrapping_add),
        Binary::Subtract => each_two(a, b, u64::wrapping_sub),
        Binary::MultiplyWide if by_sign => each_two(a, b, |a, b| s(a).wrapping_mul(s(b)).cast_unsigned()),
        Binary::MultiplyLow | Binary::MultiplyWide => each_two(a, b, u64::wrapping_mul),
        Binary::MultiplyHigh if by_sign => {
            each_two(a, b, |a, b| ((i128::from(s(a)) * i128::from(s(b))) >> bits) as u64)
        }
        Binary::MultiplyHigh => each_two(a, b, |a, b| ((u128::from(a) * u128::from(b)) >> bits) as u64),
        // A division by zero gives all ones, as the hardware's does.
        Binary::Divide if by_sign => each_two(a, b, |a, b| s(a).checked_div(s(b)).map_or(u64::MAX, i64::cast_unsigned)),
        Binary::Divide => each_two(a, b, |a, b| a.checked_div(b).unwrap_or(u64::MAX)),
        Binary::Remainder if by_sign => {
            each_two(a, b, |a, b| s(a).checked_rem(s(b)).map_or(u64::MAX, i64::cast_unsigned))
        }
        Binary::Remainder => each_two(a, b, |a, b| a.checked_rem(b).unwrap_or(u64::MAX)),
        Binary::Minimum if by_sign => each_two(a, b, |a, b| s(a).min(s(b)).cast_unsigned()),
        Binary::Minimum => each_two(a, b, u64::min),
        Binary::Maximum if by_sign => each_two(a, b, |a, b| s(a).max(s(b)).cast_unsigned()),
        Binary::Maximum => each_two(a, b, u64::max),
        Binary::And => each_two(a, b, |a, b| a & b),
        Binary::Or => each_two(a, b, |a, b| a | b),
        Binary::Xor => each_two(a, b, |a, b| a ^ b),
        Binary::ShiftLeft => each_two(a, b, |a, b| a.checked_shl(b as u32).unwrap_or(0)),
        Binary::ShiftRight if by_sign => each_two(a, b, |a, b| (s(a) >> b.min(63)).cast_unsigned()),
        Binary::ShiftRight => each_two(a, b, |a, b| a.checked_shr(b as u32).unwrap_or(0)),
    })
}

/// The value of a table of eight at every bit of three words.
fn logic(table: u8, a: u64, b: u64, c: u64) -> u64 {
    (0..8u32)
        .filter(|row| table >> row & 1 == 1)
        .map(|row| {
            let pick = |word: u64, bit: u32| if row >> bit & 1 == 1 { word } else { !word };
            pick(a, 2) & pick(b, 1) & pick(c, 0)
        })
        .fold(0, |all, row| all | row)
}

/// Four bytes out of eight, chosen by the low three bits of each selector; its fourth bit spreads the sign.
fn permute(a: u64, b: u64, selector: u64) -> u64 {
    let bytes = (a | b << 32).to_le_bytes();
    (0..4).fold(0, |word, place| {
        let choice = selector >> (4 * place) & 15;
        let byte = bytes[(choice & 7) as usize];
        let byte = if choice & 8 == 0 { byte } else { (byte.cast_signed() >> 7).cast_unsigned() };
        word | u64::from(byte) << (8 * place)
    })
}

fn ternary(operation: Ternary, of: Type, a: &Lanes, b: &Lanes, c: &Lanes) -> Result<Lanes, Fault> {
    let bits = of.bits;
    Ok(match (operation, of.sort) {
        (Ternary::Fused, Sort::Float) if bits == 32 => each_three(a, b, c, |a, b, c| {
            let [a, b, c] = [a, b, c].map(|value| f32::from_bits(value as u32));
            u64::from(a.mul_add(b, c).to_bits())
        }),
        (Ternary::Fused, Sort::Float) => {
            each_three(a, b, c, |a, b, c| f64::from_bits(a).mul_add(f64::from_bits(b), f64::from_bits(c)).to_bits())
        }
        (Ternary::Fused, _) | (_, Sort::Float) => return unsupported("this instruction on this type"),
        (Ternary::MultiplyAddWide, Sort::Signed) => {
            each_three(a, b, c, |a, b, c| signed(a, bits).wrapping_mul(signed(b, bits)).cast_unsigned().wrapping_add(c))
        }
        (Ternary::MultiplyAddLow | Ternary::MultiplyAddWide, _) => {
            each_three(a, b, c, |a, b, c| a.wrapping_mul(b).wrapping_add(c))
        }
        (Ternary::Logic(table), _) => each_three(a, b, c, |a, b, c| logic(table, a, b, c)),
        (Ternary::Permute, _) => each_three(a, b, c, permute),
        (Ternary::FunnelLeft, _) => each_three(a, b, c, |a, b, c| ((b << 32 | a) << (c & 31)) >> 32),
        (Ternary::FunnelRight, _) => each_three(a, b, c, |a, b, c| (b << 32 | a) >> (c & 31)),
        (Ternary::Extract, _) => {
            each_three(a, b, c, |a, b, c| a.checked_shr((b & 255) as u32).unwrap_or(0) & low_bits((c & 255) as u32))
        }
    })
}

fn compare(comparison: Comparison, of: Type, a: &Lanes, b: &Lanes) -> Lanes {
    let holds = |ordering: Option<std::cmp::Ordering>| -> bool {
        match comparison {
            Comparison::Equal => ordering.is_some_and(std::cmp::Ordering::is_eq),
            Comparison::Unequal => ordering.is_some_and(std::cmp::Ordering::is_ne),
            Comparison::Less => ordering.is_some_and(std::cmp::Ordering::is_lt),
            Comparison::LessOrEqual => ordering.is_some_and(std::cmp::Ordering::is_le),
            Comparison::Greater => ordering.is_some_and(std::cmp::Ordering::is_gt),
            Comparison::GreaterOrEqual => ordering.is_some_and(std::cmp::Ordering::is_ge),
        }
    };
    let bits = of.bits;
    match of.sort {
        Sort::Float => each_two(a, b, |a, b| u64::from(holds(float(a, bits).partial_cmp(&float(b, bits))))),
        Sort::Signed => each_two(a, b, |a, b| u64::from(holds(Some(signed(a, bits).cmp(&signed(b, bits)))))),
        Sort::Bits | Sort::Predicate => each_two(a, b, |a, b| u64::from(holds(Some(a.cmp(&b))))),
    }
}

fn convert(to: Type, from: Type, a: &Lanes) -> Lanes {
    let narrow = |value: u64| {
        if to.signed() { signed(value & low_bits(to.bits), to.bits).cast_unsigned() } else { value & low_bits(to.bits) }
    };
    match (to.sort, from.sort) {
        (Sort::Float, Sort::Float) if to.bits == 32 => each(a, |a| u64::from((float(a, from.bits) as f32).to_bits())),
        (Sort::Float, Sort::Float) => each(a, |a| float(a, from.bits).to_bits()),
        (Sort::Float, Sort::Signed) if to.bits == 32 => each(a, |a| u64::from((signed(a, from.bits) as f32).to_bits())),
        (Sort::Float, _) if to.bits == 32 => each(a, |a| u64::from((a as f32).to_bits())),
        (Sort::Float, Sort::Signed) => each(a, |a| (signed(a, from.bits) as f64).to_bits()),
        (Sort::Float, _) => each(a, |a| (a as f64).to_bits()),
        (Sort::Signed, Sort::Float) => each(a, |a| narrow((float(a, from.bits) as i64).cast_unsigned())),
        (_, Sort::Float) => each(a, |a| narrow(float(a, from.bits) as u64)),
        (_, Sort::Signed) => each(a, |a| narrow(signed(a, from.bits).cast_unsigned())),
        _ => each(a, narrow),
    }
}
