//! NVLink and the fabric behind it.

use std::ffi::{c_uint, c_ulonglong};

use kiln_model::{FabricState, LinkCounters, LinkState, NvLink, Remote};
use nvml_wrapper_sys::bindings as sys;

use crate::nvml::answer::{Code, INVALID_ARGUMENT, NOT_SUPPORTED, call, put, settled};
use crate::nvml::device::pci;
use crate::nvml::node::{self, Seen};

/// One link; past the last one the driver calls the number an invalid argument.
pub(crate) fn link<'a>(seen: &'a Seen<'_>, link: c_uint) -> Result<&'a NvLink, Code> {
    match &seen.gpu.nvlinks {
        kiln_model::Reading::Value(links) => links.get(link as usize).ok_or(INVALID_ARGUMENT),
        other => Err(settled(other.clone()).err().unwrap_or(NOT_SUPPORTED)),
    }
}

pub(crate) fn counters<'a>(seen: &'a Seen<'_>, link: c_uint) -> Result<&'a LinkCounters, Code> {
    match &seen.counters.links {
        kiln_model::Reading::Value(links) => links.get(link as usize).ok_or(INVALID_ARGUMENT),
        other => Err(settled(other.clone()).err().unwrap_or(NOT_SUPPORTED)),
    }
}

/// What the node's links end at.
pub(crate) fn remote(seen: &Seen<'_>, number: c_uint) -> Result<Remote, Code> {
    settled(link(seen, number)?.remote.clone())
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetNvLinkState(device: sys::nvmlDevice_t, number: c_uint, out: *mut c_uint) -> Code {
    call(|| {
        let state = node::of("nvmlDeviceGetNvLinkState", device, |seen| settled(link(seen, number)?.state))?;
        put(out, c_uint::from(state == LinkState::Active))
    })
}

/// Kinds: 0 GPU, 1 CPU, 2 switch, 255 unknown.
#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetNvLinkRemoteDeviceType(
    device: sys::nvmlDevice_t,
    number: c_uint,
    out: *mut c_uint,
) -> Code {
    call(|| {
        let kind = match node::of("nvmlDeviceGetNvLinkRemoteDeviceType", device, |seen| remote(seen, number))? {
            Remote::Gpu(_) => 0,
            Remote::Cpu(_) => 1,
            Remote::Switch { .. } => 2,
            Remote::Other(_) => 255,
        };
        put(out, kind)
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetNvLinkRemotePciInfo_v2(
    device: sys::nvmlDevice_t,
    number: c_uint,
    out: *mut sys::nvmlPciInfo_t,
) -> Code {
    call(|| {
        let info = node::of("nvmlDeviceGetNvLinkRemotePciInfo_v2", device, |seen| {
            let address = match remote(seen, number)? {
                Remote::Gpu(other) => {
                    let gpu = seen.inventory.gpu(other).ok_or(NOT_SUPPORTED)?;
                    settled(gpu.identity.pci_address.clone())?
                }
                // Addresses in the order of the switches' numbers.
                Remote::Switch { number, .. } => format!("000000c0:{number:02x}:00.0"),
                Remote::Cpu(number) => format!("000000f0:{number:02x}:00.0"),
                Remote::Other(address) => address,
            };
            pci(&address, 0, 0).ok_or(NOT_SUPPORTED)
        })?;
        put(out, info)
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetNvLinkRemotePciInfo(
    device: sys::nvmlDevice_t,
    number: c_uint,
    out: *mut sys::nvmlPciInfo_t,
) -> Code {
    nvmlDeviceGetNvLinkRemotePciInfo_v2(device, number, out)
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetNvLinkErrorCounter(
    device: sys::nvmlDevice_t,
    number: c_uint,
    counter: c_uint,
    out: *mut c_ulonglong,
) -> Code {
    call(|| {
        let count = node::of("nvmlDeviceGetNvLinkErrorCounter", device, |seen| {
            let counters = counters(seen, number)?;
            match counter {
                0 => settled(counters.replay),
                1 => settled(counters.recovery),
                2 => settled(counters.crc),
                _ => Err(NOT_SUPPORTED),
            }
        })?;
        put(out, count)
    })
}

/// The enum code of the fourth and fifth generation, told apart by speed.
#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetNvLinkVersion(device: sys::nvmlDevice_t, number: c_uint, out: *mut c_uint) -> Code {
    call(|| {
        let speed = node::of("nvmlDeviceGetNvLinkVersion", device, |seen| settled(link(seen, number)?.speed_mb_per_s))?;
        put(out, if speed > 40_000 { 7 } else { 5 })
    })
}

fn fabric(seen: &Seen<'_>) -> Result<sys::nvmlGpuFabricInfo_v3_t, Code> {
    let fabric = settled(seen.gpu.fabric.clone())?;
    let mut cluster = [0_u8; 16];
    let digits: Vec<u8> = fabric.cluster_uuid.bytes().filter(u8::is_ascii_hexdigit).collect();
    for (byte, pair) in cluster.iter_mut().zip(digits.chunks(2)) {
        *byte = std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok()).unwrap_or_default();
    }
    Ok(sys::nvmlGpuFabricInfo_v3_t {
        version: 0,
        clusterUuid: cluster,
        status: fabric.status as Code,
        cliqueId: fabric.clique,
        state: match fabric.state {
            FabricState::NotStarted => 1,
            FabricState::InProgress => 2,
            FabricState::Completed => 3,
        },
        healthMask: fabric.health_mask.get().unwrap_or_default(),
        healthSummary: 0,
    })
}

/// A node without a health mask is one whose driver has only the first form of the structure.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetGpuFabricInfoV(
    device: sys::nvmlDevice_t,
    out: *mut sys::nvmlGpuFabricInfoV_t,
) -> Code {
    call(|| {
        if out.is_null() {
            return Err(INVALID_ARGUMENT);
        }
        let info = node::of("nvmlDeviceGetGpuFabricInfoV", device, |seen| {
            let masked = seen.gpu.fabric.value().is_some_and(|fabric| fabric.health_mask.value().is_some());
            if masked { fabric(seen) } else { Err(NOT_SUPPORTED) }
        })?;
        // SAFETY: both forms begin with the version, and the second is a prefix of the third; the caller says which it
        // has room for.
        unsafe {
            let version = (*out).version;
            match version >> 24 {
                3 => out.write(sys::nvmlGpuFabricInfo_v3_t { version, ..info }),
                2 => out.cast::<sys::nvmlGpuFabricInfo_v2_t>().write(sys::nvmlGpuFabricInfo_v2_t {
                    version,
                    clusterUuid: info.clusterUuid,
                    status: info.status,
                    cliqueId: info.cliqueId,
                    state: info.state,
                    healthMask: info.healthMask,
                }),
                _ => return Err(sys::nvmlReturn_enum_NVML_ERROR_ARGUMENT_VERSION_MISMATCH),
            }
        }
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlDeviceGetGpuFabricInfo(device: sys::nvmlDevice_t, out: *mut sys::nvmlGpuFabricInfo_t) -> Code {
    call(|| {
        let info = node::of("nvmlDeviceGetGpuFabricInfo", device, fabric)?;
        put(
            out,
            sys::nvmlGpuFabricInfo_t {
                clusterUuid: info.clusterUuid,
                status: info.status,
                cliqueId: info.cliqueId,
                state: info.state,
            },
        )
    })
}
