//! `nvlink.state`: which NVLinks are up, how fast, and where they end.

#![expect(clippy::cast_precision_loss, reason = "counts and nanoseconds become floats for statistics, far below 2^53")]

use std::collections::BTreeMap;

use super::declare::{flag, may, text};
use super::links::list;
use super::look::{LOOK, Look};
use super::sheet::{Gauged, Sheet};
use super::{Check, CheckRun, Done, StepContext, Subject};
use kiln_limit::Missing;
use kiln_model::{Component, ComponentKind, Gpu, GpuIndex, Inventory, LinkState, NvLink, Reading, Remote, Unit};
use kiln_profile::{CheckSpec, MeasurementSpec};

#[derive(Debug)]
pub(super) struct NvlinkState;

const GPU: ComponentKind = ComponentKind::Gpu;
const LINK: ComponentKind = ComponentKind::NvLink;

pub(super) static SPEC: CheckSpec = CheckSpec {
    name: "nvlink.state",
    summary: "Reads state, speed and far end of every NVLink.",
    details: "Reads the inventory anew. Links that are not active, or slower than the model's, are counted and listed. A \
              far end is compared over the GPUs: where link k of most GPUs ends at the same switch, one that ends \
              elsewhere is listed as misrouted, and no two links may end at the same port. Boards without such a pattern \
              have no misrouted links by this rule. A slow link of 18 costs 3 % of bandwidth at half speed, so its speed \
              tells more than any copy.",
    params: &[],
    measurements: MEASUREMENTS,
    each: &[GPU, LINK],
    ..LOOK
};

static MEASUREMENTS: &[MeasurementSpec] = &[
    may("links", Unit::One, GPU, "NVLinks the GPU has"),
    may("links.active", Unit::One, GPU, "NVLinks that are up"),
    may("links.lacking", Unit::One, GPU, "NVLinks that should be up by the model and are not"),
    text("links.inactive", GPU, "the NVLinks that are not up"),
    may("speed.min", Unit::MegabytePerSecond, GPU, "speed of the slowest active NVLink, one direction"),
    text("links.slow", GPU, "active NVLinks slower than the model's"),
    text("links.misrouted", GPU, "active NVLinks that end where they should not"),
    flag("active", LINK, "whether the link is up"),
    may("speed", Unit::MegabytePerSecond, LINK, "speed of the link, one direction"),
    text("remote", LINK, "what the link ends at"),
];

impl Check for NvlinkState {
    fn spec(&self) -> &'static CheckSpec {
        &SPEC
    }

    fn subject(&self) -> Subject {
        Subject::Condition
    }

    fn begin(&self, _: &StepContext<'_>) -> Box<dyn CheckRun> {
        Box::new(Look::Inventory(measure))
    }
}

fn measure(context: &StepContext<'_>, found: &Inventory) -> Done {
    let mut sheet = Sheet::new(&SPEC, context.lost);
    let usual = usual_switches(&found.gpus);
    for index in context.gpus() {
        let component = Component::Gpu(index);
        let links = match found.gpu(index).map(|gpu| &gpu.nvlinks) {
            Some(Reading::Value(links)) if !links.is_empty() => Ok(links),
            Some(Reading::Value(_) | Reading::Unsupported) => Err(Gauged::Unsupported),
            Some(Reading::Failed(why)) => Err(Gauged::Missing(Missing::Read(*why))),
            None => Err(Gauged::Missing(Missing::NotListed)),
        };
        match links {
            Ok(links) => {
                put_gpu(&mut sheet, context, index, links);
                let misrouted = misrouted(links, usual.as_ref(), &found.gpus, index);
                sheet.put("links.misrouted", component, misrouted);
            }
            Err(why) => {
                for spec in MEASUREMENTS.iter().filter(|spec| spec.of == GPU) {
                    sheet.put(spec.name, component, why.clone());
                }
            }
        }
        put_links(&mut sheet, context, index, found.gpu(index));
    }
    Done::Measured(sheet.into_list())
}

