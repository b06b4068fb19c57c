//! `gpu.idle`: what every GPU draws and how warm it is once the node has come to rest.

use std::collections::BTreeMap;

use super::course::never_rested;
use super::declare::{SETTLE_OVER, SETTLE_SLOPE, SETTLE_WITHIN, may, must, span};
use super::delta::CounterSpan;
use super::settle::{Settle, Settling};
use super::sheet::Sheet;
use super::window::Window;
use super::{Check, CheckRun, Done, Seen, StepContext, Wants};
use kiln_event::Phase;
use kiln_model::{Component, ComponentKind, GpuIndex, Moment, Sample, Sensor, Span, Unit};
use kiln_profile::{CheckSpec, MeasurementSpec, Params, Wear};

#[derive(Debug)]
pub(super) struct GpuIdle;

const GPU: ComponentKind = ComponentKind::Gpu;

pub(super) static SPEC: CheckSpec = CheckSpec {
    name: "gpu.idle",
    summary: "Waits for the node to come to rest and measures power, temperatures and clocks of idle GPUs.",
    details: "A GPU that draws much at rest leaks, has a stuck clock or a program on it; one that is warm at rest has bad \
              contact or a warm neighbour. Bad contact hardly shows at idle power, so limits here catch gross faults \
              only. If the node is not at rest within settle-within the step cannot decide.",
    params: &[span("for", "30s", "length of the window"), SETTLE_WITHIN, SETTLE_OVER, SETTLE_SLOPE],
    measurements: MEASUREMENTS,
    each: &[GPU],
    wear: Wear::None,
    exclusive: true,
    watcher: false,
    estimate: |params: &Params, _| {
        params.span("for").unwrap_or_default() + params.span("settle-over").unwrap_or_default()
    },
};

static MEASUREMENTS: &[MeasurementSpec] = &[
    must("settle-time", Unit::Second, GPU, "how long the node took to come to rest"),
    must("power.mean", Unit::Watt, GPU, "board power at rest"),
    must("power.max", Unit::Watt, GPU, "highest board power at rest"),
    must("power.p95", Unit::Watt, GPU, "board power that 5 % of the rest exceeded"),
    must("temp.mean", Unit::Celsius, GPU, "die temperature at rest"),
    must("temp.max", Unit::Celsius, GPU, "highest die temperature at rest"),
    may("temp.memory.mean", Unit::Celsius, GPU, "memory temperature at rest"),
    may("temp.inlet.mean", Unit::Celsius, GPU, "inlet temperature"),
    may("temp.over-inlet", Unit::Kelvin, GPU, "die over inlet at rest"),
    must("clock.mean", Unit::Megahertz, GPU, "SM clock at rest"),
    may("util.max", Unit::Percent, GPU, "highest utilisation at rest"),
    may("throttle.thermal", Unit::Second, GPU, "time slowed for heat at rest"),
    may("throttle.power-brake", Unit::Second, GPU, "time braked by the power supply's signal at rest"),
];

impl Check for GpuIdle {
    fn spec(&self) -> &'static CheckSpec {
        &SPEC
    }

    fn begin(&self, context: &StepContext<'_>) -> Box<dyn CheckRun> {
        let rests = context.gpus().into_iter().map(|gpu| (gpu, Resting::new(context.every))).collect();
        Box::new(Run { stage: Stage::Fresh, rests })
    }
}

#[derive(Debug)]
struct Resting {
    power: Window,
    die: Window,
    memory: Window,
    inlet: Window,
    over_inlet: Window,
    clock: Window,
    util: Window,
    /// Samples of any kind.
    ticks: Window,
    sw_thermal: CounterSpan,
    hw_thermal: CounterSpan,
    power_brake: CounterSpan,
}

#[derive(Debug)]
enum Stage {
    Fresh,
    Settling(Settle),
    Measuring { began: Moment, until: Moment, settled: Span },
}

#[derive(Debug)]
struct Run {
    stage: Stage,
    rests: BTreeMap<GpuIndex, Resting>,
}

impl CheckRun for Run {
    fn observe(&mut self, context: &StepContext<'_>, now: Moment, seen: Seen<'_>, wants: &mut Wants) {
        match (&mut self.stage, &seen) {
            (Stage::Fresh, Seen::Began) => {
                let settle = Settle::new(context, now);
                wants.enter(Phase::Settling, Some(settle.deadline()));
                wants.wake_at(settle.deadline());
                self.stage = Stage::Settling(settle);
            }
            (Stage::Settling(settle), Seen::Sampled(sample)) => settle.take(sample),
            (Stage::Measuring { .. }, Seen::Sampled(sample)) => {
                if let Some(rest) = self.rests.get_mut(&sample.gpu) {
                    rest.take(sample);
                }
            }
            _ => {}
        }
        match &self.stage {
            Stage::Settling(settle) => match settle.state(now, context.lost) {
                Settling::Waiting => {}
                Settling::Settled => {
                    let until = now + context.params.span("for").unwrap_or_default();
                    wants.enter(Phase::Measuring, Some(until));
                    wants.wake_at(until);
                    self.stage = Stage::Measuring { began: now, until, settled: settle.took(now) };
                }
                Settling::TimedOut(why) => wants.end(never_rested(why)),
            },
            Stage::Measuring { began, until, settled } if now >= *until => {
                wants.end(self.done(context, now.since(*began), *settled));
            }
            _ => {}
        }
    }
}

