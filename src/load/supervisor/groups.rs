//! The supervisor: starts a group for each order and asks all groups what there is to report. It has the meaning of the
//! load half of the engine's station.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use super::group::Group;
use super::process::{ChildProcess, Wake};
use super::spawner::{Spawner, WorkerCommand};
use super::worker_handle::WorkerHandle;
use crate::worker::{Device, Injection, ToWorker, Variant, WorkOrder};
use kiln_model::Arrivals;
use kiln_model::{GpuIndex, LoadEnd, LoadFault, LoadId, LoadKind, LoadOrder, LoadReport, LoadSaid, Moment, StopHow};

/// Starts, leads and ends the workers of all loads.
pub struct Supervisor {
    spawner: Spawner,
    /// PCI addresses of the GPUs, as far as they are known.
    devices: BTreeMap<GpuIndex, String>,
    injection: Option<Injection>,
    variant: Variant,
    groups: Vec<Group>,
    /// Reports made outside of a look at the groups.
    reports: Vec<LoadReport>,
    wake: Wake,
}

impl std::fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Supervisor").field("groups", &self.groups).finish_non_exhaustive()
    }
}

impl Supervisor {
    pub fn new(command: WorkerCommand) -> Self {
        Self {
            spawner: Spawner::new(command),
            devices: BTreeMap::new(),
            injection: None,
            variant: Variant::default(),
            groups: Vec::new(),
            reports: Vec::new(),
            wake: Arc::new(Mutex::new(None)),
        }
    }

    /// Tells where the GPUs are, so that a worker cannot take one for another.
    pub fn know_devices(&mut self, devices: BTreeMap<GpuIndex, String>) {
        self.devices = devices;
    }

    /// Has every worker from now on commit a fault, to show that it is found, or none.
    pub const fn inject(&mut self, injection: Option<Injection>) {
        self.injection = injection;
    }

    /// Has every worker from now on do its order otherwise than in a run.
    pub const fn vary(&mut self, variant: Variant) {
        self.variant = variant;
    }

    /// Starts the workers of an order. What comes of them is collected.
    pub fn start_load(&mut self, now: Moment, order: &LoadOrder) {
        let mut workers = Vec::new();
        for gpus in shares(order) {
            match self.hire(now, order, gpus.clone()) {
                Ok(worker) => workers.push(worker),
                Err(error) => {
                    let end = LoadEnd::Failed(LoadFault::NoWorker { error: error.to_string() });
                    let ended = |gpu| LoadReport {
                        load: order.id,
                        at: now,
                        said: LoadSaid::Ended { gpu: Some(gpu), end: end.clone() },
                    };
                    self.reports.extend(gpus.into_iter().map(ended));
                }
            }
        }
        if workers.is_empty() {
            let end = LoadEnd::Failed(LoadFault::NoWorkers);
            self.reports.push(LoadReport { load: order.id, at: now, said: LoadSaid::Ended { gpu: None, end } });
        } else {
            self.groups.push(Group::new(order.id, workers));
        }
    }

    fn hire(&self, now: Moment, order: &LoadOrder, gpus: BTreeSet<GpuIndex>) -> std::io::Result<WorkerHandle> {
        let device = |gpu: &GpuIndex| Device { gpu: *gpu, pci: self.devices.get(gpu).cloned() };
        let work = WorkOrder {
            devices: gpus.iter().map(device).collect(),
            order: LoadOrder { gpus: gpus.clone(), ..order.clone() },
            injection: self.injection,
            variant: self.variant,
        };
        let process = ChildProcess::new(self.spawner.spawn()?, &self.wake);
        Ok(WorkerHandle::new(now, gpus, Box::new(process), &ToWorker::Order(Box::new(work))))
    }

    /// Stops a load: asked first and forced if that does not help, or killed at once.
    pub fn stop_load(&mut self, now: Moment, load: LoadId, how: StopHow) {
        self.groups.iter_mut().filter(|group| group.id() == load).for_each(|group| group.stop(now, how));
    }

    /// Moves everything workers have said by now into the arrivals, renews leases and presses those that overstay. It must
    /// be called by [`Supervisor::next_arrival`]: leases are renewed here and nowhere else, so that a run that hangs
    /// does not go on heating its GPUs.
    pub fn collect(&mut self, now: Moment, arrivals: &mut Arrivals) {
        arrivals.loads.append(&mut self.reports);
        for group in &mut self.groups {
            group.turn(now, &mut arrivals.loads);
        }
        self.groups.retain(|group| !group.is_over());
    }

    pub fn next_arrival(&self) -> Option<Moment> {
        self.groups.iter().filter_map(Group::due).min()
    }

    /// Has `wake` called, from another thread, whenever a worker says something.
    pub fn on_arrival(&mut self, wake: Box<dyn Fn() + Send + Sync>) {
        *self.wake.lock().unwrap_or_else(PoisonError::into_inner) = Some(wake);
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        // Not waited for: one that the driver holds would hold this program too.
        self.groups.iter_mut().for_each(|group| group.stop(Moment::ZERO, StopHow::Kill));
    }
}

/// Which GPUs go to one worker. Copies are between GPUs, or are measured one after another, so one worker has them all;
/// a program has whatever it takes; everything else is one worker for each GPU, so that one that hangs takes no other with it.
fn shares(order: &LoadOrder) -> Vec<BTreeSet<GpuIndex>> {
    match order.kind {
        LoadKind::HostCopy(_) | LoadKind::PairCopy | LoadKind::AllToAll | LoadKind::Program(_) => {
            vec![order.gpus.clone()]
        }
        LoadKind::Burn(_)
        | LoadKind::FixedClock { .. }
        | LoadKind::Pulse { .. }
        | LoadKind::Screen { .. }
        | LoadKind::March { .. } => order.gpus.iter().map(|gpu| [*gpu].into()).collect(),
    }
}
