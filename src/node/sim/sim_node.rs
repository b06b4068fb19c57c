//! The simulated node as the engine's [`Dut`]: simulated time advances whenever the engine asks, and the results are put into
//! the arrivals.
//!
//! How parts behave is in `gpu`, `site` and `load`; this file only advances them together.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "the model computes in floats, and its counters, words and addresses are whole numbers within their range"
)]

use std::collections::BTreeMap;

use super::bandwidth::Paths;
use super::build::{Build, Kind};
use super::fault_run::FaultRun;
use super::fault_use::{FaultUse, Injected};
use super::file::NodeFile;
use super::gpu::{Activity, Gpu};
use super::inventory::{Shelf, counters};
use super::load::{Bench, Load};
use super::parameter::{GpuParameter as G, SiteParameter as S, Word};
use super::port::Ports;
use super::sensor::Surroundings;
use super::site::Site;
use crate::host::SourceWatch;
use kiln_model::{Answer, Component, GpuIndex, Inventory, LoadId, LoadOrder, Moment, PciFunction, Probe, StopHow};
use kiln_model::{Arrivals, Dut};
use kiln_model::{Reading, ReadingFailure, Restart, RestartRefusal, Restarting, Sample, Source};
use kiln_yaml::Diagnostics;

const SECOND: u64 = 1_000_000_000;
/// The longest that the driver's readers wait for a round of readings ([`crate::nvml::Deadlines`]).
const CALL_DEADLINE: u64 = 5 * SECOND;

/// A round of readings that arrives late.
#[derive(Debug)]
struct Late {
    due: u64,
    sample: Sample,
}

/// A simulated node.
pub struct SimNode {
    pub(super) file: NodeFile,
    pub(super) build: Build,
    pub(super) gpus: Vec<Gpu>,
    pub(super) site: Site,
    pub(super) paths: Paths,
    pub(super) loads: Vec<Load>,
    pub(super) faults: Vec<FaultRun>,
    /// Whether any fault waits for a condition.
    pub(super) watching: bool,
    pub(super) words: BTreeMap<Word, String>,
    pub(super) unstarted: Vec<PciFunction>,
    pub(super) pending: Arrivals,
    pub(super) now: u64,
    pub(super) boots: u32,
    pub(super) seed: u64,
    /// The work on each GPU. Kept, so that it can be filled again without an allocation.
    activities: Vec<Activity>,
    late: Vec<Late>,
    pub(super) work_changed: bool,
    pub(super) overdrawn: bool,
    pub(super) sources: SourceWatch,
    pub(super) ports: Ports,
}

impl std::fmt::Debug for SimNode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SimNode").field("node", &self.file.id).field("seed", &self.seed).finish_non_exhaustive()
    }
}

impl SimNode {
    /// Creates a node as `file` describes it, with the spread of its parts drawn from `seed`, and with `faults`. It starts at rest.
    pub fn new(file: &NodeFile, seed: u64, faults: &[FaultUse]) -> Result<Self, Diagnostics> {
        Self::after_boots(file, seed, faults, 0)
    }

    /// Creates the same node as it is after `boots` restarts.
    pub fn after_boots(file: &NodeFile, seed: u64, faults: &[FaultUse], boots: u32) -> Result<Self, Diagnostics> {
        let build = Build::new(file, seed);
        let faults = FaultRun::place_all(faults, file, &build, seed)?;
        let site = Site::new(file, &build, seed);
        let mut node = Self {
            file: file.clone(),
            gpus: Vec::new(),
            paths: Paths::default(),
            site,
            build,
            loads: Vec::new(),
            watching: faults.iter().any(FaultRun::waits),
            faults,
            words: BTreeMap::new(),
            unstarted: Vec::new(),
            pending: Arrivals::default(),
            now: 0,
            boots,
            seed,
            activities: Vec::new(),
            late: Vec::new(),
            work_changed: true,
            overdrawn: false,
            sources: SourceWatch::default(),
            ports: Ports::new(file.host.nics.count, seed),
        };
        node.assemble();
        node.boot();
        Ok(node)
    }

    /// Lists the defects of the node, each with its component.
    pub fn injected(&self) -> Vec<Injected> {
        FaultRun::injected(&self.faults)
    }

    /// Returns true if what its faults wait for, such as a temperature, never happened.
    pub fn faults_never_held(&self) -> bool {
        FaultRun::never_held(&self.faults)
    }

