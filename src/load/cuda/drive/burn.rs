//! Burn and pulse: launches of a fifth of a second back to back, or one in each period of a wave that all GPUs share.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "sizes and places in memory are 64 bits wide on every host with a GPU, and rates are floats of counts"
)]

use std::sync::Arc;

use super::burner::{Burner, Operands};
use super::drive_context::{Broken, DriveContext};
use super::memory_stream::MemoryStream;
use super::pace::Pace;
use crate::cuda::driver::Gpu;
use crate::cuda::layout::{BURN_EXACT_EVERY, BURN_EXACT_SECONDS, BURN_RANDOM_SECONDS};
use crate::worker::{Beside, Injection, monotonic_nanos};
use kiln_model::{BurnKernel, LoadFault, LoadSaid};

/// Where bits are flipped there is one in each launch, and nobody waits for a hundred long ones.
const FLIP_SECONDS: f64 = 0.02;
/// Most windows of a launch, whatever they take.
const WINDOWS_MAX: u32 = 100_000;

/// Windows that fit into a time, from what the last ones took.
#[derive(Debug)]
pub(super) struct Fit {
    pub(super) windows: u32,
}

impl Fit {
    pub(super) const fn new() -> Self {
        Self { windows: 1 }
    }

    pub(super) fn learn(&mut self, seconds: f64, wanted: f64) {
        let one = seconds.max(1e-9) / f64::from(self.windows);
        // Not more than quadrupled at once: the first launch is the slowest.
        self.windows = ((wanted / one) as u32).clamp(1, self.windows.saturating_mul(4).min(WINDOWS_MAX));
    }
}

/// Heats a GPU until it is told to stop.
pub(in crate::cuda) fn burn(context: &DriveContext<'_>, gpu: &Arc<Gpu>, kernel: BurnKernel) -> Result<(), Broken> {
    let mut burner = Burner::new(context, gpu, kernel)?;
    let mut memory_stream = match context.variant.beside {
        Beside::MemoryStream => Some(MemoryStream::new(context, gpu, burner.wrong.address())?),
        Beside::Nothing => None,
    };
    let flips = matches!(context.injection, Some(Injection::BitFlips { .. }));
    let launch_seconds = if flips { FLIP_SECONDS } else { BURN_RANDOM_SECONDS };
    let began = context.pipe.ready().ok_or(Broken::Stopped)?;
    let until = context.ends_at(began);
    let mut pace = Pace::new(gpu.index);
    let (mut exact, mut random) = (Fit::new(), Fit::new());
    context.pipe.say(LoadSaid::Running);
    for launch in 0u64.. {
        if context.pipe.stopping() || burner.all_flipped() {
            break;
        }
        // Bits that are to be flipped are, however long it takes.
        if !flips && until.is_some_and(|until| until <= monotonic_nanos()) {
            break;
        }
        let (operands, fit, wanted) = if launch % BURN_EXACT_EVERY == 0 {
            (Operands::Exact, &mut exact, BURN_EXACT_SECONDS)
        } else {
            (Operands::Random, &mut random, launch_seconds)
        };
        burner.launch(operands, fit.windows)?;
        // With a short launch the stream would be all of it.
        let mut beside = memory_stream.as_mut().filter(|_| operands == Operands::Random);
        if let Some(stream) = &mut beside {
            stream.run()?;
        }
        let seconds = burner.wait(context)?;
        let bytes = match beside {
            Some(stream) => stream.finish(context, seconds)?,
            None => 0.0,
        };
        burner.tell(context, &mut pace)?;
        pace.timed(burner.flop(operands) * f64::from(fit.windows), bytes, seconds);
        fit.learn(seconds, wanted);
        pace.tell_if_due(context.pipe);
    }
    pace.tell(context.pipe);
    burner.tell_flips(context);
    if context.pipe.stopping() { Err(Broken::Stopped) } else { Ok(()) }
}

/// Heats a GPU in a square wave whose phase all workers of the load share: they began at one moment of one clock.
pub(in crate::cuda) fn pulse(
    context: &DriveContext<'_>,
    gpu: &Arc<Gpu>,
    kernel: BurnKernel,
    hertz: f64,
    duty: f64,
) -> Result<(), Broken> {
    if !(0.05..=200.0).contains(&hertz) || !(0.01..=0.99).contains(&duty) {
        return Err(Broken::Refused(LoadFault::BadOrder { what: format!("pulse: {hertz} Hz, duty {duty}") }));
    }
    let mut burner = Burner::new(context, gpu, kernel)?;
    let mut pace = Pace::new(gpu.index);
    let mut fit = Fit::new();
    let on = duty / hertz;
    // Learnt before it begins, so that the first pulses have their length.
    for _ in 0..8 {
        burner.launch(Operands::Random, fit.windows)?;
        let seconds = burner.finish(context, &mut pace)?;
        fit.learn(seconds, on.min(BURN_RANDOM_SECONDS));
    }
    let began = context.pipe.ready().ok_or(Broken::Stopped)?;
    let until = context.ends_at(began);
    pace = Pace::new(gpu.index);
    context.pipe.say(LoadSaid::Running);
    for period in 0u64.. {
        let at = began + (period as f64 / hertz * 1e9) as u64;
        // A pulse that came too late is left out: one shifted in phase would be worse.
        if at + (0.25 * on * 1e9) as u64 <= monotonic_nanos() {
            continue;
        }
        if until.is_some_and(|until| until <= at) || !context.pipe.wait_until(at) {
            break;
        }
        // The last pulse is cut short by the end of the span.
        let dark = at + (on * 1e9) as u64;
        let dark = until.map_or(dark, |until| until.min(dark));
        loop {
            burner.launch(Operands::Random, fit.windows)?;
            let seconds = burner.finish(context, &mut pace)?;
            pace.add(burner.flop(Operands::Random) * f64::from(fit.windows), 0.0);
            fit.learn(seconds, on.min(BURN_RANDOM_SECONDS));
            pace.tell_if_due(context.pipe);
            let left = dark.saturating_sub(monotonic_nanos()) as f64 / 1e9;
            // What is left must hold most of another launch.
            if left < 0.7 * seconds || context.pipe.stopping() {
                break;
            }
        }
        pace.tell_if_due(context.pipe);
        context.pipe.beat();
    }
    pace.tell(context.pipe);
    if context.pipe.stopping() { Err(Broken::Stopped) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn launches_grow_to_the_time_they_are_given() {
        let mut fit = Fit::new();
        for _ in 0..6 {
            // A millisecond a window.
            fit.learn(0.001 * f64::from(fit.windows), BURN_RANDOM_SECONDS);
        }
        assert_eq!(fit.windows, 200);
        fit.learn(1e6, BURN_RANDOM_SECONDS);
        assert_eq!(fit.windows, 1, "and never below one");
    }
}
