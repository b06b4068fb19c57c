//! Benches of invented units with a known spread give it back; what is no use is refused; files stay files.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "counts become floats far below 2^53, and floats become counts that were bounded before"
)]

use kiln_event::NodeSource;
use kiln_load::worker::{Beside, Images};
use kiln_model::{BurnKernel, GpuIndex};
use kiln_node::sim::NodeFile;
use kiln_profile::{Skus, builtin};
use proptest::prelude::*;

use super::*;
use crate::document::{BENCH_SCHEMA, Flips, GpuMeasured, PhaseMeasured, Trouble, Unit};
use crate::phase::Work;

fn unit(gpu: u8, serial: &str) -> Unit {
    Unit {
        gpu: GpuIndex(gpu),
        name: Some("NVIDIA H200".to_owned()),
        serial: Some(serial.to_owned()),
        uuid: None,
        sku: Some("h200-sxm".to_owned()),
        power_limit_watts: Some(700.0),
        bf16_per_clock: None,
    }
}

fn gpu(gpu: u8, watts: f64, tflops: f64) -> GpuMeasured {
    GpuMeasured {
        gpu: GpuIndex(gpu),
        power_watts: Scatter::of(&[watts]),
        power_instant_watts: None,
        clock_mhz: None,
        celsius: None,
        memory_celsius: None,
        tflops: Scatter::of(&[tflops]),
        memory_gb_per_s: Scatter::of(&[tflops * 5.0]),
        per_clock: Some(tflops / 1600.0),
        duty_percent: None,
        covered_percent: None,
        verified: 1,
        mismatches: 0,
        told: Vec::new(),
        flips: None,
        screened: None,
    }
}

/// A bench of units that draw so much at rest and do so much under load.
fn bench(first: usize, values: &[(f64, f64)]) -> Bench {
    let burn = Work::Burn { kernel: BurnKernel::Bf16, beside: Beside::MemoryStream, images: Images::Best };
    let phase = |work| {
        let gpus = values.iter().enumerate().map(|(at, (watts, tflops))| gpu(at as u8, *watts, *tflops)).collect();
        let (transfers, notes, traces) = (Vec::new(), Vec::new(), Vec::new());
        PhaseMeasured { name: format!("{work:?}"), work, seconds: 10.0, gpus, transfers, notes, trouble: None, traces }
    };
    Bench {
        schema: BENCH_SCHEMA.to_owned(),
        source: NodeSource::Hardware,
        surroundings: None,
        tool: "kiln 0.1.0".to_owned(),
        at: format!("2026-01-01T00:00:{first:02}Z"),
        driver: None,
        cuda: None,
        node: None,
        gpus: (0..values.len()).map(|at| unit(at as u8, &format!("unit-{}", first + at))).collect(),
        phases: [Work::Rest, burn, Work::March { pattern: None }].map(phase).into(),
    }
}

fn proposal<'a>(calibration: &'a Calibration, fact: &str) -> &'a Proposal {
    calibration.proposals.iter().find(|one| one.fact == fact).expect("a proposal")
}

proptest! {
    /// Whatever the units, and however they are spread over files: the proposals carry their mean and their deviation, and
    /// the limits lie three of them away.
    #[test]
    fn invented_units_give_back_their_spread(
        middle in 400.0..900.0f64,
        sigma in 0.5..20.0f64,
        draws in prop::collection::vec(-2.0..2.0f64, 8..40),
        per_file in 1..9usize,
    ) {
        let values: Vec<(f64, f64)> = draws.iter().map(|z| (80.0 + z, middle + sigma * z)).collect();
        let files: Vec<(String, Bench)> = values
            .chunks(per_file)
            .enumerate()
            .map(|(at, chunk)| (format!("{at}.json"), bench(at * per_file, chunk)))
            .collect();
        let calibration = calibrate(&files, None, false).unwrap();
        prop_assert_eq!(calibration.units, values.len());
        // By the other formula: the mean of squares less the square of the mean.
        let n = draws.len() as f64;
        let (sum, squares) = (draws.iter().sum::<f64>(), draws.iter().map(|z| z * z).sum::<f64>());
        let (mean, deviation) = (middle + sigma * sum / n, sigma * ((squares - sum * sum / n) / (n - 1.0)).sqrt());
        let floor = proposal(&calibration, "throughput.bf16.min");
        prop_assert!((floor.spread.mean - mean).abs() < 1e-6 * mean);
        prop_assert!((floor.spread.deviation.unwrap() - deviation).abs() < 1e-6 * mean);
        prop_assert!((floor.value - (mean - 3.0 * deviation)).abs() < 1e-6 * mean);
        let idle = proposal(&calibration, "power.idle.max");
        prop_assert!((idle.spread.deviation.unwrap() - deviation / sigma).abs() < 1e-6);
        prop_assert!(idle.value > idle.spread.mean);
    }
}

