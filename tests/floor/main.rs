//! The floor and its agents as they are: two programs, TCP on loopback, simulated nodes.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "numbers of tests and stand-ins are small, or words that are taken as they are"
)]

mod alone;
mod bench;
mod browser;
mod building;
mod chaos;
mod cluster;
mod four_eyes;
mod mes;
mod nats;
mod outlier;
mod page;
mod parts;
mod postgres;
mod power_cycle;
mod prepared;
mod reindex;
mod rollout;
mod rules;
mod secure;
mod simulated;
mod skeleton;
