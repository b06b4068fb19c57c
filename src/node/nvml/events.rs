//! Xids as the driver's event channel tells them, for machines whose kernel log is closed to us.
//!
//! The channel keeps only the latest Xid of each GPU; the kernel log is the record of truth.

#![expect(unsafe_code, reason = "the wrapper drops event types it does not know and gives no address")]

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread;
use std::time::Duration;

use nvml_wrapper_sys::bindings as sys;

use super::clock::RunClock;
use super::follow::{Following, Told, closed};
use super::raw::RawDevice;
use kiln_model::{KernelRecord, KernelSource, Reach, Source, SourceState, SourceTrouble};

/// How long one wait lasts, so that a node that was dropped is noticed.
const WAIT_MS: u32 = 1000;

/// Starts to listen. Where the library has no events, or no GPU offers them, there is nothing to hear and no thread.
///
/// The thread ends with the node, whose clock it holds weakly.
pub(super) fn listen(
    gpus: Vec<RawDevice>,
    clock: &Arc<RunClock>,
    told: Sender<Told>,
    arrived: impl Fn() + Send + 'static,
) {
    let clock = Arc::downgrade(clock);
    // A thread that cannot start tells nothing, and what nobody told of is not followed.
    let _ = thread::Builder::new().name("nvml events".to_owned()).spawn(move || {
        let Some(begun) = clock.upgrade() else { return };
        let Some(set) = EventSet::of(&gpus) else {
            return closed(Source::DriverEvents, SourceTrouble::Absent, begun.now(), &told);
        };
        let followed = SourceState::Followed(Reach::Now);
        let _following = Following::begin(Source::DriverEvents, followed, &begun, told.clone());
        drop(begun);
        let addresses: Vec<_> = gpus.iter().map(|gpu| (gpu.handle(), gpu.address())).collect();
        while clock.strong_count() > 0 {
            match set.wait() {
                Waited::Xid(handle, xid) => {
                    let Some(clock) = clock.upgrade() else { return };
                    let address = addresses.iter().find(|(other, _)| *other == handle).and_then(|(_, at)| at.value());
                    let text = line(address.map_or("unknown", String::as_str), xid);
                    let record = KernelRecord { at: clock.now(), source: KernelSource::DriverEvent, text };
                    if told.send(Told::Record(record)).is_err() {
                        return;
                    }
                    arrived();
                }
                Waited::Nothing => {}
                // The code that announces a lost GPU comes at once and again; the others are still to be heard.
                Waited::Refused => thread::park_timeout(Duration::from_millis(WAIT_MS.into())),
                Waited::Over => return,
            }
        }
    });
}

/// In the form of the kernel log, so that one reader reads both.
fn line(address: &str, xid: u64) -> String {
    format!("NVRM: Xid (PCI:{}): {xid}, reported by the driver's event channel", log_address(address))
}

/// `00000000:b5:00.0` as log lines have it: `0000:b5:00`.
fn log_address(address: &str) -> String {
    let short = address.strip_prefix("0000").filter(|rest| rest.find(':') == Some(4)).unwrap_or(address);
    short.strip_suffix(".0").unwrap_or(short).to_owned()
}

enum Waited {
    Xid(sys::nvmlDevice_t, u64),
    Nothing,
    Refused,
    Over,
}

struct EventSet {
    set: sys::nvmlEventSet_t,
    lib: &'static sys::NvmlLib,
}

impl EventSet {
    fn of(gpus: &[RawDevice]) -> Option<Self> {
        let lib = gpus.first()?.lib();
        let create = lib.nvmlEventSetCreate.as_ref().ok()?;
        let register = lib.nvmlDeviceRegisterEvents.as_ref().ok()?;
        let mut set: sys::nvmlEventSet_t = std::ptr::null_mut();
        // SAFETY: the signature is nvml.h's; the pointer is to a live local.
        if unsafe { create(&raw mut set) } != sys::nvmlReturn_enum_NVML_SUCCESS {
            return None;
        }
        let mut heard = 0;
        for gpu in gpus {
            // SAFETY: handle and set come from this library.
            let code = unsafe { register(gpu.handle(), sys::nvmlEventTypeXidCriticalError.into(), set) };
            heard += u32::from(code == sys::nvmlReturn_enum_NVML_SUCCESS);
        }
        (heard > 0).then_some(Self { set, lib })
    }

    fn wait(&self) -> Waited {
        let Ok(wait) = self.lib.nvmlEventSetWait_v2.as_ref() else { return Waited::Over };
        // SAFETY: a plain C structure of a pointer and integers, for which all zeros are valid.
        let mut data: sys::nvmlEventData_t = unsafe { std::mem::zeroed() };
        // SAFETY: the set comes from this library; the pointer is to a live local of the type the function fills.
        match unsafe { wait(self.set, &raw mut data, WAIT_MS) } {
            sys::nvmlReturn_enum_NVML_SUCCESS
                if data.eventType & u64::from(sys::nvmlEventTypeXidCriticalError) != 0 =>
            {
                Waited::Xid(data.device, data.eventData)
            }
            sys::nvmlReturn_enum_NVML_SUCCESS | sys::nvmlReturn_enum_NVML_ERROR_TIMEOUT => Waited::Nothing,
            _ => Waited::Refused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_diagnose::{KernelLine, read_kernel_line};

    #[test]
    fn an_event_reads_as_the_log_line_it_stands_for() {
        let text = line("00000000:b5:00.0", 79);
        assert_eq!(text, "NVRM: Xid (PCI:0000:b5:00): 79, reported by the driver's event channel");
        let Some(KernelLine::Xid(xid)) = read_kernel_line(&text) else { panic!("not an Xid: {text}") };
        assert_eq!((xid.pci.to_string().as_str(), xid.code), ("00000000:b5:00.0", 79));
        assert_eq!(log_address("00010000:b5:00.0"), "00010000:b5:00");
    }
}
