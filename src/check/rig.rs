//! A toy node for the unit tests of checks: it samples every second, runs loads and answers, as a test tells it to.
//!
//! It has no physics of its own beyond what a closure gives; whole nodes are for the simulation tests.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "values are bounded where they are made, within the narrower type"
)]

use std::collections::{BTreeMap, BTreeSet};

pub(super) use super::toy_node::{counters, inventory};
use super::toy_node::{healthy, sku};
use super::{Check, Done, Seen, StepContext, Want, Wants};
use kiln_event::{Boot, Phase};
use kiln_limit::{Measured, Measurement, Scalar};
use kiln_model::{
    Answer, Component, GpuCounters, GpuIndex, Inventory, KernelRecord, LoadEnd, LoadId, LoadKind, LoadReport, LoadSaid,
    Moment, Probe, Quantity, ReadingFailure, Sample, Source, SourceReport, Span, Text, parse_span,
};
use kiln_profile::{CheckSpec, ParamKind, ParamValue, Params, Sku};

/// What a GPU is doing when it is sampled.
pub(super) struct Scene<'a> {
    pub(super) gpu: GpuIndex,
    /// Seconds since the step began.
    pub(super) at: f64,
    /// The load now on this GPU, with the seconds since it began.
    pub(super) load: Option<(&'a LoadKind, f64)>,
    /// Seconds since the last load ended, and how long that load ran.
    pub(super) since_load: Option<f64>,
}

