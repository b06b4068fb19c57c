//! The node half of a station, for real GPUs: questions go to threads, answers come back among the arrivals.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use super::clock::RunClock;
use super::follow::{Told, follow_log};
use super::gather::{GpuFacts, seat_by_bus, together};
use super::library::{LibraryFacts, open};
use super::open_error::NvmlOpenError;
use super::outcome::or;
use super::reader_threads::{Deadlines, Done, Job, ReaderThreads};
use super::stalls::Stalls;
use crate::host::{HostFacts, SourceWatch, host_sources, inlet_celsius, read_host};
use kiln_model::Arrivals;
use kiln_model::{
    Answer, GpuCounters, GpuIdentity, GpuIndex, Inventory, Lacking, Moment, Probe, Reading, ReadingFailure, Sensor,
    Source, SourceTrouble,
};

/// How a node is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NvmlOptions {
    /// The library; the driver's own by default.
    pub lib: Option<PathBuf>,
    /// Where `/proc`, `/sys` and `/dev/kmsg` are looked for.
    pub root: PathBuf,
    pub deadlines: Deadlines,
}

impl Default for NvmlOptions {
    fn default() -> Self {
        Self { lib: None, root: PathBuf::from("/"), deadlines: Deadlines::default() }
    }
}

/// The machine's own GPUs and what is around them.
pub struct NvmlNode {
    facts: LibraryFacts,
    clock: Arc<RunClock>,
    threads: ReaderThreads,
    stalls: Stalls,
    waker: Waker,
    host: HostThread,
    told: Receiver<Told>,
    sources: SourceWatch,
    gatherings: Vec<Gathering>,
    questions: u64,
    deadlines: Deadlines,
    /// Where each GPU sits, from the last time it said so: a GPU that is gone must still be found on the bus.
    seats: Vec<(GpuIndex, GpuIdentity)>,
}

impl fmt::Debug for NvmlNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NvmlNode").field("facts", &self.facts).field("threads", &self.threads).finish_non_exhaustive()
    }
}

type Wake = Box<dyn Fn() + Send + Sync>;

/// Calls whoever drives, once it has said how.
#[derive(Clone, Default)]
struct Waker(Arc<Mutex<Option<Wake>>>);

impl Waker {
    fn wake(&self) {
        if let Some(wake) = self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            wake();
        }
    }
}

/// Reads the host on a thread of its own: a file of a broken device can block as a call of the library can.
struct HostThread {
    jobs: Sender<HostJob>,
    replies: Receiver<HostReply>,
    inlet: Reading<f64>,
}

enum HostJob {
    Read(u64),
    Inlet,
}

enum HostReply {
    Read(u64, Box<HostFacts>),
    Inlet(Reading<f64>),
    Sources(BTreeMap<Source, Result<(), SourceTrouble>>),
}

/// Answers that belong to one question.
struct Gathering {
    number: u64,
    purpose: Purpose,
    until: Moment,
    host: Option<Box<HostFacts>>,
    gpus: Vec<GpuFacts>,
    counters: Vec<GpuCounters>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Read,
    Inventory,
    Counters,
}

impl NvmlNode {
    /// Opens `lib`, or the driver's own library, with the usual deadlines.
    pub fn open(lib: Option<&Path>) -> Result<Self, NvmlOpenError> {
        Self::open_with(&NvmlOptions { lib: lib.map(Path::to_path_buf), ..NvmlOptions::default() })
    }

    pub fn open_with(options: &NvmlOptions) -> Result<Self, NvmlOpenError> {
        let clock = Arc::new(RunClock::new());
        let waker = Waker::default();
        let opened = open(options.lib.as_deref(), &clock)?;
        let no_thread = |error: std::io::Error| NvmlOpenError::InitRefused {
            library: opened.facts.library.display().to_string(),
            code: 0,
            text: format!("no thread for a GPU: {error}"),
        };
        let arrived = {
            let waker = waker.clone();
            move || waker.wake()
        };
        let threads = ReaderThreads::start(opened.readers, options.deadlines, arrived.clone()).map_err(no_thread)?;
        let host = HostThread::start(options.root.clone(), arrived.clone()).map_err(no_thread)?;
        let (teller, told) = channel();
        let stalls = Stalls::watch().map_err(no_thread)?;
        let handles = opened.handles.into_iter().map(|(_, raw)| raw).collect();
        super::events::listen(handles, &clock, teller.clone(), arrived.clone());
        follow_log(&options.root, &clock, teller, arrived);
        Ok(Self {
            facts: opened.facts,
            clock,
            threads,
            stalls,
            waker,
            host,
            told,
            sources: SourceWatch::default(),
            gatherings: Vec::new(),
            questions: 0,
            deadlines: options.deadlines,
            seats: Vec::new(),
        })
    }

