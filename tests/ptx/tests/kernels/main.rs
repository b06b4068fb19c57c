//! The kernels' PTX, executed: what every kernel of every image computes is what the references in plain Rust say, in
//! whatever order its warps run, and a kernel that is spoiled on purpose is noticed.
//!
//! The images' cubins are assembled from this very text (`ci/kernels`). What ptxas makes of it and what a GPU does is not
//! shown here.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "numbers of tests and stand-ins are small, or words that are taken as they are"
)]

/// What kernels and host share, and what kernels must compute: the program's own sources, without the rest of it.
#[expect(unreachable_pub, unused_imports, reason = "the program uses the rest, and makes it public")]
#[path = "../../../../src/load/cuda"]
mod cuda {
    pub(crate) mod layout;
    pub(crate) mod reference;
}

mod burns;
mod duty;
mod entries;
mod images;
mod memory;
mod rig;
mod spoiled;
mod spoiled_memory;
