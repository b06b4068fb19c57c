//! `nvlink.bandwidth`: how fast data goes from every GPU to every other, one pair at a time.

use super::copies::{Copied, Copies};
use super::declare::{SETTLE_OVER, SETTLE_SLOPE, SETTLE_WITHIN, may, must};
use super::pcie_bandwidth::{ROUNDS, bandwidth};
use super::sheet::{Gauged, Sheet};
use super::{Check, CheckRun, Done, Seen, StepContext, Wants};
use kiln_limit::Missing;
use kiln_model::{Component, ComponentKind, Endpoint, GpuIndex, LoadKind, Moment, Span, Unit};
use kiln_profile::{CheckSpec, MeasurementSpec, Params, Wear};

#[derive(Debug)]
pub(super) struct NvlinkBandwidth;

const GPU: ComponentKind = ComponentKind::Gpu;

pub(super) static SPEC: CheckSpec = CheckSpec {
    name: "nvlink.bandwidth",
    summary: "Times copies between every ordered pair of GPUs, one after another, on a node at rest.",
    details: "Each pair is told by itself and, for each GPU, the slowest and the middle of its pairs in both directions: a \
              GPU whose links are few or slow is slow with every partner, a single slow pair points at the path between \
              two. One lost link of 18 costs 6 % of a GPU's bandwidth. On parts without NVLink the copies go over PCIe. \
              If the node does not come to rest the step cannot decide.",
    params: &[ROUNDS, SETTLE_WITHIN, SETTLE_OVER, SETTLE_SLOPE],
    measurements: MEASUREMENTS,
    each: &[GPU, ComponentKind::Pair],
    wear: Wear::None,
    exclusive: true,
    watcher: false,
    estimate: |params: &Params, gpus| {
        // Opening peer access and 28 GB a pair: about half a second over NVLink, one over PCIe.
        let pairs = (gpus * gpus.saturating_sub(1)) as u64;
        let round = Span::from_secs(2 + pairs);
        params.span("settle-over").unwrap_or_default() + round * params.count("rounds").unwrap_or(1)
    },
};

static MEASUREMENTS: &[MeasurementSpec] = &[
    must("bandwidth", Unit::GigabytePerSecond, ComponentKind::Pair, "from the first GPU of the pair to the second"),
    may(
        "of-reverse",
        Unit::Percent,
        ComponentKind::Pair,
        "bandwidth as a share of that of the same pair in the other direction",
    ),
    may("out.worst", Unit::GigabytePerSecond, GPU, "slowest of the GPU's pairs as sender"),
    may("out.median", Unit::GigabytePerSecond, GPU, "middle of the GPU's pairs as sender"),
    may("in.worst", Unit::GigabytePerSecond, GPU, "slowest of the GPU's pairs as receiver"),
    may("in.median", Unit::GigabytePerSecond, GPU, "middle of the GPU's pairs as receiver"),
];

impl Check for NvlinkBandwidth {
    fn spec(&self) -> &'static CheckSpec {
        &SPEC
    }

    fn begin(&self, context: &StepContext<'_>) -> Box<dyn CheckRun> {
        Box::new(Run { copies: Copies::new(LoadKind::PairCopy, context.params.count("rounds").unwrap_or(1)) })
    }
}

#[derive(Debug)]
struct Run {
    copies: Copies,
}

impl CheckRun for Run {
    fn observe(&mut self, context: &StepContext<'_>, now: Moment, seen: Seen<'_>, wants: &mut Wants) {
        match self.copies.turn(context, now, &seen, wants) {
            Copied::NotYet => {}
            Copied::All => wants.end(self.done(context)),
            Copied::Ended(done) => wants.end(done),
        }
    }
}

impl Run {
    fn done(&self, context: &StepContext<'_>) -> Done {
        let mut sheet = Sheet::new(&SPEC, context.lost);
        let gpus = context.gpus();
        let lost = |gpu: &GpuIndex| context.lost.contains_key(gpu);
        let by_pair = context.components.iter().any(|component| component.kind() == ComponentKind::Pair);
        for from in &gpus {
            for to in gpus.iter().filter(|to| *to != from) {
                let pair = Component::Pair(*from, *to);
                if by_pair && !context.components.contains(&pair) {
                    continue;
                }
                let gauged = if lost(to) {
                    Gauged::Missing(Missing::PeerLost { gpu: *to })
                } else {
                    bandwidth(&self.copies, Endpoint::Gpu(*from), Endpoint::Gpu(*to), *from)
                };
                let back = bandwidth(&self.copies, Endpoint::Gpu(*to), Endpoint::Gpu(*from), *to);
                sheet.put("of-reverse", pair, share(&gauged, &back));
                sheet.put("bandwidth", pair, gauged);
            }
            if by_pair {
                continue;
            }
            // Pairs with a GPU that was lost say nothing about this one.
            let others: Vec<GpuIndex> = gpus.iter().copied().filter(|gpu| gpu != from && !lost(gpu)).collect();
            let (own, component) = (Endpoint::Gpu(*from), Component::Gpu(*from));
            let out = others.iter().map(|other| bandwidth(&self.copies, own, Endpoint::Gpu(*other), *from));
            let out = ordered(out);
            let into = others.iter().map(|other| bandwidth(&self.copies, Endpoint::Gpu(*other), own, *other));
            let into = ordered(into);
            sheet.put("out.worst", component, worst(&out));
            sheet.put("out.median", component, median(&out));
            sheet.put("in.worst", component, worst(&into));
            sheet.put("in.median", component, median(&into));
        }
        Done::Measured(sheet.into_list())
    }
}

