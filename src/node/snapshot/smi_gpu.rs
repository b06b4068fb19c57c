//! One `<gpu>` of the tool's report.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "what a driver or a text tells is within the range of what it measures"
)]

use super::element::Element;
use super::smi::{first, number, read, word};
use kiln_model::{
    ClockLimits, ClockReasons, Config, Fabric, FabricState, Gpu, GpuIdentity, GpuIndex, Moment, PcieCapability,
    PowerLimits, Process, Reading, Sample, Sensor, ThermalLimits,
};

pub(super) fn gpu(index: GpuIndex, gpu: &Element) -> Gpu {
    let in_unit = |path: &str, unit: &str| read(word(gpu, path), |text| number(text, unit));
    Gpu {
        identity: identity(gpu),
        memory_mib: in_unit("fb_memory_usage/total", "MiB").map(|size| size as u64),
        bar1_mib: in_unit("bar1_memory_usage/total", "MiB").map(|size| size as u64),
        power: power(gpu),
        clocks: ClockLimits {
            max_sm: in_unit("max_clocks/sm_clock", "MHz"),
            max_memory: in_unit("max_clocks/mem_clock", "MHz"),
            application_sm: in_unit("applications_clocks/graphics_clock", "MHz"),
            default_application_sm: in_unit("default_applications_clocks/graphics_clock", "MHz"),
        },
        thermal: ThermalLimits {
            shutdown_margin: in_unit("temperature/gpu_temp_max_tlimit_threshold", "C"),
            slowdown_margin: in_unit("temperature/gpu_temp_slow_tlimit_threshold", "C"),
            operating_margin: in_unit("temperature/gpu_temp_max_gpu_tlimit_threshold", "C"),
            slowdown_celsius: in_unit("temperature/gpu_temp_slow_threshold", "C"),
            memory_max_celsius: in_unit("temperature/gpu_temp_max_mem_threshold", "C"),
        },
        config: config(gpu),
        pcie: PcieCapability {
            max_generation: read(word(gpu, "pci/pci_gpu_link_info/pcie_gen/max_link_gen"), |text| text.parse().ok()),
            max_width: in_unit("pci/pci_gpu_link_info/link_widths/max_link_width", "x").map(|width| width as u8),
            numa_node: Reading::Unsupported,
        },
        fabric: fabric(gpu),
        processes: processes(gpu),
        ..Gpu::bare(index)
    }
}

fn identity(gpu: &Element) -> GpuIdentity {
    // Lists that people publish have other words in their places, which are no ids.
    let id = |path: &str| match word(gpu, path).map(|text| text.trim_start_matches("0x").to_ascii_lowercase()) {
        Reading::Value(id) if id.len() != 8 || u32::from_str_radix(&id, 16).is_err() => Reading::Unsupported,
        id => id,
    };
    let attribute = gpu.id.clone().map_or(Reading::Unsupported, Reading::Value);
    GpuIdentity {
        name: word(gpu, "product_name"),
        // The address stands in the element itself too, and there it is also where the GPU is lost.
        pci_address: attribute.map(|address| address.to_ascii_lowercase()),
        pci_device: id("pci/pci_device_id"),
        pci_subsystem: id("pci/pci_sub_system_id"),
        slot: first(gpu, &["platformInfo/module_id", "gpu_module_id"]),
        serial: word(gpu, "serial"),
        uuid: word(gpu, "uuid"),
        part_number: word(gpu, "board_part_number"),
        vbios: word(gpu, "vbios_version"),
        inforom: word(gpu, "inforom_version/img_version"),
        gsp_firmware: word(gpu, "gsp_firmware_version"),
        inforom_valid: Reading::Unsupported,
    }
}

/// Until 535 the section was `power_readings`, with other names for two of its limits.
fn power(gpu: &Element) -> PowerLimits {
    let watts = |names: &[&str]| read(power_word(gpu, names), |text| number(text, "W"));
    PowerLimits {
        min: watts(&["min_power_limit"]),
        default: watts(&["default_power_limit"]),
        max: watts(&["max_power_limit"]),
        set: watts(&["requested_power_limit", "power_limit"]),
        enforced: watts(&["current_power_limit", "enforced_power_limit"]),
    }
}

fn power_word(gpu: &Element, names: &[&str]) -> Reading<String> {
    let sections = ["gpu_power_readings", "power_readings"];
    let paths: Vec<String> =
        sections.iter().flat_map(|section| names.iter().map(move |name| format!("{section}/{name}"))).collect();
    first(gpu, &paths.iter().map(String::as_str).collect::<Vec<_>>())
}

