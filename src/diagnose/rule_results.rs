//! Wrong results: whose they are, whether one multiprocessor gives them, and whether heat brings them out.

use std::collections::BTreeMap;

use super::board::Board;
use super::one_sm::{OneSm, one_sm};
use super::scene::{Scene, both};
use kiln_event::{Confidence, Evidence, EvidenceFact, EvidenceSource};
use kiln_model::{Component, GpuIndex, LoadId};

/// A die at least this warm at every mismatch makes heat worth a remark: idle and short loads stay below it on any part.
const WARM: f64 = 60.0;

#[derive(Debug, Default)]
struct Wrong {
    evidence: Vec<Evidence>,
    temperatures: Vec<f64>,
    count: usize,
}

fn in_memory(scene: &Scene<'_>, load: LoadId) -> bool {
    scene.check_of_load(load) == Some("gpu.memory")
}

pub(super) fn read_results(scene: &Scene<'_>, board: &mut Board) {
    let mut wrong: BTreeMap<(GpuIndex, bool), Wrong> = BTreeMap::new();
    for (at, load, mismatch, celsius) in &scene.record.mismatches {
        let entry = wrong.entry((mismatch.gpu, in_memory(scene, *load))).or_default();
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
    let of_arithmetic = scene.record.mismatches.iter().filter(|(_, load, ..)| !in_memory(scene, *load));
    let one_sm = one_sm(of_arithmetic.map(|(_, _, mismatch, _)| mismatch));
    for ((gpu, in_memory), mut wrong) in wrong {
        let (code, component) = match (in_memory, one_sm.get(&gpu)) {
            (true, _) => ("HBM-STUCK-CELL", Component::Memory(gpu)),
            (false, None) => ("GPU-WRONG-RESULTS", Component::Gpu(gpu)),
            (false, Some(&OneSm { sm, told, of })) => {
                let fact = EvidenceFact::OneSm { sm, told, of };
                let component = Component::Gpu(gpu);
                wrong.evidence.insert(0, Evidence { from: EvidenceSource::Results, component, fact });
                ("GPU-SM-WRONG", component)
            }
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
