//! What a GPU showed of its heat at one moment, kept with a tripped guard: the siblings tell causes apart.

use serde::{Deserialize, Serialize};

use kiln_model::{GpuIndex, Sample, Sensor};

/// Readings of one GPU; `None` where there was no value.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Vitals {
    pub gpu: GpuIndex,
    pub die: Option<f64>,
    pub margin: Option<f64>,
    pub inlet: Option<f64>,
    pub power: Option<f64>,
}

impl Vitals {
    pub fn of(sample: &Sample) -> Self {
        Self {
            gpu: sample.gpu,
            die: sample.get(Sensor::TempGpu),
            margin: sample.get(Sensor::TempMargin),
            inlet: sample.get(Sensor::TempInlet),
            power: sample.get(Sensor::Power),
        }
    }
}
