//! A screen for silent corruption: the same work on every multiprocessor alone and on all together, each result compared, so
//! that one that computes wrong is named by its number.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "sizes and places in memory are 64 bits wide on every host with a GPU, and rates are floats of counts"
)]

use std::collections::BTreeMap;
use std::sync::Arc;

use super::burn::Fit;
use super::burner::{Burner, Operands};
use super::drive_context::{Broken, DriveContext};
use super::pace::Pace;
use crate::cuda::driver::Gpu;
use crate::cuda::layout::{BURN_EXACT_SECONDS, BURN_RANDOM_SECONDS};
use crate::worker::monotonic_nanos;
use kiln_model::{BurnKernel, GpuIndex, LoadSaid, Screened, Turns};

/// Windows of a launch on one multiprocessor: some milliseconds, so that a round over all of them takes a second or two.
const WINDOWS: u32 = 4;

/// How many products were compared, and where.
#[derive(Debug, Default)]
struct Reached {
    /// Of each multiprocessor while it worked alone; those that gave none are not in it.
    alone: BTreeMap<u32, f64>,
    products: f64,
}

impl Reached {
    fn add(&mut self, asked: Option<u32>, products: f64) {
        self.products += products;
        // Where blocks go is the driver's choice: one that had none has shown nothing.
        if let Some(processor) = asked.filter(|_| products > 0.0) {
            *self.alone.entry(processor).or_default() += products;
        }
    }

    /// What the screen comes to. Not reached is who was to work alone and was not asked before the screen was to stop, or was
    /// given no block.
    fn screened(&self, gpu: GpuIndex, processors: &[u32], turns: Turns) -> Screened {
        let each = turns == Turns::EachInTurn;
        let unreached = processors.iter().copied().filter(|one| each && !self.alone.contains_key(one));
        Screened {
            gpu,
            sms: processors.len() as u32,
            products: self.products,
            least_alone: self.alone.values().copied().reduce(f64::min).unwrap_or(0.0),
            unreached: unreached.collect(),
        }
    }
}

/// Screens a GPU until its span is over, and each multiprocessor that is to work alone at least once.
pub(in crate::cuda) fn screen(
    context: &DriveContext<'_>,
    gpu: &Arc<Gpu>,
    kernel: BurnKernel,
    turns: Turns,
) -> Result<(), Broken> {
    let mut burner = Burner::new(context, gpu, kernel)?;
    let processors = burner.processors();
    let alone = if turns == Turns::EachInTurn { processors.as_slice() } else { &[] };
    let until = context.ends_at(context.pipe.ready().ok_or(Broken::Stopped)?);
    let mut pace = Pace::new(gpu.index);
    let mut reached = Reached::default();
    burner.record(context, Operands::Toggling)?;
    // Small integers, whose results are known beforehand; random bits; and bits that nearly all switch at once.
    let mut together = [
        (Operands::Exact, Fit::new(), BURN_EXACT_SECONDS),
        (Operands::Random, Fit::new(), BURN_RANDOM_SECONDS),
        (Operands::Toggling, Fit::new(), BURN_RANDOM_SECONDS),
    ];
    // What was compared to set it up is none of the screen's.
    burner.tell(context, &mut pace)?;
    context.pipe.say(LoadSaid::Running);
    'rounds: for round in 0u64.. {
        for asked in alone.iter().copied().map(Some).chain([None]) {
            // A round takes seconds on a large GPU. The first is owed; the others end where the span does.
            let over = round > 0 && until.is_none_or(|until| until <= monotonic_nanos());
            if over || context.pipe.stopping() {
                break 'rounds;
            }
            burner.ask_only(asked);
            for (operands, fit, wanted) in &mut together {
                // Where each works alone as well, all together do as much as one of them.
                let windows = if turns == Turns::EachInTurn { WINDOWS } else { fit.windows };
                let before = pace.verified;
                burner.launch(*operands, windows)?;
                let seconds = burner.finish(context, &mut pace)?;
                fit.learn(seconds, *wanted);
                reached.add(asked, (pace.verified - before) as f64 * burner.products_in_a_result(*operands));
                let share = if asked.is_some() { 1.0 / processors.len().max(1) as f64 } else { 1.0 };
                pace.timed(share * burner.flop(*operands) * f64::from(windows), 0.0, seconds);
                pace.tell_if_due(context.pipe);
            }
        }
    }
    // What was found and reached is told however the screen came to its end.
    pace.tell(context.pipe);
    context.pipe.say(LoadSaid::Screened(reached.screened(gpu.index, &processors, turns)));
    context.go_on()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_idle_launch_is_not_unreached_and_what_was_never_asked_is() {
        let told = |reached: &Reached, processors: &[u32], turns| {
            let told = reached.screened(GpuIndex(0), processors, turns);
            (told.sms, told.products, told.least_alone, told.unreached)
        };
        let mut reached = Reached::default();
        let nothing = (2, 0.0, 0.0, vec![0, 1]);
        assert_eq!(told(&reached, &[0, 1], Turns::EachInTurn), nothing, "stopped before anything was done");
        // SM 1 had no block in one launch of two; SM 4 was asked and had none at all; SM 7 was never asked.
        for (asked, products) in
            [(Some(0), 8.0), (Some(0), 8.0), (Some(1), 0.0), (Some(1), 8.0), (Some(4), 0.0), (None, 40.0)]
        {
            reached.add(asked, products);
        }
        assert_eq!(told(&reached, &[0, 1, 4, 7], Turns::EachInTurn), (4, 64.0, 8.0, vec![4, 7]));
        assert_eq!(told(&reached, &[0, 1], Turns::EachInTurn), (2, 64.0, 8.0, vec![]));
        assert_eq!(told(&reached, &[0, 1, 4, 7], Turns::AllAtOnce).3, [0_u32; 0], "none was to work alone");
    }
}
