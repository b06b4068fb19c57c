//! The node behind the library: started at the first initialisation, its clock tied to the world's.

use std::collections::BTreeMap;
use std::env;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use kiln_diagnose::{KernelLine, read_kernel_line};
use kiln_model::{
    Answer, Gpu, GpuCounters, GpuIndex, Inventory, Moment, Probe, Reading, ReadingFailure, Sample, Sensor,
};
use kiln_model::{Arrivals, Dut as _};
use kiln_node::sim::{FaultUse, NodeFile, SimNode};
use nvml_wrapper_sys::bindings as sys;

use crate::nvml::answer::{Code, FUNCTION_NOT_FOUND, INVALID_ARGUMENT, LOST, UNINITIALIZED, UNKNOWN};
use crate::nvml::host::HostTree;
use crate::nvml::loads::Loads;

/// How old readings may be: about as often as a real driver renews them.
const FRESH: Duration = Duration::from_millis(20);

/// The node and what was read of it last.
pub(crate) struct Node {
    sim: SimNode,
    began: Instant,
    speed: f64,
    read: Option<Instant>,
    arrivals: Arrivals,
    samples: BTreeMap<GpuIndex, Sample>,
    pub(crate) inventory: Inventory,
    counters: BTreeMap<GpuIndex, GpuCounters>,
    loads: Loads,
    host: Option<HostTree>,
    /// Every Xid so far.
    xids: Vec<(GpuIndex, u64)>,
    kernel_log: Option<std::fs::File>,
    logged: u64,
}

static NODE: Mutex<Option<Node>> = Mutex::new(None);

/// One GPU as it is now.
pub(crate) struct Seen<'a> {
    pub(crate) index: GpuIndex,
    pub(crate) sample: &'a Sample,
    pub(crate) gpu: &'a Gpu,
    pub(crate) counters: &'a GpuCounters,
    pub(crate) inventory: &'a Inventory,
}

/// Starts the node, once.
pub(crate) fn start() -> Result<(), Code> {
    if let Some(code) = setting("KILN_FAKE_INIT").and_then(|code| code.parse().ok()) {
        return Err(code);
    }
    let mut node = NODE.lock().unwrap_or_else(PoisonError::into_inner);
    if node.is_none() {
        *node = Some(Node::from_environment().map_err(|_| UNKNOWN)?);
    }
    Ok(())
}

/// A GPU that is counted but gone when it is opened.
pub(crate) fn vanished() -> Option<u32> {
    setting("KILN_FAKE_VANISH")?.parse().ok()
}

/// From now on one GPU less is counted.
pub(crate) fn vanish() {
    VANISHED.store(true, Ordering::Relaxed);
}

static VANISHED: AtomicBool = AtomicBool::new(false);

/// How many GPUs are shown.
pub(crate) fn count() -> Result<u32, Code> {
    let most = setting("KILN_FAKE_GPUS").and_then(|most| most.parse().ok()).unwrap_or(u32::MAX);
    let gone = u32::from(VANISHED.load(Ordering::Relaxed));
    ask(|node| Ok((node.inventory.gpus.len() as u32).min(most) - gone))
}