type Sensors = Box<dyn FnMut(&Scene<'_>, &mut Sample)>;
type Works = Box<dyn FnMut(&Scene<'_>) -> Vec<LoadSaid>>;

pub(super) struct Rig {
    pub(super) inventory: Inventory,
    /// What a probe answers; by default the same as `inventory`.
    pub(super) found: Option<Inventory>,
    pub(super) sku: Sku,
    pub(super) params: Params,
    pub(super) components: Vec<Component>,
    pub(super) first_counters: Option<Vec<GpuCounters>>,
    /// Answers to counter probes, in order; the last one stays.
    pub(super) counters: Vec<Vec<GpuCounters>>,
    pub(super) kernel: Vec<KernelRecord>,
    pub(super) sources: Vec<SourceReport>,
    /// GPUs that stop answering at these seconds.
    pub(super) loses: BTreeMap<GpuIndex, u64>,
    /// GPUs whose PCIe link rests.
    pub(super) resting_links: BTreeSet<GpuIndex>,
    /// When the steps beside this one end.
    pub(super) others_end: Option<u64>,
    pub(super) operator: Option<(bool, Option<String>)>,
    /// What is seen first if the run was taken up after a restart that the step had asked for.
    pub(super) restarted: Option<(Boot, Option<Span>)>,
    /// Adds to or replaces the readings of a healthy idle or loaded GPU.
    pub(super) sensors: Sensors,
    /// What a load says at every second; by default a burn's progress.
    pub(super) works: Works,
    /// Whether the host is too late to sample at this second.
    pub(super) late: fn(u64) -> bool,
    /// Everything the check wanted, in words.
    pub(super) story: Vec<String>,
    /// Seconds the step took.
    pub(super) took: f64,
}

enum Served {
    Nothing,
    One,
    Ended(Done),
}

struct Active {
    id: LoadId,
    kind: LoadKind,
    gpus: BTreeSet<GpuIndex>,
    began: Moment,
    told: bool,
}

pub(super) fn defaults(spec: &CheckSpec) -> Params {
    let mut params = BTreeMap::new();
    for param in spec.params {
        let Some(default) = param.default else { continue };
        let value = match param.kind {
            ParamKind::Span => ParamValue::Span(parse_span(default).expect("span")),
            ParamKind::Choice(options) => {
                assert!(options.contains(&default), "{}.{}", spec.name, param.name);
                ParamValue::Text(default.to_owned())
            }
            ParamKind::Quantity { unit, min, max } => {
                let quantity: Quantity = default.parse().expect("quantity");
                let number = quantity.value_in(unit).expect("unit");
                assert!((min..=max).contains(&number), "{}.{}", spec.name, param.name);
                ParamValue::Number(number)
            }
            ParamKind::Count { min, max } => {
                let count = default.parse().expect("count");
                assert!((min..=max).contains(&count), "{}.{}", spec.name, param.name);
                ParamValue::Count(count)
            }
            ParamKind::Flag => ParamValue::Flag(default.parse().expect("flag")),
            ParamKind::Text => ParamValue::Text(default.to_owned()),
            ParamKind::Localized => ParamValue::Localized(Text::english(default)),
            ParamKind::Texts => ParamValue::Texts(default.split(", ").map(str::to_owned).collect()),
        };
        params.insert(param.name.to_owned(), value);
    }
    Params(params)
}

impl Rig {
    /// A node of `gpus` healthy GPUs, the step on each of them, default parameters.
    pub(super) fn new(check: &dyn Check, gpus: u8) -> Self {
        Self {
            inventory: inventory(gpus),
            found: None,
            sku: sku(gpus),
            params: defaults(check.spec()),
            components: (0..gpus).map(Component::gpu).collect(),
            first_counters: None,
            counters: vec![(0..gpus).map(counters).collect()],
            kernel: Vec::new(),
            sources: vec![SourceReport::followed(Moment::ZERO, Source::KernelLog)],
            loses: BTreeMap::new(),
            resting_links: BTreeSet::new(),
            others_end: None,
            operator: None,
            restarted: None,
            sensors: Box::new(|_, _| {}),
            works: Box::new(|scene| vec![progress(scene, 700.0)]),
            late: |_| false,
            story: Vec::new(),
            took: 0.0,
        }
    }

    pub(super) fn set(&mut self, name: &str, value: ParamValue) {
        self.params.0.insert(name.to_owned(), value);
    }

    pub(super) fn spans(&mut self, spans: &[(&str, u64)]) {
        for (name, seconds) in spans {
            self.set(name, ParamValue::Span(Span::from_secs(*seconds)));
        }
    }

    pub(super) fn run(&mut self, check: &dyn Check) -> Done {
        const LONGEST: u64 = 6 * 3600;
        let inventory = self.inventory.clone();
        let sku = self.sku.clone();
        let skus: BTreeMap<GpuIndex, Sku> = inventory.gpus.iter().map(|gpu| (gpu.index, sku.clone())).collect();
        let (components, params) = (self.components.clone(), self.params.clone());
        let (first, kernel, sources) = (self.first_counters.clone(), self.kernel.clone(), self.sources.clone());
        let mut lost = BTreeMap::new();
        let every = Span::from_secs(1);
        let resting = self.resting_links.clone();
        macro_rules! context {
            () => {
                StepContext {
                    components: &components,
                    params: &params,
                    inventory: &inventory,
                    skus: &skus,
                    every,
                    first_counters: first.as_deref(),
                    kernel: &kernel,
                    sources: &sources,
                    lost: &lost,
                    began: Moment::ZERO,
                    resting_links: &resting,
                }
            };
        }
        let mut run = check.begin(&context!());
        let mut desk = Desk::default();
        let first_seen = self.restarted.map_or(Seen::Began, |(boot, after)| Seen::Restarted { boot, after });
        desk.see(&mut *run, &context!(), Moment::ZERO, first_seen);
        for second in 0..LONGEST {
            let now = Moment::from_secs(second);
            loop {
                match self.serve(&mut desk, &mut *run, &context!(), now) {
                    Served::Nothing => break,
                    Served::One => {}
                    Served::Ended(done) => {
                        self.took = now.seconds();
                        return done;
                    }
                }
            }
            for (gpu, _) in self.loses.clone().into_iter().filter(|(_, at)| *at == second) {
                lost.insert(gpu, now);
                desk.see(&mut *run, &context!(), now, Seen::GpuLost(gpu));
            }
            let late = (self.late)(second);
            for gpu in context!().gpus().into_iter().filter(|_| !late) {
                let sample = self.sample(&desk, gpu, now, &lost);
                desk.see(&mut *run, &context!(), now, Seen::Sampled(&sample));
            }
            for report in self.reports(&mut desk, now, &lost) {
                desk.see(&mut *run, &context!(), now, Seen::Load(&report));
                if matches!(report.said, LoadSaid::Ended { gpu: None, .. }) {
                    desk.ended(report.load, now);
                }
            }
            if self.others_end == Some(second) {
                desk.see(&mut *run, &context!(), now, Seen::OthersEnded);
            }
            if desk.wake == Some(now) {
                desk.wake = None;
                desk.see(&mut *run, &context!(), now, Seen::Woken);
            }
        }
        panic!("the check never ended: {:?}", self.story);
    }

    /// Carries out one want.
    fn serve(
        &mut self,
        desk: &mut Desk,
        run: &mut dyn super::CheckRun,
        context: &StepContext<'_>,
        now: Moment,
    ) -> Served {
        if desk.pending.is_empty() {
            return Served::Nothing;
        }
        match desk.pending.remove(0) {
            Want::Enter { phase, .. } => self.story.push(format!("{now} {phase:?}")),
            Want::StartLoad { kind, gpus, .. } => {
                self.story.push(format!("{now} start {kind:?} on {} GPUs", gpus.len()));
                desk.started += 1;
                desk.active.push(Active { id: LoadId(desk.started), kind, gpus, began: now, told: false });
            }
            Want::StopLoads => {
                self.story.push(format!("{now} stop"));
                let stopped: Vec<LoadId> = desk.active.iter().map(|active| active.id).collect();
                for load in stopped {
                    let said = LoadSaid::Ended { gpu: None, end: LoadEnd::Stopped };
                    desk.ended(load, now);
                    desk.see(run, context, now, Seen::Load(&LoadReport { load, at: now, said }));
                }
            }
            Want::Ask(Probe::Inventory) => {
                let found = self.found.clone().unwrap_or_else(|| self.inventory.clone());
                desk.see(run, context, now, Seen::Answered(&Answer::Inventory(Ok(Box::new(found)))));
            }
            Want::Ask(Probe::Counters) => {
                let counters = if self.counters.len() > 1 { self.counters.remove(0) } else { self.counters[0].clone() };
                desk.see(run, context, now, Seen::Answered(&Answer::Counters(Ok(counters))));
            }
            Want::WakeAt(at) => {
                // The rig looks once a second; a later wish replaces an earlier one.
                desk.wake = Some(Moment::from_secs(at.seconds().ceil() as u64));
            }
            Want::AskOperator(prompt) => {
                self.story.push(format!("{now} ask: {}", prompt.en));
                if let Some((yes, comment)) = self.operator.clone() {
                    let seen = Seen::OperatorAnswered { yes, comment: comment.as_deref() };
                    desk.see(run, context, now, seen);
                }
            }
            Want::Restart { how, .. } => self.story.push(format!("{now} restart {how:?}")),
            Want::End(done) => return Served::Ended(done),
        }
        Served::One
    }

    fn sample(&mut self, desk: &Desk, gpu: GpuIndex, now: Moment, lost: &BTreeMap<GpuIndex, Moment>) -> Sample {
        let mut sample = Sample::new(gpu, now);
        if lost.contains_key(&gpu) {
            sample.fail_all(ReadingFailure::Lost);
            return sample;
        }
        let scene = desk.scene(gpu, now);
        healthy(&scene, &mut sample);
        (self.sensors)(&scene, &mut sample);
        sample
    }

    fn reports(&mut self, desk: &mut Desk, now: Moment, lost: &BTreeMap<GpuIndex, Moment>) -> Vec<LoadReport> {
        let mut reports = Vec::new();
        for at in 0..desk.active.len() {
            let active = &mut desk.active[at];
            let load = active.id;
            if now == active.began {
                continue;
            }
            if !active.told {
                active.told = true;
                reports.push(LoadReport { load, at: now, said: LoadSaid::Running });
                continue;
            }
            let gpus: Vec<GpuIndex> = active.gpus.iter().copied().filter(|gpu| !lost.contains_key(gpu)).collect();
            let active = Some(&desk.active[at]);
            let said = gpus.into_iter().flat_map(|gpu| (self.works)(&desk.scene_of(active, gpu, now)));
            reports.extend(said.map(|said| LoadReport { load, at: now, said }));
        }
        reports
    }
}

#[derive(Default)]
struct Desk {
    pending: Vec<Want>,
    wake: Option<Moment>,
    active: Vec<Active>,
    started: u32,
    ended: Option<Moment>,
}

impl Desk {
    fn see(&mut self, run: &mut dyn super::CheckRun, context: &StepContext<'_>, now: Moment, seen: Seen<'_>) {
        let mut wants = Wants::default();
        run.observe(context, now, seen, &mut wants);
        self.pending.extend(wants.drain());
    }

    fn scene(&self, gpu: GpuIndex, now: Moment) -> Scene<'_> {
        self.scene_of(self.active.iter().find(|active| active.gpus.contains(&gpu)), gpu, now)
    }

    fn scene_of<'a>(&self, active: Option<&'a Active>, gpu: GpuIndex, now: Moment) -> Scene<'a> {
        Scene {
            gpu,
            at: now.seconds(),
            load: active.map(|active| (&active.kind, now.since(active.began).as_secs_f64())),
            since_load: self.ended.map(|ended| now.since(ended).as_secs_f64()),
        }
    }

    fn ended(&mut self, load: LoadId, now: Moment) {
        self.active.retain(|active| active.id != load);
        self.ended = Some(now);
    }
}

