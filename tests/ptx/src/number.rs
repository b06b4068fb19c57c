//! The small floats of tensor units, and rounding to fewer bits.

use crate::instruction::Element;

/// A float of `exponent` and `mantissa` bits without infinities, as its value.
fn small(code: u32, exponent: u32, mantissa: u32) -> f64 {
    let bias = (1 << (exponent - 1)) - 1;
    let field = (code >> mantissa) & ((1 << exponent) - 1);
    let fraction = f64::from(code & ((1 << mantissa) - 1)) / f64::from(1u32 << mantissa);
    let size = if field == 0 {
        fraction * 2f64.powi(1 - bias)
    } else {
        (1.0 + fraction) * 2f64.powi(field.cast_signed() - bias)
    };
    if code >> (exponent + mantissa) & 1 == 0 { size } else { -size }
}

pub(crate) fn value(element: Element, code: u32) -> f64 {
    match element {
        Element::Bf16 => f64::from(f32::from_bits(code << 16)),
        Element::F16 if code & 0x7C00 == 0x7C00 => f64::NAN,
        Element::F16 => small(code, 5, 10),
        // Only one code of each sign is not a number (OCP 8-bit floating point specification, table 1).
        Element::E4m3 if code & 0x7F == 0x7F => f64::NAN,
        Element::E4m3 => small(code, 4, 3),
        Element::E5m2 if code & 0x7C == 0x7C => f64::NAN,
        Element::E5m2 => small(code, 5, 2),
    }
}

/// Reads elements that lie one after the other.
pub(crate) fn values(element: Element, bytes: &[u8]) -> Vec<f64> {
    if element.bytes() == 1 {
        return bytes.iter().map(|byte| value(element, u32::from(*byte))).collect();
    }
    bytes.chunks_exact(2).map(|pair| value(element, u32::from(u16::from_le_bytes([pair[0], pair[1]])))).collect()
}

/// The sum an accumulator holds: a f32, or one that keeps only so many significant bits and drops the rest.
pub(crate) fn accumulated(sum: f64, bits: Option<u32>) -> f32 {
    let Some(bits) = bits else { return sum as f32 };
    if sum == 0.0 || !sum.is_finite() {
        return sum as f32;
    }
    let drop = 53u32.saturating_sub(bits);
    f64::from_bits(sum.to_bits() >> drop << drop) as f32
}
