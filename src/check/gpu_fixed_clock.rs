//! `gpu.fixed-clock`: a verified burn with the SM clock of all GPUs held at one frequency below what any good part reaches at its
//! power cap, so that no cap decides how fast a part is.

use super::course::{Course, Rest, Turn};
use super::declare::{choice, may, must, quantity, required, span};
use super::gauge::LoadGauge;
use super::gauges::{Gauges, gauges, put_common};
use super::gpu_burn::kernel;
use super::held_clock::{KEPT_WITHIN, held_clock};
use super::sheet::{Gauged, Sheet};
use super::window::Window;
use super::{Check, CheckRun, Done, Seen, StepContext, Wants};
use kiln_limit::Missing;
use kiln_model::{ClockRefusal, Component, ComponentKind, LoadEnd, LoadFault, LoadKind, Moment, Span, Unit};
use kiln_profile::{CheckSpec, MeasurementSpec, Params, Wear};

#[derive(Debug)]
pub(super) struct GpuFixedClock;

const GPU: ComponentKind = ComponentKind::Gpu;

pub(super) static SPEC: CheckSpec = CheckSpec {
    name: "gpu.fixed-clock",
    summary: "Burns with the SM clock held below the power cap, where good parts are equally fast and power tells leakage.",
    details: "At the power cap a part that leaks, or draws too much elsewhere, only takes a lower clock, in which good parts \
              differ too. With one clock for all, throughput is equal within what repeats, and what differs is power: \
              leakage and voltage of the part. The clock is held by the driver's setting (as `nvidia-smi -lgc` does), which \
              takes root, and is given back when the load ends, also if Kiln is killed. A clock that somebody else has \
              locked before is given back as well. Where the part has no such setting everything here is unsupported; \
              where Kiln may not use it, it is missing.",
    params: &[
        choice("kernel", &["bf16", "fp8", "fp32", "fp64"], "bf16", "arithmetic of the load"),
        // Half is below what public captures show at the cap, whatever the part: H100 and H200 1.2 to 1.7 of 1.98 GHz.
        quantity("clock", (Unit::Percent, 10.0, 100.0), "50 %", "SM clock, as a share of the greatest"),
        span("for", "3m", "length of the steady window"),
        span("warmup", "1m", "load before the steady window"),
    ],
    measurements: MEASUREMENTS,
    each: &[GPU],
    wear: Wear::Stress,
    exclusive: true,
    watcher: false,
    estimate: |params: &Params, _| {
        params.span("for").unwrap_or_default() + params.span("warmup").unwrap_or_default() + Span::from_secs(5)
    },
};

static MEASUREMENTS: &[MeasurementSpec] = &[
    required(may("power.mean", Unit::Watt, GPU, "board power, mean of the steady window")),
    required(may("clock.mean", Unit::Megahertz, GPU, "SM clock, mean of the steady window")),
    required(may("clock.of-held", Unit::Percent, GPU, "mean SM clock as a share of the one that was to be held")),
    required(may("throughput.mean", Unit::Teraflops, GPU, "work done per second, mean of the steady window")),
    required(may("throughput.per-clock", Unit::One, GPU, "million operations per SM clock cycle")),
    required(may("temp.mean", Unit::Celsius, GPU, "die temperature, mean of the steady window")),
    must("temp.max", Unit::Celsius, GPU, "highest die temperature in the window"),
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
    required(may("verified", Unit::One, GPU, "results compared")),
    required(may("mismatches", Unit::One, GPU, "results that were wrong")),
];

impl Check for GpuFixedClock {
    fn spec(&self) -> &'static CheckSpec {
        &SPEC
    }

    fn begin(&self, context: &StepContext<'_>) -> Box<dyn CheckRun> {
        let params = context.params;
        let span = |name| params.span(name).unwrap_or_default();
        let held = held_clock(context, "clock");
        let megahertz = held.unwrap_or_default();
        let kind = LoadKind::FixedClock { kernel: kernel(params), megahertz };
        Box::new(Run {
            course: Course::new(Rest::Needless, kind, span("warmup"), span("for")),
            gauges: gauges(context, 0.0),
            held,
        })
    }
}

