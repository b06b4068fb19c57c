//! Stopping: loads that must go, guards that trip, halts that overtake running steps.

use super::core::Machine;
use crate::guard::GuardNews;
use crate::port::{Effect, RunTick};
use kiln_event::{GuardTrip, Halted, Outcome, Reason, RunEvent, StepEnding};
use kiln_model::LoadEnd;
use kiln_profile::{GuardStop, Policy};

impl Machine<'_> {
    /// Gives up on loads that did not die, and on their steps.
    pub(super) fn escalate_stops(&mut self, tick: RunTick, effects: &mut Vec<Effect>) {
        for (load, key) in self.loads.escalate(tick.now, effects) {
            self.note(tick, RunEvent::LoadEnded { load, gpu: None, end: LoadEnd::Unkillable }, effects);
            for active in self.active.iter_mut().filter(|active| active.key == key) {
                active.ending = Some(StepEnding::Failed(Reason::Unkillable));
            }
        }
    }

    pub(super) fn take_guard_news(&mut self, tick: RunTick, effects: &mut Vec<Effect>) {
        for news in std::mem::take(&mut self.news) {
            match news {
                GuardNews::Cleared { guard, component } => {
                    self.note(tick, RunEvent::GuardCleared { guard, component }, effects);
                }
                GuardNews::Tripped(mut trip) => {
                    trip.around = self.sampling.vitals();
                    self.note(tick, RunEvent::GuardTripped(trip.clone()), effects);
                    self.halt_by(&trip);
                    self.stop_by(tick, &trip, effects);
                }
            }
        }
    }

    pub(super) fn halt_by(&mut self, trip: &GuardTrip) {
        let why = Halted::ByGuard(trip.as_stop());
        let stage = self
            .record
            .stages
            .last()
            .filter(|stage| stage.finished.is_none())
            .map(|stage| (stage.id.clone(), stage.round));
        let stage = stage.as_ref().map(|(id, round)| (id.as_str(), *round));
        match trip.stop {
            GuardStop::Step => {}
            GuardStop::Stage => self.halt.raise(Policy::StopStage, stage, &why),
            GuardStop::Run => self.halt.raise(Policy::Stop, stage, &why),
        }
    }

    fn stop_by(&mut self, tick: RunTick, trip: &GuardTrip, effects: &mut Vec<Effect>) {
        let outcome = match trip.outcome() {
            Outcome::Fail => Outcome::NotReached,
            outcome => outcome,
        };
        for index in 0..self.active.len() {
            let touched = trip.component.gpu_index().is_none_or(|gpu| self.active[index].has_gpu(gpu));
            let in_stage = self.active[index].step_ref.stage.is_some();
            if in_stage && (touched || trip.stop != GuardStop::Step) {
                let reason = Reason::GuardStop(trip.as_stop());
                self.end_step(tick, index, StepEnding::Stopped { reason, outcome }, effects);
            }
        }
        self.close_ended(tick, effects);
    }
}
