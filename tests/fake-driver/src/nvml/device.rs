//! What one GPU says of itself: identity, limits, configuration, readings.

use std::ffi::{c_char, c_uint, c_ulong, c_ulonglong};

use crate::shared::Bench;
use kiln_model::{Reading, Sensor};
use nvml_wrapper_sys::bindings as sys;

use crate::nvml::answer::{
    Code, INSUFFICIENT_SIZE, INVALID_ARGUMENT, NOT_SUPPORTED, UNKNOWN, call, characters, put, put_text, settled,
};
use crate::nvml::node::{self, Seen};

/// Functions that write one value: name, further arguments, type, value.
macro_rules! getters {
    ($($name:ident($($argument:ident: $kind:ty),*) -> $out:ty = |$seen:ident| $value:expr;)*) => {
        $(#[unsafe(no_mangle)]
        pub extern "C" fn $name(device: sys::nvmlDevice_t, $($argument: $kind,)* out: *mut $out) -> Code {
            call(|| put(out, node::of(stringify!($name), device, |$seen| $value)?))
        })*
    };
}

/// Functions that write a text.
macro_rules! texts {
    ($($name:ident = |$seen:ident| $value:expr;)*) => {
        $(#[unsafe(no_mangle)]
        pub extern "C" fn $name(device: sys::nvmlDevice_t, out: *mut c_char, length: c_uint) -> Code {
            call(|| put_text(out, length, &node::of(stringify!($name), device, |$seen| settled($value))?))
        })*
    };
}

/// Functions that write two values.
macro_rules! pairs {
    ($($name:ident -> $out:ty = |$seen:ident| $value:expr;)*) => {
        $(#[unsafe(no_mangle)]
        pub extern "C" fn $name(device: sys::nvmlDevice_t, first: *mut $out, second: *mut $out) -> Code {
            call(|| {
                let (one, two) = node::of(stringify!($name), device, |$seen| $value)?;
                put(first, one)?;
                put(second, two)
            })
        })*
    };
}

/// Functions a data-centre GPU offers nothing for. The arguments of C functions may go unread.
macro_rules! absent {
    ($($name:ident)*) => {
        $(#[unsafe(no_mangle)]
        pub extern "C" fn $name() -> Code {
            NOT_SUPPORTED
        })*
    };
}

/// A reading as a whole number of `unit`s.
pub(crate) fn whole(seen: &Seen<'_>, sensor: Sensor, unit: f64) -> Result<u64, Code> {
    settled(seen.sample[sensor]).map(|value| (value / unit).round() as u64)
}

fn small(seen: &Seen<'_>, sensor: Sensor, unit: f64) -> Result<c_uint, Code> {
    whole(seen, sensor, unit).map(|value| value as c_uint)
}

fn milliwatts(reading: Reading<f64>) -> Result<c_uint, Code> {
    settled(reading).map(|watts| (watts * 1e3).round() as c_uint)
}

fn megahertz(reading: Reading<f64>) -> Result<c_uint, Code> {
    settled(reading).map(|clock| clock.round() as c_uint)
}

fn flag(reading: Reading<bool>) -> Result<c_uint, Code> {
    settled(reading).map(c_uint::from)
}

/// The architecture's number in nvml.h and its compute capability, by the first digits of the PCI device id.
fn generation(seen: &Seen<'_>) -> Result<(c_uint, (std::ffi::c_int, std::ffi::c_int)), Code> {
    match settled(seen.gpu.identity.pci_device.clone())?.get(..2) {
        Some("23") => Ok((9, (9, 0))),
        Some("26") => Ok((8, (8, 9))),
        Some("29") => Ok((10, (10, 0))),
        _ => Err(NOT_SUPPORTED),
    }
}

/// Domains: 0 graphics, 1 SM, 2 memory, 3 video.
fn by_domain(domain: c_uint, core: Result<c_uint, Code>, memory: Result<c_uint, Code>) -> Result<c_uint, Code> {
    match domain {
        0 | 1 => core,
        2 => memory,
        3 => Err(NOT_SUPPORTED),
        _ => Err(INVALID_ARGUMENT),
    }
}

