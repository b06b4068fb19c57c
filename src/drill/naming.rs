//! Whether a run named the part that the defect sits on.

use std::collections::BTreeSet;

use super::defect::Defect;
use super::trial::Naming;
use kiln_event::{Finding, Outcome, RunRecord, standings};
use kiln_model::{Component, ComponentKind};

/// What a run named, and how well.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Named {
    pub naming: Naming,
    /// Every part named, GPUs counted by place.
    pub components: Vec<Component>,
    pub codes: Vec<String>,
    /// Whether a finding has the code that is wanted.
    pub code_right: bool,
}

/// Reads off a record what it names. Without findings the components of the cases that speak against the unit stand in.
pub(super) fn named(record: &RunRecord, defect: &Defect) -> Named {
    if record.findings.is_empty() {
        let components = accused(record, defect);
        return Named { naming: of_cases(&components, defect), components, codes: Vec::new(), code_right: false };
    }
    let shown = |component: &Component| defect.by_place(*component, record.inventory.as_deref());
    // A healthy part that is accused beside the bad one is pulled like it: the worst finding counts.
    let naming =
        record.findings.iter().map(|finding| of_finding(finding, defect, &shown)).max().unwrap_or(Naming::Wrong);
    let parts = record.findings.iter().flat_map(|finding| finding.suspects.iter().chain([&finding.component]));
    let components: BTreeSet<Component> = parts.map(shown).collect();
    let codes: BTreeSet<&str> = record.findings.iter().map(|finding| finding.code.as_str()).collect();
    Named {
        naming,
        components: components.into_iter().collect(),
        code_right: codes.contains(defect.code.as_str()),
        codes: codes.into_iter().map(str::to_owned).collect(),
    }
}

fn of_finding(finding: &Finding, defect: &Defect, shown: &impl Fn(&Component) -> Component) -> Naming {
    let suspects: BTreeSet<Component> = finding.suspects.iter().map(shown).collect();
    if suspects.len() > 1 {
        let contained = suspects.iter().any(|suspect| of_component(*suspect, defect) != Naming::Wrong);
        return if contained { Naming::Ambiguous } else { Naming::Wrong };
    }
    let naming = of_component(shown(&finding.component), defect);
    // A part that the driver does not count is named by its slot; the right node with the wrong slot is the wrong part.
    let slot = defect.place().map(|place| place.slot.as_str());
    let elsewhere = finding.component == Component::Node && finding.slot.is_some() && finding.slot.as_deref() != slot;
    if naming == Naming::Right && elsewhere { Naming::Wrong } else { naming }
}

fn of_cases(components: &[Component], defect: &Defect) -> Naming {
    let fitting = components.iter().map(|component| of_component(*component, defect)).min();
    match (fitting, components.len()) {
        (Some(Naming::Right), 2..) => Naming::Ambiguous,
        (fitting, _) => fitting.unwrap_or(Naming::Wrong),
    }
}

/// Components whose cases or guards speak against the unit.
fn accused(record: &RunRecord, defect: &Defect) -> Vec<Component> {
    let speaks = |outcome: Outcome| matches!(outcome, Outcome::Fail | Outcome::Inconclusive | Outcome::Held);
    let standing = standings(record);
    let worst = standing.iter().map(|one| one.outcome).filter(|outcome| speaks(*outcome)).max();
    let cases = standing.iter().filter(|one| Some(one.outcome) == worst).map(|one| one.case.component);
    let trips = record.trips.iter().map(|(_, trip)| trip.component);
    let all: BTreeSet<Component> =
        cases.chain(trips).map(|component| defect.by_place(component, record.inventory.as_deref())).collect();
    all.into_iter().collect()
}

/// How well a single component names the defect's.
fn of_component(named: Component, defect: &Defect) -> Naming {
    let truths: Vec<Component> =
        [defect.component, defect.expected].into_iter().chain(defect.beside.iter().copied()).collect();
    if truths.contains(&named) {
        return Naming::Right;
    }
    if truths.iter().any(|truth| same_gpu(named, *truth)) {
        return Naming::Right;
    }
    // Of a way between two GPUs nobody can tell which of its ends to pull.
    let end_of = |truth: &Component| matches!(truth, Component::Pair(from, to) if [Some(*from), Some(*to)].contains(&named.gpu_index()));
    let in_pair = |truth: &Component| matches!(named, Component::Pair(from, to) if [Some(from), Some(to)].contains(&truth.gpu_index()));
    // A host part that shows no place of its own can only be told to be one of the node's.
    let in_node = named == Component::Node && truths.iter().any(|truth| is_host_part(truth.kind()));
    if truths.iter().any(end_of) || truths.iter().any(in_pair) || in_node { Naming::Ambiguous } else { Naming::Wrong }
}

