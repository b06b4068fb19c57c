//! A screen for silent corruption: the same work on every multiprocessor alone and on all together, each result compared, so
//! that one that computes wrong is named by its number.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::burner::{Burner, Operands};
use super::drive_context::{Broken, DriveContext};
use super::pace::Pace;
use crate::cuda::driver::Gpu;
use crate::worker::monotonic_nanos;
use kiln_model::{BurnKernel, LoadSaid, NoteKind};

/// Windows of a launch: some milliseconds, so that a round over all multiprocessors takes a second or two.
const WINDOWS: u32 = 4;

/// Screens a GPU until its span is over, and each multiprocessor at least once.
pub(in crate::cuda) fn screen(context: &DriveContext<'_>, gpu: &Arc<Gpu>, kernel: BurnKernel) -> Result<(), Broken> {
    let mut burner = Burner::new(context, gpu, kernel)?;
    let processors = burner.processors();
    let until = context.ends_at(context.pipe.ready().ok_or(Broken::Stopped)?);
    let mut pace = Pace::new(gpu.index);
    let mut idle: BTreeSet<u32> = BTreeSet::new();
    let (mut alone, mut together) = (0, 0);
    // What was compared to set it up is none of the screen's.
    burner.tell(context, &mut pace)?;
    context.pipe.say(LoadSaid::Running);
    loop {
        for asked in processors.iter().copied().map(Some).chain([None]) {
            burner.ask_only(asked);
            // Small integers, whose results are known beforehand, and random bits, which toggle every wire.
            for operands in [Operands::Exact, Operands::Random] {
                context.go_on()?;
                let before = pace.verified;
                burner.launch(operands, WINDOWS)?;
                let seconds = burner.wait(context)?;
                burner.tell(context, &mut pace)?;
                let compared = pace.verified - before;
                match asked {
                    // Where blocks go is the driver's choice: one that had none has shown nothing.
                    Some(processor) if compared == 0 => drop(idle.insert(processor)),
                    Some(_) => alone += compared,
                    None => together += compared,
                }
                let share = if asked.is_some() { 1.0 / processors.len().max(1) as f64 } else { 1.0 };
                pace.timed(share * burner.flop(operands) * f64::from(WINDOWS), 0.0, seconds);
                pace.tell_if_due(context.pipe);
            }
        }
        if until.is_none_or(|until| until <= monotonic_nanos()) {
            break;
        }
    }
    pace.tell(context.pipe);
    let count = processors.len().max(1) as u64;
    let (each, all) = (alone / count, together / count);
    let mut what = format!("each of {count} SMs gave {each} results alone and {all} with all others");
    if !idle.is_empty() {
        let names: Vec<String> = idle.iter().map(u32::to_string).collect();
        what = format!("{what}; not reached alone: SM {}", names.join(", "));
    }
    context.pipe.say(LoadSaid::Noted { gpu: Some(gpu.index), kind: NoteKind::Plain, what });
    Ok(())
}
