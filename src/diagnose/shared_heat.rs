//! What several GPUs share makes them hot: air that flows less in one zone, a pump that gives way.
//!
//! A contact is one GPU's alone and shows in the fall of its die after a load. What flows through the sinks warms all that it reaches
//! and leaves the fall alone. The zones need not be the halves that the numbers of the GPUs make.

use std::collections::{BTreeMap, BTreeSet};

use super::board::Board;
use super::heat_map::{HeatMap, over_others};
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

/// Percent of the heat of its spells that another die had in the same moments from which on it comes to both. A contact that lifts leaves
/// the others as they were; air or coolant brings all that it reaches as many kelvins, which are not for each enough to be a spell.
const SHARED_SPELLS: f64 = 60.0;

/// What warms a GPU in spells and others in the same moments: air or coolant that they share, of a zone of which nothing says how large
/// it is.
pub(super) fn comes_to_several(scene: &Scene<'_>, map: &HeatMap, gpu: GpuIndex) -> Option<Shared> {
    let shared = scene.first_numbers("thermal.soak", "temp.spells.shared").get(&gpu).copied()?;
    let suspects = map.branch_of(&map.half_of(gpu)).into_iter().chain([Component::Station]).collect();
    (shared >= SHARED_SPELLS).then_some(Shared { branch: None, confidence: Confidence::Medium, suspects })
}

/// K by which a die is farther over its memory than those of the others where its contact alone is bad, as the profiles have it
/// (`memory-over-die`): memory sits on the same plate, and what flows through it warms both.
const OVER_MEMORY: f64 = 5.0;

/// What warms a GPU behind a good contact where the others, without it and without those that are bad by themselves, lie farther apart
/// than the places of one board: a sink that is clogged would leave them as they were.
pub(super) fn beside_a_group(scene: &Scene<'_>, map: &HeatMap, board: &Board, gpu: GpuIndex) -> Option<Shared> {
    let gaps = scene.numbers("memory-over-die").into_iter();
    let gaps: BTreeMap<GpuIndex, f64> = gaps.filter_map(|(one, gap)| Some((one.gpu_index()?, gap))).collect();
    // A run that a guard ended has no fall to tell of a contact, and the memory beside the die is next to it.
    let is_own = |gpu: GpuIndex| {
        if scene.measured(gpu, "fall.fast") {
            scene.missed(gpu, "fall.fast") || falls_farther(scene, gpu)
        } else {
            over_others(&gaps, gpu).is_some_and(|over| over < -OVER_MEMORY)
        }
    };
    if is_own(gpu) {
        return None;
    }
    let is_wrong = |gpu: GpuIndex| wrong_sensor(board, Component::Gpu(gpu)).is_some();
    let aside = scene.gpus().into_iter().filter(|other| *other == gpu || is_own(*other) || is_wrong(*other)).collect();
    let group = map.group_beside(&aside)?;
    // With neither to go by, two of them may be two contacts as well.
    let told = scene.measured(gpu, "fall.fast") || gaps.contains_key(&gpu) || group.len() > 1;
    let branch = map.branch_of(&group.iter().copied().collect());
    let suspects = branch.into_iter().chain(group.into_iter().chain([gpu]).map(Component::Gpu)).collect();
    told.then_some(Shared { branch: None, confidence: Confidence::Low, suspects })
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

/// Codes that say why resistances of a node are apart, the surest first.
const SETS_APART: [&str; 10] = [
    "COOLING-BRANCH-FLOW",
    "GPU-COOLING-CONTACT",
    "GPU-COOLING-DRIFT",
    "NODE-COOLING",
    "SENSOR-IMPLAUSIBLE",
    "SENSOR-STUCK",
    "GPU-OVERTEMP",
    "GPU-THERMAL-SLOWDOWN",
    "STATION-INLET-HOT",
    // What a board draws beside its die is no heat of the die.
    "GPU-IDLE-POWER",
];

/// GPUs that lie farther from one another than the places of a board make them, for which none of them has anything to show by itself:
/// air or coolant that comes to a group of them, of which no number tells who is in it.
pub(super) fn read_apart(scene: &Scene<'_>, board: &mut Board) {
    for (place, fact) in scene.facts.iter().enumerate() {
        if !fact.failed()
            || !["resistance.apart", "resistance.pairs-apart", "resistance.pairs-apart.of-four"].contains(&fact.name())
        {
            continue;
        }
        board.claim(place);
        let known = SETS_APART.into_iter().find_map(|code| Some((code, board.of(code).next()?.component)));
        let (code, component) = known.unwrap_or(("NODE-COOLING", Component::Node));
        board.accuse(code, component, Confidence::Low, [fact.evidence()]);
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
