//! `gpu.training`: arithmetic, memory traffic, an exchange between all GPUs and copies from and to the host at once, as training
//! does.

#![expect(clippy::cast_precision_loss, reason = "counts and nanoseconds become floats for statistics, far below 2^53")]

use std::collections::{BTreeMap, BTreeSet};

use super::course::{Course, Rest, START_WITHIN, Turn};
use super::declare::{choice, may, must, quantity, span, text};
use super::exchange::Exchange;
use super::gauge::LoadGauge;
use super::gauges::{Gauges, gauges, put_common};
use super::gpu_burn::kernel;
use super::inventory_watch::{
    FABRIC_AWAY, InventoryWatch, LINKS_AWAY, LINKS_INACTIVE, LOOKS, NICS_AWAY, NICS_BAD, NVMES_AWAY, NVMES_BAD,
    PSUS_AWAY, PSUS_BAD,
};
use super::links::{of_gpu, put_growth};
use super::look::unanswered;
use super::sheet::{Gauged, Sheet};
use super::window::Window;
use super::{Check, CheckRun, Done, Seen, StepContext, Wants};
use kiln_event::Phase;
use kiln_limit::Missing;
use kiln_model::{
    Answer, Component, ComponentKind, CopyDirection, Endpoint, GpuCounters, GpuIndex, LoadEnd, LoadId, LoadKind,
    LoadReport, LoadSaid, Moment, Probe, Span, Transfer, Unit,
};
use kiln_profile::{CheckSpec, MeasurementSpec, Params, Wear};

#[derive(Debug)]
pub(super) struct GpuTraining;

const GPU: ComponentKind = ComponentKind::Gpu;

pub(super) static SPEC: CheckSpec = CheckSpec {
    name: "gpu.training",
    summary: "Burns, exchanges data between all GPUs and copies from and to the host at the same time, with every result compared.",
    details: "A part that is right in any test of one thing can be wrong when arithmetic, memory and links draw from the \
              same supply at once, which is what training does all day. The burn's results are compared bit for bit; link \
              errors are differences of counters over the whole step. How fast either goes while they share a GPU depends \
              on how the driver shares it out, which it does alike on all of a node: the rates have no floor, and siblings \
              tell which is slow. A clock that is low with no reason given needs none of them. \
              After a soak the parts are hot, which is when such faults show.",
    params: &[
        choice("kernel", &["bf16", "fp8", "fp32", "fp64"], "bf16", "arithmetic of the burn"),
        span("for", "4m", "how long both run together"),
        quantity(
            "clock-floor",
            (Unit::Percent, 1.0, 100.0),
            "90 %",
            "share of the greatest SM clock under which a clock needs a reason",
        ),
    ],
    measurements: MEASUREMENTS,
    each: &[GPU, ComponentKind::NvLink],
    wear: Wear::Stress,
    exclusive: true,
    watcher: false,
    estimate: |params: &Params, _| params.span("for").unwrap_or_default() + Span::from_secs(15),
};

static MEASUREMENTS: &[MeasurementSpec] = &[
    must("power.mean", Unit::Watt, GPU, "board power, mean"),
    must("temp.max", Unit::Celsius, GPU, "highest die temperature"),
    may("memory-over-die", Unit::Kelvin, GPU, "memory temperature over die temperature, mean"),
    may("die-over-memory", Unit::Kelvin, GPU, "die temperature over memory temperature, mean"),
    must("throughput.mean", Unit::Teraflops, GPU, "work of the burn per second, mean"),
    may("throughput.per-clock", Unit::One, GPU, "million operations of the burn per SM clock cycle"),
    may("bandwidth.mean", Unit::GigabytePerSecond, GPU, "what the burn moves in memory meanwhile, mean"),
    must("clock.mean", Unit::Megahertz, GPU, "SM clock, mean"),
    may("clock.unexplained", Unit::Percent, GPU, "share of the window with a low SM clock and no reason given"),
    // Without it nothing shows that the links had traffic, and that they had no errors says nothing.
    must("egress.mean", Unit::GigabytePerSecond, GPU, "what the GPU sent meanwhile, all partners together"),
    // Likewise of the copies.
    must(
        "host.mean",
        Unit::GigabytePerSecond,
        GPU,
        "what was copied between host and GPU meanwhile, mean of both directions",
    ),
    may("host.slower", Unit::GigabytePerSecond, GPU, "likewise, mean of the direction that moved less"),
    FABRIC_AWAY,
    LINKS_AWAY,
    LINKS_INACTIVE,
    LOOKS,
    PSUS_AWAY,
    PSUS_BAD,
    NICS_AWAY,
    NICS_BAD,
    NVMES_AWAY,
    NVMES_BAD,
    may("nvlink.errors", Unit::One, GPU, "errors of all the GPU's links meanwhile"),
    text("nvlink.error-links", GPU, "the links with errors"),
    may("link.errors", Unit::One, ComponentKind::NvLink, "errors of one link meanwhile"),
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
    must("verified", Unit::One, GPU, "results compared"),
    must("mismatches", Unit::One, GPU, "results that were wrong"),
];

