//! `gpu.memory`: patterns written to and read back from all of a GPU's memory.

use std::collections::BTreeMap;

use super::course::{START_WITHIN, never_rested};
use super::declare::{SETTLE_OVER, SETTLE_SLOPE, SETTLE_WITHIN, may, must, quantity, span};
use super::foreign::{JOINED, Ours, Strangers};
use super::gauge::{LoadGauge, gpu_of};
use super::gauges::put_common;
use super::inventory_watch::Glances;
use super::settle::{Settle, Settling};
use super::sheet::{Gauged, Sheet};
use super::window::Window;
use super::{Check, CheckRun, Done, Seen, StepContext, Wants};
use kiln_event::{LoadTrouble, Phase, Reason};
use kiln_limit::Missing;
use kiln_model::{Answer, Component, ComponentKind, GpuIndex, LoadEnd, LoadKind, LoadSaid, Moment, Probe, Span, Unit};
use kiln_profile::{CheckSpec, MeasurementSpec, Params, Wear};

#[derive(Debug)]
pub(super) struct GpuMemory;

const GPU: ComponentKind = ComponentKind::Gpu;

pub(super) static SPEC: CheckSpec = CheckSpec {
    name: "gpu.memory",
    summary: "Writes patterns to the memory of every GPU and reads them back, and measures coverage and bandwidth.",
    details: "All GPUs of the step march at once, once the node is at rest. A march that could not allocate its memory has \
              covered less: coverage is a measurement of its own, and what was not covered was not tested. The bandwidth \
              counts reads and writes together. ECC corrects single bits before they can mismatch, so its counters are \
              part of the result; a mismatch without an ECC event is a fault that ECC does not see.",
    params: &[
        span("for", "3m", "how long to march; the pass that has begun is finished"),
        quantity("coverage", (Unit::Percent, 1.0, 100.0), "95 %", "share of the GPU's memory to cover"),
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
        params.span("for").unwrap_or_default() + params.span("settle-over").unwrap_or_default()
    },
};

static MEASUREMENTS: &[MeasurementSpec] = &[
    must("coverage", Unit::Percent, GPU, "share of the GPU's memory that was written and read back"),
    must("bandwidth.mean", Unit::GigabytePerSecond, GPU, "memory traffic, reads and writes together"),
    must("bandwidth.p5", Unit::GigabytePerSecond, GPU, "memory traffic that 95 % of the march reached"),
    may("temp.memory.max", Unit::Celsius, GPU, "highest memory temperature"),
    may("memory-over-die", Unit::Kelvin, GPU, "memory temperature over die temperature"),
    may(
        "die-over-memory",
        Unit::Kelvin,
        GPU,
        "the same the other way round: a memory sensor that reads low shows high",
    ),
    must("verified", Unit::One, GPU, "words compared"),
    must("mismatches", Unit::One, GPU, "words that were wrong"),
    super::kept::MEMORY_CLOCK,
    super::kept::WIDTH_LOST,
    super::kept::GEN_LOWER,
    super::kept::LIMIT_FALL,
    JOINED,
    may("throttle.thermal", Unit::Second, GPU, "time slowed for heat"),
    may("throttle.power-brake", Unit::Second, GPU, "time braked by the power supply's signal"),
    may("ecc.corrected", Unit::One, GPU, "corrected memory errors during the march"),
    may("ecc.uncorrected", Unit::One, GPU, "uncorrectable memory errors during the march"),
    may("remaps", Unit::One, GPU, "memory rows remapped during the march"),
    may("pcie.replays", Unit::One, GPU, "PCIe packets sent again during the march"),
];

/// A march that has not ended this long after its time is taken for hung: a pass takes seconds.
const LATE: Span = Span::from_secs(300);

impl Check for GpuMemory {
    fn spec(&self) -> &'static CheckSpec {
        &SPEC
    }

    fn begin(&self, context: &StepContext<'_>) -> Box<dyn CheckRun> {
        let march = |gpu| {
            (
                gpu,
                March {
                    gauge: LoadGauge::new(context.inventory.gpu(gpu), 0.0, context.every),
                    covered: None,
                    done: None,
                },
            )
        };
        Box::new(Run {
            stage: Stage::Fresh,
            began: Moment::ZERO,
            gpus: context.gpus().into_iter().map(march).collect(),
            glances: Glances::new(),
            strangers: Strangers::since(context.inventory, Ours::OneLoad),
        })
    }
}

#[derive(Debug)]
struct March {
    gauge: LoadGauge,
    covered: Option<f64>,
    /// When it was through; what is sampled from then on is no march.
    done: Option<Moment>,
}

