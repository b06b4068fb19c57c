//! `gpu.burn`: a verified arithmetic load on all GPUs of the step, and what they do under it.

use super::course::{Course, Rest, Turn};
use super::declare::{SETTLE_OVER, SETTLE_SLOPE, SETTLE_WITHIN, choice, may, must, quantity, required, span};
use super::gauge::{Gauges, LoadGauge, gauges, put_common};
use super::settle::Idle;
use super::sheet::{Gauged, Sheet};
use super::window::Window;
use super::{Check, CheckRun, Done, Seen, StepContext, Wants};
use kiln_model::{BurnKernel, Component, ComponentKind, GpuIndex, LoadKind, Moment, Span, Unit};
use kiln_profile::{CheckSpec, MeasurementSpec, Params, Wear};

#[derive(Debug)]
pub(super) struct GpuBurn;

const GPU: ComponentKind = ComponentKind::Gpu;

pub(super) static SPEC: CheckSpec = CheckSpec {
    name: "gpu.burn",
    summary: "Runs verified matrix products at full power and measures work, power, clocks, heat and errors.",
    details: "Where no inlet temperature can be read, the check first waits for the node to come to rest, so that the \
              thermal resistance can refer to the GPU's own idle state. It then loads all GPUs of the step at once, \
              lets them warm up, and takes statistics over the steady window that follows. Counters (throttling, ECC, \
              remaps, replays) and wrong results count from the start of the load, warm-up included. A GPU that is slow \
              without saying why shows in clock.unexplained; one that is slow within all limits shows only against \
              its peers. The thermal resistance of parts whose idle state was taken while the coolant was warming up \
              is too high; a longer settle-over helps.",
    params: &[
        choice("kernel", &["bf16", "fp8", "fp32", "fp64"], "bf16", "arithmetic of the load"),
        span("for", "10m", "length of the steady window"),
        span("warmup", "2m", "load before the steady window"),
        choice("verify", &["exact"], "exact", "how results are compared: bit for bit with a computed reference"),
        quantity(
            "clock-floor",
            (Unit::Percent, 1.0, 100.0),
            "90 %",
            "share of the greatest SM clock under which a clock needs a reason",
        ),
        SETTLE_WITHIN,
        SETTLE_OVER,
        SETTLE_SLOPE,
    ],
    measurements: MEASUREMENTS,
    each: &[GPU],
    wear: Wear::Stress,
    exclusive: true,
    watcher: false,
    estimate,
};

static MEASUREMENTS: &[MeasurementSpec] = &[
    must("power.mean", Unit::Watt, GPU, "board power, mean of the steady window"),
    must("power.p5", Unit::Watt, GPU, "board power that 95 % of the window reached"),
    may("power.energy-mean", Unit::Watt, GPU, "mean power by the energy counter, independent of power readings"),
    must("throughput.mean", Unit::Teraflops, GPU, "work done per second, mean of the steady window"),
    must("throughput.p5", Unit::Teraflops, GPU, "work per second that 95 % of the window reached"),
    may("throughput.dips", Unit::Percent, GPU, "share of the load with less than 4/5 of the median throughput"),
    may("throughput.per-clock", Unit::One, GPU, "million operations per SM clock cycle"),
    may(
        "throughput.of-peak",
        Unit::Percent,
        GPU,
        "operations per clock cycle of those the model's arithmetic units can do",
    ),
    must("clock.mean", Unit::Megahertz, GPU, "SM clock, mean of the steady window"),
    must("clock.p5", Unit::Megahertz, GPU, "SM clock that 95 % of the window reached"),
    may("clock.dips", Unit::Percent, GPU, "share of the window with less than 4/5 of the median SM clock"),
    may("clock.unexplained", Unit::Percent, GPU, "share of the window with a low SM clock and no reason given"),
    must("temp.max", Unit::Celsius, GPU, "highest die temperature in the window"),
    must("temp.p95", Unit::Celsius, GPU, "die temperature that 5 % of the window exceeded"),
    must("temp.mean", Unit::Celsius, GPU, "die temperature, mean of the steady window"),
    may("temp.memory.max", Unit::Celsius, GPU, "highest memory temperature in the window"),
    may("temp.memory.p95", Unit::Celsius, GPU, "memory temperature that 5 % of the window exceeded"),
    may("memory-over-die", Unit::Kelvin, GPU, "memory temperature over die temperature, mean of the window"),
    may("margin.min", Unit::Celsius, GPU, "least margin to slowdown in the window"),
    may("thermal.resistance", Unit::KelvinPerWatt, GPU, "die over inlet, or over the idle state, per watt"),
    may("throttle.thermal", Unit::Second, GPU, "time slowed for heat, by software and hardware together"),
    may("throttle.sw-thermal", Unit::Second, GPU, "time slowed for heat by the driver"),
    may("throttle.hw-thermal", Unit::Second, GPU, "time slowed for heat by the hardware"),
    may("throttle.power-cap", Unit::Second, GPU, "time held by the power cap; normal at full load"),
    may("throttle.power-brake", Unit::Second, GPU, "time braked by the power supply's signal"),
    may("ecc.corrected", Unit::One, GPU, "corrected memory errors during the load"),
    may("ecc.uncorrected", Unit::One, GPU, "uncorrectable memory errors during the load"),
    may("remaps", Unit::One, GPU, "memory rows remapped during the load"),
    may("pcie.replays", Unit::One, GPU, "PCIe packets sent again during the load"),
    super::kept::MEMORY_CLOCK,
    super::kept::WIDTH_LOST,
    super::kept::GEN_LOWER,
    super::kept::LIMIT_FALL,
    required(may("verified", Unit::One, GPU, "results compared")),
    required(may("mismatches", Unit::One, GPU, "results that were wrong")),
    must("samples", Unit::Percent, GPU, "share of the window that good readings cover"),
];

