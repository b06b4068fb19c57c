//! A common cause comes first: what all parts of a kind show at once is no single part's fault.
//!
//! Eight GPUs do not break alike in the same minute. What does it to all of them is something they share: the driver, a
//! setting, the node, the test program or the station. Two kinds of limits are excepted, and named here: those that only
//! the part's own hardware can miss, and those that tell of a piece of the unit which the parts share.

use std::collections::{BTreeMap, BTreeSet};

use super::board::Suspicion;
use super::catalogue::entry_or_general;
use super::findings::LOT_OUTLIER;
use super::scene::{Scene, both};
use kiln_event::{Action, Confidence, Evidence, EvidenceFact};
use kiln_model::{Component, GpuIndex};

/// The code of a defect that all parts show alike and none of them can be blamed for.
pub(super) const ALL_ALIKE: &str = "ALL-PARTS-ALIKE";

/// Fewer parts cannot be alike.
pub const LEAST_ALIKE: usize = 2;

/// What a limit proves that all parts of a kind miss at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AllAlike {
    /// Only the part's own hardware gives such a value: each stands for itself.
    EachForItself,
    /// A piece of the unit that the parts share gives it to them (cooling, power supply, switches): proof, of that piece.
    SharedPiece,
    /// Driver, setting, program or station could give it as well: a suspicion.
    AnyCause,
}

/// Wrong results, errors that hardware counts, and parts that are not there.
const EACH_FOR_ITSELF: &[&str] = &[
    "mismatches",
    "ecc.corrected",
    "ecc.corrected.rate",
    "ecc.corrected.total",
    "ecc.uncorrected",
    "ecc.uncorrected.total",
    "remaps",
    "remap.total",
    "remap.pending",
    "remap.failed",
    "remap.banks-exhausted",
    "sram.exceeded",
    "pcie.fatal",
    "fatal",
    "xid.failing",
    "sxid.failing",
    "aer.uncorrected",
    "hardware",
    "off-bus",
    "present",
];

/// Heat and brakes come from what cools and feeds the parts, traffic between them from what switches it.
const SHARED_PIECE: &[&str] = &[
    "throttle.thermal",
    "throttle.sw-thermal",
    "throttle.hw-thermal",
    "throttle.power-brake",
    "margin.min",
    "temp.max",
    "temp.p95",
    "temp.mean",
    "temp.memory.max",
    "temp.memory.p95",
    "temp.memory.mean",
    "temp.inlet.mean",
    "temp.inlet.max",
    "nvlink.errors",
    "egress.mean",
    "egress.worst",
    "bandwidth",
    "out.median",
    "out.worst",
    "in.median",
    "in.worst",
    // Against the bill of materials: a unit of which all parts are others than ordered is not the one that was ordered.
    "part.allowed",
    "vbios.allowed",
    "inforom.allowed",
    "gsp.allowed",
];

/// What a limit on this measurement proves where all parts miss it.
pub fn if_all_alike(measurement: &str) -> AllAlike {
    if EACH_FOR_ITSELF.contains(&measurement) {
        AllAlike::EachForItself
    } else if SHARED_PIECE.contains(&measurement) {
        AllAlike::SharedPiece
    } else {
        AllAlike::AnyCause
    }
}

/// Codes that rest on proof of the part's own hardware.
const OWN_PROOF: &[&str] = &[
    "GPU-WRONG-RESULTS",
    "GPU-XID",
    "HBM-CORRECTED-RATE",
    "HBM-REMAP-FAILED",
    "HBM-REMAP-PENDING",
    "HBM-STUCK-CELL",
    "HBM-UNCORRECTABLE",
    "SRAM-THRESHOLD",
    "SRAM-UNCORRECTABLE",
];
/// The code of a GPU of which one multiprocessor computes wrong.
const ONE_SM: &str = "GPU-SM-WRONG";
/// Codes of GPUs that do not answer: they count among the parts that show it, and not among those that show anything else.
const AWAY: &[&str] = &["GPU-LOST", "GPU-HANG"];

/// Makes one finding of what every GPU shows for the same reason.
pub(super) fn gather_alike(kept: Vec<Suspicion>, scene: &Scene<'_>) -> Vec<Suspicion> {
    let mut groups: BTreeMap<&'static str, Vec<Suspicion>> = BTreeMap::new();
    let mut rest = Vec::new();
    for one in kept {
        if one.component.gpu_index().is_some() && !OWN_PROOF.contains(&one.entry.code) {
            groups.entry(one.entry.code).or_default().push(one);
        } else {
            rest.push(one);
        }
    }
    let mut shared: Option<Suspicion> = None;
    for (code, group) in groups {
        if !is_common(code, &group, scene) {
            rest.extend(group);
            continue;
        }
        let one = merged(&group, scene.gpus().len());
        match &mut shared {
            Some(first) if one.entry.code == ALL_ALIKE => join(first, one),
            None if one.entry.code == ALL_ALIKE => shared = Some(one),
            _ => rest.push(one),
        }
    }
    rest.extend(shared);
    gather_ports(rest, scene)
}

