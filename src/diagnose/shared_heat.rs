//! What several GPUs share makes them hot: air that flows less in one zone, a pump that gives way.
//!
//! A contact is one GPU's alone and shows in the fall of its die after a load. What flows through the sinks warms all that it reaches
//! and leaves the fall alone. The zones need not be the halves that the numbers of the GPUs make.

use std::collections::{BTreeMap, BTreeSet};

use super::board::Board;
use super::heat_map::HeatMap;
use super::rule_heat::OF_ONE_BRANCH;
use super::rule_memory::falls_farther;
use super::rule_sensor::WRONG_SENSOR;
use super::scene::Scene;
use kiln_event::{Confidence, Evidence};
use kiln_model::{Component, GpuIndex};

/// The hot GPUs with what says so.
pub(super) type Heat = BTreeMap<GpuIndex, Vec<Evidence>>;

/// What several GPUs share, and who else it may be.
#[derive(Debug)]
pub(super) struct Shared {
    branch: Option<Component>,
    confidence: Confidence,
    suspects: Vec<Component>,
}

impl Shared {
    pub(super) fn pin(self, board: &mut Board, evidence: Vec<Evidence>) {
        let (code, component) = match self.branch {
            Some(branch) => ("COOLING-BRANCH-FLOW", branch),
            None => ("NODE-COOLING", Component::Node),
        };
        let suspicion = board.accuse(code, component, self.confidence, evidence);
        for suspect in [component].into_iter().chain(self.suspects) {
            if !suspicion.suspects.contains(&suspect) {
                suspicion.suspects.push(suspect);
            }
        }
    }
}

/// What made several GPUs warmer by the moment at which a guard stopped the first of them: their coolant or air, and no contact.
pub(super) fn risen_together(scene: &Scene<'_>, map: &HeatMap, gpu: GpuIndex) -> Option<Shared> {
    let risen: BTreeSet<GpuIndex> = scene.gpus().into_iter().filter(|gpu| map.has_risen(*gpu)).collect();
    let together = risen.len() >= OF_ONE_BRANCH && risen.contains(&gpu) && !scene.missed(gpu, "fall.fast");
    let suspects = risen.into_iter().map(Component::Gpu).collect();
    together.then_some(Shared { branch: None, confidence: Confidence::Medium, suspects })
}

/// The GPUs that are too warm for their power and whose dies fall after the load as those of their siblings do: it is not their contacts.
pub(super) fn raised_by_sinks(scene: &Scene<'_>, map: &HeatMap, board: &Board, heat: &Heat) -> BTreeSet<GpuIndex> {
    let is_raised = |gpu: GpuIndex| {
        map.is_raised(gpu) || ["resistance.mirrored", "thermal.resistance"].iter().any(|name| scene.missed(gpu, name))
    };
    let falls_well = |gpu: GpuIndex| {
        scene.measured(gpu, "fall.fast") && !scene.missed(gpu, "fall.fast") && !falls_farther(scene, gpu)
    };
    let is_true = |gpu: GpuIndex| !WRONG_SENSOR.into_iter().any(|code| board.has(code, Component::Gpu(gpu)));
    heat.keys().copied().filter(|gpu| is_raised(*gpu) && falls_well(*gpu) && is_true(*gpu)).collect()
}

/// Whether a GPU that is warm behind a good contact is so with others, or with a branch that nothing clears: then it may be what flows
/// through its sink as well as the sink.
pub(super) fn behind_sinks(
    scene: &Scene<'_>,
    map: &HeatMap,
    board: &Board,
    gpu: GpuIndex,
    by_sink: &BTreeSet<GpuIndex>,
) -> Option<Shared> {
    if !by_sink.contains(&gpu) {
        return None;
    }
    if by_sink.len() > 1 {
        let branch = map.half_with(by_sink).filter(|(_, gpus)| gpus.len() == by_sink.len()).map(|(branch, _)| branch);
        let suspects = by_sink.iter().copied().map(Component::Gpu).collect();
        return Some(Shared { branch, confidence: Confidence::Low, suspects });
    }
    // The others of its half stand against twins that have contacts or sensors of their own to show for, and clear nobody.
    let is_odd = |gpu: GpuIndex| {
        scene.missed(gpu, "fall.fast") || WRONG_SENSOR.into_iter().any(|code| board.has(code, Component::Gpu(gpu)))
    };
    // Beside a twin that is odd itself nothing is known of this one.
    if map.twin(gpu).is_some_and(is_odd) {
        return None;
    }
    let (branch, half) = map.half_with(by_sink)?;
    let mut mates = half.into_iter().filter(|mate| *mate != gpu).peekable();
    let uncleared = mates.peek().is_some() && mates.all(|mate| is_odd(mate) || map.twin(mate).is_some_and(is_odd));
    let suspects = vec![Component::Gpu(gpu)];
    uncleared.then_some(Shared { branch: Some(branch), confidence: Confidence::Low, suspects })
}
