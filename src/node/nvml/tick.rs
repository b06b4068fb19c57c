//! All sensors of one GPU, read for one tick: one call for all field values, and a few that have calls of their own.

#![expect(
    clippy::cast_precision_loss,
    reason = "what a driver or a text tells is within the range of what it measures"
)]

use nvml_wrapper::enum_wrappers::device::{Clock, EccCounter, MemoryError, TemperatureSensor};

use super::batch::{Batch, Number};
use super::device::NvmlGpu;
use super::field::{FieldId, Scoped};
use super::outcome::{is_dead, number, or, read};
use kiln_model::{Reading, ReadingFailure, Sample, Sensor};

/// Sensors that are fields: which, of what, and what one unit of the field is in units of the sensor.
const FIELDS: &[(Sensor, FieldId, f64)] = &[
    (Sensor::Power, FieldId::POWER_AVERAGE, 1e-3),
    (Sensor::PowerInstant, FieldId::POWER_INSTANT, 1e-3),
    (Sensor::Energy, FieldId::ENERGY, 1e-3),
    (Sensor::TempMemory, FieldId::MEMORY_TEMPERATURE, 1.0),
    (Sensor::ThrottlePowerCap, FieldId::POWER_CAP_TIME, 1e-9),
    (Sensor::ThrottleSwThermal, FieldId::SW_THERMAL_TIME, 1e-9),
    (Sensor::ThrottleHwThermal, FieldId::HW_THERMAL_TIME, 1e-9),
    (Sensor::ThrottlePowerBrake, FieldId::POWER_BRAKE_TIME, 1e-9),
    (Sensor::EccCorrected, FieldId::ECC_CORRECTED_VOLATILE, 1.0),
    (Sensor::EccUncorrected, FieldId::ECC_UNCORRECTED_VOLATILE, 1.0),
    (Sensor::RemapCorrected, FieldId::REMAPPED_CORRECTED, 1.0),
    (Sensor::RemapUncorrected, FieldId::REMAPPED_UNCORRECTED, 1.0),
    (Sensor::RemapPending, FieldId::REMAPPED_PENDING, 1.0),
    (Sensor::RemapFailed, FieldId::REMAPPED_FAILED, 1.0),
    (Sensor::PcieReplays, FieldId::PCIE_REPLAYS, 1.0),
];

/// Totals over all links, which drivers offer up to Hopper.
const LINK_TOTALS: [FieldId; 4] = [
    FieldId::NVLINK_CRC_FLIT_TOTAL,
    FieldId::NVLINK_CRC_DATA_TOTAL,
    FieldId::NVLINK_REPLAY_TOTAL,
    FieldId::NVLINK_RECOVERY_TOTAL,
];

/// What is read of each link where there are no totals.
const LINK_FIELDS: [FieldId; 3] = [FieldId::NVLINK_DL_CRC, FieldId::NVLINK_DL_REPLAY, FieldId::NVLINK_DL_RECOVERY];

/// The same on NVLink 5.
const PORT_FIELDS: [FieldId; 2] = [FieldId::NVLINK_RECEIVE_ERRORS, FieldId::NVLINK_RECOVERY_EVENTS];

/// Which fields are summed to the errors of all links. They follow `FIELDS` in the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LinkErrors {
    None,
    Fields,
}

pub(super) fn sample(gpu: &mut NvmlGpu) -> Sample {
    let mut sample = Sample::new(gpu.index, gpu.clock.now());
    let (mut batch, links) = gpu.tick.take().unwrap_or_else(|| plan(gpu));
    batch.read(gpu.raw);
    sample.at = gpu.clock.now();
    for (place, (sensor, _, unit)) in FIELDS.iter().enumerate() {
        sample.set(*sensor, batch.get(place).map(|value| value.float() * unit));
    }
    if links == LinkErrors::Fields {
        sample.set(Sensor::NvlinkErrors, sum(batch.answers().skip(FIELDS.len())));
    }
    gpu.tick = Some((batch, links));
    calls(gpu, &mut sample);
    without_fields(gpu, &mut sample);
    settle(gpu, &mut sample);
    sample
}

/// Finds out once how this GPU tells the errors of its links.
fn plan(gpu: &NvmlGpu) -> (Batch, LinkErrors) {
    let mut asked: Vec<Scoped> = FIELDS.iter().map(|(_, field, _)| field.whole()).collect();
    let links = super::links::count(gpu).get().unwrap_or(0);
    let each = |fields: &[FieldId]| -> Vec<Scoped> {
        (0..links).flat_map(|link| fields.iter().map(move |field| field.of(link)).collect::<Vec<_>>()).collect()
    };
    let totals: Vec<Scoped> = LINK_TOTALS.iter().map(|field| field.whole()).collect();
    for choice in [totals, each(&LINK_FIELDS), each(&PORT_FIELDS)] {
        let mut trial = Batch::new(gpu.scheme, choice.clone());
        if links > 0 && !choice.is_empty() {
            trial.read(gpu.raw);
            if sum(trial.answers()).get().is_some() {
                asked.extend(choice);
                return (Batch::new(gpu.scheme, asked), LinkErrors::Fields);
            }
        }
    }
    (Batch::new(gpu.scheme, asked), LinkErrors::None)
}

