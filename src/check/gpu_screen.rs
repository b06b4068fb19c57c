//! `gpu.screen`: runs verified products on each multiprocessor alone and on all together, at the clocks that the work comes to and
//! at two that are held, cool and hot, to find a multiprocessor that computes wrong without any error counter noticing.

use std::collections::{BTreeMap, BTreeSet};

use super::course::START_WITHIN;
use super::declare::{choice, may, must, text};
use super::foreign::{JOINED, Ours, Strangers};
use super::inventory_watch::Glances;
use super::screen_gauge::{Clocks, Gauge, PartGauge};
use super::screen_part::{Level, PARAMS, Part};
use super::sheet::Sheet;
use super::{Check, CheckRun, Done, Seen, StepContext, Wants};
use kiln_event::{LoadTrouble, Phase, Reason};
use kiln_limit::Missing;
use kiln_model::{
    Answer, Component, ComponentKind, GpuIndex, LoadEnd, LoadFault, LoadSaid, Moment, Probe, Sample, Span, Unit,
};
use kiln_profile::{CheckSpec, MeasurementSpec, Params, Wear};

#[derive(Debug)]
pub(super) struct GpuScreen;

const GPU: ComponentKind = ComponentKind::Gpu;

pub(super) static SPEC: CheckSpec = CheckSpec {
    name: "gpu.screen",
    summary: "Screens every multiprocessor for silent corruption, alone and together, at four clocks, cool and hot.",
    details: "Loads one after another: each SM alone; each SM alone and then all together at a low and at a middle clock, both \
              held as `gpu.fixed-clock` holds one; all SMs with products that draw so little that the clock stays high; all SMs \
              at full power, which heats the die; all together at the two held clocks while the die is hot; and each SM alone \
              again. Every result is compared, and a wrong one carries the number of its SM. A low clock comes with a low \
              voltage, at which other cells and paths fail than at a high one. Clocks are measured: of a clock that was not held \
              nothing is claimed, and `clocks.unscreened` counts it. Where Kiln may not hold clocks (that takes root), or the \
              part has no such setting, the other parts run all the same. \
              How rare a defect the screen excludes follows from the number of products alone: of n products without a \
              wrong one, a defect that spoils one in n/3 would have shown with a probability of 95 %.",
    params: &[
        choice("kernel", &["bf16", "fp8", "fp32", "fp64"], "bf16", "arithmetic of all parts but the light one"),
        choice("light-kernel", &["bf16", "fp8", "fp32", "fp64"], "fp32", "arithmetic that leaves the clock high"),
        PARAMS[0],
        PARAMS[1],
        PARAMS[2],
        PARAMS[3],
        PARAMS[4],
        PARAMS[5],
    ],
    measurements: MEASUREMENTS,
    each: &[GPU],
    wear: Wear::Stress,
    exclusive: true,
    watcher: false,
    estimate: |params: &Params, _| Part::all(params).map(|part| part.length(params) + Span::from_secs(5)).sum(),
};

static MEASUREMENTS: &[MeasurementSpec] = &[
    must("products", Unit::One, GPU, "products compared, all parts together"),
    must("products.alone", Unit::One, GPU, "products compared of the SM that had the fewest while it worked alone"),
    may("products.low", Unit::One, GPU, "products compared at the low clock"),
    may("products.low.alone", Unit::One, GPU, "of them, of the SM that had the fewest while it worked alone"),
    may("products.middle", Unit::One, GPU, "products compared at the middle clock"),
    may("products.middle.alone", Unit::One, GPU, "of them, of the SM that had the fewest while it worked alone"),
    may("excluded", Unit::One, GPU, "one wrong in this many products would have shown with a probability of 95 %"),
    may("excluded.alone", Unit::One, GPU, "the same for the products of the SM that had the fewest alone"),
    may("excluded.low", Unit::One, GPU, "the same at the low clock"),
    may("excluded.low.alone", Unit::One, GPU, "the same at the low clock of the SM that had the fewest alone"),
    may("excluded.middle", Unit::One, GPU, "the same at the middle clock"),
    may("excluded.middle.alone", Unit::One, GPU, "the same at the middle clock of the SM that had the fewest alone"),
    may("clocks.unscreened", Unit::One, GPU, "clocks that were to be held and of which nothing is claimed"),
    must("sms", Unit::One, GPU, "SMs that take work"),
    must("sms.unreached", Unit::One, GPU, "SMs that never worked alone"),
    text("sms.wrong", GPU, "the SMs that computed wrong, by number"),
    may("clock.alone", Unit::Megahertz, GPU, "SM clock with one SM at work, mean"),
    may("clock.alone.of-greatest", Unit::Percent, GPU, "the same of the greatest clock that the driver tells of"),
    may("clock.light", Unit::Megahertz, GPU, "SM clock of the light part, mean"),
    may("clock.full", Unit::Megahertz, GPU, "SM clock at full power, mean"),
    may("clock.low", Unit::Megahertz, GPU, "SM clock of the part at the low clock that was farthest from it, mean"),
    may(
        "clock.middle",
        Unit::Megahertz,
        GPU,
        "SM clock of the part at the middle clock that was farthest from it, mean",
    ),
    may("temp.cool", Unit::Celsius, GPU, "die temperature of the first part, mean"),
    may("temp.hot", Unit::Celsius, GPU, "highest die temperature of the last part"),
    JOINED,
    must("verified", Unit::One, GPU, "results compared"),
    must("mismatches", Unit::One, GPU, "results that were wrong"),
];

