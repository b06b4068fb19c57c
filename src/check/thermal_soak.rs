//! `thermal.soak`: burns until temperatures are steady, and measures thermal resistance, drift and settling time.

#![expect(
    clippy::cast_possible_truncation,
    reason = "values are bounded where they are made, within the narrower type"
)]

use std::collections::BTreeMap;

use super::course::{Course, Rest, Turn};
use super::declare::{SETTLE_OVER, SETTLE_SLOPE, SETTLE_WITHIN, choice, flag, may, must, quantity, required, span};
use super::gauge::LoadGauge;
use super::gauges::{Gauges, RESISTANCE_MIDDLE, gauges, put_common};
use super::gpu_burn::{kernel, of_peak, peak};
use super::inventory_watch::{
    FABRIC_AWAY, InventoryWatch, LINKS_AWAY, LINKS_INACTIVE, LOOKS, NICS_AWAY, NICS_BAD, NVMES_AWAY, NVMES_BAD,
    PSUS_AWAY, PSUS_BAD,
};
use super::meters::WORST_DISAGREEMENT;
use super::offset_apart::apart;
use super::settle::Idle;
use super::sheet::{Gauged, Sheet};
use super::sloping::Sloping;
use super::soak_line::{line, offset};
use super::spells::{Around, Company, Spells};
use super::steady::Steady;
use super::twins::{Board, Warmth};
use super::window::Window;
use super::{Check, CheckRun, Done, Seen, StepContext, Wants, per_clock};
use kiln_limit::Missing;
use kiln_model::{Component, ComponentKind, GpuIndex, LoadKind, Moment, Sample, Sensor, Span, Unit};
use kiln_profile::{CheckSpec, MeasurementSpec, Params, Wear};

#[derive(Debug)]
pub(super) struct ThermalSoak;

const GPU: ComponentKind = ComponentKind::Gpu;

