//! Starting the node anew as a step asks: what is written before, who leaves when, and how the step ends after the boot.
//!
//! ```text
//!   asked (written, then ordered) --refused, or still up--> the step ends in error, the run goes on
//!          |
//!          +--the node goes down--> run taken up again: another boot id ends the step, the same one is an error
//! ```

use super::beginning::Refusal;
use super::core::Machine;
use crate::port::{Effect, RunTick};
use crate::schedule::StepRef;
use kiln_check::Seen;
use kiln_event::{Boot, Reason, RestartTrouble, StepEnding};
use kiln_model::{Inventory, RestartRefusal, Restarting, Span};
use kiln_plan::PlannedStep;

impl Machine<'_> {
    pub(super) fn restart_said(
        &mut self,
        tick: RunTick,
        said: Result<Restarting, RestartRefusal>,
        effects: &mut Vec<Effect>,
    ) {
        match said {
            // The step waits until it is gone with the node, or long enough.
            Ok(Restarting::UnderWay) => {}
            Ok(Restarting::Gone) => self.leave(effects),
            Err(why) => {
                let key = self.record.open_restart().map(|order| order.key.clone());
                if let Some(index) = self.active.iter().position(|active| Some(&active.key) == key.as_ref()) {
                    let ending = StepEnding::Failed(Reason::Restart(RestartTrouble::Refused(why)));
                    self.end_step(tick, index, ending, effects);
                    self.close_ended(tick, effects);
                }
            }
        }
    }

    /// Ends this process's part of the run and records nothing: the run goes on after the boot.
    pub(super) fn leave(&mut self, effects: &mut Vec<Effect>) {
        self.finished = true;
        effects.push(Effect::Finish);
    }

    /// Why the run cannot be taken up yet: the node was told to start anew, may still do so, and has not.
    pub(super) fn still_up(&self, tick: RunTick, now: &Inventory) -> Option<Refusal> {
        let order = self.record.open_restart()?;
        let same = self.record.boot_id.value().is_some_and(|boot| Some(boot) == now.node.boot_id.value());
        // A run that was taken up after the boot, and cut off again, has that boot's id.
        let came = order.boot == Boot::AsAsked;
        let until = order.wall.checked_add(jiff::SignedDuration::try_from(order.within).ok()?).ok()?;
        (same && !came && order.wall <= tick.wall && tick.wall < until)
            .then_some(Refusal::StillUp { asked: order.wall, until })
    }

    /// Brings the step that asked for a restart to its end, if the run was taken up after one.
    pub(super) fn come_back(&mut self, tick: RunTick, effects: &mut Vec<Effect>) {
        let Some(order) = self.record.open_restart().cloned() else { return };
        let Some(step_ref) = self.place_of(&order.key.path, order.key.round) else { return };
        let index = self.activate(tick, step_ref, order.key);
        let after = Span::try_from(tick.wall.duration_since(order.wall)).ok();
        self.show(tick, index, Seen::Restarted { boot: order.boot, after }, effects);
        self.close_ended(tick, effects);
    }

    fn place_of(&self, path: &str, round: u32) -> Option<StepRef> {
        let plan = self.record.plan.as_ref()?;
        let within = |steps: &[PlannedStep]| steps.iter().position(|planned| planned.path == path);
        let staged =
            plan.stages.iter().enumerate().find_map(|(stage, planned)| {
                Some(StepRef { stage: Some(stage), step: within(&planned.steps)?, round })
            });
        staged.or_else(|| Some(StepRef { stage: None, step: within(&plan.teardown)?, round }))
    }
}
