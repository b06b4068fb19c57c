//! `fabric.state`: whether every GPU is registered with its NVLink fabric, and the same one.

use std::collections::BTreeMap;

use super::declare::{flag, may, required, text};
use super::look::{LOOK, Look};
use super::sheet::{Gauged, Sheet};
use super::{Check, CheckRun, Done, StepContext, Subject};
use kiln_model::{Component, ComponentKind, Fabric, FabricState as Registration, Inventory, Reading, Unit};
use kiln_profile::{CheckSpec, MeasurementSpec};

#[derive(Debug)]
pub(super) struct FabricState;

const GPU: ComponentKind = ComponentKind::Gpu;

pub(super) static SPEC: CheckSpec = CheckSpec {
    name: "fabric.state",
    summary: "Reads each GPU's registration with the NVLink fabric: state, status, cluster, clique, health.",
    details: "Reads the inventory anew. NVLinks may be active while the fabric is not ready, and every GPU by itself looks \
              healthy then. Cluster and clique are compared over the GPUs; a cluster id of zeros is normal on boards that \
              are a fabric by themselves; `cluster.valid` judges it on models that belong to a rack. The health mask holds 2-bit fields, of which 1 \
              means bad and 2 good. A registration that is in progress shortly after boot is healthy; retry the step.",
    params: &[],
    measurements: MEASUREMENTS,
    each: &[GPU],
    ..LOOK
};

static MEASUREMENTS: &[MeasurementSpec] = &[
    required(text("state", GPU, "not-started, in-progress or completed")),
    may("status", Unit::One, GPU, "status of the registration; 0 is success"),
    flag("cluster.set", GPU, "whether the cluster id is other than zeros"),
    flag("cluster.valid", GPU, "whether the cluster id is other than zeros where the model belongs to a rack's fabric"),
    flag("cluster.uniform", GPU, "whether cluster and clique are those of most GPUs"),
    may("health.bad", Unit::One, GPU, "fields of the health mask that say bad"),
    text("health", GPU, "the health mask"),
];

impl Check for FabricState {
    fn spec(&self) -> &'static CheckSpec {
        &SPEC
    }

    fn subject(&self) -> Subject {
        Subject::Condition
    }

    fn begin(&self, _: &StepContext<'_>) -> Box<dyn CheckRun> {
        Box::new(Look::Inventory(measure))
    }
}

fn measure(context: &StepContext<'_>, found: &Inventory) -> Done {
    let mut sheet = Sheet::new(&SPEC, context.lost);
    let mut counts: BTreeMap<(&str, u32), usize> = BTreeMap::new();
    for fabric in found.gpus.iter().filter_map(|gpu| gpu.fabric.value()) {
        *counts.entry((fabric.cluster_uuid.as_str(), fabric.clique)).or_default() += 1;
    }
    let registered: usize = counts.values().sum();
    let usual = counts.iter().find(|(_, count)| **count * 2 > registered).map(|(place, _)| *place);
    for index in context.gpus() {
        let component = Component::Gpu(index);
        let fabric = match found.gpu(index) {
            Some(gpu) => &gpu.fabric,
            None => &Reading::Failed(kiln_model::ReadingFailure::Lost),
        };
        let put = |sheet: &mut Sheet<'_>, name: &str, value: &dyn Fn(&Fabric) -> Gauged| {
            sheet.put(name, component, Gauged::of(fabric, value));
        };
        put(&mut sheet, "state", &|fabric| Gauged::Text(shown(fabric.state).to_owned()));
        put(&mut sheet, "status", &|fabric| Gauged::once(f64::from(fabric.status)));
        let set = |fabric: &Fabric| Gauged::Flag(fabric.cluster_uuid.bytes().any(|byte| !matches!(byte, b'0' | b'-')));
        put(&mut sheet, "cluster.set", &set);
        let rack = context.skus.get(&index).and_then(|sku| sku.fact("fabric.rack"));
        let valid = |fabric: &Fabric| match rack {
            Some(rack) if rack.value > 0.0 => set(fabric),
            _ => Gauged::Unsupported,
        };
        put(&mut sheet, "cluster.valid", &valid);
        put(&mut sheet, "cluster.uniform", &|fabric| {
            Gauged::Flag(usual == Some((fabric.cluster_uuid.as_str(), fabric.clique)))
        });
        put(&mut sheet, "health.bad", &|fabric| {
            Gauged::of(&fabric.health_mask, |mask| Gauged::count(bad_fields(*mask)))
        });
        put(&mut sheet, "health", &|fabric| Gauged::of(&fabric.health_mask, |mask| Gauged::Text(format!("{mask:#x}"))));
    }
    Done::Measured(sheet.into_list())
}