fn put_gpu(sheet: &mut Sheet<'_>, context: &StepContext<'_>, index: GpuIndex, links: &[NvLink]) {
    let component = Component::Gpu(index);
    let sku = context.skus.get(&index);
    let unread = links.iter().find_map(|link| match (link.state, link.speed_mb_per_s) {
        (Reading::Failed(why), _) | (_, Reading::Failed(why)) => Some(Gauged::Missing(Missing::Read(why))),
        _ => None,
    });
    let known = |gauged: Gauged| unread.clone().unwrap_or(gauged);
    let is_active = |link: &&NvLink| link.state == Reading::Value(LinkState::Active);
    let active = links.iter().filter(is_active).count();
    let inactive: Vec<u8> = links.iter().filter(|link| !is_active(link)).map(|link| link.link).collect();
    sheet.put("links", component, Gauged::count(links.len()));
    sheet.put("links.active", component, known(Gauged::count(active)));
    let lacking = match sku.and_then(|sku| sku.fact_in("nvlink.links", Unit::One)) {
        Some(links) => known(Gauged::once((links - active as f64).max(0.0))),
        None => Gauged::Missing(Missing::NvlinkCountUnknown),
    };
    sheet.put("links.lacking", component, lacking);
    sheet.put("links.inactive", component, known(list(&inactive)));
    let speeds = || links.iter().filter(is_active).filter_map(|link| Some((link.link, link.speed_mb_per_s.get()?)));
    let slowest = match speeds().map(|(_, speed)| speed).min() {
        Some(speed) => Gauged::Number { value: f64::from(speed), samples: active as u64 },
        None if active == 0 => Gauged::Missing(Missing::NoNvlinkActive),
        None => Gauged::Unsupported,
    };
    sheet.put("speed.min", component, known(slowest));
    let slow = match sku.and_then(|sku| sku.fact_in("nvlink.speed", Unit::MegabytePerSecond)) {
        // Drivers round speeds to whole MB/s.
        Some(nominal) => {
            let slow = speeds().filter(|(_, speed)| f64::from(*speed) < nominal - 1.0).map(|(link, _)| link);
            known(list(&slow.collect::<Vec<u8>>()))
        }
        None => Gauged::Missing(Missing::NvlinkSpeedUnknown),
    };
    sheet.put("links.slow", component, slow);
}

/// Values of the single links, where the step is about them.
fn put_links(sheet: &mut Sheet<'_>, context: &StepContext<'_>, index: GpuIndex, gpu: Option<&Gpu>) {
    let links = gpu.and_then(|gpu| gpu.nvlinks.value());
    for component in context.components {
        let Component::NvLink(of, number) = component else { continue };
        if *of != index {
            continue;
        }
        let Some(link) = links.and_then(|links| links.iter().find(|link| link.link == *number)) else {
            sheet.put("active", *component, Gauged::Missing(Missing::NotListed));
            continue;
        };
        let active = Gauged::of(&link.state, |state| Gauged::Flag(*state == LinkState::Active));
        sheet.put("active", *component, active);
        sheet.put("speed", *component, Gauged::number_of(&link.speed_mb_per_s));
        sheet.put("remote", *component, Gauged::of(&link.remote, |remote| Gauged::Text(shown(remote))));
    }
}

fn shown(remote: &Remote) -> String {
    match remote {
        Remote::Gpu(gpu) => format!("gpu/{}", gpu.0),
        Remote::Switch { number, port } => format!("switch/{number} port {port}"),
        Remote::Cpu(cpu) => format!("cpu/{cpu}"),
        Remote::Other(address) => address.clone(),
    }
}

fn switch_of(link: &NvLink) -> Option<(u8, u8)> {
    match link.remote.value()? {
        Remote::Switch { number, port } => Some((*number, *port)),
        _ => None,
    }
}

/// The switch at which most GPUs' link k ends, for every k; `None` where the board has no such pattern.
fn usual_switches(gpus: &[Gpu]) -> Option<BTreeMap<u8, u8>> {
    let mut ends: BTreeMap<u8, BTreeMap<u8, usize>> = BTreeMap::new();
    for link in gpus.iter().filter_map(|gpu| gpu.nvlinks.value()).flatten() {
        if let Some((switch, _)) = switch_of(link) {
            *ends.entry(link.link).or_default().entry(switch).or_default() += 1;
        }
    }
    let usual = ends.into_iter().map(|(link, counts)| {
        let all: usize = counts.values().sum();
        let (switch, count) = counts.into_iter().max_by_key(|(_, count)| *count)?;
        // Two GPUs that disagree are no pattern.
        (count * 2 > all && all > 2).then_some((link, switch))
    });
    usual.collect::<Option<BTreeMap<u8, u8>>>().filter(|usual| !usual.is_empty())
}

/// Whether the driver numbers the ports at the far ends at all. Where most links share theirs with another it gives one
/// number for all of them, which is no miswiring of each.
fn tells_ports(gpus: &[Gpu]) -> bool {
    let mut ends: BTreeMap<(u8, u8), usize> = BTreeMap::new();
    for end in gpus.iter().filter_map(|gpu| gpu.nvlinks.value()).flatten().filter_map(switch_of) {
        *ends.entry(end).or_default() += 1;
    }
    let (all, alone) = (ends.values().sum::<usize>(), ends.values().filter(|count| **count == 1).count());
    alone * 2 > all
}