/// A GPU and a part of it are one thing to pull; two different parts of it are not the same place.
fn same_gpu(one: Component, two: Component) -> bool {
    if matches!(
        (one.kind(), two.kind()),
        (ComponentKind::Nic, ComponentKind::Port) | (ComponentKind::Port, ComponentKind::Nic)
    ) {
        return one.overlaps(two);
    }
    let (Some(first), Some(second)) = (one.gpu_index(), two.gpu_index()) else { return false };
    let whole = one.kind() == ComponentKind::Gpu || two.kind() == ComponentKind::Gpu;
    let pair = one.kind() == ComponentKind::Pair || two.kind() == ComponentKind::Pair;
    first == second && whole && !pair
}

const fn is_host_part(kind: ComponentKind) -> bool {
    matches!(
        kind,
        ComponentKind::Nic
            | ComponentKind::Port
            | ComponentKind::Psu
            | ComponentKind::Cpu
            | ComponentKind::Dimm
            | ComponentKind::Nvme
            | ComponentKind::Fan
    )
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "values are bounded where they are made, within the narrower type")]
mod tests {
    use super::*;
    use crate::trial::tests::defect;
    use kiln_model::GpuIndex;

    fn naming(named: &str, component: &str, expected: &str) -> Naming {
        let parse = |text: &str| text.parse().expect("component");
        of_component(parse(named), &defect(parse(component), parse(expected)))
    }

    #[test]
    fn a_part_of_the_gpu_and_the_gpu_are_one_thing_to_pull() {
        assert_eq!(naming("gpu/3", "gpu/3/nvlink/7", "gpu/3/nvlink/7"), Naming::Right);
        assert_eq!(naming("gpu/3/memory", "gpu/3", "gpu/3"), Naming::Right);
        assert_eq!(naming("gpu/3/nvlink/5", "gpu/3/nvlink/7", "gpu/3/nvlink/7"), Naming::Wrong);
        assert_eq!(naming("gpu/2", "gpu/3", "gpu/3"), Naming::Wrong);
    }

    #[test]
    fn the_whole_node_names_no_gpu() {
        assert_eq!(naming("node", "gpu/3", "gpu/3"), Naming::Wrong);
        assert_eq!(naming("node", "gpu/3", "node"), Naming::Right);
        assert_eq!(naming("node", "nic/1", "nic/1"), Naming::Ambiguous);
        assert_eq!(naming("gpu/0", "node", "node"), Naming::Wrong);
    }

    #[test]
    fn a_pair_leaves_open_which_of_the_two() {
        assert_eq!(naming("gpu/1-gpu/3", "gpu/3", "gpu/3"), Naming::Ambiguous);
        assert_eq!(naming("gpu/3-gpu/1", "gpu/3/nvlink/7", "gpu/3/nvlink/7"), Naming::Ambiguous);
        assert_eq!(naming("gpu/1-gpu/2", "gpu/3", "gpu/3"), Naming::Wrong);
        assert_eq!(naming("gpu/1", "gpu/1-gpu/2", "gpu/1-gpu/2"), Naming::Ambiguous);
        assert_eq!(naming("gpu/0", "gpu/1-gpu/2", "gpu/1-gpu/2"), Naming::Wrong);
    }

    #[test]
    fn a_missing_gpu_is_counted_by_place() {
        let defect = defect(Component::gpu(3), Component::Node);
        let mut inventory = Inventory::default();
        for (index, place) in [0, 1, 2, 4].into_iter().enumerate() {
            let mut gpu = kiln_model::Gpu::bare(GpuIndex(index as u8));
            gpu.identity.pci_address = kiln_model::Reading::Value(format!("address {place}"));
            inventory.gpus.push(gpu);
        }
        let by_place = |component| defect.by_place(component, Some(&inventory));
        assert_eq!(by_place(Component::gpu(3)), Component::gpu(4));
        assert_eq!(by_place(Component::NvLink(GpuIndex(2), 5)), Component::NvLink(GpuIndex(2), 5));
    }

    use kiln_model::Inventory;
}