/// A load's progress line with nothing wrong.
pub(super) fn progress(scene: &Scene<'_>, tflops: f64) -> LoadSaid {
    let seconds = scene.load.map_or(0.0, |(_, seconds)| seconds);
    LoadSaid::Progress {
        gpu: scene.gpu,
        tflops,
        memory_gb_per_s: 3000.0,
        verified: (seconds * 1000.0) as u64,
        mismatches: 0,
    }
}

/// The measurements of a step that ended as it should.
pub(super) fn measured(done: &Done) -> &[Measurement] {
    match done {
        Done::Measured(list) => list,
        other => panic!("the check ended with {other:?}"),
    }
}

/// The measurements of one component as `name value` lines.
pub(super) fn lines(done: &Done, component: Component) -> String {
    let lines: Vec<String> = measured(done)
        .iter()
        .filter(|measurement| measurement.component == component)
        .map(|measurement| format!("{} {}", measurement.name, told(measurement)))
        .collect();
    lines.join("\n")
}

pub(super) fn shown(done: &Done, component: Component, name: &str) -> String {
    let found = measured(done).iter().find(|it| it.component == component && it.name == name);
    found.map_or_else(|| format!("no {name} on {component}"), told)
}

/// The value with its unit, or the reason why there is none as it is written in code.
pub(super) fn told(measurement: &Measurement) -> String {
    match &measurement.value {
        Measured::Missing(why) => format!("missing: {why:?}"),
        value => measurement.quantity().unwrap_or_else(|| format!("{value:?}").to_lowercase()),
    }
}

