//! How a measurement is distributed over the units of a lot, how it sits inside its limits, and who stands apart.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "counts become floats far below 2^53, and floats become counts that were bounded before"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::robust::Scatter;
use super::yields::by_unit;
use super::{Facts, RunSummary, Value, ValueKey, median, quantile};
use kiln_model::Unit;

/// A capability from fewer units says more about chance than about the process (AIAG, SPC manual, 2nd edition).
const UNITS_MIN: usize = 30;
/// From fewer units no one is told to stand apart.
const OUTLIER_UNITS_MIN: usize = 10;
/// Beyond this a value stands apart (Iglewicz and Hoaglin, 1993).
const OUTLIER_Z: f64 = 3.5;
/// Of the standard normal distribution, one-sided 95 %.
const ONE_SIDED_95: f64 = 1.644_854;
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
    pub histogram: Histogram,
    /// The values in the order in which their runs began: the run chart.
    pub chart: Vec<f64>,
    /// The longest stretch of the chart on one side of its median.
    pub longest_side: usize,
}

/// How many units lie in each of some bins of one width, the last of which holds its upper end as well.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Histogram {
    pub from: f64,
    pub width: f64,
    pub counts: Vec<usize>,
}

/// So many in a row on one side of the median are no chance: of 40 units whose process stands still, one lot in six shows
/// seven, one in twelve eight and one in twenty-five nine (Nelson, Journal of Quality Technology 16 (1984): nine).
pub const SIDE_MOVED: usize = 9;
/// More bins than this hold a unit each.
const MOST_BINS: usize = 20;

impl Histogram {
    /// Bins as wide as Freedman and Diaconis say (1981): twice the quartile distance over the cube root of the number.
    fn of(numbers: &[f64]) -> Self {
        let at = |share| quantile(numbers, share).unwrap_or_default();
        let (least, most) = (at(0.0), at(1.0));
        let wanted = 2.0 * (at(0.75) - at(0.25)) / (numbers.len().max(1) as f64).cbrt();
        let bins = if wanted > 0.0 { ((most - least) / wanted).ceil() as usize } else { 1 };
        let bins = bins.clamp(1, MOST_BINS);
        let width = (most - least) / bins as f64;
        let mut counts = vec![0; bins];
        for number in numbers {
            let bin = if width > 0.0 { ((number - least) / width) as usize } else { 0 };
            counts[bin.min(bins - 1)] += 1;
        }
        Self { from: least, width, counts }
    }
}

/// The longest stretch of values on one side of the middle, their median. A value on it belongs to neither side and ends none.
fn longest_side(chart: &[f64], middle: f64) -> usize {
    let (mut longest, mut run, mut side) = (0, 0, None);
    for value in chart.iter().filter(|value| **value != middle) {
        let above = Some(*value > middle);
        run = if above == side { run + 1 } else { 1 };
        side = above;
        longest = longest.max(run);
    }
    longest
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Capability {
    pub low: Option<f64>,
    pub high: Option<f64>,
    pub cpk: f64,
    /// What the process has at least, with 95 % confidence, for so many units (Bissell, Applied Statistics 39 (1990)).
    pub at_least: f64,
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
    /// Counts are no sample of a bell: their limit is met or not.
    Counter,
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
            Self::Counter => "a count".to_owned(),
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
pub fn spreads<'a>(runs: &[&'a RunSummary]) -> Vec<Spread> {
    let firsts: Vec<&'a RunSummary> = by_unit(runs).into_values().filter_map(|runs| runs.first().copied()).collect();
    // Runs that hold their keys together are looked through by place: comparing names a million times is what takes long.
    let mut keys: BTreeMap<&ValueKey, Vec<(*const Vec<ValueKey>, usize)>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for run in &firsts {
        let table = Arc::as_ptr(run.values.keys());
        if seen.insert(table) {
            for (place, key) in run.values.keys().iter().enumerate() {
                keys.entry(key).or_default().push((table, place));
            }
        }
    }
    let mut begun: Vec<usize> = (0..firsts.len()).collect();
    begun.sort_by_key(|run| (firsts[*run].started, &firsts[*run].run_id));
    let of_key = |(key, places): (&ValueKey, Vec<(*const Vec<ValueKey>, usize)>)| {
        let value = |run: &&'a RunSummary| {
            let own = Arc::as_ptr(run.values.keys());
            let place = places.iter().find(|(table, _)| *table == own).map(|(_, place)| *place);
            place.and_then(|place| run.values.at(place))
        };
        let values: Vec<Option<Value<'a, Facts>>> = firsts.iter().map(value).collect();
        let chart = begun.iter().filter_map(|run| values[*run].as_ref()).map(|value| value.number).collect();
        let values: Vec<_> = firsts.iter().zip(values).filter_map(|(run, value)| Some((*run, value?))).collect();
        spread(key, &values, chart)
    };
    keys.into_iter().filter_map(of_key).collect()
}