#[derive(Debug)]
struct Run {
    course: Course,
    gauges: Gauges,
    /// The clock that is held, unless the driver tells of no greatest one.
    held: Option<f64>,
}

impl CheckRun for Run {
    fn observe(&mut self, context: &StepContext<'_>, now: Moment, seen: Seen<'_>, wants: &mut Wants) {
        if self.held.is_none() {
            return wants.end(self.done(context, Span::ZERO));
        }
        self.gauges.take(&self.course, &seen);
        match self.course.turn(context, now, &seen, self.gauges.any_left(context), wants) {
            Turn::Going => {}
            Turn::Over => {
                let over = self.course.over(now);
                self.gauges.close(over);
                wants.end(self.done(context, over));
            }
            Turn::Ended(done) => wants.end(done),
        }
    }
}

impl Run {
    fn done(&self, context: &StepContext<'_>, over: Span) -> Done {
        let mut sheet = Sheet::new(&SPEC, context.lost);
        for (index, gauge) in self.gauges.iter() {
            let gpu = Component::Gpu(index);
            match self.held {
                Some(held) if !is_not_offered(gauge) => {
                    report(&mut sheet, gpu, gauge, over, held);
                    self.gauges.put_joined(&mut sheet, index);
                }
                Some(_) => all(&mut sheet, gpu, &Gauged::Unsupported),
                None => all(&mut sheet, gpu, &Gauged::Missing(Missing::ClockCeilingUnknown)),
            }
        }
        Done::Measured(sheet.into_list())
    }
}

fn is_not_offered(gauge: &LoadGauge) -> bool {
    let not_offered = LoadFault::ClockNotHeld(ClockRefusal::NotOffered);
    matches!(&gauge.broken, Some(Missing::LoadEnded(LoadEnd::Failed(why))) if *why == not_offered)
}

fn all(sheet: &mut Sheet<'_>, gpu: Component, gauged: &Gauged) {
    for declared in MEASUREMENTS {
        sheet.put(declared.name, gpu, gauged.clone());
    }
}

