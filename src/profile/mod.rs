//! Profiles: what to run and what is acceptable, as meant, with the catalogue of checks they may use.
//!
//! [`resolve()`] reads a file and its parents (`inherit`), replaces variables (`vars`), decodes and checks everything
//! (`decode`, `stage`, `params`, `limits`, `guard`, `waiver`) and finds all mistakes at once, each with its place.
//! [`explain()`] says where each value came from, [`json_schema`] describes the grammar to editors, [`Skus`] reads what is
//! known of GPU models. What runs on one particular node is for `plan`.

mod again;
pub mod builtin;
mod catalogue;
mod decode;
mod explain;
mod facts;
mod guard;
mod inherit;
mod leave_out;
mod limits;
mod params;
mod parts_list;
mod resolve;
mod resolved;
mod schema;
mod sku;
mod sku_draft;
mod sku_file;
mod stage;
mod vars;
mod waiver;
mod warning;

pub use catalogue::{Catalogue, CheckSpec, MeasurementSpec, ParamKind, ParamSpec, ParamValue, Params, ValueKind, Wear};
pub use explain::{Explained, Explanation, Origin, explain};
pub use facts::{FACTS, FactSpec, KERNELS};
pub use inherit::ReadFile;
pub use parts_list::{GpuParts, PARTS_SCHEMA, PartsList, PartsListError, parts_schema};
pub use resolve::{Request, digest_of, resolve};
pub use resolved::{
    Capability, Deviation, Guard, GuardResult, GuardScope, GuardStop, LEAST_READINGS, Loop, OnUnmet, Policy, Profile,
    Retry, RetryOn, Stage, Step, Telemetry, Then, Trigger, Waiver,
};
pub use schema::json_schema;
pub use sku::{Fact, PciId, Sku, Skus};
pub use sku_draft::{SkuDraftError, sku_draft};
pub use stage::{component_kind, old_component_word};
pub use warning::warnings;