pub(crate) fn setting(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// Asks the node as it is now.
pub(crate) fn ask<T>(question: impl FnOnce(&mut Node) -> Result<T, Code>) -> Result<T, Code> {
    let mut node = NODE.lock().unwrap_or_else(PoisonError::into_inner);
    let node = node.as_mut().ok_or(UNINITIALIZED)?;
    node.refresh();
    question(node)
}

/// Asks for what has been logged up to now, without reading the GPUs.
pub(crate) fn listen<T>(question: impl FnOnce(&[(GpuIndex, u64)]) -> T) -> Result<T, Code> {
    let mut node = NODE.lock().unwrap_or_else(PoisonError::into_inner);
    let node = node.as_mut().ok_or(UNINITIALIZED)?;
    let now = node.now();
    node.sim.collect(now, &mut node.arrivals);
    node.log();
    Ok(question(&node.xids))
}

/// Asks one GPU. A GPU that hangs holds its caller, and only that one.
///
/// `call` is the name of the function that asks: an older driver has not got every one.
pub(crate) fn of<T>(
    call: &str,
    device: sys::nvmlDevice_t,
    question: impl FnOnce(&Seen<'_>) -> Result<T, Code>,
) -> Result<T, Code> {
    let index = index_of(device)?;
    crate::nvml::refusals::of(index, call)?;
    if setting("KILN_FAKE_DRIVER").is_some_and(|version| !crate::nvml::release::offers_call(&version, call)) {
        return Err(FUNCTION_NOT_FOUND);
    }
    loop {
        let hangs = ask(|node| Ok(node.failure(index) == Some(ReadingFailure::Timeout)))?;
        if !hangs {
            break;
        }
        thread::park_timeout(FRESH);
    }
    ask(|node| {
        if node.failure(index) == Some(ReadingFailure::Lost) {
            return Err(LOST);
        }
        let seen = Seen {
            index,
            sample: node.samples.get(&index).ok_or(INVALID_ARGUMENT)?,
            gpu: node.inventory.gpu(index).ok_or(INVALID_ARGUMENT)?,
            counters: node.counters.get(&index).ok_or(INVALID_ARGUMENT)?,
            inventory: &node.inventory,
        };
        question(&seen)
    })
}

/// Handles are places counted from one: never null, and nothing to free.
pub(crate) fn handle(index: GpuIndex) -> sys::nvmlDevice_t {
    std::ptr::without_provenance_mut(usize::from(index.0) + 1)
}

pub(crate) fn index_of(device: sys::nvmlDevice_t) -> Result<GpuIndex, Code> {
    u8::try_from(device.addr().wrapping_sub(1)).map(GpuIndex).map_err(|_| INVALID_ARGUMENT)
}

/// Ampere has absolute thresholds in place of T.limit.
fn is_ampere() -> bool {
    setting("KILN_FAKE_PART").is_some_and(|part| part == "ampere")
}

fn without_tlimit(gpu: &mut Gpu) {
    let thermal = &mut gpu.thermal;
    (thermal.shutdown_margin, thermal.slowdown_margin) = (Reading::Unsupported, Reading::Unsupported);
    thermal.operating_margin = Reading::Unsupported;
    // As an A100 shows it.
    thermal.slowdown_celsius = Reading::Value(89.0);
}

#[expect(clippy::disallowed_methods, reason = "a library for programs that live in real time")]
impl Node {
    fn from_environment() -> Result<Self, String> {
        let name = setting("KILN_FAKE_NODE").unwrap_or_else(|| "hgx-h200-8".to_owned());
        let file = NodeFile::find(&name).map_err(|error| error.to_string())?;
        let seed = setting("KILN_FAKE_SEED").and_then(|seed| seed.parse().ok()).unwrap_or(1);
        let mut faults = Vec::new();
        for fault in setting("KILN_FAKE_FAULTS").iter().flat_map(|list| list.split(',')) {
            faults.push(FaultUse::parse(fault).map_err(|error| error.to_string())?);
        }
        let sim = SimNode::new(&file, seed, &faults).map_err(|error| error.to_string())?;
        let speed = setting("KILN_FAKE_SPEED").and_then(|speed| speed.parse().ok()).unwrap_or(1.0);
        let host = HostTree::from_environment();
        let log = setting("KILN_FAKE_KMSG").map(PathBuf::from).or_else(|| host.as_ref().map(HostTree::kernel_log));
        let mut node = Self {
            sim,
            began: Instant::now(),
            speed,
            read: None,
            arrivals: Arrivals::default(),
            samples: BTreeMap::new(),
            inventory: Inventory::default(),
            counters: BTreeMap::new(),
            loads: Loads::from_environment(),
            host,
            xids: Vec::new(),
            kernel_log: None,
            logged: 0,
        };
        node.refresh();
        // The CUDA drivers may be asked before anything else is asked here, and must know of the GPUs by then.
        let now = node.now();
        node.loads.follow(&mut node.sim, &node.inventory, now);
        if let Some(host) = &node.host {
            host.build(&node.inventory);
        }
        node.kernel_log = log.and_then(|path| OpenOptions::new().append(true).open(path).ok());
        // A log of a kernel begins with its banner.
        if let Some(file) = node.kernel_log.as_mut().filter(|file| file.metadata().is_ok_and(|about| about.len() == 0))
        {
            let _ = writeln!(file, "5,0,0,-;Linux version 6.8.0");
            node.logged = 1;
        }
        // What was logged at boot is no event for those who come later.
        node.xids.clear();
        Ok(node)
    }

    pub(crate) fn now(&self) -> Moment {
        Moment::ZERO + self.began.elapsed().mul_f64(self.speed)
    }

    fn failure(&self, index: GpuIndex) -> Option<ReadingFailure> {
        match self.samples.get(&index).map(|sample| sample[Sensor::TempGpu]) {
            Some(Reading::Failed(failure)) => Some(failure),
            _ => None,
        }
    }

    fn refresh(&mut self) {
        if self.read.is_some_and(|read| read.elapsed() < FRESH) {
            return;
        }
        let now = self.now();
        self.loads.follow(&mut self.sim, &self.inventory, now);
        self.sim.sample(now);
        self.sim.read_inventory(now);
        self.sim.ask(now, Probe::Counters);
        self.sim.collect(now, &mut self.arrivals);
        self.samples.extend(self.arrivals.samples.drain(..).map(|mut sample| {
            if is_ampere() && sample.get(Sensor::TempMargin).is_some() {
                sample.set(Sensor::TempMargin, Reading::Unsupported);
            }
            (sample.gpu, sample)
        }));
        if let Some(Ok(inventory)) = self.arrivals.inventories.drain(..).next_back() {
            self.inventory = *inventory;
            if let Some(version) = setting("KILN_FAKE_DRIVER") {
                self.inventory.driver = Reading::Value(version);
            }
            if is_ampere() {
                self.inventory.gpus.iter_mut().for_each(without_tlimit);
            }
        }
        for (_, answer) in self.arrivals.answers.drain(..) {
            if let Answer::Counters(Ok(counters)) = answer {
                self.counters.extend(counters.into_iter().map(|counters| (counters.gpu, counters)));
            }
        }
        self.loads.hear(self.arrivals.loads.drain(..));
        if let Some(host) = &mut self.host {
            host.renew(self.samples.values().next());
        }
        self.read = Some(Instant::now());
        self.log();
    }

    /// Passes the kernel log on: to events, and to the file that stands for `/dev/kmsg`.
    fn log(&mut self) {
        for record in std::mem::take(&mut self.arrivals.kernel) {
            if let Some(KernelLine::Xid(xid)) = read_kernel_line(&record.text)
                && let Some(gpu) = self.gpu_at(&xid.pci.to_string())
            {
                self.xids.push((gpu, xid.code.into()));
            }
            if let Some(file) = &mut self.kernel_log {
                // A log that cannot be written loses what it would have said, as a full ring does.
                let _ = writeln!(file, "4,{},{},-;{}", self.logged, record.at.nanos() / 1000, record.text);
                self.logged += 1;
            }
        }
    }

    fn gpu_at(&self, address: &str) -> Option<GpuIndex> {
        let sits =
            |gpu: &&Gpu| gpu.identity.pci_address.value().is_some_and(|other| other.eq_ignore_ascii_case(address));
        self.inventory.gpus.iter().find(sits).map(|gpu| gpu.index)
    }
}