getters! {
    nvmlDeviceGetIndex() -> c_uint = |seen| Ok(seen.index.0.into());
    nvmlDeviceGetMinorNumber() -> c_uint = |seen| Ok(seen.index.0.into());
    nvmlDeviceGetModuleId() -> c_uint = |seen| {
        settled(seen.gpu.identity.slot.clone()).and_then(|slot| slot.parse().map_err(|_| NOT_SUPPORTED))
    };
    nvmlDeviceGetTemperature(sensor: c_uint) -> c_uint = |seen| match sensor {
        0 => small(seen, Sensor::TempGpu, 1.0),
        _ => Err(INVALID_ARGUMENT),
    };
    nvmlDeviceGetTemperatureThreshold(which: c_uint) -> c_uint = |seen| match which {
        1 => settled(seen.gpu.thermal.slowdown_celsius).map(|limit| limit as c_uint),
        2 => settled(seen.gpu.thermal.memory_max_celsius).map(|limit| limit as c_uint),
        _ => Err(NOT_SUPPORTED),
    };
    nvmlDeviceGetPowerUsage() -> c_uint = |seen| small(seen, Sensor::Power, 1e-3);
    nvmlDeviceGetPowerManagementMode() -> c_uint = |_seen| Ok(1);
    nvmlDeviceGetPowerManagementLimit() -> c_uint = |seen| milliwatts(seen.gpu.power.set);
    nvmlDeviceGetPowerManagementDefaultLimit() -> c_uint = |seen| milliwatts(seen.gpu.power.default);
    nvmlDeviceGetEnforcedPowerLimit() -> c_uint = |seen| milliwatts(seen.gpu.power.enforced);
    nvmlDeviceGetTotalEnergyConsumption() -> c_ulonglong = |seen| whole(seen, Sensor::Energy, 1e-3);
    nvmlDeviceGetPerformanceState() -> c_uint = |_seen| Ok(0);
    nvmlDeviceGetPowerState() -> c_uint = |_seen| Ok(0);
    nvmlDeviceGetClockInfo(domain: c_uint) -> c_uint = |seen| {
        by_domain(domain, small(seen, Sensor::ClockSm, 1.0), small(seen, Sensor::ClockMemory, 1.0))
    };
    nvmlDeviceGetMaxClockInfo(domain: c_uint) -> c_uint = |seen| {
        by_domain(domain, megahertz(seen.gpu.clocks.max_sm), megahertz(seen.gpu.clocks.max_memory))
    };
    nvmlDeviceGetApplicationsClock(domain: c_uint) -> c_uint = |seen| {
        by_domain(domain, megahertz(seen.gpu.clocks.application_sm), megahertz(seen.gpu.clocks.max_memory))
    };
    nvmlDeviceGetDefaultApplicationsClock(domain: c_uint) -> c_uint = |seen| {
        by_domain(domain, megahertz(seen.gpu.clocks.default_application_sm), megahertz(seen.gpu.clocks.max_memory))
    };
    nvmlDeviceGetUtilizationRates() -> sys::nvmlUtilization_t = |seen| {
        let (gpu, memory) = (small(seen, Sensor::UtilGpu, 1.0)?, small(seen, Sensor::UtilMemory, 1.0)?);
        Ok(sys::nvmlUtilization_t { gpu, memory })
    };
    nvmlDeviceGetCurrentClocksEventReasons() -> c_ulonglong = |seen| whole(seen, Sensor::ClockReasons, 1.0);
    nvmlDeviceGetCurrentClocksThrottleReasons() -> c_ulonglong = |seen| whole(seen, Sensor::ClockReasons, 1.0);
    nvmlDeviceGetSupportedClocksEventReasons() -> c_ulonglong = |_seen| Ok(0xff);
    nvmlDeviceGetCurrPcieLinkGeneration() -> c_uint = |seen| small(seen, Sensor::PcieGeneration, 1.0);
    nvmlDeviceGetCurrPcieLinkWidth() -> c_uint = |seen| small(seen, Sensor::PcieWidth, 1.0);
    nvmlDeviceGetMaxPcieLinkGeneration() -> c_uint = |seen| settled(seen.gpu.pcie.max_generation).map(c_uint::from);
    nvmlDeviceGetMaxPcieLinkWidth() -> c_uint = |seen| settled(seen.gpu.pcie.max_width).map(c_uint::from);
    nvmlDeviceGetPcieReplayCounter() -> c_uint = |seen| small(seen, Sensor::PcieReplays, 1.0);
    nvmlDeviceGetPersistenceMode() -> c_uint = |seen| flag(seen.gpu.config.persistence);
    nvmlDeviceGetComputeMode() -> c_uint = |seen| {
        settled(seen.gpu.config.compute_mode.clone()).map(|mode| match mode.as_str() {
            "prohibited" => 2,
            "exclusive-process" => 3,
            _ => 0,
        })
    };
    nvmlDeviceGetBrand() -> c_uint = |_seen| Ok(sys::nvmlBrandType_enum_NVML_BRAND_NVIDIA);
    nvmlDeviceGetArchitecture() -> c_uint = |seen| Ok(generation(seen)?.0);
    nvmlDeviceGetBusType() -> c_uint = |_seen| Ok(sys::NVML_BUS_TYPE_PCIE);
    nvmlDeviceGetMultiGpuBoard() -> c_uint = |_seen| Ok(0);
    nvmlDeviceGetBoardId() -> c_uint = |seen| Ok(u32::from(seen.index.0) << 8);
    nvmlDeviceGetFanSpeed() -> c_uint = |seen| small(seen, Sensor::Fan, 1.0);
    nvmlDeviceGetFanSpeed_v2(_fan: c_uint) -> c_uint = |seen| small(seen, Sensor::Fan, 1.0);
    nvmlDeviceGetNumFans() -> c_uint = |seen| settled(seen.sample[Sensor::Fan]).map(|_| 1);
    nvmlDeviceGetBAR1MemoryInfo() -> sys::nvmlBAR1Memory_t = |seen| {
        let total = settled(seen.gpu.bar1_mib)? << 20;
        Ok(sys::nvmlBAR1Memory_t { bar1Total: total, bar1Free: total, bar1Used: 0 })
    };
    nvmlDeviceGetMemoryInfo() -> sys::nvmlMemory_t = |seen| {
        let (total, used) = memory(seen)?;
        Ok(sys::nvmlMemory_t { total, free: total - used, used })
    };
}

