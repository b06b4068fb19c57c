//! All findings of a run: the rules in their order, then what no rule explained.

use super::board::Board;
use super::catalogue::{GENERAL, entry};
use super::rule_heat::read_heat;
use super::rule_kernel::read_log;
use super::rule_links::read_links;
use super::rule_results::read_results;
use super::rule_sensor::read_sensors;
use super::rule_speed::{gather_slow, read_speed};
use super::rule_station::{SENSORS_SILENT, read_station};
use super::rule_table::read_table;
use super::rule_tools::{read_tools, with_words};
use super::scene::{Fact, Scene, trip_evidence};
use super::shared_heat::{read_apart, read_middle, read_pairs};
use kiln_event::{
    Boot, Confidence, Evidence, EvidenceFact, EvidenceSource, Finding, Recognition, RunRecord, TripCause,
};
use kiln_limit::Judged;
use kiln_model::{Component, Sensor};

/// What is wrong, from everything the record holds. The same record gives the same findings.
pub fn findings(record: &RunRecord) -> Vec<Finding> {
    let Some(scene) = Scene::new(record) else { return Vec::new() };
    let mut board = Board::default();
    read_log(&scene, &mut board);
    read_table(&scene, &mut board);
    read_sensors(&scene, &mut board);
    read_results(&scene, &mut board);
    read_tools(&scene, &mut board);
    read_heat(&scene, &mut board);
    read_pairs(&scene, &mut board);
    read_apart(&scene, &mut board);
    read_middle(&scene, &mut board);
    read_speed(&scene, &mut board);
    read_links(&scene, &mut board);
    gather_slow(&scene, &mut board);
    read_station(&scene, &mut board);
    read_trips(&scene, &mut board);
    read_rest(&scene, &mut board);
    read_returns(&scene, &mut board);
    read_lot(&scene, &mut board);
    read_boots(&scene, &mut board);
    board.findings(&scene)
}

/// Trips of guards whose cause no rule has looked for.
fn read_trips(scene: &Scene<'_>, board: &mut Board) {
    for (at, trip) in &scene.record.trips {
        let code = match scene.sensor_of(trip) {
            // A part that never had the sensor is not a part that fell silent.
            _ if trip.code == "GUARD-UNSUPPORTED" => {
                board.accuse("GUARD-UNSUPPORTED", Component::Node, Confidence::Medium, [trip_evidence(*at, trip)]);
                continue;
            }
            _ if trip.code == SENSORS_SILENT => continue,
            // A sensor that fell silent: one GPU's is that of a GPU that answers no more; the node's proves nothing.
            Some(_) if trip.reading.is_none() => {
                if trip.component.gpu_index().is_some() {
                    board.accuse("GPU-HANG", trip.component, Confidence::Low, [trip_evidence(*at, trip)]);
                }
                continue;
            }
            // Heat has its own rules.
            Some(Sensor::TempGpu | Sensor::TempMargin | Sensor::TempMemory | Sensor::TempInlet) => continue,
            // How the GPU went has been read with the log.
            None if scene.watches_for_loss(trip) => {
                let how = ["GPU-HANG", "GPU-RECOVERY-NEEDED"].into_iter().find(|code| board.has(code, trip.component));
                how.unwrap_or(trip.code.as_str())
            }
            _ if board.has(&trip.code, trip.component) => trip.code.as_str(),
            // The line the guard tripped on has been read with the log.
            None if matches!(trip.cause, TripCause::Xid { .. }) => continue,
            _ => trip.code.as_str(),
        };
        let code = if entry(code).is_some() { code } else { GENERAL };
        board.accuse(code, trip.component, Confidence::Medium, [trip_evidence(*at, trip)]);
    }
}

/// Missed limits that nothing explained: the profile's own code, or the general one.
fn read_rest(scene: &Scene<'_>, board: &mut Board) {
    for (place, fact) in scene.facts.iter().enumerate() {
        if fact.failed() && !board.is_claimed(place) {
            let code = fact.judgement.code.as_deref().filter(|code| entry(code).is_some()).unwrap_or(GENERAL);
            board.accuse(code, fact.component(), Confidence::Low, with_words(scene, fact));
        }
    }
}

/// The code of a part that stands apart from those of its lot.
pub(super) const LOT_OUTLIER: &str = "LOT-OUTLIER";

/// Values apart from those of the lot's good units. Where something is wrong with the unit that physics tells, what else is
/// unusual about it accuses nobody: a bad part warms and slows its healthy neighbours too.
fn read_lot(scene: &Scene<'_>, board: &mut Board) {
    if !board.is_empty() {
        return;
    }
    let inlet = inlet_apart(scene);
    for fact in scene.facts.iter().filter(|fact| fact.judgement.outcome == Judged::Outlier) {
        let Some(inlet) = &inlet else {
            board.accuse(LOT_OUTLIER, fact.component(), Confidence::Low, [fact.evidence()]);
            continue;
        };
        let evidence = [inlet.clone(), fact.evidence()];
        let suspicion = board.accuse("STATION-INLET-APART", Component::Station, Confidence::Low, evidence);
        for suspect in [Component::Station, fact.component()] {
            if !suspicion.suspects.contains(&suspect) {
                suspicion.suspects.push(suspect);
            }
        }
    }
}

/// An inlet that the lot's units did not have: then leakage, clocks and what stands over the inlet are not to be compared.
fn inlet_apart(scene: &Scene<'_>) -> Option<Evidence> {
    let is_apart = |fact: &&Fact<'_>| {
        let lot = fact.judgement.lot.zip(fact.number());
        fact.name() == "temp.inlet.mean" && lot.is_some_and(|(lot, inlet)| inlet < lot.low || inlet > lot.high)
    };
    scene.facts.iter().find(is_apart).map(Fact::evidence)
}

/// What a run that was taken up again found to be another part, or less, than it had begun with.
fn read_returns(scene: &Scene<'_>, board: &mut Board) {
    for taken_up in &scene.record.taken_up {
        let (at, from) = (taken_up.at, EvidenceSource::Resume);
        let evidence = |component, fact| Evidence { from: from.clone(), component, fact };
        for change in &taken_up.changes {
            let told = evidence(change.component, EvidenceFact::Changed { at, change: change.clone() });
            board.accuse("UNIT-CHANGED", change.component, Confidence::High, [told]);
        }
        if taken_up.node == Recognition::Unknown {
            let told = evidence(Component::Node, EvidenceFact::Unrecognised { at });
            board.accuse("UNIT-UNRECOGNISED", Component::Node, Confidence::High, [told]);
        }
    }
}

/// Boots that nobody asked for while the run was away. That is a power cut as well as a node that switches itself off, so
/// it takes nothing from what was proven, and explains nothing of it.
fn read_boots(scene: &Scene<'_>, board: &mut Board) {
    for taken_up in scene.record.taken_up.iter().filter(|taken_up| taken_up.boot == Boot::Another) {
        let fact = EvidenceFact::Booted { at: taken_up.at };
        let told = Evidence { from: EvidenceSource::Resume, component: Component::Node, fact };
        board.accuse("NODE-RESTARTED", Component::Node, Confidence::Low, [told]);
    }
}