pub(super) static SPEC: CheckSpec = CheckSpec {
    name: "thermal.soak",
    summary: "Burns until temperatures stand still, then measures thermal resistance, drift and memory temperature.",
    details: "The node first comes to rest. Under load a GPU counts as steady once the slope of its die temperature over \
              its inlet (over the die alone where no inlet can be read) stays below steady-slope for steady-over; the \
              steady window begins when all are, or after within, whichever comes first, and a GPU that never got steady \
              says so. The thermal resistance is die over inlet per watt; where no inlet can be read it is the rise over \
              the GPU's own idle state per watt above idle, from which the coolant drops out as long as it keeps its \
              temperature. Rise and power at rest and under load give a line; where it crosses zero power the die should \
              be at the inlet, and temp.offset tells how far from it. Fans that slow down at rest raise it for all GPUs \
              alike, and rows of a board rest at different temperatures, so temp.offset.apart tells how far it is from that of \
              the nearest sibling: a sensor that is off by some degrees stands apart. The growth of the resistance over the \
              window tells contact that degrades from coolant that warms up. In spells of heat that another die has in the same \
              moments (temp.spells.shared) it is what both share, and not a contact that lifts. resistance.mirrored compares GPUs that \
              sit in the same place of the two halves of a board, by the slope between rest and load as well as by the \
              temperatures themselves, and the lesser counts: a sensor that reads low cannot make its twin look hot. It is \
              unsupported where other pairs disagree too: then the board has no such places, or a whole half is warm, which \
              resistance.half tells. Where the others disagree by about the same, resistance.of-pairs tells how far this pair is \
              from them: a GPU that is hot on the cooler half is else as warm as its twin. Zones of air or coolant need not be the halves of the \
              board: resistance.apart tells how far all GPUs lie from one another, and resistance.pairs-apart how far most pairs do.",
    params: &[
        choice("kernel", &["bf16", "fp8", "fp32", "fp64"], "bf16", "arithmetic of the load"),
        span("for", "20m", "length of the steady window"),
        span("within", "30m", "the longest wait for the steady state"),
        // A 1 K step in the middle of 10 minutes reads as 9 K/h; anything steeper is a real change.
        span("steady-over", "10m", "how long temperatures must stand still"),
        quantity(
            "steady-slope",
            (Unit::KelvinPerHour, 0.5, 600.0),
            "10 K/h",
            "the steepest change that counts as steady",
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
    estimate: |params: &Params, _| {
        let span = |name| params.span(name).unwrap_or_default();
        // Air-cooled parts need a few minutes to become steady, plus the window over which the trend is taken.
        span("settle-over") + span("within").min(span("steady-over") + Span::from_secs(600)) + span("for")
    },
};

static MEASUREMENTS: &[MeasurementSpec] = &[
    required(flag("steady", GPU, "whether the temperature came to stand still in time")),
    may("steady-time", Unit::Second, GPU, "time under load until the temperature stood still"),
    must("thermal.resistance", Unit::KelvinPerWatt, GPU, "die over inlet, or over the idle state, per watt"),
    super::twins::MIRRORED,
    super::twins::HALF,
    super::twins::HALF_OF_FOUR,
    super::twins::OF_PAIRS,
    super::twins::APART,
    super::twins::PAIRS_APART,
    super::twins::PAIRS_APART_OF_FOUR,
    may("resistance.rise", Unit::Percent, GPU, "growth of the thermal resistance over the window; 0 where it fell"),
    may(
        "resistance.rise.least",
        Unit::Percent,
        ComponentKind::Node,
        "the least resistance.rise of all GPUs, where each shows its inlet: by so much what cools them all got worse",
    ),
    may(
        "temp.spells",
        Unit::Percent,
        GPU,
        "share of the window with more than 11/10 of the usual rise over the coolant",
    ),
    may(
        "temp.spells.shared",
        Unit::Percent,
        GPU,
        "of what the die was warmer in its spells, how much the die that moved most with it was as well",
    ),
    must("drift", Unit::KelvinPerHour, GPU, "slope of the die temperature over the window"),
    may("drift.inlet", Unit::KelvinPerHour, GPU, "slope of the inlet temperature over the window"),
    must("temp.mean", Unit::Celsius, GPU, "die temperature, mean of the window"),
    must("temp.p95", Unit::Celsius, GPU, "die temperature that 5 % of the window exceeded"),
    must("temp.max", Unit::Celsius, GPU, "highest die temperature"),
    may("temp.inlet.mean", Unit::Celsius, GPU, "inlet temperature, mean of the window"),
    may("temp.inlet.max", Unit::Celsius, GPU, "highest inlet temperature"),
    may("temp.memory.p95", Unit::Celsius, GPU, "memory temperature that 5 % of the window exceeded"),
    may("memory-over-die", Unit::Kelvin, GPU, "memory temperature over die temperature"),
    may("margin.min", Unit::Celsius, GPU, "least margin to slowdown"),
    may("temp.offset", Unit::Kelvin, GPU, "die over inlet at rest that its power does not explain"),
    may("temp.offset.apart", Unit::Kelvin, GPU, "how far temp.offset is from that of the nearest sibling"),
    FABRIC_AWAY,
    LINKS_AWAY,
    LINKS_INACTIVE,
    LOOKS,
    PSUS_AWAY,
    PSUS_BAD,
    NICS_AWAY,
    NICS_BAD,
    NVMES_AWAY,
    NVMES_BAD,
    must("power.mean", Unit::Watt, GPU, "board power, mean of the window"),
    must("clock.mean", Unit::Megahertz, GPU, "SM clock, mean of the window"),
    must("throughput.mean", Unit::Teraflops, GPU, "work done per second, mean of the window"),
    must("throughput.p5", Unit::Teraflops, GPU, "work per second that 95 % of the window reached"),
    may("throughput.dips", Unit::Percent, GPU, "share of the load with less than 4/5 of the median throughput"),
    may("throughput.per-clock", Unit::One, GPU, "million operations per SM clock cycle"),
    per_clock::FALL,
    per_clock::DIPS,
    may(
        "throughput.of-peak",
        Unit::Percent,
        GPU,
        "operations per clock cycle of those the model's arithmetic units can do",
    ),
    may("throttle.thermal", Unit::Second, GPU, "time slowed for heat"),
    may("throttle.power-brake", Unit::Second, GPU, "time braked by the power supply's signal"),
    may("ecc.corrected", Unit::One, GPU, "corrected memory errors"),
    may("ecc.uncorrected", Unit::One, GPU, "uncorrectable memory errors"),
    may("remaps", Unit::One, GPU, "memory rows remapped"),
    may("pcie.replays", Unit::One, GPU, "PCIe packets sent again"),
    super::kept::MEMORY_CLOCK,
    super::kept::WIDTH_LOST,
    super::kept::GEN_LOWER,
    super::kept::LIMIT_FALL,
    super::foreign::JOINED,
    RESISTANCE_MIDDLE,
    WORST_DISAGREEMENT,
    must("verified", Unit::One, GPU, "results compared"),
    must("mismatches", Unit::One, GPU, "results that were wrong"),
    must("samples", Unit::Percent, GPU, "share of the window that good readings cover"),
];

impl Check for ThermalSoak {
    fn spec(&self) -> &'static CheckSpec {
        &SPEC
    }

    fn begin(&self, context: &StepContext<'_>) -> Box<dyn CheckRun> {
        let params = context.params;
        let span = |name| params.span(name).unwrap_or_default();
        let steepest = params.number("steady-slope").unwrap_or(10.0) / 3600.0;
        let soak = |gpu| (gpu, Soak::new(Steady::new(span("steady-over"), context.every, steepest), context.every));
        Box::new(Run {
            course: Course::new(Rest::Must, LoadKind::Burn(kernel(params)), span("within"), span("for")),
            gauges: gauges(context, 0.0),
            watch: InventoryWatch::since(context.inventory),
            soaks: context.gpus().into_iter().map(soak).collect(),
            around: Around::default(),
            company: Company::default(),
        })
    }
}

/// What is recorded of one GPU in addition to its gauge.
#[derive(Debug)]
struct Soak {
    steady: Steady,
    /// The time from the start of the load until it was steady.
    steady_after: Option<Span>,
    spells: Spells,
    /// The last inlet temperature before the load, while the node was idle.
    cool_inlet: Option<f64>,
}

#[derive(Debug)]
struct Run {
    course: Course,
    gauges: Gauges,
    watch: InventoryWatch,
    soaks: BTreeMap<GpuIndex, Soak>,
    /// What warms all dies alike over the window, where no inlet is shown.
    around: Around,
    /// What the others do while one is in a spell.
    company: Company,
}

impl CheckRun for Run {
    fn observe(&mut self, context: &StepContext<'_>, now: Moment, seen: Seen<'_>, wants: &mut Wants) {
        self.gauges.take(&self.course, &seen);
        self.watch.take(&seen);
        if let Seen::Sampled(sample) = &seen {
            self.follow(sample);
        }
        if self.course.is_warming_up() && matches!(seen, Seen::Sampled(_)) && self.all_steady(context) {
            self.course.begin_window(now, wants);
        }
        match self.course.turn(context, now, &seen, self.gauges.any_left(context), wants) {
            Turn::Going => {}
            Turn::Over => {
                self.gauges.close(self.course.over(now));
                wants.end(self.done(context, now));
            }
            Turn::Ended(done) => wants.end(done),
        }
    }
}

impl Run {
    fn follow(&mut self, sample: &Sample) {
        let idle = self.course.idle.get(&sample.gpu).copied();
        let Some(soak) = self.soaks.get_mut(&sample.gpu) else { return };
        let inlet = sample.get(Sensor::TempInlet);
        if self.course.running.is_none() && inlet.is_some() {
            soak.cool_inlet = inlet;
        }
        if let (true, Some(die), Some(running)) =
            (self.course.is_warming_up(), sample.get(Sensor::TempGpu), self.course.running)
        {
            soak.steady.take(sample.at, die - inlet.unwrap_or(0.0));
            match (soak.steady.is_steady(), soak.steady_after) {
                (true, None) => soak.steady_after = Some(sample.at.since(running)),
                (false, Some(_)) => soak.steady_after = None,
                _ => {}
            }
        }
        if self.course.is_measuring()
            && let (Some(die), Some(power)) = (sample.get(Sensor::TempGpu), sample.get(Sensor::Power))
        {
            self.around.take(sample.gpu, die);
            let (from, at_rest) = match (inlet, idle) {
                (Some(inlet), _) => (inlet, 0.0),
                // A room that gets warmer moves the dies of all, of which the idle state knows nothing.
                (None, Some(Idle { die, power: Some(power) })) => (die + self.around.moved(), power),
                (None, _) => return,
            };
            if power > at_rest {
                self.company.take(sample.gpu, soak.spells.take(sample.at, (die, from), power - at_rest));
            }
        }
    }

    fn all_steady(&self, context: &StepContext<'_>) -> bool {
        let alive = |gpu: &GpuIndex| !context.lost.contains_key(gpu);
        self.soaks.iter().filter(|(gpu, _)| alive(gpu)).all(|(_, soak)| soak.steady_after.is_some())
    }

    fn done(&self, context: &StepContext<'_>, now: Moment) -> Done {
        let over = self.course.over(now);
        let length = context.params.span("for").unwrap_or_default().as_secs_f64();
        let mut sheet = Sheet::new(&SPEC, context.lost);
        let warmth = |(gpu, gauge): (GpuIndex, &LoadGauge)| {
            let idle = self.course.idle.get(&gpu).copied();
            let line = self.soaks.get(&gpu).map(|soak| line(gauge, idle, soak.cool_inlet, over));
            let warmth = Warmth {
                resistance: gauge.whole(gauge.resistance(over, idle)).number(),
                slope: line.as_ref().and_then(|line| line.as_ref().ok()).map(|line| line.slope),
                power: gauge.power.mean(),
            };
            (gpu, warmth)
        };
        let board = Board { gpus: context.inventory.gpus.len() as u8, all: self.gauges.iter().map(warmth).collect() };
        let offsets: BTreeMap<GpuIndex, Gauged> = self
            .gauges
            .iter()
            .filter_map(|(gpu, gauge)| {
                let (idle, soak) = (self.course.idle.get(&gpu).copied(), self.soaks.get(&gpu)?);
                Some((gpu, gauge.whole(offset(line(gauge, idle, soak.cool_inlet, over)))))
            })
            .collect();
        for (index, gauge) in self.gauges.iter() {
            let Some(soak) = self.soaks.get(&index) else { continue };
            let idle = self.course.idle.get(&index).copied();
            let gpu = Component::Gpu(index);
            sheet.put("thermal.resistance", gpu, gauge.whole(gauge.resistance(over, idle)));
            board.put(&mut sheet, index, gauge);
            put_soak(&mut sheet, gpu, soak, gauge, over, length);
            sheet.put("temp.spells.shared", gpu, self.company.shared(index));
            sheet.put("temp.offset", gpu, offsets.get(&index).cloned().unwrap_or(Gauged::Unsupported));
            let rest = |gpu: GpuIndex| self.course.idle.get(&gpu).and_then(|idle| idle.power);
            sheet.put("temp.offset.apart", gpu, apart(&offsets, index, rest));
            sheet.put("throughput.per-clock", gpu, gauge.at_best(gauge.per_clock(over)));
            sheet.put("throughput.of-peak", gpu, gauge.at_best(of_peak(&gauge.per_clock(over), peak(context, index))));
            put_steady_values(&mut sheet, gpu, gauge, over);
            sheet.put("throughput.dips", gpu, gauge.at_best(gauge.dips(over)));
            per_clock::put(&mut sheet, gpu, gauge, over);
            self.watch.put_fabric(&mut sheet, index);
            self.watch.put_links(&mut sheet, index);
            put_common(&mut sheet, gpu, gauge, over);
            self.gauges.put_joined(&mut sheet, index);
            sheet.put(WORST_DISAGREEMENT.name, gpu, gauge.worst_disagreement());
            sheet.put("samples", gpu, gauge.coverage(over));
        }
        // Without an inlet the rise of each is over what all dies do, so that nothing is left of what they share.
        // One that is lost is told by itself, and what cools the others is known without it.
        let there = self.gauges.iter().filter(|(gpu, _)| !context.lost.contains_key(gpu));
        let rises = there.filter_map(|(gpu, gauge)| {
            let (inlet, soak) = (gauge.inlet.gauged(over, Window::mean), self.soaks.get(&gpu)?);
            Some(gauge.whole(if inlet.number().is_some() { soak.spells.growth(over, length) } else { inlet }))
        });
        sheet.put("resistance.rise.least", Component::Node, Gauged::least(rises));
        board.put_whole(&mut sheet, self.gauges.all_broken(context).as_ref());
        sheet.put(RESISTANCE_MIDDLE.name, Component::Node, self.gauges.resistance_middle(over, context));
        self.watch.put_parts(&mut sheet);
        Done::Measured(sheet.into_list())
    }
}

impl Soak {
    fn new(steady: Steady, every: Span) -> Self {
        Self { steady, steady_after: None, spells: Spells::sampled(every), cool_inlet: None }
    }
}

fn put_soak(sheet: &mut Sheet<'_>, gpu: Component, soak: &Soak, gauge: &LoadGauge, over: Span, length: f64) {
    let time = match soak.steady_after {
        Some(after) => Gauged::once(after.as_secs_f64()),
        None => Gauged::Missing(Missing::NeverSteady),
    };
    sheet.put("steady", gpu, gauge.whole(Gauged::Flag(soak.steady_after.is_some())));
    sheet.put("steady-time", gpu, gauge.whole(time));
    sheet.put("resistance.rise", gpu, gauge.whole(soak.spells.growth(over, length)));
    sheet.put("temp.spells", gpu, gauge.whole(soak.spells.share(over)));
    let per_hour = |celsius: &Sloping| celsius.gauged(over, |_| Some(celsius.slope()? * 3600.0));
    sheet.put("drift", gpu, gauge.whole(per_hour(&gauge.die)));
    sheet.put("drift.inlet", gpu, gauge.whole(per_hour(&gauge.inlet)));
}

fn put_steady_values(sheet: &mut Sheet<'_>, gpu: Component, gauge: &LoadGauge, over: Span) {
    for (name, gauged) in [
        ("temp.mean", gauge.die.gauged(over, Window::mean)),
        ("temp.p95", gauge.die.gauged(over, Window::p95)),
        ("temp.max", gauge.die.gauged(over, Window::max)),
        ("temp.inlet.mean", gauge.inlet.gauged(over, Window::mean)),
        ("temp.inlet.max", gauge.inlet.gauged(over, Window::max)),
        ("temp.memory.p95", gauge.memory.gauged(over, Window::p95)),
        ("memory-over-die", gauge.memory_over_die(over)),
        ("margin.min", gauge.margin.gauged(over, Window::min)),
    ] {
        sheet.put(name, gpu, gauge.whole(gauged));
    }
    for (name, gauged) in [
        ("power.mean", gauge.power.gauged(over, Window::mean)),
        ("clock.mean", gauge.clock.gauged(over, Window::mean)),
        ("throughput.mean", gauge.tflops.gauged(over, Window::mean)),
        ("throughput.p5", gauge.tflops.gauged(over, Window::p5)),
    ] {
        sheet.put(name, gpu, gauge.at_best(gauged));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rig::{Rig, assert_complete, lines, shown};
    use kiln_model::Reading;

    #[test]
    fn a_soak_measures_once_temperatures_stand_still() {
        let mut rig = Rig::new(&ThermalSoak, 2);
        let done = rig.run(&ThermalSoak);
        assert_complete(&SPEC, &done, &rig.components);
        insta::assert_snapshot!(rig.story.join("\n"), @r"
        00:00:00 Settling
        00:01:06 start Burn(Bf16) on 2 GPUs
        00:01:08 WarmingUp
        00:12:19 Measuring
        00:32:19 stop
        ");
        insta::assert_snapshot!(lines(&done, Component::gpu(1)), @r"
        thermal.resistance 0.05 K/W
        resistance.mirrored unsupported
        resistance.half unsupported
        resistance.half.of-four unsupported
        resistance.of-pairs unsupported
        steady true
        steady-time 671 s
        resistance.rise 0 %
        temp.spells 0 %
        drift 0 K/h
        drift.inlet 0 K/h
        temp.spells.shared unsupported
        temp.offset 0.555556 K
        temp.offset.apart unsupported
        throughput.per-clock 0.39886
        throughput.of-peak unsupported
        temp.mean 60 °C
        temp.p95 60 °C
        temp.max 60 °C
        temp.inlet.mean 25 °C
        temp.inlet.max 25 °C
        temp.memory.p95 69 °C
        memory-over-die 9 K
        margin.min 30 °C
        power.mean 700 W
        clock.mean 1755 MHz
        throughput.mean 700 TFLOP/s
        throughput.p5 700 TFLOP/s
        throughput.dips 0 %
        throughput.per-clock.fall 0 %
        throughput.per-clock.dips 0 %
        fabric.away unsupported
        links.away 0
        links.inactive none
        throttle.thermal 0 s
        throttle.power-brake 0 s
        ecc.corrected 0
        ecc.uncorrected 0
        remaps 0
        pcie.replays 0
        verified 1871000
        mismatches 0
        clock.memory.mean 2619 MHz
        pcie.width.lost 0
        power.limit.fall 0 %
        pcie.gen.lower 0 %
        processes.joined 0
        power.disagreement.worst 0 %
        samples 99.9167 %
        ");
    }

    #[test]
    fn a_gpu_that_warms_on_and_on_says_so_and_its_drift() {
        let mut rig = Rig::new(&ThermalSoak, 2);
        rig.sensors = Box::new(|scene, sample| {
            if let (1, Some((_, seconds))) = (scene.gpu.0, scene.load) {
                sample.put(Sensor::TempGpu, 55.0 + seconds / 120.0);
            }
        });
        let done = rig.run(&ThermalSoak);
        let gpu = Component::gpu(1);
        assert_eq!(shown(&done, gpu, "steady"), "false");
        assert_eq!(shown(&done, gpu, "drift"), "30 K/h");
        assert!(shown(&done, gpu, "resistance.rise").starts_with("20.07"), "{}", shown(&done, gpu, "resistance.rise"));
        assert_eq!(shown(&done, Component::gpu(0), "steady"), "true");
    }

    #[test]
    fn without_an_inlet_everything_refers_to_the_idle_state() {
        let mut rig = Rig::new(&ThermalSoak, 1);
        rig.sensors = Box::new(|_, sample| sample.set(Sensor::TempInlet, Reading::Unsupported));
        let done = rig.run(&ThermalSoak);
        let gpu = Component::gpu(0);
        assert_eq!(shown(&done, gpu, "thermal.resistance"), "0.0492063 K/W");
        assert_eq!(shown(&done, gpu, "resistance.rise"), "0 %");
        assert_eq!(shown(&done, gpu, "drift.inlet"), "unsupported");
    }
}