#[derive(Debug)]
enum Stage {
    Fresh,
    Settling(Settle),
    Starting { until: Moment },
    Marching { until: Moment },
    Over,
}

#[derive(Debug)]
struct Run {
    stage: Stage,
    /// When all GPUs were marching.
    began: Moment,
    gpus: BTreeMap<GpuIndex, March>,
    glances: Glances,
    strangers: Strangers,
}

impl CheckRun for Run {
    fn observe(&mut self, context: &StepContext<'_>, now: Moment, seen: Seen<'_>, wants: &mut Wants) {
        match seen {
            Seen::Began => {
                let settle = Settle::new(context, now);
                wants.enter(Phase::Settling, Some(settle.deadline()));
                wants.wake_at(settle.deadline());
                self.stage = Stage::Settling(settle);
            }
            Seen::Sampled(sample) => {
                if let Stage::Settling(settle) = &mut self.stage {
                    settle.take(sample);
                }
                let marching = matches!(self.stage, Stage::Marching { .. });
                if marching && self.glances.is_due(now) {
                    wants.ask(Probe::Inventory);
                }
                if let Some(march) = self.gpus.get_mut(&sample.gpu) {
                    let takes = marching && march.done.is_none();
                    if takes { march.gauge.take(sample) } else { march.gauge.count(sample) }
                }
            }
            Seen::Load(report) => self.hear(context, report.at, &report.said, now, wants),
            Seen::Answered(Answer::Inventory(Ok(found))) if matches!(self.stage, Stage::Marching { .. }) => {
                for gpu in self.strangers.look(found) {
                    if let Some(march) = self.gpus.get_mut(&gpu) {
                        march.gauge.broken.get_or_insert(Missing::ForeignProcess);
                    }
                }
            }
            _ => {}
        }
        self.advance(context, now, wants);
    }
}

impl Run {
    fn hear(&mut self, context: &StepContext<'_>, at: Moment, said: &LoadSaid, now: Moment, wants: &mut Wants) {
        match said {
            LoadSaid::Running => {
                self.began = now;
                let until = now + context.params.span("for").unwrap_or_default() + LATE;
                wants.enter(Phase::Measuring, Some(now + context.params.span("for").unwrap_or_default()));
                wants.wake_at(until);
                self.stage = Stage::Marching { until };
            }
            LoadSaid::Covered { gpu, percent } => {
                if let Some(march) = self.gpus.get_mut(gpu) {
                    march.covered = Some(march.covered.unwrap_or(0.0).max(*percent));
                }
            }
            // A march ends by itself; only an end before that breaks it.
            LoadSaid::Ended { gpu, end: LoadEnd::Finished } => match gpu {
                Some(gpu) => {
                    if let Some(march) = self.gpus.get_mut(gpu) {
                        march.done.get_or_insert(now);
                    }
                }
                None => self.finish(context, now, wants),
            },
            said => match gpu_of(said) {
                Some(gpu) => {
                    if let Some(march) = self.gpus.get_mut(&gpu) {
                        march.gauge.hear(at, said, true);
                    }
                }
                None => self.gpus.values_mut().for_each(|march| march.gauge.hear(at, said, true)),
            },
        }
    }

    fn advance(&mut self, context: &StepContext<'_>, now: Moment, wants: &mut Wants) {
        let left = |(gpu, march): (&GpuIndex, &March)| !context.lost.contains_key(gpu) && march.gauge.broken.is_none();
        let none_left = !self.gpus.iter().any(left);
        match &self.stage {
            Stage::Fresh | Stage::Over => {}
            _ if none_left => self.finish(context, now, wants),
            Stage::Settling(settle) => match settle.state(now, context.lost) {
                Settling::Waiting => {}
                Settling::Settled => self.start(context, now, wants),
                Settling::TimedOut(why) => {
                    self.stage = Stage::Over;
                    wants.end(never_rested(why));
                }
            },
            Stage::Starting { until } if now >= *until => {
                self.stage = Stage::Over;
                let why = Reason::Load(LoadTrouble::NotRunning { after: START_WITHIN });
                wants.end(Done::Failed { why, measured: Vec::new() });
            }
            Stage::Marching { until } if now >= *until => {
                for march in self.gpus.values_mut() {
                    march.gauge.broken.get_or_insert(Missing::MarchUnfinished);
                }
                self.finish(context, now, wants);
            }
            Stage::Starting { .. } | Stage::Marching { .. } => {}
        }
    }

    fn start(&mut self, context: &StepContext<'_>, now: Moment, wants: &mut Wants) {
        let coverage = context.params.number("coverage").unwrap_or(95.0) / 100.0;
        wants.start_load(LoadKind::March { coverage }, context.gpus(), context.params.span("for"));
        let until = now + START_WITHIN;
        wants.wake_at(until);
        self.stage = Stage::Starting { until };
    }