/// The first seconds, in which the exchange starts under the burn, are not measured.
const WARMUP: Span = Span::from_secs(10);

impl Check for GpuTraining {
    fn spec(&self) -> &'static CheckSpec {
        &SPEC
    }

    fn begin(&self, context: &StepContext<'_>) -> Box<dyn CheckRun> {
        let length = context.params.span("for").unwrap_or_default();
        let floor = context.params.number("clock-floor").unwrap_or(90.0);
        Box::new(Run {
            stage: Stage::Before,
            course: Course::new(Rest::Needless, LoadKind::Burn(kernel(context.params)), WARMUP, length),
            gauges: gauges(context, floor).beside_others(context),
            burn: None,
            exchange: Exchange::default(),
            watch: InventoryWatch::since(context.inventory),
            copies: HostCopies::default(),
            broken: None,
            over: Span::ZERO,
            first: Vec::new(),
        })
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Stage {
    Before,
    Working,
    After,
}

#[derive(Debug)]
struct Run {
    stage: Stage,
    course: Course,
    gauges: Gauges,
    /// The burn, once it runs: what another load says is the exchange's.
    burn: Option<LoadId>,
    exchange: Exchange,
    watch: InventoryWatch,
    copies: HostCopies,
    /// Why the exchange ended before the burn did.
    broken: Option<Missing>,
    /// How long the steady window was.
    over: Span,
    first: Vec<GpuCounters>,
}

impl CheckRun for Run {
    fn observe(&mut self, context: &StepContext<'_>, now: Moment, seen: Seen<'_>, wants: &mut Wants) {
        match (&self.stage, &seen) {
            (Stage::Before, Seen::Began) => {
                wants.enter(Phase::Measuring, None);
                wants.ask(Probe::Counters);
            }
            (Stage::Before, Seen::Answered(Answer::Counters(Ok(counters)))) => {
                self.first.clone_from(counters);
                self.stage = Stage::Working;
                self.turn(context, now, &Seen::Began, wants);
            }
            (Stage::After, Seen::Answered(Answer::Counters(Ok(counters)))) => wants.end(self.done(context, counters)),
            (_, Seen::Answered(Answer::Counters(Err(why)))) => wants.end(unanswered(why)),
            (Stage::Working, Seen::Load(report)) if self.burn.is_some_and(|burn| burn != report.load) => {
                self.hear_other(context, report, wants);
            }
            (Stage::Working, _) => {
                self.watch.take(&seen);
                if let Seen::Load(LoadReport { load, said: LoadSaid::Running, .. }) = &seen {
                    self.burn = Some(*load);
                    start_exchange(context, wants);
                    start_copies(context, wants);
                }
                self.gauges.take(&self.course, &seen);
                self.turn(context, now, &seen, wants);
            }
            _ => {}
        }
    }
}

fn start_exchange(context: &StepContext<'_>, wants: &mut Wants) {
    let length = context.params.span("for").unwrap_or_default();
    // Longer than needed: it is stopped with the burn.
    wants.start_load(LoadKind::AllToAll, context.gpus(), Some(WARMUP + length + START_WITHIN));
}

/// A load for each GPU: one for all of them would copy from one after another.
fn start_copies(context: &StepContext<'_>, wants: &mut Wants) {
    let length = context.params.span("for").unwrap_or_default();
    for gpu in context.gpus().into_iter().filter(|gpu| !context.lost.contains_key(gpu)) {
        wants.start_load(LoadKind::HostCopy(CopyDirection::Both), [gpu].into(), Some(WARMUP + length + START_WITHIN));
    }
}

/// What the loads that copy between host and GPUs tell.
#[derive(Debug, Default)]
struct HostCopies {
    /// Each by what it has copied: a load says of itself only what it moves.
    loads: BTreeSet<LoadId>,
    /// GB/s of each copy in the steady window: to the GPU, and from it.
    moved: BTreeMap<GpuIndex, [Vec<f64>; 2]>,
}

impl HostCopies {
    /// Whether the report is of a load of this kind. What it moved counts in the steady window alone.
    fn hear(&mut self, report: &LoadReport, is_measuring: bool) -> bool {
        if let LoadSaid::Moved(Transfer { from, to, gb_per_s }) = &report.said
            && let (Endpoint::Host, Endpoint::Gpu(gpu)) | (Endpoint::Gpu(gpu), Endpoint::Host) = (*from, *to)
        {
            self.loads.insert(report.load);
            if is_measuring {
                self.moved.entry(gpu).or_default()[usize::from(*to == Endpoint::Host)].push(*gb_per_s);
            }
        }
        self.loads.contains(&report.load)
    }

    fn mean(&self, gpu: GpuIndex) -> Gauged {
        match self.moved.get(&gpu) {
            Some(moved) => mean(moved.iter().flatten()),
            None => Gauged::Missing(Missing::NoCopyTimed),
        }
    }

    /// The direction that moved less; one that moved nothing is missing.
    fn slower(&self, gpu: GpuIndex) -> Gauged {
        let Some([to, from]) = self.moved.get(&gpu) else { return Gauged::Missing(Missing::NoCopyTimed) };
        match (mean(to.iter()), mean(from.iter())) {
            (Gauged::Number { value: to, samples }, Gauged::Number { value: from, samples: others }) => {
                Gauged::Number { value: to.min(from), samples: samples + others }
            }
            (to, from) => {
                if to.number().is_none() {
                    to
                } else {
                    from
                }
            }
        }
    }
}

fn mean<'a>(moved: impl Iterator<Item = &'a f64> + Clone) -> Gauged {
    match moved.clone().count() {
        0 => Gauged::Missing(Missing::NoCopyTimed),
        count => Gauged::Number { value: moved.sum::<f64>() / count as f64, samples: count as u64 },
    }
}