fn report(sheet: &mut Sheet<'_>, gpu: Component, gauge: &LoadGauge, over: Span, held: f64) {
    let clock = gauge.clock.gauged(over, Window::mean);
    let of_held = match clock {
        Gauged::Number { value, samples } => Gauged::Number { value: value * 100.0 / held, samples },
        ref other => other.clone(),
    };
    // At another clock it is another test, and says nothing of the part.
    let kept = |gauged: Gauged| match clock.number() {
        Some(mean) if mean > held + KEPT_WITHIN => Gauged::Missing(Missing::ClockNotKept { held, mean }),
        _ => gauged,
    };
    for (name, gauged) in [
        ("power.mean", gauge.power.gauged(over, Window::mean)),
        ("throughput.mean", gauge.tflops.gauged(over, Window::mean)),
        ("throughput.per-clock", gauge.per_clock(over)),
    ] {
        sheet.put(name, gpu, gauge.at_best(kept(gauged)));
    }
    let of_held = kept(of_held);
    for (name, gauged) in [
        ("clock.mean", clock),
        ("clock.of-held", of_held),
        ("temp.mean", gauge.die.gauged(over, Window::mean)),
        ("temp.max", gauge.die.gauged(over, Window::max)),
    ] {
        sheet.put(name, gpu, gauge.whole(gauged));
    }
    put_common(sheet, gpu, gauge, over);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rig::{Rig, assert_complete, lines, progress, shown};
    use kiln_model::{LoadSaid, Reading, Sensor};

    fn rig(gpus: u8) -> Rig {
        let mut rig = Rig::new(&GpuFixedClock, gpus);
        rig.spans(&[("for", 60), ("warmup", 30)]);
        rig.sensors = Box::new(|scene, sample| {
            if scene.load.is_some() {
                sample.put(Sensor::ClockSm, 990.0);
                sample.put(Sensor::Power, 400.0);
            }
        });
        rig
    }

    #[test]
    fn all_gpus_work_at_half_of_the_greatest_clock_they_share() {
        let mut rig = rig(2);
        let done = rig.run(&GpuFixedClock);
        assert_complete(&SPEC, &done, &rig.components);
        insta::assert_snapshot!(rig.story.join("\n"), @r"
        00:00:00 start FixedClock { kernel: Bf16, megahertz: 990.0 } on 2 GPUs
        00:00:02 WarmingUp
        00:00:32 Measuring
        00:01:32 stop
        ");
        insta::assert_snapshot!(lines(&done, Component::gpu(1)), @r"
        power.mean 400 W
        throughput.mean 700 TFLOP/s
        throughput.per-clock 0.707071
        clock.mean 990 MHz
        clock.of-held 100 %
        temp.mean 57.8667 °C
        temp.max 60 °C
        throttle.thermal 0 s
        throttle.power-brake 0 s
        ecc.corrected 0
        ecc.uncorrected 0
        remaps 0
        pcie.replays 0
        verified 90000
        mismatches 0
        clock.memory.mean 2619 MHz
        pcie.width.lost 0
        power.limit.fall 0 %
        pcie.gen.lower 0 %
        processes.joined 0
        ");
    }

    #[test]
    fn a_part_that_does_not_keep_the_clock_shows_by_how_much() {
        let mut rig = rig(1);
        rig.sensors = Box::new(|scene, sample| {
            if scene.load.is_some() {
                sample.put(Sensor::ClockSm, 495.0);
            }
        });
        let done = rig.run(&GpuFixedClock);
        assert_eq!(shown(&done, Component::gpu(0), "clock.of-held"), "50 %");
    }

    #[test]
    fn a_clock_that_the_driver_did_not_hold_is_no_claim_about_the_part() {
        let mut rig = rig(1);
        rig.sensors = Box::new(|scene, sample| {
            if scene.load.is_some() {
                sample.put(Sensor::ClockSm, 1755.0);
            }
        });
        let done = rig.run(&GpuFixedClock);
        for name in ["clock.of-held", "power.mean", "throughput.mean"] {
            let shown = shown(&done, Component::gpu(0), name);
            assert_eq!(shown, "missing: ClockNotKept { held: 990.0, mean: 1755.0 }", "{name}");
        }
        assert_eq!(shown(&done, Component::gpu(0), "clock.mean"), "1755 MHz");
    }

    /// What GPU 1 shows whose clock cannot be held, and what its sibling shows.
    fn refused(why: ClockRefusal) -> (String, String, String) {
        let mut rig = rig(2);
        rig.works = Box::new(move |scene| match scene.load {
            Some(_) if scene.gpu == kiln_model::GpuIndex(1) => {
                let end = LoadEnd::Failed(LoadFault::ClockNotHeld(why.clone()));
                vec![LoadSaid::Ended { gpu: Some(scene.gpu), end }]
            }
            Some(_) => vec![progress(scene, 500.0)],
            None => Vec::new(),
        });
        let done = rig.run(&GpuFixedClock);
        assert_complete(&SPEC, &done, &rig.components);
        let of = |gpu, name| shown(&done, Component::gpu(gpu), name);
        (of(1, "power.mean"), of(1, "mismatches"), of(0, "power.mean"))
    }

    #[test]
    fn what_may_not_be_set_is_missing_and_what_nobody_offers_is_unsupported() {
        let (power, mismatches, sibling) = refused(ClockRefusal::NotPermitted);
        assert_eq!(power, "missing: LoadEnded(Failed(ClockNotHeld(NotPermitted)))");
        assert!(mismatches.starts_with("missing: "), "{mismatches}");
        assert_eq!(sibling, "400 W");
        let (power, mismatches, sibling) = refused(ClockRefusal::NotOffered);
        assert_eq!((power.as_str(), mismatches.as_str(), sibling.as_str()), ("unsupported", "unsupported", "400 W"));
    }

    #[test]
    fn without_a_greatest_clock_nothing_is_loaded_and_nothing_measured() {
        let mut rig = rig(1);
        rig.inventory.gpus[0].clocks.max_sm = Reading::Unsupported;
        let done = rig.run(&GpuFixedClock);
        assert!(!rig.story.iter().any(|line| line.contains("start")), "{:?}", rig.story);
        assert_eq!(shown(&done, Component::gpu(0), "power.mean"), "missing: ClockCeilingUnknown");
    }
}
