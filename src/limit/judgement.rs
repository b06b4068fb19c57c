//! What came of holding a measurement against a limit.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Measurement, NoReference, Rule};

/// The outcome of one judgement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Judged {
    Pass,
    /// Inside the limit, outside the marginal bound.
    Marginal,
    /// Inside the limit, and apart from what the good units of its lot measured.
    Outlier,
    Fail,
    /// No judgement could be made; never a pass.
    Unjudged(Unjudged),
}

/// Why no judgement could be made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unjudged {
    /// There is no value; the measurement says why.
    NotMeasured,
    Unsupported,
    /// The SKU has no such fact, there are too few peers, or no baseline is given.
    NoReference(NoReference),
}

/// The absolute bounds that were in force once references were resolved, in the measurement's unit.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    pub low: Option<f64>,
    pub high: Option<f64>,
}

/// Where the good units of a lot lie, as far apart as the lot's false-alarm budget allows, in the measurement's unit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LotRange {
    pub low: f64,
    pub high: f64,
    /// Of how many units the lot's facts are.
    pub units: usize,
}

impl LotRange {
    /// The lot's middle: the range reaches as far to either side of it.
    pub const fn middle(&self) -> f64 {
        self.low.midpoint(self.high)
    }
}

/// What came of holding one value against its rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Ruling {
    pub range: Range,
    pub outcome: Judged,
    pub(super) rule: Arc<Rule>,
}

impl Deref for Ruling {
    type Target = Rule;

    fn deref(&self) -> &Rule {
        &self.rule
    }
}

impl DerefMut for Ruling {
    fn deref_mut(&mut self) -> &mut Rule {
        Arc::make_mut(&mut self.rule)
    }
}

impl Ruling {
    /// Whether nothing that is written of both differs but what their rules are: zero and minus zero are equal, and not written alike.
    fn is_to_the_bit(&self, other: &Self) -> bool {
        let ends = |ruling: &Self| {
            let empty = match ruling.outcome {
                Judged::Unjudged(Unjudged::NoReference(NoReference::EmptyRange { low, high })) => {
                    [Some(low), Some(high)]
                }
                _ => [None; 2],
            };
            let [low, high] = [ruling.range.low, ruling.range.high];
            [low, high, empty[0], empty[1]].map(|end| end.map(f64::to_bits))
        };
        self.outcome == other.outcome && ends(self) == ends(other)
    }
}

/// One measurement held against one limit, with all that is needed to check it by hand later. A run of days has fifty thousand, which
/// hold what they have in common with those of the round before once; to change it in one of them leaves the others as they are.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    pub measurement: Measurement,
    pub(super) ruling: Arc<Ruling>,
}

impl Deref for Judgement {
    type Target = Ruling;

    fn deref(&self) -> &Ruling {
        &self.ruling
    }
}

impl DerefMut for Judgement {
    fn deref_mut(&mut self) -> &mut Ruling {
        Arc::make_mut(&mut self.ruling)
    }
}

impl Judgement {
    /// A decisive judgement of a measurement against a limit in words, with nothing else to it: no code, no waiver, no lot.
    pub fn new(measurement: Measurement, limit: Option<&str>, range: Range, outcome: Judged) -> Self {
        Self::by(Rule::new(limit), measurement, range, outcome)
    }

    pub fn by(rule: Rule, measurement: Measurement, range: Range, outcome: Judged) -> Self {
        Self { measurement, ruling: Arc::new(Ruling { range, outcome, rule: Arc::new(rule) }) }
    }

    /// Holds the value against its lot as well. What is outside of the limit or was not judged stays so: a lot says
    /// nothing about physics.
    #[must_use]
    pub fn within_lot(mut self, lot: LotRange) -> Self {
        let inside = self.measurement.as_number().is_none_or(|value| value >= lot.low && value <= lot.high);
        if !inside && matches!(self.outcome, Judged::Pass | Judged::Marginal) {
            self.outcome = Judged::Outlier;
        }
        self.lot = Some(lot);
        self
    }

    /// Holds together with `earlier`, a judgement of the same in another round, what is the same in both to the last bit.
    pub fn share(&mut self, earlier: &Self) {
        if self.measurement.of == earlier.measurement.of {
            self.measurement.of = Arc::clone(&earlier.measurement.of);
        }
        if !self.ruling.rule.is_to_the_bit(&earlier.ruling.rule) {
            return;
        }
        if self.ruling.is_to_the_bit(&earlier.ruling) {
            self.ruling = Arc::clone(&earlier.ruling);
        } else {
            Arc::make_mut(&mut self.ruling).rule = Arc::clone(&earlier.ruling.rule);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_model::{Component, Unit};

    fn judged(celsius: f64, low: f64) -> Judgement {
        let measurement = Measurement::number("temp.max", Component::gpu(0), Unit::Celsius, celsius, 60);
        Judgement::new(measurement, Some("0 .. 85 °C"), Range { low: Some(low), high: Some(85.0) }, Judged::Pass)
    }

    #[test]
    fn a_judgement_is_small_because_a_run_of_days_holds_fifty_thousand() {
        assert!(size_of::<Judgement>() <= 48, "{} bytes", size_of::<Judgement>());
    }

    #[test]
    fn what_is_alike_in_two_rounds_is_held_once_and_the_value_stays_its_own() {
        let (first, mut second) = (judged(70.0, 0.0), judged(71.0, 0.0));
        let before = second.clone();
        second.share(&first);
        assert_eq!(second, before);
        assert!(
            Arc::ptr_eq(&first.ruling, &second.ruling) && Arc::ptr_eq(&first.measurement.of, &second.measurement.of)
        );
    }

    #[test]
    fn a_minus_before_zero_is_kept_because_it_is_written() {
        let (first, mut second) = (judged(70.0, 0.0), judged(70.0, -0.0));
        second.share(&first);
        assert!(second.range.low.is_some_and(f64::is_sign_negative));
        assert!(Arc::ptr_eq(&first.ruling.rule, &second.ruling.rule));
        let lot = |low| judged(70.0, 0.0).within_lot(LotRange { low, high: 80.0, units: 40 });
        let mut held = lot(-0.0);
        held.share(&lot(0.0));
        assert!(held.lot.is_some_and(|lot| lot.low.is_sign_negative()));
    }

    #[test]
    fn to_change_one_of_two_that_share_leaves_the_other() {
        let (first, mut second) = (judged(70.0, 0.0), judged(70.0, 0.0));
        second.share(&first);
        second.limit = None;
        second.outcome = Judged::Fail;
        second.measurement.name = "temp.mean".to_owned();
        assert_eq!(first, judged(70.0, 0.0));
        assert_ne!(first, second);
    }
}
