//! Looking at a node that no profile runs on: asks, and waits for what comes of it; a model is not waited for.

use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use anyhow::anyhow;

use super::command_error::{CommandError, Sorted as _};
use super::drive::monotonic;
use super::dut::Chosen;
use crate::engine::{Arrivals, Dut};
use crate::event::NodeSource;
use crate::model::{Inventory, Moment, Sample, Span};

/// A driver that wakes GPUs without persistence mode takes some seconds each; the node's own deadlines are shorter.
const PATIENCE: Span = Span::from_secs(60);

/// A node being looked at.
pub(super) struct Look<'a, D: Dut + ?Sized = dyn Dut> {
    dut: &'a mut D,
    clock: Clock,
    woken: Receiver<()>,
}

#[derive(Debug, Clone, Copy)]
enum Clock {
    /// Since the look began.
    World(Duration),
    Model(Moment),
}

impl<D: Dut + ?Sized> std::fmt::Debug for Look<'_, D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Look").field("clock", &self.clock).finish_non_exhaustive()
    }
}

impl<'a> Look<'a> {
    pub(super) fn at(chosen: &'a mut Chosen) -> Self {
        Self::on(&mut *chosen.dut, &chosen.source)
    }
}

impl<'a, D: Dut + ?Sized> Look<'a, D> {
    pub(super) fn on(dut: &'a mut D, source: &NodeSource) -> Self {
        let clock = match source {
            NodeSource::Hardware | NodeSource::StandIn { .. } => Clock::World(monotonic()),
            NodeSource::Simulated { .. } | NodeSource::Replayed { .. } => Clock::Model(Moment::ZERO),
        };
        let (wake, woken) = channel();
        dut.on_arrival(Box::new(move || {
            // Nobody listens any more once the look is over.
            let _ = wake.send(());
        }));
        Self { dut, clock, woken }
    }

    pub(super) fn now(&self) -> Moment {
        match self.clock {
            Clock::World(began) => Moment::ZERO + monotonic().saturating_sub(began),
            Clock::Model(now) => now,
        }
    }

    /// The node's inventory.
    pub(super) fn inventory(&mut self) -> Result<Inventory, CommandError> {
        self.inventory_into(&mut Arrivals::default())
    }

    /// The same; what else comes in meanwhile, such as the log so far and how sources stand, is left in the arrivals.
    pub(super) fn inventory_into(&mut self, arrivals: &mut Arrivals) -> Result<Inventory, CommandError> {
        self.dut.read_inventory(self.now());
        self.collect(arrivals, self.now() + PATIENCE, |arrivals| !arrivals.inventories.is_empty());
        let read = arrivals.inventories.pop().unwrap_or_else(|| Err("the node gave no answer".to_owned()));
        let told = |why| anyhow!("the node's inventory could not be read: {why}");
        read.map(|inventory| *inventory).map_err(told).no_claim()
    }

    /// One sample of each of so many GPUs, as far as they answer.
    pub(super) fn samples(&mut self, gpus: usize) -> Vec<Sample> {
        let mut arrivals = Arrivals::default();
        self.dut.sample(self.now());
        self.collect(&mut arrivals, self.now() + PATIENCE, |arrivals| arrivals.samples.len() >= gpus);
        arrivals.samples.sort_by_key(|sample| sample.gpu);
        arrivals.samples
    }

    /// Has the node answer into the arrivals.
    pub(super) fn ask<R>(&mut self, what: impl FnOnce(&mut D, Moment) -> R) -> R {
        let now = self.now();
        what(self.dut, now)
    }

    /// Collects until there is enough, or that moment has come.
    pub(super) fn collect(&mut self, arrivals: &mut Arrivals, until: Moment, enough: impl Fn(&Arrivals) -> bool) {
        loop {
            let now = self.now();
            self.dut.collect(now, arrivals);
            if enough(arrivals) || now >= until {
                return;
            }
            let next = self.dut.next_arrival().filter(|next| *next > now).map_or(until, |next| next.min(until));
            match &mut self.clock {
                // Woken or timed out: both mean to look again.
                Clock::World(_) => drop(self.woken.recv_timeout(next.since(now))),
                Clock::Model(now) => *now = next,
            }
        }
    }
}

/// The inventory of a node that has not been put to work.
pub(super) fn read_inventory(chosen: &mut Chosen) -> Result<Inventory, CommandError> {
    Look::at(chosen).inventory()
}
