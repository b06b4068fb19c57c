//! `sensor.plausibility`: whether sensors move as physics says they must when the load changes.

#![expect(clippy::cast_precision_loss, reason = "counts and nanoseconds become floats for statistics, far below 2^53")]

use std::collections::BTreeMap;

use super::course::{Course, Rest, Turn};
use super::declare::{choice, flag, may, must, required, span, switch, text};
use super::gauges::{Gauges, gauges};
use super::gpu_burn::kernel;
use super::sensor_trace::{Breaks, Trace};
use super::sheet::{Gauged, Sheet};
use super::{Check, CheckRun, Done, Seen, StepContext, Wants};
use kiln_event::Phase;
use kiln_limit::write_list;
use kiln_model::{Component, ComponentKind, GpuIndex, LoadKind, Moment, Span, Unit};
use kiln_profile::{CheckSpec, MeasurementSpec, Params, Wear};

#[derive(Debug)]
pub(super) struct SensorPlausibility;

const GPU: ComponentKind = ComponentKind::Gpu;

pub(super) static SPEC: CheckSpec = CheckSpec {
    name: "sensor.plausibility",
    summary: "Changes the load, or watches it change, and holds temperatures, power and energy against one another.",
    details: "With drive it goes from idle to a burn and back by itself; without, it watches the steps beside it until \
              they have ended. Rules of physics alone are used: a die that a power step of hundreds of watts does not \
              warm has a stuck sensor, and so has memory that does not follow its die; a die cannot be colder than its \
              inlet, nor change by tens of kelvins in a second; a busy GPU cannot draw nothing; and power must agree with \
              the energy counter. A sensor that is wrong makes guards blind, so what it says of cooling is worth nothing. \
              If the load did not change enough the rules that need a change are not applied, and their values missing.",
    params: &[
        switch("drive", "true", "load the GPUs; otherwise only watch"),
        choice("kernel", &["bf16", "fp8", "fp32", "fp64"], "bf16", "arithmetic of the load"),
        span("idle", "20s", "idle before and after the load"),
        span("load", "60s", "load between"),
    ],
    measurements: MEASUREMENTS,
    each: &[GPU],
    wear: Wear::Stress,
    exclusive: false,
    watcher: true,
    estimate: |params: &Params, _| {
        let span = |name| params.span(name).unwrap_or_default();
        if params.flag("drive") == Some(false) { Span::ZERO } else { span("idle") * 2 + span("load") }
    },
};

static MEASUREMENTS: &[MeasurementSpec] = &[
    must("temp.swing", Unit::Kelvin, GPU, "die temperature, greatest minus least"),
    must("power.swing", Unit::Watt, GPU, "board power, greatest minus least"),
    may("temp.memory.swing", Unit::Kelvin, GPU, "memory temperature, greatest minus least"),
    required(flag("temp.moves", GPU, "whether the die temperature follows the load")),
    flag("temp.memory.moves", GPU, "whether the memory temperature follows the die"),
    flag("power.moves", GPU, "whether power follows utilisation"),
    may("temp.below-inlet", Unit::Percent, GPU, "share of samples with the die colder than its inlet"),
    may("temp.jump", Unit::Kelvin, GPU, "greatest change of die temperature from one second to the next"),
    may("temp.noise", Unit::Kelvin, GPU, "how far a die temperature lies from its neighbours in time, median"),
    may("temp.memory.noise", Unit::Kelvin, GPU, "the same of the memory temperature"),
    may("power.noise", Unit::Percent, GPU, "the same of power while the GPU is busy, as a share of it"),
    may("power.absent", Unit::Percent, GPU, "share of busy samples without power"),
    may("power.disagreement", Unit::Percent, GPU, "difference of mean power and the energy counter's"),
    must("implausible", Unit::One, GPU, "rules that are broken"),
    text("implausible.rules", GPU, "the rules that are broken, or none"),
];