    /// What the library said of the driver when it was opened.
    pub fn library(&self) -> &LibraryFacts {
        &self.facts
    }

    pub fn read_inventory(&mut self, now: Moment) {
        self.gather(now, Purpose::Read);
    }

    pub fn sample(&mut self, now: Moment) {
        self.clock.set(now);
        // Should the host's thread be gone, the inlet stays as it was read last.
        let _ = self.host.jobs.send(HostJob::Inlet);
        self.threads.has_stalled(self.stalls.missed());
        self.threads.ask(now, Job::Tick);
    }

    pub fn ask(&mut self, now: Moment, probe: Probe) {
        self.gather(
            now,
            match probe {
                Probe::Inventory => Purpose::Inventory,
                Probe::Counters => Purpose::Counters,
            },
        );
    }

    fn gather(&mut self, now: Moment, purpose: Purpose) {
        self.clock.set(now);
        self.questions += 1;
        let number = self.questions;
        self.threads.has_stalled(self.stalls.missed());
        if purpose == Purpose::Counters {
            self.threads.ask(now, Job::Counters(number));
        } else {
            self.threads.ask(now, Job::Inventory(number));
        }
        // Counters too: the kernel's stand in for those that the driver does not offer.
        let _ = self.host.jobs.send(HostJob::Read(number));
        let until = now + self.deadlines.inventory;
        self.gatherings.push(Gathering { number, purpose, until, host: None, gpus: Vec::new(), counters: Vec::new() });
    }

    pub fn collect(&mut self, now: Moment, arrivals: &mut Arrivals) {
        self.clock.set(now);
        while let Ok(reply) = self.host.replies.try_recv() {
            match reply {
                HostReply::Inlet(inlet) => self.host.inlet = inlet,
                HostReply::Sources(states) => arrivals.sources.extend(self.sources.changes(now, &states)),
                HostReply::Read(number, facts) => {
                    if let Some(gathering) = self.gatherings.iter_mut().find(|gathering| gathering.number == number) {
                        gathering.host = Some(facts);
                    }
                }
            }
        }
        self.threads.has_stalled(self.stalls.missed());
        for (_, done) in self.threads.collect(now) {
            match done {
                Done::Tick(mut sample) => {
                    if !sample.is_lost() {
                        sample.set(Sensor::TempInlet, self.host.inlet);
                    }
                    arrivals.samples.push(sample);
                }
                Done::Inventory(number, facts) => {
                    let facts = self.seated(*facts);
                    if let Some(gathering) = self.gatherings.iter_mut().find(|gathering| gathering.number == number) {
                        gathering.gpus.push(facts);
                    }
                }
                Done::Counters(number, counters) => {
                    if let Some(gathering) = self.gatherings.iter_mut().find(|gathering| gathering.number == number) {
                        gathering.counters.push(*counters);
                    }
                }
            }
        }
        for told in self.told.try_iter() {
            match told {
                Told::Record(record) => arrivals.kernel.push(record),
                Told::Source(report) => arrivals.sources.push(report),
            }
        }
        self.hand_over(now, arrivals);
    }

    /// When a deadline passes that nobody would be woken for.
    pub fn next_arrival(&self) -> Option<Moment> {
        let host = self.gatherings.iter().filter(|gathering| gathering.host.is_none()).map(|gathering| gathering.until);
        self.threads.next_deadline().into_iter().chain(host).min()
    }

    pub fn on_arrival(&mut self, wake: Wake) {
        *self.waker.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(wake);
    }

    /// Remembers where a GPU sits, or puts that in where it no longer says so.
    fn seated(&mut self, mut facts: GpuFacts) -> GpuFacts {
        let identity = &mut facts.gpu.identity;
        let seat = self.seats.iter_mut().find(|(index, _)| *index == facts.gpu.index);
        match (identity.pci_address.value(), seat) {
            (Some(_), Some((_, seat))) => *seat = identity.clone(),
            (Some(_), None) => self.seats.push((facts.gpu.index, identity.clone())),
            (None, Some((_, seat))) => {
                identity.pci_address = seat.pci_address.clone();
                identity.pci_device = seat.pci_device.clone();
                identity.pci_subsystem = seat.pci_subsystem.clone();
            }
            (None, None) => {}
        }
        facts
    }

