//! Which of the sensors of memory and die is off, by how far the two are apart at rest, where hardly anything heats either.
//!
//! Siblings tell who is unlike them, and not who is wrong: seven of eight may have sensors of one bad batch. That memory and die of one
//! GPU sit on one plate needs no sibling.

use super::board::Board;
use super::scene::{Fact, Scene};
use kiln_event::Confidence;
use kiln_model::{Component, GpuIndex};

/// K by which memory is over its die at rest, at least and at most. The captures of resting nodes that the node files name have both
/// equally warm on GB200 and memory 8 K over the die on H100 and H200, where a part that draws half as much again is half as far over
/// again. Both read in whole degrees.
const AT_REST: std::ops::RangeInclusive<f64> = -2.5..=14.0;

/// Memory over die at rest, if both were read.
fn gap(scene: &Scene<'_>, gpu: GpuIndex) -> Option<f64> {
    let at_rest = |name: &str| scene.first_numbers("gpu.idle", name).get(&gpu).copied();
    Some(at_rest("temp.memory.mean")? - at_rest("temp.mean")?)
}

/// Whether one of the two sensors of a GPU is off, whatever its siblings show.
pub(super) fn is_odd(scene: &Scene<'_>, gpu: GpuIndex) -> bool {
    gap(scene, gpu).is_some_and(|gap| !AT_REST.contains(&gap))
}

/// Whether memory reads colder than the plate that it is on can be.
pub(super) fn reads_cold_memory(scene: &Scene<'_>, gpu: GpuIndex) -> bool {
    gap(scene, gpu).is_some_and(|gap| gap < *AT_REST.start()) && !scene.missed(gpu, "temp.offset.apart")
}

/// Pins what a GPU shows against its siblings on those of them whose sensors are off by themselves, where it is not and most of them are.
pub(super) fn accuse_the_odd_at_rest(scene: &Scene<'_>, board: &mut Board, gpu: GpuIndex, fact: &Fact<'_>) -> bool {
    let odd: Vec<GpuIndex> = scene.gpus().into_iter().filter(|other| is_odd(scene, *other)).collect();
    let most = odd.len() * 2 >= scene.gpus().len() && !odd.contains(&gpu);
    if most {
        for other in odd {
            board.accuse("SENSOR-IMPLAUSIBLE", Component::Gpu(other), Confidence::Low, [fact.evidence()]);
        }
    }
    most
}