fn misrouted(links: &[NvLink], usual: Option<&BTreeMap<u8, u8>>, gpus: &[Gpu], index: GpuIndex) -> Gauged {
    let Some(usual) = usual else { return Gauged::Unsupported };
    // A driver that does not see the switches tells no far end, and one link whose end is not told may end anywhere.
    for link in links.iter().filter(|link| link.state == Reading::Value(LinkState::Active)) {
        match link.remote {
            Reading::Value(_) => {}
            Reading::Unsupported => return Gauged::Unsupported,
            Reading::Failed(why) => return Gauged::Missing(Missing::Read(why)),
        }
    }
    let ports = tells_ports(gpus);
    let taken = |end: (u8, u8), own: u8| {
        let others = gpus.iter().flat_map(|gpu| {
            gpu.nvlinks.value().map(Vec::as_slice).unwrap_or_default().iter().map(move |link| (gpu.index, link))
        });
        // Of two links at one port the one that is at another switch than its like has taken it, and not the other.
        let belongs = |link: &NvLink| usual.get(&link.link) == Some(&end.0);
        others
            .into_iter()
            .any(|(gpu, link)| (gpu, link.link) != (index, own) && switch_of(link) == Some(end) && belongs(link))
    };
    let wrong = links.iter().filter(|link| {
        switch_of(link).is_some_and(|end| usual.get(&link.link) != Some(&end.0) || (ports && taken(end, link.link)))
    });
    list(&wrong.map(|link| link.link).collect::<Vec<u8>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rig::{Rig, assert_complete, lines, shown};

    fn run(change: impl FnOnce(&mut Rig)) -> (Done, Rig) {
        let mut rig = Rig::new(&NvlinkState, 4);
        change(&mut rig);
        (rig.run(&NvlinkState), rig)
    }

    fn link(rig: &mut Rig, gpu: usize, link: usize) -> &mut NvLink {
        let Reading::Value(links) = &mut rig.inventory.gpus[gpu].nvlinks else { panic!("no links") };
        &mut links[link]
    }

    #[test]
    fn whole_links_have_empty_lists() {
        let (done, rig) = run(|_| {});
        assert_complete(&SPEC, &done, &rig.components);
        insta::assert_snapshot!(lines(&done, Component::gpu(2)), @r"
        links 4
        links.active 4
        links.lacking 0
        links.inactive none
        speed.min 26562 MB/s
        links.slow none
        links.misrouted none
        ");
    }

    #[test]
    fn inactive_slow_and_misrouted_links_are_listed() {
        let (done, _) = run(|rig| {
            link(rig, 1, 3).state = Reading::Value(LinkState::Inactive);
            link(rig, 2, 0).speed_mb_per_s = Reading::Value(13_281);
            link(rig, 3, 1).remote = Reading::Value(Remote::Switch { number: 2, port: 3 });
        });
        assert_eq!(shown(&done, Component::gpu(1), "links.lacking"), "1");
        assert_eq!(shown(&done, Component::gpu(1), "links.inactive"), "3");
        assert_eq!(shown(&done, Component::gpu(2), "links.slow"), "0");
        // The stranger, and not the link whose port it took: that one is at the switch where its like are.
        assert_eq!(shown(&done, Component::gpu(3), "links.misrouted"), "1");
        assert_eq!(shown(&done, Component::gpu(0), "links.misrouted"), "none");
    }

    #[test]
    fn a_far_end_the_driver_does_not_show_is_no_miswiring() {
        let all = |rig: &mut Rig, remote: Reading<Remote>| {
            for gpu in 0..4 {
                for number in 0..4 {
                    link(rig, gpu, number).remote = remote.clone();
                }
            }
        };
        let (done, _) = run(|rig| all(rig, Reading::Unsupported));
        assert_eq!(shown(&done, Component::gpu(0), "links.misrouted"), "unsupported");
        let (done, _) = run(|rig| link(rig, 1, 2).remote = Reading::Unsupported);
        assert_eq!(shown(&done, Component::gpu(0), "links.misrouted"), "none");
        assert_eq!(shown(&done, Component::gpu(1), "links.misrouted"), "unsupported");
        // What should be told and could not be read is not passed over.
        let failed = Reading::Failed(kiln_model::ReadingFailure::Timeout);
        let (done, _) = run(|rig| link(rig, 1, 2).remote = failed.clone());
        assert!(shown(&done, Component::gpu(1), "links.misrouted").contains("Timeout"));
        assert_eq!(shown(&done, Component::gpu(0), "links.misrouted"), "none");
        // One address and one number for every link of the node.
        let (done, _) = run(|rig| all(rig, Reading::Value(Remote::Switch { number: 0, port: 0 })));
        assert_eq!(shown(&done, Component::gpu(2), "links.misrouted"), "none");
    }

    #[test]
    fn a_part_without_nvlink_has_none_of_this() {
        let (done, _) = run(|rig| rig.inventory.gpus[0].nvlinks = Reading::Value(Vec::new()));
        assert_eq!(shown(&done, Component::gpu(0), "links.active"), "unsupported");
    }

    #[test]
    fn single_links_are_told_where_the_step_is_about_them() {
        let (done, _) = run(|rig| rig.components = vec![Component::NvLink(GpuIndex(1), 2)]);
        let text = lines(&done, Component::NvLink(GpuIndex(1), 2));
        assert_eq!(text, "active true\nspeed 26562 MB/s\nremote switch/2 port 1");
    }
}
