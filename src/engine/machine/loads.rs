//! The loads that run: whose they are, on which GPUs they still work, and which were told to stop.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::port::Effect;
use kiln_event::{RunRecord, StepKey};
use kiln_model::{GpuIndex, LoadId, LoadKind, LoadOrder, LoadReport, LoadSaid, Moment, Span, StopHow};

/// The time from the order to stop a load until it is killed, and from there until it counts as unkillable: a running kernel ends
/// within seconds, a driver that hangs never does.
const STOP_GRACE: Span = Span::from_secs(10);

struct Load {
    key: Arc<StepKey>,
    gpus_left: BTreeSet<GpuIndex>,
    /// When it last reported its work.
    told_at: Option<Moment>,
    /// When it was last told to stop, and how.
    told: Option<(Moment, StopHow)>,
}

/// What a report of a load comes to.
pub(super) struct Heard {
    /// The step that the load belongs to.
    pub(super) key: Arc<StepKey>,
    /// How long the load was silent before, if this tells of its work.
    pub(super) silence: Option<Span>,
    /// Whether it has ended on its last GPU.
    pub(super) over: bool,
}

/// The loads that run.
#[derive(Default)]
pub(super) struct Loads {
    running: BTreeMap<LoadId, Load>,
    /// Numbers given so far.
    given: u32,
}

impl Loads {
    /// Numbers loads on from those of a record. None of them runs any more.
    pub(super) fn after(record: &RunRecord) -> Self {
        let given = record.steps.iter().flat_map(|step| &step.loads).map(|load| load.0).max().unwrap_or(0);
        Self { running: BTreeMap::new(), given }
    }

    /// Makes the order for a new load of a step.
    pub(super) fn start(
        &mut self,
        key: &StepKey,
        kind: LoadKind,
        gpus: BTreeSet<GpuIndex>,
        seed: u64,
        span: Option<Span>,
    ) -> LoadOrder {
        self.given += 1;
        let id = LoadId(self.given);
        let load = Load { key: Arc::new(key.clone()), gpus_left: gpus.clone(), told_at: None, told: None };
        self.running.insert(id, load);
        LoadOrder { id, kind, gpus, seed: seed ^ u64::from(id.0), span }
    }

    /// Takes in a report. One of a load that is not known to run is nothing.
    pub(super) fn hear(&mut self, report: &LoadReport) -> Option<Heard> {
        let load = self.running.get_mut(&report.load)?;
        let mut heard = Heard { key: Arc::clone(&load.key), silence: None, over: false };
        match &report.said {
            LoadSaid::Progress { .. } => {
                let last = load.told_at.replace(report.at);
                heard.silence = Some(last.map(|last| report.at.since(last)).unwrap_or_default());
            }
            LoadSaid::Ended { gpu, .. } => {
                match gpu {
                    Some(gpu) => {
                        load.gpus_left.remove(gpu);
                    }
                    None => load.gpus_left.clear(),
                }
                heard.over = load.gpus_left.is_empty();
            }
            _ => {}
        }
        if heard.over {
            self.running.remove(&report.load);
        }
        Some(heard)
    }

    /// Whether a step still has loads.
    pub(super) fn has(&self, key: &StepKey) -> bool {
        self.running.values().any(|load| *load.key == *key)
    }

    /// Stops the loads of a step.
    pub(super) fn stop_of(&mut self, now: Moment, key: &StepKey, how: StopHow, effects: &mut Vec<Effect>) {
        self.stop_those(now, how, effects, |load| *load.key == *key);
    }

    /// Stops all loads at once.
    pub(super) fn kill_all(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        self.stop_those(now, StopHow::Kill, effects, |_| true);
    }

    fn stop_those(&mut self, now: Moment, how: StopHow, effects: &mut Vec<Effect>, which: impl Fn(&Load) -> bool) {
        for (id, load) in self.running.iter_mut().filter(|(_, load)| which(load)) {
            // What was told to stop is not told again; it may be killed once.
            if load.told.is_none_or(|(_, told)| told == StopHow::Gently && how == StopHow::Kill) {
                load.told = Some((now, how));
                effects.push(Effect::StopLoad(*id, how));
            }
        }
    }

    /// Kills loads that did not stop in time, gives up on those that did not die, and returns these with their steps.
    pub(super) fn escalate(&mut self, now: Moment, effects: &mut Vec<Effect>) -> Vec<(LoadId, StepKey)> {
        let overdue = |load: &Load| load.told.is_some_and(|(at, _)| at + STOP_GRACE <= now);
        let killed = |load: &Load| load.told.is_some_and(|(_, how)| how == StopHow::Kill);
        let undead = self.running.iter().filter(|(_, load)| overdue(load) && killed(load));
        let undead: Vec<(LoadId, StepKey)> = undead.map(|(id, load)| (*id, (*load.key).clone())).collect();
        for (id, _) in &undead {
            self.running.remove(id);
        }
        self.stop_those(now, StopHow::Kill, effects, overdue);
        undead
    }

    /// When the next load that was told to stop is overdue.
    pub(super) fn deadline(&self) -> Option<Moment> {
        self.running.values().filter_map(|load| load.told).map(|(at, _)| at + STOP_GRACE).min()
    }
}
