//! What each kernel computes, in plain Rust: the specification the kernels are held to, and what stands in for them where
//! there is no GPU. Nothing here is fast.

mod burn;
mod memory;
mod number;

pub use burn::{Units, burn, golden, golden_f64, steps_while_exact};
pub use memory::{chase, checksum, march, pattern_word};
pub use number::{element_bits, element_e4m3, element_float, element_int, mix};
