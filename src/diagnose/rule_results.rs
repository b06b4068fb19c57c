//! Wrong results: whose they are, and whether heat brings them out.

use std::collections::BTreeMap;

use super::board::Board;
use super::scene::{Scene, both};
use kiln_event::{Confidence, Evidence, EvidenceFact, EvidenceSource};
use kiln_model::{Component, GpuIndex};

/// A die at least this warm at every mismatch makes heat worth a remark: idle and short loads stay below it on any part.
const WARM: f64 = 60.0;

#[derive(Debug, Default)]
struct Wrong {
    evidence: Vec<Evidence>,
    temperatures: Vec<f64>,
    count: usize,
}

pub(super) fn read_results(scene: &Scene<'_>, board: &mut Board) {
    let mut wrong: BTreeMap<(GpuIndex, bool), Wrong> = BTreeMap::new();
    for (at, load, mismatch, celsius) in &scene.record.mismatches {
        let in_memory = scene.check_of_load(*load) == Some("gpu.memory");
        let entry = wrong.entry((mismatch.gpu, in_memory)).or_default();
        entry.count += 1;
        entry.temperatures.extend(celsius.get());
        // The first few say where; the count says how many.
        if entry.evidence.len() < 3 {
            let fact = EvidenceFact::Mismatch { at: *at, mismatch: mismatch.clone(), celsius: celsius.get() };
            let component = Component::Gpu(mismatch.gpu);
            entry.evidence.push(Evidence { from: EvidenceSource::Results, component, fact });
        }
    }
    for (place, fact) in scene.facts.iter().enumerate() {
        if fact.failed()
            && fact.name() == "mismatches"
            && let Some(gpu) = fact.gpu()
        {
            wrong.entry((gpu, fact.check == "gpu.memory")).or_default().evidence.push(fact.evidence());
            board.claim(place);
        }
    }
    for ((gpu, in_memory), wrong) in wrong {
        let (code, component) = if in_memory {
            ("HBM-STUCK-CELL", Component::Memory(gpu))
        } else {
            ("GPU-WRONG-RESULTS", Component::Gpu(gpu))
        };
        let coolest = wrong.temperatures.iter().copied().fold(f64::INFINITY, f64::min);
        let suspicion = board.accuse(code, component, Confidence::High, wrong.evidence);
        if !in_memory && coolest.is_finite() && coolest >= WARM {
            suspicion.remark = Some(both(
                format!("Every one of the {} told came with the die at {coolest} °C or more.", wrong.count),
                format!("記録された{}件はすべてダイ温度{coolest} °C以上で発生した。", wrong.count),
            ));
        }
    }
}