/// `component name` of every flag that is false.
pub(super) fn raised(done: &Done) -> Vec<String> {
    measured(done)
        .iter()
        .filter(|measurement| measurement.value == Measured::Value(Scalar::Flag(false)))
        .map(|measurement| format!("{} {}", measurement.component, measurement.name))
        .collect()
}

/// That a check gives everything it requires of itself on every component of the step, and nothing undeclared.
pub(super) fn assert_complete(spec: &CheckSpec, done: &Done, components: &[Component]) {
    for declared in spec.measurements.iter().filter(|declared| declared.required) {
        for component in components.iter().filter(|component| component.kind() == declared.of) {
            let found = measured(done).iter().any(|it| it.name == declared.name && it.component == *component);
            assert!(found, "{} gives no {} for {component}", spec.name, declared.name);
        }
    }
    for measurement in measured(done) {
        let declared = spec.measurement(&measurement.name);
        assert!(
            declared.is_some_and(|declared| declared.of == measurement.component.kind()),
            "{} does not declare {} on {}",
            spec.name,
            measurement.name,
            measurement.component
        );
    }
}

impl Rig {
    /// The phases the step went through, with the moments they began.
    pub(super) fn phases(&self) -> Vec<&str> {
        let phases = [Phase::Settling, Phase::WarmingUp, Phase::Measuring, Phase::CoolingDown, Phase::Waiting];
        let names: Vec<String> = phases.iter().map(|phase| format!("{phase:?}")).collect();
        self.story.iter().map(String::as_str).filter(|line| names.iter().any(|name| line.ends_with(name))).collect()
    }
}
