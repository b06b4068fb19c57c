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

/// An exact element where accumulators keep few bits. A tile of B is the difference of two neighbours in a ring of smaller
/// integers, as many as there are tiles: in a turn of all tiles every element adds up to nothing, and sums never grow.
pub(super) const fn element_ring(seed: u64, limit: u32, tiles: u32, matrix: u32, row: u32, column: u32) -> i32 {
    // One tile has no neighbour.
    if matrix == 0 || tiles == 1 {
        return element_int(element_bits(seed, matrix, row, column), limit);
    }
    let next = if matrix == tiles { 1 } else { matrix + 1 };
    element_int(element_bits(seed, matrix, row, column), limit / 2)
        - element_int(element_bits(seed, next, row, column), limit / 2)
}

/// A float of which the neighbours in its matrix, and the same place of the next tile, are complements: of each pair of tiles
/// in every bit, between pairs in sign or exponent. The exponents 127 and 128 are each other's complement, so that sizes
/// stay from 1 to 4; pairs of tiles differ in sign by turns, or sums would run away.
pub(super) const fn element_toggling(seed: u64, matrix: u32, row: u32, column: u32) -> f32 {
    let pair = matrix.div_ceil(2);
    let word = 0x3F80_0000 | (element_bits(seed, pair, row, column) as u32 & 0x007F_FFFF);
    let odd = (row ^ column ^ (matrix & 1)).count_ones() % 2 == 1;
    f32::from_bits((if odd { !word } else { word }) ^ pair << 31)
}

/// The random value in e4m3: sign, four bits of exponent with bias 7, three of mantissa; exponent -2 to 1.
pub fn element_e4m3(bits: u64) -> f32 {
    of_e4m3((bits as u32 & 0x87) | ((5 + ((bits >> 32) as u32 & 3)) << 3))
}

/// The toggling value in e4m3: its sign, the exponent 7 for 127 and 8 for 128, the upper bits of its mantissa.
pub(super) fn toggling_e4m3(value: f32) -> f32 {
    let word = value.to_bits();
    let exponent = if word >> 30 & 1 == 1 { 0x40 } else { 0x38 };
    of_e4m3(word >> 31 << 7 | exponent | word >> 20 & 7)
}

fn of_e4m3(code: u32) -> f32 {
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
    fn a_turn_of_all_tiles_of_the_ring_adds_up_to_nothing() {
        for tiles in 2..=4 {
            for (row, column) in (0..128).flat_map(|row| [(row, 0), (row, 77), (row, 255)]) {
                let turn: Vec<i32> = (1..=tiles).map(|tile| element_ring(9, 2, tiles, tile, row, column)).collect();
                assert!(turn.iter().sum::<i32>() == 0 && turn.iter().all(|element| element.abs() <= 2), "{turn:?}");
            }
        }
        let zeros = (0..300).filter(|column| element_ring(9, 2, 4, 1, 5, *column) == 0).count();
        assert!(zeros < 150, "{zeros} of 300 are zero");
    }

    #[test]
    fn toggling_operands_are_the_complement_of_their_neighbours() {
        let word = |matrix, row, column| element_toggling(9, matrix, row, column).to_bits();
        for (row, column) in (0..64).flat_map(|row| [(row, 0), (row, 77), (row, 255)]) {
            // In every bit from the first tile of a pair to its second, and in the exponent everywhere.
            assert_eq!(word(1, row, column), !word(2, row, column));
            assert_eq!(word(3, row, column), !word(4, row, column));
            for matrix in 0..5 {
                let here = word(matrix, row, column);
                assert!((1.0..4.0).contains(&f32::from_bits(here).abs()));
                for other in [word(matrix, row ^ 1, column), word(matrix, row, column ^ 1)] {
                    assert_eq!((here ^ other) & 0xFF80_0000, 0xFF80_0000, "sign and exponent");
                }
                let eight = toggling_e4m3(f32::from_bits(here));
                assert_eq!(eight.to_bits(), here & 0xFFF0_0000, "the same with three bits of mantissa");
            }
        }
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
