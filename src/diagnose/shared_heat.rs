//! What several GPUs share makes them hot: air that flows less in one zone, a pump that gives way.
//!
//! A contact is one GPU's alone and shows in the fall of its die after a load. What flows through the sinks warms all that it reaches
//! and leaves the fall alone. The zones need not be the halves that the numbers of the GPUs make.

use std::collections::{BTreeMap, BTreeSet};

use super::board::Board;
use super::heat_map::HeatMap;
use super::rule_heat::OF_ONE_BRANCH;
use super::rule_memory::falls_farther;
use super::rule_sensor::{FARTHER, wrong_sensor};
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
    let is_wrong = |gpu: GpuIndex| wrong_sensor(board, Component::Gpu(gpu)).is_some();
    let is_raised = |gpu: GpuIndex| {
        let over_its_twin = scene.missed(gpu, "resistance.mirrored") && !map.twin(gpu).is_some_and(is_wrong);
        map.is_raised(gpu) || over_its_twin || scene.missed(gpu, "thermal.resistance")
    };
    let falls_well = |gpu: GpuIndex| {
        scene.measured(gpu, "fall.fast") && !scene.missed(gpu, "fall.fast") && !falls_farther(scene, gpu)
    };
    heat.keys().copied().filter(|gpu| is_raised(*gpu) && falls_well(*gpu) && !is_wrong(*gpu)).collect()
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
    let is_odd = |gpu: GpuIndex| scene.missed(gpu, "fall.fast") || wrong_sensor(board, Component::Gpu(gpu)).is_some();
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

/// GPUs of a half that must be there to say how its dies fall.
const LEAST_OF_A_HALF: usize = 3;

/// The other half of the board, if this GPU's die falls as those of its own half do and all of that one's fall less: what flows there
/// stood still while they cooled, and made the middle that this one was held against.
pub(super) fn flattened_half(scene: &Scene<'_>, map: &HeatMap, gpu: GpuIndex) -> Option<Component> {
    let falls = scene.first_numbers("gpu.cooldown", "fall.fast");
    let half = map.half_of(gpu);
    let of = |is_own: bool| -> Vec<f64> {
        let side = falls.iter().filter(|(other, _)| **other != gpu && half.contains(*other) == is_own);
        side.map(|(_, fall)| *fall).collect()
    };
    let (mates, beyond) = (of(true), of(false));
    let own = *falls.get(&gpu)?;
    let least = mates.iter().copied().reduce(f64::min)?;
    let apart = beyond.iter().all(|other| *other < least.min(own)) && own <= FARTHER * least;
    // Bad contacts of a whole half would make it the warmer one.
    let known = mates.len() >= LEAST_OF_A_HALF && beyond.len() >= LEAST_OF_A_HALF && map.is_cooler_half(&half);
    let others = falls.keys().copied().filter(|other| !half.contains(other)).collect();
    map.branch_of(&others).filter(|_| known && apart)
}

/// A pair that is unlike the others where these agree that one half is the warmer: a GPU is hot on the cooler half, and the warm half is
/// as well; or most GPUs of the warm half are hot each for itself, which their falls would show.
pub(super) fn read_pairs(scene: &Scene<'_>, board: &mut Board) {
    let map = HeatMap::of(scene);
    for (place, fact) in scene.facts.iter().enumerate() {
        let Some(gpu) = fact.gpu().filter(|_| fact.failed() && fact.name() == "resistance.of-pairs") else { continue };
        board.claim(place);
        let is_own = |gpu: GpuIndex| scene.missed(gpu, "fall.fast") || falls_farther(scene, gpu);
        let half = map.half_of(gpu);
        let beyond: BTreeSet<GpuIndex> = scene.gpus().into_iter().filter(|other| !half.contains(other)).collect();
        let warm: Vec<GpuIndex> = beyond.iter().copied().filter(|other| map.twin(gpu) != Some(*other)).collect();
        let own: Vec<GpuIndex> = warm.iter().copied().filter(|other| is_own(*other)).collect();
        let contacts = match (is_own(gpu), own.len() * 2 >= warm.len()) {
            (true, _) => vec![gpu],
            (false, true) => own,
            (false, false) => Vec::new(),
        };
        let contacts: Vec<_> = contacts.into_iter().map(|gpu| ("GPU-COOLING-CONTACT", gpu)).collect();
        // Compared with temperatures that are not true, any pair is unlike the others.
        let wrong = |gpu: GpuIndex| Some((wrong_sensor(board, Component::Gpu(gpu))?, gpu));
        let sensors: Vec<_> = scene.gpus().into_iter().filter_map(wrong).collect();
        let told = if sensors.is_empty() { contacts } else { sensors };
        for (code, gpu) in &told {
            board.accuse(code, Component::Gpu(*gpu), Confidence::Low, [fact.evidence()]);
        }
        if told.is_empty() {
            let suspicion = board.accuse("NODE-COOLING", Component::Node, Confidence::Low, [fact.evidence()]);
            let suspects = [Component::Node, Component::Gpu(gpu)].into_iter().chain(map.branch_of(&beyond));
            suspicion.suspects = suspects.chain(warm.into_iter().map(Component::Gpu)).collect();
        }
    }
}

/// The middle of all resistances, which a warm half or as many bad contacts move as well as what all share.
pub(super) fn read_middle(scene: &Scene<'_>, board: &mut Board) {
    for (place, fact) in scene.facts.iter().enumerate() {
        if !fact.failed() || fact.name() != "resistance.middle" {
            continue;
        }
        board.claim(place);
        let half = scene.gpus().len().div_ceil(2);
        let of = |code: &'static str, least: usize| {
            let first = board.of(code).next().map(|one| (code, one.component));
            first.filter(|_| board.of(code).count() >= least)
        };
        let known = of("COOLING-BRANCH-FLOW", 1)
            .or_else(|| of("GPU-COOLING-DRIFT", half))
            .or_else(|| of("GPU-COOLING-CONTACT", half));
        let (code, component) = known.unwrap_or(("NODE-COOLING", Component::Node));
        board.accuse(code, component, Confidence::Low, [fact.evidence()]);
    }
}
