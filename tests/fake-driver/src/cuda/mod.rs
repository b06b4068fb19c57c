//! The CUDA driver: the calls that Kiln makes, on memory of the host, with each kernel run by its CPU reference.
//!
//! What it pretends, and what goes wrong, is set by `KILN_FAKE_CUDA_…` variables; see `world`.
#![expect(unsafe_code, reason = "this is the foreign side of a C interface")]
#![expect(unreachable_pub, reason = "every function is found by its name in the library, not by a path")]
#![allow(
    clippy::pedantic,
    clippy::undocumented_unsafe_blocks,
    reason = "functions and their arguments are as the header of the C interface has them"
)]
#![expect(clippy::disallowed_methods, reason = "a stand-in for hardware: it has a clock of its own and takes its time")]

mod calls;
mod kernels;
mod queue;
mod seat;
mod world;
