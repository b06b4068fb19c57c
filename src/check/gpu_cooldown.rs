//! `gpu.cooldown`: how fast a heated GPU gives its heat away once the load ends.

#![expect(clippy::cast_precision_loss, reason = "counts and nanoseconds become floats for statistics, far below 2^53")]

use std::collections::{BTreeMap, VecDeque};

use super::course::{Course, Rest, Turn};
use super::declare::{choice, may, must, span};
use super::gauges::{Gauges, gauges};
use super::gpu_burn::kernel;
use super::sheet::{Gauged, Sheet};
use super::window::Window;
use super::{Check, CheckRun, Done, Seen, StepContext, Wants};
use kiln_event::Phase;
use kiln_limit::Missing;
use kiln_model::{Component, ComponentKind, GpuIndex, LoadKind, Moment, Sample, Sensor, Span, Unit};
use kiln_profile::{CheckSpec, MeasurementSpec, Params, Wear};

#[derive(Debug)]
pub(super) struct GpuCooldown;

const GPU: ComponentKind = ComponentKind::Gpu;

pub(super) static SPEC: CheckSpec = CheckSpec {
    name: "gpu.cooldown",
    summary: "Heats all GPUs, takes the load away and measures how fast they cool.",
    details: "The time to lose half of the heat is that of cold plate or heatsink and of the flow through it, and hardly \
              depends on power, so a blocked branch or a fan that stands shows as slow cooling even where the load was \
              too short for high temperatures. A GPU with bad contact falls farther in the first seconds, while its \
              heat sink is still warm: fall.fast is that fall for each watt taken away. Inlet, place on the board and a \
              sensor that is off by some degrees drop out of it, so it compares with all siblings. A sensor that follows its \
              die late shows only little of the whole fall by then: fall.early. The end temperature is where the window ended, not a settled one.",
    params: &[
        choice("kernel", &["bf16", "fp8", "fp32", "fp64"], "bf16", "arithmetic of the load"),
        span("heat", "5m", "load before cooling"),
        span("for", "5m", "how long to watch the cooling"),
    ],
    measurements: MEASUREMENTS,
    each: &[GPU],
    wear: Wear::Stress,
    exclusive: true,
    watcher: false,
    estimate: |params: &Params, _| params.span("heat").unwrap_or_default() + params.span("for").unwrap_or_default(),
};

static MEASUREMENTS: &[MeasurementSpec] = &[
    must("temp.start", Unit::Celsius, GPU, "die temperature at the end of the load"),
    must("temp.end", Unit::Celsius, GPU, "die temperature at the end of the window"),
    must("temp.fall", Unit::Kelvin, GPU, "fall of the die temperature over the window"),
    may("fall.fast", Unit::KelvinPerWatt, GPU, "fall of the die in the first 15 s, for each watt taken away"),
    may("fall.early", Unit::Percent, GPU, "share of the whole fall that came in the first 15 s"),
    may("half-time", Unit::Second, GPU, "time to lose half of the fall"),
    must("power.end", Unit::Watt, GPU, "board power at the end of the window"),
    super::foreign::JOINED,
];

/// A fall of less than this is too small for a half-time or a rate from a sensor of whole degrees: each end is half a degree
/// uncertain.
const LEAST_FALL: f64 = 4.0;
/// A whole fall of less than this has no share that whole degrees could tell.
const LEAST_WHOLE: f64 = 10.0;
/// Samples that make the start and the end temperature.
const ENDS: usize = 5;

impl Check for GpuCooldown {
    fn spec(&self) -> &'static CheckSpec {
        &SPEC
    }

    fn begin(&self, context: &StepContext<'_>) -> Box<dyn CheckRun> {
        let params = context.params;
        let heat = params.span("heat").unwrap_or_default();
        Box::new(Run {
            course: Course::new(Rest::Needless, LoadKind::Burn(kernel(params)), Span::ZERO, heat),
            gauges: gauges(context, 0.0),
            heated: Span::ZERO,
            cooling: None,
            curves: context.gpus().into_iter().map(|gpu| (gpu, Curve::new(context.every))).collect(),
        })
    }
}

/// One GPU's temperatures: the last ones under load, and all while it cools.
#[derive(Debug)]
struct Curve {
    hot: VecDeque<f64>,
    cooling: Vec<(Moment, f64)>,
    /// Good and failed readings while it cools.
    die: Window,
    power: Vec<f64>,
    powers: Vec<(Moment, f64)>,
}

/// Seconds after the power went within which the die is looked at: over the contact it falls with 10 to 20 s, the heat sink
/// behind it with minutes. Eleven samples at one a second, over which a falling die passes a whole degree or two: their mean is
/// finer than the sensor.
const FAST: std::ops::RangeInclusive<f64> = 10.0..=20.0;
/// Samples under load from which it falls: as many as show the sensor's noise, which tells the fraction of a degree.
const BEFORE: usize = 30;
/// Fewer samples than this in it are a reading and no mean.
const LEAST_FAST: usize = 3;
/// With samples farther apart than this there are too few of them.
const FAST_EVERY: Span = Span::from_millis(1_500);

