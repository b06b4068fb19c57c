//! The hash from which operands and patterns come, and the numbers made of it.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    reason = "sizes and places in memory are 64 bits wide on every host with a GPU, and rates are floats of counts"
)]

/// The finaliser of splitmix64 (Steele, Lea, Flood 2014).
pub const fn mix(x: u64) -> u64 {
    let mut x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// Bits that decide an element of a matrix: matrix 0 is A, the tiles of B follow.
pub const fn element_bits(seed: u64, matrix: u32, row: u32, column: u32) -> u64 {
    mix(seed ^ ((matrix as u64) << 48) ^ ((row as u64) << 24) ^ column as u64)
}

/// Zero-mean integers from -limit to limit.
pub const fn element_int(bits: u64, limit: u32) -> i32 {
    ((bits >> 32) % (2 * limit as u64 + 1)) as i32 - limit as i32
}

/// A random sign and mantissa with an exponent from -2 to 1.
pub const fn element_float(bits: u64) -> f32 {
    f32::from_bits((bits as u32 & 0x807F_FFFF) | ((125 + ((bits >> 32) as u32 & 3)) << 23))
}

/// The random value in e4m3: sign, four bits of exponent with bias 7, three of mantissa; exponent -2 to 1.
pub fn element_e4m3(bits: u64) -> f32 {
    let code = (bits as u32 & 0x87) | ((5 + ((bits >> 32) as u32 & 3)) << 3);
    let exponent = i32::try_from(code >> 3 & 15).unwrap_or(0) - 7;
    let size = (1.0 + (code & 7) as f32 / 8.0) * 2f32.powi(exponent);
    if code & 0x80 == 0 { size } else { -size }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_splitmix64() {
        // First outputs of the published generator seeded with 0 and with 1234567.
        assert_eq!(mix(0), 0xE220_A839_7B1D_CDAF);
        assert_eq!(mix(1_234_567), 6_457_827_717_110_365_317);
    }

    #[test]
    fn operands_have_no_mean_and_stay_in_range() {
        let bits = (0..10_000).map(|column| element_bits(7, 1, 3, column));
        let (mut whole, mut float, mut eight) = (0i64, 0.0f64, 0.0f64);
        for bits in bits {
            assert!((-8..=8).contains(&element_int(bits, 8)));
            assert!((0.25..4.0).contains(&element_float(bits).abs()));
            assert!((0.25..4.0).contains(&element_e4m3(bits).abs()));
            whole += i64::from(element_int(bits, 8));
            float += f64::from(element_float(bits));
            eight += f64::from(element_e4m3(bits));
        }
        assert!(whole.abs() < 1500 && float.abs() < 500.0 && eight.abs() < 500.0, "{whole} {float} {eight}");
    }
}
