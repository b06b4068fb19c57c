//! Copies inside one GPU by the driver's own means: what its memory gives to somebody who only moves bytes, for marches to be
//! held against.

#![expect(
    clippy::cast_precision_loss,
    reason = "sizes and places in memory are 64 bits wide on every host with a GPU, and rates are floats of counts"
)]

use std::sync::Arc;

use super::drive_context::{Broken, DriveContext};
use super::pace::Pace;
use crate::cuda::driver::{Buffer, Event, Gpu, Stream};
use crate::worker::monotonic_nanos;
use kiln_model::{GpuWork, LoadSaid};

/// Many times the largest cache.
const LARGEST: usize = 4 << 30;
/// Copies between two looks at the clock: some tens of milliseconds on the slowest memory.
const COPIES: u32 = 8;

/// Copies from one buffer to another until its span is over; once if it was given none.
pub(in crate::cuda) fn device_copy(context: &DriveContext<'_>, gpu: &Arc<Gpu>) -> Result<(), Broken> {
    let (free, _) = gpu.memory()?;
    let bytes = (free / 4).min(LARGEST) & !0xFFFF;
    let (from, to) = (Buffer::new(gpu, bytes)?, Buffer::new(gpu, bytes)?);
    let stream = Stream::new(gpu)?;
    let (began, ended) = (Event::new(gpu)?, Event::new(gpu)?);
    stream.fill(&from, 0x5A5A_A5A5)?;
    context.wait(&stream, GpuWork::WritePattern)?;
    let until = context.ends_at(context.pipe.ready().ok_or(Broken::Stopped)?);
    let mut pace = Pace::new(gpu.index);
    context.pipe.say(LoadSaid::Running);
    while !context.pipe.stopping() {
        stream.mark(&began)?;
        for _ in 0..COPIES {
            stream.copy_within(&to, &from, 0, bytes)?;
        }
        stream.mark(&ended)?;
        context.wait(&stream, GpuWork::CopyWithin)?;
        // Each byte is read and written.
        pace.timed(0.0, 2.0 * bytes as f64 * f64::from(COPIES), ended.seconds_since(&began)?);
        pace.tell_if_due(context.pipe);
        if until.is_none_or(|until| until <= monotonic_nanos()) {
            break;
        }
    }
    pace.tell(context.pipe);
    context.go_on()
}
