//! The machine's own station: its GPUs through the driver's management library, and the workers that load them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;

use super::args::HardwareArgs;
use super::command_error::{CommandError, Sorted as _};
use super::restart::RestartCommands;
use crate::engine::{Arrivals, Dut};
use crate::event::{NodeSource, Surroundings};
use crate::load::cuda::driver;
use crate::load::supervisor::{Supervisor, WorkerCommand};
use crate::load::worker::{Injection, Variant};
use crate::model::{
    Gpu, GpuIndex, Inventory, LoadId, LoadOrder, Moment, Probe, Restart, RestartRefusal, Restarting, Span, StopHow,
};
use crate::node::nvml::{Deadlines, NvmlNode, NvmlOptions};

/// How a stand-in for the driver's library marks the version it gives.
const STAND_IN: &str = "-SIM";

/// Another deadline of a tick's calls in milliseconds, to show in little time that calls which hang are found.
const DEADLINE_VARIABLE: &str = "KILN_NVML_DEADLINE_MS";

/// Names the management library, and the place of the host's files.
const NVML_VARIABLE: &str = "KILN_NVML_LIB";
const ROOT_VARIABLE: &str = "KILN_HOST_ROOT";
/// Variables that make a library or the host's files come from elsewhere; the last three are the loader's (ld.so(8)).
const REDIRECTING: [&str; 6] =
    [NVML_VARIABLE, driver::LIBRARY_VARIABLE, ROOT_VARIABLE, "LD_LIBRARY_PATH", "LD_PRELOAD", "LD_AUDIT"];

/// The file that a library was loaded from: the one of that name that this process has mapped.
fn loaded_from(library: &Path) -> PathBuf {
    // A name with a folder in it is a file; another is looked for by the loader.
    if library.components().count() > 1 {
        return library.canonicalize().unwrap_or_else(|_| library.to_path_buf());
    }
    let wanted = library.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let stem = wanted.split(".so").next().unwrap_or_default();
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let mapped = maps.lines().filter_map(|line| line.find('/').map(|at| Path::new(&line[at..])));
    let found = mapped.filter(|path| {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        !stem.is_empty() && name.strip_prefix(stem).is_some_and(|rest| rest.starts_with(".so"))
    });
    found.map(Path::to_path_buf).next().unwrap_or_else(|| library.to_path_buf())
}

fn options_root(args: &HardwareArgs) -> PathBuf {
    options(args).root
}

/// The machine's GPUs and what loads them, as one station.
#[derive(Debug)]
pub(super) struct Hardware {
    node: NvmlNode,
    loads: Supervisor,
    restarts: RestartCommands,
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
    pub(super) fn open(args: &HardwareArgs, pace: f64) -> Result<Self, CommandError> {
        let node = NvmlNode::open_with(&hurried(options(args), pace)).map_err(CommandError::NoDriver)?;
        let mut command = WorkerCommand::own().context("this program's own file cannot be found").no_claim()?;
        // Whoever locks a clock for a worker asks the same library.
        command.env.extend(args.nvml_lib.iter().map(|path| (NVML_VARIABLE.into(), path.clone().into())));
        Ok(Self { node, loads: Supervisor::new(command), restarts: (*args.restarts).clone(), pace })
    }

    /// The world's time at a moment of the run: workers live in the world's.
    fn world(&self, now: Moment) -> Moment {
        Moment::ZERO + now.since(Moment::ZERO).div_f64(self.pace)
    }

    fn run(&self, world: Moment) -> Moment {
        Moment::ZERO + world.since(Moment::ZERO).mul_f64(self.pace)
    }

    /// Has loads commit a fault, to show that it is found.
    pub(super) const fn inject(&mut self, injection: Option<Injection>) {
        self.loads.inject(injection);
    }

    /// Has loads do their orders otherwise than in a run.
    pub(super) const fn vary(&mut self, variant: Variant) {
        self.loads.vary(variant);
    }

    pub(super) fn source(&self) -> NodeSource {
        let facts = self.node.library();
        let marked = facts.driver.value().is_some_and(|driver| driver.ends_with(STAND_IN));
        if marked { NodeSource::StandIn { library: facts.library.display().to_string() } } else { NodeSource::Hardware }
    }

    /// Where the driver's libraries and the host's files came from.
    pub(super) fn surroundings(&self, args: &HardwareArgs) -> Surroundings {
        let mut changed = BTreeMap::new();
        for name in REDIRECTING {
            let set = std::env::var_os(name).filter(|value| !value.is_empty());
            changed.extend(set.map(|value| (name.to_owned(), value.to_string_lossy().into_owned())));
        }
        let options = [("--nvml-lib", NVML_VARIABLE, &args.nvml_lib), ("--host-root", ROOT_VARIABLE, &args.host_root)];
        for (option, variable, given) in options {
            // Of one that came from its variable, the variable is told.
            let given = given.as_ref().map(|path| path.display().to_string());
            if let Some(path) = given.filter(|path| changed.get(variable) != Some(path)) {
                changed.insert(option.to_owned(), path);
            }
        }
        let library = &self.node.library().library;
        Surroundings {
            nvml: loaded_from(library).display().to_string(),
            cuda: driver::library_name(),
            host_root: options_root(args).display().to_string(),
            changed,
        }
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

impl Dut for Hardware {
    fn read_inventory(&mut self, now: Moment) {
        self.node.read_inventory(now);
    }

    fn sample(&mut self, now: Moment) {
        self.node.sample(now);
    }

    fn ask(&mut self, now: Moment, probe: Probe) {
        self.node.ask(now, probe);
    }

    fn restart(&mut self, _: Moment, how: Restart) -> Result<Restarting, RestartRefusal> {
        self.restarts.give(how)
    }

    fn start_load(&mut self, now: Moment, order: &LoadOrder) {
        let span = order.span.map(|span| span.div_f64(self.pace));
        self.loads.start_load(self.world(now), &LoadOrder { span, ..order.clone() });
    }

    fn stop_load(&mut self, now: Moment, load: LoadId, how: StopHow) {
        self.loads.stop_load(self.world(now), load, how);
    }

    fn collect(&mut self, now: Moment, arrivals: &mut Arrivals) {
        let before = arrivals.inventories.len();
        self.node.collect(now, arrivals);
        for inventory in arrivals.inventories[before..].iter().flatten() {
            self.learn(inventory);
        }
        let before = arrivals.loads.len();
        self.loads.collect(self.world(now), arrivals);
        for report in &mut arrivals.loads[before..] {
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
