#![doc = include_str!("ARCHITECTURE.md")]

pub mod diagnose;
pub mod model;
