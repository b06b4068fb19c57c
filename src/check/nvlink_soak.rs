//! `nvlink.soak`: all GPUs exchange data for a while, and every link's errors are counted.

use super::course::{Course, Rest, Turn};
use super::declare::{may, span, text};
use super::exchange::Exchange;
use super::gauges::{Gauges, gauges};
use super::inventory_watch::{FABRIC_AWAY, InventoryWatch, LINKS_AWAY, LINKS_INACTIVE};
use super::links::{of_gpu, put_growth};
use super::look::unanswered;
use super::sheet::Sheet;
use super::{Check, CheckRun, Done, Seen, StepContext, Wants};
use kiln_event::Phase;
use kiln_model::{Answer, Component, ComponentKind, GpuCounters, GpuIndex, LoadKind, Moment, Probe, Span, Unit};
use kiln_profile::{CheckSpec, MeasurementSpec, Params, Wear};

#[derive(Debug)]
pub(super) struct NvlinkSoak;

const GPU: ComponentKind = ComponentKind::Gpu;

pub(super) static SPEC: CheckSpec = CheckSpec {
    name: "nvlink.soak",
    summary: "Lets all GPUs send to all others for a while, and counts the errors of every link meanwhile.",
    details: "A weak link is perfect at rest and shows CRC errors, replays and recoveries only in proportion to traffic, \
              often growing as it warms. Errors are differences of counters over the whole exchange. What a GPU sends is \
              told as the sum over its partners; replays cost little of it, so the counters are the sharper sign.",
    params: &[span("for", "10m", "how long to exchange")],
    measurements: MEASUREMENTS,
    each: &[GPU, ComponentKind::NvLink],
    wear: Wear::Stress,
    exclusive: true,
    watcher: false,
    estimate: |params: &Params, _| params.span("for").unwrap_or_default() + Span::from_secs(10),
};

static MEASUREMENTS: &[MeasurementSpec] = &[
    may("egress.mean", Unit::GigabytePerSecond, GPU, "what the GPU sent, all partners together"),
    may("egress.worst", Unit::GigabytePerSecond, GPU, "what it sent to its slowest partner, times the partners"),
    FABRIC_AWAY,
    LINKS_AWAY,
    LINKS_INACTIVE,
    super::kept::WIDTH_LOST,
    super::kept::GEN_LOWER,
    super::kept::LIMIT_FALL,
    super::foreign::JOINED,
    may("nvlink.errors", Unit::One, GPU, "errors of all the GPU's links during the exchange"),
    text("nvlink.error-links", GPU, "the links with errors"),
    may("link.errors", Unit::One, ComponentKind::NvLink, "errors of one link during the exchange"),
];

/// The first seconds, in which the GPUs start one after another, are not measured.
const WARMUP: Span = Span::from_secs(5);

impl Check for NvlinkSoak {
    fn spec(&self) -> &'static CheckSpec {
        &SPEC
    }

    fn begin(&self, context: &StepContext<'_>) -> Box<dyn CheckRun> {
        let length = context.params.span("for").unwrap_or_default();
        Box::new(Run {
            stage: Stage::Before,
            course: Course::new(Rest::Needless, LoadKind::AllToAll, WARMUP, length),
            gauges: gauges(context, 0.0),
            sent: Exchange::default(),
            watch: InventoryWatch::since(context.inventory),
            exchanged: Span::ZERO,
            first: Vec::new(),
        })
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Stage {
    Before,
    Exchanging,
    After,
}

#[derive(Debug)]
struct Run {
    stage: Stage,
    course: Course,
    gauges: Gauges,
    sent: Exchange,
    watch: InventoryWatch,
    /// How long the steady window was.
    exchanged: Span,
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
                self.stage = Stage::Exchanging;
                self.turn(context, now, &Seen::Began, wants);
            }
            (Stage::After, Seen::Answered(Answer::Counters(Ok(counters)))) => wants.end(self.done(context, counters)),
            (_, Seen::Answered(Answer::Counters(Err(why)))) => wants.end(unanswered(why)),
            (Stage::Exchanging, _) => {
                self.watch.take(&seen);
                self.gauges.take(&self.course, &seen);
                if let Seen::Load(report) = &seen
                    && self.course.is_measuring()
                {
                    self.sent.hear(report.at, &report.said);
                }
                self.turn(context, now, &seen, wants);
            }
            _ => {}
        }
    }
}

impl Run {
    fn turn(&mut self, context: &StepContext<'_>, now: Moment, seen: &Seen<'_>, wants: &mut Wants) {
        match self.course.turn(context, now, seen, self.gauges.any_left(context), wants) {
            Turn::Going => {}
            Turn::Over => {
                self.exchanged = self.course.over(now);
                self.stage = Stage::After;
                wants.ask(Probe::Counters);
            }
            Turn::Ended(done) => wants.end(done),
        }
    }

