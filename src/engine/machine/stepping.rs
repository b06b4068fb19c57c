//! Starting steps, doing what their checks want, ending and judging them.

use std::collections::BTreeSet;

use super::core::Machine;
use crate::active::ActiveStep;
use crate::port::{Effect, RunTick};
use crate::schedule::{self, Next, StepRef};
use kiln_check::{Done, Seen, StepContext, Subject, Want, Wants};
use kiln_event::{Case, Halted, Outcome, Reason, RunEvent, StepEnding, StepKey};
use kiln_model::{Component, GpuIndex, Span, StopHow};
use kiln_plan::PlannedStep;

impl Machine<'_> {
    /// Starts whatever may start now, until something runs or there is nothing left.
    pub(super) fn advance(&mut self, tick: RunTick, effects: &mut Vec<Effect>) {
        loop {
            let Some(plan) = &self.record.plan else { return };
            self.retry_at = None;
            let find_check = self.equipment.find_check;
            let is_condition = |planned: &PlannedStep| {
                find_check(&planned.step.check).is_some_and(|check| check.subject() == Subject::Condition)
            };
            match schedule::next(plan, &self.record, &self.halt, tick.now, &is_condition) {
                Next::StartStage { stage, round } => {
                    let stage = plan.stages[stage].id.clone();
                    self.note(tick, RunEvent::StageStarted { stage, round }, effects);
                }
                Next::FinishStage { stage, round } => {
                    let stage = plan.stages[stage].id.clone();
                    self.note(tick, RunEvent::StageFinished { stage, round }, effects);
                }
                Next::Start { step_ref, attempt } => self.start_step(tick, step_ref, attempt, effects),
                Next::Skip { step_ref, attempt, outcome, reason } => {
                    let planned = self.planned(step_ref).clone();
                    let key = StepKey { path: planned.path.clone(), round: step_ref.round, attempt };
                    let case = |component: &Component| Case {
                        component: *component,
                        outcome,
                        reason: Some(reason.clone()),
                        judgements: Vec::new(),
                    };
                    let cases = planned.components.iter().map(case).collect();
                    self.note(tick, RunEvent::StepStarted { key: key.clone() }, effects);
                    let ending = Some(StepEnding::Stopped { reason, outcome });
                    self.note(tick, RunEvent::StepFinished { key, cases, ending }, effects);
                    if outcome == Outcome::Error {
                        self.after(step_ref, &planned, outcome, outcome);
                    }
                }
                Next::Wait(at) => {
                    self.retry_at = Some(at);
                    return;
                }
                Next::Busy => {
                    self.tell_watchers(tick, effects);
                    return;
                }
                Next::Done => {
                    self.finish(tick, effects);
                    return;
                }
            }
        }
    }

    fn planned(&self, step_ref: StepRef) -> &PlannedStep {
        let plan = self.record.plan.as_ref().expect("steps are placed only once a plan was made");
        match step_ref.stage {
            Some(stage) => &plan.stages[stage].steps[step_ref.step],
            None => &plan.teardown[step_ref.step],
        }
    }

    pub(super) fn start_step(&mut self, tick: RunTick, step_ref: StepRef, attempt: u32, effects: &mut Vec<Effect>) {
        let key = StepKey { path: self.planned(step_ref).path.clone(), round: step_ref.round, attempt };
        self.note(tick, RunEvent::StepStarted { key: key.clone() }, effects);
        let index = self.activate(tick, step_ref, key);
        self.show(tick, index, Seen::Began, effects);
        self.close_ended(tick, effects);
    }

    /// Begins a run of a step's check, and says where it is among the active ones.
    pub(super) fn activate(&mut self, tick: RunTick, step_ref: StepRef, key: StepKey) -> usize {
        let planned = self.planned(step_ref).clone();
        let check = (self.equipment.find_check)(&planned.step.check).expect("planning refused steps of unknown checks");
        let gpus = self.record.inventory.as_ref().map(|inventory| inventory.gpus.iter().map(|gpu| gpu.index).collect());
        let mut active = ActiveStep::new(key, step_ref, planned, check, tick.now, gpus.unwrap_or_default());
        active.trips_from = self.record.trips.len();
        active.mismatches_from = self.record.mismatches.len();
        self.active.push(active);
        let index = self.active.len() - 1;
        let run = check.begin(&self.context(index));
        self.active[index].run = Some(run);
        index
    }

    fn context(&self, index: usize) -> StepContext<'_> {
        let active = &self.active[index];
        StepContext {
            components: &active.planned.components,
            params: &active.planned.step.params,
            inventory: self.record.inventory.as_ref().expect("steps start only once the inventory was read"),
            skus: &self.skus,
            every: self.record.start.as_ref().map_or(Span::from_secs(1), |start| start.profile.telemetry.every),
            first_counters: self.record.counters.as_deref(),
            kernel: &self.record.kernel,
            sources: &self.record.sources,
            lost: &self.record.lost,
            began: active.began,
            resting_links: &self.record.resting_links,
        }
    }

    /// Shows a step something and does what it wants.
    pub(super) fn show(&mut self, tick: RunTick, index: usize, seen: Seen<'_>, effects: &mut Vec<Effect>) {
        if self.active[index].ending.is_some() {
            return;
        }
        let Some(mut run) = self.active[index].run.take() else { return };
        let mut wants = std::mem::take(&mut self.wants);
        run.observe(&self.context(index), tick.now, seen, &mut wants);
        self.active[index].run = Some(run);
        if !wants.is_empty() {
            self.grant(tick, index, &mut wants, effects);
        }
        self.wants = wants;
    }

    fn grant(&mut self, tick: RunTick, index: usize, wants: &mut Wants, effects: &mut Vec<Effect>) {
        self.changed = true;
        let key = self.active[index].key.clone();
        for want in wants.drain() {
            match want {
                Want::Enter { phase, until } => {
                    self.note(tick, RunEvent::PhaseEntered { key: key.clone(), phase, until }, effects);
                }
                Want::StartLoad { kind, gpus, span } => {
                    let gpus: BTreeSet<GpuIndex> =
                        gpus.into_iter().filter(|gpu| !self.record.lost.contains_key(gpu)).collect();
                    let seed = self.record.start.as_ref().map_or(0, |start| start.seed);
                    let order = self.loads.start(&key, kind, gpus, seed, span);
                    self.note(tick, RunEvent::LoadStarted { key: key.clone(), order: order.clone() }, effects);
                    effects.push(Effect::StartLoad(order));
                }
                Want::StopLoads => self.loads.stop_of(tick.now, &key, StopHow::Gently, effects),
                Want::Ask(probe) => {
                    self.active[index].probes.insert(probe);
                    effects.push(Effect::Ask(probe));
                }
                Want::WakeAt(at) => self.active[index].wake = Some(at),
                Want::AskOperator(prompt) => {
                    self.active[index].asking = true;
                    self.note(tick, RunEvent::OperatorAsked { key: key.clone(), prompt: prompt.clone() }, effects);
                    effects.push(Effect::AskOperator(prompt));
                }
                Want::Restart { how, within } => {
                    self.note(tick, RunEvent::RestartAsked { key: key.clone(), how, within }, effects);
                    effects.push(Effect::Restart(how));
                }
                Want::End(done) => {
                    let (measured, ending) = match done {
                        Done::Measured(measured) => (measured, StepEnding::Measured),
                        Done::Failed { why, measured } => (measured, StepEnding::Failed(why)),
                        Done::Undecided { why, measured } => (measured, StepEnding::Undecided(why)),
                        Done::NotApplicable { why } => {
                            (Vec::new(), StepEnding::Stopped { reason: why, outcome: Outcome::Skipped })
                        }
                    };
                    self.active[index].measured = measured;
                    self.end_step(tick, index, ending, effects);
                }
            }
        }
    }

    /// Lets a step end: its loads are stopped first, and only when they are gone is it judged.
    pub(super) fn end_step(&mut self, tick: RunTick, index: usize, ending: StepEnding, effects: &mut Vec<Effect>) {
        if self.active[index].ending.is_none() {
            let key = self.active[index].key.clone();
            self.active[index].ending = Some(ending);
            self.loads.stop_of(tick.now, &key, StopHow::Gently, effects);
        }
    }

    /// Judges and records every step that has ended and whose loads are gone.
    pub(super) fn close_ended(&mut self, tick: RunTick, effects: &mut Vec<Effect>) {
        while let Some(index) =
            self.active.iter().position(|active| active.ending.is_some() && !self.loads.has(&active.key))
        {
            let mut active = self.active.remove(index);
            let ending = active.ending.take().unwrap_or(StepEnding::Measured);
            let measured = std::mem::take(&mut active.measured);
            let cases = active.judge(&self.record, &self.skus, tick.wall).cases(&measured, &ending);
            if active.lateness.matters() {
                let (key, lateness) = (active.key.clone(), active.lateness);
                self.note(tick, RunEvent::HostLate { key, lateness }, effects);
            }
            let finished = RunEvent::StepFinished { key: active.key.clone(), cases, ending: Some(ending) };
            self.note(tick, finished, effects);
            let planned = active.planned;
            if !schedule::will_retry(&planned, &self.record, active.step_ref.round) {
                let step = self.record.steps.iter().rev().find(|step| step.key == active.key);
                let outcome = step.map_or(Outcome::Error, schedule::worst);
                let heeded = step.map_or(Outcome::Error, schedule::heeded);
                self.after(active.step_ref, &planned, outcome, heeded);
                self.stop_halted(tick, effects);
            }
        }
    }

    /// Applies the step's `then`, to the outcome that is heeded.
    fn after(&mut self, step_ref: StepRef, planned: &PlannedStep, outcome: Outcome, heeded: Outcome) {
        let policy = schedule::policy_after(planned.step.then, heeded);
        let why = Halted::ByStep { step: planned.path.clone(), outcome };
        let stage = step_ref
            .stage
            .and_then(|stage| Some((self.record.plan.as_ref()?.stages[stage].id.clone(), step_ref.round)));
        if step_ref.stage.is_some() {
            self.halt.raise(policy, stage.as_ref().map(|(id, round)| (id.as_str(), *round)), &why);
        }
    }

    /// Stops running steps that a halt has overtaken.
    fn stop_halted(&mut self, tick: RunTick, effects: &mut Vec<Effect>) {
        for index in 0..self.active.len() {
            let step_ref = self.active[index].step_ref;
            let Some(stage) = step_ref.stage else { continue };
            let Some(plan) = &self.record.plan else { continue };
            let id = plan.stages[stage].id.as_str();
            if let Some(why) = self.halt.holds(id, step_ref.round) {
                let reason = Reason::Stopped(why.clone());
                let ending = StepEnding::Stopped { reason, outcome: Outcome::NotReached };
                self.end_step(tick, index, ending, effects);
            }
        }
    }

    pub(super) fn stop_all(&mut self, tick: RunTick, reason: &Reason, outcome: Outcome, effects: &mut Vec<Effect>) {
        for index in 0..self.active.len() {
            self.end_step(tick, index, StepEnding::Stopped { reason: reason.clone(), outcome }, effects);
        }
        self.close_ended(tick, effects);
    }

    /// Once only watchers are left of a stage that runs together, they are told to come to an end.
    fn tell_watchers(&mut self, tick: RunTick, effects: &mut Vec<Effect>) {
        if self.active.iter().any(|active| !active.is_watcher() && active.ending.is_none()) {
            return;
        }
        for index in 0..self.active.len() {
            if !std::mem::replace(&mut self.active[index].told_alone, true) {
                self.show(tick, index, Seen::OthersEnded, effects);
            }
        }
        let before = self.active.len();
        self.close_ended(tick, effects);
        if self.active.len() < before {
            self.advance(tick, effects);
        }
    }
}
