//! Copies between all GPUs at once: every ordered pair has a queue of its own, all released by one flag.

use std::sync::Arc;

use super::copy::{Lane, across, compare, connect, moved, pattern, round, size, write};
use super::drive_context::{Broken, DriveContext};
use crate::cuda::driver::{Buffer, Gpu, HostBuffer, Stream};
use crate::worker::monotonic_nanos;
use kiln_model::{Endpoint, LoadFault, LoadSaid};

/// How long an exchange goes on that was given no length.
const SPAN_NANOS: u64 = 20_000_000_000;
/// Rounds between two reports are as good as the one that is told.
const TELL_EVERY_NANOS: u64 = 1_000_000_000;

pub(in crate::cuda) fn all_to_all(context: &DriveContext<'_>, gpus: &[Arc<Gpu>]) -> Result<(), Broken> {
    let [first, _, ..] = gpus else {
        return Err(Broken::Refused(LoadFault::NeedsTwoGpus));
    };
    let mut sources = Vec::new();
    for (number, gpu) in gpus.iter().enumerate() {
        // One to send from, and one for each that sends here.
        let source = Buffer::new(gpu, size(gpu, gpus.len())?)?;
        write(context, &source, pattern(context, number as u64))?;
        sources.push(source);
    }
    let bytes = sources.iter().map(Buffer::bytes).min().unwrap_or_default();
    let mut ways = Vec::new();
    for from in 0..gpus.len() {
        for to in (0..gpus.len()).filter(|to| *to != from) {
            ways.push((from, to, Buffer::new(&gpus[to], bytes)?, Stream::new(&gpus[from])?));
        }
    }
    let staged = connect(context, gpus)?;
    let flag = HostBuffer::new(first, 4096)?;
    let mut lanes = Vec::new();
    for (from, to, target, stream) in &ways {
        lanes.push(Lane::new(across(&staged, (*from, *to), target, &sources[*from]), stream)?);
    }
    let began = context.pipe.ready().ok_or(Broken::Stopped)?;
    let until = context.ends_at(began).unwrap_or(began + SPAN_NANOS);
    context.pipe.say(LoadSaid::Running);
    let mut told_at = began;
    loop {
        let speeds = round(context, &lanes, &flag, bytes)?;
        let now = monotonic_nanos();
        if until <= now || told_at + TELL_EVERY_NANOS <= now {
            told_at = now;
            for ((from, to, ..), gb_per_s) in ways.iter().zip(speeds) {
                context.pipe.say(moved(gpus[*from].index, gpus[*to].index, gb_per_s));
            }
        }
        if until <= now {
            break;
        }
    }
    for (from, _, target, _) in &ways {
        let sender = Endpoint::Gpu(gpus[*from].index);
        compare(context, target, pattern(context, *from as u64), sender)?;
    }
    Ok(())
}
