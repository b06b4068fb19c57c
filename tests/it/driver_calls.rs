//! Every call of the driver's library with every code it can end in: a GPU that is gone, a failure, or a thing not offered, and
//! never a value.

#![expect(unsafe_code, reason = "a library of our own is told at run time what to refuse")]

use std::collections::BTreeSet;
use std::ffi::{CString, c_char};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use kiln::engine::Arrivals;
use kiln::model::{Gpu, GpuIndex, Inventory, Moment, Reading, ReadingFailure, Sample, Sensor};
use kiln::node::nvml::{NvmlNode, NvmlOptions};

fn library() -> PathBuf {
    std::env::current_exe().expect("the test's own path").with_file_name("libnvidia_ml.so")
}

/// The library of this process, told which calls are to fail.
struct Refusing(libloading::Library);

impl Refusing {
    fn open() -> Self {
        // SAFETY: a library of our own that does nothing when it is loaded.
        Self(unsafe { libloading::Library::new(library()) }.expect("the library"))
    }

    fn refuse(&self, what: &str) {
        let text = CString::new(what).expect("a text");
        // SAFETY: the signature is the library's own; the text lives through the call.
        let code = unsafe {
            let told: libloading::Symbol<'_, unsafe extern "C" fn(*const c_char) -> u32> =
                self.0.get(b"kiln_fake_errors").expect("the function");
            told(text.as_ptr())
        };
        assert_eq!(code, 0);
    }
}

/// A node with its arrivals, woken as answers come.
struct Looked {
    node: NvmlNode,
    woken: Receiver<()>,
    arrivals: Arrivals,
}

impl Looked {
    fn open() -> Self {
        let root = std::env::temp_dir().join("kiln-no-such-host");
        let options = NvmlOptions { lib: Some(library()), root, ..NvmlOptions::default() };
        let mut node = NvmlNode::open_with(&options).expect("a node");
        let (wake, woken) = channel();
        node.on_arrival(Box::new(move || {
            let _ = wake.send(());
        }));
        Self { node, woken, arrivals: Arrivals::default() }
    }

    fn until(&mut self, enough: impl Fn(&Arrivals) -> bool) {
        for _ in 0..1000 {
            self.node.collect(Moment::from_secs(1), &mut self.arrivals);
            if enough(&self.arrivals) {
                return;
            }
            let _ = self.woken.recv_timeout(Duration::from_millis(50));
        }
        panic!("nothing came");
    }

    fn inventory(&mut self) -> Inventory {
        self.node.read_inventory(Moment::from_secs(1));
        self.until(|arrivals| !arrivals.inventories.is_empty());
        *self.arrivals.inventories.remove(0).expect("an inventory")
    }

    fn samples(&mut self) -> Vec<Sample> {
        self.arrivals.samples.clear();
        self.node.sample(Moment::from_secs(1));
        self.until(|arrivals| arrivals.samples.len() == 8);
        let mut samples = std::mem::take(&mut self.arrivals.samples);
        samples.sort_by_key(|sample| sample.gpu);
        samples
    }
}

/// What one GPU showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Shown {
    /// All there is, or less of what it offers.
    Answers,
    /// Something failed that is not offered to fail.
    Fails,
    Gone,
}

fn shown(gpu: &Gpu, sample: &Sample) -> Shown {
    let failed = |reading: Reading<f64>| matches!(reading, Reading::Failed(_));
    let words =
        [&gpu.identity.name, &gpu.identity.uuid, &gpu.identity.serial, &gpu.identity.vbios, &gpu.identity.gsp_firmware];
    let of_gpu = words.into_iter().any(|word| matches!(word, Reading::Failed(_)))
        || matches!(gpu.memory_mib, Reading::Failed(_))
        || matches!(gpu.bar1_mib, Reading::Failed(_))
        || matches!(gpu.processes, Reading::Failed(_))
        || matches!(gpu.fabric, Reading::Failed(_))
        || failed(gpu.power.set)
        || failed(gpu.power.default)
        || failed(gpu.clocks.max_sm);
    if sample.is_lost() {
        Shown::Gone
    } else if of_gpu || Sensor::ALL.iter().any(|sensor| failed(sample[*sensor])) {
        Shown::Fails
    } else {
        Shown::Answers
    }
}

