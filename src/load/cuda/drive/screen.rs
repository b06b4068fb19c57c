//! A screen for silent corruption: the same work on every multiprocessor alone and on all together, each result compared, so
//! that one that computes wrong is named by its number.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::burner::{Burner, Operands};
use super::drive_context::{Broken, DriveContext};
use super::pace::Pace;
use crate::cuda::driver::Gpu;
use crate::worker::monotonic_nanos;
use kiln_model::{BurnKernel, LoadSaid, NoteKind};

/// Windows of a launch: some milliseconds, so that a round over all multiprocessors takes a second or two.
const WINDOWS: u32 = 4;

/// How many results were compared, and where.
#[derive(Debug, Default)]
struct Reached {
    /// Of each multiprocessor while it worked alone; those that gave none are not in it.
    alone: BTreeMap<u32, u64>,
    together: u64,
}

impl Reached {
    fn add(&mut self, asked: Option<u32>, compared: u64) {
        match asked {
            // Where blocks go is the driver's choice: one that had none has shown nothing.
            Some(_) if compared == 0 => {}
            Some(processor) => *self.alone.entry(processor).or_default() += compared,
            None => self.together += compared,
        }
    }

    /// Says how much was compared, and which of these multiprocessors was never reached alone: not asked before the
    /// screen was to stop, or given no block.
    fn note(&self, processors: &[u32]) -> String {
        let count = processors.len();
        let together = self.together / count.max(1) as u64;
        let Some(least) = self.alone.values().min() else {
            return format!("none of {count} SMs was reached alone; each gave {together} results with all others");
        };
        let missing: Vec<String> =
            processors.iter().filter(|one| !self.alone.contains_key(one)).map(u32::to_string).collect();
        if missing.is_empty() {
            return format!("each of {count} SMs gave {least} results or more alone, and {together} with all others");
        }
        format!(
            "{} of {count} SMs gave {least} results or more alone, and each {together} with all others; not reached alone: SM {}",
            self.alone.len(),
            missing.join(", ")
        )
    }
}

/// Screens a GPU until its span is over, and each multiprocessor at least once.
pub(in crate::cuda) fn screen(context: &DriveContext<'_>, gpu: &Arc<Gpu>, kernel: BurnKernel) -> Result<(), Broken> {
    let mut burner = Burner::new(context, gpu, kernel)?;
    let processors = burner.processors();
    let until = context.ends_at(context.pipe.ready().ok_or(Broken::Stopped)?);
    let mut pace = Pace::new(gpu.index);
    let mut reached = Reached::default();
    // What was compared to set it up is none of the screen's.
    burner.tell(context, &mut pace)?;
    context.pipe.say(LoadSaid::Running);
    'rounds: for round in 0u64.. {
        for asked in processors.iter().copied().map(Some).chain([None]) {
            // A round takes seconds on a large GPU. The first is owed; the others end where the span does.
            let over = round > 0 && until.is_none_or(|until| until <= monotonic_nanos());
            if over || context.pipe.stopping() {
                break 'rounds;
            }
            burner.ask_only(asked);
            // Small integers, whose results are known beforehand, and random bits, which toggle every wire.
            for operands in [Operands::Exact, Operands::Random] {
                let before = pace.verified;
                burner.launch(operands, WINDOWS)?;
                let seconds = burner.finish(context, &mut pace)?;
                reached.add(asked, pace.verified - before);
                let share = if asked.is_some() { 1.0 / processors.len().max(1) as f64 } else { 1.0 };
                pace.timed(share * burner.flop(operands) * f64::from(WINDOWS), 0.0, seconds);
                pace.tell_if_due(context.pipe);
            }
        }
    }
    // What was found and reached is told however the screen came to its end.
    pace.tell(context.pipe);
    let what = reached.note(&processors);
    context.pipe.say(LoadSaid::Noted { gpu: Some(gpu.index), kind: NoteKind::Plain, what });
    context.go_on()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_idle_launch_is_not_unreached_and_what_was_never_asked_is() {
        let mut reached = Reached::default();
        assert_eq!(
            reached.note(&[0, 1]),
            "none of 2 SMs was reached alone; each gave 0 results with all others",
            "stopped before anything was done"
        );
        // SM 1 had no block in one launch of two; SM 4 was asked and had none at all; SM 7 was never asked.
        for (asked, compared) in [(Some(0), 8), (Some(0), 8), (Some(1), 0), (Some(1), 8), (Some(4), 0), (None, 40)] {
            reached.add(asked, compared);
        }
        assert_eq!(
            reached.note(&[0, 1, 4, 7]),
            "2 of 4 SMs gave 8 results or more alone, and each 10 with all others; not reached alone: SM 4, 7"
        );
        assert_eq!(reached.note(&[0, 1]), "each of 2 SMs gave 8 results or more alone, and 20 with all others");
    }
}
