//! `gpu.screen`: runs verified products on each multiprocessor alone and on all together, at a high and at a low clock, cool and
//! hot, to find a multiprocessor that computes wrong without any error counter noticing.

use std::collections::{BTreeMap, BTreeSet};

use super::course::START_WITHIN;
use super::declare::{choice, may, must, span, text};
use super::gpu_burn::{kernel, kernel_named};
use super::sheet::{Gauged, Sheet};
use super::window::Window;
use super::{Check, CheckRun, Done, Seen, StepContext, Wants};
use kiln_event::{LoadTrouble, Phase, Reason};
use kiln_limit::Missing;
use kiln_model::{
    Component, ComponentKind, GpuIndex, LoadEnd, LoadKind, LoadSaid, Moment, Sample, Screened, Sensor, Span, Turns,
    Unit, excluded_one_in,
};
use kiln_profile::{CheckSpec, MeasurementSpec, Params, Wear};

#[derive(Debug)]
pub(super) struct GpuScreen;

const GPU: ComponentKind = ComponentKind::Gpu;

pub(super) static SPEC: CheckSpec = CheckSpec {
    name: "gpu.screen",
    summary: "Screens every multiprocessor for silent corruption, alone and together, at two clocks, cool and hot.",
    details: "Four loads one after another: each SM alone; all SMs with products that draw so little that the clock stays \
              high; all SMs at full power, which heats the die and lowers the clock; and each SM alone again while the die \
              is hot. Every result is compared, and a wrong one carries the number of its SM. The check sets no clocks \
              (`gpu.fixed-clock` does): which clocks the loads came to is measured instead. \
              How rare a defect the screen excludes follows from the number of products alone: of n products without a \
              wrong one, a defect that spoils one in n/3 would have shown with a probability of 95 %.",
    params: &[
        choice("kernel", &["bf16", "fp8", "fp32", "fp64"], "bf16", "arithmetic of all parts but the light one"),
        choice("light-kernel", &["bf16", "fp8", "fp32", "fp64"], "fp32", "arithmetic that leaves the clock high"),
        span("alone", "30s", "length of each of the two parts in which SMs work alone"),
        span("light", "3m", "length of the light part"),
        span("full", "2m", "length of the part at full power"),
    ],
    measurements: MEASUREMENTS,
    each: &[GPU],
    wear: Wear::Stress,
    faults: &["wrong-at-high-clock", "wrong-one-sm-at-high-clock", "wrong-one-sm-when-hot"],
    exclusive: true,
    watcher: false,
    estimate: |params: &Params, _| PARTS.iter().map(|part| part.length(params) + Span::from_secs(5)).sum(),
};

static MEASUREMENTS: &[MeasurementSpec] = &[
    must("products", Unit::One, GPU, "products compared, all parts together"),
    must("products.alone", Unit::One, GPU, "products compared of the SM that had the fewest while it worked alone"),
    may("excluded", Unit::One, GPU, "one wrong in this many products would have shown with a probability of 95 %"),
    may("excluded.alone", Unit::One, GPU, "the same for the products of that SM"),
    must("sms", Unit::One, GPU, "SMs that take work"),
    must("sms.unreached", Unit::One, GPU, "SMs that never worked alone"),
    text("sms.wrong", GPU, "the SMs that computed wrong, by number"),
    may("clock.alone", Unit::Megahertz, GPU, "SM clock with one SM at work, mean"),
    may("clock.light", Unit::Megahertz, GPU, "SM clock of the light part, mean"),
    may("clock.full", Unit::Megahertz, GPU, "SM clock at full power, mean"),
    may("temp.cool", Unit::Celsius, GPU, "die temperature of the first part, mean"),
    may("temp.hot", Unit::Celsius, GPU, "highest die temperature of the last part"),
    must("verified", Unit::One, GPU, "results compared"),
    must("mismatches", Unit::One, GPU, "results that were wrong"),
];

/// A part that has not ended this long after its time counts as hung. The margin is for the first round over the SMs, which takes
/// seconds and is always completed.
const LATE: Span = Span::from_secs(60);

