//! Stands in until the diagnosis lands.
use crate::event::{Finding, RunRecord};
use crate::model::{GpuIndex, Inventory, KernelRecord};
pub fn findings(_: &RunRecord) -> Vec<Finding> {
    Vec::new()
}
pub fn failing_xid(_: &KernelRecord, _: &Inventory) -> Option<(GpuIndex, String)> {
    None
}
