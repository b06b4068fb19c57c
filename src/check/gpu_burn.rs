//! `gpu.burn`: a verified arithmetic load on all GPUs of the step, and what they do under it.

#![expect(
    clippy::cast_possible_truncation,
    reason = "values are bounded where they are made, within the narrower type"
)]

use super::course::{Course, Rest, Turn};
use super::declare::{SETTLE_OVER, SETTLE_SLOPE, SETTLE_WITHIN, choice, may, must, quantity, required, span};
use super::gauge::LoadGauge;
use super::gauges::{Gauges, RESISTANCE_MIDDLE, gauges, put_common};
use super::meters::WORST_DISAGREEMENT;
use super::settle::Idle;
use super::sheet::{Gauged, Sheet};
use super::twins::{Board, Warmth};
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
              is too high; a longer settle-over helps. resistance.mirrored and resistance.half compare places of a board \
              as thermal.soak does, by temperatures alone: a sensor with a wrong zero shows in them too.",
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
    super::twins::MIRRORED,
    super::twins::HALF,
    super::twins::HALF_OF_FOUR,
    super::twins::OF_PAIRS,
    super::twins::APART,
    super::twins::PAIRS_APART,
    super::twins::PAIRS_APART_OF_FOUR,
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
    super::foreign::JOINED,
    RESISTANCE_MIDDLE,
    WORST_DISAGREEMENT,
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
                let board = self.board(context, over);
                for (gpu, gauge) in self.gauges.iter() {
                    let known = (self.course.idle.get(&gpu).copied(), peak(context, gpu));
                    self.gauges.put_joined(&mut sheet, gpu);
                    report(&mut sheet, Component::Gpu(gpu), gauge, over, known);
                    board.put(&mut sheet, gpu, gauge);
                }
                board.put_whole(&mut sheet, self.gauges.all_broken(context).as_ref());
                let middle = self.gauges.resistance_middle(over, context);
                sheet.put(RESISTANCE_MIDDLE.name, Component::Node, middle);
                wants.end(Done::Measured(sheet.into_list()));
            }
            Turn::Ended(done) => wants.end(done),
        }
    }
}

impl Run {
    /// The places of the board and how warm each is. By temperatures alone: where an inlet is shown nothing waits for rest.
    fn board(&self, context: &StepContext<'_>, over: Span) -> Board {
        let warmth = |(gpu, gauge): (GpuIndex, &LoadGauge)| {
            let resistance = gauge.whole(gauge.resistance(over, self.course.idle.get(&gpu).copied())).number();
            (gpu, Warmth { resistance, slope: None, power: gauge.power.mean() })
        };
        Board { gpus: context.inventory.gpus.len() as u8, all: self.gauges.iter().map(warmth).collect() }
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
    sheet.put(WORST_DISAGREEMENT.name, gpu, gauge.worst_disagreement());
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
#[path = "gpu_burn_tests.rs"]
mod tests;
