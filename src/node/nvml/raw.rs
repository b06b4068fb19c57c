//! Calls of the library that the wrapper lacks or makes wrongly, each as a reading.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "what a driver or a text tells is within the range of what it measures"
)]
#![expect(unsafe_code, reason = "foreign calls of a library opened at run time")]

use nvml_wrapper::Device;
use nvml_wrapper_sys::bindings as sys;

use super::outcome::coded;
use kiln_model::Reading;

/// A device handle with the library it belongs to. Copies are the same device.
#[derive(Clone, Copy)]
pub(super) struct RawDevice {
    handle: sys::nvmlDevice_t,
    lib: &'static sys::NvmlLib,
}

// SAFETY: the library allows its calls from any thread, and the handle is only ever passed back to it.
unsafe impl Send for RawDevice {}

/// The NVLink fabric as the library tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RawFabric {
    pub(super) cluster: [u8; 16],
    pub(super) status: u32,
    pub(super) clique: u32,
    pub(super) state: u8,
    pub(super) health_mask: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RemappedRows {
    pub(super) corrected: u32,
    pub(super) uncorrected: u32,
    pub(super) pending: bool,
    pub(super) failed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SramErrors {
    pub(super) threshold_exceeded: bool,
}

/// `NVML_STRUCT_VERSION` of nvml.h: the size of a structure and its version in one number.
fn version_of<T>(version: u32) -> u32 {
    size_of::<T>() as u32 | (version << 24)
}

/// Types of which all-zero bytes are a value.
///
/// # Safety
///
/// Only C structures of integers and arrays of integers, as nvml.h declares them, may be marked so: never what holds a
/// reference, a function or an enumeration of Rust.
unsafe trait Zeroable: Copy {}

/// Marks structures of the library, all of them integers and arrays of integers in nvml.h.
macro_rules! zeroable {
    ($($name:ident),* $(,)?) => {
        $(
            // SAFETY: nvml.h declares it with integers and arrays of integers alone.
            unsafe impl Zeroable for sys::$name {}
        )*
    };
}

zeroable!(
    nvmlEccSramErrorStatus_t,
    nvmlGpuFabricInfo_t,
    nvmlGpuFabricInfo_v3_t,
    nvmlMarginTemperature_t,
    nvmlMemory_t,
    nvmlMemory_v2_t,
    nvmlPciInfo_t,
    nvmlPlatformInfo_t,
    nvmlRowRemapperHistogramValues_t,
    nvmlViolationTime_t,
);

/// A zeroed structure of the library, to be filled by a call.
fn zeroed<T: Zeroable>() -> T {
    // SAFETY: what is marked as such has all-zero bytes as a value.
    unsafe { std::mem::zeroed() }
}

/// Makes one call; a symbol that the library lacks is "unsupported".
macro_rules! call {
    ($lib:expr, $symbol:ident ($($argument:expr),*) -> $value:expr) => {
        match $lib.$symbol.as_ref() {
            // SAFETY: the symbol has the signature of nvml.h, the handle came from this library, and every pointer is
            // to a live local of the type the function fills.
            Ok(function) => coded(unsafe { function($($argument),*) }, ()).map(|()| $value),
            Err(_) => Reading::Unsupported,
        }
    };
}

impl RawDevice {
    pub(super) fn of(device: &Device<'static>) -> Self {
        // SAFETY: the handle is only passed back to the library it came from.
        Self { handle: unsafe { device.handle() }, lib: device.nvml().lib() }
    }

    pub(super) fn handle(self) -> sys::nvmlDevice_t {
        self.handle
    }

    pub(super) fn lib(self) -> &'static sys::NvmlLib {
        self.lib
    }

    pub(super) fn field_values(self, values: &mut [sys::nvmlFieldValue_t]) -> Reading<()> {
        let count = values.len() as i32;
        call!(self.lib, nvmlDeviceGetFieldValues(self.handle, count, values.as_mut_ptr()) -> ())
    }

    /// The PCI address, as `00000000:53:00.0`.
    pub(super) fn address(self) -> Reading<String> {
        let mut pci: sys::nvmlPciInfo_t = zeroed();
        placed(call!(self.lib, nvmlDeviceGetPciInfo_v3(self.handle, &raw mut pci) -> address_text(&pci)))
    }

    /// Nanoseconds below requested clocks for heat, as drivers count them that do not tell software from hardware.
    pub(super) fn thermal_violation(self) -> Reading<u64> {
        let mut time: sys::nvmlViolationTime_t = zeroed();
        let policy = sys::nvmlPerfPolicyType_enum_NVML_PERF_POLICY_THERMAL;
        call!(self.lib, nvmlDeviceGetViolationStatus(self.handle, policy, &raw mut time) -> time.violationTime)
    }

    /// Uncorrectable errors of SRAM in the part's life.
    pub(super) fn sram_uncorrected(self) -> Reading<u64> {
        let mut count: u64 = 0;
        call!(
            self.lib,
            nvmlDeviceGetMemoryErrorCounter(
                self.handle,
                sys::nvmlMemoryErrorType_enum_NVML_MEMORY_ERROR_TYPE_UNCORRECTED,
                sys::nvmlEccCounterType_enum_NVML_AGGREGATE_ECC,
                sys::nvmlMemoryLocation_enum_NVML_MEMORY_LOCATION_SRAM,
                &raw mut count
            ) -> count
        )
    }

    /// Kelvin left until the GPU slows itself down.
    pub(super) fn margin(self) -> Reading<i32> {
        let mut margin: sys::nvmlMarginTemperature_t = zeroed();
        margin.version = version_of::<sys::nvmlMarginTemperature_t>(1);
        match call!(self.lib, nvmlDeviceGetMarginTemperature(self.handle, &raw mut margin) -> margin.marginTemperature)
        {
            // No temperature is that far from any other.
            Reading::Value(i32::MAX | i32::MIN) => Reading::Unsupported,
            other => other,
        }
    }

    pub(super) fn clock_reasons(self) -> Reading<u64> {
        let mut reasons: u64 = 0;
        let new = call!(self.lib, nvmlDeviceGetCurrentClocksEventReasons(self.handle, &raw mut reasons) -> reasons);
        super::outcome::or(new, || {
            let mut reasons: u64 = 0;
            call!(self.lib, nvmlDeviceGetCurrentClocksThrottleReasons(self.handle, &raw mut reasons) -> reasons)
        })
    }

    /// Bytes of memory in all.
    pub(super) fn memory_total(self) -> Reading<u64> {
        let mut memory: sys::nvmlMemory_v2_t = zeroed();
        memory.version = version_of::<sys::nvmlMemory_v2_t>(2);
        let new = call!(self.lib, nvmlDeviceGetMemoryInfo_v2(self.handle, &raw mut memory) -> memory.total);
        super::outcome::or(new, || {
            let mut memory: sys::nvmlMemory_t = zeroed();
            call!(self.lib, nvmlDeviceGetMemoryInfo(self.handle, &raw mut memory) -> memory.total)
        })
    }

    pub(super) fn module_id(self) -> Reading<u32> {
        let mut module: u32 = 0;
        let direct = call!(self.lib, nvmlDeviceGetModuleId(self.handle, &raw mut module) -> module);
        super::outcome::or(direct, || {
            let mut platform: sys::nvmlPlatformInfo_t = zeroed();
            platform.version = version_of::<sys::nvmlPlatformInfo_t>(2);
            call!(self.lib, nvmlDeviceGetPlatformInfo(self.handle, &raw mut platform) -> platform.moduleId.into())
        })
    }

    pub(super) fn compute_mode(self) -> Reading<u32> {
        let mut mode: sys::nvmlComputeMode_t = 0;
        call!(self.lib, nvmlDeviceGetComputeMode(self.handle, &raw mut mode) -> mode)
    }

    pub(super) fn remapped_rows(self) -> Reading<RemappedRows> {
        let (mut corrected, mut uncorrected, mut pending, mut failed) = (0, 0, 0, 0);
        call!(
            self.lib,
            nvmlDeviceGetRemappedRows(
                self.handle, &raw mut corrected, &raw mut uncorrected, &raw mut pending, &raw mut failed
            ) -> RemappedRows { corrected, uncorrected, pending: pending != 0, failed: failed != 0 }
        )
    }

    /// Banks with no spare rows left.
    pub(super) fn exhausted_banks(self) -> Reading<u32> {
        let mut histogram: sys::nvmlRowRemapperHistogramValues_t = zeroed();
        call!(self.lib, nvmlDeviceGetRowRemapperHistogram(self.handle, &raw mut histogram) -> histogram.none)
    }

    pub(super) fn sram_errors(self) -> Reading<SramErrors> {
        let mut status: sys::nvmlEccSramErrorStatus_t = zeroed();
        status.version = version_of::<sys::nvmlEccSramErrorStatus_t>(1);
        call!(
            self.lib,
            nvmlDeviceGetSramEccErrorStatus(self.handle, &raw mut status) -> SramErrors {
                threshold_exceeded: status.bThresholdExceeded != 0,
            }
        )
    }

    /// The newest form the driver knows: the third has a health mask, the first has none.
    pub(super) fn fabric(self) -> Reading<RawFabric> {
        for version in [3, 2] {
            let mut info: sys::nvmlGpuFabricInfo_v3_t = zeroed();
            info.version = match version {
                3 => version_of::<sys::nvmlGpuFabricInfo_v3_t>(3),
                _ => version_of::<sys::nvmlGpuFabricInfo_v2_t>(2),
            };
            // The second form is a prefix of the third, so one structure has room for both.
            let read = call!(
                self.lib,
                nvmlDeviceGetGpuFabricInfoV(self.handle, &raw mut info) -> RawFabric {
                    cluster: info.clusterUuid,
                    status: info.status,
                    clique: info.cliqueId,
                    state: info.state,
                    health_mask: Some(info.healthMask),
                }
            );
            if read != Reading::Unsupported {
                return read;
            }
        }
        let mut info: sys::nvmlGpuFabricInfo_t = zeroed();
        call!(
            self.lib,
            nvmlDeviceGetGpuFabricInfo(self.handle, &raw mut info) -> RawFabric {
                cluster: info.clusterUuid,
                status: info.status,
                clique: info.cliqueId,
                state: info.state,
                health_mask: None,
            }
        )
    }

    pub(super) fn link_state(self, link: u32) -> Reading<bool> {
        let mut active: sys::nvmlEnableState_t = 0;
        call!(self.lib, nvmlDeviceGetNvLinkState(self.handle, link, &raw mut active) -> active != 0)
    }

    /// The kind of part at the other end, as the library numbers kinds.
    pub(super) fn link_remote_kind(self, link: u32) -> Reading<u32> {
        let mut kind: sys::nvmlIntNvLinkDeviceType_t = 0;
        call!(self.lib, nvmlDeviceGetNvLinkRemoteDeviceType(self.handle, link, &raw mut kind) -> kind)
    }

    /// The PCI address at the other end.
    pub(super) fn link_remote_address(self, link: u32) -> Reading<String> {
        let mut pci: sys::nvmlPciInfo_t = zeroed();
        placed(call!(
            self.lib,
            nvmlDeviceGetNvLinkRemotePciInfo_v2(self.handle, link, &raw mut pci) -> address_text(&pci)
        ))
    }

    pub(super) fn link_errors(self, link: u32, counter: sys::nvmlNvLinkErrorCounter_t) -> Reading<u64> {
        let mut count: u64 = 0;
        call!(self.lib, nvmlDeviceGetNvLinkErrorCounter(self.handle, link, counter, &raw mut count) -> count)
    }
}

