//! Simulated nodes of which something is withheld: readings that older drivers and parts do not offer, GPUs that do not answer.
//! The first is no part's fault; the second is that GPU's, named with its place.

use kiln::engine::{Arrivals, Dut};
use kiln::event::{Action, Outcome, RunRecord, VerdictWord};
use kiln::model::{
    Answer, Component, Gpu, GpuCounters, GpuIdentity, GpuIndex, Inventory, Lacking, LoadId, LoadOrder, Moment, Probe,
    Reading, ReadingFailure, Remote, Sample, Sensor, StopHow,
};
use kiln::node::nvml::{Generation, RELEASES, lacking};
use kiln::node::sim::{NodeFile, SimNode};

use crate::trial::Trial;

/// A node with something taken from what it tells.
pub(crate) struct Withheld<'a> {
    pub(crate) node: SimNode,
    pub(crate) inventory: &'a dyn Fn(&mut Inventory),
    pub(crate) sample: &'a dyn Fn(&mut Sample),
    pub(crate) counters: &'a dyn Fn(&mut GpuCounters),
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

pub(crate) fn node(name: &str) -> SimNode {
    SimNode::new(&NodeFile::find(name).expect("a node file"), 1, &[]).expect("a node")
}

/// A run with what a driver of `release` does not offer for a part of that generation taken away.
fn older(trial: &Trial, name: &str, release: u32, generation: Generation) -> RunRecord {
    let lacks = lacking(release, generation);
    let no_margin = lacks.iter().any(|one| matches!(one, Lacking::Margin | Lacking::MarginCall));
    let no_times = lacks.contains(&Lacking::ThrottleCounters);
    let sample = |sample: &mut Sample| {
        let mut without = |sensor: Sensor| sample.set(sensor, Reading::Unsupported);
        if no_margin {
            without(Sensor::TempMargin);
        }
        if no_times {
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
            gpu.lacks.clone_from(&lacks);
        }
    };
    let counters = |counters: &mut GpuCounters| {
        if release < 550 {
            counters.sram_threshold_exceeded = Reading::Unsupported;
        }
    };
    let mut dut = Withheld { node: node(name), inventory: &inventory, sample: &sample, counters: &counters };
    trial.run_on(&mut dut, 1).record
}

/// A healthy node of each generation.
const HEALTHY: [(Generation, &str); 6] = [
    (Generation::Ampere, "hgx-a100-8"),
    (Generation::Ada, "pcie-l40s-8"),
    (Generation::Hopper, "hgx-h100-8"),
    (Generation::Hopper, "hgx-h200-8-liquid"),
    (Generation::Blackwell, "hgx-b200-8"),
    (Generation::Blackwell, "gb200-tray-4"),
];

/// One round of a burn-in has all its steps.
const ONE_ROUND: &[(&str, &str)] = &[("length", "1h")];

#[test]
fn every_profile_passes_on_a_healthy_part_of_every_generation_with_every_driver_and_what_is_not_judged_is_in_the_plan()
{
    let profiles = [
        ("smoke", &[][..]),
        ("interconnect", &[]),
        ("acceptance", &[]),
        ("acceptance-liquid", &[]),
        ("burnin-24h", ONE_ROUND),
        ("burnin-72h", ONE_ROUND),
        ("burnin-168h", ONE_ROUND),
    ];
    let others = ["base", "restarts"];
    assert_eq!(
        profiles.len() + others.len(),
        kiln::profile::builtin::profile_names().count(),
        "all but the stock of stages, and the one whose runs end with their node (tests/it/restarts.rs)"
    );
    let trials = profiles.map(|(profile, set)| (profile, Trial::with(profile, set)));
    std::thread::scope(|scope| {
        for (generation, node) in HEALTHY {
            let trials = &trials;
            scope.spawn(move || {
                for (profile, trial) in trials {
                    // A profile for coolant is for a node that has some.
                    if *profile == "acceptance-liquid" && node != "hgx-h200-8-liquid" {
                        continue;
                    }
                    // The release before the least that is promised does for what a smoke test looks at.
                    let before = (*profile == "smoke").then_some(525);
                    for release in before.into_iter().chain(RELEASES) {
                        passes_with(trial, profile, node, release, generation);
                    }
                }
            });
        }
    });
}