fn config(gpu: &Element) -> Config {
    let switch = |path: &str| {
        read(word(gpu, path), |text| match text {
            "Enabled" => Some(true),
            "Disabled" => Some(false),
            _ => None,
        })
    };
    Config {
        ecc: switch("ecc_mode/current_ecc"),
        ecc_pending: switch("ecc_mode/pending_ecc"),
        mig: switch("mig_mode/current_mig"),
        mig_pending: switch("mig_mode/pending_mig"),
        persistence: switch("persistence_mode"),
        compute_mode: word(gpu, "compute_mode").map(|text| text.to_ascii_lowercase().replace(['_', ' '], "-")),
        recovery_action: word(gpu, "gpu_recovery_action")
            .map(|text| text.to_ascii_lowercase().replace([' ', '_'], "-")),
    }
}

fn fabric(gpu: &Element) -> Reading<Fabric> {
    let state = read(word(gpu, "fabric/state"), |text| match text {
        "Completed" => Some(FabricState::Completed),
        "In Progress" => Some(FabricState::InProgress),
        "Not Started" => Some(FabricState::NotStarted),
        _ => None,
    });
    state.map(|state| Fabric {
        state,
        // The tool gives words; of all statuses only success has a number that matters.
        status: if word(gpu, "fabric/status") == Reading::Value("Success".to_owned()) { 0 } else { 999 },
        cluster_uuid: word(gpu, "fabric/clusterUuid").value().cloned().unwrap_or_default(),
        clique: read(word(gpu, "fabric/cliqueId"), |text| text.parse().ok()).get().unwrap_or_default(),
        health_mask: health_mask(gpu),
    })
}

/// The mask that the tool took apart, put together again: 1 is bad, 2 is good, 0 not known (nvml.h).
fn health_mask(gpu: &Element) -> Reading<u32> {
    let fields = [
        ("fabric/health/bandwidth", "Full", 0),
        ("fabric/health/route_recovery_in_progress", "False", 2),
        ("fabric/health/route_unhealthy", "False", 4),
        ("fabric/health/access_timeout_recovery", "False", 6),
    ];
    let mut mask = Reading::Unsupported;
    for (path, good, shift) in fields {
        if let Reading::Value(text) = word(gpu, path) {
            let bits = if text == good { 2 } else { 1 };
            mask = Reading::Value(mask.get().unwrap_or_default() | bits << shift);
        }
    }
    mask
}

fn processes(gpu: &Element) -> Reading<Vec<Process>> {
    let Some(list) = gpu.find("processes") else { return Reading::Unsupported };
    if list.children.is_empty()
        && let Reading::Failed(failure) = word(gpu, "processes")
    {
        return Reading::Failed(failure);
    }
    let found = list.all("process_info").filter_map(|process| {
        Some(Process {
            pid: word(process, "pid").value()?.parse().ok()?,
            name: word(process, "process_name").value().cloned().unwrap_or_else(|| "unknown".to_owned()),
            memory_mib: read(word(process, "used_memory"), |text| number(text, "MiB")).get().unwrap_or_default() as u64,
        })
    });
    Reading::Value(found.collect())
}

/// Sensors that stand in one place, with their unit there and what it is in the sensor's own.
const PLAIN: &[(Sensor, &[&str], &str, f64)] = &[
    (Sensor::TempGpu, &["temperature/gpu_temp"], "C", 1.0),
    (Sensor::TempMargin, &["temperature/gpu_temp_tlimit"], "C", 1.0),
    (Sensor::TempMemory, &["temperature/memory_temp"], "C", 1.0),
    (Sensor::ClockSm, &["clocks/sm_clock"], "MHz", 1.0),
    (Sensor::ClockMemory, &["clocks/mem_clock"], "MHz", 1.0),
    (Sensor::UtilGpu, &["utilization/gpu_util"], "%", 1.0),
    (Sensor::UtilMemory, &["utilization/memory_util"], "%", 1.0),
    (Sensor::Fan, &["fan_speed"], "%", 1.0),
    (Sensor::PcieGeneration, &["pci/pci_gpu_link_info/pcie_gen/current_link_gen"], "", 1.0),
    (Sensor::PcieWidth, &["pci/pci_gpu_link_info/link_widths/current_link_width"], "x", 1.0),
    (Sensor::PcieReplays, &["pci/replay_counter"], "", 1.0),
    (Sensor::RemapCorrected, &["remapped_rows/remapped_row_corr"], "", 1.0),
    (Sensor::RemapUncorrected, &["remapped_rows/remapped_row_unc"], "", 1.0),
    (
        Sensor::ThrottlePowerCap,
        &["clocks_event_reasons_counters/clocks_event_reasons_counters_sw_power_cap"],
        "us",
        1e-6,
    ),
    (
        Sensor::ThrottleSwThermal,
        &["clocks_event_reasons_counters/clocks_event_reasons_counters_sw_therm_slowdown"],
        "us",
        1e-6,
    ),
    (
        Sensor::ThrottleHwThermal,
        &["clocks_event_reasons_counters/clocks_event_reasons_counters_hw_therm_slowdown"],
        "us",
        1e-6,
    ),
    (
        Sensor::ThrottlePowerBrake,
        &["clocks_event_reasons_counters/clocks_event_reasons_counters_hw_power_brake"],
        "us",
        1e-6,
    ),
];