#[derive(Debug)]
struct Run {
    course: Course,
    gauges: Gauges,
    /// How long the load ran.
    heated: Span,
    /// Begin and end of the cooling.
    cooling: Option<(Moment, Moment)>,
    curves: BTreeMap<GpuIndex, Curve>,
}

impl CheckRun for Run {
    fn observe(&mut self, context: &StepContext<'_>, now: Moment, seen: Seen<'_>, wants: &mut Wants) {
        if let Seen::Sampled(sample) = &seen
            && let Some(curve) = self.curves.get_mut(&sample.gpu)
        {
            curve.take(sample, self.cooling.is_some(), self.course.is_measuring());
        }
        if let Some((began, until)) = self.cooling {
            if now >= until {
                wants.end(self.done(context, until.since(began)));
            }
            return;
        }
        self.gauges.take(&self.course, &seen);
        match self.course.turn(context, now, &seen, self.gauges.any_left(context), wants) {
            Turn::Going => {}
            Turn::Over => {
                self.heated = self.course.over(now);
                self.gauges.close(self.heated);
                let until = now + context.params.span("for").unwrap_or_default();
                wants.enter(Phase::CoolingDown, Some(until));
                wants.wake_at(until);
                self.cooling = Some((now, until));
            }
            Turn::Ended(done) => wants.end(done),
        }
    }
}

impl Curve {
    fn new(every: Span) -> Self {
        Self {
            hot: VecDeque::new(),
            cooling: Vec::new(),
            die: Window::sampled(every),
            power: Vec::new(),
            powers: Vec::new(),
        }
    }

    fn take(&mut self, sample: &Sample, cooling: bool, hot: bool) {
        let die = sample.get(Sensor::TempGpu);
        if cooling {
            self.die.take(sample.at, sample[Sensor::TempGpu]);
            self.cooling.extend(die.map(|die| (sample.at, die)));
            keep(&mut self.power, sample.get(Sensor::Power));
            self.powers.extend(sample.get(Sensor::Power).map(|power| (sample.at, power)));
        } else if hot {
            if self.hot.len() == BEFORE {
                self.hot.pop_front();
            }
            self.hot.extend(die);
        }
    }

    /// How far the die fell soon after the `load` watts went, and how many went.
    fn fast_fall(&self, load: f64) -> Option<(f64, f64)> {
        let (gone, _) = self.powers.iter().find(|(_, power)| *power < load / 2.0)?;
        let of = |list: &[(Moment, f64)]| {
            let inside = list.iter().filter(|(at, _)| FAST.contains(&at.since(*gone).as_secs_f64()));
            let values: Vec<f64> = inside.map(|(_, value)| *value).collect();
            if values.len() < LEAST_FAST { None } else { mean(&values) }
        };
        let step = load - of(&self.powers)?;
        let before: Vec<f64> = self.hot.iter().copied().collect();
        let fall = mean(&before)? - of(&self.cooling)?;
        (step > load / 2.0).then_some((fall, step))
    }

    /// When the temperature first was at or below `level`, between samples by a straight line.
    fn falls_to(&self, level: f64, began: Moment) -> Option<f64> {
        let below = self.cooling.iter().position(|(_, die)| *die <= level)?;
        let (at, die) = self.cooling[below];
        let seconds = at.since(began).as_secs_f64();
        let Some((before, warmer)) = below.checked_sub(1).map(|index| self.cooling[index]) else {
            return Some(seconds);
        };
        let share = if warmer > die { (warmer - level) / (warmer - die) } else { 1.0 };
        let start = before.since(began).as_secs_f64();
        Some(start + share * (seconds - start))
    }
}

/// The last few readings.
fn keep(readings: &mut Vec<f64>, reading: Option<f64>) {
    if readings.len() == ENDS {
        readings.remove(0);
    }
    readings.extend(reading);
}

fn mean(readings: &[f64]) -> Option<f64> {
    (!readings.is_empty()).then(|| readings.iter().sum::<f64>() / readings.len() as f64)
}

