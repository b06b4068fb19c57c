//! What a burn tells of work and heat, and what it leaves out where it cannot.

use super::*;
use crate::rig::{Rig, assert_complete, lines, progress, shown};
use kiln_model::{GpuIndex, LoadEnd, LoadSaid, NoteFact, NoteKind, Reading, Sensor};
use kiln_profile::ParamValue;

fn rig(gpus: u8) -> Rig {
    let mut rig = Rig::new(&GpuBurn, gpus);
    rig.spans(&[("for", 120), ("warmup", 60)]);
    rig
}

#[test]
fn a_healthy_burn_tells_everything_it_declares() {
    let mut rig = rig(2);
    let done = rig.run(&GpuBurn);
    assert_complete(&SPEC, &done, &rig.components);
    insta::assert_snapshot!(rig.story.join("\n"), @r"
    00:00:00 Settling
    00:00:01 start Burn(Bf16) on 2 GPUs
    00:00:03 WarmingUp
    00:01:03 Measuring
    00:03:03 stop
    ");
    insta::assert_snapshot!(lines(&done, Component::gpu(1)), @r"
    processes.joined 0
    throughput.of-peak unsupported
    power.mean 700 W
    power.p5 700 W
    power.energy-mean 700 W
    throughput.mean 700 TFLOP/s
    throughput.p5 700 TFLOP/s
    throughput.dips 0 %
    throughput.per-clock 0.39886
    clock.mean 1755 MHz
    clock.p5 1755 MHz
    clock.dips 0 %
    clock.unexplained 0 %
    temp.max 60 °C
    temp.p95 60 °C
    temp.mean 59.8167 °C
    temp.memory.max 69 °C
    temp.memory.p95 69 °C
    memory-over-die 8.93333 K
    margin.min 30 °C
    thermal.resistance 0.0497381 K/W
    throttle.thermal 0 s
    throttle.power-brake 0 s
    ecc.corrected 0
    ecc.uncorrected 0
    remaps 0
    pcie.replays 0
    verified 180000
    mismatches 0
    clock.memory.mean 2619 MHz
    pcie.width.lost 0
    power.limit.fall 0 %
    pcie.gen.lower 0 %
    power.disagreement.worst 0 %
    throttle.sw-thermal 0 s
    throttle.hw-thermal 0 s
    throttle.power-cap 0 s
    samples 100 %
    resistance.mirrored unsupported
    resistance.half unsupported
    resistance.half.of-four unsupported
    resistance.of-pairs unsupported
    ");
}

#[test]
fn without_an_inlet_the_resistance_refers_to_the_settled_idle_state() {
    let mut rig = rig(1);
    rig.sensors = Box::new(|_, sample| sample.set(Sensor::TempInlet, Reading::Unsupported));
    let done = rig.run(&GpuBurn);
    assert_eq!(rig.phases()[1], "00:01:08 WarmingUp");
    assert_eq!(shown(&done, Component::gpu(0), "thermal.resistance"), "0.0489286 K/W");
}

#[test]
fn a_node_that_never_rests_burns_all_the_same_and_misses_only_the_resistance() {
    let mut rig = rig(1);
    rig.spans(&[("settle-within", 100)]);
    rig.sensors = Box::new(|scene, sample| {
        sample.set(Sensor::TempInlet, Reading::Unsupported);
        if scene.load.is_none() {
            sample.put(Sensor::TempGpu, 30.0 + scene.at / 10.0);
        }
    });
    let done = rig.run(&GpuBurn);
    let gpu = Component::gpu(0);
    assert_eq!(shown(&done, gpu, "power.mean"), "700 W");
    assert_eq!(shown(&done, gpu, "thermal.resistance"), "missing: NoReferenceTemperature");
}

#[test]
fn a_word_that_is_also_of_the_start_of_the_load_is_no_dip_and_one_that_is_not_is() {
    // A word every four seconds. The load is under way after some twelve: the fourth word is of both sides of that.
    for (slow_word, dips) in [(13.0, "0 %"), (17.0, "2.43902 %")] {
        let mut rig = rig(1);
        rig.works = Box::new(move |scene| {
            let second = scene.load.map_or(0.0, |(_, seconds)| seconds.round());
            let is = |other: f64| (second - other).abs() < 0.5;
            let tflops = if is(slow_word) { 400.0 } else { 700.0 };
            if is(4.0 * (second / 4.0).floor() + 1.0) { vec![progress(scene, tflops)] } else { Vec::new() }
        });
        let done = rig.run(&GpuBurn);
        assert_eq!(shown(&done, Component::gpu(0), "throughput.dips"), dips, "slow at {slow_word}");
    }
}

#[test]
fn a_lost_gpu_has_no_values_and_its_siblings_have_all() {
    let mut rig = rig(2);
    rig.loses.insert(GpuIndex(1), 90);
    let done = rig.run(&GpuBurn);
    assert_eq!(shown(&done, Component::gpu(1), "power.mean"), "missing: GpuLost { at: Moment(90000000000) }");
    assert_eq!(shown(&done, Component::gpu(0), "power.mean"), "700 W");
}

#[test]
fn a_step_without_any_gpu_left_ends_at_once() {
    let mut rig = rig(1);
    rig.loses.insert(GpuIndex(0), 90);
    rig.run(&GpuBurn);
    assert_eq!(rig.took, 91.0);
}

#[test]
fn a_load_that_ends_early_leaves_no_values_of_an_idle_gpu() {
    let mut rig = rig(2);
    rig.works = Box::new(|scene| match scene.load {
        Some((_, seconds)) if seconds >= 100.0 && scene.gpu.0 == 0 => {
            vec![LoadSaid::Ended { gpu: Some(scene.gpu), end: LoadEnd::Failed("out of memory".to_owned().into()) }]
        }
        _ => vec![progress(scene, 700.0)],
    });
    let done = rig.run(&GpuBurn);
    assert_eq!(shown(&done, Component::gpu(0), "power.mean"), "missing: LoadEnded(Failed(Words(\"out of memory\")))");
    assert_eq!(shown(&done, Component::gpu(1), "throughput.mean"), "700 TFLOP/s");
}

#[test]
fn a_load_that_verifies_nothing_has_no_mismatch_count() {
    let mut rig = rig(1);
    rig.works = Box::new(|scene| {
        vec![LoadSaid::Progress { gpu: scene.gpu, tflops: 700.0, memory_gb_per_s: 0.0, verified: 0, mismatches: 0 }]
    });
    let done = rig.run(&GpuBurn);
    assert_eq!(shown(&done, Component::gpu(0), "mismatches"), "missing: NothingCompared");
}

#[test]
fn a_low_clock_needs_a_reason() {
    for (reasons, unexplained) in [(0.0, "100 %"), (4.0, "0 %"), (1.0, "100 %")] {
        let mut rig = rig(1);
        rig.sensors = Box::new(move |scene, sample| {
            if scene.load.is_some() {
                sample.put(Sensor::ClockSm, 1200.0);
                sample.put(Sensor::ClockReasons, reasons);
            }
        });
        let done = rig.run(&GpuBurn);
        assert_eq!(shown(&done, Component::gpu(0), "clock.unexplained"), unexplained);
    }
}

#[test]
fn heat_slowdown_in_the_warm_up_counts() {
    let mut rig = rig(1);
    rig.sensors = Box::new(|scene, sample| {
        let slowed = scene.load.map_or(0.0, |(_, seconds)| seconds.min(10.0) * 0.5);
        sample.put(Sensor::ThrottleHwThermal, slowed);
    });
    let done = rig.run(&GpuBurn);
    assert_eq!(shown(&done, Component::gpu(0), "throttle.thermal"), "5 s");
}

#[test]
fn the_kernel_parameter_names_the_load() {
    let mut rig = rig(1);
    rig.set("kernel", ParamValue::Text("fp64".to_owned()));
    rig.run(&GpuBurn);
    assert!(rig.story.iter().any(|line| line.contains("Burn(Fp64)")), "{:?}", rig.story);
}

#[test]
fn a_load_on_slower_kernels_is_no_measure_of_the_gpu_and_its_heat_still_is() {
    let mut rig = Rig::new(&GpuBurn, 2);
    rig.works = Box::new(|scene| {
        let what = NoteFact::Words("kernels from compute_80 PTX, slower than it could be".to_owned());
        let noted = LoadSaid::Noted { gpu: Some(scene.gpu), kind: NoteKind::SlowerKernel, what };
        let told = progress(scene, 350.0);
        if scene.gpu.0 == 1 { vec![noted, told] } else { vec![told] }
    });
    let done = rig.run(&GpuBurn);
    let why = "missing: SlowerKernel { note: Words(\"kernels from compute_80 PTX, slower than it could be\") }";
    for name in ["throughput.mean", "throughput.p5", "power.mean", "clock.mean", "clock.unexplained"] {
        assert_eq!(shown(&done, Component::gpu(1), name), why, "{name}");
    }
    assert_eq!(shown(&done, Component::gpu(1), "temp.max"), "60 °C");
    assert_eq!(shown(&done, Component::gpu(1), "mismatches"), "0");
    assert_eq!(shown(&done, Component::gpu(0), "throughput.mean"), "350 TFLOP/s");
}

#[test]
fn a_load_that_falls_silent_did_not_run_over_its_window() {
    let mut rig = Rig::new(&GpuBurn, 2);
    rig.works = Box::new(|scene| {
        let silent = scene.gpu.0 == 1 && scene.load.is_some_and(|(_, seconds)| seconds > 300.0);
        if silent { Vec::new() } else { vec![progress(scene, 700.0)] }
    });
    let done = rig.run(&GpuBurn);
    let text = shown(&done, Component::gpu(1), "power.mean");
    assert!(text.starts_with("missing: LoadSilent"), "{text}");
    assert_eq!(shown(&done, Component::gpu(0), "power.mean"), "700 W");
}

#[test]
fn no_check_tells_a_statistic_of_a_window_that_was_hardly_looked_at() {
    let checks: [&dyn Check; 6] = [
        &GpuBurn,
        &super::super::gpu_pulse::GpuPulse,
        &super::super::gpu_cooldown::GpuCooldown,
        &super::super::thermal_soak::ThermalSoak,
        &super::super::gpu_idle::GpuIdle,
        &super::super::sensor_plausibility::SensorPlausibility,
    ];
    for check in checks {
        let mut rig = Rig::new(check, 2);
        rig.late = |second| second % 9 != 0;
        let done = rig.run(check);
        let Done::Measured(list) = done else { continue };
        for one in &list {
            // What loads count themselves, counters that are only read at both ends, and looks at the inventory.
            let of_load = ["throughput", "verified", "mismatches", "samples", "settle", "steady", "power.energy-mean"];
            let looks =
                ["fabric.away", "links.away", "psus.away", "nics.away", "nvmes.away", "looks", "processes.joined"];
            let counted = of_load.iter().any(|name| one.name.starts_with(name)) || looks.contains(&one.name.as_str());
            let told = one.as_number().filter(|_| !counted);
            assert_eq!(told, None, "{}: {} {}", check.spec().name, one.name, crate::rig::told(one));
        }
    }
}
