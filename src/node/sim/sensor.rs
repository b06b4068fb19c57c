//! What a GPU shows of itself: true values quantised, noisy, stuck, or not to be had.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "the model computes in floats, and its counters, words and addresses are whole numbers within their range"
)]

use super::build::Kind;
use super::gpu::Gpu;
use super::noise::Noise;
use super::parameter::GpuParameter as G;
use kiln_model::{Moment, Reading, ReadingFailure, Sample, Sensor};

/// Noise of the averaged and the instant power reading, as a share: captures differ by about 0.5 % between the two.
const POWER_NOISE: f64 = 0.002;
const POWER_INSTANT_NOISE: f64 = 0.008;
/// Steps in which the driver offers clocks, MHz, and how far the governor hunts around its aim: as far as throughput does.
const CLOCK_STEP: f64 = 15.0;
const CLOCK_NOISE: f64 = 20.0;
/// `NVML_ERROR_UNKNOWN`, what calls fail with now and then.
const UNKNOWN: i32 = 999;
/// Noise of a temperature before it is rounded, K.
const TEMPERATURE_NOISE: f64 = 0.15;

/// Readings that a stuck sensor keeps showing.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Frozen {
    die: Option<[f64; 2]>,
    memory: Option<f64>,
    power: Option<[f64; 2]>,
}

/// What a sensor that trails has come to show, and when.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Trailing {
    die: Option<(f64, f64)>,
    memory: Option<(f64, f64)>,
    power: Option<(f64, f64)>,
}

/// The noise of a sensor and of its fault together; without a fault there is nothing to work out.
fn both(own: f64, of_fault: f64) -> f64 {
    if of_fault == 0.0 { own } else { libm::hypot(own, of_fault) }
}

/// Follows `true_value` with the time constant `lag`, both in s.
fn trail(shown: &mut Option<(f64, f64)>, true_value: f64, lag: f64, now: f64) -> f64 {
    if lag <= 0.0 {
        *shown = None;
        return true_value;
    }
    let (was, at) = shown.unwrap_or((true_value, now));
    let value = true_value + (was - true_value) * libm::exp(-(now - at) / lag);
    *shown = Some((value, now));
    value
}

/// A reading put together from two: one bit of it is another's.
fn torn(value: f64, noise: &mut Noise) -> f64 {
    let bit = 1_u64 << (4 + noise.below(3));
    ((value.max(0.0) as u64) ^ bit) as f64
}

/// What the node shows around its GPUs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Surroundings {
    pub(super) inlet: Reading<f64>,
    pub(super) fan: Reading<f64>,
}

impl Gpu {
    /// All sensors now.
    pub(super) fn sample(&mut self, kind: &Kind, around: &Surroundings, at: Moment) -> Sample {
        let mut sample = Sample::new(self.index, at);
        let fails = self.values[G::FailShare];
        let stray = fails > 0.0 && self.noise.uniform() < fails;
        if let Some(failure) = self.failure().or(stray.then_some(ReadingFailure::Driver(UNKNOWN))) {
            sample.fail_all(failure);
            return sample;
        }
        self.show_heat(kind, &mut sample);
        self.show_power(kind, &mut sample);
        sample.set(Sensor::TempInlet, around.inlet);
        sample.set(Sensor::Fan, around.fan);
        self.show_counters(&mut sample);
        self.show_link(kind, &mut sample);
        sample
    }

    /// Why the GPU answers nothing, if it does not.
    pub(super) fn failure(&self) -> Option<ReadingFailure> {
        if self.lost {
            Some(ReadingFailure::Lost)
        } else if self.values[G::Hang] > 0.5 {
            Some(ReadingFailure::Timeout)
        } else if self.values[G::FailCode] > 0.0 {
            Some(ReadingFailure::Driver(self.values[G::FailCode] as i32))
        } else {
            None
        }
    }

    fn show_heat(&mut self, kind: &Kind, sample: &mut Sample) {
        let wobble = both(TEMPERATURE_NOISE, self.values[G::TempNoise]);
        let felt = trail(&mut self.trailing.die, self.temperatures[0], self.values[G::TempLag], self.clock_time);
        let shown = felt + self.values[G::TempShift] + wobble * self.noise.bell();
        let mut shown = shown.min(self.values[G::TempMost]);
        let tears = self.values[G::TempTorn];
        if tears > 0.0 && self.noise.uniform() < tears {
            shown = torn(shown, &mut self.noise);
        }
        let mut die = [shown.round(), (self.values[G::SlowdownTemperature] - shown).floor()];
        if self.values[G::TempStuck] > 0.5 {
            die = *self.frozen.die.get_or_insert(die);
        } else {
            self.frozen.die = None;
        }
        sample.put(Sensor::TempGpu, die[0]);
        if kind.margin_sensor {
            sample.put(Sensor::TempMargin, die[1]);
        }
        if kind.memory_sensor {
            let values = &self.values;
            let wobble = both(TEMPERATURE_NOISE, values[G::TempMemoryNoise]);
            let hottest = self.temperatures[1] + values[G::StackHeat] * self.activity.memory * self.on;
            let felt = trail(&mut self.trailing.memory, hottest, values[G::TempMemoryLag], self.clock_time);
            let mut memory = (felt + values[G::TempMemoryShift] + wobble * self.noise.bell()).round();
            if self.values[G::TempMemoryStuck] > 0.5 {
                memory = *self.frozen.memory.get_or_insert(memory);
            } else {
                self.frozen.memory = None;
            }
            sample.put(Sensor::TempMemory, memory);
        }
    }

