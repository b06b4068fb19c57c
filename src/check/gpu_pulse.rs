//! `gpu.pulse`: load steps in phase over all GPUs, for what only breaks at the edges.

use std::collections::BTreeMap;

use super::course::{Course, Rest, Turn};
use super::declare::{choice, may, must, quantity, span};
use super::gauges::{Gauges, gauges, put_common};
use super::gpu_burn::kernel;
use super::sheet::{Gauged, Sheet};
use super::window::Window;
use super::{Check, CheckRun, Done, Seen, StepContext, Wants};
use kiln_limit::Missing;
use kiln_model::{Component, ComponentKind, GpuIndex, LoadKind, Moment, Sensor, Span, Unit};
use kiln_profile::{CheckSpec, MeasurementSpec, Params, Wear};

#[derive(Debug)]
pub(super) struct GpuPulse;

const GPU: ComponentKind = ComponentKind::Gpu;

pub(super) static SPEC: CheckSpec = CheckSpec {
    name: "gpu.pulse",
    summary: "Steps the load of all GPUs up and down in phase, and measures the power swing, errors and braking.",
    details: "Weak power delivery, supplies at their limit and marginal timing show at load steps and not under steady \
              load; a node that reboots at a step is found by its boot id when the run resumes. The swing is taken from \
              instant power readings and needs pulses that the sampling period does not hit in the same phase each \
              time: keep hertz below half the sampling rate, or away from multiples of it. Every node swings between rest and its \
              power limit; a thousand that do so in phase are megawatts at a quarter of a hertz, which generators, \
              transformers and the grid's frequency control answer to. phase spreads them out, and `kiln profile plan` tells \
              the swing to whoever admits runs.",
    params: &[
        choice("kernel", &["bf16", "fp8", "fp32", "fp64"], "bf16", "arithmetic of the load"),
        span("for", "2m", "how long to pulse"),
        // Four seconds a period: two samples high and two low at one sample a second.
        quantity("hertz", (Unit::Hertz, 0.01, 100.0), "0.25 Hz", "pulses per second"),
        quantity("duty", (Unit::Percent, 1.0, 99.0), "50 %", "share of a period under load"),
        span(
            "phase",
            "0s",
            "wait before the first pulse; nodes that pulse together and have different ones do not step at once",
        ),
    ],
    measurements: MEASUREMENTS,
    each: &[GPU],
    wear: Wear::Stress,
    exclusive: true,
    watcher: false,
    estimate: |params: &Params, _| {
        params.span("phase").unwrap_or_default() + params.span("for").unwrap_or_default() + Span::from_secs(5)
    },
};

static MEASUREMENTS: &[MeasurementSpec] = &[
    may("power.swing", Unit::Watt, GPU, "instant board power between its 5th and 95th percentile"),
    must("power.mean", Unit::Watt, GPU, "board power, mean"),
    must("power.max", Unit::Watt, GPU, "highest board power, averaged by the driver"),
    must("temp.max", Unit::Celsius, GPU, "highest die temperature"),
    may("throughput.mean", Unit::Teraflops, GPU, "work done per second, mean over pulses and pauses"),
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
    must("verified", Unit::One, GPU, "results compared"),
    must("mismatches", Unit::One, GPU, "results that were wrong"),
];

impl Check for GpuPulse {
    fn spec(&self) -> &'static CheckSpec {
        &SPEC
    }

    fn begin(&self, context: &StepContext<'_>) -> Box<dyn CheckRun> {
        let params = context.params;
        let hertz = params.number("hertz").unwrap_or(0.25);
        let kind =
            LoadKind::Pulse { kernel: kernel(params), hertz, duty: params.number("duty").unwrap_or(50.0) / 100.0 };
        let length = params.span("for").unwrap_or_default();
        Box::new(Run {
            course: Course::new(Rest::Needless, kind, Span::ZERO, length),
            // A pulse may tell of its work only between two of its periods.
            gauges: gauges(context, 0.0).told_every(Span::from_secs_f64(1.0 / hertz).max(Span::from_secs(1))),
            instant: BTreeMap::new(),
            waits_until: None,
        })
    }
}

#[derive(Debug)]
struct Run {
    course: Course,
    gauges: Gauges,
    instant: BTreeMap<GpuIndex, Window>,
    /// When the first pulse may begin, while it may not.
    waits_until: Option<Moment>,
}

