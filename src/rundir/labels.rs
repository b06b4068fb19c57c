//! The labels that telemetry rows get in Parquet files, such as the serial number and the step. All of them come from the
//! run's record.

use kiln_event::{NodeSource, RunRecord};
use kiln_telemetry::Labels;

/// The labels of a run's readings.
pub(super) fn labels(record: &RunRecord) -> Labels {
    let mut labels = Labels { clock: record.clock.clone(), ..Labels::default() };
    let mut fact = |key: &str, value: &str| labels.facts.push((format!("kiln.{key}"), value.to_owned()));
    if let Some(start) = &record.start {
        fact("run_id", &start.run_id);
        fact("tool", &format!("{} {}", start.tool.name, start.tool.version));
        fact("profile", &format!("{} revision {}", start.profile.id, start.profile.revision));
        fact("profile_digest", &start.profile_digest);
        if let Some(parts) = &start.parts {
            fact("parts_digest", &parts.digest);
        }
        match &start.source {
            NodeSource::Hardware => fact("source", "hardware"),
            NodeSource::Simulated { node, seed, .. } => {
                fact("source", &format!("SIMULATED node {node}, seed {seed}; not a real unit"));
            }
            NodeSource::Replayed { file } => fact("source", &format!("REPLAYED from {file}")),
            NodeSource::StandIn { library } => {
                fact("source", &format!("SIMULATED by the library {library}; not a real unit"));
            }
        }
        if let Some(surroundings) = &start.surroundings {
            fact("surroundings", &surroundings.to_string());
        }
        if let Some(serial) = &start.operation.serial {
            fact("serial", serial);
        }
    }
    for gpu in record.inventory.iter().flat_map(|inventory| &inventory.gpus) {
        if let Some(serial) = gpu.identity.serial.value() {
            labels.serials.insert(gpu.index, serial.clone());
        }
    }
    labels
}