fn estimate(params: &Params, _: usize) -> Span {
    let span = |name| params.span(name).unwrap_or_default();
    // At least one settling window; most nodes are at rest already when the step begins.
    span("warmup") + span("for") + span("settle-over")
}

impl Check for GpuBurn {
    fn spec(&self) -> &'static CheckSpec {
        &SPEC
    }

    fn begin(&self, context: &StepContext<'_>) -> Box<dyn CheckRun> {
        let params = context.params;
        let span = |name| params.span(name).unwrap_or_default();
        let floor = params.number("clock-floor").unwrap_or(90.0);
        Box::new(Run {
            course: Course::new(Rest::ForReference, LoadKind::Burn(kernel(params)), span("warmup"), span("for")),
            gauges: gauges(context, floor),
        })
    }
}

/// Returns the kernel that the parameter `kernel` of a step names.
pub(super) fn kernel(params: &Params) -> BurnKernel {
    kernel_named(params, "kernel")
}

/// Returns the kernel that the parameter `name` asks for.
pub(super) fn kernel_named(params: &Params, name: &str) -> BurnKernel {
    match params.text(name) {
        Some("fp8") => BurnKernel::Fp8,
        Some("fp32") => BurnKernel::Fp32,
        Some("fp64") => BurnKernel::Fp64,
        _ => BurnKernel::Bf16,
    }
}

#[derive(Debug)]
struct Run {
    course: Course,
    gauges: Gauges,
}

impl CheckRun for Run {
    fn observe(&mut self, context: &StepContext<'_>, now: Moment, seen: Seen<'_>, wants: &mut Wants) {
        self.gauges.take(&self.course, &seen);
        match self.course.turn(context, now, &seen, self.gauges.any_left(context), wants) {
            Turn::Going => {}
            Turn::Over => {
                let over = self.course.over(now);
                self.gauges.close(over);
                let mut sheet = Sheet::new(&SPEC, context.lost);
                for (gpu, gauge) in self.gauges.iter() {
                    let known = (self.course.idle.get(&gpu).copied(), peak(context, gpu));
                    report(&mut sheet, Component::Gpu(gpu), gauge, over, known);
                }
                wants.end(Done::Measured(sheet.into_list()));
            }
            Turn::Ended(done) => wants.end(done),
        }
    }
}

/// Returns the peak of the GPU model with this arithmetic, in million operations per clock cycle, if its facts have it.
pub(super) fn peak(context: &StepContext<'_>, gpu: GpuIndex) -> Option<f64> {
    let fact = match kernel(context.params) {
        BurnKernel::Bf16 => "bf16.per-clock",
        BurnKernel::Fp8 | BurnKernel::Fp32 | BurnKernel::Fp64 => return None,
    };
    context.skus.get(&gpu)?.fact_in(fact, Unit::One)
}

