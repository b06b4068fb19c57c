//! Holding a measurement against a limit.
//!
//! What cannot be judged is said so and never passes: no value, a value that is no number, a reference that is not there.

use super::{
    Bound, IfUnsupported, Judged, Judgement, Limit, Measured, Measurement, Miss, NoReference, Range, Reference, Rule,
    Scalar, Term, Unjudged,
};
use kiln_model::{Dimension, Quantity, Unit};

/// What relative terms stand against, for one measurement of one component.
#[derive(Clone, Copy)]
pub struct References<'a> {
    /// Facts of the component's SKU.
    pub sku: &'a dyn Fn(&str) -> Option<Quantity>,
    /// What the component's same-model siblings measured, itself left out, in the measurement's unit.
    pub peers: Option<Peers>,
    /// The same measurement in an earlier run, in the measurement's unit.
    pub baseline: Option<f64>,
    /// What the first step of the run that made the measurement made of it, in the measurement's unit.
    pub first: Option<f64>,
    /// The middle of the same measurement over the lot's good units, in the measurement's unit.
    pub lot: Option<f64>,
    /// How far the gauge may be off, in the measurement's unit (`kiln msa`).
    pub guard_band: Option<f64>,
}

/// The siblings that a component is held against.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Peers {
    /// The median of two and more.
    Median(f64),
    /// The other one of two. Where they agree both are as they should be; where they do not, nothing says which is off.
    Other(f64),
}

impl Peers {
    const fn value(self) -> f64 {
        match self {
            Self::Median(value) | Self::Other(value) => value,
        }
    }
}

impl References<'_> {
    /// Without anything to stand against: relative limits cannot be judged.
    pub const NONE: References<'static> =
        References { sku: &|_| None, peers: None, baseline: None, first: None, lot: None, guard_band: None };

    fn get(&self, of: &Reference, unit: Unit) -> Result<f64, Unjudged> {
        let missing = Unjudged::NoReference;
        let value = match of {
            Reference::Sku(fact) => {
                let quantity = (self.sku)(fact).ok_or_else(|| missing(NoReference::Sku(fact.clone())))?;
                quantity.value_in(unit).ok_or_else(|| missing(NoReference::SkuUnit { fact: fact.clone(), unit }))?
            }
            Reference::Peers => self.peers.map(Peers::value).ok_or_else(|| missing(NoReference::Peers))?,
            Reference::Baseline => self.baseline.ok_or_else(|| missing(NoReference::Baseline))?,
            Reference::First => self.first.ok_or_else(|| missing(NoReference::First))?,
            Reference::Lot => self.lot.ok_or_else(|| missing(NoReference::Lot))?,
        };
        if value.is_finite() { Ok(value) } else { Err(missing(of.lacking())) }
    }
}

impl Reference {
    /// What is said to be lacking where the reference has no finite value.
    fn lacking(&self) -> NoReference {
        match self {
            Self::Sku(fact) => NoReference::Sku(fact.clone()),
            Self::Peers => NoReference::Peers,
            Self::Baseline => NoReference::Baseline,
            Self::First => NoReference::First,
            Self::Lot => NoReference::Lot,
        }
    }
}

impl std::fmt::Debug for References<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("References")
            .field("peers", &self.peers)
            .field("baseline", &self.baseline)
            .field("first", &self.first)
            .field("lot", &self.lot)
            .finish_non_exhaustive()
    }
}

/// Two values this near are equal: what is left of a number after units were converted back and forth (f64 has 2e-16).
const EQUAL_WITHIN: f64 = 1e-9;

pub(super) fn equal(one: f64, two: f64) -> bool {
    (one - two).abs() <= EQUAL_WITHIN * one.abs().max(two.abs())
}

/// A difference of `quantity` in `unit`: kelvins count as degrees Celsius.
fn difference(quantity: Quantity, unit: Unit) -> Option<f64> {
    if unit.dimension() == Dimension::Temperature { quantity.value_in(Unit::Kelvin) } else { quantity.value_in(unit) }
}

