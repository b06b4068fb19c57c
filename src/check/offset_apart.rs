//! How far the offset of a die sensor, as rest and load together tell it, is from those of the siblings.

use std::collections::BTreeMap;

use super::sheet::Gauged;
use kiln_model::GpuIndex;

/// The least number of siblings with which an offset can be compared.
const LEAST_SIBLINGS: usize = 2;

/// Computes how far the offset of a GPU is from that of the nearest sibling. The rows of a board rest at different temperatures, in
/// a pattern that belongs to the board, but every place has at least one other like it.
///
/// Apart from the sensor, an offset has two causes: the heat of neighbours, which is the same in all places of a kind, and fans
/// that slow down at rest, which warm a part in proportion to its power. A sibling's offset therefore counts as any value between
/// its own and the one it would have at the idle power of this GPU, so that leaky parts do not count as apart.
pub(super) fn apart(
    offsets: &BTreeMap<GpuIndex, Gauged>,
    gpu: GpuIndex,
    at_rest: impl Fn(GpuIndex) -> Option<f64>,
) -> Gauged {
    let Some(own) = offsets.get(&gpu) else { return Gauged::Unsupported };
    let Gauged::Number { value, samples } = own else { return own.clone() };
    let scale = |other: GpuIndex| {
        let (own, other) = at_rest(gpu).zip(at_rest(other))?;
        (other > 0.0).then_some(own / other)
    };
    let gap = |(other, offset): (&GpuIndex, &Gauged)| {
        let offset = offset.number()?;
        let scaled = offset * scale(*other).unwrap_or(1.0);
        Some((offset.min(scaled) - value).max(value - offset.max(scaled)).max(0.0))
    };
    let gaps: Vec<f64> = offsets.iter().filter(|(other, _)| **other != gpu).filter_map(gap).collect();
    if gaps.len() < LEAST_SIBLINGS {
        return Gauged::Unsupported;
    }
    Gauged::Number { value: gaps.into_iter().fold(f64::INFINITY, f64::min), samples: *samples }
}
