//! The inside of a worker process: the protocol it speaks, the lease it holds, and the loop around whatever does the
//! work. The work itself is an [`Engine`]'s.

mod engine;
mod floor;
mod injection;
mod main_loop;
mod protocol;

pub use engine::Engine;
pub(crate) use floor::monotonic_nanos;
pub use floor::{Cause, Floor};
pub use injection::{Injection, ParseInjectionError};
pub use main_loop::main;
pub use protocol::{Device, FromWorker, LineError, ToWorker, VERSION, WorkOrder, decode, encode};
