//! How a measurement is distributed over the units of a lot, how it sits inside its limits, and who stands apart.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Serialize, Serializer};

use super::yields::by_unit;
use super::{RunSummary, Value, ValueKey, median, quantile, robust_z};
use kiln_model::Unit;

/// A capability from fewer units says more about chance than about the process (AIAG, SPC manual, 2nd edition).
const UNITS_MIN: usize = 30;
/// From fewer units no one is told to stand apart.
const OUTLIER_UNITS_MIN: usize = 10;
/// Beyond this a value stands apart (Iglewicz and Hoaglin, 1993).
const OUTLIER_Z: f64 = 3.5;
/// Two ends that differ by less, of their size, are the same, computed in another order.
const SAME: f64 = 1e-9;

/// Of one measurement in one slot.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Spread {
    #[serde(flatten)]
    pub key: ValueKey,
    pub unit: Unit,
    pub units: usize,
    pub min: f64,
    pub p5: f64,
    pub median: f64,
    pub p95: f64,
    pub max: f64,
    pub mean: f64,
    /// Of a sample (n - 1); none of a single value.
    pub deviation: Option<f64>,
    /// The limit, where it is the same for all.
    pub limit: Option<String>,
    #[serde(serialize_with = "write_capability")]
    pub capability: Result<Capability, NoCapability>,
    pub outliers: Vec<Outlier>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Capability {
    pub low: Option<f64>,
    pub high: Option<f64>,
    pub cpk: f64,
}

/// As `{"cpk": …}` or `{"refused": …}`.
fn write_capability<S: Serializer>(
    capability: &Result<Capability, NoCapability>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Refusal<'a> {
        refused: &'a NoCapability,
    }
    match capability {
        Ok(capability) => capability.serialize(serializer),
        Err(refused) => Refusal { refused }.serialize(serializer),
    }
}

/// Why there is no capability.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoCapability {
    NoLimit,
    /// A limit that holds no number to lie beside, such as `!= 0`.
    NoRange,
    TooFew {
        units: usize,
        needed: usize,
    },
    LimitsChanged {
        limits: Vec<String>,
    },
    /// It stands against peers or a baseline.
    LimitMoves,
    /// All values are the same.
    NoSpread,
}

impl NoCapability {
    pub fn shown(&self) -> String {
        match self {
            Self::NoLimit => "no limit".to_owned(),
            Self::NoRange => "the limit has no ends".to_owned(),
            Self::TooFew { units, needed } => format!("{units} units, {needed} are needed"),
            Self::LimitsChanged { limits } => format!("limits changed: {}", limits.join(" | ")),
            Self::LimitMoves => "the limit moves from run to run".to_owned(),
            Self::NoSpread => "all values are the same".to_owned(),
        }
    }
}

/// A unit that stands apart from its lot, whether it passed or not.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outlier {
    pub unit: String,
    pub run_id: String,
    pub value: f64,
    pub z: f64,
}

/// Over the first run of every unit that counts: a retest would count a unit twice.
pub fn spreads(runs: &[&RunSummary]) -> Vec<Spread> {
    let firsts = by_unit(runs).into_values().filter_map(|runs| runs.first().copied());
    let mut all: BTreeMap<&ValueKey, Vec<(&RunSummary, &Value)>> = BTreeMap::new();
    for run in firsts {
        for (key, value) in &run.values {
            all.entry(key).or_default().push((run, value));
        }
    }
    all.into_iter().filter_map(|(key, values)| spread(key, &values)).collect()
}

fn spread(key: &ValueKey, values: &[(&RunSummary, &Value)]) -> Option<Spread> {
    let numbers: Vec<f64> = values.iter().map(|(_, value)| value.number).collect();
    let count = numbers.len() as f64;
    let mean = numbers.iter().sum::<f64>() / count;
    let squares: f64 = numbers.iter().map(|number| (number - mean).powi(2)).sum();
    let deviation = (numbers.len() > 1).then(|| (squares / (count - 1.0)).sqrt());
    let limits: BTreeSet<Option<&str>> = values.iter().map(|(_, value)| value.limit.as_deref()).collect();
    Some(Spread {
        key: key.clone(),
        unit: values.first()?.1.unit,
        units: numbers.len(),
        min: quantile(&numbers, 0.0)?,
        p5: quantile(&numbers, 0.05)?,
        median: median(&numbers)?,
        p95: quantile(&numbers, 0.95)?,
        max: quantile(&numbers, 1.0)?,
        mean,
        deviation,
        limit: if limits.len() == 1 { limits.first().copied().flatten().map(str::to_owned) } else { None },
        capability: capability(values, &limits, mean, deviation),
        outliers: outliers(values, &numbers),
    })
}

fn same(one: Option<f64>, two: Option<f64>) -> bool {
    match (one, two) {
        (Some(one), Some(two)) => (one - two).abs() <= SAME * one.abs().max(two.abs()),
        (one, two) => one.is_none() && two.is_none(),
    }
}

fn capability(
    values: &[(&RunSummary, &Value)],
    limits: &BTreeSet<Option<&str>>,
    mean: f64,
    deviation: Option<f64>,
) -> Result<Capability, NoCapability> {
    if limits.iter().all(Option::is_none) {
        return Err(NoCapability::NoLimit);
    }
    if limits.len() > 1 {
        let limits = limits.iter().map(|limit| limit.unwrap_or("none").to_owned()).collect();
        return Err(NoCapability::LimitsChanged { limits });
    }
    let range = values.first().map(|(_, value)| value.range).unwrap_or_default();
    let (low, high) = (range.low, range.high);
    if !values.iter().all(|(_, value)| same(value.range.low, low) && same(value.range.high, high)) {
        return Err(NoCapability::LimitMoves);
    }
    if low.is_none() && high.is_none() {
        return Err(NoCapability::NoRange);
    }
    if values.len() < UNITS_MIN {
        return Err(NoCapability::TooFew { units: values.len(), needed: UNITS_MIN });
    }
    let deviation = deviation.filter(|deviation| *deviation > 0.0).ok_or(NoCapability::NoSpread)?;
    let below = low.map_or(f64::INFINITY, |low| (mean - low) / (3.0 * deviation));
    let above = high.map_or(f64::INFINITY, |high| (high - mean) / (3.0 * deviation));
    Ok(Capability { low, high, cpk: below.min(above) })
}

fn outliers(values: &[(&RunSummary, &Value)], numbers: &[f64]) -> Vec<Outlier> {
    if numbers.len() < OUTLIER_UNITS_MIN {
        return Vec::new();
    }
    let mut outliers: Vec<Outlier> = values
        .iter()
        .filter_map(|(run, value)| {
            let z = robust_z(value.number, numbers).filter(|z| z.abs() > OUTLIER_Z)?;
            Some(Outlier { unit: run.unit().to_owned(), run_id: run.run_id.clone(), value: value.number, z })
        })
        .collect();
    outliers.sort_by(|one, two| two.z.abs().total_cmp(&one.z.abs()));
    outliers
}
