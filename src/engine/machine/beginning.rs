//! How a run begins: from the inventory, fresh or taken up again, or is refused.

use super::core::Machine;
use crate::guard::Guards;
use crate::port::{Effect, RunTick, Signal};
use crate::schedule::Halt;
use kiln_event::{GuardTrip, Interruption, RunEvent, RunStart};
use kiln_model::{Component, Gpu, Inventory, KernelRecord, KernelSource, Moment, Span, WallTime};
use kiln_plan::{self as plan, Plan, PlanError};
use kiln_profile::{Deviation, GuardStop};

/// Why a run could not begin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the node's inventory could not be read: {0}")]
    Inventory(String),
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error(
        "the serial number given is `{given}`, but the node says `{own}`; scan the label of the node under test again"
    )]
    WrongSerial { given: String, own: String },
    #[error("{asked} is asked for, and the node has {has}; name GPUs as `kiln node` numbers them")]
    NoSuchGpu { asked: Component, has: String },
    #[error("the run was begun on node `{then}`, but this node is `{now}`; resume it where it was begun")]
    OtherNode { then: String, now: String },
    #[error(
        "the node was told to start anew at {asked} and has not done so; take the run up again once it has, or after \
         {until}, when the step ends without a result"
    )]
    StillUp { asked: WallTime, until: WallTime },
}

