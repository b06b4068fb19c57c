//! Which release of the driver offers what, so that the library can stand for an older one.
//!
//! From the history of nvml.h (NVIDIA/go-nvml): NVML 12.0 came with release 525, 12.2 with 535, 12.4 with 550, 12.6 with 560,
//! 12.8 with 570, 12.9 with 575, 13.0 with 580.

use std::ops::RangeInclusive;

/// Calls by the release that brought them; every other call here is older than release 525.
pub const CALLS: &[(&str, u32)] = &[
    ("nvmlDeviceGetCurrentClocksEventReasons", 535),
    ("nvmlDeviceGetModuleId", 535),
    ("nvmlDeviceGetGpuFabricInfoV", 550),
    ("nvmlDeviceGetSramEccErrorStatus", 550),
    ("nvmlDeviceGetMarginTemperature", 570),
    ("nvmlDeviceGetPlatformInfo", 570),
];

/// Fields by the release that brought them, in the numbering before 580.82: C2C links, PCIe counters, power, T.limit offsets,
/// NVLink 5 counters, recovery action, times by clock event reason.
pub const FIELDS: &[(RangeInclusive<u32>, u32)] =
    &[(170..=196, 535), (204..=229, 560), (230..=230, 570), (231..=250, 570), (251..=255, 575), (269..=273, 580)];

/// `535` of `535.183.06`.
pub fn release(version: &str) -> u32 {
    version.split('.').next().and_then(|number| number.parse().ok()).unwrap_or(u32::MAX)
}

pub fn offers_call(version: &str, call: &str) -> bool {
    CALLS.iter().find(|(name, _)| *name == call).is_none_or(|(_, since)| release(version) >= *since)
}

pub fn offers_field(version: &str, field: u32) -> bool {
    FIELDS.iter().find(|(fields, _)| fields.contains(&field)).is_none_or(|(_, since)| release(version) >= *since)
}
