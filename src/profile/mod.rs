//! Profiles: what to run and what is acceptable, as meant, with the catalogue of checks they may use.
//!
//! What runs on one particular node is for `plan`.

pub mod builtin;
mod catalogue;
mod decode;
mod facts;
mod guard;
mod inherit;
mod limits;
mod params;
mod resolve;
mod resolved;
mod sku;
mod sku_file;
mod stage;
mod vars;
mod waiver;

pub use catalogue::{Catalogue, CheckSpec, MeasurementSpec, ParamKind, ParamSpec, ParamValue, Params, ValueKind, Wear};
pub use facts::{FACTS, FactSpec};
pub use inherit::ReadFile;
pub use resolve::{Request, resolve};
pub use resolved::{
    Capability, Deviation, Guard, GuardResult, GuardScope, GuardStop, Loop, OnUnmet, Policy, Profile, Retry, RetryOn,
    Stage, Step, Telemetry, Then, Trigger, Waiver,
};
pub use sku::{Fact, PciId, Sku, Skus};
