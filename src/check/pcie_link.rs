//! `pcie.link`: generation and width of every GPU's PCIe link while data goes over it, and its errors.

#![expect(clippy::cast_precision_loss, reason = "counts and nanoseconds become floats for statistics, far below 2^53")]

use std::collections::BTreeMap;

use super::declare::{may, must, span};
use super::delta::between;
use super::links::of_gpu;
use super::look::unanswered;
use super::sheet::{Gauged, Sheet};
use super::window::{Window, is_covered};
use super::{Check, CheckRun, Done, Seen, StepContext, Wants};
use kiln_event::{LoadTrouble, Phase, Reason};
use kiln_limit::Missing;
use kiln_model::{
    Answer, Component, ComponentKind, CopyDirection, Endpoint, GpuCounters, GpuIndex, LoadEnd, LoadKind, LoadReport,
    LoadSaid, Moment, Probe, Sensor, Span, Transfer, Unit,
};
use kiln_profile::{CheckSpec, MeasurementSpec, Params, Wear};

#[derive(Debug)]
pub(super) struct PcieLink;

const GPU: ComponentKind = ComponentKind::Gpu;

pub(super) static SPEC: CheckSpec = CheckSpec {
    name: "pcie.link",
    summary: "Copies between host and every GPU and looks at generation and width of the PCIe link meanwhile.",
    details: "An idle link rests in a lower generation, which is normal; so only samples taken while a copy with that GPU \
              was under way count. A copy's set-up counts as idle, and a sample may fall into it: the generation told is \
              the highest that the link held under traffic, with the share of samples it held it for beside it. The width \
              does not rest, so the least is told. Copies are repeated until every GPU has been sampled under traffic \
              often enough. Errors and retraining are differences of counters over the whole step. On parts whose host \
              traffic goes over chip-to-chip links the PCIe link stays idle and its width may be 1.",
    params: &[span("for", "30s", "the least time to copy; the round that has begun is finished")],
    measurements: MEASUREMENTS,
    each: &[GPU],
    wear: Wear::None,
    exclusive: true,
    watcher: false,
    estimate: |params: &Params, gpus| params.span("for").unwrap_or_default().max(Span::from_secs(5 * gpus as u64)),
};

static MEASUREMENTS: &[MeasurementSpec] = &[
    must("gen", Unit::One, GPU, "PCIe generation under traffic"),
    may("gen.held", Unit::Percent, GPU, "share of the samples under traffic at that generation"),
    must("width", Unit::One, GPU, "least PCIe lanes under traffic"),
    may("changes", Unit::One, GPU, "changes of width seen under traffic"),
    may("replays", Unit::One, GPU, "packets sent again"),
    may("correctable", Unit::One, GPU, "correctable errors"),
    may("fatal", Unit::One, GPU, "fatal errors"),
    may("retrains", Unit::One, GPU, "recoveries the device counted, where its link does not rest"),
    must("samples", Unit::One, GPU, "samples under traffic"),
];

/// Samples under traffic that a GPU must have.
const LEAST_SAMPLES: u64 = 3;
/// After so many rounds without enough samples the sampling does not meet the traffic at all. Copies of a third of the sampling period
/// may well be met by one in ten: rounds and samples keep step for a while.
const MOST_ROUNDS: u32 = 60;
/// A round of copies over eight GPUs takes some 25 s; one that takes this long hangs.
const ROUND_WITHIN: Span = Span::from_secs(180);

impl Check for PcieLink {
    fn spec(&self) -> &'static CheckSpec {
        &SPEC
    }

    fn begin(&self, context: &StepContext<'_>) -> Box<dyn CheckRun> {
        Box::new(Run {
            stage: Stage::Before,
            links: context.gpus().into_iter().map(|gpu| (gpu, Link::new(context.every))).collect(),
            first: Vec::new(),
            copies_until: Moment::ZERO,
            hangs_at: Moment::ZERO,
            rounds: 0,
            copied_at: Moment::ZERO,
        })
    }
}

#[derive(Debug)]
struct Link {
    /// Since the last copy of any GPU ended: whose these are is known when the next one ends.
    recent: Vec<(Moment, f64, f64)>,
    /// Under traffic.
    generation: Window,
    width: Window,
    last_width: Option<f64>,
    changes: usize,
    /// How long this GPU's copies took in all, and how much of that samples tell of.
    traffic: Span,
    covered: Span,
    /// A sample tells of no more than this before and after it.
    held: Span,
    broken: Option<LoadEnd>,
}

#[derive(Debug, PartialEq, Eq)]
enum Stage {
    Before,
    Copying,
    After,
    Over,
}

#[derive(Debug)]
struct Run {
    stage: Stage,
    links: BTreeMap<GpuIndex, Link>,
    first: Vec<GpuCounters>,
    copies_until: Moment,
    hangs_at: Moment,
    rounds: u32,
    /// When the last copy ended, or the first began.
    copied_at: Moment,
}

