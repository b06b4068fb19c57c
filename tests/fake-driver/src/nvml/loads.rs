//! What the CUDA drivers on the bench have running, as loads of the node; and what they must know of the node in return.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::shared::{Bench, GpuState, State, Work};
use kiln_model::Dut as _;
use kiln_model::{GpuIndex, Inventory, LoadId, LoadOrder, LoadReport, LoadSaid, Moment, StopHow};
use kiln_node::sim::SimNode;

/// How often the bench is looked at: twice as often as the fastest reader reads.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A load of the node that stands for what one process does.
struct Started {
    id: LoadId,
    gpus: BTreeSet<GpuIndex>,
}

/// The loads of the node.
pub(crate) struct Loads {
    bench: Option<Bench>,
    looked: Option<Instant>,
    started: BTreeMap<(u32, Work), Started>,
    count: u32,
    /// Wrong results by GPU.
    wrong: BTreeMap<GpuIndex, u64>,
}

impl Loads {
    pub(crate) fn from_environment() -> Self {
        let bench = Bench::from_environment();
        Self { bench, looked: None, started: BTreeMap::new(), count: 0, wrong: BTreeMap::new() }
    }

    /// Loads the node with what runs now.
    #[expect(clippy::disallowed_methods, reason = "a library for programs that live in real time")]
    pub(crate) fn follow(&mut self, sim: &mut SimNode, inventory: &Inventory, now: Moment) {
        let Some(bench) = &self.bench else { return };
        // Before its first inventory the node does not know where its GPUs sit.
        let early = inventory.gpus.is_empty();
        if early || self.looked.is_some_and(|looked| looked.elapsed() < LOOK_EVERY) {
            return;
        }
        self.looked = Some(Instant::now());
        let mut wanted: BTreeMap<(u32, Work), BTreeSet<GpuIndex>> = BTreeMap::new();
        for (process, running) in bench.running() {
            for (gpu, work) in running {
                wanted.entry((process, work)).or_default().insert(gpu);
            }
        }
        self.started.retain(|what, started| {
            let stays = wanted.get(what) == Some(&started.gpus);
            if !stays {
                sim.stop_load(now, started.id, StopHow::Kill);
            }
            stays
        });
        for (what, gpus) in wanted {
            self.started.entry(what).or_insert_with(|| {
                self.count += 1;
                let id = LoadId(self.count);
                sim.start_load(now, &LoadOrder { id, kind: what.1.load(), gpus: gpus.clone(), seed: 1, span: None });
                Started { id, gpus }
            });
        }
        for gpu in &inventory.gpus {
            sim.lock_clock(gpu.index, bench.locked_clock(gpu.index).map(f64::from));
        }
        bench.tell(&self.state(sim, inventory));
    }

    fn state(&self, sim: &SimNode, inventory: &Inventory) -> State {
        let gpu = |speeds: kiln_node::sim::GpuSpeeds| GpuState {
            pci: inventory
                .gpu(speeds.gpu)
                .and_then(|gpu| gpu.identity.pci_address.value().cloned())
                .unwrap_or_default(),
            wrong: self.wrong.get(&speeds.gpu).copied().unwrap_or(0),
            speeds,
        };
        State { gpus: sim.speeds().into_iter().map(gpu).collect(), owner: std::process::id() }
    }

    /// Takes in what the node's loads say: wrong results, and ends of loads that go on in their process.
    pub(crate) fn hear(&mut self, reports: impl Iterator<Item = LoadReport>) {
        for report in reports {
            match report.said {
                LoadSaid::Mismatched(wrong) => *self.wrong.entry(wrong.gpu).or_default() += 1,
                LoadSaid::Ended { gpu: None, .. } => self.started.retain(|_, started| started.id != report.load),
                _ => {}
            }
        }
    }
}
