//! A CUDA driver without a GPU: the calls that Kiln makes, on memory of the host, with each kernel run by its CPU reference.
//!
//! It is opened in the place of `libcuda.so.1` by naming it in `KILN_CUDA_LIB`. What it pretends, and what goes wrong, is
//! set by `KILN_FAKE_CUDA_…` variables; see `world`.
#![expect(clippy::disallowed_methods, reason = "a stand-in for hardware: it has a clock of its own and takes its time")]

mod bench;
mod calls;
mod kernels;
mod queue;
mod world;