texts! {
    nvmlDeviceGetName = |seen| seen.gpu.identity.name.clone();
    nvmlDeviceGetUUID = |seen| seen.gpu.identity.uuid.clone();
    nvmlDeviceGetSerial = |seen| seen.gpu.identity.serial.clone();
    // Marked: what is simulated must never pass for a part.
    nvmlDeviceGetBoardPartNumber = |seen| seen.gpu.identity.part_number.clone().map(|number| format!("{number}-SIM"));
    nvmlDeviceGetVbiosVersion = |seen| seen.gpu.identity.vbios.clone();
    nvmlDeviceGetInforomImageVersion = |seen| seen.gpu.identity.inforom.clone();
}

pairs! {
    nvmlDeviceGetPowerManagementLimitConstraints -> c_uint = |seen| {
        Ok((milliwatts(seen.gpu.power.min)?, milliwatts(seen.gpu.power.max)?))
    };
    nvmlDeviceGetEccMode -> c_uint = |seen| Ok((flag(seen.gpu.config.ecc)?, flag(seen.gpu.config.ecc_pending)?));
    nvmlDeviceGetMigMode -> c_uint = |seen| Ok((flag(seen.gpu.config.mig)?, flag(seen.gpu.config.mig_pending)?));
    nvmlDeviceGetCudaComputeCapability -> std::ffi::c_int = |seen| Ok(generation(seen)?.1);
    nvmlDeviceGetEncoderUtilization -> c_uint = |_seen| Ok((0, 1_000_000));
    nvmlDeviceGetDecoderUtilization -> c_uint = |_seen| Ok((0, 1_000_000));
}