impl CheckRun for Run {
    fn observe(&mut self, context: &StepContext<'_>, now: Moment, seen: Seen<'_>, wants: &mut Wants) {
        match seen {
            Seen::Began => {
                wants.enter(Phase::Measuring, None);
                wants.ask(Probe::Counters);
            }
            Seen::Answered(Answer::Counters(Ok(counters))) => match self.stage {
                Stage::Before => {
                    self.first.clone_from(counters);
                    self.stage = Stage::Copying;
                    self.copies_until = now + context.params.span("for").unwrap_or_default();
                    self.copy(context, now, wants);
                }
                Stage::After => {
                    self.stage = Stage::Over;
                    wants.end(self.done(context, counters));
                }
                Stage::Copying | Stage::Over => {}
            },
            Seen::Answered(Answer::Counters(Err(why))) => wants.end(unanswered(why)),
            Seen::Sampled(sample) => {
                if let (Some(link), Some(generation), Some(width)) =
                    (self.links.get_mut(&sample.gpu), sample.get(Sensor::PcieGeneration), sample.get(Sensor::PcieWidth))
                {
                    link.recent.push((sample.at, generation, width));
                }
            }
            Seen::Load(report) => self.hear(context, report, now, wants),
            Seen::Woken if self.stage == Stage::Copying && now >= self.hangs_at => {
                self.stage = Stage::Over;
                wants.stop_loads();
                let why = Reason::Load(LoadTrouble::CopiesUnfinished { after: ROUND_WITHIN });
                wants.end(Done::Failed { why, measured: Vec::new() });
            }
            _ => {}
        }
    }
}

impl Run {
    fn copy(&mut self, context: &StepContext<'_>, now: Moment, wants: &mut Wants) {
        self.rounds += 1;
        self.hangs_at = now + ROUND_WITHIN;
        wants.start_load(LoadKind::HostCopy(CopyDirection::Both), context.gpus(), None);
        wants.wake_at(self.hangs_at);
    }

    fn hear(&mut self, context: &StepContext<'_>, report: &LoadReport, now: Moment, wants: &mut Wants) {
        if self.stage != Stage::Copying {
            return;
        }
        match &report.said {
            LoadSaid::Running => self.copied_at = report.at,
            LoadSaid::Moved(
                Transfer { from: Endpoint::Host, to: Endpoint::Gpu(gpu), .. }
                | Transfer { from: Endpoint::Gpu(gpu), to: Endpoint::Host, .. },
            ) => self.copied(*gpu, report.at),
            LoadSaid::Ended { gpu: Some(gpu), end } if *end != LoadEnd::Finished => {
                if let Some(link) = self.links.get_mut(gpu) {
                    link.broken = Some(end.clone());
                }
            }
            LoadSaid::Ended { gpu: None, end } => {
                let broken = *end != LoadEnd::Finished;
                if broken {
                    self.links.values_mut().for_each(|link| link.broken = Some(end.clone()));
                }
                let enough = self
                    .links
                    .iter()
                    .all(|(gpu, link)| context.lost.contains_key(gpu) || link.broken.is_some() || link.is_seen());
                if !broken && self.rounds < MOST_ROUNDS && (now < self.copies_until || !enough) {
                    self.copy(context, now, wants);
                } else {
                    self.stage = Stage::After;
                    wants.ask(Probe::Counters);
                }
            }
            _ => {}
        }
    }

    /// A copy with `gpu` has ended: its samples since the last copy were under traffic, those of the others were not.
    /// Samples from after the end are left for the next: on a late host the news of it comes behind them.
    fn copied(&mut self, gpu: GpuIndex, at: Moment) {
        let began = std::mem::replace(&mut self.copied_at, at);
        for (index, link) in &mut self.links {
            let later = link.recent.partition_point(|(sampled, ..)| *sampled <= at);
            let under: Vec<(Moment, f64, f64)> = link.recent.drain(..later).collect();
            if *index == gpu {
                link.take(began, at, &under);
            }
        }
    }

    fn done(&self, context: &StepContext<'_>, last: &[GpuCounters]) -> Done {
        let mut sheet = Sheet::new(&SPEC, context.lost);
        for (gpu, link) in &self.links {
            let component = Component::Gpu(*gpu);
            link.put(&mut sheet, component);
            let counters = of_gpu(&self.first, *gpu).zip(of_gpu(last, *gpu));
            let grown = |pick: fn(&GpuCounters) -> &kiln_model::Reading<u64>| match counters {
                Some((first, last)) => between(pick(first), pick(last)),
                None => Gauged::Missing(Missing::CountersUnread),
            };
            sheet.put("replays", component, grown(|counters| &counters.pcie_replays));
            sheet.put("correctable", component, grown(|counters| &counters.pcie_correctable));
            sheet.put("fatal", component, grown(|counters| &counters.pcie_fatal));
            let retrains = if context.resting_links.contains(gpu) {
                Gauged::Unsupported
            } else {
                grown(|counters| &counters.pcie_retrains)
            };
            sheet.put("retrains", component, retrains);
        }
        Done::Measured(sheet.into_list())
    }
}

