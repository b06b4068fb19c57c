//! Whole-node trials: what the simulated node must do to pass for hardware, and that every fault shows.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the model computes in floats, and its counters, words and addresses are whole numbers within their range"
)]

use std::collections::BTreeSet;

use super::{FaultFile, FaultUse, NodeFile, SimNode};
use kiln_model::{
    Answer, BurnKernel, ClockReasons, CopyDirection, GpuIndex, LoadEnd, LoadId, LoadKind, LoadOrder, LoadSaid, Moment,
    Probe, Reading, ReadingFailure, Sample, Sensor, Span, StopHow,
};
use kiln_model::{Arrivals, Dut};

const BURN: LoadKind = LoadKind::Burn(BurnKernel::Bf16);

/// A node with a clock beside it.
struct Trial {
    node: SimNode,
    now: Moment,
    arrivals: Arrivals,
    gpus: BTreeSet<GpuIndex>,
    loads: u32,
}

impl Trial {
    fn of(node: &str, seed: u64, faults: &[&str]) -> Self {
        let file = NodeFile::find(node).expect("node file");
        let faults: Vec<FaultUse> = faults.iter().map(|text| FaultUse::parse(text).expect("fault")).collect();
        let node = SimNode::new(&file, seed, &faults).expect("node");
        let gpus = node.gpus.iter().map(|gpu| gpu.index).collect();
        Self { node, now: Moment::ZERO, arrivals: Arrivals::default(), gpus, loads: 0 }
    }

    fn start(&mut self, kind: LoadKind, span: Option<Span>) -> LoadId {
        self.loads += 1;
        let order = LoadOrder { id: LoadId(self.loads), kind, gpus: self.gpus.clone(), seed: 1, span };
        self.node.start_load(self.now, &order);
        order.id
    }

    fn stop(&mut self, load: LoadId) {
        self.node.stop_load(self.now, load, StopHow::Gently);
    }

    /// Samples now.
    fn look(&mut self) -> Vec<Sample> {
        self.arrivals.samples.clear();
        self.node.sample(self.now);
        self.node.collect(self.now, &mut self.arrivals);
        self.arrivals.samples.clone()
    }

    /// Goes on for some seconds without looking, then samples.
    fn after(&mut self, seconds: u64) -> Vec<Sample> {
        self.now = self.now + Span::from_secs(seconds);
        self.look()
    }

    fn counters(&mut self) -> Vec<kiln_model::GpuCounters> {
        self.node.ask(self.now, Probe::Counters);
        self.node.collect(self.now, &mut self.arrivals);
        match self.arrivals.answers.pop() {
            Some((_, Answer::Counters(Ok(counters)))) => counters,
            other => panic!("no counters: {other:?}"),
        }
    }

    fn inventory(&mut self) -> kiln_model::Inventory {
        self.node.read_inventory(self.now);
        self.node.collect(self.now, &mut self.arrivals);
        *self.arrivals.inventories.pop().expect("answer").expect("inventory")
    }

    /// Runs a load that ends by itself.
    fn run(&mut self, kind: &LoadKind) {
        self.start(kind.clone(), None);
        for _ in 0..600 {
            self.after(1);
            let over = |said: &LoadSaid| matches!(said, LoadSaid::Ended { gpu: None, .. });
            if self.arrivals.loads.iter().any(|report| report.load.0 == self.loads && over(&report.said)) {
                return;
            }
        }
        panic!("{kind:?} did not end");
    }
}

fn value(samples: &[Sample], gpu: usize, sensor: Sensor) -> f64 {
    samples[gpu].get(sensor).unwrap_or_else(|| panic!("{} of gpu {gpu} is {}", sensor.name(), samples[gpu][sensor]))
}

