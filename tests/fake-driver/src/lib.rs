//! NVIDIA's driver without a GPU, in one shared library: it exports what `libnvidia-ml.so.1` does, answered by Kiln's
//! simulated node (`nvml`), and what Kiln calls of `libcuda.so.1`, on memory of the host, each kernel run by its CPU
//! reference (`cuda`). Tests name the one file in `KILN_NVML_LIB` and in `KILN_CUDA_LIB`.
//!
//! The real two are of one node and live in different processes: the management library in the run, the CUDA driver in
//! each worker. So do these, and `shared` is the one state they have in common: a folder, where `KILN_FAKE_BENCH` names
//! one. Without it the management library's node carries no load, and the driver is as `KILN_FAKE_CUDA_…` says.
//!
//! It can never be taken for a real driver: its version and every part number end in `SIM`.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "numbers of tests and stand-ins are small, or words that are taken as they are"
)]

mod cuda;
mod nvml;
mod shared;
