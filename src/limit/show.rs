//! Writing a limit in its short form, exactly: what is written reads back as the same bound.

use std::fmt;

use super::{Bound, Reference, Scalar, Term};
use kiln_model::{Quantity, Unit};

/// A quantity with every digit it has; reports round, limits do not.
struct Exact(Quantity);

impl fmt::Display for Exact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.unit {
            Unit::One => write!(f, "{}", self.0.value),
            unit => write!(f, "{} {unit}", self.0.value),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sku(fact) => write!(f, "sku.{fact}"),
            Self::Peers => f.write_str("peers"),
            Self::Baseline => f.write_str("baseline"),
            Self::First => f.write_str("first"),
            Self::Lot => f.write_str("lot"),
        }
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absolute(quantity) => Exact(*quantity).fmt(f),
            Self::Share { percent, of } if *percent == 100.0 => of.fmt(f),
            Self::Share { percent, of } => write!(f, "{percent} % of {of}"),
            Self::Offset { of, plus } if plus.value.is_sign_negative() => {
                write!(f, "{of} - {}", Exact(Quantity::new(-plus.value, plus.unit)))
            }
            Self::Offset { of, plus } => write!(f, "{of} + {}", Exact(*plus)),
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(term) => write!(f, ">= {term}"),
            Self::MoreThan(term) => write!(f, "> {term}"),
            Self::AtMost(term) => write!(f, "<= {term}"),
            Self::LessThan(term) => write!(f, "< {term}"),
            Self::Equal(term) => write!(f, "== {term}"),
            Self::NotEqual(term) => write!(f, "!= {term}"),
            Self::Between(Term::Absolute(low), Term::Absolute(high)) if low.unit == high.unit => {
                write!(f, "{}..{}", low.value, Exact(*high))
            }
            Self::Between(Term::Share { percent: low, of }, Term::Share { percent: high, of: other })
                if of == other && *high != 100.0 =>
            {
                write!(f, "{low}..{high} % of {of}")
            }
            Self::Between(low, high) => write!(f, "{low} .. {high}"),
            Self::Near { nominal, minus_percent, plus_percent } if minus_percent == plus_percent => {
                write!(f, "{nominal} ±{plus_percent} %")
            }
            Self::Near { nominal, minus_percent, plus_percent } => {
                write!(f, "{nominal} -{minus_percent} % / +{plus_percent} %")
            }
            Self::OneOf(values) => match values.as_slice() {
                [only @ (Scalar::Text(_) | Scalar::Flag(_))] => write!(f, "== {}", word(only)),
                _ => write!(f, "in [{}]", values.iter().map(word).collect::<Vec<_>>().join(", ")),
            },
            Self::Matches(pattern) => write!(f, "~ {}", pattern.0),
        }
    }
}

