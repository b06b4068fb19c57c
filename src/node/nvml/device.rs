//! One GPU as its thread holds it: the handle, what is known of it, and what is kept between ticks.

use std::sync::Arc;

use nvml_wrapper::{Device, FieldIdScheme};

use super::batch::Batch;
use super::clock::RunClock;
use super::crew::GpuReader;
use super::gather::GpuFacts;
use super::raw::RawDevice;
use super::tick::LinkErrors;
use crate::model::{GpuCounters, GpuIndex, ReadingFailure, Sample};

/// A GPU of which the library gave a handle.
pub(super) struct NvmlGpu {
    pub(super) index: GpuIndex,
    pub(super) device: Device<'static>,
    pub(super) raw: RawDevice,
    pub(super) scheme: FieldIdScheme,
    pub(super) clock: Arc<RunClock>,
    /// The fields of a tick; made at the first one, when it is known how link errors are read.
    pub(super) tick: Option<(Batch, LinkErrors)>,
    /// How many fans the driver shows; asked once.
    pub(super) fans: Option<u32>,
    /// Whether it ever gave a value. One that did and gives none any more is gone.
    pub(super) answered: bool,
}

impl NvmlGpu {
    pub(super) fn new(index: GpuIndex, device: Device<'static>, clock: Arc<RunClock>) -> Self {
        let raw = RawDevice::of(&device);
        let scheme = device.nvml().field_id_scheme();
        Self { index, device, raw, scheme, clock, tick: None, fans: None, answered: false }
    }
}

impl GpuReader for NvmlGpu {
    fn sample(&mut self) -> Sample {
        super::tick::sample(self)
    }

    fn facts(&mut self) -> GpuFacts {
        super::facts::facts(self)
    }

    fn counters(&mut self) -> GpuCounters {
        super::counters::counters(self)
    }
}

/// A GPU that the driver counts but gives no handle for.
#[derive(Debug)]
pub(super) struct Unreachable {
    pub(super) index: GpuIndex,
    pub(super) failure: ReadingFailure,
    pub(super) clock: Arc<RunClock>,
}

impl GpuReader for Unreachable {
    fn sample(&mut self) -> Sample {
        let mut sample = Sample::new(self.index, self.clock.now());
        sample.fail_all(self.failure);
        sample
    }

    fn facts(&mut self) -> GpuFacts {
        GpuFacts::failed(self.index, self.failure)
    }

    fn counters(&mut self) -> GpuCounters {
        GpuCounters::failed(self.index, self.failure)
    }
}