fn passes_with(trial: &Trial, profile: &str, node: &str, release: u32, generation: Generation) {
    let record = older(trial, node, release, generation);
    let of = format!("{profile} on {node} with {release}");
    let verdict = record.verdict.as_ref().expect("a verdict");
    let cases = record.steps.iter().flat_map(|step| step.cases.iter().map(move |case| (&step.key.path, case)));
    let errors = cases.filter(|(_, case)| case.outcome == Outcome::Error);
    let told: Vec<String> =
        errors.map(|(path, case)| format!("{path} {}: {:?}", case.component, case.reason)).collect();
    assert_eq!(verdict.word, VerdictWord::Pass, "{of}: {:?} {told:?}", record.findings);
    assert_eq!(record.trips, [], "{of}");
    let blind: Vec<Lacking> = record.plan.as_ref().expect("a plan").blind.iter().map(|spot| spot.lacking).collect();
    let lacks = lacking(release, generation);
    // The supplies of a tray are its rack's, whatever the driver.
    let of_the_rack = |one: &Lacking| *one == Lacking::Supplies && node == "gb200-tray-4";
    assert!(blind.iter().all(|one| lacks.contains(one) || of_the_rack(one)), "{of}: {blind:?}");
    // A guard watches the margin in every profile; how long a part was slowed down is judged where it is put to work.
    let watched = |one: &Lacking| *one != Lacking::ThrottleCounters || profile != "interconnect";
    assert!(lacks.iter().filter(|one| watched(one)).all(|one| blind.contains(one)), "{of}: {blind:?}");
}

/// An HGX board of four: six links of each GPU to each other one, and no switch that a fabric manager could set up.
#[test]
fn a_board_of_four_that_is_linked_directly_passes_and_is_not_asked_for_what_switches_have() {
    let text = NodeFile::embedded_text("hgx-h100-8").expect("a shipped node");
    let gone: Vec<&str> = text.lines().filter(|line| line.contains("branch: 0, place")).collect();
    assert_eq!(gone.len(), 4);
    let four = text.lines().filter(|line| !gone.contains(line)).collect::<Vec<_>>().join("\n");
    let file = NodeFile::read("four.yaml", four.as_bytes()).unwrap_or_else(|errors| panic!("{errors}"));
    let inventory = |inventory: &mut Inventory| {
        for gpu in &mut inventory.gpus {
            let others: Vec<u8> = (0..4).filter(|other| *other != gpu.index.0).collect();
            gpu.fabric = Reading::Unsupported;
            if let Reading::Value(links) = &mut gpu.nvlinks {
                for link in links {
                    link.remote =
                        link.remote.clone().map(|_| Remote::Gpu(GpuIndex(others[usize::from(link.link) / 6])));
                }
            }
        }
    };
    for profile in ["smoke", "interconnect", "acceptance"] {
        let node = SimNode::new(&file, 1, &[]).expect("a node");
        let mut dut = Withheld { node, inventory: &inventory, sample: &|_| {}, counters: &|_| {} };
        let tried = Trial::of(profile).run_on(&mut dut, 1);
        let verdict = tried.record.verdict.as_ref().map(|verdict| verdict.word);
        assert_eq!(verdict, Some(VerdictWord::Pass), "{profile}:\n{}", tried.blemishes());
        let plan = tried.record.plan.as_ref().expect("a plan");
        let skipped = |step: &str| {
            plan.stages.iter().flat_map(|stage| &stage.steps).filter(|planned| planned.step.id == step).all(|planned| {
                matches!(planned.readiness, kiln::plan::Readiness::Skip(kiln::plan::Unmet::LinkedDirectly))
            })
        };
        assert!(skipped("nvlink-bandwidth") && skipped("fabric"), "{profile}");
    }
}

/// One GPU tells nothing but what the backend knows of it from the bus.
fn silent(index: u8, failure: ReadingFailure, seated: bool) -> RunRecord {
    let inventory = move |inventory: &mut Inventory| {
        let gpu = &mut inventory.gpus[usize::from(index)];
        let place = gpu.identity.clone();
        let word = || Reading::Failed(failure);
        let identity = GpuIdentity {
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
            (ReadingFailure::Timeout, "GPU-HANG", Action::ResetGpu),
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
