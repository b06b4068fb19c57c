//! The clocks that checks have held: a share of the greatest, as the driver can take it, and when one counts as kept.

use super::StepContext;

/// A mean clock this far from the one to be held was not held: four steps, where the nearest one is half of one away.
pub(super) const KEPT_WITHIN: f64 = 4.0 * CLOCK_STEP;

/// Clocks of NVIDIA's parts are steps of 15 MHz or half of that (`nvidia-smi -q -d SUPPORTED_CLOCKS`); the driver takes the nearest.
const CLOCK_STEP: f64 = 15.0;

/// The clock to hold, in MHz: the share that a parameter says of the greatest that all GPUs of the step have. Nothing where one of
/// them tells of no greatest.
pub(super) fn held_clock(context: &StepContext<'_>, param: &str) -> Option<f64> {
    let share = context.params.number(param)? / 100.0;
    let greatest = |gpu| context.inventory.gpu(gpu)?.clocks.max_sm.get();
    let all: Option<Vec<f64>> = context.gpus().into_iter().map(greatest).collect();
    let least = all?.into_iter().reduce(f64::min)?;
    Some((least * share / CLOCK_STEP).round() * CLOCK_STEP)
}
