//! The NVLinks of one GPU: how many, in what state, to where, and their error counters.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "what a driver or a text tells is within the range of what it measures"
)]

use nvml_wrapper_sys::bindings as sys;

use super::batch::{Batch, Number};
use super::device::NvmlGpu;
use super::field::FieldId;
use super::outcome::or;
use kiln_model::{LinkCounters, LinkState, Reading, ReadingFailure};

/// More links than any GPU has: the sixth generation has 36.
const LINKS_MAX: u32 = 36;

/// Fields asked of each link for its counters.
const EACH: usize = 5;

/// One link as read, its far end not yet put in relation to the rest of the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LinkFacts {
    pub(super) link: u8,
    pub(super) state: Reading<LinkState>,
    pub(super) speed_mb_per_s: Reading<u32>,
    pub(super) remote: Reading<RemoteFacts>,
}

/// What the library says of a link's far end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RemoteFacts {
    pub(super) kind: RemoteKind,
    pub(super) address: String,
    /// The link's number at that end, where the driver tells it.
    pub(super) port: Option<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RemoteKind {
    Gpu,
    Cpu,
    Switch,
    Unknown,
}

/// How many links the GPU has. Drivers answer "invalid argument" one past the last link, and "unsupported" where there is
/// none at all.
pub(super) fn count(gpu: &NvmlGpu) -> Reading<u32> {
    let past_the_end = Reading::Failed(ReadingFailure::Driver(sys::nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT as i32));
    for link in 0..LINKS_MAX {
        match gpu.raw.link_state(link) {
            Reading::Value(_) => {}
            // A link in the middle of which nothing is known still is a link, but only if a later one answers; drivers
            // do not leave gaps, so the first that does not answer is the end.
            Reading::Unsupported if link == 0 => return Reading::Unsupported,
            other if link == 0 && other != past_the_end => return other.map(|_| 0),
            _ if link == 0 => return Reading::Unsupported,
            Reading::Failed(failure @ (ReadingFailure::Lost | ReadingFailure::Timeout)) => {
                return Reading::Failed(failure);
            }
            _ => return Reading::Value(link),
        }
    }
    Reading::Value(LINKS_MAX)
}

pub(super) fn facts(gpu: &mut NvmlGpu) -> Reading<Vec<LinkFacts>> {
    let count = match count(gpu) {
        Reading::Value(count) => count,
        Reading::Unsupported => return Reading::Unsupported,
        Reading::Failed(failure) => return Reading::Failed(failure),
    };
    let asked = (0..count).flat_map(|link| [FieldId::NVLINK_SPEED.of(link), FieldId::NVLINK_REMOTE_LINK.of(link)]);
    let mut batch = Batch::new(gpu.scheme, asked.collect());
    batch.read(gpu.raw);
    let facts = (0..count).map(|link| {
        let state = gpu.raw.link_state(link).map(|up| if up { LinkState::Active } else { LinkState::Inactive });
        let up = state == Reading::Value(LinkState::Active);
        let speed = batch.get(link as usize * 2).map(|speed| speed.count() as u32);
        let port = batch.get(link as usize * 2 + 1).map(Number::count);
        LinkFacts {
            link: link as u8,
            state,
            // A link that is down has no speed and no far end; drivers answer zeros then.
            speed_mb_per_s: if up { speed } else { Reading::Unsupported },
            remote: if up { remote(gpu, link, port) } else { Reading::Unsupported },
        }
    });
    Reading::Value(facts.collect())
}

/// Where a link ends. What the driver does not offer is left open; what failed to be read is not known, and neither is the end.
fn remote(gpu: &NvmlGpu, link: u32, port: Reading<u64>) -> Reading<RemoteFacts> {
    if let Reading::Failed(failure) = port {
        return Reading::Failed(failure);
    }
    let port = port.get().and_then(|port| u8::try_from(port).ok());
    let kind = match gpu.raw.link_remote_kind(link) {
        Reading::Failed(failure) => return Reading::Failed(failure),
        Reading::Value(sys::nvmlIntNvLinkDeviceType_enum_NVML_NVLINK_DEVICE_TYPE_GPU) => RemoteKind::Gpu,
        Reading::Value(sys::nvmlIntNvLinkDeviceType_enum_NVML_NVLINK_DEVICE_TYPE_IBMNPU) => RemoteKind::Cpu,
        Reading::Value(sys::nvmlIntNvLinkDeviceType_enum_NVML_NVLINK_DEVICE_TYPE_SWITCH) => RemoteKind::Switch,
        _ => RemoteKind::Unknown,
    };
    gpu.raw.link_remote_address(link).map(|address| RemoteFacts { kind, address, port })
}

/// The counters of every link in one call.
pub(super) fn counters(gpu: &mut NvmlGpu) -> Reading<Vec<LinkCounters>> {
    let count = match count(gpu) {
        Reading::Value(count) => count,
        Reading::Unsupported => return Reading::Unsupported,
        Reading::Failed(failure) => return Reading::Failed(failure),
    };
    let asked = (0..count).flat_map(|link| {
        [
            FieldId::NVLINK_DL_CRC.of(link),
            FieldId::NVLINK_DL_REPLAY.of(link),
            FieldId::NVLINK_DL_RECOVERY.of(link),
            FieldId::NVLINK_RECEIVE_ERRORS.of(link),
            FieldId::NVLINK_RECOVERY_EVENTS.of(link),
        ]
    });
    let mut batch = Batch::new(gpu.scheme, asked.collect());
    batch.read(gpu.raw);
    let counters = (0..count).map(|link| {
        let field = |place: usize| batch.get(link as usize * EACH + place).map(Number::count);
        let old = |counter| gpu.raw.link_errors(link, counter);
        LinkCounters {
            link: link as u8,
            crc: or(or(field(0), || old(sys::nvmlNvLinkErrorCounter_enum_NVML_NVLINK_ERROR_DL_CRC_FLIT)), || field(3)),
            replay: or(field(1), || old(sys::nvmlNvLinkErrorCounter_enum_NVML_NVLINK_ERROR_DL_REPLAY)),
            recovery: or(or(field(2), || old(sys::nvmlNvLinkErrorCounter_enum_NVML_NVLINK_ERROR_DL_RECOVERY)), || {
                field(4)
            }),
        }
    });
    Reading::Value(counters.collect())
}