/// A part that has not ended this long after its time counts as hung. The margin is for the first round over the SMs, which takes
/// seconds and is always completed.
const LATE: Span = Span::from_secs(60);

impl Check for GpuScreen {
    fn spec(&self) -> &'static CheckSpec {
        &SPEC
    }

    fn begin(&self, context: &StepContext<'_>) -> Box<dyn CheckRun> {
        let gpus = context.gpus().into_iter().map(|gpu| (gpu, Gauge::default())).collect();
        let asked = Part::HeldCool(Level::Low).length(context.params) > Span::ZERO;
        let levels = Level::ALL.into_iter().filter(|_| asked);
        let held = levels.map(|level| (level, level.megahertz(context))).collect();
        // Its parts begin and end by themselves.
        let strangers = Strangers::since(context.inventory, Ours::Several);
        Box::new(Run { part: Part::Cool, stage: Stage::Over, gpus, held, strangers, glances: Glances::new() })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Starting { until: Moment },
    Running { since: Moment, until: Moment },
    Over,
}

#[derive(Debug)]
struct Run {
    part: Part,
    stage: Stage,
    gpus: BTreeMap<GpuIndex, Gauge>,
    held: Clocks,
    strangers: Strangers,
    glances: Glances,
}

impl CheckRun for Run {
    fn observe(&mut self, context: &StepContext<'_>, now: Moment, seen: Seen<'_>, wants: &mut Wants) {
        match seen {
            Seen::Began => {
                let whole: Span = Part::all(context.params).map(|part| part.length(context.params)).sum();
                wants.enter(Phase::Measuring, Some(now + whole));
                self.start(Part::Cool, context, now, wants);
            }
            Seen::Sampled(sample) => {
                self.sample(context, sample);
                if matches!(self.stage, Stage::Running { .. }) && self.glances.is_due(now) {
                    wants.ask(Probe::Inventory);
                }
            }
            // What is said of a GPU beside a stranger's work is right or wrong all the same: only that there is one is told.
            Seen::Answered(Answer::Inventory(Ok(found))) if matches!(self.stage, Stage::Running { .. }) => {
                self.strangers.look(found);
            }
            Seen::Load(report) => self.hear(context, &report.said, now, wants),
            _ => {}
        }
        self.advance(context, now, wants);
    }
}

impl Run {
    fn left(&self, context: &StepContext<'_>) -> BTreeSet<GpuIndex> {
        let left = |(gpu, gauge): (&GpuIndex, &Gauge)| {
            (gauge.broken.is_none() && !context.lost.contains_key(gpu)).then_some(*gpu)
        };
        self.gpus.iter().filter_map(left).collect()
    }

    /// The GPUs that a part is to run on. One whose clock could not be held once is not asked again.
    fn members(&self, part: Part, context: &StepContext<'_>) -> BTreeSet<GpuIndex> {
        let mut members = self.left(context);
        if let Some(level) = part.level() {
            let known = self.clock(level).is_some();
            members.retain(|gpu| known && self.gpus.get(gpu).is_some_and(|gauge| gauge.refused.is_none()));
        }
        members
    }

    fn clock(&self, level: Level) -> Option<f64> {
        self.held.get(&level).copied().flatten()
    }

    /// Starts a part, or the first after it that has a length and GPUs to run on.
    fn start(&mut self, part: Part, context: &StepContext<'_>, now: Moment, wants: &mut Wants) {
        let mut next = Some(part);
        while let Some(part) = next {
            let members = self.members(part, context);
            if part.length(context.params) > Span::ZERO && !members.is_empty() {
                return self.begin(part, members, context, now, wants);
            }
            next = part.next();
        }
        self.finish(context, wants);
    }

    fn begin(
        &mut self,
        part: Part,
        members: BTreeSet<GpuIndex>,
        context: &StepContext<'_>,
        now: Moment,
        wants: &mut Wants,
    ) {
        self.part = part;
        for gpu in &members {
            if let Some(gauge) = self.gpus.get_mut(gpu) {
                gauge.parts.insert(part, PartGauge::new(context.every));
            }
        }
        let held = part.level().and_then(|level| self.clock(level));
        wants.start_load(part.load(context.params, held), members, Some(part.length(context.params)));
        let until = now + START_WITHIN;
        wants.wake_at(until);
        self.stage = Stage::Starting { until };
    }

    fn gauge(&mut self, gpu: GpuIndex) -> Option<&mut PartGauge> {
        self.gpus.get_mut(&gpu)?.parts.get_mut(&self.part)
    }

