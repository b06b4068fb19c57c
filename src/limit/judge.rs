//! Holding a measurement against a limit.
//!
//! References (SKU facts, the peers' median, a baseline) are passed in; finding them is for the engine. Whatever cannot
//! be resolved or was not measured is unjudged, never passed.

use std::fmt;

use regex::Regex;

use super::{Bound, Judged, Judgement, Limit, Measured, Measurement, Range, Reference, Scalar, Term, Unjudged};
use crate::model::{Quantity, Unit};

/// What relative terms stand against, for one measurement of one component.
#[derive(Clone, Copy)]
pub struct References<'a> {
    /// A fact of the component's SKU by name.
    pub sku: &'a dyn Fn(&str) -> Option<Quantity>,
    /// The median of the same measurement over the siblings, itself left out; in the measurement's unit.
    pub peers: Option<f64>,
    /// The same measurement in the baseline; in the measurement's unit.
    pub baseline: Option<f64>,
}

impl fmt::Debug for References<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("References")
            .field("peers", &self.peers)
            .field("baseline", &self.baseline)
            .finish_non_exhaustive()
    }
}

/// Judges `measurement` by `limit`.
pub fn judge(limit: &Limit, measurement: &Measurement, references: &References<'_>) -> Judgement {
    let (outcome, range) = match &measurement.value {
        Measured::Missing(_) => (Judged::Unjudged(Unjudged::NotMeasured), Range::default()),
        Measured::Unsupported => (Judged::Unjudged(Unjudged::Unsupported), Range::default()),
        Measured::Value(value) => hold(limit, value, measurement.unit, references),
    };
    Judgement {
        measurement: measurement.clone(),
        limit: Some(limit.text.clone()),
        range,
        outcome,
        code: limit.code.clone(),
        decisive: limit.decisive,
        source: limit.source.clone(),
        waiver: None,
    }
}

fn hold(limit: &Limit, value: &Scalar, unit: Unit, references: &References<'_>) -> (Judged, Range) {
    let (met, range) = match within(&limit.bound, value, unit, references) {
        Ok(held) => held,
        Err(why) => return (Judged::Unjudged(why), Range::default()),
    };
    if !met {
        return (Judged::Fail, range);
    }
    let outcome = match &limit.marginal {
        None => Judged::Pass,
        Some(bound) => match within(bound, value, unit, references) {
            Ok((true, _)) => Judged::Pass,
            Ok((false, _)) => Judged::Marginal,
            Err(why) => Judged::Unjudged(why),
        },
    };
    (outcome, range)
}

/// Whether `value` is inside `bound`, with the absolute ends that were in force.
///
/// Exposed for guards, which ask the same of single readings.
pub fn within(
    bound: &Bound,
    value: &Scalar,
    unit: Unit,
    references: &References<'_>,
) -> Result<(bool, Range), Unjudged> {
    let term = |term: &Term| resolve(term, unit, references);
    let number = match value {
        Scalar::Number(number) => *number,
        Scalar::Text(_) | Scalar::Flag(_) => f64::NAN,
    };
    let low = |end: f64| Range { low: Some(end), high: None };
    let high = |end: f64| Range { low: None, high: Some(end) };
    let both = |low: f64, high: f64| Range { low: Some(low), high: Some(high) };
    Ok(match bound {
        Bound::AtLeast(end) => {
            let end = term(end)?;
            (number >= end, low(end))
        }
        Bound::MoreThan(end) => {
            let end = term(end)?;
            (number > end, low(end))
        }
        Bound::AtMost(end) => {
            let end = term(end)?;
            (number <= end, high(end))
        }
        Bound::LessThan(end) => {
            let end = term(end)?;
            (number < end, high(end))
        }
        Bound::Between(from, to) => {
            let (from, to) = (term(from)?, term(to)?);
            (number >= from && number <= to, both(from, to))
        }
        Bound::Near { nominal, minus_percent, plus_percent } => {
            let nominal = term(nominal)?;
            let one = nominal * (1.0 - minus_percent / 100.0);
            let two = nominal * (1.0 + plus_percent / 100.0);
            let (from, to) = (one.min(two), one.max(two));
            (number >= from && number <= to, both(from, to))
        }
        Bound::Equal(other) => {
            let other = term(other)?;
            (equal(number, other), both(other, other))
        }
        Bound::NotEqual(other) => {
            let other = term(other)?;
            (number.is_finite() && !equal(number, other), Range::default())
        }
        Bound::OneOf(allowed) => (allowed.iter().any(|one| same(one, value)), Range::default()),
        Bound::Matches(pattern) => {
            // Patterns were compiled when the profile was read; one that does not compile any more judges nothing.
            let regex = Regex::new(&pattern.0).map_err(|_| Unjudged::NoReference(format!("pattern {}", pattern.0)))?;
            (regex.is_match(&value.to_string()), Range::default())
        }
    })
}

/// Counts and settings are exact in an `f64`; a share of a fact may differ from a reading in the last bits.
fn equal(one: f64, two: f64) -> bool {
    (one - two).abs() <= 1e-9 * one.abs().max(two.abs())
}

fn same(allowed: &Scalar, value: &Scalar) -> bool {
    match (allowed, value) {
        (Scalar::Number(one), Scalar::Number(two)) => equal(*one, *two),
        (one, two) => one.to_string() == two.to_string(),
    }
}

fn resolve(term: &Term, unit: Unit, references: &References<'_>) -> Result<f64, Unjudged> {
    let lacking = |what: &str| Unjudged::NoReference(what.to_owned());
    let look_up = |of: &Reference| match of {
        Reference::Sku(fact) => {
            let name = format!("sku.{fact}");
            let value = (references.sku)(fact).ok_or_else(|| lacking(&name))?;
            value.value_in(unit).ok_or_else(|| lacking(&name))
        }
        Reference::Peers => references.peers.ok_or_else(|| lacking("peers")),
        Reference::Baseline => references.baseline.ok_or_else(|| lacking("baseline")),
    };
    let resolved = match term {
        Term::Absolute(quantity) => {
            quantity_in(*quantity, unit).ok_or_else(|| lacking("a value in the measurement's unit"))
        }
        Term::Share { percent, of } => Ok(look_up(of)? * percent / 100.0),
        Term::Offset { of, plus } => {
            let plus = quantity_in(*plus, unit).ok_or_else(|| lacking("an offset in the measurement's unit"))?;
            Ok(look_up(of)? + plus)
        }
    }?;
    if resolved.is_finite() { Ok(resolved) } else { Err(lacking("a finite value")) }
}

/// A kelvin offset may stand beside a temperature in degrees.
fn quantity_in(quantity: Quantity, unit: Unit) -> Option<f64> {
    match (quantity.unit, unit) {
        (Unit::Kelvin, Unit::Celsius) | (Unit::Celsius, Unit::Kelvin) => Some(quantity.value),
        _ => quantity.value_in(unit),
    }
}