impl CheckRun for Run {
    fn observe(&mut self, context: &StepContext<'_>, now: Moment, seen: Seen<'_>, wants: &mut Wants) {
        let phase = context.params.span("phase").unwrap_or_default();
        let seen = match (self.waits_until, seen) {
            (None, Seen::Began) if !phase.is_zero() => {
                self.waits_until = Some(now + phase);
                wants.wake_at(now + phase);
                return;
            }
            (Some(until), _) if now < until => return,
            (Some(_), _) => {
                self.waits_until = None;
                Seen::Began
            }
            (None, seen) => seen,
        };
        self.gauges.take(&self.course, &seen);
        if let Seen::Sampled(sample) = &seen
            && self.course.is_measuring()
        {
            self.instant
                .entry(sample.gpu)
                .or_insert_with(|| Window::sampled(context.every))
                .take(sample.at, sample[Sensor::PowerInstant]);
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
    fn done(&self, context: &StepContext<'_>, now: Moment) -> Done {
        let over = self.course.over(now);
        let mut sheet = Sheet::new(&SPEC, context.lost);
        for (gpu, gauge) in self.gauges.iter() {
            let swing = |window: &Window| Some(window.p95()? - window.p5()?);
            let swing = self
                .instant
                .get(&gpu)
                .map_or_else(|| Gauged::Missing(Missing::NoSampleInPulses), |window| window.gauged(over, swing));
            self.gauges.put_joined(&mut sheet, gpu);
            let gpu = Component::Gpu(gpu);
            sheet.put("power.swing", gpu, gauge.at_best(swing));
            sheet.put("power.mean", gpu, gauge.at_best(gauge.power.gauged(over, Window::mean)));
            sheet.put("power.max", gpu, gauge.at_best(gauge.power.gauged(over, Window::max)));
            sheet.put("temp.max", gpu, gauge.whole(gauge.die.gauged(over, Window::max)));
            sheet.put("throughput.mean", gpu, gauge.at_best(gauge.tflops.gauged(over, Window::mean)));
            put_common(&mut sheet, gpu, gauge, over);
        }
        Done::Measured(sheet.into_list())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rig::{Rig, assert_complete, lines};

    #[test]
    fn a_phase_puts_the_first_pulse_off() {
        let mut rig = Rig::new(&GpuPulse, 1);
        rig.params.0.insert("phase".to_owned(), kiln_profile::ParamValue::Span(Span::from_secs(90)));
        let done = rig.run(&GpuPulse);
        assert_complete(&SPEC, &done, &rig.components);
        // The rig wakes with its samples, once a second.
        assert!(rig.story.first().is_some_and(|line| line.starts_with("00:01:31 start Pulse")), "{:?}", rig.story);
    }

    #[test]
    fn the_swing_is_that_of_instant_power() {
        let mut rig = Rig::new(&GpuPulse, 1);
        rig.sensors = Box::new(|scene, sample| {
            if scene.load.is_some() {
                sample.put(Sensor::PowerInstant, if scene.at % 4.0 < 2.0 { 690.0 } else { 110.0 });
                sample.put(Sensor::Power, 400.0);
            }
        });
        let done = rig.run(&GpuPulse);
        assert_complete(&SPEC, &done, &rig.components);
        insta::assert_snapshot!(rig.story.join("\n"), @r"
        00:00:00 start Pulse { kernel: Bf16, hertz: 0.25, duty: 0.5 } on 1 GPUs
        00:00:02 WarmingUp
        00:00:02 Measuring
        00:02:02 stop
        ");
        insta::assert_snapshot!(lines(&done, Component::gpu(0)), @r"
        processes.joined 0
        power.swing 580 W
        power.mean 400 W
        power.max 400 W
        temp.max 60 °C
        throughput.mean 700 TFLOP/s
        throttle.thermal 0 s
        throttle.power-brake 0 s
        ecc.corrected 0
        ecc.uncorrected 0
        remaps 0
        pcie.replays 0
        verified 120000
        mismatches 0
        clock.memory.mean 2619 MHz
        pcie.width.lost 0
        power.limit.fall 0 %
        pcie.gen.lower 0 %
        ");
    }
}
