//! The work itself: our kernels on a GPU through the driver alone, opened at run time.
//!
//! `reference` is the specification of the kernels; `layout` is what host and kernels share; `driver` is the driver's own
//! interface and the few things made of it; `drive` has one driver for each kind of load. Talking to whoever ordered a
//! load is left to `worker`.

mod drive;
pub mod driver;
mod engine;
mod holders;
pub mod layout;
pub mod reference;

pub use drive::products_in_a_result;
pub use engine::{Closeness, CudaEngine, Looked};