absent! {
    nvmlDeviceGetDisplayMode nvmlDeviceGetDisplayActive nvmlDeviceGetAccountingMode nvmlDeviceGetVirtualizationMode
    nvmlDeviceGetRetiredPages nvmlDeviceGetRetiredPages_v2 nvmlDeviceGetRetiredPagesPendingStatus
    nvmlDeviceGetGpuOperationMode nvmlDeviceGetInforomVersion nvmlDeviceGetInforomConfigurationChecksum
    nvmlDeviceGetMaxMigDeviceCount nvmlDeviceGetMigDeviceHandleByIndex nvmlDeviceIsMigDeviceHandle
    nvmlDeviceGetDeviceHandleFromMigDeviceHandle nvmlDeviceGetGpuInstanceId nvmlDeviceGetComputeInstanceId
    nvmlDeviceGetAutoBoostedClocksEnabled nvmlDeviceGetBridgeChipInfo nvmlDeviceGetViolationStatus
    nvmlDeviceGetPcieThroughput nvmlDeviceGetEncoderStats nvmlDeviceGetFBCStats
    nvmlDeviceGetSupportedMemoryClocks
    nvmlDeviceGetSupportedGraphicsClocks nvmlDeviceGetTopologyCommonAncestor nvmlDeviceGetTopologyNearestGpus
    nvmlDeviceGetP2PStatus nvmlDeviceGetPlatformInfo nvmlDeviceGetCpuAffinity
    nvmlDeviceGetDriverModel nvmlDeviceGetDriverModel_v2 nvmlDeviceGetConfComputeMemSizeInfo
    nvmlDeviceGetRunningProcessDetailList nvmlDeviceGetConfComputeProtectedMemoryUsage nvmlSystemGetConfComputeState nvmlUnitGetCount
}

