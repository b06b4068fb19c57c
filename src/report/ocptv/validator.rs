//! A limit as OCPTV's validators: the bounds that were in force, with numbers, and the set or pattern a text was held to.

use serde_json::Value;

use super::artifact::{Validator, ValidatorKind};
use kiln_limit::{Bound, Judgement, Limit, Scalar};

/// Names of the bounds, as statistics over lots know them.
const LOWER: &str = "LSL";
const UPPER: &str = "USL";
const EXACT: &str = "limit";

/// The validators of a measurement; none where it is only told, or where nothing was there to hold it against.
pub(super) fn validators(judgement: &Judgement, limit: Option<&Limit>) -> Vec<Validator> {
    if judgement.limit.is_none() {
        return Vec::new();
    }
    let numbers = |low: ValidatorKind, high: ValidatorKind| {
        let one = |name, kind, value: Option<f64>| Some(Validator { name, kind, value: number(value?)? });
        let ends = [one(LOWER, low, judgement.range.low), one(UPPER, high, judgement.range.high)];
        ends.into_iter().flatten().collect::<Vec<_>>()
    };
    let exact =
        |kind, value: Option<Value>| value.map(|value| Validator { name: EXACT, kind, value }).into_iter().collect();
    let inclusive = || numbers(ValidatorKind::GreaterThanOrEqual, ValidatorKind::LessThanOrEqual);
    let Some(limit) = limit else { return inclusive() };
    match &limit.bound {
        Bound::AtLeast(_) | Bound::AtMost(_) | Bound::Between(..) | Bound::Near { .. } => inclusive(),
        Bound::MoreThan(_) | Bound::LessThan(_) => numbers(ValidatorKind::GreaterThan, ValidatorKind::LessThan),
        Bound::Equal(_) => exact(ValidatorKind::Equal, judgement.range.low.and_then(number)),
        // No range says what a value must not be; a fixed number does.
        Bound::NotEqual(kiln_limit::Term::Absolute(quantity)) => {
            exact(ValidatorKind::NotEqual, quantity.value_in(judgement.measurement.unit).and_then(number))
        }
        Bound::NotEqual(_) => Vec::new(),
        Bound::OneOf(all) => match all.as_slice() {
            [one] => exact(ValidatorKind::Equal, scalar(one)),
            // A set holds strings and numbers only.
            all => {
                let set = all.iter().map(|one| match one {
                    Scalar::Flag(flag) => Some(Value::from(flag.to_string())),
                    other => scalar(other),
                });
                exact(ValidatorKind::InSet, set.collect::<Option<Vec<_>>>().map(Value::from))
            }
        },
        Bound::Matches(pattern) => exact(ValidatorKind::RegexMatch, Some(Value::from(pattern.0.as_str()))),
    }
}

/// JSON has no infinities.
pub(super) fn number(number: f64) -> Option<Value> {
    serde_json::Number::from_f64(number).map(Value::Number)
}

pub(super) fn scalar(scalar: &Scalar) -> Option<Value> {
    match scalar {
        Scalar::Number(value) => number(*value),
        Scalar::Text(text) => Some(Value::from(crate::plain::plain(text).into_owned())),
        Scalar::Flag(flag) => Some(Value::Bool(*flag)),
    }
}
