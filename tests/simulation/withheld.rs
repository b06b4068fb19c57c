//! Simulated nodes of which something is withheld: readings that older drivers and parts do not offer, GPUs that do not answer.
//! The first is no part's fault; the second is that GPU's, named with its place.

use kiln::engine::{Arrivals, Dut};
use kiln::event::{Action, RunRecord, VerdictWord};
use kiln::model::{
    Answer, Component, Gpu, GpuCounters, GpuIndex, Identity, Inventory, Lacking, LoadId, LoadOrder, Moment, Probe,
    Reading, ReadingFailure, Sample, Sensor, StopHow,
};
use kiln::node::sim::{NodeFile, SimNode};

use crate::trial::Trial;

/// A node with something taken from what it tells.
struct Withheld<'a> {
    node: SimNode,
    inventory: &'a dyn Fn(&mut Inventory),
    sample: &'a dyn Fn(&mut Sample),
    counters: &'a dyn Fn(&mut GpuCounters),
}

impl Dut for Withheld<'_> {
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
        self.node.start_load(now, order);
    }

    fn stop_load(&mut self, now: Moment, load: LoadId, how: StopHow) {
        self.node.stop_load(now, load, how);
    }

    fn collect(&mut self, now: Moment, arrivals: &mut Arrivals) {
        let mut own = Arrivals::default();
        self.node.collect(now, &mut own);
        own.samples.iter_mut().for_each(self.sample);
        for inventory in own.inventories.iter_mut().flatten() {
            (self.inventory)(inventory);
        }
        for (_, answer) in &mut own.answers {
            match answer {
                Answer::Inventory(Ok(inventory)) => (self.inventory)(inventory),
                Answer::Counters(Ok(counters)) => counters.iter_mut().for_each(self.counters),
                _ => {}
            }
        }
        arrivals.samples.append(&mut own.samples);
        arrivals.inventories.append(&mut own.inventories);
        arrivals.loads.append(&mut own.loads);
        arrivals.answers.append(&mut own.answers);
        arrivals.kernel.append(&mut own.kernel);
        arrivals.sources.append(&mut own.sources);
    }

    fn next_arrival(&self) -> Option<Moment> {
        self.node.next_arrival()
    }

    fn on_arrival(&mut self, wake: Box<dyn Fn() + Send + Sync>) {
        self.node.on_arrival(wake);
    }
}

fn node(name: &str) -> SimNode {
    SimNode::new(&NodeFile::find(name).expect("a node file"), 1, &[]).expect("a node")
}

/// What a driver of `release` does not offer, and what an Ampere part does not with any.
fn older(profile: &str, name: &str, release: u32, ampere: bool) -> RunRecord {
    let no_margin = release < 570 || ampere;
    let sample = |sample: &mut Sample| {
        let mut without = |sensor: Sensor| sample.set(sensor, Reading::Unsupported);
        if no_margin {
            without(Sensor::TempMargin);
        }
        if release < 575 {
            let times = [Sensor::ThrottleSwThermal, Sensor::ThrottleHwThermal, Sensor::ThrottlePowerBrake];
            times.into_iter().for_each(&mut without);
        }
        if release < 535 {
            without(Sensor::PowerInstant);
        }
    };
    let inventory = |inventory: &mut Inventory| {
        inventory.driver = Reading::Value(format!("{release}.10.01"));
        for gpu in &mut inventory.gpus {
            if ampere {
                gpu.thermal.slowdown_celsius = Reading::Value(89.0);
            }
            if no_margin {
                gpu.lacks.push(if ampere { Lacking::MarginCall } else { Lacking::Margin });
            }
            if release < 575 {
                gpu.lacks.push(Lacking::ThrottleCounters);
            }
        }
    };
    let counters = |counters: &mut GpuCounters| {
        if release < 550 {
            counters.sram_threshold_exceeded = Reading::Unsupported;
        }
    };
    let mut dut = Withheld { node: node(name), inventory: &inventory, sample: &sample, counters: &counters };
    Trial::of(profile).run_on(&mut dut, 1).record
}

