//! One judged value as a sentence, and how far it was from its limit.

use super::language::Language;
use super::phrase::Phrase;
use super::sentence;
use kiln_limit::{Judged, Judgement, Measured, Measurement, Unjudged};
use kiln_model::Quantity;

/// `thermal.resistance 0.093 K/W, limit <= 115 % of peers (at most 0.0667 K/W)`.
pub(super) fn sentence_in(language: Language, judgement: &Judgement) -> String {
    let measurement = &judgement.measurement;
    let value = format!("{} {}", measurement.name, shown(language, measurement));
    let Some(limit) = &judgement.limit else {
        return apart(language, judgement).map_or_else(|| value.clone(), |apart| format!("{value}, {apart}"));
    };
    let limit = Phrase::LimitIs.with(language, &[limit]);
    let mut text = match range(language, judgement) {
        Some(range) => format!("{value}, {limit} ({range})"),
        None => format!("{value}, {limit}"),
    };
    if let Some(band) = judgement.guard_band {
        let band = Quantity::new(band, judgement.measurement.unit).to_string();
        text = format!("{text}, {}", Phrase::GuardBandIs.with(language, &[&band]));
    }
    apart(language, judgement).map_or_else(|| text.clone(), |apart| format!("{text}, {apart}"))
}

/// How far the lot reaches from which the value stands apart.
fn apart(language: Language, judgement: &Judgement) -> Option<String> {
    let lot = judgement.lot.filter(|_| judgement.outcome == Judged::Outlier)?;
    let shown = |value| Quantity::new(value, judgement.measurement.unit).to_string();
    Some(Phrase::OutsideLot.with(language, &[&lot.units, &shown(lot.low), &shown(lot.high)]))
}

pub(super) fn sentence(judgement: &Judgement) -> String {
    sentence_in(Language::English, judgement)
}

/// The value with its unit, or why there is none.
pub fn shown(language: Language, measurement: &Measurement) -> String {
    match &measurement.value {
        Measured::Value(_) => measurement.quantity().unwrap_or_default(),
        Measured::Unsupported => Phrase::Unsupported.say(language).to_owned(),
        Measured::Missing(why) => Phrase::MissingBecause.with(language, &[&sentence::missing(language, why)]),
    }
}

/// The bounds in force, where the limit's own text does not already say them.
pub(super) fn range(language: Language, judgement: &Judgement) -> Option<String> {
    let shown = |value| Quantity::new(value, judgement.measurement.unit).to_string();
    let text = match (judgement.range.low, judgement.range.high) {
        (Some(low), Some(high)) if low == high => shown(low),
        (Some(low), Some(high)) => Phrase::FromTo.with(language, &[&shown(low), &shown(high)]),
        (Some(low), None) => Phrase::AtLeast.with(language, &[&shown(low)]),
        (None, Some(high)) => Phrase::AtMost.with(language, &[&shown(high)]),
        (None, None) => return None,
    };
    let limit = judgement.limit.as_deref().unwrap_or_default();
    let said = [judgement.range.low, judgement.range.high].into_iter().flatten().all(|end| limit.contains(&shown(end)));
    (!said).then_some(text)
}

/// The distance to the nearer bound, in the measurement's unit; negative outside.
pub(super) fn margin(judgement: &Judgement) -> Option<f64> {
    let value = judgement.measurement.as_number()?;
    let below = judgement.range.high.map(|high| high - value);
    let above = judgement.range.low.map(|low| value - low);
    [below, above].into_iter().flatten().filter(|margin| margin.is_finite()).min_by(f64::total_cmp)
}

/// The margin as a share of the bound it is to, for comparing unlike values; `None` where that means nothing.
pub(super) fn relative_margin(judgement: &Judgement) -> Option<f64> {
    let margin = margin(judgement)?;
    let scale = [judgement.range.low, judgement.range.high].into_iter().flatten().map(f64::abs).fold(0.0, f64::max);
    (scale > 0.0).then(|| margin / scale)
}

