//! `pcie.bandwidth`: how fast data goes between the host and every GPU.

use super::copies::{Copied, Copies};
use super::declare::{SETTLE_OVER, SETTLE_SLOPE, SETTLE_WITHIN, may, must};
use super::sheet::{Gauged, Sheet};
use super::{Check, CheckRun, Done, Seen, StepContext, Wants};
use kiln_limit::Missing;
use kiln_model::{
    Component, ComponentKind, CopyDirection, Endpoint, Gpu, GpuIndex, LoadKind, Moment, Reading, Span, Unit,
};
use kiln_profile::{CheckSpec, MeasurementSpec, ParamKind, ParamSpec, Params, Wear};

#[derive(Debug)]
pub(super) struct PcieBandwidth;

const GPU: ComponentKind = ComponentKind::Gpu;

/// The `rounds` parameter of steps that time copies.
pub(super) const ROUNDS: ParamSpec = ParamSpec {
    name: "rounds",
    kind: ParamKind::Count { min: 1, max: 1000 },
    default: Some("2"),
    summary: "how often everything is copied; the mean is told",
};

pub(super) static SPEC: CheckSpec = CheckSpec {
    name: "pcie.bandwidth",
    summary: "Times copies from the host to every GPU and back, one GPU after the other, on a node at rest.",
    details: "Buffers are pinned and near the GPU, and the other GPUs are idle, so what is measured is the path of one GPU: \
              over PCIe, or over chip-to-chip links where the part has them. A link with half its lanes or generations \
              moves half the data. If the node does not come to rest the step cannot decide.",
    params: &[ROUNDS, SETTLE_WITHIN, SETTLE_OVER, SETTLE_SLOPE],
    measurements: MEASUREMENTS,
    each: &[GPU],
    wear: Wear::None,
    exclusive: true,
    watcher: false,
    estimate: |params: &Params, gpus| {
        // Pinning takes about a second for each direction of each GPU, the copies less.
        let round = Span::from_secs(2 + 4 * gpus as u64);
        params.span("settle-over").unwrap_or_default() + round * params.count("rounds").unwrap_or(1)
    },
};

static MEASUREMENTS: &[MeasurementSpec] = &[
    must("h2d", Unit::GigabytePerSecond, GPU, "from host to GPU"),
    must("d2h", Unit::GigabytePerSecond, GPU, "from GPU to host"),
    may("h2d.of-link", Unit::Percent, GPU, "from host to GPU, of the raw rate of the link that the part has"),
    may("d2h.of-link", Unit::Percent, GPU, "from GPU to host, of that"),
];

impl Check for PcieBandwidth {
    fn spec(&self) -> &'static CheckSpec {
        &SPEC
    }

    fn begin(&self, context: &StepContext<'_>) -> Box<dyn CheckRun> {
        let rounds = context.params.count("rounds").unwrap_or(1);
        Box::new(Run { copies: Copies::new(LoadKind::HostCopy(CopyDirection::Both), rounds) })
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
            Copied::All => {
                let mut sheet = Sheet::new(&SPEC, context.lost);
                for gpu in context.gpus() {
                    let component = Component::Gpu(gpu);
                    let to_gpu = bandwidth(&self.copies, Endpoint::Host, Endpoint::Gpu(gpu), gpu);
                    let to_host = bandwidth(&self.copies, Endpoint::Gpu(gpu), Endpoint::Host, gpu);
                    let raw = context.inventory.gpu(gpu).and_then(raw_rate);
                    sheet.put("h2d.of-link", component, share_of_link(&to_gpu, raw));
                    sheet.put("d2h.of-link", component, share_of_link(&to_host, raw));
                    sheet.put("h2d", component, to_gpu);
                    sheet.put("d2h", component, to_host);
                }
                wants.end(Done::Measured(sheet.into_list()));
            }
            Copied::Ended(done) => wants.end(done),
        }
    }
}

/// GB/s of one lane by generation: 2.5 and 5 GT/s in 8b/10b, 8, 16 and 32 GT/s in 128b/130b, 64 GT/s in flits (PCI Express Base
/// Specification).
const LANE: [f64; 6] = [0.25, 0.5, 0.985, 1.969, 3.938, 7.563];