    /// Creates the GPUs that the driver can start. The driver numbers them without gaps.
    fn assemble(&mut self) {
        let mut parts = self.build.gpus.clone();
        self.dress(&mut parts);
        let kind = &self.build.kind;
        for part in parts {
            let start = self.standing_values(&part);
            if start[G::Present] < 0.5 {
                continue;
            }
            if start[G::Enumerated] < 0.5 {
                let word = |word: Word| part.words.get(&word).cloned().unwrap_or_default();
                let function =
                    PciFunction { address: word(Word::PciAddress), device: word(Word::PciDevice), ports: Vec::new() };
                self.unstarted.push(function);
                continue;
            }
            let index = GpuIndex(self.gpus.len() as u8);
            let around = self.site.around(part.slot);
            self.gpus.push(Gpu::new(part, index, kind, self.seed, around));
        }
        self.activities = vec![Activity::default(); self.gpus.len()];
        self.pending.samples.reserve(self.gpus.len());
    }

    /// Applies standing faults and lets temperatures settle.
    fn boot(&mut self) {
        self.judge_faults(0.0);
        self.refit();
        self.log_start();
        for _ in 0..4 {
            let mut watts = Vec::new();
            for gpu in &mut self.gpus {
                let slot = gpu.part.slot;
                gpu.set_flow(&self.build.kind, self.site.flow(slot));
                gpu.rest(&self.build.kind, self.site.around(slot));
                watts.push((slot, gpu.power));
            }
            let at = self.seconds();
            self.site.rest(&watts, at);
        }
    }

    /// Applies the parameters again after a fault started or ended.
    pub(super) fn refit(&mut self) {
        self.site.refit();
        self.ports.refit(&self.site.values, self.now);
        self.paths = Paths {
            c2c: self.file.c2c.clone(),
            switches: (0..=u8::MAX)
                .map_while(|switch| self.site.values.get(&Component::Switch(switch)))
                .map(|switch| switch[S::SwitchBandwidth])
                .collect(),
            pairs: (self.site.values.iter())
                .filter_map(|(component, values)| match component {
                    Component::Pair(from, to) if values[S::PairSpeed] < 1.0 => {
                        Some(((*from, *to), values[S::PairSpeed]))
                    }
                    _ => None,
                })
                .collect(),
        };
        for gpu in &mut self.gpus {
            gpu.refit(&self.build.kind);
        }
        self.work_changed = true;
        self.tell_sources();
    }

    /// Advances the node to `to`, in steps that end at every whole second and whenever a load has something to do.
    fn advance(&mut self, to: Moment) {
        let to = to.nanos();
        while self.now < to {
            let second = (self.now / SECOND + 1) * SECOND;
            let next = to.min(second).min(self.next_due().unwrap_or(u64::MAX));
            self.step(next);
            self.work();
            for late in self.late.extract_if(.., |late| late.due <= next) {
                self.pending.samples.push(late.sample);
            }
        }
    }

    /// Returns when a load next has something to do. A load that waits for an unresponsive GPU is polled in every step.
    fn next_due(&self) -> Option<u64> {
        let late = self.late.iter().map(|late| late.due);
        self.loads.iter().map(Load::due).chain(late).filter(|due| *due > self.now).min()
    }

    fn step(&mut self, next: u64) {
        let dt = (next - self.now) as f64 / 1e9;
        let at = self.now as f64 / 1e9;
        self.now = next;
        if self.work_changed {
            self.spread_work();
        }
        let kind = &self.build.kind;
        let mut hottest = f64::MIN;
        let mut incident = false;
        self.site.begin(at, dt);
        for gpu in &mut self.gpus {
            let slot = gpu.part.slot;
            gpu.set_flow(kind, self.site.flow(slot));
            let watts = gpu.step(kind, self.site.around(slot), dt, at);
            gpu.errors.links_carry(gpu.activity.nvlink, &gpu.links, dt, &mut gpu.noise);
            self.site.heat(slot, watts);
            hottest = hottest.max(gpu.temperatures[0]);
            incident |= !gpu.errors.incidents.is_empty() || gpu.errors.overheated;
        }
        self.site.end(hottest, dt);
        self.ports.step(next, dt);
        if incident {
            self.handle_incidents();
        }
        if self.site.overdrawn() != self.overdrawn {
            self.overdrawn = !self.overdrawn;
            self.apply_levels();
        }
        if self.watching {
            self.judge_faults(dt);
        }
    }

    /// Adds up the work of all loads on each GPU.
    fn spread_work(&mut self) {
        self.work_changed = false;
        self.activities.fill(Activity::default());
        for load in &self.loads {
            load.exert(&self.gpus, &self.build.kind, &self.paths, &mut self.activities);
        }
        for (gpu, activity) in self.gpus.iter_mut().zip(&self.activities) {
            gpu.activity = *activity;
        }
    }

    fn work(&mut self) {
        let now = self.now;
        if !self.loads.iter().any(|load| load.due() <= now) {
            return;
        }
        let mut loads = std::mem::take(&mut self.loads);
        let mut bench =
            Bench { gpus: &mut self.gpus, kind: &self.build.kind, paths: &self.paths, out: &mut self.pending.loads };
        let mut changed = false;
        loads.retain_mut(|load| {
            if load.due() > now {
                return true;
            }
            let before = load.place();
            let goes_on = load.work(now, &mut bench);
            changed |= !goes_on || load.place() != before;
            goes_on
        });
        self.loads = loads;
        self.work_changed |= changed;
    }

