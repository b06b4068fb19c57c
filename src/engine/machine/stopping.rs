//! Stopping: loads that must go, guards that trip, halts that overtake running steps.

use super::core::{Machine, STOP_GRACE};
use crate::guard::GuardNews;
use crate::port::{Effect, Tick};
use kiln_event::{GuardTrip, Halted, Outcome, Reason, RunEvent, StepEnding, StepKey};
use kiln_model::{LoadEnd, LoadId, Moment, StopHow};
use kiln_profile::{GuardStop, Policy};

impl Machine<'_> {
    pub(super) fn stop_loads_of(&mut self, now: Moment, key: &StepKey, how: StopHow, effects: &mut Vec<Effect>) {
        let ids: Vec<LoadId> = self.loads.iter().filter(|(_, load)| load.key == *key).map(|(id, _)| *id).collect();
        for id in ids {
            self.stop_load(now, id, how, effects);
        }
    }

    pub(super) fn stop_load(&mut self, now: Moment, id: LoadId, how: StopHow, effects: &mut Vec<Effect>) {
        if let Some(load) = self.loads.get_mut(&id)
            && load.told.is_none_or(|(_, told)| told == StopHow::Gently && how == StopHow::Kill)
        {
            load.told = Some((now, how));
            effects.push(Effect::StopLoad(id, how));
        }
    }

    /// Kills loads that did not stop, and gives up on those that did not die.
    pub(super) fn escalate_stops(&mut self, tick: Tick, effects: &mut Vec<Effect>) {
        let overdue: Vec<(LoadId, StopHow)> = self
            .loads
            .iter()
            .filter_map(|(id, load)| {
                load.told.filter(|(at, _)| *at + STOP_GRACE <= tick.now).map(|(_, how)| (*id, how))
            })
            .collect();
        for (id, how) in overdue {
            match how {
                StopHow::Gently => self.stop_load(tick.now, id, StopHow::Kill, effects),
                StopHow::Kill => {
                    let key = self.loads.remove(&id).map(|load| load.key);
                    self.note(tick, RunEvent::LoadEnded { load: id, gpu: None, end: LoadEnd::Unkillable }, effects);
                    for active in self.active.iter_mut().filter(|active| Some(&active.key) == key.as_ref()) {
                        active.ending = Some(StepEnding::Failed(Reason::Unkillable));
                    }
                }
            }
        }
    }

    pub(super) fn take_guard_news(&mut self, tick: Tick, effects: &mut Vec<Effect>) {
        for news in std::mem::take(&mut self.news) {
            match news {
                GuardNews::Cleared { guard, component } => {
                    self.note(tick, RunEvent::GuardCleared { guard, component }, effects);
                }
                GuardNews::Tripped(mut trip) => {
                    trip.around = self.vitals.values().copied().collect();
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

    pub(super) fn stop_by(&mut self, tick: Tick, trip: &GuardTrip, effects: &mut Vec<Effect>) {
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