/// The parts of a screen, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Cool,
    Light,
    Full,
    Hot,
}

const PARTS: [Part; 4] = [Part::Cool, Part::Light, Part::Full, Part::Hot];

impl Part {
    fn length(self, params: &Params) -> Span {
        let name = match self {
            Self::Cool | Self::Hot => "alone",
            Self::Light => "light",
            Self::Full => "full",
        };
        params.span(name).unwrap_or_default()
    }

    fn load(self, params: &Params) -> LoadKind {
        let (kernel, turns) = match self {
            Self::Cool | Self::Hot => (kernel(params), Turns::EachInTurn),
            Self::Full => (kernel(params), Turns::AllAtOnce),
            Self::Light => (kernel_named(params, "light-kernel"), Turns::AllAtOnce),
        };
        LoadKind::Screen { kernel, turns }
    }
}

impl Check for GpuScreen {
    fn spec(&self) -> &'static CheckSpec {
        &SPEC
    }

    fn begin(&self, context: &StepContext<'_>) -> Box<dyn CheckRun> {
        let gpus = context.gpus().into_iter().map(|gpu| (gpu, Gauge::default())).collect();
        Box::new(Run { part: Part::Cool, stage: Stage::Over, gpus })
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
}

/// What was found on one GPU.
#[derive(Debug, Default)]
struct Gauge {
    parts: BTreeMap<Part, PartGauge>,
    /// The SMs that computed wrong results.
    wrong: BTreeSet<u32>,
    /// Why its load ended before it should have.
    broken: Option<Missing>,
}

/// One part on one GPU.
#[derive(Debug)]
struct PartGauge {
    clock: Window,
    die: Window,
    over: Span,
    verified: u64,
    mismatches: u64,
    /// Wrong results that were reported one by one. Those found while a load is set up are not in the load's own count.
    told: u64,
    screened: Option<Screened>,
}