impl Run {
    fn done(&self, context: &StepContext<'_>, over: Span) -> Done {
        let mut sheet = Sheet::new(&SPEC, context.lost);
        for (gpu, gauge) in self.gauges.iter() {
            self.gauges.put_joined(&mut sheet, gpu);
            let Some(curve) = self.curves.get(&gpu) else { continue };
            let gpu = Component::Gpu(gpu);
            let last: Vec<f64> = curve.cooling.iter().rev().take(ENDS).map(|(_, die)| *die).collect();
            // Whether there were readings enough is asked of the window; the values come from the curve.
            let of = |value: Option<f64>| curve.die.gauged(over, |_| value);
            let last_hot: Vec<f64> = curve.hot.iter().rev().take(ENDS).copied().collect();
            let hot = |_: &Window| mean(&last_hot);
            let (start, end) = (gauge.die.gauged(self.heated, hot), of(mean(&last)));
            let fall = match (&start, &end) {
                (Gauged::Number { value: start, .. }, Gauged::Number { value: end, samples }) => {
                    Gauged::Number { value: start - end, samples: *samples }
                }
                (Gauged::Number { .. }, other) | (other, _) => other.clone(),
            };
            let half = match (&start, &fall) {
                (Gauged::Number { value: start, .. }, Gauged::Number { value: fall, .. }) if *fall >= LEAST_FALL => {
                    let began = self.cooling.map_or(Moment::ZERO, |(began, _)| began);
                    of(curve.falls_to(start - fall / 2.0, began))
                }
                (_, Gauged::Number { .. }) => Gauged::Missing(Missing::HardlyWarmer),
                (_, other) => other.clone(),
            };
            let found = gauge.power.gauged(self.heated, Window::mean).number().and_then(|load| curve.fast_fall(load));
            let early = match (&fall, found) {
                _ if context.every > FAST_EVERY => Gauged::Unsupported,
                (Gauged::Number { value: whole, .. }, _) if *whole < LEAST_WHOLE => Gauged::Unsupported,
                (Gauged::Number { value: whole, .. }, found) => of(found.map(|(fall, _)| 100.0 * fall / whole)),
                (other, _) => other.clone(),
            };
            let fast = match gauge.power.gauged(self.heated, Window::mean) {
                _ if context.every > FAST_EVERY => Gauged::Unsupported,
                Gauged::Number { .. } => match found {
                    // A part that had little power, or whose contact is that good: nothing to tell from whole degrees.
                    Some((fall, _)) if fall < LEAST_FALL => Gauged::Unsupported,
                    found => of(found.map(|(fall, step)| fall / step)),
                },
                other => other,
            };
            sheet.put("fall.fast", gpu, gauge.whole(fast));
            sheet.put("fall.early", gpu, gauge.whole(early));
            sheet.put("temp.start", gpu, gauge.whole(start));
            sheet.put("temp.end", gpu, gauge.whole(end));
            sheet.put("temp.fall", gpu, gauge.whole(fall));
            sheet.put("half-time", gpu, gauge.whole(half));
            sheet.put("power.end", gpu, gauge.whole(of(mean(&curve.power))));
        }
        Done::Measured(sheet.into_list())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rig::{Rig, assert_complete, lines, shown};

    #[test]
    fn the_half_time_is_that_of_the_heatsink() {
        let mut rig = Rig::new(&GpuCooldown, 1);
        let done = rig.run(&GpuCooldown);
        assert_complete(&SPEC, &done, &rig.components);
        insta::assert_snapshot!(rig.story.join("\n"), @r"
        00:00:00 start Burn(Bf16) on 1 GPUs
        00:00:02 WarmingUp
        00:00:02 Measuring
        00:05:02 stop
        00:05:02 CoolingDown
        ");
        // ln 2 of the toy node's 20 s.
        insta::assert_snapshot!(lines(&done, Component::gpu(0)), @r"
        processes.joined 0
        fall.fast 0.025974 K/W
        fall.early 52.7859 %
        temp.start 60 °C
        temp.end 29 °C
        temp.fall 31 K
        half-time 14.5 s
        power.end 70 W
        ");
    }

    #[test]
    fn a_gpu_that_was_never_warm_has_no_half_time() {
        let mut rig = Rig::new(&GpuCooldown, 1);
        rig.sensors = Box::new(|_, sample| sample.put(Sensor::TempGpu, 40.0));
        let done = rig.run(&GpuCooldown);
        assert_eq!(shown(&done, Component::gpu(0), "temp.fall"), "0 K");
        assert_eq!(shown(&done, Component::gpu(0), "half-time"), "missing: HardlyWarmer");
    }

    #[test]
    fn a_sensor_of_whole_degrees_tells_falls_that_are_alike_as_alike() {
        let mut rig = Rig::new(&GpuCooldown, 8);
        rig.sensors = Box::new(|scene, sample| {
            let die = sample.get(Sensor::TempGpu).expect("a die");
            // A third of the toy node's fall, as of a part of 400 W; another zero and other noise on each, of less than a degree.
            let seconds = sample.at.since(Moment::ZERO).as_secs();
            let noise = (seconds * 37 + u64::from(scene.gpu.0) * 11) % 17;
            let shown = 30.0 + (die - 30.0) / 3.0 + f64::from(scene.gpu.0) / 8.0 + noise as f64 / 17.0 - 0.5;
            sample.put(Sensor::TempGpu, shown.round());
        });
        let done = rig.run(&GpuCooldown);
        let falls = (0..8).map(|gpu| {
            let shown = shown(&done, Component::gpu(gpu), "fall.fast");
            shown.split(' ').next().and_then(|number| number.parse::<f64>().ok()).expect("a number")
        });
        let (least, most) = falls.fold((f64::INFINITY, 0.0_f64), |(low, high), one| (low.min(one), high.max(one)));
        assert!(most < 1.05 * least, "{least} to {most}");
    }
}
