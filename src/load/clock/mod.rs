//! The SM clock of a GPU held at one frequency while a load runs, and given back whatever becomes of the load.
//!
//! The driver keeps a locked clock until it is reset, the driver is unloaded or the machine starts again; a GPU whose clock stays
//! locked would be slow for whoever comes next. So a process of its own locks it, the holder, and gives it back when the pipe from
//! the worker closes, however the worker came to its end. What runs at that clock is the load's business.

mod hold;
mod holder;
mod library;

pub(crate) use hold::ClockHold;
pub(crate) use holder::become_holder_if_asked;
