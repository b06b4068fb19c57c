//! A bound whose references are resolved: what is asked of every reading of a run is then only compared.

use super::judge::{equal, inside};
use super::{Bound, Range, References, Scalar};
use kiln_model::Unit;

/// What a bound comes to for numbers in one unit.
#[derive(Debug, Clone, PartialEq)]
pub enum Settled {
    Inside {
        range: Range,
        /// The ends do not belong to it.
        strict: bool,
    },
    Other(f64),
    OneOf(Vec<f64>),
    /// No number is inside: a reference is missing, or the bound is one of texts.
    Nothing,
}

impl Settled {
    pub fn new(bound: &Bound, unit: Unit, references: &References<'_>) -> Self {
        let number = |word: &Scalar| match word {
            Scalar::Number(number) => Some(*number),
            Scalar::Text(_) | Scalar::Flag(_) => None,
        };
        match bound {
            Bound::Matches(_) => Self::Nothing,
            Bound::OneOf(words) => Self::OneOf(words.iter().filter_map(number).collect()),
            Bound::NotEqual(term) => term.resolve(unit, references).map_or(Self::Nothing, Self::Other),
            bound => bound
                .range(unit, references)
                .map_or(Self::Nothing, |range| Self::Inside { range, strict: bound.is_strict() }),
        }
    }

    /// Whether a number is inside; what is no number never is.
    pub fn holds(&self, value: f64) -> bool {
        value.is_finite()
            && match self {
                Self::Inside { range, strict } => inside(value, *range, *strict),
                Self::Other(other) => !equal(value, *other),
                Self::OneOf(numbers) => numbers.iter().any(|number| equal(*number, value)),
                Self::Nothing => false,
            }
    }
}

#[cfg(test)]
mod tests {
    use super::super::judge::within;
    use super::super::{Pattern, Reference, Term};
    use super::*;
    use kiln_model::Quantity;

    #[test]
    fn a_settled_bound_holds_what_the_bound_holds() {
        let watts = |value: f64| Quantity::new(value, Unit::Watt);
        let term = |value: f64| Term::Absolute(watts(value));
        let of = |fact: &str| Term::Share { percent: 90.0, of: Reference::Sku(fact.to_owned()) };
        let bounds = [
            Bound::AtLeast(term(100.0)),
            Bound::MoreThan(term(100.0)),
            Bound::AtMost(of("tdp")),
            Bound::LessThan(of("tdp")),
            Bound::AtMost(of("nothing")),
            Bound::Between(term(90.0), term(100.0)),
            Bound::Between(term(100.0), term(90.0)),
            Bound::Near { nominal: term(100.0), minus_percent: 10.0, plus_percent: 5.0 },
            Bound::Equal(term(90.0)),
            Bound::NotEqual(term(90.0)),
            Bound::NotEqual(of("nothing")),
            Bound::OneOf(vec![Scalar::Number(90.0), Scalar::Text("100".to_owned())]),
            Bound::OneOf(vec![Scalar::Flag(true)]),
            Bound::Matches(Pattern("9".to_owned())),
        ];
        let sku = |fact: &str| (fact == "tdp").then(|| watts(100.0));
        let references = References { sku: &sku, ..References::NONE };
        for bound in &bounds {
            let settled = Settled::new(bound, Unit::Watt, &references);
            for value in [-100.0, 0.0, 89.9, 90.0, 95.0, 100.0, 105.0, 105.1, f64::NAN, f64::INFINITY] {
                let held = within(bound, &Scalar::Number(value), Unit::Watt, &references).is_ok_and(|(held, _)| held);
                assert_eq!(settled.holds(value), held, "{bound:?} {value}");
            }
        }
    }
}
