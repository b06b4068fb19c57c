//! An interpreter of PTX, NVIDIA's assembly for GPUs, so that the burn and memory kernels can be executed in tests where
//! there is no GPU.
//!
//! It covers what those kernels use and refuses everything else. `lexer`, `parser` and `decode` turn text into the
//! `instruction` set; `machine` schedules the warps of all blocks of a launch in an order drawn from a seed; `warp` executes
//! one instruction for up to 32 lanes. It is stricter than a GPU: an access out of bounds or out of alignment, a read of
//! a register or of memory that nobody wrote, a race between threads, a missing fence before an asynchronous product, or lanes
//! that miss an instruction of their whole warp end the launch with a [`Fault`].
//!
//! Fragments, descriptors and swizzles follow the PTX ISA 8.8, sections "Matrix multiply-accumulate", "Asynchronous
//! warpgroup level matrix" and "Tensorcore 5th generation". What is not modelled: timing, caches, and what ptxas makes of the text.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "numbers of tests and stand-ins are small, or words that are taken as they are"
)]

mod access;
mod alu;
mod asynchronous;
mod decode;
mod decode_tensor;
mod fault;
mod flow;
mod instruction;
mod lanes;
mod lexer;
mod machine;
mod matrix;
mod memory;
mod names;
mod number;
mod operand_matrix;
mod parser;
mod random;
mod tensor_memory;
mod warp;

pub use fault::{Fault, Kind};
pub use machine::{Grid, Machine, Outcome};
pub use memory::Global;
pub use parser::{Function, Module};
