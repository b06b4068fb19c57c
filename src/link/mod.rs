//! An agent's contact with the world: the spool on its disk, its calls to the floor, and its runs, each a process.
//!
//! What is to be done next is for `kiln_agent`; here it is carried out. An agent may be killed at any moment: whatever it
//! must know afterwards was written before it was acted upon, and its runs are processes of their own that go on.

mod client;
mod drive;
mod identity;
mod lists;
mod memory;
mod programs;
mod spool;
mod supervised;
#[cfg(test)]
mod tests_programs;

pub use kiln_agent::Being;

pub use client::{Client, FloorUrlError};
pub use drive::{Clock, End, Program, Settings, drive};
pub use identity::{Identity, IdentityError};
pub use memory::in_memory;
pub use programs::{Launch, Programs, STARTED_AS, Trial};
pub use spool::{Spool, SpoolError};
pub use supervised::{SOCKET_VARIABLE, Supervised, WATCHDOG_VARIABLE};