/// The address from its numbers: the text beside them is upper case in some drivers and lower in others.
pub(super) fn address_of(domain: u32, bus: u32, device: u32) -> Option<String> {
    // A bus has 256 numbers and 32 devices; all bits set is what drivers write for a device that they do not see. Device 0
    // on bus 0 of domain 0 is the host's own bridge, and what a structure of zeros reads as.
    let told = domain != u32::MAX && bus <= 0xff && device <= 0x1f && !(bus == 0xff && device == 0x1f);
    let placed = domain | bus | device != 0;
    (told && placed).then(|| format!("{domain:08x}:{bus:02x}:{device:02x}.0"))
}

fn address_text(pci: &sys::nvmlPciInfo_t) -> Option<String> {
    address_of(pci.domain, pci.bus, pci.device)
}

/// An address that is none is not told.
fn placed(address: Reading<Option<String>>) -> Reading<String> {
    match address {
        Reading::Value(Some(address)) => Reading::Value(address),
        Reading::Value(None) | Reading::Unsupported => Reading::Unsupported,
        Reading::Failed(failure) => Reading::Failed(failure),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_drivers_write_for_want_of_one_are_none() {
        assert_eq!(address_of(u32::MAX, 0xff, 0xff), None);
        assert_eq!(address_of(0xffff, 0xff, 0x1f), None);
        assert_eq!(address_of(0, 0x6c65_6564, 0x4d2), None);
        assert_eq!(address_of(0, 0, 0), None);
        assert_eq!(address_of(0x10000, 0, 0).as_deref(), Some("00010000:00:00.0"), "Hyper-V numbers domains so");
        assert_eq!(address_of(0, 0xff, 0).as_deref(), Some("00000000:ff:00.0"));
    }

    /// Sizes in nvml.h: the driver refuses a structure that says another.
    #[test]
    fn structure_versions_are_those_of_the_header() {
        assert_eq!(version_of::<sys::nvmlMarginTemperature_t>(1), 0x0100_0008);
        assert_eq!(version_of::<sys::nvmlGpuFabricInfo_v3_t>(3), 0x0300_0028);
        assert_eq!(version_of::<sys::nvmlGpuFabricInfo_v2_t>(2), 0x0200_0024);
        assert_eq!(version_of::<sys::nvmlMemory_v2_t>(2), 0x0200_0028);
        assert_eq!(version_of::<sys::nvmlPlatformInfo_v2_t>(2), 0x0200_002c);
    }
}
