//! Lines of the GPU driver that speak of failures and mean none: checks of its own code, and what it refuses a program.
//!
//! The open driver logs every check of its own that did not hold, with its status. A program that asks for more memory than
//! there is, or for what the part does not offer, makes the driver of a healthy part log dozens of them. What is wrong with
//! a part has an Xid, or one of the other statuses.

use std::ops::RangeInclusive;

use super::general_words::speaks_of_error;
use super::kernel_line::InitCause;

/// Statuses by which the driver refuses a request or is not ready for it, such as 0x1f for an invalid argument, 0x51 for no
/// memory and 0x56 for a call that is not supported (`nvstatuscodes.h` of open-gpu-kernel-modules). Those left out tell of
/// the part: 0x0f for a GPU that is lost, 0x62 for one that wants a reset, 0x65 for a time that ran out, and so on.
const REFUSED: [RangeInclusive<u32>; 12] = [
    0x02..=0x03,
    0x07..=0x09,
    0x12..=0x12,
    0x16..=0x17,
    0x19..=0x1b,
    0x1d..=0x44,
    0x48..=0x4a,
    0x4c..=0x59,
    0x5b..=0x5e,
    0x63..=0x64,
    0x66..=0x6a,
    0x6d..=0x6e,
];

/// Where a line has its status.
const STATUS: [&str; 4] = ["] (0x", "status=0x", "status 0x", "status = 0x"];

/// Words of requests that the driver refuses a program, of memory of the host that it was not given, and of methods that the
/// firmware does not have (nv-dmabuf.c, nv-mmap.c, nv.c, nv-acpi.c of kernel-open/nvidia).
const REFUSED_IN_WORDS: [&str; 10] = [
    "dma-buf",
    "nv_dma_buf_mmap",
    "failed to copy in ",
    "failed to copy out ",
    "Userspace mapping creation failed",
    "GPU is locked for unbind operation",
    "failed to allocate ",
    "stack_t cache allocation failed",
    "nv_acpi_",
    "to vGPU VFIO module",
];

/// Whether a line of the driver that has a word for an error in it says nothing of the part.
pub(super) fn means_nothing(message: &str) -> bool {
    if REFUSED_IN_WORDS.iter().any(|words| message.contains(words)) {
        return true;
    }
    match status(message) {
        Some(status) => REFUSED.iter().any(|range| range.contains(&status)),
        // What did not hold is a condition of the code; one in words may be of the part.
        None => message.split_once("Assertion failed").is_some_and(|(_, rest)| {
            let (condition, _) = rest.split_once(" @ ").unwrap_or((rest, ""));
            !speaks_of_error(condition)
        }),
    }
}

fn status(message: &str) -> Option<u32> {
    let (_, rest) = STATUS.iter().find_map(|key| message.rsplit_once(key))?;
    u32::from_str_radix(rest.split(|end: char| !end.is_ascii_hexdigit()).next()?, 16).ok()
}

/// Words of lines before `RmInitAdapter failed` that tell of a driver which lacks what it needs: `linux/nv.c` and
/// `kernel_gsp.c` of open-gpu-kernel-modules (its issues 116, 263 and 943), and the kernel's own loader of firmware.
const INSTALLATION: [&str; 4] = [
    "No firmware image found",
    "firmware image version mismatch",
    "missing NVDEC0 engine",
    "Direct firmware load for nvidia/",
];
/// `kernel_gsp_tu102.c` of the same, where the GPU's own start-up does not come to its end (its issues 789 and 1230).
const NEEDS_RESET: &str = "may need to be reset";

/// `nv.c` of the same, of a GPU whose cable for power is not plugged in.
const NO_POWER: &str = "necessary power cables connected";

/// What a line says of why the initialisation that fails after it does so.
pub(super) fn init_cause(message: &str) -> Option<InitCause> {
    if !message.starts_with("NVRM") && !message.starts_with("nvidia ") {
        return None;
    }
    if INSTALLATION.iter().any(|words| message.contains(words)) {
        return Some(InitCause::Installation);
    }
    if message.contains(NO_POWER) {
        return Some(InitCause::NoPower);
    }
    message.contains(NEEDS_RESET).then_some(InitCause::NeedsReset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_request_means_nothing_and_a_part_that_is_gone_or_wants_a_reset_does() {
        for line in [
            "NVRM: nvCheckOkFailedNoLog: Check failed: Out of memory [NV_ERR_NO_MEMORY] (0x00000051) returned from _memdescAllocInternal(pMemDesc) @ mem_desc.c:1359",
            "NVRM: GPU0 nvAssertOkFailedNoLog: Assertion failed: Requested object not found [NV_ERR_OBJECT_NOT_FOUND] (0x00000057) returned from status @ x.c:12",
            "NVRM: nvAssertFailedNoLog: Assertion failed: 0 @ mapping_cpu.c:127",
            "NVRM: rpcRmApiControl_GSP: GspRmControl failed: hClient=0xc1d00010; hObject=0x5c000010; cmd=0x20801801; paramsSize=0x10; paramsStatus=0x00000000; status=0x00000056",
            "NVRM: GPU0 osIovaMap: osIovaMap: failed to map allocation (status = 0x59)",
            "NVRM: dma-buf attach failed: PCI topology not supported for dma-buf",
            "NVRM: failed to copy in ioctl data!",
            "NVRM: failed to allocate page table",
            "NVRM: GPU 0000:65:00.0: nv_acpi_dsm_method: failed to evaluate _DSM method!",
        ] {
            assert!(means_nothing(line), "{line}");
        }
        for line in [
            "NVRM: nvAssertOkFailedNoLog: Assertion failed: Reset required [NV_ERR_RESET_REQUIRED] (0x00000062) returned from status @ kernel_channel.c:2874",
            "NVRM: nvCheckOkFailedNoLog: Check failed: GPU lost from the bus [NV_ERR_GPU_IS_LOST] (0x0000000F) returned from x @ nv_debug_dump.c:273",
            "NVRM: nvCheckOkFailedNoLog: Check failed: Call timed out [NV_ERR_TIMEOUT] (0x00000065) returned from rmStatus @ kernel_gsp.c:2100",
            "NVRM: nvAssertOkFailedNoLog: Assertion failed: Failure: Generic Error [NV_ERR_GENERIC] (0x0000FFFF) returned from status @ kernel_gsp_tu102.c:511",
            "NVRM: rpcRmApiAlloc_GSP: GspRmAlloc failed: hClient=0xc1d1a616; paramsStatus=0x00000062; status=0x00000062",
            "NVRM: _issueRpcAndWait: rpcSendMessage failed with status 0x0000000f for fn 78!",
            "NVRM: GPU 0000:65:00.0: nvAssertFailedNoLog: Assertion failed: fatal NVLink error, GPU reset required @ kernel_nvlink.c:812",
            "NVRM: GPU 0000:65:00.0: brand new engine reported a fatal condition",
            // Asked of the system processor in vain (`knvlinkUpdatePostRxDetectLinkMask_IMPL` of kernel_nvlink.c): a sign of links, and of
            // programs that ask for their state, which hang.
            "NVRM: knvlinkUpdatePostRxDetectLinkMask_IMPL: Failed to update Rx Detect Link mask!",
        ] {
            assert!(!means_nothing(line), "{line}");
        }
    }
}
