//! All checks there are, by name.

use super::Check;
use kiln_profile::{Catalogue, CheckSpec};

/// Checks in files of their own, then programs, whose adapters are checks that hold their declaration.
macro_rules! checks {
    ($($module:ident :: $check:ident,)*; $($tool:ident :: $adapter:ident,)*) => {
        static CHECKS: &[&dyn Check] = &[$(&super::$module::$check,)* $(&super::tool::$tool::$adapter,)*];
        static SPECS: &[&CheckSpec] = &[$(&super::$module::SPEC,)* $(&super::tool::$tool::$adapter.spec,)*];
    };
}

checks! {
    config_policy::ConfigPolicy,
    config_restored::ConfigRestored,
    counters_baseline::CountersBaseline,
    fabric_ports::FabricPorts,
    fabric_state::FabricState,
    gpu_burn::GpuBurn,
    gpu_cooldown::GpuCooldown,
    gpu_fixed_clock::GpuFixedClock,
    gpu_idle::GpuIdle,
    gpu_memory::GpuMemory,
    gpu_pulse::GpuPulse,
    gpu_screen::GpuScreen,
    gpu_training::GpuTraining,
    inventory_match::InventoryMatch,
    kernel_log::KernelLog,
    load_none::LoadNone,
    node_reboot::NodeReboot,
    nvlink_bandwidth::NvlinkBandwidth,
    nvlink_soak::NvlinkSoak,
    nvlink_state::NvlinkState,
    operator_confirm::OperatorConfirm,
    pcie_bandwidth::PcieBandwidth,
    pcie_link::PcieLink,
    sensor_plausibility::SensorPlausibility,
    thermal_soak::ThermalSoak,
    ;
    dcgmi::ADAPTER,
    fio::ADAPTER,
    gpu_burn::ADAPTER,
    ib_write_bw::ADAPTER,
    iperf3::ADAPTER,
    nccl::ADAPTER,
    nvbandwidth::ADAPTER,
    custom::CHECK,
    stress_ng::ADAPTER,
    stressapptest::ADAPTER,
}

/// Every check, ordered by name.
pub fn all() -> &'static [&'static dyn Check] {
    CHECKS
}

pub fn find(name: &str) -> Option<&'static dyn Check> {
    CHECKS.iter().copied().find(|check| check.spec().name == name)
}

/// What all checks declare, for validating profiles.
pub fn catalogue() -> Catalogue {
    Catalogue(SPECS)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::rig;
    use kiln_model::Unit;
    use kiln_profile::ValueKind;

    #[test]
    fn checks_are_ordered_by_name_and_found_by_it() {
        let names: Vec<&str> = all().iter().map(|check| check.spec().name).collect();
        assert!(names.is_sorted(), "{names:?}");
        for name in names {
            assert_eq!(find(name).map(|check| check.spec().name), Some(name));
            assert_eq!(catalogue().find(name).map(|spec| spec.name), Some(name));
        }
        assert!(find("gpu.toast").is_none());
    }

    #[test]
    fn declarations_hold_the_naming_rules() {
        let plain =
            |name: &str| name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'*'));
        for spec in SPECS {
            let names: BTreeSet<&str> = spec.measurements.iter().map(|measurement| measurement.name).collect();
            assert_eq!(names.len(), spec.measurements.len(), "{}: a measurement is declared twice", spec.name);
            assert!(names.iter().all(|name| plain(name)), "{}: {names:?}", spec.name);
            assert!(spec.params.iter().all(|param| plain(param.name)), "{}", spec.name);
            assert!(!spec.each.is_empty() && spec.summary.ends_with('.') && spec.details.ends_with('.'));
            for measurement in spec.measurements {
                let plain = measurement.kind == ValueKind::Number || measurement.unit == Unit::One;
                assert!(plain, "{}.{}: only numbers have units", spec.name, measurement.name);
            }
        }
    }

    #[test]
    fn every_default_is_of_its_kind() {
        for spec in SPECS {
            rig::defaults(spec);
        }
    }
}