const fn shown(state: Registration) -> &'static str {
    match state {
        Registration::NotStarted => "not-started",
        Registration::InProgress => "in-progress",
        Registration::Completed => "completed",
    }
}

/// Two-bit fields from the lowest on (degraded bandwidth, route recovery, route unhealthy, access timeout): 1 is bad, 2 is
/// good, 0 does not apply. From bit 8 on stands a number that says which configuration is incorrect: 0 does not apply, 1
/// is none, anything else is one. NVML's `nvmlGpuFabricInfoV` health mask.
fn bad_fields(mask: u32) -> usize {
    let flags = (0..4).filter(|field| mask >> (2 * field) & 0b11 == 1).count();
    flags + usize::from((mask >> 8 & 0xf) > 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rig::{Rig, assert_complete, lines, shown};

    fn fabric(uuid: &str, mask: u32) -> Reading<Fabric> {
        Reading::Value(Fabric {
            state: Registration::Completed,
            status: 0,
            cluster_uuid: uuid.to_owned(),
            clique: 1,
            health_mask: Reading::Value(mask),
        })
    }

    #[test]
    fn a_registered_node_is_uniform_and_0xaa_is_good() {
        let mut rig = Rig::new(&FabricState, 3);
        for gpu in &mut rig.inventory.gpus {
            gpu.fabric = fabric("00000000-0000-0000-0000-000000000000", 0xaa);
        }
        rig.inventory.gpus[1].fabric = fabric("5a-1", 0x9a);
        let done = rig.run(&FabricState);
        assert_complete(&SPEC, &done, &rig.components);
        insta::assert_snapshot!(lines(&done, Component::gpu(0)), @r"
        state completed
        status 0
        cluster.set false
        cluster.valid unsupported
        cluster.uniform true
        health.bad 0
        health 0xaa
        ");
        assert_eq!(shown(&done, Component::gpu(1), "cluster.uniform"), "false");
        assert_eq!(shown(&done, Component::gpu(1), "health.bad"), "1");
    }

    #[test]
    fn a_cluster_id_of_zeros_is_wrong_where_the_model_belongs_to_a_rack() {
        let mut rig = Rig::new(&FabricState, 2);
        let rack = kiln_profile::Fact { value: kiln_model::Quantity::new(1.0, Unit::One), source: String::new() };
        rig.sku.facts.insert("fabric.rack".to_owned(), rack);
        rig.inventory.gpus[0].fabric = fabric("00000000-0000-0000-0000-000000000000", 0xaa);
        rig.inventory.gpus[1].fabric = fabric("5a-1", 0xaa);
        let done = rig.run(&FabricState);
        assert_eq!(shown(&done, Component::gpu(0), "cluster.valid"), "false");
        assert_eq!(shown(&done, Component::gpu(1), "cluster.valid"), "true");
    }

    #[test]
    fn a_part_without_fabric_has_no_state() {
        let mut rig = Rig::new(&FabricState, 1);
        let done = rig.run(&FabricState);
        assert_eq!(shown(&done, Component::gpu(0), "state"), "unsupported");
    }
}
