//! What lies at the station: a host that was late, and readings that stopped for all GPUs together.

use super::board::Board;
use super::scene::{Scene, trip_evidence};
use kiln_event::{Confidence, Evidence, EvidenceFact, EvidenceSource, Outcome, StepStatus};
use kiln_model::Component;

/// The code of readings that stopped for all GPUs at once; the guard that notices it says so.
pub const SENSORS_SILENT: &str = "SENSORS-SILENT";

pub(super) fn read_station(scene: &Scene<'_>, board: &mut Board) {
    read_lateness(scene, board);
    for (at, trip) in scene.record.trips.iter().filter(|(_, trip)| trip.code == SENSORS_SILENT) {
        board.accuse(SENSORS_SILENT, trip.component, Confidence::Medium, [trip_evidence(*at, trip)]);
    }
}

/// A host that was late while a step could not be judged is why it could not. One that was late and missed nothing that
/// mattered is not worth a finding.
fn read_lateness(scene: &Scene<'_>, board: &mut Board) {
    let lacking = |outcome: Outcome| matches!(outcome, Outcome::Error | Outcome::Inconclusive);
    for step in scene.record.decisive_steps() {
        let late = scene.record.late.iter().find(|(_, key, _)| *key == step.key);
        let unjudged = step.status == StepStatus::Finished && step.cases.iter().any(|case| lacking(case.outcome));
        if let (Some((_, _, lateness)), true) = (late, unjudged) {
            let from = EvidenceSource::Step(step.key.path.clone());
            let evidence = Evidence { from, component: Component::Station, fact: EvidenceFact::Late(*lateness) };
            board.accuse("STATION-LATE", Component::Station, Confidence::High, [evidence]);
        }
    }
}