/// Relates work per clock cycle to the peak. This is independent of clocks and the power cap, in which good parts differ.
pub(super) fn of_peak(per_clock: &Gauged, peak: Option<f64>) -> Gauged {
    match (per_clock, peak) {
        (Gauged::Number { value, samples }, Some(peak)) => {
            Gauged::Number { value: value * 100.0 / peak, samples: *samples }
        }
        (Gauged::Number { .. }, None) => Gauged::Unsupported,
        (other, _) => other.clone(),
    }
}

fn report(
    sheet: &mut Sheet<'_>,
    gpu: Component,
    gauge: &LoadGauge,
    over: Span,
    (idle, peak): (Option<Idle>, Option<f64>),
) {
    put_work(sheet, gpu, gauge, over, peak);
    put_heat(sheet, gpu, gauge, over, idle);
    put_common(sheet, gpu, gauge, over);
    sheet.put("throttle.sw-thermal", gpu, gauge.ticks.growth(gauge.counters.sw_thermal.gauged(), over));
    sheet.put("throttle.hw-thermal", gpu, gauge.ticks.growth(gauge.counters.hw_thermal.gauged(), over));
    sheet.put("throttle.power-cap", gpu, gauge.ticks.growth(gauge.counters.power_cap.gauged(), over));
    sheet.put("samples", gpu, gauge.coverage(over));
}

/// Adds power, throughput and clocks to the sheet.
fn put_work(sheet: &mut Sheet<'_>, gpu: Component, gauge: &LoadGauge, over: Span, peak: Option<f64>) {
    let clock = gauge.clock.gauged(over, Window::mean);
    let tflops = gauge.tflops.gauged(over, Window::mean);
    let per_clock = gauge.per_clock(over);
    sheet.put("throughput.of-peak", gpu, gauge.at_best(of_peak(&per_clock, peak)));
    for (name, gauged) in [
        ("power.mean", gauge.power.gauged(over, Window::mean)),
        ("power.p5", gauge.power.gauged(over, Window::p5)),
        ("power.energy-mean", gauge.energy.rate(over)),
        ("throughput.mean", tflops),
        ("throughput.p5", gauge.tflops.gauged(over, Window::p5)),
        ("throughput.dips", gauge.dips(over)),
        ("throughput.per-clock", per_clock),
        ("clock.mean", clock),
        ("clock.p5", gauge.clock.gauged(over, Window::p5)),
        ("clock.dips", gauge.clock.gauged(over, Window::dips)),
        ("clock.unexplained", gauge.unexplained(over)),
    ] {
        sheet.put(name, gpu, gauge.at_best(gauged));
    }
}

fn put_heat(sheet: &mut Sheet<'_>, gpu: Component, gauge: &LoadGauge, over: Span, idle: Option<Idle>) {
    for (name, gauged) in [
        ("temp.max", gauge.die.gauged(over, Window::max)),
        ("temp.p95", gauge.die.gauged(over, Window::p95)),
        ("temp.mean", gauge.die.gauged(over, Window::mean)),
        ("temp.memory.max", gauge.memory.gauged(over, Window::max)),
        ("temp.memory.p95", gauge.memory.gauged(over, Window::p95)),
        ("memory-over-die", gauge.memory_over_die(over)),
        ("margin.min", gauge.margin.gauged(over, Window::min)),
        ("thermal.resistance", gauge.resistance(over, idle)),
    ] {
        sheet.put(name, gpu, gauge.whole(gauged));
    }
}

#[cfg(test)]
mod tests {
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
        throttle.sw-thermal 0 s
        throttle.hw-thermal 0 s
        throttle.power-cap 0 s
        samples 100 %
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
        assert_eq!(
            shown(&done, Component::gpu(0), "power.mean"),
            "missing: LoadEnded(Failed(Words(\"out of memory\")))"
        );
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
                let of_load =
                    ["throughput", "verified", "mismatches", "samples", "settle", "steady", "power.energy-mean"];
                let looks = ["fabric.away", "links.away", "psus.away", "nics.away", "nvmes.away", "looks"];
                let counted =
                    of_load.iter().any(|name| one.name.starts_with(name)) || looks.contains(&one.name.as_str());
                let told = one.as_number().filter(|_| !counted);
                assert_eq!(told, None, "{}: {} {}", check.spec().name, one.name, crate::rig::told(one));
            }
        }
    }
}