/// Computes one direction of a pair as a share of the other, in percent. Both directions use the same path.
fn share(there: &Gauged, back: &Gauged) -> Gauged {
    match (there, back) {
        (Gauged::Number { value: there, samples }, Gauged::Number { value: back, .. }) if *back > 0.0 => {
            Gauged::Number { value: 100.0 * there / back, samples: *samples }
        }
        (Gauged::Number { .. }, Gauged::Number { .. }) => Gauged::Unsupported,
        (Gauged::Number { .. }, other) | (other, _) => other.clone(),
    }
}

/// Sorts the values, or returns why one of them is unknown: the worst of only some pairs would look too good.
fn ordered(gauged: impl Iterator<Item = Gauged>) -> Result<Vec<f64>, Gauged> {
    let mut values = gauged.map(|one| one.number().ok_or(one)).collect::<Result<Vec<f64>, Gauged>>()?;
    values.sort_by(f64::total_cmp);
    if values.is_empty() { Err(Gauged::Missing(Missing::NoOtherGpu)) } else { Ok(values) }
}

fn worst(values: &Result<Vec<f64>, Gauged>) -> Gauged {
    match values {
        Ok(values) => Gauged::Number { value: values[0], samples: values.len() as u64 },
        Err(why) => why.clone(),
    }
}

fn median(values: &Result<Vec<f64>, Gauged>) -> Gauged {
    match values {
        Ok(values) => match kiln_model::median(values) {
            Some(value) => Gauged::Number { value, samples: values.len() as u64 },
            None => Gauged::Missing(Missing::NoOtherGpu),
        },
        Err(why) => why.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rig::{Rig, Scene, assert_complete, lines, shown};
    use kiln_model::{LoadEnd, LoadSaid, Transfer};

    /// Reports all pairs in the first second; GPU 2 receives slowly.
    fn copying(scene: &Scene<'_>) -> Vec<LoadSaid> {
        let from = scene.gpu;
        let moved = |to: u8| {
            let gb_per_s = 370.0 + f64::from(from.0) - if to == 2 { 40.0 } else { 0.0 };
            LoadSaid::Moved(Transfer { from: Endpoint::Gpu(from), to: Endpoint::Gpu(GpuIndex(to)), gb_per_s })
        };
        let mut said: Vec<LoadSaid> = (0..4).filter(|to| *to != from.0).map(moved).collect();
        if from.0 == 3 {
            said.push(LoadSaid::Ended { gpu: None, end: LoadEnd::Finished });
        }
        said
    }

    #[test]
    fn a_gpu_that_receives_slowly_shows_in_its_own_column() {
        let mut rig = Rig::new(&NvlinkBandwidth, 4);
        rig.works = Box::new(copying);
        let done = rig.run(&NvlinkBandwidth);
        assert_complete(&SPEC, &done, &rig.components);
        insta::assert_snapshot!(lines(&done, Component::gpu(2)), @r"
        out.worst 372 GB/s
        out.median 372 GB/s
        in.worst 330 GB/s
        in.median 331 GB/s
        ");
        assert_eq!(shown(&done, Component::Pair(GpuIndex(0), GpuIndex(2)), "of-reverse"), "88.7097 %");
        assert_eq!(shown(&done, Component::gpu(1), "out.worst"), "331 GB/s");
        assert_eq!(shown(&done, Component::gpu(1), "in.worst"), "370 GB/s");
        assert_eq!(shown(&done, Component::Pair(GpuIndex(0), GpuIndex(2)), "bandwidth"), "330 GB/s");
    }

    #[test]
    fn a_lost_gpu_takes_its_pairs_with_it_and_no_others() {
        let mut rig = Rig::new(&NvlinkBandwidth, 4);
        rig.works = Box::new(copying);
        rig.loses.insert(GpuIndex(0), 5);
        let done = rig.run(&NvlinkBandwidth);
        assert_eq!(
            shown(&done, Component::Pair(GpuIndex(1), GpuIndex(0)), "bandwidth"),
            "missing: PeerLost { gpu: GpuIndex(0) }"
        );
        assert_eq!(shown(&done, Component::gpu(1), "out.worst"), "331 GB/s");
    }
}
