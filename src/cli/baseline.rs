//! The values of an earlier run that `of baseline` limits are held against.

use std::collections::BTreeMap;
use std::path::Path;

use super::run::read_record;
use super::trouble::Trouble;

/// Every number of the last round of every step of the run in `folder`: `stage.step.measurement[component]` to value.
pub(super) fn read(folder: &Path) -> Result<BTreeMap<String, f64>, Trouble> {
    let record = read_record(folder)?;
    let mut values = BTreeMap::new();
    for step in record.decisive_steps() {
        for judgement in step.cases.iter().flat_map(|case| &case.judgements) {
            let measurement = &judgement.measurement;
            if let Some(number) = measurement.as_number() {
                let key = format!("{}.{}[{}]", step.key.path, measurement.name, measurement.component);
                values.insert(key, number);
            }
        }
    }
    Ok(values)
}
