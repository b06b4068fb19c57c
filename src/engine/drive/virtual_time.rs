//! The driver that does not wait: it jumps to the next moment at which anything happens. 72 hours pass in seconds.

use super::performer::{DriveError, Operator, Performer};
use crate::{Dut, Machine, RunInput, RunTick, Signal, Witness};
use kiln_model::{Moment, WallTime};

/// Runs the machine to its end. `epoch` is the wall time at which the machine's clock stands now; `signal` is asked
/// between moments whether an interrupt came.
pub fn run_in_virtual_time(
    machine: &mut Machine<'_>,
    dut: &mut dyn Dut,
    witness: &mut dyn Witness,
    operator: &mut dyn Operator,
    epoch: WallTime,
    signal: &mut dyn FnMut() -> Option<Signal>,
) -> Result<(), DriveError> {
    let started = machine.last_moment();
    let tick_at = |now: Moment| {
        // A wall clock past the year 9999 stands still; everything else about the run goes on.
        let span = jiff::SignedDuration::try_from(now.since(started)).unwrap_or(jiff::SignedDuration::ZERO);
        RunTick { now, wall: epoch.checked_add(span).unwrap_or(epoch) }
    };
    let mut now = started;
    let mut performer = Performer::new(machine, dut, witness);
    performer.settle(tick_at(now))?;
    while !performer.finished {
        if let Some(signal) = signal() {
            performer.feed(tick_at(now), RunInput::Signalled(signal))?;
            continue;
        }
        if let Some(prompt) = performer.asked.take() {
            let input = operator.ask(&prompt).map_or(RunInput::OperatorUnavailable, RunInput::OperatorAnswered);
            performer.feed(tick_at(now), input)?;
            continue;
        }
        // Nothing armed and nothing to arrive would be a machine that waits for nobody; it has finished by then.
        let Some(next) = performer.next_moment() else { break };
        now = now.max(next);
        if performer.deadline.is_some_and(|deadline| deadline <= now) {
            performer.deadline = None;
            performer.feed(tick_at(now), RunInput::DeadlineReached)?;
        } else {
            performer.settle(tick_at(now))?;
        }
    }
    Ok(())
}
