//! Every call of the driver's library with every code it can end in: a GPU that is gone, a failure, or a thing not offered, and
//! never a value.

use std::collections::BTreeSet;

use kiln::model::{Gpu, GpuIndex, Reading, ReadingFailure, Sample, Sensor};

use crate::refusing::{Looked, Refusing};

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