/// What speaks against a pass comes first, then what was nearest to its limit.
pub(super) fn worst(judgements: &[Judgement]) -> Option<&Judgement> {
    let rank = |judgement: &Judgement| match (&judgement.outcome, judgement.decisive) {
        (Judged::Fail, true) => 0,
        (Judged::Unjudged(_), true) | (Judged::Outlier, _) => 1,
        (Judged::Marginal, _) => 2,
        (Judged::Fail | Judged::Unjudged(_), false) => 4,
        (Judged::Pass, _) => 3,
    };
    let margin = |judgement: &Judgement| relative_margin(judgement).unwrap_or(f64::INFINITY);
    judgements
        .iter()
        .filter(|judgement| judgement.limit.is_some() || judgement.outcome == Judged::Outlier)
        .min_by(|one, two| rank(one).cmp(&rank(two)).then(margin(one).total_cmp(&margin(two))))
}

pub(super) fn why_unjudged(unjudged: &Unjudged) -> String {
    match unjudged {
        Unjudged::NotMeasured => "not measured".to_owned(),
        Unjudged::Unsupported => "not supported by the part".to_owned(),
        Unjudged::NoReference(what) => {
            format!("nothing to compare with: {}", sentence::no_reference(Language::English, what))
        }
    }
}

/// The judgement in a word or two.
pub(super) fn judged(judgement: &Judgement) -> String {
    match &judgement.outcome {
        Judged::Pass => "pass".to_owned(),
        Judged::Marginal => "marginal".to_owned(),
        Judged::Outlier => "outlier of the lot".to_owned(),
        Judged::Fail if judgement.waiver.is_some() => "fail, waived".to_owned(),
        Judged::Fail if !judgement.decisive => "fail, not decisive".to_owned(),
        Judged::Fail => "FAIL".to_owned(),
        Judged::Unjudged(why) => format!("not judged: {}", why_unjudged(why)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_limit::Range;
    use kiln_model::{Component, Unit};

    fn celsius(value: f64) -> Judgement {
        let measurement = Measurement::number("temp.p95", Component::gpu(0), Unit::Celsius, value, 60);
        let outcome = if value <= 83.0 { Judged::Pass } else { Judged::Fail };
        Judgement::new(measurement, Some("<= 83 °C"), Range { low: None, high: Some(83.0) }, outcome)
    }

    fn matched(value: bool) -> Judgement {
        let measurement = Measurement::flag("present", Component::gpu(0), value);
        let outcome = if value { Judged::Pass } else { Judged::Fail };
        Judgement::new(measurement, Some("== true"), Range::default(), outcome)
    }

    #[test]
    fn a_relative_limit_is_told_with_the_bound_it_came_to() {
        let hot = Measurement::number("thermal.resistance", Component::gpu(0), Unit::KelvinPerWatt, 0.093, 60);
        assert_eq!(
            sentence(&Judgement::new(
                hot,
                Some("<= 115 % of peers"),
                Range { low: None, high: Some(0.0667) },
                Judged::Fail
            )),
            "thermal.resistance 0.093 K/W, limit <= 115 % of peers (at most 0.0667 K/W)"
        );
        assert_eq!(sentence(&celsius(84.25)), "temp.p95 84.25 °C, limit <= 83 °C");
    }

    #[test]
    fn the_margin_is_to_the_nearer_bound_and_negative_outside() {
        let mut between = celsius(80.0);
        between.range = Range { low: Some(70.0), high: Some(83.0) };
        assert_eq!(margin(&between), Some(3.0));
        assert_eq!(margin(&celsius(84.0)), Some(-1.0));
        assert_eq!(margin(&matched(true)), None);
    }

    #[test]
    fn the_worst_value_is_the_failed_one_and_else_the_nearest_to_its_limit() {
        let values = [celsius(60.0), celsius(82.0), matched(true)];
        assert_eq!(worst(&values), Some(&values[1]));
        let values = [celsius(82.9), matched(false)];
        assert_eq!(worst(&values), Some(&values[1]));
    }
}