impl Resting {
    fn new(every: Span) -> Self {
        let sampled = || Window::sampled(every);
        Self {
            power: sampled(),
            die: sampled(),
            memory: sampled(),
            inlet: sampled(),
            over_inlet: sampled(),
            clock: sampled(),
            util: sampled(),
            ticks: sampled(),
            sw_thermal: CounterSpan::default(),
            hw_thermal: CounterSpan::default(),
            power_brake: CounterSpan::default(),
        }
    }

    fn take(&mut self, sample: &Sample) {
        let at = sample.at;
        self.ticks.add(at, 1.0);
        self.power.take(at, sample[Sensor::Power]);
        self.die.take(at, sample[Sensor::TempGpu]);
        self.memory.take(at, sample[Sensor::TempMemory]);
        self.inlet.take(at, sample[Sensor::TempInlet]);
        self.clock.take(at, sample[Sensor::ClockSm]);
        self.util.take(at, sample[Sensor::UtilGpu]);
        self.sw_thermal.take(at, sample[Sensor::ThrottleSwThermal]);
        self.hw_thermal.take(at, sample[Sensor::ThrottleHwThermal]);
        self.power_brake.take(at, sample[Sensor::ThrottlePowerBrake]);
        if let (Some(die), Some(inlet)) = (sample.get(Sensor::TempGpu), sample.get(Sensor::TempInlet)) {
            self.over_inlet.add(at, die - inlet);
        }
    }
}

impl Run {
    fn done(&self, context: &StepContext<'_>, over: Span, settled: Span) -> Done {
        let mut sheet = Sheet::new(&SPEC, context.lost);
        for (gpu, rest) in &self.rests {
            let gpu = Component::Gpu(*gpu);
            let inlet = rest.inlet.gauged(over, Window::mean);
            let over_inlet =
                if inlet.number().is_some() { rest.over_inlet.gauged(over, Window::mean) } else { inlet.clone() };
            for (name, gauged) in [
                ("settle-time", super::sheet::Gauged::once(settled.as_secs_f64())),
                ("power.mean", rest.power.gauged(over, Window::mean)),
                ("power.max", rest.power.gauged(over, Window::max)),
                ("power.p95", rest.power.gauged(over, Window::p95)),
                ("temp.mean", rest.die.gauged(over, Window::mean)),
                ("temp.max", rest.die.gauged(over, Window::max)),
                ("temp.memory.mean", rest.memory.gauged(over, Window::mean)),
                ("temp.inlet.mean", inlet),
                ("temp.over-inlet", over_inlet),
                ("clock.mean", rest.clock.gauged(over, Window::mean)),
                ("util.max", rest.util.gauged(over, Window::max)),
                ("throttle.thermal", rest.ticks.growth(rest.sw_thermal.gauged().plus(rest.hw_thermal.gauged()), over)),
                ("throttle.power-brake", rest.ticks.growth(rest.power_brake.gauged(), over)),
            ] {
                sheet.put(name, gpu, gauged);
            }
        }
        Done::Measured(sheet.into_list())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rig::{Rig, assert_complete, lines};
    use kiln_event::{Reason, Restless};

    #[test]
    fn idle_values_are_taken_once_the_node_rests() {
        let mut rig = Rig::new(&GpuIdle, 2);
        rig.sensors = Box::new(|scene, sample| {
            // Warm from something before the step.
            sample.put(Sensor::TempGpu, (29.0 + 30.0 * (-scene.at / 100.0).exp()).round());
            sample.put(Sensor::UtilGpu, if scene.at < 20.0 { 100.0 } else { 0.0 });
        });
        let done = rig.run(&GpuIdle);
        assert_complete(&SPEC, &done, &rig.components);
        insta::assert_snapshot!(rig.story.join("\n"), @r"
        00:00:00 Settling
        00:04:11 Measuring
        ");
        insta::assert_snapshot!(lines(&done, Component::gpu(1)), @r"
        settle-time 250 s
        power.mean 70 W
        power.max 70 W
        power.p95 70 W
        temp.mean 31 °C
        temp.max 31 °C
        temp.memory.mean 31 °C
        temp.inlet.mean 25 °C
        temp.over-inlet 6 K
        clock.mean 345 MHz
        util.max 0 %
        throttle.thermal 0 s
        throttle.power-brake 0 s
        ");
    }

    #[test]
    fn a_restless_node_cannot_be_judged() {
        let mut rig = Rig::new(&GpuIdle, 2);
        rig.sensors = Box::new(|scene, sample| {
            if scene.gpu.0 == 1 {
                sample.put(Sensor::UtilGpu, 3.0);
            }
        });
        let Done::Undecided { why, .. } = rig.run(&GpuIdle) else { panic!("decided") };
        assert_eq!(why, Reason::Restless { gpus: vec![Restless { gpu: GpuIndex(1), busy: true }] });
        assert_eq!(rig.took, 601.0);
    }

    #[test]
    fn a_lost_gpu_does_not_keep_the_others_waiting() {
        let mut rig = Rig::new(&GpuIdle, 2);
        rig.loses.insert(GpuIndex(0), 5);
        let done = rig.run(&GpuIdle);
        assert!(lines(&done, Component::gpu(1)).contains("power.mean 70 W"));
    }
}