#[test]
fn a_load_step_looks_like_hardware() {
    let mut trial = Trial::of("hgx-h200-8", 1, &[]);
    let rest = trial.look();
    let load = trial.start(BURN, None);
    // Context and first launch take a second and a half; then power is there within a second.
    let early = trial.after(3);
    let half_minute = trial.after(30);
    let settled = trial.after(900);
    let later = trial.after(300);
    // One clock is read while the governor hunts; the mean of eight does not hide what the heat costs.
    let clock = |samples: &[Sample]| (0..8).map(|gpu| value(samples, gpu, Sensor::ClockSm)).sum::<f64>() / 8.0;
    assert!(clock(&settled) < clock(&early), "leakage costs clock as the die warms");
    for gpu in 0..8 {
        let at = |samples: &[Sample], sensor| value(samples, gpu, sensor);
        assert!((70.0..95.0).contains(&at(&rest, Sensor::Power)));
        assert!(at(&early, Sensor::Power) > 0.95 * 700.0, "power is up within a second");
        let rise = at(&settled, Sensor::TempGpu) - at(&rest, Sensor::TempGpu);
        let share = (at(&half_minute, Sensor::TempGpu) - at(&rest, Sensor::TempGpu)) / rise;
        assert!((0.3..0.75).contains(&share), "half a minute brings the die half the way: {share}");
        assert!((at(&later, Sensor::TempGpu) - at(&settled, Sensor::TempGpu)).abs() <= 1.0, "settled in minutes");
        assert!((60.0..76.0).contains(&at(&settled, Sensor::TempGpu)));
        assert!((690.0..705.0).contains(&at(&settled, Sensor::Power)));
        assert!((1500.0..1700.0).contains(&at(&settled, Sensor::ClockSm)));
        let reasons = ClockReasons(at(&settled, Sensor::ClockReasons) as u64);
        assert_eq!(reasons.names(), ["power cap"]);
        assert!(at(&settled, Sensor::TempMemory) > at(&rest, Sensor::TempMemory) + 15.0);
    }
    trial.stop(load);
    let cooling = trial.after(5);
    let cold = trial.after(1500);
    for gpu in 0..8 {
        let at = |samples: &[Sample], sensor| value(samples, gpu, sensor);
        assert!(at(&cooling, Sensor::Power) < 130.0, "power falls at once");
        assert!(at(&cooling, Sensor::TempGpu) > at(&cold, Sensor::TempGpu) + 15.0, "heat takes its time");
        assert!((at(&cold, Sensor::TempGpu) - at(&rest, Sensor::TempGpu)).abs() <= 3.0);
    }
}

#[test]
fn the_same_seed_gives_the_same_run_and_another_seed_another() {
    let run = |seed| {
        let mut trial = Trial::of("hgx-h200-8", seed, &["hbm-corrected-high@gpu/2", "wrong-always@gpu/5"]);
        trial.start(BURN, None);
        let samples: Vec<Vec<Sample>> = (0..600).map(|_| trial.after(1)).collect();
        format!("{samples:?}{:?}{:?}", trial.arrivals.loads, trial.arrivals.kernel)
    };
    let first = run(7);
    assert!(first == run(7), "the same to the byte");
    assert!(first != run(8));
}

#[test]
fn looking_more_often_does_not_change_what_is_seen() {
    // Noise is drawn at each look, so only what has none is compared.
    let run = |step: u64| {
        let mut trial = Trial::of("hgx-h200-8", 3, &[]);
        trial.start(BURN, None);
        (0..600 / step).for_each(|_| drop(trial.after(step)));
        let last = trial.look();
        let at = |sensor| value(&last, 4, sensor);
        [at(Sensor::Energy), at(Sensor::ThrottlePowerCap)]
    };
    let (often, seldom) = (run(1), run(60));
    for (a, b) in often.iter().zip(&seldom) {
        assert!((a - b).abs() < 1e-6 * a.abs().max(1.0), "{often:?} {seldom:?}");
    }
}

#[test]
fn energy_is_the_integral_of_power() {
    let mut trial = Trial::of("hgx-h100-8", 2, &[]);
    let before = trial.look();
    trial.start(BURN, None);
    let mut sum = 0.0;
    for _ in 0..1200 {
        sum += value(&trial.after(1), 0, Sensor::Power);
    }
    let counted = value(&trial.look(), 0, Sensor::Energy) - value(&before, 0, Sensor::Energy);
    assert!((counted / sum - 1.0).abs() < 0.005, "counter {counted} J, sum of readings {sum} J");
}

