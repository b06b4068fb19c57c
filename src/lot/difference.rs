//! Two runs side by side, measurement by measurement.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::ValueKey;
use kiln_event::RunRecord;
use kiln_limit::{Judged, Judgement, Measured, Measurement};
use kiln_model::Unit;

/// One of the two.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Side {
    #[serde(rename = "shown", serialize_with = "super::quantity")]
    pub measurement: Measurement,
    pub number: Option<f64>,
    pub limit: Option<String>,
    pub outcome: Judged,
}

/// One measurement in both runs; `None` where a run has no such value.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    #[serde(flatten)]
    pub key: ValueKey,
    pub unit: Unit,
    pub a: Option<Side>,
    pub b: Option<Side>,
    /// B less A.
    pub delta: Option<f64>,
    /// Of A; none where A is 0.
    pub percent: Option<f64>,
}

impl Difference {
    pub const fn is_in_both(&self) -> bool {
        self.a.is_some() && self.b.is_some()
    }

    /// Whether the two are judged otherwise, or one has no value.
    pub fn is_judged_otherwise(&self) -> bool {
        self.a.as_ref().map(|side| &side.outcome) != self.b.as_ref().map(|side| &side.outcome)
    }

    /// Whether the values are not the same.
    pub fn differs(&self) -> bool {
        fn value(side: Option<&Side>) -> Option<(Option<String>, &Measured)> {
            let measurement = &side?.measurement;
            // Numbers that read the same are the same; of what has no value the reason counts.
            Some((measurement.quantity(), &measurement.value))
        }
        match (value(self.a.as_ref()), value(self.b.as_ref())) {
            (Some((Some(a), _)), Some((Some(b), _))) => a != b,
            (a, b) => a != b,
        }
    }
}

fn judgements(record: &RunRecord) -> BTreeMap<ValueKey, &Judgement> {
    let mut all = BTreeMap::new();
    for step in record.decisive_steps() {
        for judgement in step.cases.iter().flat_map(|case| &case.judgements) {
            let measurement = &judgement.measurement;
            let (step, name) = (step.key.path.clone(), measurement.name.clone());
            all.insert(ValueKey { step, measurement: name, component: measurement.component }, judgement);
        }
    }
    all
}

fn side(judgement: &Judgement) -> Side {
    Side {
        measurement: judgement.measurement.clone(),
        number: judgement.measurement.as_number(),
        limit: judgement.limit.clone(),
        outcome: judgement.outcome.clone(),
    }
}

/// Of the last round of every step of both.
pub fn differences(a: &RunRecord, b: &RunRecord) -> Vec<Difference> {
    let (a, b) = (judgements(a), judgements(b));
    let keys: BTreeSet<&ValueKey> = a.keys().chain(b.keys()).collect();
    let difference = |key: &ValueKey| {
        let (a, b) = (a.get(key).copied(), b.get(key).copied());
        let number = |judgement: Option<&Judgement>| judgement.and_then(|one| one.measurement.as_number());
        let delta = number(b).zip(number(a)).map(|(b, a)| b - a);
        let percent = delta.zip(number(a)).filter(|(_, a)| *a != 0.0).map(|(delta, a)| 100.0 * delta / a.abs());
        let unit = a.or(b)?.measurement.unit;
        Some(Difference { key: key.clone(), unit, a: a.map(side), b: b.map(side), delta, percent })
    };
    keys.into_iter().filter_map(difference).collect()
}