    fn sample(&mut self, context: &StepContext<'_>, sample: &Sample) {
        let within = self.ends(context).is_some_and(|ends| sample.at <= ends);
        if let Some(gauge) = self.gauge(sample.gpu).filter(|_| within) {
            gauge.sample(sample);
        }
    }

    /// When the part that runs is over. Later its clock may be given back already, while the load is still ending.
    fn ends(&self, context: &StepContext<'_>) -> Option<Moment> {
        let Stage::Running { since, .. } = self.stage else { return None };
        Some(since + self.part.length(context.params))
    }

    fn hear(&mut self, context: &StepContext<'_>, said: &LoadSaid, now: Moment, wants: &mut Wants) {
        match said {
            LoadSaid::Running if matches!(self.stage, Stage::Starting { .. }) => {
                let until = now + self.part.length(context.params) + LATE;
                wants.wake_at(until);
                self.stage = Stage::Running { since: now, until };
            }
            LoadSaid::Progress { gpu, verified, mismatches, .. } => {
                let ends = self.ends(context);
                if let Some(gauge) = self.gauge(*gpu) {
                    if let Some(ends) = ends {
                        gauge.work(now.min(ends));
                    }
                    gauge.verified = gauge.verified.max(*verified);
                    gauge.mismatches = gauge.mismatches.max(*mismatches);
                }
            }
            LoadSaid::Mismatched(mismatch) => {
                if let Some(gauge) = self.gauge(mismatch.gpu) {
                    gauge.told += 1;
                }
                if let Some(gauge) = self.gpus.get_mut(&mismatch.gpu) {
                    gauge.wrong.extend(mismatch.sm);
                }
            }
            LoadSaid::Screened(screened) => {
                if let Some(gauge) = self.gauge(screened.gpu) {
                    gauge.screened = Some(screened.clone());
                }
            }
            LoadSaid::Ended { gpu, end } => self.end_load(context, *gpu, end, now, wants),
            _ => {}
        }
    }

    fn end_load(
        &mut self,
        context: &StepContext<'_>,
        gpu: Option<GpuIndex>,
        end: &LoadEnd,
        now: Moment,
        wants: &mut Wants,
    ) {
        let refused = matches!(end, LoadEnd::Failed(LoadFault::ClockNotHeld(_)));
        // Word of a part that all of its GPUs have left, and that is over.
        if self.stage == Stage::Over || (refused && self.part.level().is_none()) {
            return;
        }
        if *end != LoadEnd::Finished {
            let part = self.part;
            let ended = self.gpus.iter_mut().filter(|(one, _)| gpu.is_none_or(|gpu| gpu == **one));
            for (_, gauge) in ended.filter(|(_, gauge)| gauge.parts.contains_key(&part)) {
                match end {
                    LoadEnd::Failed(LoadFault::ClockNotHeld(why)) => {
                        gauge.refused.get_or_insert_with(|| why.clone());
                        gauge.parts.remove(&part);
                    }
                    end => {
                        gauge.broken.get_or_insert_with(|| Missing::LoadEnded(end.clone()));
                    }
                }
            }
        }
        let part = self.part;
        let works = |gpu: &GpuIndex| self.gpus.get(gpu).is_some_and(|gauge| gauge.parts.contains_key(&part));
        // A load that every GPU has left one by one is not told of once more as a whole.
        if gpu.is_some() && self.left(context).iter().any(works) {
            return;
        }
        match self.part.next() {
            Some(next) => self.start(next, context, now, wants),
            None => self.finish(context, wants),
        }
    }

    fn advance(&mut self, context: &StepContext<'_>, now: Moment, wants: &mut Wants) {
        match self.stage {
            Stage::Over => {}
            _ if self.left(context).is_empty() => self.finish(context, wants),
            Stage::Starting { until } if now >= until => {
                self.stage = Stage::Over;
                wants.stop_loads();
                let why = Reason::Load(LoadTrouble::NotRunning { after: START_WITHIN });
                wants.end(Done::Failed { why, measured: Vec::new() });
            }
            Stage::Running { until, .. } if now >= until => {
                for gauge in self.gpus.values_mut() {
                    gauge.broken.get_or_insert(Missing::ScreenUnfinished);
                }
                self.finish(context, wants);
            }
            Stage::Starting { .. } | Stage::Running { .. } => {}
        }
    }

    fn finish(&mut self, context: &StepContext<'_>, wants: &mut Wants) {
        self.stage = Stage::Over;
        wants.stop_loads();
        let mut sheet = Sheet::new(&SPEC, context.lost);
        for (gpu, gauge) in &self.gpus {
            let greatest = context.inventory.gpu(*gpu).and_then(|gpu| gpu.clocks.max_sm.get());
            gauge.put(&mut sheet, Component::Gpu(*gpu), &self.held, greatest);
            sheet.put(JOINED.name, Component::Gpu(*gpu), self.strangers.joined(*gpu));
        }
        wants.end(Done::Measured(sheet.into_list()));
    }
}

#[cfg(test)]
#[path = "gpu_screen_tests.rs"]
mod tests;
