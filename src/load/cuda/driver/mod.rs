//! The CUDA driver, opened at run time: its functions as declared by its own header, its errors with what to do about
//! them, and the few things made of it: GPUs with their context, memory, streams, events, kernels.
//!
//! All `unsafe` of the CUDA side is here. What is run on it is left to `drive`.

mod error;
mod gpu;
mod image;
mod launch;
mod memory;
mod stream;
mod symbols;

pub use error::DriverError;
pub(crate) use error::OUT_OF_MEMORY;
pub use gpu::{Architecture, Gpu, PeerReach};
pub use image::{Image, images_for};
pub use launch::{Grid, Kernel};
pub use memory::{Buffer, HostBuffer};
pub use stream::{Event, Stream};
pub use symbols::{Driver, LIBRARY_VARIABLE, library_name};
