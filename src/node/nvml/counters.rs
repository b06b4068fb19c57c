//! The error counters of one GPU and of its links.

use nvml_wrapper::enum_wrappers::device::{EccCounter, MemoryError};

use super::batch::{Number, read_once};
use super::device::NvmlGpu;
use super::field::FieldId;
use super::outcome::{or, read};
use kiln_model::{GpuCounters, Reading};

pub(super) fn counters(gpu: &mut NvmlGpu) -> GpuCounters {
    let [corrected, uncorrected, replays, correctable, fatal, recoveries, remaps @ ..] = read_once(
        gpu.raw,
        gpu.scheme,
        [
            FieldId::ECC_CORRECTED_VOLATILE.whole(),
            FieldId::ECC_UNCORRECTED_VOLATILE.whole(),
            FieldId::PCIE_REPLAYS.whole(),
            FieldId::PCIE_CORRECTABLE.whole(),
            FieldId::PCIE_FATAL.whole(),
            FieldId::PCIE_RECOVERIES.whole(),
            FieldId::REMAPPED_CORRECTED.whole(),
            FieldId::REMAPPED_UNCORRECTED.whole(),
            FieldId::REMAPPED_PENDING.whole(),
            FieldId::REMAPPED_FAILED.whole(),
        ],
    );
    let [remap_corrected, remap_uncorrected, remap_pending, remap_failed] =
        remaps.map(|value| value.map(Number::count));
    let rows = gpu.raw.remapped_rows();
    let ecc = |kind| read(gpu.device.total_ecc_errors(kind, EccCounter::Volatile));
    GpuCounters {
        gpu: gpu.index,
        ecc_corrected: or(corrected.map(Number::count), || ecc(MemoryError::Corrected)),
        ecc_uncorrected: or(uncorrected.map(Number::count), || ecc(MemoryError::Uncorrected)),
        sram_threshold_exceeded: sram_threshold_exceeded(gpu),
        remap_corrected: or(remap_corrected, || rows.map(|rows| rows.corrected.into())),
        remap_uncorrected: or(remap_uncorrected, || rows.map(|rows| rows.uncorrected.into())),
        remap_pending: or(remap_pending.map(|flag| flag != 0), || rows.map(|rows| rows.pending)),
        remap_failed: or(remap_failed.map(|flag| flag != 0), || rows.map(|rows| rows.failed)),
        remap_banks_exhausted: gpu.raw.exhausted_banks().map(u64::from),
        pcie_replays: or(replays.map(Number::count), || read(gpu.device.pcie_replay_counter()).map(u64::from)),
        pcie_correctable: correctable.map(Number::count),
        pcie_fatal: fatal.map(Number::count),
        pcie_retrains: recoveries.map(Number::count),
        links: super::links::counters(gpu),
    }
}

/// Drivers before release 550 do not tell of the threshold. Without a single error on record it cannot have been passed;
/// with some, only the driver that counts for it can say.
pub(super) fn sram_threshold_exceeded(gpu: &NvmlGpu) -> Reading<bool> {
    or(gpu.raw.sram_errors().map(|errors| errors.threshold_exceeded), || match gpu.raw.sram_uncorrected() {
        Reading::Value(0) => Reading::Value(false),
        Reading::Value(_) | Reading::Unsupported => Reading::Unsupported,
        Reading::Failed(failure) => Reading::Failed(failure),
    })
}