impl Run {
    /// Takes in what the exchange and the copies say. One that ends before it has moved anything counts as the exchange, whose
    /// measurement then says why it is missing.
    fn hear_other(&mut self, context: &StepContext<'_>, report: &LoadReport, wants: &mut Wants) {
        if self.copies.hear(report, self.course.is_measuring()) {
            return;
        }
        match &report.said {
            LoadSaid::Ended { gpu: None, end: LoadEnd::Finished } => start_exchange(context, wants),
            LoadSaid::Ended { end, .. } => {
                self.broken.get_or_insert_with(|| Missing::LoadEnded(end.clone()));
            }
            said if self.course.is_measuring() => self.exchange.hear(report.at, said),
            _ => {}
        }
    }

    fn turn(&mut self, context: &StepContext<'_>, now: Moment, seen: &Seen<'_>, wants: &mut Wants) {
        match self.course.turn(context, now, seen, self.gauges.any_left(context), wants) {
            Turn::Going => {}
            Turn::Over => {
                self.over = self.course.over(now);
                self.gauges.close(self.over);
                self.stage = Stage::After;
                wants.ask(Probe::Counters);
            }
            Turn::Ended(done) => wants.end(done),
        }
    }

    fn done(&self, context: &StepContext<'_>, last: &[GpuCounters]) -> Done {
        let mut sheet = Sheet::new(&SPEC, context.lost);
        for (index, gauge) in self.gauges.iter() {
            let gpu = Component::Gpu(index);
            sheet.put("power.mean", gpu, gauge.at_best(gauge.power.gauged(self.over, Window::mean)));
            sheet.put("temp.max", gpu, gauge.whole(gauge.die.gauged(self.over, Window::max)));
            let over_die = gauge.whole(gauge.memory_over_die(self.over));
            sheet.put("die-over-memory", gpu, over_die.clone().negated());
            sheet.put("memory-over-die", gpu, over_die);
            sheet.put("throughput.mean", gpu, gauge.at_best(gauge.tflops.gauged(self.over, Window::mean)));
            sheet.put("throughput.per-clock", gpu, gauge.at_best(gauge.per_clock(self.over)));
            sheet.put("bandwidth.mean", gpu, gauge.at_best(gauge.memory_rate.gauged(self.over, Window::mean)));
            sheet.put("clock.mean", gpu, gauge.at_best(gauge.clock.gauged(self.over, Window::mean)));
            sheet.put("clock.unexplained", gpu, gauge.at_best(gauge.unexplained(self.over)));
            sheet.put("egress.mean", gpu, self.egress(context, index, gauge));
            self.watch.put_fabric(&mut sheet, index);
            self.watch.put_links(&mut sheet, index);
            sheet.put("host.mean", gpu, gauge.whole(self.copies.mean(index)));
            sheet.put("host.slower", gpu, gauge.whole(self.copies.slower(index)));
            put_common(&mut sheet, gpu, gauge, self.over);
            self.gauges.put_joined(&mut sheet, index);
            put_growth(&mut sheet, context.components, index, of_gpu(&self.first, index), of_gpu(last, index));
        }
        self.watch.put_parts(&mut sheet);
        Done::Measured(sheet.into_list())
    }

