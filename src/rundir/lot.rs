//! What `--lot` and `--guard-bands` name: the file of `kiln lot build`, and the document of `kiln msa --json`.

use std::collections::BTreeMap;
use std::path::Path;

use serde::de::DeserializeOwned;

use super::error::RunDirError;
use kiln_disk::{self as disk, MIB};
use kiln_event::LotFacts;
use kiln_lot::{GaugeStudies, PartAverages};

/// The most that is read: the facts of a lot of thousands of values are some megabytes.
const MOST: u64 = 64 * MIB;

/// The facts of a lot that are of this profile, given as `id revision n`.
pub fn read_lot(path: &Path, profile: &str) -> Result<LotFacts, RunDirError> {
    let wrong =
        |source: Box<dyn std::error::Error + Send + Sync>| RunDirError::NotALot { path: path.to_owned(), source };
    let (lot, digest): (PartAverages, String) = read(path).map_err(wrong)?;
    if lot.schema != PartAverages::SCHEMA {
        return Err(wrong(other(&lot.schema, PartAverages::SCHEMA).into()));
    }
    Ok(lot.facts(profile, digest))
}

/// Guard bands by `stage.step.measurement`, and whether they are of simulated nodes.
pub fn read_guard_bands(path: &Path) -> Result<(BTreeMap<String, f64>, bool), RunDirError> {
    let wrong = |source: Box<dyn std::error::Error + Send + Sync>| RunDirError::NotAGaugeStudy {
        path: path.to_owned(),
        source,
    };
    let (studies, _): (GaugeStudies, String) = read(path).map_err(wrong)?;
    if studies.schema != GaugeStudies::SCHEMA {
        return Err(wrong(other(&studies.schema, GaugeStudies::SCHEMA).into()));
    }
    Ok((studies.guard_bands(), studies.simulated))
}

fn other(found: &str, known: &str) -> String {
    format!("it is `{found}`, and this version reads `{known}`")
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<(T, String), Box<dyn std::error::Error + Send + Sync>> {
    let bytes = disk::read(path, MOST)?;
    Ok((serde_json::from_slice(&bytes)?, kiln_profile::digest_of(&bytes)))
}