/// Makes one finding of what every network port shows: a switch that is off, or cables that nobody has plugged, and no port.
fn gather_ports(kept: Vec<Suspicion>, scene: &Scene<'_>) -> Vec<Suspicion> {
    let nics = scene.inventory.host.nics.value().into_iter().flatten();
    let all: usize = nics.map(|nic| nic.ports.len()).sum();
    let is_port = |one: &Suspicion| matches!(one.component, Component::Port(..));
    let mut of_code: BTreeMap<&'static str, BTreeSet<Component>> = BTreeMap::new();
    for one in kept.iter().filter(|one| is_port(one)) {
        of_code.entry(one.entry.code).or_default().insert(one.component);
    }
    of_code.retain(|_, ports| ports.len() >= LEAST_ALIKE && ports.len() == all);
    let (groups, mut rest): (Vec<_>, Vec<_>) =
        kept.into_iter().partition(|one| is_port(one) && of_code.contains_key(one.entry.code));
    for code in of_code.keys() {
        let group: Vec<&Suspicion> = groups.iter().filter(|one| one.entry.code == *code).collect();
        let remark =
            both(format!("All {all} ports show it alike."), format!("{all}個すべてのポートに同じ症状がある。"));
        rest.push(Suspicion {
            component: Component::Node,
            suspects: Vec::new(),
            confidence: Confidence::Medium,
            evidence: told(group.iter().flat_map(|one| &one.evidence)),
            remark: Some(remark),
            action: Some(Action::FixStation),
            ..group[0].clone()
        });
    }
    rest
}

/// What GPUs can have in common as the reason for a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Shared<'e> {
    Subject(&'e str),
    Sm(u32),
}

/// Wrong results of one multiprocessor have a common cause only where it is the same one on all GPUs.
fn shared<'e>(code: &str, evidence: &'e Evidence) -> Option<Shared<'e>> {
    match evidence.fact {
        EvidenceFact::OneSm { sm, .. } => Some(Shared::Sm(sm)),
        _ if code == ONE_SM => None,
        _ => Some(Shared::Subject(evidence.subject())),
    }
}

/// Whether all GPUs that can show it do, and have a reason in common.
fn is_common(code: &str, group: &[Suspicion], scene: &Scene<'_>) -> bool {
    let away = |gpu: &GpuIndex| scene.record.lost.contains_key(gpu);
    let all: BTreeSet<GpuIndex> = scene.gpus().into_iter().filter(|gpu| AWAY.contains(&code) || !away(gpu)).collect();
    let mut reasons: BTreeMap<GpuIndex, BTreeSet<Shared<'_>>> = BTreeMap::new();
    for one in group {
        let Some(gpu) = one.component.gpu_index() else { continue };
        reasons.entry(gpu).or_default().extend(one.evidence.iter().filter_map(|one| shared(code, one)));
    }
    let mut of_each = all.iter().map(|gpu| reasons.get(gpu).cloned().unwrap_or_default());
    let common = of_each.next().map(|first| of_each.fold(first, |one, two| &one & &two));
    all.len() >= LEAST_ALIKE && common.is_some_and(|common| !common.is_empty())
}

/// One suspicion against what the GPUs share. A setting stays a setting, to be put right on all; a part that would have to
/// be replaced eight times is not what is wrong.
fn merged(group: &[Suspicion], gpus: usize) -> Suspicion {
    let entry = group[0].entry;
    let set_up = matches!(entry.action, Action::Reconfigure | Action::UpdateFirmware | Action::FixStation)
        || entry.code == LOT_OUTLIER;
    let names: BTreeSet<&str> = group.iter().flat_map(|one| &one.evidence).map(Evidence::subject).collect();
    let names = names.into_iter().collect::<Vec<_>>().join(", ");
    let remark = if set_up {
        both(format!("All {gpus} GPUs show it alike."), format!("{gpus}台すべてのGPUに同じ症状がある。"))
    } else {
        both(
            format!("On each of the {gpus} GPUs it looks like {} ({names}).", entry.code),
            format!("{gpus}台すべてのGPUが{}に見える({names})。", entry.code),
        )
    };
    Suspicion {
        entry: if set_up { entry } else { entry_or_general(ALL_ALIKE) },
        component: Component::Node,
        suspects: Vec::new(),
        confidence: Confidence::Medium,
        evidence: told(group.iter().flat_map(|one| &one.evidence)),
        remark: Some(remark),
        slot: None,
        pci_address: None,
        action: None,
    }
}

fn join(first: &mut Suspicion, one: Suspicion) {
    let evidence = told(first.evidence.iter().chain(&one.evidence));
    first.evidence = evidence;
    if let (Some(remark), Some(more)) = (&mut first.remark, one.remark) {
        remark.en = format!("{} {}", remark.en, more.en);
        remark.ja = remark.ja.take().zip(more.ja).map(|(one, two)| format!("{one}{two}"));
    }
}

/// One piece of evidence for every part, and one for every step: more of the same says nothing new.
fn told<'e>(all: impl Iterator<Item = &'e Evidence>) -> Vec<Evidence> {
    let (mut parts, mut reasons) = (BTreeSet::new(), BTreeSet::new());
    let mut kept: Vec<Evidence> = Vec::new();
    for one in all {
        let new = parts.insert(one.component) | reasons.insert((one.from.clone(), one.subject()));
        if new && !kept.contains(one) {
            kept.push(one.clone());
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_limit_is_both_the_parts_own_and_that_of_a_shared_piece() {
        assert!(EACH_FOR_ITSELF.iter().all(|name| !SHARED_PIECE.contains(name)));
        assert_eq!(if_all_alike("mismatches"), AllAlike::EachForItself);
        assert_eq!(if_all_alike("throttle.power-brake"), AllAlike::SharedPiece);
        assert_eq!(if_all_alike("implausible"), AllAlike::AnyCause);
        assert_eq!(if_all_alike("name.known"), AllAlike::AnyCause);
    }

    #[test]
    fn every_code_that_is_named_is_in_the_catalogue() {
        for code in OWN_PROOF.iter().chain(AWAY).chain([&ALL_ALIKE, &ONE_SM]) {
            assert_eq!(entry_or_general(code).code, *code);
        }
    }
}
