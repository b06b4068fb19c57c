//! The fake's place on a bench: what it reads of the node there, and what it tells of its own work.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::shared::{Bench, GpuState, Running, State, Work};
use kiln_model::GpuIndex;
use kiln_node::sim::Presence;

/// How old what is known of the node may be.
const FRESH: Duration = Duration::from_millis(100);
/// Work goes on for this long after it was seen last: launches take a fifth of a second.
const GOES_ON: Duration = Duration::from_millis(300);
const TELL_EVERY: Duration = Duration::from_millis(50);

pub struct Seat {
    bench: Bench,
    known: Mutex<(Instant, State)>,
    seen: Arc<Mutex<BTreeMap<(GpuIndex, Work), Instant>>>,
    /// Wrong results computed so far, by place.
    computed: Mutex<BTreeMap<usize, u64>>,
}

impl Seat {
    pub fn from_environment() -> Option<Self> {
        let bench = Bench::from_environment()?;
        let state = bench.state().unwrap_or_default();
        let computed = state.gpus.iter().enumerate().map(|(at, gpu)| (at, gpu.wrong)).collect();
        let seen: Arc<Mutex<BTreeMap<(GpuIndex, Work), Instant>>> = Arc::default();
        let (told, watched) = (bench.clone(), Arc::clone(&seen));
        std::thread::spawn(move || {
            let mut last = Running::new();
            loop {
                std::thread::sleep(TELL_EVERY);
                let seen = watched.lock().expect("unpoisoned");
                let running: Running =
                    seen.iter().filter(|(_, at)| at.elapsed() < GOES_ON).map(|(what, _)| *what).collect();
                drop(seen);
                if running != last {
                    told.work(&running);
                    last = running;
                }
            }
        });
        Some(Self { bench, known: Mutex::new((Instant::now(), state)), seen, computed: Mutex::new(computed) })
    }

    pub fn gpus(&self) -> i32 {
        self.known.lock().expect("unpoisoned").1.gpus.len() as i32
    }

    /// The GPU at a place, as it is now.
    pub fn gpu(&self, device: i32) -> Option<GpuState> {
        let mut known = self.known.lock().expect("unpoisoned");
        if known.0.elapsed() > FRESH {
            known.0 = Instant::now();
            if let Some(state) = self.bench.state() {
                known.1 = state;
            }
        }
        known.1.gpus.get(usize::try_from(device).ok()?).cloned()
    }

    pub fn presence(&self, device: i32) -> Presence {
        self.gpu(device).map_or(Presence::There, |gpu| gpu.speeds.presence)
    }

    /// Says that this work is being done.
    pub fn does(&self, device: i32, work: Work) {
        if let Some(gpu) = self.gpu(device) {
            self.seen.lock().expect("unpoisoned").insert((gpu.speeds.gpu, work), Instant::now());
        }
    }

    /// Whether the node has had a wrong result that is still to be computed here.
    pub fn computes_wrong(&self, device: i32) -> bool {
        let (Some(gpu), Ok(at)) = (self.gpu(device), usize::try_from(device)) else { return false };
        let mut computed = self.computed.lock().expect("unpoisoned");
        let count = computed.entry(at).or_default();
        let owes = gpu.wrong > *count;
        *count += u64::from(owes);
        owes
    }
}