fn spread(key: &ValueKey, values: &[(&RunSummary, Value<'_, Facts>)], chart: Vec<f64>) -> Option<Spread> {
    let numbers: Vec<f64> = values.iter().map(|(_, value)| value.number).collect();
    let count = numbers.len() as f64;
    let mean = numbers.iter().sum::<f64>() / count;
    let squares: f64 = numbers.iter().map(|number| (number - mean).powi(2)).sum();
    let deviation = (numbers.len() > 1).then(|| (squares / (count - 1.0)).sqrt());
    // Sorted once: what is sorted again below is so already.
    let mut sorted = numbers.clone();
    sorted.sort_by(f64::total_cmp);
    let middle = median(&sorted)?;
    let limits: BTreeSet<Option<&str>> = values.iter().map(|(_, value)| value.facts.limit.as_deref()).collect();
    Some(Spread {
        key: key.clone(),
        unit: values.first()?.1.facts.unit,
        units: numbers.len(),
        min: quantile(&sorted, 0.0)?,
        p5: quantile(&sorted, 0.05)?,
        median: middle,
        p95: quantile(&sorted, 0.95)?,
        max: quantile(&sorted, 1.0)?,
        mean,
        deviation,
        limit: if limits.len() == 1 { limits.first().copied().flatten().map(str::to_owned) } else { None },
        capability: capability(values, &limits, mean, deviation),
        outliers: outliers(values, &numbers),
        histogram: Histogram::of(&sorted),
        longest_side: longest_side(&chart, middle),
        chart,
    })
}

fn same(one: Option<f64>, two: Option<f64>) -> bool {
    match (one, two) {
        (Some(one), Some(two)) => (one - two).abs() <= SAME * one.abs().max(two.abs()),
        (one, two) => one.is_none() && two.is_none(),
    }
}

fn capability(
    values: &[(&RunSummary, Value<'_, Facts>)],
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
    let range = values.first().map(|(_, value)| value.facts.range).unwrap_or_default();
    let (low, high) = (range.low, range.high);
    if !values.iter().all(|(_, value)| same(value.facts.range.low, low) && same(value.facts.range.high, high)) {
        return Err(NoCapability::LimitMoves);
    }
    if low.is_none() && high.is_none() {
        return Err(NoCapability::NoRange);
    }
    if values.len() < UNITS_MIN {
        return Err(NoCapability::TooFew { units: values.len(), needed: UNITS_MIN });
    }
    let counted =
        |(_, value): &(&RunSummary, Value<'_, Facts>)| value.facts.unit == Unit::One && value.number.fract() == 0.0;
    if values.iter().all(counted) {
        return Err(NoCapability::Counter);
    }
    let deviation = deviation.filter(|deviation| *deviation > 0.0).ok_or(NoCapability::NoSpread)?;
    let below = low.map_or(f64::INFINITY, |low| (mean - low) / (3.0 * deviation));
    let above = high.map_or(f64::INFINITY, |high| (high - mean) / (3.0 * deviation));
    let (cpk, n) = (below.min(above), values.len() as f64);
    let at_least = cpk - ONE_SIDED_95 * (1.0 / (9.0 * n) + cpk.powi(2) / (2.0 * (n - 1.0))).sqrt();
    Ok(Capability { low, high, cpk, at_least })
}

fn outliers(values: &[(&RunSummary, Value<'_, Facts>)], numbers: &[f64]) -> Vec<Outlier> {
    let Some(scatter) = Scatter::of(numbers).filter(|_| numbers.len() >= OUTLIER_UNITS_MIN) else { return Vec::new() };
    let mut outliers: Vec<Outlier> = values
        .iter()
        .filter_map(|(run, value)| {
            let z = scatter.z(value.number).filter(|z| z.abs() > OUTLIER_Z)?;
            Some(Outlier { unit: run.unit().to_owned(), run_id: run.run_id.clone(), value: value.number, z })
        })
        .collect();
    outliers.sort_by(|one, two| two.z.abs().total_cmp(&one.z.abs()));
    outliers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_lies_in_one_bin() {
        let numbers: Vec<f64> = (0..100).map(|number| f64::from(number % 17)).collect();
        let histogram = Histogram::of(&numbers);
        assert_eq!(histogram.counts.iter().sum::<usize>(), 100);
        assert!((2..=MOST_BINS).contains(&histogram.counts.len()), "{histogram:?}");
        assert_eq!(Histogram::of(&[5.0; 4]).counts, [4]);
    }

    #[test]
    fn a_process_that_moved_stays_on_one_side() {
        let moved: Vec<f64> =
            (0..40).map(|number| if number < 20 { 1.0 } else { 2.0 } + f64::from(number % 3) * 0.1).collect();
        assert_eq!(longest_side(&moved, 1.5), 20);
        let still: Vec<f64> = (0..40).map(|number| f64::from(number * 7 % 5)).collect();
        assert!(longest_side(&still, 2.0) < SIDE_MOVED);
    }
}