    fn egress(&self, context: &StepContext<'_>, gpu: GpuIndex, gauge: &LoadGauge) -> Gauged {
        if let Some(why) = &self.broken {
            return Gauged::Missing(why.clone());
        }
        let partners: Vec<GpuIndex> =
            context.gpus().into_iter().filter(|other| !context.lost.contains_key(other)).collect();
        gauge.whole(self.exchange.egress(gpu, &partners, self.over).0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rig::{Rig, Scene, assert_complete, counters, progress, shown};
    use kiln_model::Reading;

    /// A burn tells of its work every second, an exchange of every way every five.
    fn working(scene: &Scene<'_>) -> Vec<LoadSaid> {
        let Some((kind, seconds)) = scene.load else { return Vec::new() };
        if matches!(kind, LoadKind::HostCopy(_)) {
            let (host, gpu) = (Endpoint::Host, Endpoint::Gpu(scene.gpu));
            let to = LoadSaid::Moved(Transfer { from: host, to: gpu, gb_per_s: 56.0 });
            let from = LoadSaid::Moved(Transfer { from: gpu, to: host, gb_per_s: 44.0 });
            return if seconds % 3.0 == 0.0 { vec![to, from] } else { Vec::new() };
        }
        if *kind != LoadKind::AllToAll {
            return vec![progress(scene, 700.0)];
        }
        let to = |to: u8| {
            let (from, to) = (Endpoint::Gpu(scene.gpu), Endpoint::Gpu(GpuIndex(to)));
            LoadSaid::Moved(Transfer { from, to, gb_per_s: 100.0 })
        };
        let others = (0..3).filter(|other| *other != scene.gpu.0 && seconds % 5.0 == 0.0);
        others.map(to).collect()
    }

    #[test]
    fn a_burn_and_an_exchange_run_at_once_and_both_are_measured() {
        let mut rig = Rig::new(&GpuTraining, 3);
        rig.works = Box::new(working);
        let done = rig.run(&GpuTraining);
        assert_complete(&SPEC, &done, &rig.components);
        insta::assert_snapshot!(rig.story.join("\n"), @r"
        00:00:00 Measuring
        00:00:00 start Burn(Bf16) on 3 GPUs
        00:00:02 start AllToAll on 3 GPUs
        00:00:02 start HostCopy(Both) on 1 GPUs
        00:00:02 start HostCopy(Both) on 1 GPUs
        00:00:02 start HostCopy(Both) on 1 GPUs
        00:00:02 WarmingUp
        00:00:12 Measuring
        00:04:12 stop
        ");
        assert_eq!(shown(&done, Component::gpu(1), "mismatches"), "0");
        assert_eq!(shown(&done, Component::gpu(1), "nvlink.errors"), "0");
        assert_eq!(shown(&done, Component::gpu(1), "egress.mean"), "200 GB/s");
        assert_eq!(shown(&done, Component::gpu(1), "host.mean"), "50 GB/s");
        assert_eq!(shown(&done, Component::gpu(1), "host.slower"), "44 GB/s");
        assert_eq!(shown(&done, Component::gpu(1), "bandwidth.mean"), "3000 GB/s");
    }

    #[test]
    fn copies_that_move_nothing_are_missing_and_those_of_another_gpu_do_not_count() {
        let mut rig = Rig::new(&GpuTraining, 3);
        rig.works = Box::new(|scene| {
            let copies = scene.load.is_some_and(|(kind, _)| matches!(kind, LoadKind::HostCopy(_)));
            if copies && scene.gpu == GpuIndex(1) { Vec::new() } else { working(scene) }
        });
        let done = rig.run(&GpuTraining);
        assert_eq!(shown(&done, Component::gpu(1), "host.mean"), "missing: NoCopyTimed");
        assert_eq!(shown(&done, Component::gpu(2), "host.mean"), "50 GB/s");
        let spec = SPEC.measurements.iter().find(|spec| spec.name == "host.mean");
        assert!(spec.is_some_and(|spec| spec.required), "a step without it is not passed");
    }
    /// What one GPU shows of its exchange and its burn where the loads do as `works` says.
    fn egress(works: fn(&Scene<'_>) -> Vec<LoadSaid>) -> (String, String) {
        let mut rig = Rig::new(&GpuTraining, 3);
        rig.works = Box::new(works);
        let done = rig.run(&GpuTraining);
        assert_complete(&SPEC, &done, &rig.components);
        (shown(&done, Component::gpu(1), "egress.mean"), shown(&done, Component::gpu(1), "throughput.mean"))
    }

    fn silent(scene: &Scene<'_>) -> Vec<LoadSaid> {
        let exchanges = scene.load.is_some_and(|(kind, _)| *kind == LoadKind::AllToAll);
        if exchanges { Vec::new() } else { working(scene) }
    }

    fn failing(scene: &Scene<'_>) -> Vec<LoadSaid> {
        match scene.load {
            Some((LoadKind::AllToAll, seconds)) if seconds >= 60.0 => {
                vec![LoadSaid::Ended { gpu: None, end: LoadEnd::Failed("no peer access".to_owned().into()) }]
            }
            _ => working(scene),
        }
    }

    /// GPU 1 tells nothing of its way to GPU 2.
    fn one_way_silent(scene: &Scene<'_>) -> Vec<LoadSaid> {
        let to_two = |said: &LoadSaid| matches!(said, LoadSaid::Moved(Transfer { to: Endpoint::Gpu(GpuIndex(2)), .. }));
        working(scene).into_iter().filter(|said| scene.gpu != GpuIndex(1) || !to_two(said)).collect()
    }

    #[test]
    fn an_exchange_that_is_silent_or_fails_is_no_exchange_without_errors() {
        let (sent, worked) = egress(silent);
        assert_eq!(sent, "missing: NoTrafficTold");
        assert!(worked.starts_with("700"), "the burn went on: {worked}");
        let (sent, _) = egress(failing);
        assert!(sent.starts_with("missing: LoadEnded(Failed("), "{sent}");
        let (sent, _) = egress(one_way_silent);
        assert_eq!(sent, "missing: NoTrafficTold", "one way that is silent hides in no sum");
        let spec = SPEC.measurements.iter().find(|spec| spec.name == "egress.mean");
        assert!(spec.is_some_and(|spec| spec.required), "a step without it is not passed");
    }

    #[test]
    fn errors_of_a_link_meanwhile_belong_to_its_gpu() {
        let mut rig = Rig::new(&GpuTraining, 3);
        rig.works = Box::new(working);
        let first: Vec<GpuCounters> = (0..3).map(counters).collect();
        let mut last = first.clone();
        if let Reading::Value(links) = &mut last[2].links {
            links[3].crc = Reading::Value(900);
        }
        rig.counters = vec![first, last];
        let done = rig.run(&GpuTraining);
        assert_eq!(shown(&done, Component::gpu(2), "nvlink.error-links"), "3");
        assert_eq!(shown(&done, Component::gpu(1), "nvlink.errors"), "0");
    }
}