impl Check for SensorPlausibility {
    fn spec(&self) -> &'static CheckSpec {
        &SPEC
    }

    fn begin(&self, context: &StepContext<'_>) -> Box<dyn CheckRun> {
        let params = context.params;
        let load = params.span("load").unwrap_or_default();
        let drive = params.flag("drive").unwrap_or(true);
        Box::new(Run {
            course: drive.then(|| Course::new(Rest::Needless, LoadKind::Burn(kernel(params)), Span::ZERO, load)),
            stage: Stage::Before,
            gauges: gauges(context, 0.0),
            traces: context.gpus().into_iter().map(|gpu| (gpu, Trace::new(context.every))).collect(),
        })
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Stage {
    Before,
    /// Idle until then, then load.
    Idle(Moment),
    Loaded,
    Cooling(Moment),
    Watching,
}

#[derive(Debug)]
struct Run {
    course: Option<Course>,
    stage: Stage,
    gauges: Gauges,
    traces: BTreeMap<GpuIndex, Trace>,
}

impl CheckRun for Run {
    fn observe(&mut self, context: &StepContext<'_>, now: Moment, seen: Seen<'_>, wants: &mut Wants) {
        if let Seen::Sampled(sample) = &seen
            && let Some(trace) = self.traces.get_mut(&sample.gpu)
        {
            trace.take(sample);
        }
        let idle = context.params.span("idle").unwrap_or_default();
        match (&self.stage, &mut self.course) {
            (Stage::Before, Some(_)) => {
                wants.enter(Phase::Waiting, Some(now + idle));
                wants.wake_at(now + idle);
                self.stage = Stage::Idle(now + idle);
            }
            (Stage::Before, None) => {
                wants.enter(Phase::Waiting, None);
                self.stage = Stage::Watching;
            }
            (Stage::Idle(until), Some(_)) if now >= *until => {
                self.stage = Stage::Loaded;
                self.turn(context, now, &Seen::Began, wants);
            }
            (Stage::Loaded, Some(course)) => {
                self.gauges.take(course, &seen);
                self.turn(context, now, &seen, wants);
            }
            (Stage::Cooling(until), _) if now >= *until => wants.end(self.done(context, now)),
            (Stage::Watching, _) if matches!(seen, Seen::OthersEnded) => wants.end(self.done(context, now)),
            _ => {}
        }
    }
}

impl Run {
    fn turn(&mut self, context: &StepContext<'_>, now: Moment, seen: &Seen<'_>, wants: &mut Wants) {
        let Some(course) = &mut self.course else { return };
        match course.turn(context, now, seen, self.gauges.any_left(context), wants) {
            Turn::Going => {}
            Turn::Over => {
                self.gauges.close(course.over(now));
                let until = now + context.params.span("idle").unwrap_or_default();
                wants.enter(Phase::CoolingDown, Some(until));
                wants.wake_at(until);
                self.stage = Stage::Cooling(until);
            }
            Turn::Ended(done) => wants.end(done),
        }
    }

    fn done(&self, context: &StepContext<'_>, now: Moment) -> Done {
        let over = now.since(context.began);
        let mut sheet = Sheet::new(&SPEC, context.lost);
        for (gpu, trace) in &self.traces {
            let component = Component::Gpu(*gpu);
            // Sensors that followed a load which broke off are held against nothing.
            let unloaded = self.gauges.get(*gpu).and_then(|gauge| gauge.broken.clone());
            let mut broken: Vec<&str> = Vec::new();
            for (name, gauged, breaks) in trace.values(over) {
                let gauged = unloaded.clone().map_or(gauged, Gauged::Missing);
                let breaks = match (&gauged, breaks) {
                    (Gauged::Flag(holds), Breaks::Unless) => !holds,
                    (Gauged::Number { value, .. }, Breaks::Above(most)) => *value > most,
                    _ => false,
                };
                broken.extend(breaks.then_some(name));
                sheet.put(name, component, gauged);
            }
            let text = write_list(&broken);
            let count = trace.die.gauged(over, |_| Some(broken.len() as f64));
            sheet.put("implausible", component, unloaded.map_or(count, Gauged::Missing));
            sheet.put("implausible.rules", component, Gauged::Text(text));
        }
        Done::Measured(sheet.into_list())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rig::{Rig, Scene, assert_complete, lines, progress, shown};
    use kiln_model::{LoadEnd, LoadSaid, Reading};
    use kiln_model::{Sample, Sensor};
    use kiln_profile::ParamValue;

    fn broken_rules(change: impl Fn(&Scene<'_>, &mut Sample) + 'static) -> String {
        let mut rig = Rig::new(&SensorPlausibility, 1);
        rig.sensors = Box::new(move |scene, sample| {
            // The integral of the toy node's power: 70 W, 700 W from second 20 to 82, 70 W.
            let loaded = (scene.at - 20.0).clamp(0.0, 62.0);
            sample.put(Sensor::Energy, 70.0 * scene.at + 630.0 * loaded);
            change(scene, sample);
        });
        let done = rig.run(&SensorPlausibility);
        shown(&done, Component::gpu(0), "implausible.rules")
    }

    #[test]
    fn a_sound_gpu_breaks_no_rule() {
        let mut rig = rig();
        let done = rig.run(&SensorPlausibility);
        assert_complete(&SPEC, &done, &rig.components);
        insta::assert_snapshot!(rig.story.join("\n"), @r"
        00:00:00 Waiting
        00:00:21 start Burn(Bf16) on 2 GPUs
        00:00:23 WarmingUp
        00:00:23 Measuring
        00:01:23 stop
        00:01:23 CoolingDown
        ");
        insta::assert_snapshot!(lines(&done, Component::gpu(1)), @r"
        temp.swing 31 K
        power.swing 630 W
        temp.memory.swing 38 K
        temp.moves true
        temp.memory.moves true
        power.moves true
        temp.below-inlet 0 %
        temp.jump 2 K
        temp.noise 0 K
        temp.memory.noise 0 K
        power.noise 0 %
        power.absent 0 %
        power.disagreement 0 %
        implausible 0
        implausible.rules none
        ");
    }

    #[test]
    fn each_rule_is_broken_by_what_it_is_for() {
        assert_eq!(broken_rules(|_, sample| sample.put(Sensor::TempGpu, 29.0)), "temp.moves");
        assert_eq!(broken_rules(|_, sample| sample.put(Sensor::TempMemory, 29.0)), "temp.memory.moves");
        assert_eq!(broken_rules(|_, sample| sample.put(Sensor::Power, 240.0)), "power.moves, power.disagreement");
        assert_eq!(broken_rules(|_, sample| sample.put(Sensor::TempInlet, 64.0)), "temp.below-inlet");
        assert_eq!(
            broken_rules(|scene, sample| {
                if scene.at % 10.0 == 0.0 {
                    sample.put(Sensor::TempGpu, 95.0);
                }
            }),
            "temp.jump"
        );
        assert_eq!(
            broken_rules(|_, sample| sample.put(Sensor::Power, 0.0)),
            "power.moves, power.absent, power.disagreement"
        );
    }

    #[test]
    fn watching_a_steady_load_applies_no_rule_that_needs_a_change() {
        let mut rig = Rig::new(&SensorPlausibility, 1);
        rig.set("drive", ParamValue::Flag(false));
        rig.others_end = Some(30);
        let done = rig.run(&SensorPlausibility);
        assert_eq!(shown(&done, Component::gpu(0), "temp.moves"), "missing: LoadUnchanged { samples: 31 }");
        assert_eq!(shown(&done, Component::gpu(0), "implausible"), "0");
    }

    fn rig() -> Rig {
        let mut rig = Rig::new(&SensorPlausibility, 2);
        rig.sensors = Box::new(|scene, sample| {
            let loaded = (scene.at - 20.0).clamp(0.0, 62.0);
            sample.put(Sensor::Energy, 70.0 * scene.at + 630.0 * loaded);
        });
        rig
    }

    #[test]
    fn a_late_host_that_samples_the_load_less_than_the_rest_makes_no_disagreement() {
        let mut rig = rig();
        // Every second sample is left out, but only under load: the mean of those that came would be a third too low.
        rig.late = |second| (25..80).contains(&second) && second % 2 == 0;
        let done = rig.run(&SensorPlausibility);
        let told = shown(&done, Component::gpu(0), "power.disagreement");
        let share: f64 = told.trim_end_matches(" %").parse().expect("a number");
        assert!(share < 2.0, "{told}");
        assert_eq!(shown(&done, Component::gpu(0), "implausible.rules"), "none");
    }

    #[test]
    fn what_was_hardly_looked_at_breaks_no_rule() {
        let mut rig = rig();
        rig.late = |second| second % 6 != 0;
        let done = rig.run(&SensorPlausibility);
        assert_eq!(shown(&done, Component::gpu(0), "implausible.rules"), "none");
        for name in ["temp.moves", "power.disagreement", "implausible", "temp.jump", "power.absent"] {
            let text = shown(&done, Component::gpu(0), name);
            assert!(text.starts_with("missing"), "{name} {text}");
        }
    }

    #[test]
    fn a_load_that_dies_says_nothing_of_the_sensors_it_left_cold() {
        let mut rig = rig();
        let dead = || LoadEnd::Failed("the worker was killed by signal 9".to_owned().into());
        rig.works = Box::new(move |scene| {
            let dies = scene.gpu.0 == 1 && scene.load.is_some_and(|(_, seconds)| seconds >= 4.0);
            vec![if dies { LoadSaid::Ended { gpu: Some(scene.gpu), end: dead() } } else { progress(scene, 700.0) }]
        });
        rig.sensors = Box::new(|scene, sample| {
            sample.set(Sensor::Energy, Reading::Unsupported);
            if scene.gpu.0 == 1 {
                // Busy for a moment, and never warm.
                sample.put(Sensor::TempGpu, 29.0);
            }
        });
        let done = rig.run(&SensorPlausibility);
        let why = "missing: LoadEnded(Failed(Words(\"the worker was killed by signal 9\")))";
        assert_eq!(shown(&done, Component::gpu(1), "temp.moves"), why);
        assert_eq!(shown(&done, Component::gpu(1), "implausible"), why);
        assert_eq!(shown(&done, Component::gpu(1), "implausible.rules"), "none");
        assert_eq!(shown(&done, Component::gpu(0), "temp.moves"), "true");
    }

    #[test]
    fn a_watcher_holds_no_sensor_against_a_load_of_seconds() {
        let mut rig = Rig::new(&SensorPlausibility, 1);
        rig.set("drive", ParamValue::Flag(false));
        rig.others_end = Some(60);
        rig.sensors = Box::new(|scene, sample| {
            let busy = (20.0..24.0).contains(&scene.at);
            sample.put(Sensor::UtilGpu, if busy { 99.0 } else { 0.0 });
            sample.put(Sensor::Power, if busy { 600.0 } else { 70.0 });
            sample.set(Sensor::Energy, Reading::Unsupported);
            sample.put(Sensor::TempGpu, 29.0);
        });
        let done = rig.run(&SensorPlausibility);
        assert_eq!(shown(&done, Component::gpu(0), "temp.moves"), "missing: BusyFor { busy: 4s }");
        assert_eq!(shown(&done, Component::gpu(0), "implausible"), "0");
    }
}