/// The sum of what is offered. One failure fails the sum: a part of a total is no total.
fn sum(values: impl Iterator<Item = Reading<Number>>) -> Reading<f64> {
    let mut total = Reading::Unsupported;
    for value in values {
        total = match (total, value) {
            (Reading::Failed(failure), _) | (_, Reading::Failed(failure)) => Reading::Failed(failure),
            (Reading::Value(sum), Reading::Value(next)) => Reading::Value(sum + next.float()),
            (Reading::Unsupported, Reading::Value(next)) => Reading::Value(next.float()),
            (total, Reading::Unsupported) => total,
        };
    }
    total
}

/// What has calls of its own.
fn calls(gpu: &mut NvmlGpu, sample: &mut Sample) {
    let (device, raw) = (&gpu.device, gpu.raw);
    sample.set(Sensor::TempGpu, number(read(device.temperature(TemperatureSensor::Gpu))));
    sample.set(Sensor::TempMargin, raw.margin().map(f64::from));
    sample.set(Sensor::PowerLimit, number(read(device.enforced_power_limit())).map(watts));
    sample.set(Sensor::ClockSm, number(read(device.clock_info(Clock::SM))));
    sample.set(Sensor::ClockMemory, number(read(device.clock_info(Clock::Memory))));
    let busy = read(device.utilization_rates()).map(|rates| (rates.gpu, rates.memory));
    sample.set(Sensor::UtilGpu, number(busy.map(|(gpu, _)| gpu)));
    sample.set(Sensor::UtilMemory, number(busy.map(|(_, memory)| memory)));
    sample.set(Sensor::ClockReasons, raw.clock_reasons().map(|bits| bits as f64));
    sample.set(Sensor::PcieGeneration, number(read(device.current_pcie_link_gen())));
    sample.set(Sensor::PcieWidth, number(read(device.current_pcie_link_width())));
    let fans = *gpu.fans.get_or_insert_with(|| device.num_fans().unwrap_or(0));
    for fan in 0..fans {
        let speed = number(read(device.fan_speed(fan)));
        let faster = match (speed, sample[Sensor::Fan]) {
            (Reading::Value(speed), Reading::Value(other)) => Reading::Value(speed.max(other)),
            (speed, _) => speed,
        };
        sample.set(Sensor::Fan, faster);
    }
}

/// Older calls for what the field values did not offer.
fn without_fields(gpu: &NvmlGpu, sample: &mut Sample) {
    let device = &gpu.device;
    let mut fill = |sensor: Sensor, other: &dyn Fn() -> Reading<f64>| sample.set(sensor, or(sample[sensor], other));
    fill(Sensor::Power, &|| number(read(device.power_usage())).map(watts));
    fill(Sensor::Energy, &|| read(device.total_energy_consumption()).map(|millijoule| millijoule as f64 / 1e3));
    fill(Sensor::PcieReplays, &|| number(read(device.pcie_replay_counter())));
    let ecc = |kind| read(device.total_ecc_errors(kind, EccCounter::Volatile)).map(|count| count as f64);
    fill(Sensor::EccCorrected, &|| ecc(MemoryError::Corrected));
    fill(Sensor::EccUncorrected, &|| ecc(MemoryError::Uncorrected));
    // Counts software and hardware together: what the sum of the two is judged by stays the same.
    fill(Sensor::ThrottleSwThermal, &|| gpu.raw.thermal_violation().map(|nanoseconds| nanoseconds as f64 * 1e-9));
    let rows = or(sample[Sensor::RemapPending].map(|_| None), || gpu.raw.remapped_rows().map(Some));
    if let Reading::Value(Some(rows)) = rows {
        sample.put(Sensor::RemapCorrected, rows.corrected.into());
        sample.put(Sensor::RemapUncorrected, rows.uncorrected.into());
        sample.put(Sensor::RemapPending, f64::from(u8::from(rows.pending)));
        sample.put(Sensor::RemapFailed, f64::from(u8::from(rows.failed)));
    }
}

/// Draws the line under a GPU that is gone: some handles still answer some calls from memory.
fn settle(gpu: &mut NvmlGpu, sample: &mut Sample) {
    let any = |wanted: fn(Reading<f64>) -> bool| Sensor::ALL.iter().any(|sensor| wanted(sample[*sensor]));
    let lost = any(|reading| reading == Reading::Failed(ReadingFailure::Lost));
    let answers = any(|reading| matches!(reading, Reading::Value(_)));
    let dead = any(|reading| matches!(reading, Reading::Failed(failure) if is_dead(failure)));
    let excused = any(|reading| matches!(reading, Reading::Failed(failure) if !is_dead(failure)));
    gpu.gone |= lost || (dead && !answers && !excused);
    if gpu.gone {
        sample.fail_all(ReadingFailure::Lost);
    }
}

fn watts(milliwatts: f64) -> f64 {
    milliwatts / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_with_one_failure_fails_and_of_nothing_is_unsupported() {
        let value = |count| Reading::Value(Number::Unsigned(count));
        assert_eq!(sum([value(2), Reading::Unsupported, value(3)].into_iter()), Reading::Value(5.0));
        assert_eq!(sum([Reading::Unsupported, Reading::Unsupported].into_iter()), Reading::Unsupported);
        let failed = Reading::Failed(ReadingFailure::NoPermission);
        assert_eq!(sum([value(2), failed, value(3)].into_iter()), Reading::Failed(ReadingFailure::NoPermission));
    }

    #[test]
    fn no_sensor_is_read_from_two_fields() {
        for (place, (sensor, field, _)) in FIELDS.iter().enumerate() {
            assert!(FIELDS[..place].iter().all(|(other, used, _)| other != sensor && used != field), "{sensor:?}");
        }
    }
}
