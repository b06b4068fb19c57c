//! How a run begins: from the inventory, fresh or taken up again, or is refused.

use super::core::Machine;
use crate::engine::guard::Guards;
use crate::engine::link_rest::LinkRest;
use crate::engine::port::{Effect, Tick};
use crate::engine::schedule::Halt;
use crate::engine::stand_in::StandIns;
use crate::event::{GuardTrip, RunEvent, RunStart};
use crate::model::{Inventory, Moment};
use crate::plan::{self, PlanError};
use crate::profile::GuardStop;

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
    #[error("the run was begun on node `{then}`, but this node is `{now}`; resume it where it was begun")]
    OtherNode { then: String, now: String },
}

impl Machine<'_> {
    pub(super) fn inventory_read(
        &mut self,
        tick: Tick,
        read: Result<Box<Inventory>, String>,
        effects: &mut Vec<Effect>,
    ) {
        if self.record.plan.is_some() && self.next_sample.is_some() {
            return;
        }
        let begun = read.map_err(Refusal::Inventory).and_then(|inventory| match self.begin.take() {
            Some(start) => self.begin_run(tick, start, inventory, effects),
            None => self.resume_run(tick, &inventory, effects),
        });
        if let Err(refusal) = begun {
            self.refusal = Some(refusal);
            self.finished = true;
            effects.push(Effect::Finish);
        }
    }

    pub(super) fn begin_run(
        &mut self,
        tick: Tick,
        start: Box<RunStart>,
        inventory: Box<Inventory>,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Refusal> {
        if let (Some(given), Some(own)) = (&start.operation.serial, inventory.node.serial.value())
            && given != own
        {
            return Err(Refusal::WrongSerial { given: given.clone(), own: own.clone() });
        }
        let plan = plan::make(
            &start.profile,
            &inventory,
            self.equipment.skus,
            self.equipment.catalogue,
            self.only.as_deref(),
        )?;
        self.note(tick, RunEvent::RunStarted(start), effects);
        self.note(tick, RunEvent::InventoryRead(inventory), effects);
        self.note(tick, RunEvent::PlanMade(Box::new(plan)), effects);
        self.set_up(tick, effects);
        Ok(())
    }

    pub(super) fn resume_run(
        &mut self,
        tick: Tick,
        inventory: &Inventory,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Refusal> {
        let serial = |inventory: &Inventory| inventory.node.serial.to_string();
        if let Some(then) = self.record.inventory.as_deref().map(serial) {
            let now = serial(inventory);
            if then != now {
                return Err(Refusal::OtherNode { then, now });
            }
        }
        let interrupted = self.record.running().map(|step| step.key.clone()).collect();
        self.note(tick, RunEvent::RunResumed { interrupted }, effects);
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
        Ok(())
    }

    pub(super) fn set_up(&mut self, tick: Tick, effects: &mut Vec<Effect>) {
        let (Some(inventory), Some(start)) = (&self.record.inventory, &self.record.start) else {
            return;
        };
        self.skus = self.record.plan.as_ref().map(|plan| plan.models(self.equipment.skus)).unwrap_or_default();
        let gpus: Vec<_> = inventory.gpus.iter().map(|gpu| gpu.index).collect();
        self.guards = Guards::new(&start.profile.guards, &gpus, tick.now);
        self.stand_ins = StandIns::new(inventory);
        self.link_rest = LinkRest::new(inventory);
        self.next_sample = Some(tick.now);
        self.take_sample(tick, effects);
    }
}
