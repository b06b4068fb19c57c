//! One GPU as its thread holds it: the handle, what is known of it, and what is kept between ticks.

use std::sync::Arc;

use nvml_wrapper::{Device, FieldIdScheme};

use super::batch::Batch;
use super::clock::RunClock;
use super::gather::GpuFacts;
use super::outcome::is_dead;
use super::raw::RawDevice;
use super::reader_threads::GpuReader;
use super::tick::LinkErrors;
use kiln_model::{GpuCounters, GpuIndex, ReadingFailure, Sample};

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
    /// Whether some call said that it is lost, or all of them failed as those of a broken GPU do. It does not come back
    /// within a run.
    pub(super) gone: bool,
}

impl NvmlGpu {
    pub(super) fn new(index: GpuIndex, device: Device<'static>, clock: Arc<RunClock>) -> Self {
        let raw = RawDevice::of(&device);
        let scheme = device.nvml().field_id_scheme();
        Self { index, device, raw, scheme, clock, tick: None, fans: None, gone: false }
    }
}

impl NvmlGpu {
    /// A call said that the GPU is lost: all later ones would say so.
    pub(super) const fn lose(&mut self) -> ReadingFailure {
        self.gone = true;
        ReadingFailure::Lost
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
        let counters = super::counters::counters(self);
        if counters.is_lost() { GpuCounters::failed(self.index, self.lose()) } else { counters }
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
        // A handle refused for a reason that is the part's is a part that is gone; the inventory keeps the reason. So is one
        // that the driver counts and does not find (codes 2 and 6 of nvml.h).
        let gone = is_dead(self.failure) || matches!(self.failure, ReadingFailure::Driver(2 | 6));
        sample.fail_all(if gone { ReadingFailure::Lost } else { self.failure });
        sample
    }

    fn facts(&mut self) -> GpuFacts {
        GpuFacts::failed(self.index, self.failure)
    }

    fn counters(&mut self) -> GpuCounters {
        GpuCounters::failed(self.index, self.failure)
    }
}