fn memory(seen: &Seen<'_>) -> Result<(u64, u64), Code> {
    let total = settled(seen.gpu.memory_mib)?;
    let used: u64 = seen.gpu.processes.value().into_iter().flatten().map(|process| process.memory_mib).sum();
    Ok((total << 20, used.min(total) << 20))
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetMemoryInfo_v2(device: sys::nvmlDevice_t, out: *mut sys::nvmlMemory_v2_t) -> Code {
    call(|| {
        let (total, used) = node::of("nvmlDeviceGetMemoryInfo_v2", device, memory)?;
        let version = (size_of::<sys::nvmlMemory_v2_t>() | 2 << 24) as c_uint;
        put(out, sys::nvmlMemory_v2_t { version, total, reserved: 0, free: total - used, used })
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetMarginTemperature(
    device: sys::nvmlDevice_t,
    out: *mut sys::nvmlMarginTemperature_t,
) -> Code {
    call(|| {
        let margin =
            node::of("nvmlDeviceGetMarginTemperature", device, |seen| settled(seen.sample[Sensor::TempMargin]))?;
        let version = (size_of::<sys::nvmlMarginTemperature_t>() | 1 << 24) as c_uint;
        put(out, sys::nvmlMarginTemperature_t { version, marginTemperature: margin.round() as i32 })
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetTemperatureV(device: sys::nvmlDevice_t, out: *mut sys::nvmlTemperature_t) -> Code {
    call(|| {
        let celsius = node::of("nvmlDeviceGetTemperatureV", device, |seen| settled(seen.sample[Sensor::TempGpu]))?;
        let version = (size_of::<sys::nvmlTemperature_t>() | 1 << 24) as c_uint;
        put(out, sys::nvmlTemperature_t { version, sensorType: 0, temperature: celsius.round() as i32 })
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetClock(device: sys::nvmlDevice_t, domain: c_uint, id: c_uint, out: *mut c_uint) -> Code {
    match id {
        0 => nvmlDeviceGetClockInfo(device, domain, out),
        1 => nvmlDeviceGetApplicationsClock(device, domain, out),
        _ => NOT_SUPPORTED,
    }
}

/// Locks the SM clock, for all that look at the node on the bench and until it is reset, whatever becomes of the caller.
#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceSetGpuLockedClocks(device: sys::nvmlDevice_t, _least: c_uint, most: c_uint) -> Code {
    lock("nvmlDeviceSetGpuLockedClocks", device, Some(most))
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceResetGpuLockedClocks(device: sys::nvmlDevice_t) -> Code {
    lock("nvmlDeviceResetGpuLockedClocks", device, None)
}

fn lock(name: &str, device: sys::nvmlDevice_t, megahertz: Option<c_uint>) -> Code {
    call(|| {
        let gpu = node::of(name, device, |seen| Ok(seen.index))?;
        let bench = Bench::from_environment().ok_or(NOT_SUPPORTED)?;
        bench.lock_clock(gpu, megahertz).map_err(|_| UNKNOWN)
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetGspFirmwareVersion(device: sys::nvmlDevice_t, out: *mut c_char) -> Code {
    call(|| {
        let version = node::of("nvmlDeviceGetGspFirmwareVersion", device, |seen| {
            settled(seen.gpu.identity.gsp_firmware.clone())
        })?;
        // The interface has no length: callers must have 64 bytes (NVML_GSP_FIRMWARE_VERSION_BUF_SIZE).
        put_text(out, 64, &version)
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceValidateInforom(device: sys::nvmlDevice_t) -> Code {
    call(|| {
        let valid = node::of("nvmlDeviceValidateInforom", device, |seen| settled(seen.gpu.identity.inforom_valid))?;
        valid.then_some(()).ok_or(sys::nvmlReturn_enum_NVML_ERROR_CORRUPTED_INFOROM)
    })
}

/// Node sets have 64 nodes to a word.
#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetMemoryAffinity(
    device: sys::nvmlDevice_t,
    size: c_uint,
    out: *mut c_ulong,
    _scope: c_uint,
) -> Code {
    call(|| {
        let numa = node::of("nvmlDeviceGetMemoryAffinity", device, |seen| settled(seen.gpu.pcie.numa_node))?;
        if out.is_null() || size == 0 {
            return Err(INVALID_ARGUMENT);
        }
        if u32::from(numa) >= size * 64 {
            return Err(INSUFFICIENT_SIZE);
        }
        for word in 0..size {
            let bits = if word == u32::from(numa) / 64 { 1 << (numa % 64) } else { 0 };
            // SAFETY: the interface asks callers for `size` words.
            unsafe { out.add(word as usize).write(bits) };
        }
        Ok(())
    })
}

/// The PCI facts, from the address `00000000:53:00.0` and the two ids.
pub(crate) fn pci(address: &str, device: u32, subsystem: u32) -> Option<sys::nvmlPciInfo_t> {
    let (domain, rest) = address.split_once(':')?;
    let (bus, rest) = rest.split_once(':')?;
    let slot = rest.split_once('.').map_or(rest, |(slot, _)| slot);
    let number = |text: &str| u32::from_str_radix(text, 16).ok();
    Some(sys::nvmlPciInfo_t {
        busIdLegacy: characters(address.get(4..)?),
        domain: number(domain)?,
        bus: number(bus)?,
        device: number(slot)?,
        pciDeviceId: device,
        pciSubSystemId: subsystem,
        busId: characters(&address.to_uppercase()),
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetPciInfo_v3(device: sys::nvmlDevice_t, out: *mut sys::nvmlPciInfo_t) -> Code {
    call(|| {
        let info = node::of("nvmlDeviceGetPciInfo_v3", device, |seen| {
            let identity = &seen.gpu.identity;
            let id = |text: String| u32::from_str_radix(&text, 16).map_err(|_| NOT_SUPPORTED);
            let (part, subsystem) = (settled(identity.pci_device.clone())?, settled(identity.pci_subsystem.clone())?);
            pci(&settled(identity.pci_address.clone())?, id(part)?, id(subsystem)?).ok_or(NOT_SUPPORTED)
        })?;
        put(out, info)
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetPciInfo_v2(device: sys::nvmlDevice_t, out: *mut sys::nvmlPciInfo_t) -> Code {
    nvmlDeviceGetPciInfo_v3(device, out)
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetPciInfo(device: sys::nvmlDevice_t, out: *mut sys::nvmlPciInfo_t) -> Code {
    nvmlDeviceGetPciInfo_v3(device, out)
}

/// One board, one GPU.
#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceOnSameBoard(
    one: sys::nvmlDevice_t,
    other: sys::nvmlDevice_t,
    same: *mut std::ffi::c_int,
) -> Code {
    call(|| put(same, i32::from(one == other)))
}