#[test]
fn a_healthy_node_never_throttles_for_heat_at_35_degrees() {
    for node in NodeFile::embedded() {
        for seed in 0..3 {
            let file = NodeFile::find(node).expect("node file");
            let hotter = 35.0 - file.cooling.inlet;
            let fault = format!(
                "schema: kiln.fault/1\nid: hot\ntitle: {{ en: hot }}\nnumber: 42\nabout: {{ en: hot }}\nsource: test\n\
                 component: station\nchanges: {{ ambient.inlet: {{ add: {hotter} K }} }}\n\
                 expect: {{ code: STATION-INLET-HOT, component: station }}\n"
            );
            let fault = FaultFile::read("hot.yaml", fault.as_bytes()).expect("fault");
            let fault = FaultUse::new(std::sync::Arc::new(fault), None, None);
            let sim = SimNode::new(&file, seed, &[fault]).expect("node");
            let gpus = sim.gpus.iter().map(|gpu| gpu.index).collect();
            let mut trial = Trial { node: sim, now: Moment::ZERO, arrivals: Arrivals::default(), gpus, loads: 0 };
            trial.start(BURN, None);
            let last = trial.after(3600);
            for gpu in 0..last.len() {
                let thermal =
                    value(&last, gpu, Sensor::ThrottleSwThermal) + value(&last, gpu, Sensor::ThrottleHwThermal);
                assert_eq!(thermal, 0.0, "{node} seed {seed} gpu {gpu}: {}", last[gpu][Sensor::TempGpu]);
            }
        }
    }
}

#[test]
fn a_lost_gpu_answers_nothing() {
    let mut trial = Trial::of("hgx-h200-8", 1, &["fell-off-bus@gpu/3"]);
    trial.start(BURN, None);
    let samples = trial.after(3600);
    assert!(samples[3].is_lost());
    assert!(Sensor::ALL.iter().all(|sensor| samples[3][*sensor] == Reading::Failed(ReadingFailure::Lost)));
    assert!(!samples[2].is_lost());
    assert!(trial.arrivals.kernel.iter().any(|record| record.text.contains("): 79,")));
    let ended = LoadSaid::Ended { gpu: Some(GpuIndex(3)), end: LoadEnd::GpuLost };
    assert!(trial.arrivals.loads.iter().any(|report| report.said == ended));
    let inventory = trial.inventory();
    assert_eq!(inventory.gpus[3].identity.serial, Reading::Failed(ReadingFailure::Lost));
    assert_eq!(trial.counters()[3].pcie_replays, Reading::Failed(ReadingFailure::Lost));
}

#[test]
fn a_hung_gpu_times_out_and_its_load_cannot_be_killed() {
    let mut trial = Trial::of("hgx-h200-8", 1, &["gsp-hang@gpu/1"]);
    let load = trial.start(BURN, None);
    let samples = trial.after(3600);
    assert_eq!(samples[1][Sensor::Power], Reading::Failed(ReadingFailure::Timeout));
    trial.node.stop_load(trial.now, load, StopHow::Kill);
    trial.after(30);
    let ended = LoadSaid::Ended { gpu: None, end: LoadEnd::Unkillable };
    assert!(trial.arrivals.loads.iter().any(|report| report.said == ended));
}

#[test]
fn a_stuck_sensor_stays_while_its_siblings_move() {
    let mut trial = Trial::of("hgx-h200-8", 1, &["sensor-stuck@gpu/3"]);
    let rest = trial.look();
    trial.start(BURN, None);
    let hot = trial.after(900);
    for gpu in 0..8 {
        let moved = value(&hot, gpu, Sensor::TempGpu) - value(&rest, gpu, Sensor::TempGpu);
        assert!(if gpu == 3 { moved == 0.0 } else { moved > 20.0 }, "gpu {gpu} moved {moved} K");
    }
    assert!(value(&hot, 3, Sensor::TempMemory) > value(&rest, 3, Sensor::TempMemory) + 10.0);
}

#[test]
fn a_blocked_branch_heats_its_gpus_together() {
    for node in ["hgx-h200-8", "hgx-h200-8-liquid", "gb200-tray-4"] {
        let run = |faults: &[&str]| {
            let mut trial = Trial::of(node, 1, faults);
            trial.start(BURN, None);
            trial.after(1800)
        };
        let (healthy, blocked) = (run(&[]), run(&["branch-blocked@cooling/0"]));
        let half = healthy.len() / 2;
        for gpu in 0..healthy.len() {
            let warmer = value(&blocked, gpu, Sensor::TempGpu) - value(&healthy, gpu, Sensor::TempGpu);
            if gpu < half {
                assert!(warmer > 4.0, "{node} gpu {gpu} is on the branch: {warmer} K");
            } else {
                assert!(warmer.abs() < 3.0, "{node} gpu {gpu} is not: {warmer} K");
            }
        }
    }
}