/// All calls the backend makes of a GPU.
const CALLS: &[&str] = &[
    "GetName",
    "GetUUID",
    "GetSerial",
    "GetVbiosVersion",
    "GetGspFirmwareVersion",
    "GetMemoryInfo_v2",
    "GetBAR1MemoryInfo",
    "GetPowerManagementLimit",
    "GetPowerManagementDefaultLimit",
    "GetMaxClockInfo",
    "GetTemperature",
    "GetMarginTemperature",
    "GetEnforcedPowerLimit",
    "GetClockInfo",
    "GetUtilizationRates",
    "GetCurrentClocksEventReasons",
    "GetCurrPcieLinkGeneration",
    "GetFieldValues",
    "GetComputeRunningProcesses",
    "GetGpuFabricInfoV",
];
const LOST: [u32; 2] = [15, 28];
const NOT_OFFERED: [u32; 4] = [3, 13, 25, 26];
const OTHER: [u32; 12] = [1, 2, 4, 6, 8, 10, 14, 16, 18, 20, 27, 999];
/// Codes that make a GPU of which every call ends so a broken one.
const BROKEN: [u32; 4] = [8, 14, 16, 999];

#[test]
fn every_call_with_every_code_is_a_gpu_that_is_gone_a_failure_or_not_offered() {
    let refusing = Refusing::open();
    refusing.refuse("");
    let gpu = GpuIndex(3);
    let look = |what: &str, before: bool| {
        let mut node = if before {
            refusing.refuse(what);
            Looked::open()
        } else {
            let mut node = Looked::open();
            node.inventory();
            node.samples();
            refusing.refuse(what);
            node
        };
        let inventory = node.inventory();
        let samples = node.samples();
        refusing.refuse("");
        for other in [2, 4] {
            assert_eq!(shown(&inventory.gpus[other], &samples[other]), Shown::Answers, "{what}: gpu/{other}");
        }
        let sample = &samples[gpu.at()];
        assert!(sample.get(Sensor::TempGpu).is_none_or(|celsius| celsius > 10.0), "{what}: a failure read as a value");
        (shown(&inventory.gpus[gpu.at()], sample), inventory)
    };
    for call in CALLS {
        for code in LOST {
            assert_eq!(look(&format!("3:{call}:{code}"), code == 15).0, Shown::Gone, "{call} {code}");
        }
        for code in NOT_OFFERED {
            assert_eq!(look(&format!("3:{call}:{code}"), code == 3).0, Shown::Answers, "{call} {code}");
        }
    }
    for call in
        ["GetName", "GetTemperature", "GetPowerManagementLimit", "GetMemoryInfo_v2", "GetComputeRunningProcesses"]
    {
        for code in OTHER {
            assert_eq!(look(&format!("3:{call}:{code}"), true).0, Shown::Fails, "{call} {code}");
        }
    }
    for before in [true, false] {
        for code in LOST.into_iter().chain(BROKEN) {
            let (shown, inventory) = look(&format!("3:*:{code}"), before);
            assert_eq!(shown, Shown::Gone, "all {code}, before the run: {before}");
            let name = &inventory.gpus[gpu.at()].identity.name;
            assert!(matches!(name, Reading::Failed(_)), "all {code}: {name}");
        }
        for code in OTHER.into_iter().filter(|code| !BROKEN.contains(code) && *code != 10) {
            assert_eq!(look(&format!("3:*:{code}"), before).0, Shown::Fails, "all {code}, before the run: {before}");
        }
    }
    let refused: BTreeSet<(u32, Shown)> = [2, 6, 8, 15, 16, 999]
        .into_iter()
        .map(|code| (code, look(&format!("3:HandleByIndex:{code}"), true).0))
        .collect();
    assert!(refused.iter().all(|(_, shown)| *shown == Shown::Gone), "{refused:?}");
    assert_eq!(look("3:HandleByIndex:15", true).1.gpus[3].identity.uuid, Reading::Failed(ReadingFailure::Lost));
}