    /// The kernel's counts of PCIe errors where the driver offers none.
    fn count_by_kernel(&self, counters: &mut GpuCounters, host: &HostFacts) {
        let seat = self.seats.iter().find(|(gpu, _)| *gpu == counters.gpu);
        let Some((correctable, fatal)) = errors_of(seat.and_then(|(_, seat)| seat.pci_address.value()), host) else {
            return;
        };
        counters.pcie_correctable = or(counters.pcie_correctable, || correctable);
        counters.pcie_fatal = or(counters.pcie_fatal, || fatal);
    }

    /// Passes on every question to which all answers are in.
    fn hand_over(&mut self, now: Moment, arrivals: &mut Arrivals) {
        let wanted = self.threads.gpus().count();
        let (done, open) = std::mem::take(&mut self.gatherings)
            .into_iter()
            .partition(|gathering: &Gathering| gathering.is_complete(wanted, now));
        self.gatherings = open;
        for gathering in done {
            match gathering.purpose {
                Purpose::Counters => {
                    let mut counters = gathering.counters;
                    counters.sort_by_key(|counters| counters.gpu);
                    if let Some(host) = &gathering.host {
                        for counters in &mut counters {
                            self.count_by_kernel(counters, host);
                        }
                    }
                    arrivals.answers.push((Probe::Counters, Answer::Counters(Ok(counters))));
                }
                Purpose::Inventory => {
                    let inventory = Box::new(self.inventory(gathering));
                    arrivals.answers.push((Probe::Inventory, Answer::Inventory(Ok(inventory))));
                }
                Purpose::Read => arrivals.inventories.push(Ok(Box::new(self.inventory(gathering)))),
            }
        }
    }

    fn inventory(&self, gathering: Gathering) -> Inventory {
        let host = gathering.host.unwrap_or_else(|| Box::new(HostFacts::failed(ReadingFailure::Timeout)));
        let mut gpus = together(gathering.gpus);
        seat_by_bus(&mut gpus, &host);
        for gpu in &mut gpus {
            if let Some((Reading::Value(_), Reading::Value(_))) = errors_of(gpu.identity.pci_address.value(), &host) {
                gpu.lacks.retain(|lacking| *lacking != Lacking::PcieErrors);
            }
            // The bus knows the NUMA node where the driver does not tell it.
            let address = gpu.identity.pci_address.value();
            if gpu.pcie.numa_node == Reading::Unsupported
                && let Some(numa) = address.and_then(|address| host.numa.get(address))
            {
                gpu.pcie.numa_node = Reading::Value(*numa);
            }
        }
        Inventory {
            node: host.node,
            driver: self.facts.driver.clone(),
            cuda: self.facts.cuda.clone(),
            gpus,
            left_out: Vec::new(),
            pci: host.pci,
            host: host.host,
        }
    }
}

impl Gathering {
    fn is_complete(&self, gpus: usize, now: Moment) -> bool {
        match self.purpose {
            Purpose::Counters => self.counters.len() == gpus && (self.host.is_some() || now >= self.until),
            Purpose::Read | Purpose::Inventory => self.gpus.len() == gpus && (self.host.is_some() || now >= self.until),
        }
    }
}

fn errors_of(address: Option<&String>, host: &HostFacts) -> Option<(Reading<u64>, Reading<u64>)> {
    host.aer.get(address?).copied()
}

impl HostThread {
    fn start(root: PathBuf, arrived: impl Fn() + Send + 'static) -> std::io::Result<Self> {
        let (jobs, asked) = channel();
        let (reply, replies) = channel();
        thread::Builder::new().name("host".to_owned()).spawn(move || {
            let _ = reply.send(HostReply::Sources(host_sources(&root)));
            while let Ok(job) = asked.recv() {
                // Before the answer, so that whoever reads the answer knows how the sources stand.
                let _ = reply.send(HostReply::Sources(host_sources(&root)));
                let (done, wanted) = match job {
                    HostJob::Read(number) => (HostReply::Read(number, Box::new(read_host(&root))), true),
                    // Nobody waits for it: the next sample carries it.
                    HostJob::Inlet => (HostReply::Inlet(inlet_celsius(&root)), false),
                };
                if reply.send(done).is_err() {
                    break;
                }
                if wanted {
                    arrived();
                }
            }
        })?;
        Ok(Self { jobs, replies, inlet: Reading::Unsupported })
    }
}
