//! Shipped profiles on simulated nodes, healthy and with faults: what must pass passes, what must be caught is caught, and
//! the right component is named. Seeds are fixed; a failure prints the seed that made it.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "numbers of tests and stand-ins are small, or words that are taken as they are"
)]

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
mod shared_cause;
mod sources;
mod taken_up;
mod trial;
mod unread;
mod variants;
mod withheld;
mod wrong_part;
mod zones;