impl CheckRun for Run {
    fn observe(&mut self, context: &StepContext<'_>, now: Moment, seen: Seen<'_>, wants: &mut Wants) {
        match seen {
            Seen::Began => {
                let whole: Span = PARTS.iter().map(|part| part.length(context.params)).sum();
                wants.enter(Phase::Measuring, Some(now + whole));
                self.start(Part::Cool, context, now, wants);
            }
            Seen::Sampled(sample) if matches!(self.stage, Stage::Running { .. }) => self.sample(sample),
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

    fn start(&mut self, part: Part, context: &StepContext<'_>, now: Moment, wants: &mut Wants) {
        self.part = part;
        let left = self.left(context);
        for gpu in &left {
            if let Some(gauge) = self.gpus.get_mut(gpu) {
                gauge.parts.insert(part, PartGauge::new(context.every));
            }
        }
        wants.start_load(part.load(context.params), left, Some(part.length(context.params)));
        let until = now + START_WITHIN;
        wants.wake_at(until);
        self.stage = Stage::Starting { until };
    }

    fn gauge(&mut self, gpu: GpuIndex) -> Option<&mut PartGauge> {
        self.gpus.get_mut(&gpu)?.parts.get_mut(&self.part)
    }

    fn sample(&mut self, sample: &Sample) {
        if let Some(gauge) = self.gauge(sample.gpu) {
            gauge.clock.take(sample.at, sample[Sensor::ClockSm]);
            gauge.die.take(sample.at, sample[Sensor::TempGpu]);
        }
    }

    fn hear(&mut self, context: &StepContext<'_>, said: &LoadSaid, now: Moment, wants: &mut Wants) {
        match said {
            LoadSaid::Running if matches!(self.stage, Stage::Starting { .. }) => {
                let until = now + self.part.length(context.params) + LATE;
                wants.wake_at(until);
                self.stage = Stage::Running { since: now, until };
            }
            LoadSaid::Progress { gpu, verified, mismatches, .. } => {
                if let Some(gauge) = self.gauge(*gpu) {
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
        if self.stage == Stage::Over {
            return;
        }
        if *end != LoadEnd::Finished {
            let ended = self.gpus.iter_mut().filter(|(one, _)| gpu.is_none_or(|gpu| gpu == **one));
            for (_, gauge) in ended {
                gauge.broken.get_or_insert_with(|| Missing::LoadEnded(end.clone()));
            }
        }
        if gpu.is_some() {
            return;
        }
        self.close(now);
        match PARTS.iter().copied().find(|part| *part > self.part) {
            Some(next) if !self.left(context).is_empty() => self.start(next, context, now, wants),
            _ => self.finish(context, wants),
        }
    }

    /// Records how long the part has run.
    fn close(&mut self, now: Moment) {
        let Stage::Running { since, .. } = self.stage else { return };
        let part = self.part;
        for gauge in self.gpus.values_mut().filter_map(|gauge| gauge.parts.get_mut(&part)) {
            gauge.over = now.since(since);
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
            gauge.put(&mut sheet, Component::Gpu(*gpu));
        }
        wants.end(Done::Measured(sheet.into_list()));
    }
}

impl PartGauge {
    fn new(every: Span) -> Self {
        Self {
            clock: Window::sampled(every),
            die: Window::sampled(every),
            over: Span::ZERO,
            verified: 0,
            mismatches: 0,
            told: 0,
            screened: None,
        }
    }
}

impl Gauge {
    fn put(&self, sheet: &mut Sheet<'_>, gpu: Component) {
        let products = self.products(&PARTS, |screened| screened.products);
        let alone = self.products(&[Part::Cool, Part::Hot], |screened| screened.least_alone);
        let mismatches: u64 = self.parts.values().map(|part| part.mismatches.max(part.told)).sum();
        let verified: u64 = self.parts.values().map(|part| part.verified).sum();
        for (name, excluded, products) in
            [("products", "excluded", products), ("products.alone", "excluded.alone", alone)]
        {
            if let (Some(products), 0) = (products.number(), mismatches) {
                sheet.put(excluded, gpu, Gauged::once(excluded_one_in(products)));
            }
            sheet.put(name, gpu, products);
        }
        let sms = self.parts.values().filter_map(|part| part.screened.as_ref()).map(|screened| screened.sms).max();
        let nothing = || Gauged::Missing(self.broken.clone().unwrap_or(Missing::NothingCompared));
        sheet.put("sms", gpu, sms.map_or_else(nothing, |sms| Gauged::once(sms.into())));
        sheet.put("sms.unreached", gpu, self.unreached().map_or_else(nothing, Gauged::count));
        let wrong: Vec<String> = self.wrong.iter().map(u32::to_string).collect();
        sheet.put("sms.wrong", gpu, Gauged::Text(if wrong.is_empty() { "none".to_owned() } else { wrong.join(", ") }));
        for (name, part) in [("clock.alone", Part::Cool), ("clock.light", Part::Light), ("clock.full", Part::Full)] {
            sheet.put(name, gpu, self.window(part, |gauge| &gauge.clock, Window::mean));
        }
        sheet.put("temp.cool", gpu, self.window(Part::Cool, |gauge| &gauge.die, Window::mean));
        sheet.put("temp.hot", gpu, self.window(Part::Hot, |gauge| &gauge.die, Window::max));
        let compared = |value: u64| match (verified, mismatches) {
            (0, 0) => nothing(),
            _ => Gauged::Number { value: value as f64, samples: verified },
        };
        sheet.put("verified", gpu, compared(verified));
        // Wrong results count even if the screen broke off. That there were none is then unknown.
        sheet.put("mismatches", gpu, if mismatches > 0 { compared(mismatches) } else { self.whole(compared(0)) });
    }

    fn whole(&self, gauged: Gauged) -> Gauged {
        self.broken.as_ref().map_or(gauged, |why| Gauged::Missing(why.clone()))
    }

    /// Adds up a value over parts, each of which must have reported it.
    fn products(&self, parts: &[Part], of: fn(&Screened) -> f64) -> Gauged {
        let told = |part: &Part| self.parts.get(part).and_then(|gauge| gauge.screened.as_ref()).map(of);
        let sum: Option<f64> = parts.iter().map(told).sum();
        match sum {
            Some(sum) if sum > 0.0 => self.whole(Gauged::Number { value: sum, samples: parts.len() as u64 }),
            _ => self.whole(Gauged::Missing(Missing::NothingCompared)),
        }
    }

    /// Counts the SMs that never worked alone.
    fn unreached(&self) -> Option<usize> {
        let of = |part: Part| self.parts.get(&part)?.screened.as_ref().map(|screened| &screened.unreached);
        let (cool, hot) = (of(Part::Cool)?, of(Part::Hot)?);
        Some(cool.iter().filter(|sm| hot.contains(sm)).count())
    }

    fn window(&self, part: Part, of: fn(&PartGauge) -> &Window, statistic: fn(&Window) -> Option<f64>) -> Gauged {
        let nothing = || Gauged::Missing(self.broken.clone().unwrap_or(Missing::NothingCompared));
        self.parts.get(&part).map_or_else(nothing, |gauge| of(gauge).gauged(gauge.over, statistic))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rig::{Rig, Scene, assert_complete, progress, shown};
    use kiln_model::Mismatch;

    /// Ends each load after its length, and reports what it compared.
    fn screening(scene: &Scene<'_>, unreached: &[u32]) -> Vec<LoadSaid> {
        let Some((kind, seconds)) = scene.load else { return Vec::new() };
        let LoadKind::Screen { kernel, turns } = kind else { panic!("another load: {kind:?}") };
        let length = match (kernel, turns) {
            (_, Turns::EachInTurn) => 30.0,
            (kiln_model::BurnKernel::Fp32, _) => 180.0,
            _ => 120.0,
        };
        if seconds < length {
            return vec![progress(scene, 700.0)];
        }
        let screened = Screened {
            gpu: scene.gpu,
            sms: 132,
            products: 1e15,
            least_alone: if *turns == Turns::EachInTurn { 3e12 } else { 0.0 },
            unreached: unreached.to_vec(),
        };
        let mut said = vec![LoadSaid::Screened(screened)];
        // The toy node has one load; its last GPU ends it.
        if scene.gpu == GpuIndex(1) {
            said.push(LoadSaid::Ended { gpu: None, end: LoadEnd::Finished });
        }
        said
    }

    #[test]
    fn four_loads_follow_one_another_and_their_products_add_up() {
        let mut rig = Rig::new(&GpuScreen, 2);
        rig.works = Box::new(|scene| screening(scene, &[]));
        let done = rig.run(&GpuScreen);
        assert_complete(&SPEC, &done, &rig.components);
        let started = rig.story.iter().filter_map(|line| Some(line.split_once(" start ")?.1));
        let each = "Screen { kernel: Bf16, turns: EachInTurn } on 2 GPUs";
        let light = "Screen { kernel: Fp32, turns: AllAtOnce } on 2 GPUs";
        let full = "Screen { kernel: Bf16, turns: AllAtOnce } on 2 GPUs";
        assert_eq!(started.collect::<Vec<_>>(), [each, light, full, each]);
        let number = |name: &str| {
            let own = |one: &&kiln_limit::Measurement| one.name == name && one.component == Component::gpu(0);
            crate::rig::measured(&done).iter().find(own).and_then(kiln_limit::Measurement::as_number)
        };
        assert_eq!((number("products"), number("products.alone")), (Some(4e15), Some(6e12)));
        assert_eq!((number("sms"), number("sms.unreached"), number("mismatches")), (Some(132.0), Some(0.0), Some(0.0)));
        let clocks = ["clock.alone", "clock.light", "clock.full", "temp.cool", "temp.hot"];
        assert!(clocks.iter().all(|name| number(name).is_some()), "{:?}", clocks.map(number));
    }

    fn wrong(scene: &Scene<'_>, sm: u32) -> LoadSaid {
        let (gpu, place) = (scene.gpu, format!("SM {sm} (unit {sm})"));
        LoadSaid::Mismatched(Mismatch { gpu, place, iteration: 1, word: 2, flipped_bits: 1, sm: Some(sm) })
    }

    #[test]
    fn a_wrong_result_names_its_sm_and_takes_the_claim_away() {
        let mut rig = Rig::new(&GpuScreen, 2);
        rig.works = Box::new(|scene| {
            let at_work = scene.load.is_some_and(|(_, seconds)| seconds == 10.0);
            let bad = scene.gpu == GpuIndex(0) && at_work;
            let mut said = screening(scene, &[]);
            said.extend(bad.then(|| wrong(scene, 56)));
            said
        });
        let done = rig.run(&GpuScreen);
        let of = |gpu, name| shown(&done, Component::gpu(gpu), name);
        assert_eq!((of(0, "mismatches"), of(0, "sms.wrong")), ("4".to_owned(), "56".to_owned()));
        assert_eq!((of(1, "mismatches"), of(1, "sms.wrong")), ("0".to_owned(), "none".to_owned()));
        assert!(of(1, "excluded").starts_with("133523"), "{}: 1.3e15 products", of(1, "excluded"));
        let excluded = crate::rig::measured(&done).iter().filter(|one| one.name == "excluded").count();
        assert_eq!(excluded, 1, "of a GPU that was wrong nothing is excluded");
    }

    #[test]
    fn an_sm_counts_as_unreached_only_if_neither_part_had_it_alone() {
        let mut rig = Rig::new(&GpuScreen, 2);
        // Parts begin later and later: SM 3 is left out of the first alone, SM 9 of both.
        rig.works = Box::new(|scene| screening(scene, if scene.at < 60.0 { &[3, 9] } else { &[9] }));
        let done = rig.run(&GpuScreen);
        assert_eq!(shown(&done, Component::gpu(0), "sms.unreached"), "1");
    }

    #[test]
    fn a_screen_that_breaks_off_has_found_nothing_right() {
        let mut rig = Rig::new(&GpuScreen, 2);
        rig.works = Box::new(|scene| match scene.load {
            Some((_, seconds)) if scene.gpu == GpuIndex(0) && seconds == 20.0 => {
                let end = LoadEnd::Failed("out of memory".to_owned().into());
                vec![wrong(scene, 7), LoadSaid::Ended { gpu: Some(scene.gpu), end }]
            }
            _ => screening(scene, &[]),
        });
        let done = rig.run(&GpuScreen);
        assert_complete(&SPEC, &done, &rig.components);
        let of = |gpu, name| shown(&done, Component::gpu(gpu), name);
        assert!(of(0, "products").starts_with("missing: LoadEnded"), "{}", of(0, "products"));
        assert_eq!(of(0, "mismatches"), "1", "what was wrong was wrong");
        assert_eq!(of(1, "mismatches"), "0");
    }

    #[test]
    fn a_load_that_does_not_end_is_not_waited_for_without_end() {
        let mut rig = Rig::new(&GpuScreen, 1);
        rig.works = Box::new(|scene| vec![progress(scene, 700.0)]);
        let done = rig.run(&GpuScreen);
        assert_eq!(shown(&done, Component::gpu(0), "mismatches"), "missing: ScreenUnfinished");
        assert!(rig.took < 150.0, "{}", rig.took);
    }

    #[test]
    fn a_lost_gpu_ends_the_screen_of_itself_alone() {
        let mut rig = Rig::new(&GpuScreen, 2);
        rig.loses = [(GpuIndex(0), 40)].into();
        rig.works = Box::new(|scene| screening(scene, &[]));
        let done = rig.run(&GpuScreen);
        assert!(shown(&done, Component::gpu(0), "mismatches").starts_with("missing: GpuLost"));
        assert_eq!(shown(&done, Component::gpu(1), "mismatches"), "0");
    }
}
