//! The floor and its agents as they are: two programs, TCP on loopback, simulated nodes.

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
mod postgres;
mod prepared;
mod reindex;
mod rollout;
mod rules;
mod secure;
mod simulated;
mod skeleton;