impl Link {
    fn new(every: Span) -> Self {
        Self {
            recent: Vec::new(),
            generation: Window::sampled(every),
            width: Window::sampled(every),
            last_width: None,
            changes: 0,
            traffic: Span::ZERO,
            covered: Span::ZERO,
            held: every * 2,
            broken: None,
        }
    }

    /// Takes in the samples of one copy.
    fn take(&mut self, began: Moment, ended: Moment, under: &[(Moment, f64, f64)]) {
        self.traffic += ended.since(began);
        self.generation.begins(began);
        self.width.begins(began);
        let mut before = began;
        for (at, generation, width) in under {
            self.covered += at.since(before).min(self.held);
            before = *at;
            self.generation.add(*at, *generation);
            self.width.add(*at, *width);
            self.changes += usize::from(self.last_width.replace(*width).is_some_and(|last| last != *width));
        }
        // A copy shorter than the sampling period may well have no sample in it on a host that is never late; that there
        // are samples at all is asked for beside this.
        self.covered += ended.since(before).min(self.held);
    }

    /// Whether the link was looked at enough.
    fn is_seen(&self) -> bool {
        self.generation.count() >= LEAST_SAMPLES && is_covered(self.covered, self.traffic)
    }

    fn put(&self, sheet: &mut Sheet<'_>, component: Component) {
        let samples = self.generation.count();
        let of = |value: Option<f64>| match (&self.broken, value) {
            (Some(end), _) => Gauged::Missing(Missing::LoadEnded(end.clone())),
            (None, Some(value)) if self.is_seen() => Gauged::Number { value, samples },
            (None, _) => {
                let (covered, traffic) = (self.covered, self.traffic);
                Gauged::Missing(Missing::TrafficCoverage { samples, covered, traffic })
            }
        };
        let highest = self.generation.max();
        let held = highest.map(|highest| 100.0 * (1.0 - self.generation.share_below(highest)));
        sheet.put("gen", component, of(highest));
        sheet.put("gen.held", component, of(held));
        sheet.put("width", component, of(self.width.min()));
        sheet.put("changes", component, of(Some(self.changes as f64)));
        sheet.put("samples", component, Gauged::once(samples as f64));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rig::{Rig, Scene, assert_complete, counters, lines, shown};
    use kiln_model::Reading;

    /// Copies with each GPU in turn, three seconds each.
    fn copying(scene: &Scene<'_>) -> Vec<LoadSaid> {
        let seconds = scene.load.map_or(0.0, |(_, seconds)| seconds);
        let gpu = scene.gpu;
        let mut said = Vec::new();
        if seconds == 3.0 * f64::from(gpu.0 + 1) {
            said.push(LoadSaid::Moved(Transfer { from: Endpoint::Host, to: Endpoint::Gpu(gpu), gb_per_s: 50.0 }));
            if gpu.0 == 1 {
                said.push(LoadSaid::Ended { gpu: None, end: LoadEnd::Finished });
            }
        }
        said
    }

    fn rig() -> Rig {
        let mut rig = Rig::new(&PcieLink, 2);
        rig.works = Box::new(copying);
        rig.sensors = Box::new(|scene, sample| {
            let seconds = scene.load.map_or(0.0, |(_, seconds)| seconds);
            let mine = seconds > 3.0 * f64::from(scene.gpu.0) && seconds <= 3.0 * f64::from(scene.gpu.0 + 1);
            // The first second of a copy is set-up: the link still rests.
            let rests = !mine || seconds <= 3.0 * f64::from(scene.gpu.0) + 1.0;
            let trained = if scene.gpu.0 == 1 { 3.0 } else { 5.0 };
            sample.put(Sensor::PcieGeneration, if rests { 1.0 } else { trained });
        });
        let mut later = vec![counters(0), counters(1)];
        later[1].pcie_replays = Reading::Value(41);
        rig.counters = vec![vec![counters(0), counters(1)], later];
        rig
    }

    #[test]
    fn only_samples_under_traffic_count() {
        let mut rig = rig();
        let done = rig.run(&PcieLink);
        assert_complete(&SPEC, &done, &rig.components);
        assert_eq!(shown(&done, Component::gpu(0), "gen"), "5");
        insta::assert_snapshot!(lines(&done, Component::gpu(1)), @r"
        gen 3
        gen.held 66.6667 %
        width 16
        changes 0
        samples 15
        replays 40
        correctable 0
        fatal 0
        retrains 0
        ");
    }

    #[test]
    fn a_copy_that_fails_measured_nothing() {
        let mut rig = rig();
        rig.works =
            Box::new(|_| vec![LoadSaid::Ended { gpu: None, end: LoadEnd::Failed("no memory".to_owned().into()) }]);
        let done = rig.run(&PcieLink);
        assert_eq!(shown(&done, Component::gpu(0), "gen"), "missing: LoadEnded(Failed(Words(\"no memory\")))");
    }

    #[test]
    fn copies_that_never_end_are_our_trouble() {
        let mut rig = rig();
        rig.works = Box::new(|_| Vec::new());
        assert!(matches!(rig.run(&PcieLink), Done::Failed { why: Reason::Load(_), .. }));
    }
}
