#![doc = include_str!("ARCHITECTURE.md")]

pub mod check;
pub mod cli;
pub mod diagnose;
pub mod drill;
pub mod engine;
pub mod event;
pub mod journal;
pub mod limit;
pub mod model;
pub mod node;
pub mod plan;
pub mod profile;
pub mod report;
pub mod yaml;
