//! What a run will not judge, told before it begins: limits and guards on readings that driver or part do not offer.

use std::collections::BTreeMap;

use super::{BlindSpot, PlannedStep, Readiness};
use kiln_model::{Gpu, GpuIndex, Inventory, Lacking, Reading, Sensor, Unit};
use kiln_profile::{KERNELS, Profile, Sku, Trigger};

/// One for each reading that some GPU or the node lacks and something of the plan is judged by.
pub(super) fn blind_spots(
    profile: &Profile,
    inventory: &Inventory,
    skus: &BTreeMap<GpuIndex, Sku>,
    steps: &[&PlannedStep],
) -> Vec<BlindSpot> {
    let unloaded = |gpu: GpuIndex| skus.get(&gpu).and_then(|sku| sku.fact_in(KERNELS, Unit::One)) == Some(0.0);
    let spot = |lacking: Lacking| {
        let lacks = |gpu: &&Gpu| gpu.lacks.contains(&lacking) || (lacking == Lacking::Kernels && unloaded(gpu.index));
        let gpus: Vec<GpuIndex> = inventory.gpus.iter().filter(lacks).map(|gpu| gpu.index).collect();
        let guards = profile.guards.iter().filter(|guard| watches(&guard.trigger, lacking));
        let ready = steps.iter().filter(|step| step.readiness == Readiness::Ready);
        let limits = ready.flat_map(|step| {
            let hidden = step.step.limits.keys().filter(move |name| hides(lacking, &step.step.check, name));
            hidden.map(|name| format!("{}.{name}", step.path))
        });
        let limits: Vec<String> = guards.map(|guard| guard.id.clone()).chain(limits).collect();
        let of_node = lacking == Lacking::Supplies && inventory.host.psus == Reading::Unsupported;
        ((of_node || !gpus.is_empty()) && !limits.is_empty()).then_some(BlindSpot { lacking, gpus, limits })
    };
    Lacking::ALL.into_iter().filter_map(spot).collect()
}

fn watches(trigger: &Trigger, lacking: Lacking) -> bool {
    let Trigger::Reading { sensor, .. } = trigger else { return false };
    match lacking {
        Lacking::MarginCall | Lacking::Margin => *sensor == Sensor::TempMargin,
        Lacking::ThrottleCounters | Lacking::ThrottleTimes => {
            matches!(sensor, Sensor::ThrottleSwThermal | Sensor::ThrottleHwThermal | Sensor::ThrottlePowerBrake)
        }
        Lacking::SramThreshold | Lacking::PcieErrors | Lacking::LinkEnds | Lacking::Kernels | Lacking::Supplies => {
            false
        }
    }
}

/// Checks that put a load on the GPU.
const LOADED: [&str; 13] = [
    "gpu.burn",
    "gpu.cooldown",
    "gpu.fixed-clock",
    "gpu.memory",
    "gpu.pulse",
    "gpu.screen",
    "gpu.training",
    "nvlink.bandwidth",
    "nvlink.soak",
    "pcie.bandwidth",
    "pcie.link",
    "sensor.plausibility",
    "thermal.soak",
];

/// Whether a measurement of a check is made of the reading.
fn hides(lacking: Lacking, check: &str, measurement: &str) -> bool {
    match lacking {
        Lacking::MarginCall | Lacking::Margin => measurement.starts_with("margin."),
        Lacking::ThrottleCounters | Lacking::ThrottleTimes => {
            matches!(measurement, "throttle.thermal" | "throttle.power-brake")
        }
        Lacking::SramThreshold => measurement == "sram.exceeded",
        Lacking::PcieErrors => {
            matches!(measurement, "pcie.fatal" | "pcie.correctable")
                || (check == "pcie.link" && matches!(measurement, "fatal" | "correctable"))
        }
        Lacking::LinkEnds => measurement == "links.misrouted",
        Lacking::Kernels => LOADED.contains(&check),
        Lacking::Supplies => measurement.starts_with("psus."),
    }
}
