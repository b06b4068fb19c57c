//! Profiles: what to run and what is acceptable, as meant, with the catalogue of checks they may use.
//!
//! What runs on one particular node is for `plan`.

mod catalogue;
mod resolved;
mod sku;

pub use catalogue::{Catalogue, CheckSpec, MeasurementSpec, ParamKind, ParamSpec, ParamValue, Params, ValueKind, Wear};
pub use resolved::{
    Capability, Deviation, Guard, GuardResult, GuardScope, GuardStop, Loop, OnUnmet, Policy, Profile, Retry, RetryOn,
    Stage, Step, Telemetry, Then, Trigger, Waiver,
};
pub use sku::{Fact, PciId, Sku, Skus};
