//! Stand-ins for readings that a part or its driver does not offer, made from others of the same sample.
//!
//! - The distance to slowdown: the part's absolute slowdown threshold less its temperature. Ampere has no other, and NVML
//!   gives the distance itself from release 570 on.
//! - The time slowed down for heat or by the power brake: the time between samples at whose end the clock event reasons
//!   say so. NVML counts it itself from release 575 on. A slowdown shorter than the time between two samples may be missed.
//!
//! A reading that failed stays failed: only what was never offered is stood in for.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "values are bounded where they are made, within the narrower type"
)]

use std::collections::BTreeMap;

use kiln_model::{ClockReasons, GpuIndex, Inventory, Moment, Reading, Sample, Sensor};

/// Which reason stands for which counter.
const TIMES: [(Sensor, u64); 3] = [
    (Sensor::ThrottleSwThermal, ClockReasons::SW_THERMAL),
    (Sensor::ThrottleHwThermal, ClockReasons::HW_THERMAL),
    (Sensor::ThrottlePowerBrake, ClockReasons::HW_POWER_BRAKE),
];

/// What is kept of one GPU.
#[derive(Debug, Clone, Copy, Default)]
struct Kept {
    slowdown_celsius: Option<f64>,
    last: Option<Moment>,
    seconds: [f64; TIMES.len()],
}

#[derive(Debug, Default)]
pub(super) struct StandIns {
    gpus: BTreeMap<GpuIndex, Kept>,
}

impl StandIns {
    pub(super) fn new(inventory: &Inventory) -> Self {
        let kept = |slowdown_celsius| Kept { slowdown_celsius, ..Kept::default() };
        Self { gpus: inventory.gpus.iter().map(|gpu| (gpu.index, kept(gpu.thermal.slowdown_celsius.get()))).collect() }
    }

    /// The sample with stand-ins, if there are any: most parts offer everything.
    pub(super) fn complete(&mut self, sample: &Sample) -> Option<Box<Sample>> {
        let mut whole = None;
        let mut put = |sensor: Sensor, reading: Reading<f64>| {
            whole.get_or_insert_with(|| Box::new(sample.clone())).set(sensor, reading);
        };
        let kept = self.gpus.entry(sample.gpu).or_default();
        if sample[Sensor::TempMargin] == Reading::Unsupported
            && let Some(slowdown) = kept.slowdown_celsius
        {
            put(Sensor::TempMargin, sample[Sensor::TempGpu].map(|celsius| slowdown - celsius));
        }
        let reasons = sample[Sensor::ClockReasons];
        let passed = kept.last.replace(sample.at).map_or(0.0, |last| sample.at.since(last).as_secs_f64());
        for ((sensor, bit), seconds) in TIMES.into_iter().zip(&mut kept.seconds) {
            if reasons.get().is_some_and(|reasons| ClockReasons(reasons as u64).has(bit)) {
                *seconds += passed;
            }
            if sample[sensor] == Reading::Unsupported {
                put(sensor, reasons.map(|_| *seconds));
            }
        }
        whole
    }
}

#[cfg(test)]
#[expect(clippy::cast_precision_loss, reason = "counts and nanoseconds become floats for statistics, far below 2^53")]
mod tests {
    use super::*;
    use kiln_model::{Gpu, ReadingFailure};

    const GPU: GpuIndex = GpuIndex(0);

    fn stand_ins(slowdown: Reading<f64>) -> StandIns {
        let mut gpu = Gpu::bare(GPU);
        gpu.thermal.slowdown_celsius = slowdown;
        StandIns::new(&Inventory { gpus: vec![gpu], ..Inventory::default() })
    }

    fn complete(all: &mut StandIns, sample: Sample) -> Sample {
        all.complete(&sample).map_or(sample, |whole| *whole)
    }

    fn sample(second: u64, celsius: f64, reasons: u64) -> Sample {
        let mut sample = Sample::new(GPU, Moment::from_secs(second));
        sample.put(Sensor::TempGpu, celsius);
        sample.put(Sensor::ClockReasons, reasons as f64);
        sample
    }

    #[test]
    fn the_absolute_threshold_stands_in_for_a_margin_that_is_not_offered() {
        let mut with = stand_ins(Reading::Value(89.0));
        assert_eq!(complete(&mut with, sample(1, 60.0, 0)).get(Sensor::TempMargin), Some(29.0));
        let mut own = sample(2, 60.0, 0);
        own.put(Sensor::TempMargin, 17.0);
        assert_eq!(complete(&mut with, own).get(Sensor::TempMargin), Some(17.0), "the part's own comes first");
        let mut without = stand_ins(Reading::Unsupported);
        assert_eq!(complete(&mut without, sample(1, 60.0, 0))[Sensor::TempMargin], Reading::Unsupported);
    }

    #[test]
    fn sampled_reasons_stand_in_for_times_that_are_not_counted() {
        let mut all = stand_ins(Reading::Unsupported);
        let thermal = ClockReasons::SW_THERMAL;
        let told: Vec<Option<f64>> = [(1, 0), (2, thermal), (4, thermal), (5, ClockReasons::HW_POWER_BRAKE)]
            .into_iter()
            .map(|(second, reasons)| complete(&mut all, sample(second, 60.0, reasons)).get(Sensor::ThrottleSwThermal))
            .collect();
        assert_eq!(told, [Some(0.0), Some(1.0), Some(3.0), Some(3.0)]);
        let last = complete(&mut all, sample(6, 60.0, 0));
        assert_eq!((last.get(Sensor::ThrottlePowerBrake), last.get(Sensor::ThrottleHwThermal)), (Some(1.0), Some(0.0)));
    }

    #[test]
    fn what_failed_is_not_stood_in_for() {
        let mut all = stand_ins(Reading::Value(89.0));
        let mut lost = Sample::new(GPU, Moment::from_secs(1));
        lost.fail_all(ReadingFailure::Timeout);
        assert_eq!(complete(&mut all, lost.clone()), lost);
        let mut cold = sample(2, 0.0, 0);
        cold.set(Sensor::TempGpu, Reading::Failed(ReadingFailure::Timeout));
        cold.set(Sensor::ClockReasons, Reading::Unsupported);
        let whole = complete(&mut all, cold);
        assert_eq!(whole[Sensor::TempMargin], Reading::Failed(ReadingFailure::Timeout));
        assert_eq!(whole[Sensor::ThrottleHwThermal], Reading::Unsupported);
    }
}