#[test]
fn a_loose_cold_plate_costs_clocks_too() {
    let run = |faults: &[&str]| {
        let mut trial = Trial::of("hgx-h200-8", 1, faults);
        trial.start(BURN, None);
        trial.after(1800)
    };
    let (healthy, loose) = (run(&[]), run(&["cold-plate-loose@gpu/3"]));
    assert!(value(&loose, 3, Sensor::TempGpu) > value(&healthy, 3, Sensor::TempGpu) + 8.0);
    assert!(value(&loose, 3, Sensor::ClockSm) < value(&healthy, 3, Sensor::ClockSm) - 10.0);
    assert!((value(&loose, 2, Sensor::TempGpu) - value(&healthy, 2, Sensor::TempGpu)).abs() <= 2.0);
}

#[test]
fn a_weak_link_makes_errors_only_with_traffic_and_slows_its_pairs() {
    let pair = |faults: &[&str]| {
        let mut trial = Trial::of("hgx-h200-8", 1, faults);
        let rest = trial.after(3600);
        assert_eq!(value(&rest, 3, Sensor::NvlinkErrors), 0.0);
        trial.run(&LoadKind::PairCopy);
        let (mut own, mut others) = (0.0, 0.0);
        for report in &trial.arrivals.loads {
            if let LoadSaid::Moved(transfer) = report.said {
                let concerns = [transfer.from, transfer.to].contains(&kiln_model::Endpoint::Gpu(GpuIndex(3)));
                *if concerns { &mut own } else { &mut others } += transfer.gb_per_s;
            }
        }
        trial.run(&LoadKind::AllToAll);
        (own / 14.0, others / 42.0, value(&trial.look(), 3, Sensor::NvlinkErrors), trial.counters())
    };
    let healthy = pair(&[]);
    assert_eq!(healthy.2, 0.0);
    let weak = pair(&["nvlink-errors-under-load@gpu/3/nvlink/7"]);
    assert!(weak.2 > 100.0, "{} errors", weak.2);
    assert!(weak.0 < 0.99 * healthy.0, "{} GB/s, healthy {}", weak.0, healthy.0);
    assert!((weak.1 / healthy.1 - 1.0).abs() < 0.005);
    let links = weak.3[3].links.value().expect("links");
    let loud: Vec<u8> = links.iter().filter(|link| link.crc != Reading::Value(0)).map(|link| link.link).collect();
    assert_eq!(loud, [7]);
}

/// Two seconds high and two low, whatever chance has it: of twenty readings of a good part a check makes a swing.
#[test]
fn a_slow_pulse_is_read_in_the_phase_that_it_is_in() {
    for seed in 0..20 {
        let mut trial = Trial::of("hgx-h200-8", seed, &[]);
        trial.start(LoadKind::Pulse { kernel: BurnKernel::Bf16, hertz: 0.25, duty: 0.5 }, None);
        trial.after(60);
        let mut high = vec![0; trial.gpus.len()];
        for _ in 0..20 {
            for (count, sample) in high.iter_mut().zip(trial.after(1)) {
                *count += i32::from(sample[Sensor::PowerInstant].value().is_some_and(|watts| *watts > 400.0));
            }
        }
        assert!(high.iter().all(|count| *count == 10), "seed {seed}: {high:?} of 20");
    }
}