/// GB/s in one direction of all lanes that the part and its place have, at the highest generation of both; of its chip-to-chip
/// links where those carry the copies.
fn raw_rate(gpu: &Gpu) -> Option<f64> {
    if let Reading::Value(c2c) = gpu.c2c {
        return Some(f64::from(c2c.links) * f64::from(c2c.speed_mb_per_s) / 1000.0);
    }
    let (generation, width) = (gpu.pcie.max_generation.get()?, gpu.pcie.max_width.get()?);
    let lane = LANE.get(usize::from(generation).checked_sub(1)?)?;
    Some(lane * f64::from(width))
}

fn share_of_link(bandwidth: &Gauged, raw: Option<f64>) -> Gauged {
    match (bandwidth, raw) {
        (Gauged::Number { value, samples }, Some(raw)) if raw > 0.0 => {
            Gauged::Number { value: 100.0 * value / raw, samples: *samples }
        }
        (Gauged::Number { .. }, _) => Gauged::Unsupported,
        (other, _) => other.clone(),
    }
}

/// The mean bandwidth of one path; `gpu` is the one whose load the copy was.
pub(super) fn bandwidth(copies: &Copies, from: Endpoint, to: Endpoint, gpu: GpuIndex) -> Gauged {
    match (copies.broken.get(&gpu), copies.moved(from, to)) {
        (Some(end), _) => Gauged::Missing(Missing::LoadEnded(end.clone())),
        (None, Some(moved)) => Gauged::Number { value: moved.mean(), samples: moved.count() },
        (None, None) => Gauged::Missing(Missing::NoCopyTimed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rig::{Rig, Scene, assert_complete, shown};
    use kiln_model::{LoadEnd, LoadSaid, Transfer};

    fn copying(scene: &Scene<'_>) -> Vec<LoadSaid> {
        let gpu = Endpoint::Gpu(scene.gpu);
        let gb_per_s = if scene.gpu.0 == 1 { 26.0 } else { 52.0 };
        let moved = |from, to| LoadSaid::Moved(Transfer { from, to, gb_per_s });
        let mut said = vec![moved(Endpoint::Host, gpu), moved(gpu, Endpoint::Host)];
        if scene.gpu.0 == 1 {
            said.push(LoadSaid::Ended { gpu: None, end: LoadEnd::Finished });
        }
        said
    }

    #[test]
    fn every_gpu_has_both_directions_of_all_rounds() {
        let mut rig = Rig::new(&PcieBandwidth, 2);
        rig.works = Box::new(copying);
        let done = rig.run(&PcieBandwidth);
        assert_complete(&SPEC, &done, &rig.components);
        insta::assert_snapshot!(rig.story.join("\n"), @r"
        00:00:00 Settling
        00:01:06 Measuring
        00:01:06 start HostCopy(Both) on 2 GPUs
        00:01:09 start HostCopy(Both) on 2 GPUs
        ");
        assert_eq!(shown(&done, Component::gpu(0), "h2d"), "52 GB/s");
        assert_eq!(shown(&done, Component::gpu(1), "d2h"), "26 GB/s");
        // 16 lanes of generation 5 carry 63 GB/s.
        assert!(shown(&done, Component::gpu(0), "h2d.of-link").starts_with("82.5"));
        assert!(shown(&done, Component::gpu(1), "d2h.of-link").starts_with("41.2"));
    }

    #[test]
    fn a_gpu_whose_copies_fail_has_no_bandwidth() {
        let mut rig = Rig::new(&PcieBandwidth, 2);
        rig.works = Box::new(|scene| match scene.gpu.0 {
            0 => vec![LoadSaid::Ended { gpu: Some(scene.gpu), end: LoadEnd::Failed("no memory".to_owned().into()) }],
            _ => copying(scene),
        });
        let done = rig.run(&PcieBandwidth);
        assert_eq!(shown(&done, Component::gpu(0), "h2d"), "missing: LoadEnded(Failed(Words(\"no memory\")))");
        assert_eq!(shown(&done, Component::gpu(1), "h2d"), "26 GB/s");
    }
}