impl Term {
    /// The term as a number in `unit`.
    pub(super) fn resolve(&self, unit: Unit, references: &References<'_>) -> Result<f64, Unjudged> {
        let wrong_unit = || Unjudged::NoReference(NoReference::TermUnit { term: self.to_string(), unit });
        let value = match self {
            Self::Absolute(quantity) => quantity.value_in(unit).ok_or_else(wrong_unit)?,
            Self::Share { percent, of } => references.get(of, unit)? * percent / 100.0,
            Self::Offset { of, plus } => references.get(of, unit)? + difference(*plus, unit).ok_or_else(wrong_unit)?,
        };
        if value.is_finite() {
            Ok(value)
        } else {
            Err(Unjudged::NoReference(NoReference::NotFinite { term: self.to_string() }))
        }
    }
}

impl Bound {
    pub fn stands_on(&self, reference: &Reference) -> bool {
        let stands = |term: &Term| match term {
            Term::Absolute(_) => false,
            Term::Share { of, .. } | Term::Offset { of, .. } => of == reference,
        };
        match self {
            Self::AtLeast(term)
            | Self::MoreThan(term)
            | Self::AtMost(term)
            | Self::LessThan(term)
            | Self::Near { nominal: term, .. }
            | Self::Equal(term)
            | Self::NotEqual(term) => stands(term),
            Self::Between(low, high) => stands(low) || stands(high),
            Self::OneOf(_) | Self::Matches(_) => false,
        }
    }

    /// The ends in force for a value in `unit`, once references are resolved. `None` ends are open.
    pub fn range(&self, unit: Unit, references: &References<'_>) -> Result<Range, Unjudged> {
        let resolve = |term: &Term| term.resolve(unit, references);
        let (low, high) = match self {
            Self::AtLeast(term) | Self::MoreThan(term) => (Some(resolve(term)?), None),
            Self::AtMost(term) | Self::LessThan(term) => (None, Some(resolve(term)?)),
            Self::Between(low, high) => (Some(resolve(low)?), Some(resolve(high)?)),
            Self::Equal(term) => {
                let value = resolve(term)?;
                (Some(value), Some(value))
            }
            Self::Near { nominal, minus_percent, plus_percent } => {
                let nominal = resolve(nominal)?;
                let (minus, plus) = (nominal.abs() * minus_percent / 100.0, nominal.abs() * plus_percent / 100.0);
                (Some(nominal - minus), Some(nominal + plus))
            }
            Self::NotEqual(_) | Self::OneOf(_) | Self::Matches(_) => (None, None),
        };
        if let (Some(low), Some(high)) = (low, high)
            && low > high
        {
            return Err(Unjudged::NoReference(NoReference::EmptyRange { low, high }));
        }
        Ok(Range { low, high })
    }

    fn holds(&self, value: f64, unit: Unit, references: &References<'_>) -> Result<(bool, Range), Unjudged> {
        if let Self::NotEqual(term) = self {
            return Ok((!equal(value, term.resolve(unit, references)?), Range::default()));
        }
        let range = self.range(unit, references)?;
        Ok((inside(value, range, self.is_strict()), range))
    }

    pub(super) const fn is_strict(&self) -> bool {
        matches!(self, Self::MoreThan(_) | Self::LessThan(_))
    }
}

pub(super) fn inside(value: f64, range: Range, strict: bool) -> bool {
    let above = range.low.is_none_or(|low| if equal(value, low) { !strict } else { value > low });
    let below = range.high.is_none_or(|high| if equal(value, high) { !strict } else { value < high });
    above && below
}

fn finite(value: f64) -> Result<f64, Unjudged> {
    if value.is_finite() { Ok(value) } else { Err(Unjudged::NotMeasured) }
}