#[test]
fn a_unit_that_was_benched_again_counts_once() {
    let files = [("a".to_owned(), bench(0, &[(80.0, 700.0)])), ("b".to_owned(), bench(0, &[(90.0, 720.0)]))];
    let calibration = calibrate(&files, None, false).unwrap();
    let floor = proposal(&calibration, "throughput.bf16.min");
    assert_eq!((calibration.units, floor.spread.count, floor.spread.mean), (1, 1, 710.0));
    // One unit tells no spread.
    assert!((floor.value - 639.0).abs() < 1e-9, "{}", floor.value);
    insta::assert_snapshot!(floor.source);
}

#[test]
fn what_is_not_of_hardware_is_refused_unless_told_and_then_marked() {
    let mut model = bench(0, &[(80.0, 700.0)]);
    model.source = NodeSource::StandIn { library: "libnvidia_ml.so".to_owned() };
    let files = [("fake.json".to_owned(), model)];
    let refused = calibrate(&files, None, false).unwrap_err();
    assert_eq!(refused, NotUsable::NotHardware { file: "fake.json".to_owned() });
    let told = calibrate(&files, None, true).unwrap();
    assert!(told.simulated && told.text().starts_with("SIMULATED"));
    assert!(told.proposals.iter().all(|one| one.source.starts_with("SIMULATED, no hardware: ")));
    assert!(
        sku_file_text("", &told).starts_with("# SIMULATED") && node_file_text("", &told).starts_with("# SIMULATED")
    );
}

#[test]
fn two_models_and_unknown_ones_are_refused() {
    let mut other = bench(1, &[(80.0, 700.0)]);
    other.gpus[0].sku = Some("h100-sxm".to_owned());
    let mut unknown = bench(1, &[(80.0, 700.0)]);
    unknown.gpus[0].sku = None;
    let first = ("a".to_owned(), bench(0, &[(80.0, 700.0)]));
    let told = [other, unknown]
        .map(|second| calibrate(&[first.clone(), ("b".to_owned(), second)], None, false).unwrap_err().to_string());
    insta::assert_snapshot!(told.join("\n"));
    assert_eq!(calibrate(&[], None, false), Err(NotUsable::None));
}

#[test]
fn a_unit_is_known_by_its_serial_number_then_its_uuid_then_its_place_in_its_file() {
    let mut same = [bench(0, &[(80.0, 700.0)]), bench(0, &[(90.0, 720.0)])];
    let count = |benches: &[Bench; 2]| {
        let files = [("a".to_owned(), benches[0].clone()), ("b".to_owned(), benches[1].clone())];
        calibrate(&files, None, false).unwrap().units
    };
    // A board that was flashed anew has another UUID and the same serial number.
    same[0].gpus[0].uuid = Some("GPU-1".to_owned());
    same[1].gpus[0].uuid = Some("GPU-2".to_owned());
    assert_eq!(count(&same), 1);
    for bench in &mut same {
        bench.gpus[0].serial = None;
    }
    assert_eq!(count(&same), 2);
    same[1].gpus[0].uuid = Some("GPU-1".to_owned());
    assert_eq!(count(&same), 1);
    // Two nodes benched in the same second, with nothing to know their GPUs by.
    for bench in &mut same {
        bench.gpus[0].uuid = None;
    }
    assert_eq!(count(&same), 2);
}

#[test]
fn a_unit_that_computed_wrong_makes_no_fact_and_is_named() {
    let mut spoiled = bench(0, &[(80.0, 700.0), (80.0, 100.0), (80.0, 300.0)]);
    spoiled.phases[2].gpus[1].mismatches = 3;
    // Flipped on purpose, and found: nothing is wrong with it.
    let mut flips = spoiled.phases[2].clone();
    flips.work = Work::Flips { kernel: BurnKernel::Bf16, count: 5 };
    for (gpu, found) in flips.gpus.iter_mut().zip([5, 5, 4]) {
        gpu.mismatches = 5;
        gpu.flips = Some(Flips { flipped: 5, found });
    }
    spoiled.phases.push(flips);
    let calibration = calibrate(&[("a.json".to_owned(), spoiled)], None, false).unwrap();
    let floor = proposal(&calibration, "throughput.bf16.min");
    assert_eq!((calibration.units, floor.spread.count, floor.spread.mean), (1, 1, 700.0));
    let out = |gpu, wrong| LeftOut::Unit { file: "a.json".to_owned(), gpu: GpuIndex(gpu), wrong };
    assert_eq!(calibration.left_out, [out(1, 3), out(2, 1)]);
    assert!(calibration.text().contains("left out: gpu/1 of a.json, which gave 3 wrong results\n"));
}