/// Everything a node lets be seen over a course of all loads.
fn course(node: &str, seed: u64, fault: Option<&str>) -> Result<String, String> {
    use std::fmt::Write as _;
    let file = NodeFile::find(node).expect("node file");
    let faults: Vec<FaultUse> = fault.iter().map(|text| FaultUse::parse(text).expect("fault")).collect();
    let sim = SimNode::new(&file, seed, &faults).map_err(|error| error.render(false))?;
    let gpus = sim.gpus.iter().map(|gpu| gpu.index).collect();
    let mut trial = Trial { node: sim, now: Moment::ZERO, arrivals: Arrivals::default(), gpus, loads: 0 };
    let mut seen = String::new();
    let mut note = |trial: &mut Trial| {
        let samples = trial.look();
        let _ = write!(seen, "{samples:?}{:?}{:?}", trial.inventory(), trial.counters());
    };
    note(&mut trial);
    let burn = trial.start(BURN, None);
    for _ in 0..40 {
        trial.after(45);
        note(&mut trial);
    }
    trial.stop(burn);
    trial.after(60);
    let pulse = trial.start(LoadKind::Pulse { kernel: BurnKernel::Bf16, hertz: 1.0, duty: 0.5 }, None);
    trial.after(300);
    note(&mut trial);
    trial.stop(pulse);
    trial.after(10);
    for kind in [
        LoadKind::March { coverage: 0.95 },
        LoadKind::HostCopy(CopyDirection::Both),
        LoadKind::PairCopy,
        LoadKind::AllToAll,
    ] {
        if !trial.gpus.is_empty() {
            trial.start(kind, None);
            trial.after(250);
            note(&mut trial);
        }
    }
    let kernel = &trial.arrivals.kernel;
    let _ = write!(seen, "{:?}{kernel:?}", trial.arrivals.loads);
    Ok(seen)
}

/// A node whose dies stay under the 50 °C of a fault has not been tried with it; one that was stopped before its time has, and so has
/// one that was as warm before that time.
#[test]
fn a_fault_whose_temperature_never_came_was_not_tried_and_one_whose_time_never_came_was() {
    let tried = |node: &str, fault: &str, minutes: u64| {
        let mut trial = Trial::of(node, 1, &[fault]);
        trial.start(BURN, None);
        (0..minutes).for_each(|_| drop(trial.after(60)));
        !trial.node.faults_never_held()
    };
    assert!(tried("hgx-h200-8", "lost-when-hot@gpu/1", 90));
    assert!(tried("hgx-h200-8", "lost-when-hot@gpu/1", 5), "the run was too short");
    let cool = |minutes: u64| {
        let mut trial = Trial::of("gb200-tray-4", 1, &["pcie-errors-when-hot@gpu/1"]);
        (0..minutes).for_each(|_| drop(trial.after(60)));
        !trial.node.faults_never_held()
    };
    assert!(cool(5), "the run was too short");
    assert!(!cool(90), "a tray at rest is cool at any time");
}

#[test]
fn every_fault_shows_on_some_node() {
    let mut healthy = std::collections::BTreeMap::new();
    let mut nowhere = Vec::new();
    for fault in FaultFile::embedded() {
        let shows = ["hgx-h200-8", "gb200-tray-4", "pcie-l40s-8"].iter().any(|node| {
            let sound = healthy.entry(*node).or_insert_with(|| course(node, 5, None).expect("healthy"));
            course(node, 5, Some(fault)).is_ok_and(|seen| seen != *sound)
        });
        // These take longer than a trial may.
        let begins_late = |file: &FaultFile| file.when().after.is_some_and(|after| after >= 1800.0);
        let late = FaultFile::find(fault).ok().flatten().is_some_and(|file| begins_late(&file));
        if !shows && !late {
            nowhere.push(fault);
        }
    }
    // Periods of hours, two loads at once, clocks that are held, and links that must be hot: no trial of minutes has them.
    let known = [
        "clock-low-in-training",
        "copies-slow-while-linked",
        "lost-every-6h",
        "memory-slow-while-linked",
        "nvlink-errors-when-hot",
        "slow-while-linked",
        "wrong-at-middle-clock",
        "wrong-every-8h",
        "wrong-one-sm-at-low-clock",
        "wrong-while-copying",
        "wrong-while-linked",
    ];
    assert_eq!(nowhere, known);
}

#[test]
fn every_embedded_file_reads() {
    for node in NodeFile::embedded() {
        let file = NodeFile::find(node).expect(node);
        assert_eq!(file.id, node);
    }
    for fault in FaultFile::embedded() {
        let file = FaultFile::find(fault).expect(fault).expect(fault);
        assert_eq!(file.id, fault);
        assert!(file.title.ja.is_some(), "{fault}");
    }
}