/// Whether `value` is inside `bound`, with the absolute ends that were in force.
pub(super) fn within(
    bound: &Bound,
    value: &Scalar,
    unit: Unit,
    references: &References<'_>,
) -> Result<(bool, Range), Unjudged> {
    match (bound, value) {
        (Bound::OneOf(words), value) => {
            if let Scalar::Number(number) = value {
                finite(*number)?;
            }
            // A value of another kind than the check declares is our defect, not the unit's.
            if words.iter().all(|word| std::mem::discriminant(word) != std::mem::discriminant(value)) {
                return Err(Unjudged::NotMeasured);
            }
            Ok((words.iter().any(|word| same(word, value)), Range::default()))
        }
        (Bound::Matches(pattern), Scalar::Text(text)) => match regex::Regex::new(&pattern.0) {
            Ok(regex) => Ok((regex.is_match(text), Range::default())),
            // Patterns were compiled when the profile was read; one that does not compile any more judges nothing.
            Err(_) => Err(Unjudged::NoReference(NoReference::Pattern(pattern.0.clone()))),
        },
        (Bound::Matches(_), _) => Err(Unjudged::NotMeasured),
        (_, Scalar::Number(number)) => bound.holds(finite(*number)?, unit, references),
        _ => Err(Unjudged::NotMeasured),
    }
}

fn same(word: &Scalar, value: &Scalar) -> bool {
    match (word, value) {
        (Scalar::Number(one), Scalar::Number(two)) => equal(*one, *two),
        (one, two) => one == two,
    }
}

/// Judges `measurement` by `limit`, with all that is needed to check it by hand later. Waivers are for the caller.
pub fn judge(limit: &Limit, measurement: &Measurement, references: &References<'_>) -> Judgement {
    let unit = measurement.unit;
    let guard_band = references.guard_band.filter(|_| has_band(&limit.bound));
    let excused = limit.unsupported == IfUnsupported::Skip && measurement.value == Measured::Unsupported;
    let (outcome, range) = match &measurement.value {
        Measured::Value(value) => match within(&limit.bound, value, unit, references) {
            Err(why) => (Judged::Unjudged(why), Range::default()),
            Ok((false, range)) => (Judged::Fail, range),
            Ok((true, range)) => {
                let tighter = limit.marginal.as_ref().map(|bound| within(bound, value, unit, references));
                let outcome = match tighter {
                    None | Some(Ok((true, _))) => Judged::Pass,
                    Some(Ok((false, _))) => Judged::Marginal,
                    Some(Err(why)) => Judged::Unjudged(why),
                };
                (outcome, range)
            }
        },
        // The ends are still worth showing beside what is missing.
        Measured::Unsupported | Measured::Missing(_) => {
            let why = match measurement.value {
                Measured::Unsupported => Unjudged::Unsupported,
                _ => Unjudged::NotMeasured,
            };
            (Judged::Unjudged(why), limit.bound.range(unit, references).unwrap_or_default())
        }
    };
    // ISO 14253-1: within the uncertainty of an end neither conformity nor its contrary is proven.
    let unsure = guard_band.is_some_and(|band| near_an_end(measurement, range, band));
    let of_two = matches!(references.peers, Some(Peers::Other(_))) && limit.bound.stands_on(&Reference::Peers);
    let (outcome, miss) = match outcome {
        Judged::Pass if unsure => (Judged::Marginal, limit.miss),
        Judged::Fail if unsure || of_two => (Judged::Fail, Miss::Suspicion),
        other => (other, limit.miss),
    };
    let rule = Rule {
        code: limit.code.clone(),
        decisive: limit.decisive && !excused,
        miss,
        source: limit.source.clone(),
        guard_band,
        ..Rule::new(Some(&limit.text))
    };
    Judgement::by(rule, measurement.clone(), range, outcome)
}

