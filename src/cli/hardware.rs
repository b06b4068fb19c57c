//! The machine's own station: its GPUs through the driver's management library, and the workers that load them.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};

use super::args::HardwareArgs;
use super::trouble::{Sorted as _, Trouble};
use crate::engine::{Inbox, Station};
use crate::event::NodeSource;
use crate::load::supervisor::{Supervisor, WorkerCommand};
use crate::load::worker::Injection;
use crate::model::{Gpu, GpuIndex, Inventory, LoadId, LoadOrder, Moment, Probe, Span, StopHow};
use crate::node::nvml::{Deadlines, NvmlNode, NvmlOpenError, NvmlOptions};

/// How a stand-in for the driver's library marks the version it gives.
const STAND_IN: &str = "-SIM";

/// Another deadline of a tick's calls in milliseconds, to show in little time that calls which hang are found.
const DEADLINE_VARIABLE: &str = "KILN_NVML_DEADLINE_MS";

/// What people without a driver most likely want.
const WITHOUT_GPUS: &str =
    "to run without GPUs, simulate a node: `--sim hgx-h200-8`; `kiln doctor` looks at this machine";

/// The machine's GPUs and what loads them, as one station.
#[derive(Debug)]
pub(super) struct Hardware {
    node: NvmlNode,
    loads: Supervisor,
    /// Seconds of the run in one of the world: 1, unless a stand-in is hurried.
    pace: f64,
}

/// How the library and the machine around it are reached.
pub(super) fn options(args: &HardwareArgs) -> NvmlOptions {
    let mut options = NvmlOptions { lib: args.nvml_lib.clone(), ..NvmlOptions::default() };
    if let Some(root) = &args.host_root {
        options.root.clone_from(root);
    }
    if let Some(deadline) = std::env::var(DEADLINE_VARIABLE).ok().and_then(|text| text.parse().ok()) {
        options.deadlines.tick = Span::from_millis(deadline);
    }
    options
}

/// Deadlines are the world's; the node counts in the run's time.
fn hurried(options: NvmlOptions, pace: f64) -> NvmlOptions {
    let Deadlines { tick, inventory, overruns } = options.deadlines;
    let deadlines = Deadlines { tick: tick.mul_f64(pace), inventory: inventory.mul_f64(pace), overruns };
    NvmlOptions { deadlines, ..options }
}

impl Hardware {
    /// Opens the machine's GPUs. A driver that cannot be had says nothing of the unit.
    pub(super) fn open(args: &HardwareArgs, pace: f64) -> Result<Self, Trouble> {
        let node = NvmlNode::open_with(&hurried(options(args), pace)).map_err(|error| {
            let missing = matches!(error, NvmlOpenError::LibraryMissing { .. });
            let text = if missing { format!("{error}\n{WITHOUT_GPUS}") } else { error.to_string() };
            Trouble::NoClaim(anyhow!(text))
        })?;
        let command = WorkerCommand::own().context("this program's own file cannot be found").no_claim()?;
        Ok(Self { node, loads: Supervisor::new(command), pace })
    }

    /// The world's time at a moment of the run: workers live in the world's.
    fn world(&self, now: Moment) -> Moment {
        Moment::ZERO + now.since(Moment::ZERO).div_f64(self.pace)
    }

    fn run(&self, world: Moment) -> Moment {
        Moment::ZERO + world.since(Moment::ZERO).mul_f64(self.pace)
    }

    /// Has loads commit a fault, to show that it is found.
    pub(super) const fn inject(&mut self, injection: Injection) {
        self.loads.inject(injection);
    }

    pub(super) fn source(&self) -> NodeSource {
        let facts = self.node.library();
        let marked = facts.driver.value().is_some_and(|driver| driver.ends_with(STAND_IN));
        if marked { NodeSource::StandIn { library: facts.library.display().to_string() } } else { NodeSource::Hardware }
    }

    /// Workers find GPUs by where they sit, so that one cannot be taken for another.
    fn learn(&mut self, inventory: &Inventory) {
        let seat = |gpu: &Gpu| Some((gpu.index, gpu.identity.pci_address.value()?.clone()));
        let devices: BTreeMap<GpuIndex, String> = inventory.gpus.iter().filter_map(seat).collect();
        if !devices.is_empty() {
            self.loads.know_devices(devices);
        }
    }
}

impl Station for Hardware {
    fn read_inventory(&mut self, now: Moment) {
        self.node.read_inventory(now);
    }

    fn sample(&mut self, now: Moment) {
        self.node.sample(now);
    }

    fn ask(&mut self, now: Moment, probe: Probe) {
        self.node.ask(now, probe);
    }

    fn start_load(&mut self, now: Moment, order: &LoadOrder) {
        let span = order.span.map(|span| span.div_f64(self.pace));
        self.loads.start_load(self.world(now), &LoadOrder { span, ..order.clone() });
    }

    fn stop_load(&mut self, now: Moment, load: LoadId, how: StopHow) {
        self.loads.stop_load(self.world(now), load, how);
    }

    fn collect(&mut self, now: Moment, inbox: &mut Inbox) {
        let before = inbox.inventories.len();
        self.node.collect(now, inbox);
        for inventory in inbox.inventories[before..].iter().flatten() {
            self.learn(inventory);
        }
        let before = inbox.loads.len();
        self.loads.collect(self.world(now), inbox);
        for report in &mut inbox.loads[before..] {
            report.at = now;
        }
    }

    fn next_arrival(&self) -> Option<Moment> {
        self.node.next_arrival().into_iter().chain(self.loads.next_arrival().map(|due| self.run(due))).min()
    }

    fn on_arrival(&mut self, wake: Box<dyn Fn() + Send + Sync>) {
        let wake: Arc<dyn Fn() + Send + Sync> = Arc::from(wake);
        let also = Arc::clone(&wake);
        self.node.on_arrival(Box::new(move || wake()));
        self.loads.on_arrival(Box::new(move || also()));
    }
}
