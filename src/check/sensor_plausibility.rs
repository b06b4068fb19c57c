//! `sensor.plausibility`: whether sensors move as physics says they must when the load changes.

use std::collections::BTreeMap;

use super::course::{Course, Rest, Turn};
use super::declare::{choice, flag, may, must, required, span, switch, text};
use super::delta::CounterSpan;
use super::gauge::{Gauges, gauges};
use super::gpu_burn::kernel;
use super::sheet::{Gauged, Sheet};
use super::window::Window;
use super::{Check, CheckRun, Done, Seen, StepContext, Wants};
use crate::event::Phase;
use crate::model::{Component, ComponentKind, GpuIndex, LoadKind, Moment, Sample, Sensor, Span, Unit};
use crate::profile::{CheckSpec, MeasurementSpec, Params, Wear};

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
    faults: &["sensor-stuck"],
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
    may("power.absent", Unit::Percent, GPU, "share of busy samples without power"),
    may("power.disagreement", Unit::Percent, GPU, "difference of mean power and the energy counter's"),
    must("implausible", Unit::One, GPU, "rules that are broken"),
    text("implausible.rules", GPU, "the rules that are broken, or none"),
];

/// W that power must have moved for temperature to have to follow.
const LEAST_SWING: f64 = 50.0;
/// K/W that the die must have moved for each watt at the least: a quarter of the best cooled parts (0.02 K/W in the steady
/// state, of which a minute of load shows more than half).
const LEAST_RISE: f64 = 0.005;
/// K of the die from which the memory beside it must have moved too.
const DIE_MOVED: f64 = 10.0;
/// One step of a whole-degree sensor is no colder die.
const DEGREE: f64 = 1.0;
/// K/s that no die with its cold plate can reach: 700 W into the heat capacity of die and plate are 10 to 15 K/s.
const FASTEST: f64 = 25.0;
/// W under which a busy GPU draws nothing: a tenth of the least idle power of any known part.
const NOTHING: f64 = 3.0;
/// Percent by which power and energy may differ: both are within 5 % of the truth by the maker's word.
const DISAGREEMENT: f64 = 10.0;
/// Percent of samples that may break a rule that holds for each: a single torn reading is not a broken sensor.
const STRAY: f64 = 2.0;

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
            traces: context.gpus().into_iter().map(|gpu| (gpu, Trace::default())).collect(),
        })
    }
}

/// What is followed of one GPU over the whole step.
#[derive(Debug, Default)]
struct Trace {
    die: Window,
    memory: Window,
    power: Window,
    util: Window,
    inlet: Window,
    energy: CounterSpan,
    below_inlet: u64,
    busy: u64,
    powerless: u64,
    last: Option<(Moment, f64)>,
    /// Greatest change in K/s; a single torn reading makes two.
    jumps: Vec<f64>,
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
            (Stage::Cooling(until), _) if now >= *until => wants.end(self.done(context)),
            (Stage::Watching, _) if matches!(seen, Seen::OthersEnded) => wants.end(self.done(context)),
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
                let until = now + context.params.span("idle").unwrap_or_default();
                wants.enter(Phase::CoolingDown, Some(until));
                wants.wake_at(until);
                self.stage = Stage::Cooling(until);
            }
            Turn::Ended(done) => wants.end(done),
        }
    }

    fn done(&self, context: &StepContext<'_>) -> Done {
        let mut sheet = Sheet::new(&SPEC, context.lost);
        for (gpu, trace) in &self.traces {
            let component = Component::Gpu(*gpu);
            let broken: Vec<&str> = trace.put(&mut sheet, component);
            let text = if broken.is_empty() { "none".to_owned() } else { broken.join(", ") };
            sheet.put("implausible", component, trace.die.gauged(0, |_| Some(broken.len() as f64)));
            sheet.put("implausible.rules", component, Gauged::Text(text));
        }
        Done::Measured(sheet.into_list())
    }
}

impl Trace {
    fn take(&mut self, sample: &Sample) {
        let at = sample.at;
        self.die.take(at, sample[Sensor::TempGpu]);
        self.memory.take(at, sample[Sensor::TempMemory]);
        self.power.take(at, sample[Sensor::Power]);
        self.util.take(at, sample[Sensor::UtilGpu]);
        self.inlet.take(at, sample[Sensor::TempInlet]);
        self.energy.take(at, sample[Sensor::Energy]);
        if let Some(die) = sample.get(Sensor::TempGpu) {
            if let Some((before, was)) = self.last {
                // Faster sampling must not make a step of the sensor into a jump.
                self.jump((die - was).abs() / at.since(before).as_secs_f64().max(1.0));
            }
            self.last = Some((at, die));
            self.below_inlet += u64::from(sample.get(Sensor::TempInlet).is_some_and(|inlet| die < inlet - DEGREE));
        }
        if sample.get(Sensor::UtilGpu).is_some_and(|util| util >= 90.0)
            && let Some(power) = sample.get(Sensor::Power)
        {
            self.busy += 1;
            self.powerless += u64::from(power < NOTHING);
        }
    }