#[test]
fn a_floor_that_everything_is_above_is_not_proposed() {
    let apart = [(80.0, 10.0), (81.0, 700.0), (82.0, 20.0), (83.0, 900.0)];
    let calibration = calibrate(&[("a.json".to_owned(), bench(0, &apart))], None, false).unwrap();
    assert!(calibration.proposals.iter().all(|one| one.value > 0.0 && one.fact != "throughput.bf16.min"));
    let told = calibration.text();
    assert!(told.contains("not proposed: throughput.bf16.min: a mean of 407.5 TFLOP/s with a deviation of "), "{told}");
}

#[test]
fn a_simulated_node_of_another_model_is_refused() {
    let mut model = bench(50, &[(80.0, 700.0)]);
    model.gpus[0].sku = Some("h100-sxm".to_owned());
    let files = [("a".to_owned(), bench(0, &[(80.0, 700.0)]))];
    let refused = calibrate(&files, Some(&model), false).unwrap_err().to_string();
    insta::assert_snapshot!(refused, @"the simulated node has GPUs of h100-sxm, and the benches are of h200-sxm: name one with that model");
}

#[test]
fn phases_in_trouble_make_no_fact() {
    let mut broken = bench(0, &[(80.0, 700.0)]);
    broken.phases[1].trouble = Some(Trouble::Missed("out of memory".to_owned()));
    let calibration = calibrate(&[("a".to_owned(), broken)], None, false).unwrap();
    assert!(calibration.proposals.iter().all(|one| one.fact != "throughput.bf16.min"));
}

/// A simulation that does half of what was measured is to do twice as much, and the files made are read as files of their kind.
#[test]
fn proposed_files_are_the_old_ones_with_other_values() {
    let measured: Vec<(f64, f64)> = (0..10).map(|at| (90.0 + f64::from(at), 700.0 + f64::from(at))).collect();
    let files = [("h200.json".to_owned(), bench(0, &measured))];
    let half: Vec<(f64, f64)> = measured.iter().map(|(watts, tflops)| (watts / 2.0, tflops / 2.0)).collect();
    let calibration = calibrate(&files, Some(&bench(50, &half)), false).unwrap();
    assert!(calibration.comparisons.iter().all(|one| (one.apart_percent() + 50.0).abs() < 1e-9));

    let skus = builtin::sku_files();
    let (path, old) = skus.iter().find(|(path, _)| path.ends_with("h200-sxm.yaml")).expect("the facts of the H200");
    let new = sku_file_text(old, &calibration);
    let read = Skus::read([(*path, new.as_bytes())]).unwrap();
    let fact = |name: &str| read.by_id("h200-sxm").and_then(|sku| sku.facts.get(name)).expect("a fact").clone();
    let floor = proposal(&calibration, "throughput.bf16.min");
    let value = fact("throughput.bf16.min").value.value_in(kiln_model::Unit::Teraflops).unwrap();
    assert!((value - floor.value).abs() < 0.1 && fact("throughput.bf16.min").source == floor.source);

    let node = NodeFile::embedded_text("hgx-h200-8").expect("a node");
    let before = NodeFile::read("old", node.as_bytes()).unwrap();
    let text = node_file_text(node, &calibration);
    let after = NodeFile::read("new", text.as_bytes()).unwrap();
    assert_eq!((after.power.idle, after.memory.bandwidth), (2.0 * before.power.idle, 2.0 * before.memory.bandwidth));
    assert_eq!(after.arithmetic.bf16.efficiency, 2.0 * before.arithmetic.bf16.efficiency);
    assert_eq!(after.arithmetic.fp8.efficiency, before.arithmetic.fp8.efficiency, "nothing was measured of it");
    let changed: Vec<&str> = text.lines().filter(|line| !node.contains(line)).collect();
    insta::assert_snapshot!(changed.join("\n"));
}
