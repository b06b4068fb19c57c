//! The inside of a worker process: the protocol it speaks, the lease it holds, and the loop around whatever does the
//! work. The work itself is an [`Engine`]'s.

mod engine;
mod injection;
mod main_loop;
mod pipe;
mod protocol;
mod variant;

pub use engine::Engine;
pub use injection::{Injection, ParseInjectionError};
pub use main_loop::main;
pub(crate) use pipe::monotonic_nanos;
pub use pipe::{Cause, Pipe};
pub use protocol::{Device, FromWorker, LineError, ToWorker, VERSION, WorkOrder, decode, encode};
pub use variant::{Beside, Images, MarchPattern, MarchWork, Variant};