    fn finish(&mut self, context: &StepContext<'_>, now: Moment, wants: &mut Wants) {
        if matches!(self.stage, Stage::Over) {
            return;
        }
        self.stage = Stage::Over;
        wants.stop_loads();
        let mut sheet = Sheet::new(&SPEC, context.lost);
        for (index, march) in &mut self.gpus {
            let over = march.done.unwrap_or(now).since(self.began);
            march.gauge.close(over);
            let (gpu, gauge) = (Component::Gpu(*index), &march.gauge);
            let coverage = match march.covered {
                Some(percent) => Gauged::once(percent),
                None => Gauged::Missing(Missing::NoPassFinished),
            };
            sheet.put("coverage", gpu, gauge.whole(coverage));
            sheet.put("bandwidth.mean", gpu, gauge.at_best(gauge.memory_rate.gauged(over, Window::mean)));
            sheet.put("bandwidth.p5", gpu, gauge.at_best(gauge.memory_rate.gauged(over, Window::p5)));
            sheet.put("temp.memory.max", gpu, gauge.whole(gauge.memory.gauged(over, Window::max)));
            let over_die = gauge.whole(gauge.memory_over_die(over));
            sheet.put("memory-over-die", gpu, over_die.clone());
            sheet.put("die-over-memory", gpu, over_die.negated());
            put_common(&mut sheet, gpu, gauge, over);
            sheet.put(JOINED.name, gpu, self.strangers.joined(*index));
        }
        wants.end(Done::Measured(sheet.into_list()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rig::{Rig, Scene, assert_complete, lines, progress, shown};

    /// A march of 60 s that covers what it is asked to, except on GPU 1.
    fn marching(scene: &Scene<'_>) -> Vec<LoadSaid> {
        let Some((LoadKind::March { coverage }, seconds)) = scene.load else { return Vec::new() };
        let mut said = vec![progress(scene, 0.0)];
        if seconds >= 60.0 {
            let percent = if scene.gpu.0 == 1 { 40.0 } else { coverage * 99.4 };
            said.push(LoadSaid::Covered { gpu: scene.gpu, percent });
            if scene.gpu.0 == 1 {
                said.push(LoadSaid::Ended { gpu: None, end: LoadEnd::Finished });
            }
        }
        said
    }

    #[test]
    fn coverage_and_bandwidth_are_those_of_each_gpu() {
        let mut rig = Rig::new(&GpuMemory, 2);
        rig.works = Box::new(marching);
        let done = rig.run(&GpuMemory);
        assert_complete(&SPEC, &done, &rig.components);
        insta::assert_snapshot!(rig.story.join("\n"), @r"
        00:00:00 Settling
        00:01:06 start March { coverage: 0.95 } on 2 GPUs
        00:01:08 Measuring
        00:02:07 stop
        ");
        insta::assert_snapshot!(lines(&done, Component::gpu(0)), @r"
        coverage 94.43 %
        bandwidth.mean 3000 GB/s
        bandwidth.p5 3000 GB/s
        temp.memory.max 67 °C
        memory-over-die 7.08475 K
        die-over-memory -7.08475 K
        throttle.thermal 0 s
        throttle.power-brake 0 s
        ecc.corrected 0
        ecc.uncorrected 0
        remaps 0
        pcie.replays 0
        verified 60000
        mismatches 0
        clock.memory.mean 2619 MHz
        pcie.width.lost 0
        power.limit.fall 0 %
        pcie.gen.lower 0 %
        processes.joined 0
        ");
        assert_eq!(shown(&done, Component::gpu(1), "coverage"), "40 %");
    }

    #[test]
    fn a_march_that_never_ends_measured_nothing() {
        let mut rig = Rig::new(&GpuMemory, 1);
        rig.works = Box::new(|scene| vec![progress(scene, 0.0)]);
        let done = rig.run(&GpuMemory);
        assert_eq!(shown(&done, Component::gpu(0), "coverage"), "missing: MarchUnfinished");
    }

    #[test]
    fn a_gpu_without_memory_to_give_ends_the_step() {
        let mut rig = Rig::new(&GpuMemory, 1);
        rig.works =
            Box::new(|_| vec![LoadSaid::Ended { gpu: None, end: LoadEnd::Failed("out of memory".to_owned().into()) }]);
        let done = rig.run(&GpuMemory);
        assert_eq!(shown(&done, Component::gpu(0), "coverage"), "missing: LoadEnded(Failed(Words(\"out of memory\")))");
    }
}
