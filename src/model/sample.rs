//! One tick's readings of one GPU.
//!
//! A plain array, so that 72 hours of eight GPUs pass through the core without an allocation.

use std::ops::Index;

use super::{GpuIndex, Moment, Reading, ReadingFailure, Sensor};

/// All sensors of one GPU, read at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    pub gpu: GpuIndex,
    pub at: Moment,
    readings: [Reading<f64>; Sensor::COUNT],
}

impl Sample {
    pub const fn new(gpu: GpuIndex, at: Moment) -> Self {
        Self { gpu, at, readings: [Reading::Unsupported; Sensor::COUNT] }
    }

    pub fn set(&mut self, sensor: Sensor, reading: Reading<f64>) {
        self.readings[sensor as usize] = reading;
    }

    pub fn put(&mut self, sensor: Sensor, value: f64) {
        self.set(sensor, Reading::Value(value));
    }

    /// Every sensor gets the same failure, as when the GPU is lost.
    pub fn fail_all(&mut self, failure: ReadingFailure) {
        self.readings = [Reading::Failed(failure); Sensor::COUNT];
    }

    pub fn get(&self, sensor: Sensor) -> Option<f64> {
        self.readings[sensor as usize].get()
    }

    /// Whether the node says this GPU is gone: every reading failed as lost.
    pub fn is_lost(&self) -> bool {
        self.readings[Sensor::TempGpu as usize] == Reading::Failed(ReadingFailure::Lost)
            && self.readings[Sensor::Power as usize] == Reading::Failed(ReadingFailure::Lost)
    }
}

impl Index<Sensor> for Sample {
    type Output = Reading<f64>;

    fn index(&self, sensor: Sensor) -> &Self::Output {
        &self.readings[sensor as usize]
    }
}