/// Whether an end of the bound can be missed by a little: an exact value is met or not.
const fn has_band(bound: &Bound) -> bool {
    match bound {
        Bound::AtLeast(_)
        | Bound::MoreThan(_)
        | Bound::AtMost(_)
        | Bound::LessThan(_)
        | Bound::Between(..)
        | Bound::Near { .. } => true,
        Bound::Equal(_) | Bound::NotEqual(_) | Bound::OneOf(_) | Bound::Matches(_) => false,
    }
}

fn near_an_end(measurement: &Measurement, range: Range, band: f64) -> bool {
    let ends = [range.low, range.high].into_iter().flatten();
    measurement.as_number().is_some_and(|value| ends.into_iter().any(|end| (value - end).abs() < band))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{LotRange, Target, Wanted};
    use kiln_model::Component;

    fn limit(text: &str, marginal: Option<&str>, unit: Unit) -> Limit {
        let facts = &[("tdp", Unit::Watt)];
        let target = Target { name: "m", wanted: Wanted::Number(unit), facts, relative: true };
        let bound = Bound::parse(text, &target).unwrap();
        let marginal = marginal.map(|text| Bound::parse(text, &target).unwrap());
        Limit {
            text: bound.to_string(),
            bound,
            marginal,
            code: None,
            decisive: true,
            miss: super::super::Miss::Proof,
            source: None,
            unsupported: IfUnsupported::Error,
            with_lot: None,
        }
    }

    fn outcome(limit: &Limit, value: f64, unit: Unit, references: &References<'_>) -> Judged {
        judge(limit, &Measurement::number("m", Component::gpu(0), unit, value, 1), references).outcome.clone()
    }

    #[test]
    fn bounds_include_their_ends_even_after_conversion() {
        let none = &References::NONE;
        let case = |text, value, unit| outcome(&limit(text, None, unit), value, unit, none);
        assert_eq!(case("<= 87 °C", 87.0, Unit::Celsius), Judged::Pass);
        assert_eq!(case("< 87 °C", 87.0, Unit::Celsius), Judged::Fail);
        assert_eq!(case("== 26562 MB/s", 26.562, Unit::GigabytePerSecond), Judged::Pass);
        assert_eq!(case("450..520 GB/s", 450.0, Unit::GigabytePerSecond), Judged::Pass);
        assert_eq!(case("450..520 GB/s", 520.1, Unit::GigabytePerSecond), Judged::Fail);
        assert_eq!(case("480 GB/s -5 % / +10 %", 456.0, Unit::GigabytePerSecond), Judged::Pass);
        assert_eq!(case("480 GB/s -5 % / +10 %", 455.0, Unit::GigabytePerSecond), Judged::Fail);
        assert_eq!(case("!= 0", 0.0, Unit::One), Judged::Fail);
        assert_eq!(case("in [4, 5]", 5.0, Unit::One), Judged::Pass);
        assert_eq!(case("in [4, 5]", 3.0, Unit::One), Judged::Fail);
    }

    #[test]
    fn of_two_that_disagree_neither_is_proven_bad() {
        let references = References { peers: Some(Peers::Other(100.0)), ..References::NONE };
        let held = |text, value| {
            let measurement = Measurement::number("m", Component::gpu(0), Unit::Watt, value, 1);
            let judgement = judge(&limit(text, None, Unit::Watt), &measurement, &references);
            (judgement.outcome.clone(), judgement.miss)
        };
        assert_eq!(held(">= 98 % of peers", 99.0), (Judged::Pass, Miss::Proof), "they agree");
        assert_eq!(held(">= 98 % of peers", 90.0), (Judged::Fail, Miss::Suspicion));
        assert_eq!(held(">= 95 W", 90.0), (Judged::Fail, Miss::Proof), "no matter of siblings");
    }

    #[test]
    fn relative_limits_stand_against_their_reference_or_are_not_judged() {
        let sku = |fact: &str| (fact == "tdp").then_some(Quantity::new(0.7, Unit::Kilowatt));
        let references = References { sku: &sku, peers: Some(Peers::Median(60.0)), ..References::NONE };
        assert_eq!(
            outcome(&limit(">= 95 % of sku.tdp", None, Unit::Watt), 665.0, Unit::Watt, &references),
            Judged::Pass
        );
        assert_eq!(
            outcome(&limit(">= 95 % of sku.tdp", None, Unit::Watt), 664.0, Unit::Watt, &references),
            Judged::Fail
        );
        assert_eq!(
            outcome(&limit("<= peers + 5 K", None, Unit::Celsius), 65.0, Unit::Celsius, &references),
            Judged::Pass
        );
        assert_eq!(
            outcome(&limit("<= peers + 5 K", None, Unit::Celsius), 65.1, Unit::Celsius, &references),
            Judged::Fail
        );
        let missing = |what: NoReference| Judged::Unjudged(Unjudged::NoReference(what));
        assert_eq!(
            outcome(&limit(">= baseline", None, Unit::Watt), 1.0, Unit::Watt, &references),
            missing(NoReference::Baseline)
        );
        let first = References { first: Some(100.0), ..References::NONE };
        let kept = limit("<= 125 % of first", None, Unit::Watt);
        assert_eq!(outcome(&kept, 125.0, Unit::Watt, &first), Judged::Pass);
        assert_eq!(outcome(&kept, 126.0, Unit::Watt, &first), Judged::Fail);
        assert_eq!(outcome(&kept, 1.0, Unit::Watt, &References::NONE), missing(NoReference::First));
        assert_eq!(
            outcome(&limit(">= sku.tdp", None, Unit::Watt), 1e9, Unit::Watt, &References::NONE),
            missing(NoReference::Sku("tdp".to_owned()))
        );
        let infinite = References { peers: Some(Peers::Median(f64::NAN)), ..References::NONE };
        assert_eq!(
            outcome(&limit("<= peers", None, Unit::Watt), 1.0, Unit::Watt, &infinite),
            missing(NoReference::Peers)
        );
    }

    #[test]
    fn within_the_guard_band_of_an_end_nothing_is_proven() {
        let limit = limit("<= 100 W", None, Unit::Watt);
        let banded = References { guard_band: Some(2.0), ..References::NONE };
        let case = |value: f64| {
            let judgement = judge(&limit, &Measurement::number("m", Component::gpu(0), Unit::Watt, value, 1), &banded);
            (judgement.outcome.clone(), judgement.miss)
        };
        assert_eq!(case(97.9), (Judged::Pass, Miss::Proof));
        assert_eq!(case(98.1), (Judged::Marginal, Miss::Proof));
        assert_eq!(case(101.9), (Judged::Fail, Miss::Suspicion));
        assert_eq!(case(102.1), (Judged::Fail, Miss::Proof));
    }

    #[test]
    fn an_exact_value_has_no_guard_band() {
        let limit = limit("== 4", None, Unit::One);
        let banded = References { guard_band: Some(2.0), ..References::NONE };
        let judged = judge(&limit, &Measurement::number("m", Component::gpu(0), Unit::One, 4.0, 1), &banded);
        assert_eq!((judged.outcome.clone(), judged.guard_band), (Judged::Pass, None));
    }

    #[test]
    fn a_value_apart_from_its_lot_is_an_outlier_and_a_miss_stays_a_miss() {
        let limit = limit("<= 100 W", None, Unit::Watt);
        let lot = LotRange { low: 70.0, high: 80.0, units: 40 };
        let case = |value: f64| {
            let measured = Measurement::number("m", Component::gpu(0), Unit::Watt, value, 1);
            judge(&limit, &measured, &References::NONE).within_lot(lot).outcome.clone()
        };
        assert_eq!(case(75.0), Judged::Pass);
        assert_eq!(case(90.0), Judged::Outlier);
        assert_eq!(case(60.0), Judged::Outlier);
        assert_eq!(case(101.0), Judged::Fail);
    }

    #[test]
    fn what_was_not_measured_is_not_judged() {
        let limit = limit("<= 87 °C", Some("<= 80 °C"), Unit::Celsius);
        let judge = |measurement: &Measurement| judge(&limit, measurement, &References::NONE).outcome.clone();
        let gpu = Component::gpu(0);
        let not_measured = Judged::Unjudged(Unjudged::NotMeasured);
        assert_eq!(judge(&Measurement::missing("m", gpu, Unit::Celsius, crate::Missing::NeverRead)), not_measured);
        assert_eq!(judge(&Measurement::unsupported("m", gpu, Unit::Celsius)), Judged::Unjudged(Unjudged::Unsupported));
        assert_eq!(judge(&Measurement::number("m", gpu, Unit::Celsius, f64::NAN, 1)), not_measured);
        assert_eq!(judge(&Measurement::text("m", gpu, "87")), not_measured);
        let nan = Measurement {
            value: Measured::Value(Scalar::Number(f64::NAN)),
            ..Measurement::unsupported("m", gpu, Unit::Celsius)
        };
        assert_eq!(judge(&nan), not_measured);
        let watts = Measurement::number("m", gpu, Unit::Watt, 1.0, 1);
        assert!(
            matches!(judge(&watts), Judged::Unjudged(Unjudged::NoReference(_))),
            "a unit that does not fit never passes"
        );
    }

    #[test]
    fn words_and_patterns_match_whole_values() {
        let text = |bound: &Bound, value: &str| {
            within(bound, &Scalar::Text(value.to_owned()), Unit::One, &References::NONE).map(|held| held.0)
        };
        let target = Target { name: "m", wanted: Wanted::Text, facts: &[], relative: true };
        let pattern = Bound::parse(r"~ ^96\.00\.", &target).unwrap();
        assert_eq!(text(&pattern, "96.00.74"), Ok(true));
        assert_eq!(text(&pattern, "196.00.74"), Ok(false));
        let words = Bound::parse("in [enabled, on]", &target).unwrap();
        assert_eq!(text(&words, "enabled"), Ok(true));
        assert_eq!(text(&words, "enable"), Ok(false));
        assert_eq!(within(&words, &Scalar::Flag(true), Unit::One, &References::NONE), Err(Unjudged::NotMeasured));
        assert_eq!(within(&pattern, &Scalar::Number(1.0), Unit::One, &References::NONE), Err(Unjudged::NotMeasured));
    }

    /// Better outcomes are larger; what cannot be judged counts as the worst.
    fn rank(outcome: &Judged) -> u8 {
        match outcome {
            Judged::Pass => 3,
            Judged::Marginal | Judged::Outlier => 2,
            Judged::Fail => 1,
            Judged::Unjudged(_) => 0,
        }
    }

    proptest! {
        #[test]
        fn a_worse_value_never_gets_a_better_outcome(
            end in -1e6..1e6_f64, width in 0.0..1e6_f64, tighter in 0.0..1.0_f64, value in -3e6..3e6_f64, worse in 0.0..1e6_f64,
        ) {
            let unit = Unit::Watt;
            let band = width * tighter / 2.0;
            let judged = |text: String, marginal: String, value: f64| {
                rank(&outcome(&limit(&text, Some(&marginal), unit), value, unit, &References::NONE))
            };
            let least = |value| judged(format!(">= {end} W"), format!(">= {} W", end + band), value);
            prop_assert!(least(value - worse) <= least(value));
            let most = |value| judged(format!("<= {end} W"), format!("<= {} W", end - band), value);
            prop_assert!(most(value + worse) <= most(value));
            // Inside a range worse means further from its middle.
            let (low, high) = (end, end + width);
            let inside = |value| judged(format!("{low}..{high} W"), format!("{}..{} W", low + band, high - band), value);
            let middle = f64::midpoint(low, high);
            let further = if value < middle { value - worse } else { value + worse };
            prop_assert!(inside(further) <= inside(value));
        }
    }
}