#[test]
fn a_healthy_part_passes_a_smoke_test_with_every_release_and_what_is_not_judged_is_in_the_plan() {
    let every = [525, 535, 550, 570, 575, 580, 595].map(|release| ("hgx-h100-8", release, false));
    let some = [
        ("hgx-h100-8", 535, true),
        ("hgx-h100-8", 580, true),
        ("hgx-b200-8", 570, false),
        ("pcie-l40s-8", 535, false),
        ("pcie-l40s-8", 550, true),
    ];
    for (name, release, ampere) in every.into_iter().chain(some) {
        let record = older("smoke", name, release, ampere);
        let verdict = record.verdict.as_ref().expect("a verdict");
        assert_eq!(verdict.word, VerdictWord::Pass, "{name} with {release}: {:?}", record.findings);
        assert_eq!(record.trips, [], "{name} with {release}");
        let blind = &record.plan.as_ref().expect("a plan").blind;
        assert_eq!(!blind.is_empty(), release < 575 || ampere, "{name} with {release}: {blind:?}");
    }
}

/// One GPU tells nothing but what the backend knows of it from the bus.
fn silent(index: u8, failure: ReadingFailure, seated: bool) -> RunRecord {
    let inventory = move |inventory: &mut Inventory| {
        let gpu = &mut inventory.gpus[usize::from(index)];
        let place = gpu.identity.clone();
        let word = || Reading::Failed(failure);
        let identity = Identity {
            name: word(),
            pci_address: if seated { place.pci_address } else { word() },
            pci_device: if seated { place.pci_device } else { word() },
            pci_subsystem: word(),
            slot: word(),
            serial: word(),
            uuid: word(),
            part_number: word(),
            vbios: word(),
            inforom: word(),
            gsp_firmware: word(),
            inforom_valid: Reading::Failed(failure),
        };
        *gpu = Gpu {
            identity,
            memory_mib: Reading::Failed(failure),
            bar1_mib: Reading::Failed(failure),
            processes: Reading::Failed(failure),
            nvlinks: Reading::Failed(failure),
            fabric: Reading::Failed(failure),
            ..Gpu::bare(GpuIndex(index))
        };
    };
    let sample = move |sample: &mut Sample| {
        if sample.gpu == GpuIndex(index) {
            sample.fail_all(ReadingFailure::Lost);
        }
    };
    let counters = move |counters: &mut GpuCounters| {
        if counters.gpu == GpuIndex(index) {
            *counters = GpuCounters::failed(GpuIndex(index), failure);
        }
    };
    let mut dut = Withheld { node: node("hgx-h200-8"), inventory: &inventory, sample: &sample, counters: &counters };
    Trial::of("smoke").run_on(&mut dut, 1).record
}

#[test]
fn a_gpu_that_does_not_answer_before_the_run_fails_it_with_its_place() {
    for (index, slot) in [(1, "5"), (3, "8 or 0")] {
        for (failure, code, action) in [
            (ReadingFailure::Lost, "GPU-LOST", Action::Reseat),
            (ReadingFailure::Driver(999), "GPU-LOST", Action::Reseat),
            (ReadingFailure::Driver(16), "GPU-RECOVERY-NEEDED", Action::ResetGpu),
            (ReadingFailure::Timeout, "GPU-HANG", Action::ReplaceFru),
        ] {
            let record = silent(index, failure, true);
            assert_eq!(record.verdict.as_ref().map(|verdict| verdict.word), Some(VerdictWord::Fail), "{failure}");
            let [finding] = &record.findings[..] else { panic!("{failure}: {:?}", record.findings) };
            assert_eq!(finding.component, Component::gpu(index), "{failure}");
            assert_eq!((finding.code.as_str(), finding.action), (code, action), "{failure}");
            assert_eq!(finding.slot.as_deref(), Some(slot), "{failure}");
            assert!(finding.pci_address.is_some(), "{failure}");
        }
    }
    // Where not even the bus says where it sits, its siblings still say what it must be.
    let record = silent(1, ReadingFailure::Lost, false);
    assert_eq!(record.verdict.map(|verdict| verdict.word), Some(VerdictWord::Fail));
}
