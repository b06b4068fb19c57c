//! Shipped profiles on simulated nodes, healthy and with faults: what must pass passes, what must be caught is caught, and
//! the right component is named. Seeds are fixed; a failure prints the seed that made it.

mod drill;
mod driver_calls;
mod faults;
mod field_log;
mod healthy;
mod japanese;
mod meanwhile;
mod models;
mod ports;
#[path = "../it/refusing.rs"]
mod refusing;
mod resume;
mod screen;
mod sources;
mod taken_up;
mod trial;
mod unread;
mod variants;
mod withheld;
mod wrong_part;