/// A value of a list; in quotes where it would not read back without.
fn word(value: &Scalar) -> String {
    match value {
        Scalar::Number(number) => number.to_string(),
        Scalar::Flag(flag) => flag.to_string(),
        Scalar::Text(text) => {
            let plain = !text.is_empty() && text.trim() == text && !text.contains([',', ']', '"', '\\']);
            if plain { text.clone() } else { serde_json::Value::from(text.as_str()).to_string() }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Target, Wanted};

    const FACTS: &[(&str, Unit)] =
        &[("a", Unit::GigabytePerSecond), ("b.min", Unit::MegabytePerSecond), ("n", Unit::One), ("t", Unit::Celsius)];

    fn quantity(unit: Unit) -> impl Strategy<Value = Quantity> {
        let units: Vec<Unit> = Unit::all().filter(|other| other.dimension() == unit.dimension()).collect();
        (-1e6..1e6_f64, prop::sample::select(units)).prop_map(|(value, unit)| Quantity::new(value, unit))
    }

    fn reference(unit: Unit) -> impl Strategy<Value = Reference> {
        let facts = FACTS.iter().filter(move |fact| fact.1.dimension() == unit.dimension());
        let mut all: Vec<Reference> = facts.map(|fact| Reference::Sku(fact.0.to_owned())).collect();
        all.extend([Reference::Peers, Reference::Baseline, Reference::First]);
        prop::sample::select(all)
    }

    fn term(unit: Unit) -> BoxedStrategy<Term> {
        let temperature = unit == Unit::Celsius;
        let difference = if temperature { Unit::Kelvin } else { unit };
        let share = (if temperature { Just(100.0).boxed() } else { (0.0..200.0_f64).boxed() }, reference(unit));
        prop_oneof![
            quantity(unit).prop_map(Term::Absolute),
            share.prop_map(|(percent, of)| Term::Share { percent, of }),
            (reference(unit), quantity(difference)).prop_map(|(of, plus)| Term::Offset { of, plus }),
        ]
        .boxed()
    }

    fn between(unit: Unit) -> impl Strategy<Value = Bound> {
        (term(unit), term(unit)).prop_map(move |(low, high)| match (&low, &high) {
            (Term::Absolute(a), Term::Absolute(b)) if a.value_in(unit) > b.value_in(unit) => Bound::Between(high, low),
            (Term::Share { percent: a, of }, Term::Share { percent: b, of: other }) if of == other && a > b => {
                Bound::Between(high, low)
            }
            _ => Bound::Between(low, high),
        })
    }

    fn number_bound(unit: Unit) -> BoxedStrategy<Bound> {
        let plain = prop_oneof![
            term(unit).prop_map(Bound::AtLeast),
            term(unit).prop_map(Bound::MoreThan),
            term(unit).prop_map(Bound::AtMost),
            term(unit).prop_map(Bound::LessThan),
            term(unit).prop_map(Bound::Equal),
            term(unit).prop_map(Bound::NotEqual),
            between(unit),
        ];
        match unit {
            Unit::Celsius => plain.boxed(),
            Unit::One => prop_oneof![
                plain,
                prop::collection::vec((-1e6..1e6_f64).prop_map(Scalar::Number), 1..4).prop_map(Bound::OneOf)
            ]
            .boxed(),
            _ => prop_oneof![
                plain,
                (term(unit), 0.0..100.0_f64, 0.0..100.0_f64).prop_map(|(nominal, minus_percent, plus_percent)| {
                    Bound::Near { nominal, minus_percent, plus_percent }
                }),
            ]
            .boxed(),
        }
    }

    fn reads_back(bound: &Bound, wanted: Wanted) -> Result<(), TestCaseError> {
        let target = Target { name: "m", wanted, facts: FACTS, relative: true };
        let text = bound.to_string();
        prop_assert_eq!(
            &Bound::parse(&text, &target).map_err(|error| TestCaseError::fail(format!("{text}: {error}")))?,
            bound,
            "{}",
            text
        );
        Ok(())
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(
            (unit, bound) in prop::sample::select(vec![Unit::GigabytePerSecond, Unit::Celsius, Unit::One])
                .prop_flat_map(|unit| (Just(unit), number_bound(unit))),
        ) {
            reads_back(&bound, Wanted::Number(unit))?;
        }

        #[test]
        fn lists_of_words_read_back(words in prop::collection::vec(any::<String>(), 1..4)) {
            reads_back(&Bound::OneOf(words.into_iter().map(Scalar::Text).collect()), Wanted::Text)?;
        }

        #[test]
        fn no_text_breaks_the_reader(text in any::<String>(), known in "(<=|==|~|in \\[)? ?[0-9.%±/+ a-z°C-]{0,20}") {
            for wanted in [Wanted::Number(Unit::Celsius), Wanted::Text, Wanted::Flag] {
                let target = Target { name: "m", wanted, facts: FACTS, relative: true };
                for text in [&text, &known] {
                    if let Err(error) = Bound::parse(text, &target) {
                        prop_assert!(text.get(error.range.clone()).is_some(), "{:?} of {:?}", error.range, text);
                    }
                }
            }
        }
    }
}
