//! One GPU whose die sensor has another zero than those of all its siblings, where nothing says who is wrong.
//!
//! Either its sensor is off, or those of all the others are by as much: of one bad batch, or because the inlet that all are held against
//! is. Where its own zero is one that cannot be, it is; where theirs are, or their memories say so, they are. Between the two, one sensor is
//! likelier than seven, and a likelier guess is no reason to name a part.

use super::board::Board;
use super::rest_gap::is_odd;
use super::rule_heat::OF_ONE_BRANCH;
use super::rule_sensor::{AT_NO_POWER, is_of_heat, stands_alone};
use super::scene::Scene;
use kiln_event::{Confidence, Evidence};
use kiln_model::{Component, GpuIndex};

/// Limits that a die sensor misses by itself, whatever its siblings show.
const OWN: [&str; 3] = ["implausible", "fall.early", "temp.moves"];

/// The GPU that stands alone with a zero that can be.
pub(super) fn doubtful(scene: &Scene<'_>) -> Option<GpuIndex> {
    let offsets = scene.first_numbers("thermal.soak", "temp.offset");
    let alone = |gpu: &&GpuIndex| scene.missed(**gpu, "temp.offset.apart") && stands_alone(scene, **gpu);
    let gpu = *offsets.keys().find(alone)?;
    let own = offsets.get(&gpu)?;
    let others: Vec<GpuIndex> = offsets.keys().copied().filter(|other| *other != gpu).collect();
    let beside = |is: fn(f64, f64) -> bool| others.iter().all(|other| is(*own, offsets[other]));
    // Between theirs it is nobody's measure, and half of them with memory that tells of them are named for it.
    let one_side = beside(|own, other| own > other) || beside(|own, other| own < other);
    let told = others.iter().filter(|other| is_odd(scene, **other)).count() * 2 >= others.len();
    let known = OWN.into_iter().any(|name| scene.missed(gpu, name));
    let can_be = AT_NO_POWER.contains(own) && !is_odd(scene, gpu) && !is_of_heat(scene, gpu);
    (can_be && one_side && !told && !known && others.len() >= OF_ONE_BRANCH).then_some(gpu)
}

/// Pins what such a GPU shows beside the others on what all of them share: none of them is named.
pub(super) fn accuse_all(scene: &Scene<'_>, board: &mut Board, evidence: impl IntoIterator<Item = Evidence>) {
    // Beside dies that are colder than their inlet it is one cause or the other.
    let code = if board.has("SENSOR-IMPLAUSIBLE", Component::Node) { "SENSOR-IMPLAUSIBLE" } else { "NODE-COOLING" };
    let suspicion = board.accuse(code, Component::Node, Confidence::Low, evidence);
    let all = scene.gpus().into_iter().map(Component::Gpu);
    suspicion.suspects = std::iter::once(Component::Node).chain(all).collect();
}