    /// Keeps the three greatest changes.
    fn jump(&mut self, kelvin_per_second: f64) {
        let place = self.jumps.partition_point(|one| *one > kelvin_per_second);
        self.jumps.insert(place, kelvin_per_second);
        self.jumps.truncate(3);
    }

    /// Puts the values of one GPU down and gives the rules that are broken.
    fn put(&self, sheet: &mut Sheet<'_>, gpu: Component) -> Vec<&'static str> {
        let swing = |window: &Window| window.gauged(0, |window| Some(window.max()? - window.min()?));
        let (die, power, memory) = (swing(&self.die), swing(&self.power), swing(&self.memory));
        let util = swing(&self.util);
        let share = |count: u64, of: u64, window: &Window| {
            window.gauged(0, |_| (of > 0).then(|| count as f64 * 100.0 / of as f64))
        };
        let below = match self.inlet.gauged(0, Window::mean) {
            Gauged::Number { .. } => share(self.below_inlet, self.die.count(), &self.die),
            other => other,
        };
        let absent = if self.busy == 0 {
            Gauged::missing("the GPU was never busy")
        } else {
            share(self.powerless, self.busy, &self.power)
        };
        // A torn reading makes two jumps; a sensor that jumps makes more.
        let jump = self.die.gauged(0, |_| Some(self.jumps.get(2).copied().unwrap_or(0.0)));
        let disagreement = self.disagreement();
        let moves = [
            ("temp.moves", self.die_moves(&die, &power)),
            ("temp.memory.moves", follows(&memory, &die, DIE_MOVED, DEGREE)),
            ("power.moves", follows(&power, &util, 90.0, LEAST_SWING)),
        ];
        let limits = [
            ("temp.below-inlet", below, STRAY),
            ("temp.jump", jump, FASTEST),
            ("power.absent", absent, STRAY),
            ("power.disagreement", disagreement, DISAGREEMENT),
        ];
        for (name, value) in [("temp.swing", die), ("power.swing", power), ("temp.memory.swing", memory)] {
            sheet.put(name, gpu, value);
        }
        let mut broken = Vec::new();
        for (name, gauged) in moves {
            broken.extend((gauged == Gauged::Flag(false)).then_some(name));
            sheet.put(name, gpu, gauged);
        }
        for (name, gauged, most) in limits {
            broken.extend(gauged.number().is_some_and(|value| value > most).then_some(name));
            sheet.put(name, gpu, gauged);
        }
        broken
    }

    /// Whether the die warmed at least as much as the best cooled part must have.
    fn die_moves(&self, die: &Gauged, power: &Gauged) -> Gauged {
        match (die, power) {
            (Gauged::Number { value: kelvin, samples }, Gauged::Number { value: watts, .. }) => {
                // Where the power sensor itself does not move, utilisation says whether the load did.
                let busy = self.util.max().is_some_and(|util| util >= 90.0) && self.util.min() == Some(0.0);
                if *watts >= LEAST_SWING {
                    Gauged::Flag(*kelvin >= (LEAST_RISE * watts).max(DEGREE))
                } else if busy {
                    Gauged::Flag(*kelvin > DEGREE)
                } else {
                    Gauged::Missing(format!("the load did not change over {samples} samples"))
                }
            }
            (Gauged::Number { .. }, other) | (other, _) => other.clone(),
        }
    }

    fn disagreement(&self) -> Gauged {
        match (self.energy.rate(), self.power.gauged(0, Window::mean)) {
            (Gauged::Number { value: by_energy, samples }, Gauged::Number { value: shown, .. }) => {
                let whole = by_energy.max(shown);
                let share = if whole > 0.0 { (by_energy - shown).abs() * 100.0 / whole } else { 0.0 };
                Gauged::Number { value: share, samples }
            }
            (Gauged::Number { .. }, other) | (other, _) => other,
        }
    }
}

/// Whether `value` moved by more than `least`, given that `cause` moved by `enough`.
fn follows(value: &Gauged, cause: &Gauged, enough: f64, least: f64) -> Gauged {
    match (value, cause) {
        (Gauged::Number { value, .. }, Gauged::Number { value: cause, .. }) if *cause >= enough => {
            Gauged::Flag(*value > least)
        }
        (Gauged::Number { .. }, Gauged::Number { .. }) => Gauged::missing("what it follows did not change enough"),
        (Gauged::Number { .. }, other) | (other, _) => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::rig::{Rig, Scene, assert_complete, lines, shown};
    use crate::profile::ParamValue;

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
        let mut rig = Rig::new(&SensorPlausibility, 2);
        rig.sensors = Box::new(|scene, sample| {
            let loaded = (scene.at - 20.0).clamp(0.0, 62.0);
            sample.put(Sensor::Energy, 70.0 * scene.at + 630.0 * loaded);
        });
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
        power.absent 0 %
        power.disagreement 0.830135 %
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
        assert_eq!(shown(&done, Component::gpu(0), "temp.moves"), "missing: the load did not change over 31 samples");
        assert_eq!(shown(&done, Component::gpu(0), "implausible"), "0");
    }
}