impl Machine<'_> {
    pub(super) fn inventory_read(
        &mut self,
        tick: RunTick,
        read: Result<Box<Inventory>, String>,
        effects: &mut Vec<Effect>,
    ) {
        if self.record.plan.is_some() && self.sampling.is_begun() {
            return;
        }
        let begun = read.map_err(Refusal::Inventory).and_then(|inventory| match self.opening.start.take() {
            Some(start) => self.begin_run(tick, start, inventory, effects),
            None => self.resume_run(tick, inventory, effects),
        });
        if let Err(refusal) = begun {
            self.refusal = Some(refusal);
            self.finished = true;
            effects.push(Effect::Finish);
        }
    }

    fn begin_run(
        &mut self,
        tick: RunTick,
        start: Box<RunStart>,
        inventory: Box<Inventory>,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Refusal> {
        if let (Some(given), Some(own)) = (&start.operation.serial, inventory.node.serial.value())
            && given != own
        {
            return Err(Refusal::WrongSerial { given: given.clone(), own: own.clone() });
        }
        for deviation in &start.profile.deviations {
            let Deviation::Gpus { chosen } = deviation else { continue };
            if let Some(asked) = chosen.gpus().iter().find(|gpu| inventory.gpu(**gpu).is_none()) {
                let mut has: Vec<Component> = inventory.gpus.iter().map(|gpu| Component::Gpu(gpu.index)).collect();
                has.extend(inventory.left_out.iter().copied().map(Component::Gpu));
                has.sort_unstable();
                let has = has.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                return Err(Refusal::NoSuchGpu { asked: Component::Gpu(*asked), has });
            }
        }
        let plan = plan::make(
            &start.profile,
            &inventory,
            self.equipment.skus,
            self.equipment.catalogue,
            self.opening.only.as_deref(),
        )?;
        self.note(tick, RunEvent::RunStarted(start), effects);
        self.note(tick, RunEvent::InventoryRead(inventory), effects);
        self.note(tick, RunEvent::PlanMade(Box::new(plan)), effects);
        self.set_up(tick, effects);
        Ok(())
    }

    fn resume_run(
        &mut self,
        tick: RunTick,
        inventory: Box<Inventory>,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Refusal> {
        if let Some((then, now)) = self.record.inventory.as_deref().and_then(|before| other_node(before, &inventory)) {
            return Err(Refusal::OtherNode { then, now });
        }
        if let Some(refusal) = self.still_up(tick, &inventory) {
            return Err(refusal);
        }
        // Planned before anything is recorded: a node that cannot be tested leaves the journal as it is.
        let plan = match &self.record.plan {
            Some(_) => None,
            None => self.plan_late(&inventory)?,
        };
        self.note_resumed(tick, effects);
        self.note(tick, RunEvent::InventoryRead(inventory), effects);
        if let Some(plan) = plan {
            self.note(tick, RunEvent::PlanMade(Box::new(plan)), effects);
        }
        if let Some(plan) = &self.record.plan {
            self.halt = Halt::of(plan, &self.record);
        }
        // A trip that stopped a stage stopped that stage and no later one.
        let since = self.record.stages.last().map_or(tick.now, |stage| stage.started);
        let in_force = |at: Moment, trip: &GuardTrip| trip.stop == GuardStop::Run || at >= since;
        let trips: Vec<GuardTrip> =
            self.record.trips.iter().filter(|(at, trip)| in_force(*at, trip)).map(|(_, trip)| trip.clone()).collect();
        for trip in &trips {
            self.halt_by(trip);
        }
        self.set_up(tick, effects);
        self.come_back(tick, effects);
        Ok(())
    }

    /// The plan of a run that was cut off before it had one: for the node as it was, if it was looked at by then.
    fn plan_late(&self, inventory: &Inventory) -> Result<Option<Plan>, Refusal> {
        let Some(start) = &self.record.start else { return Ok(None) };
        let inventory = self.record.inventory.as_deref().unwrap_or(inventory);
        let only = start.profile.deviations.iter().find_map(|deviation| match deviation {
            Deviation::Only { filter } => Some(filter.as_str()),
            Deviation::Set { .. } | Deviation::Gpus { .. } | Deviation::Surroundings { .. } => None,
        });
        let plan = plan::make(&start.profile, inventory, self.equipment.skus, self.equipment.catalogue, only)?;
        Ok(Some(plan))
    }

    /// Records what came in before the run had begun.
    fn catch_up(&mut self, tick: RunTick, effects: &mut Vec<Effect>) {
        for report in std::mem::take(&mut self.opening.sources) {
            self.note(tick, RunEvent::SourceTold(report), effects);
        }
        for record in std::mem::take(&mut self.opening.kernel) {
            if let Some(record) = self.as_new(tick, record) {
                self.kernel_logged(tick, record, effects);
            }
        }
    }

    /// A record as it stands to this run: in one taken up again, a line of before the log was opened may be one of the run.
    /// The journal has it already if the run was awake when it was logged; if not, it tells what happened in between.
    fn as_new(&self, tick: RunTick, record: KernelRecord) -> Option<KernelRecord> {
        let (Some(before), Some(started)) = (record.before(), self.record.started_wall) else { return Some(record) };
        if self.record.resumes == 0 {
            return Some(record);
        }
        let age = Span::try_from(tick.wall.duration_since(started)).unwrap_or_default();
        let known = self.record.kernel.iter().any(|known| known.text == record.text);
        // That the node was started again while the run was away is what taking it up again is for.
        let banner = record.text.starts_with("Linux version ");
        (before <= age && !known && !banner).then_some(KernelRecord {
            source: KernelSource::KernelLog,
            at: tick.now,
            ..record
        })
    }

    fn note_resumed(&mut self, tick: RunTick, effects: &mut Vec<Effect>) {
        // The step that asked for a restart was not cut off by it: that was its work.
        let asked = self.record.open_restart().map(|order| order.key.clone());
        let running = self.record.running().map(|step| step.key.clone());
        let interrupted = running.filter(|key| asked.as_ref() != Some(key)).collect();
        let source_digest = self.opening.source_digest.clone();
        self.note(tick, RunEvent::RunResumed { interrupted, source_digest }, effects);
    }

    /// A signal came before the node was read. Nothing runs and there is nothing to tear down.
    pub(super) fn abort_before_it_runs(&mut self, tick: RunTick, signal: Signal, effects: &mut Vec<Effect>) {
        match self.opening.start.take() {
            Some(start) => self.note(tick, RunEvent::RunStarted(start), effects),
            None => self.note_resumed(tick, effects),
        }
        let by = if signal == Signal::First { Interruption::Signal } else { Interruption::Kill };
        self.note(tick, RunEvent::RunInterrupted { by }, effects);
        self.finish(tick, effects);
    }

    fn set_up(&mut self, tick: RunTick, effects: &mut Vec<Effect>) {
        let (Some(inventory), Some(start)) = (&self.record.inventory, &self.record.start) else {
            return;
        };
        self.skus = self.record.plan.as_ref().map(|plan| plan.models(self.equipment.skus)).unwrap_or_default();
        let gpus: Vec<_> = inventory.gpus.iter().map(|gpu| gpu.index).collect();
        self.guards = Guards::new(&start.profile.guards, &gpus, &self.skus, tick.now);
        self.sampling.begin(inventory, &self.record, tick.now, start.profile.telemetry.every);
        self.catch_up(tick, effects);
        self.take_sample(tick, effects);
    }
}

/// Both nodes' names where what can be read says that this is not the node the run began on: another serial number, or,
/// where one of the two cannot be read, only GPUs that were not there.
fn other_node(before: &Inventory, now: &Inventory) -> Option<(String, String)> {
    if let (Some(then), Some(now)) = (before.node.serial.value(), now.node.serial.value()) {
        return (then != now).then(|| (then.clone(), now.clone()));
    }
    let uuids = |inventory: &'_ Inventory| -> Option<Vec<String>> {
        let uuid = |gpu: &Gpu| gpu.identity.uuid.value().cloned();
        let all: Option<Vec<String>> = inventory.gpus.iter().map(uuid).collect();
        all.filter(|all| !all.is_empty())
    };
    let (then, now) = (uuids(before)?, uuids(now)?);
    let shared = then.iter().any(|uuid| now.contains(uuid));
    (!shared).then(|| (then.join(", "), now.join(", ")))
}