    fn done(&self, context: &StepContext<'_>, last: &[GpuCounters]) -> Done {
        let mut sheet = Sheet::new(&SPEC, context.lost);
        let partners: Vec<GpuIndex> =
            context.gpus().into_iter().filter(|gpu| !context.lost.contains_key(gpu)).collect();
        for (gpu, gauge) in self.gauges.iter() {
            let component = Component::Gpu(gpu);
            let (sum, worst) = self.sent.egress(gpu, &partners, self.exchanged);
            sheet.put("egress.mean", component, gauge.whole(sum));
            sheet.put("egress.worst", component, gauge.whole(worst));
            self.watch.put_fabric(&mut sheet, gpu);
            self.watch.put_links(&mut sheet, gpu);
            self.gauges.put_joined(&mut sheet, gpu);
            gauge.put_kept(&mut sheet, component, self.exchanged);
            put_growth(&mut sheet, context.components, gpu, of_gpu(&self.first, gpu), of_gpu(last, gpu));
        }
        Done::Measured(sheet.into_list())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rig::{Rig, Scene, assert_complete, counters, lines, shown};
    use kiln_model::{Endpoint, Fabric, FabricState, LoadSaid, Reading, ReadingFailure, Transfer};

    fn exchanging(scene: &Scene<'_>) -> Vec<LoadSaid> {
        let (from, seconds) = (scene.gpu, scene.load.map_or(0.0, |(_, seconds)| seconds));
        if seconds % 5.0 != 0.0 {
            return Vec::new();
        }
        let to = |to: u8| {
            let (from, to) = (Endpoint::Gpu(from), Endpoint::Gpu(GpuIndex(to)));
            LoadSaid::Moved(Transfer { from, to, gb_per_s: 100.0 })
        };
        (0..3).filter(|gpu| *gpu != from.0).map(to).collect()
    }

    fn rig() -> Rig {
        let mut rig = Rig::new(&NvlinkSoak, 3);
        rig.works = Box::new(exchanging);
        let first: Vec<GpuCounters> = (0..3).map(counters).collect();
        let mut later = first.clone();
        if let Reading::Value(links) = &mut later[1].links {
            links[3].crc = Reading::Value(900);
            links[3].replay = Reading::Value(30);
        }
        rig.counters = vec![first, later];
        rig
    }

    #[test]
    fn errors_belong_to_their_link_and_traffic_to_its_sender() {
        let mut rig = rig();
        let done = rig.run(&NvlinkSoak);
        assert_complete(&SPEC, &done, &rig.components);
        insta::assert_snapshot!(rig.story.join("\n"), @r"
        00:00:00 Measuring
        00:00:00 start AllToAll on 3 GPUs
        00:00:02 WarmingUp
        00:00:07 Measuring
        00:10:07 stop
        ");
        insta::assert_snapshot!(lines(&done, Component::gpu(1)), @r"
        egress.mean 200 GB/s
        egress.worst 200 GB/s
        fabric.away unsupported
        links.away 0
        links.inactive none
        processes.joined 0
        pcie.width.lost 0
        power.limit.fall 0 %
        pcie.gen.lower 0 %
        nvlink.errors 930
        nvlink.error-links 3
        ");
        assert_eq!(shown(&done, Component::gpu(0), "nvlink.error-links"), "none");
    }

    #[test]
    fn a_gpu_that_is_out_of_its_fabric_meanwhile_is_counted_at_every_look() {
        let mut rig = rig();
        let fabric = |state| {
            let (cluster_uuid, health_mask) = (String::new(), Reading::Unsupported);
            Reading::Value(Fabric { state, status: 0, cluster_uuid, clique: 0, health_mask })
        };
        let mut found = rig.inventory.clone();
        found.gpus[0].fabric = fabric(FabricState::Completed);
        found.gpus[1].fabric = fabric(FabricState::InProgress);
        found.gpus[2].fabric = Reading::Failed(ReadingFailure::Timeout);
        rig.found = Some(found);
        let done = rig.run(&NvlinkSoak);
        let away = |gpu| shown(&done, Component::gpu(gpu), "fabric.away");
        // Ten minutes and a few seconds of warming up before them, a look at the start of each.
        assert_eq!([away(0), away(1), away(2)], ["0", "41", "missing: NeverRead"]);
    }

    #[test]
    fn single_links_are_told_where_the_step_is_about_them() {
        let mut rig = rig();
        rig.components = (0..4).map(|link| Component::NvLink(GpuIndex(1), link)).collect();
        let done = rig.run(&NvlinkSoak);
        assert_eq!(shown(&done, Component::NvLink(GpuIndex(1), 3), "link.errors"), "930");
        assert_eq!(shown(&done, Component::NvLink(GpuIndex(1), 0), "link.errors"), "0");
    }

    #[test]
    fn without_reports_there_is_no_traffic_to_tell() {
        let mut rig = rig();
        rig.works = Box::new(|_| Vec::new());
        let done = rig.run(&NvlinkSoak);
        assert_eq!(shown(&done, Component::gpu(0), "egress.mean"), "missing: NoTrafficTold");
    }
}