    /// Calls `tell` for every load, with the GPUs and the site that loads work on.
    pub(super) fn tell_loads(&mut self, mut tell: impl FnMut(&mut Load, u64, &mut Bench<'_>)) {
        let mut loads = std::mem::take(&mut self.loads);
        let mut bench =
            Bench { gpus: &mut self.gpus, kind: &self.build.kind, paths: &self.paths, out: &mut self.pending.loads };
        for load in &mut loads {
            tell(load, self.now, &mut bench);
        }
        self.loads = loads;
        self.work_changed = true;
    }

    pub(super) const fn kind(&self) -> &Kind {
        &self.build.kind
    }

    fn inventory(&self) -> Inventory {
        let mut inventory = Shelf {
            file: &self.file,
            build: &self.build,
            gpus: &self.gpus,
            site: &self.site,
            ports: &self.ports,
            boot_id: self.boot_id(),
            unstarted: &self.unstarted,
            words: &self.words,
        }
        .inventory();
        if !self.follows(Source::PciBus) {
            inventory.pci = Reading::Unsupported;
        }
        if !self.follows(Source::Infiniband) {
            inventory.host.nics = Reading::Unsupported;
        }
        inventory
    }
}

impl Dut for SimNode {
    fn read_inventory(&mut self, now: Moment) {
        self.advance(now);
        let inventory = Box::new(self.inventory());
        self.pending.inventories.push(Ok(inventory));
    }

    fn sample(&mut self, now: Moment) {
        self.advance(now);
        for gpu in &mut self.gpus {
            let slot = gpu.part.slot;
            let around = Surroundings { inlet: self.site.inlet_reading(), fan: self.site.fan_reading(slot) };
            // A new call waits until the previous one has returned.
            if self.late.iter().any(|late| late.sample.gpu == gpu.index) {
                continue;
            }
            let delay = (gpu.values[G::Delay] * 1e9) as u64;
            if delay == 0 {
                self.pending.samples.push(gpu.sample(&self.build.kind, &around, now));
                continue;
            }
            // Readers stamp a reading when it arrives, and give up at their deadline.
            let due = self.now + delay.min(CALL_DEADLINE);
            let mut sample = gpu.sample(&self.build.kind, &around, Moment::from_nanos(due));
            if delay >= CALL_DEADLINE {
                sample.fail_all(ReadingFailure::Timeout);
            }
            self.late.push(Late { due, sample });
        }
    }

    fn ask(&mut self, now: Moment, probe: Probe) {
        self.advance(now);
        let answer = match probe {
            Probe::Inventory => Answer::Inventory(Ok(Box::new(self.inventory()))),
            Probe::Counters => Answer::Counters(Ok(self.gpus.iter().map(counters).collect())),
        };
        self.pending.answers.push((probe, answer));
    }

    /// A simulated node ends where it is started anew: whoever goes on makes it [`SimNode::after_boots`].
    fn restart(&mut self, _: Moment, _: Restart) -> Result<Restarting, RestartRefusal> {
        Ok(Restarting::Gone)
    }

    fn start_load(&mut self, now: Moment, order: &LoadOrder) {
        self.advance(now);
        self.loads.push(Load::new(order, now, &self.gpus, self.seed));
        self.work_changed = true;
    }

    fn stop_load(&mut self, now: Moment, load: LoadId, how: StopHow) {
        self.advance(now);
        for running in self.loads.iter_mut().filter(|running| running.id() == load) {
            running.stop(now, how, &self.gpus);
        }
    }

    fn collect(&mut self, now: Moment, arrivals: &mut Arrivals) {
        self.advance(now);
        if arrivals.samples.is_empty() {
            // Most of what arrives are samples: they are handed over and not copied.
            std::mem::swap(&mut arrivals.samples, &mut self.pending.samples);
        }
        arrivals.samples.append(&mut self.pending.samples);
        arrivals.inventories.append(&mut self.pending.inventories);
        arrivals.loads.append(&mut self.pending.loads);
        arrivals.answers.append(&mut self.pending.answers);
        arrivals.kernel.append(&mut self.pending.kernel);
        arrivals.sources.append(&mut self.pending.sources);
    }

    fn next_arrival(&self) -> Option<Moment> {
        if !self.pending.is_empty() {
            return Some(Moment::from_nanos(self.now));
        }
        self.next_due().map(Moment::from_nanos)
    }

    fn on_arrival(&mut self, _wake: Box<dyn Fn() + Send + Sync>) {
        // Nothing arrives unasked: simulated time advances only when the engine asks.
    }
}