/// Clock event reasons by the end of their element's name.
const REASONS: &[(&str, u64)] = &[
    ("gpu_idle", ClockReasons::IDLE),
    ("applications_clocks_setting", ClockReasons::APPLICATION_CLOCKS),
    ("sw_power_cap", ClockReasons::SW_POWER_CAP),
    ("hw_slowdown", ClockReasons::HW_SLOWDOWN),
    ("sync_boost", ClockReasons::SYNC_BOOST),
    ("sw_thermal_slowdown", ClockReasons::SW_THERMAL),
    ("hw_thermal_slowdown", ClockReasons::HW_THERMAL),
    ("hw_power_brake_slowdown", ClockReasons::HW_POWER_BRAKE),
];

pub(super) fn sample(index: GpuIndex, gpu: &Element) -> Sample {
    let mut sample = Sample::new(index, Moment::ZERO);
    for (sensor, paths, unit, scale) in PLAIN {
        sample.set(*sensor, read(first(gpu, paths), |text| number(text, unit)).map(|value| value * scale));
    }
    let watts = |names: &[&str]| read(power_word(gpu, names), |text| number(text, "W"));
    sample.set(Sensor::Power, watts(&["average_power_draw", "power_draw"]));
    sample.set(Sensor::PowerInstant, watts(&["instant_power_draw"]));
    sample.set(Sensor::PowerLimit, watts(&["current_power_limit", "enforced_power_limit"]));
    let ecc = |names: &[&str]| sum(names.iter().map(|name| word(gpu, &format!("ecc_errors/volatile/{name}"))));
    sample.set(Sensor::EccCorrected, ecc(&["sram_correctable", "dram_correctable"]));
    let uncorrected =
        ["sram_uncorrectable", "sram_uncorrectable_parity", "sram_uncorrectable_secded", "dram_uncorrectable"];
    sample.set(Sensor::EccUncorrected, ecc(&uncorrected));
    let yes = |path: &str| read(word(gpu, path), |text| Some(f64::from(u8::from(text == "Yes"))));
    sample.set(Sensor::RemapPending, yes("remapped_rows/remapped_row_pending"));
    sample.set(Sensor::RemapFailed, yes("remapped_rows/remapped_row_failure"));
    sample.set(Sensor::ClockReasons, reasons(gpu));
    sample
}

/// The sum of what is there.
fn sum(words: impl Iterator<Item = Reading<String>>) -> Reading<f64> {
    let mut total = Reading::Unsupported;
    for value in words.map(|text| read(text, |text| number(text, ""))) {
        total = match (total, value) {
            (Reading::Failed(failure), _) | (_, Reading::Failed(failure)) => Reading::Failed(failure),
            (total, Reading::Unsupported) => total,
            (total, Reading::Value(value)) => Reading::Value(total.get().unwrap_or_default() + value),
        };
    }
    total
}

/// Until 535 reasons were called those of throttling.
fn reasons(gpu: &Element) -> Reading<f64> {
    let sections =
        [("clocks_event_reasons", "clocks_event_reason_"), ("clocks_throttle_reasons", "clocks_throttle_reason_")];
    let Some((section, prefix)) = sections.iter().find(|(section, _)| gpu.find(section).is_some()) else {
        return Reading::Unsupported;
    };
    let mut bits = 0;
    let mut known = false;
    for (name, bit) in REASONS {
        match word(gpu, &format!("{section}/{prefix}{name}")) {
            Reading::Value(text) => {
                known = true;
                bits |= if text == "Active" { *bit } else { 0 };
            }
            Reading::Failed(failure) => return Reading::Failed(failure),
            Reading::Unsupported => {}
        }
    }
    if known { Reading::Value(bits as f64) } else { Reading::Unsupported }
}
