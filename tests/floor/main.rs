//! The floor and its agents as they are: two programs, TCP on loopback, simulated nodes.

mod bench;
mod browser;
mod building;
mod chaos;
mod mes;
mod page;
mod rules;
mod secure;
mod simulated;
mod skeleton;