    fn show_power(&mut self, kind: &Kind, sample: &mut Sample) {
        let scale = self.values[G::PowerScale];
        let centiwatts = |watts: f64| (watts * 100.0).round() / 100.0;
        let wobble = self.values[G::PowerNoise];
        let felt = trail(&mut self.trailing.power, self.power_average, self.values[G::PowerLag], self.clock_time);
        let average = felt * scale * (1.0 + both(POWER_NOISE, wobble) * self.noise.bell());
        // A reading falls anywhere into a pulse that is faster than it; of a slow one it is the phase that there is.
        let falls_on = self.activity.duty >= 1.0 || self.noise.uniform() < self.activity.duty;
        let off = usize::from(self.on <= 0.0 || !falls_on);
        let instant = self.power_on_off[off] * scale * (1.0 + both(POWER_INSTANT_NOISE, wobble) * self.noise.bell());
        let most = self.values[G::PowerMost];
        let mut power = [centiwatts(average.clamp(0.0, most)), centiwatts(instant.clamp(0.0, most))];
        let tears = self.values[G::PowerTorn];
        if tears > 0.0 && self.noise.uniform() < tears {
            power[0] = torn(power[0], &mut self.noise);
        }
        if self.values[G::PowerStuck] > 0.5 {
            power = *self.frozen.power.get_or_insert(power);
        } else {
            self.frozen.power = None;
        }
        sample.put(Sensor::Power, power[0]);
        sample.put(Sensor::PowerInstant, power[1]);
        sample.put(Sensor::PowerLimit, self.values[G::PowerLimit].clamp(kind.power_min, kind.power_max));
        sample.put(Sensor::Energy, (self.energy * 1000.0).floor() / 1000.0);
        let busy = self.activity.busy;
        let hunting = if self.hunts() { CLOCK_NOISE * self.noise.bell() } else { 0.0 };
        let clock = ((self.clock + hunting) / CLOCK_STEP).round() * CLOCK_STEP;
        // Clocks are offered in steps from the lowest; a ceiling that is no multiple is shown as it is.
        sample
            .put(Sensor::ClockSm, if (clock - self.clock).abs() > 0.5 && hunting == 0.0 { self.clock } else { clock });
        sample.put(Sensor::ClockMemory, self.values[G::MemoryClock]);
        let share = self.activity.duty;
        let works = busy && (self.activity.compute > 0.0 || self.activity.memory > 0.0);
        sample.put(Sensor::UtilGpu, if works { (100.0 * share).round() } else { 0.0 });
        sample.put(Sensor::UtilMemory, (100.0 * self.activity.memory * share).round());
        sample.put(Sensor::ClockReasons, self.reasons() as f64);
        sample.put(Sensor::ThrottlePowerCap, self.throttled.power_cap);
        sample.put(Sensor::ThrottleSwThermal, self.throttled.sw_thermal);
        sample.put(Sensor::ThrottleHwThermal, self.throttled.hw_thermal);
        sample.put(Sensor::ThrottlePowerBrake, self.throttled.brake);
    }

    fn show_counters(&self, sample: &mut Sample) {
        let errors = &self.errors;
        let flag = |on: bool| f64::from(on);
        if self.values[G::Ecc] > 0.5 {
            sample.put(Sensor::EccCorrected, errors.corrected as f64);
            sample.put(Sensor::EccUncorrected, errors.uncorrected as f64);
        }
        let done = self.values[G::RemapsDone];
        sample.put(Sensor::RemapCorrected, errors.remaps_corrected as f64);
        sample.put(Sensor::RemapUncorrected, errors.remaps_uncorrected as f64 + done);
        sample.put(Sensor::RemapPending, flag(errors.remap_pending || self.values[G::RemapPending] > 0.5));
        sample.put(Sensor::RemapFailed, flag(errors.remap_failed || self.values[G::RemapFailed] > 0.5));
        sample.put(Sensor::PcieReplays, errors.replays as f64);
        if !self.links.is_empty() {
            sample.put(Sensor::NvlinkErrors, errors.link_total as f64);
        }
    }

    fn show_link(&self, kind: &Kind, sample: &mut Sample) {
        sample.put(Sensor::PcieGeneration, self.pcie_generation(kind));
        sample.put(Sensor::PcieWidth, self.values[G::PcieWidth].round());
    }

    /// The generation the link runs at now: it rests without traffic, and falls while it trains again.
    pub(super) fn pcie_generation(&self, kind: &Kind) -> f64 {
        let trained = self.values[G::PcieGeneration].round();
        if self.clock_time < self.pcie_down_until {
            1.0
        } else if self.clock_time < self.pcie_up_until {
            trained
        } else {
            trained.min(kind.pcie_idle_generation)
        }
    }
}
