//! Reading one side of a comparison: a quantity, a share of a reference, a reference with an offset.

use super::parse::{ParseLimitError, Parsed, Part, Target};
use super::{Reference, Term};
use kiln_model::{Dimension, ParseQuantityError, Quantity, Unit};
use kiln_yaml::{did_you_mean, nearest};

/// Whether shares of such a value mean nothing, as its zero is arbitrary: degrees Celsius.
pub(super) fn has_no_zero(unit: Unit) -> bool {
    unit.dimension() == Dimension::Temperature
}

pub(super) fn parse(part: Part<'_>, unit: Unit, target: &Target<'_>) -> Parsed<Term> {
    let part = part.trim();
    if part.text.is_empty() {
        return Err(ParseLimitError::new(part, "a value is missing"));
    }
    if let Some((share, of)) = part.split(" of ") {
        return parse_share(share, of, unit, target);
    }
    if part.text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | '−')) {
        return parse_quantity(part, unit, unit, target).map(Term::Absolute);
    }
    let name_end = part.text.find(char::is_whitespace).unwrap_or(part.text.len());
    let of = reference(part.until(name_end), unit, target)?;
    let rest = part.from(name_end).trim();
    if rest.text.is_empty() {
        return Ok(Term::Share { percent: 100.0, of });
    }
    let Some(sign) = rest.text.chars().next().filter(|sign| matches!(sign, '+' | '-')) else {
        return Err(ParseLimitError::new(rest, format!("`{}` is not expected here", rest.text))
            .help("after a reference only an offset may stand, such as `peers + 5 K`"));
    };
    let difference = if has_no_zero(unit) { Unit::Kelvin } else { unit };
    let mut plus = parse_quantity(rest.from(1).trim(), difference, unit, target)?;
    if sign == '-' {
        plus.value = -plus.value;
    }
    Ok(Term::Offset { of, plus })
}

/// The largest share a limit may ask for, in percent: ten times its reference. Beyond it a limit only looks like one.
const SHARE_MAX: f64 = 1000.0;
/// No measurement comes near: a petabyte is 10^15 bytes, a run of a year 3 * 10^16 nanoseconds.
const MAGNITUDE_MAX: f64 = 1e18;

/// Refuses a share that is not positive or too large to be missed: nothing could fail such a limit, or everything would.
pub(super) fn sane_share(part: Part<'_>, percent: f64) -> Parsed<()> {
    let told = |what: String| Err(ParseLimitError::new(part, what));
    if percent <= 0.0 {
        return told(format!("`{}` makes no limit: a share must be more than 0 %", part.text));
    }
    if percent > SHARE_MAX {
        return told(format!("`{}` is a limit that nothing can fail: at most {SHARE_MAX} % is allowed", part.text));
    }
    Ok(())
}

/// Refuses a tolerance that reaches down to zero, where no part comes, or up beyond what a share may be.
pub(super) fn sane_tolerance(part: Part<'_>, minus_percent: f64, plus_percent: f64) -> Parsed<()> {
    let why = if minus_percent >= 100.0 {
        "downwards less than 100 % is allowed".to_owned()
    } else if plus_percent > SHARE_MAX {
        format!("upwards at most {SHARE_MAX} % is allowed")
    } else {
        return Ok(());
    };
    let text = format!("such a tolerance is a limit that nothing can fail: {why}");
    Err(ParseLimitError::new(part, text).help("write the limit as a range, `a..b`, or with an operator"))
}

fn parse_share(share: Part<'_>, of: Part<'_>, unit: Unit, target: &Target<'_>) -> Parsed<Term> {
    let number = share.text.strip_suffix('%').map(str::trim).and_then(|number| number.parse::<f64>().ok());
    let Some(percent) = number.filter(|percent| percent.is_finite()) else {
        return Err(ParseLimitError::new(share, format!("`{}` is not a share in percent", share.text))
            .help(format!("write `95 % of {}`", of.text)));
    };
    sane_share(share, percent)?;
    let of_reference = reference(of, unit, target)?;
    if has_no_zero(unit) {
        let help = format!("write an offset: `{} + 5 K`", of.text);
        return Err(ParseLimitError::new(share, "a share of a temperature means nothing").help(help));
    }
    Ok(Term::Share { percent, of: of_reference })
}

fn reference(part: Part<'_>, unit: Unit, target: &Target<'_>) -> Parsed<Reference> {
    let relative = match part.text {
        "peers" => Some(Reference::Peers),
        "baseline" => Some(Reference::Baseline),
        "first" => Some(Reference::First),
        "lot" => Some(Reference::Lot),
        _ => None,
    };
    if let Some(relative) = relative {
        return if target.relative {
            Ok(relative)
        } else {
            Err(ParseLimitError::new(part, format!("`{}` is not known here", part.text))
                .help("a guard acts at once: it can stand against a fixed value or a SKU fact only"))
        };
    }
    let Some(fact) = part.text.strip_prefix("sku.") else {
        let help = match nearest(part.text, ["peers", "baseline", "first", "lot", "sku"]) {
            Some("sku") | None => {
                "write a value with its unit, `sku.<fact>`, `peers`, `baseline`, `first` or `lot`".to_owned()
            }
            Some(near) => format!("did you mean `{near}`?"),
        };
        return Err(ParseLimitError::new(part, format!("`{}` is no value and no reference", part.text)).help(help));
    };
    let Some((_, fact_unit)) = target.facts.iter().find(|(name, _)| *name == fact) else {
        let mut error = ParseLimitError::new(part, format!("there is no SKU fact `{fact}`"));
        let names: Vec<String> = target.facts.iter().map(|(name, _)| format!("sku.{name}")).collect();
        error.help = did_you_mean(part.text, names.iter().map(String::as_str));
        return Err(error);
    };
    if fact_unit.dimension() != unit.dimension() {
        let message = format!("`sku.{fact}` is in {fact_unit}, but `{}` is measured in {unit}", target.name);
        let fitting: Vec<&str> = target
            .facts
            .iter()
            .filter(|(_, other)| other.dimension() == unit.dimension())
            .map(|(name, _)| *name)
            .collect();
        let mut error = ParseLimitError::new(part, message);
        if !fitting.is_empty() {
            error.help = Some(format!("facts in such a unit: `sku.{}`", fitting.join("`, `sku.")));
        }
        return Err(error);
    }
    Ok(Reference::Sku(fact.to_owned()))
}

/// A quantity in the dimension of `unit`; `measured` is what the measurement itself is in.
fn parse_quantity(part: Part<'_>, unit: Unit, measured: Unit, target: &Target<'_>) -> Parsed<Quantity> {
    let quantity = match part.text.replace('−', "-").parse::<Quantity>() {
        Ok(quantity) => quantity,
        Err(error) => {
            let help = match &error {
                ParseQuantityError::UnknownUnit(wrong) => {
                    let units = Unit::all().filter(|other| other.dimension() == unit.dimension());
                    did_you_mean(wrong, units.map(Unit::symbol))
                }
                ParseQuantityError::NotANumber(_) => Some(format!("write for example `5 {unit}`").replace(" 1`", "`")),
                ParseQuantityError::BareCelsius(_) => None,
            };
            let mut refused = ParseLimitError::new(part, error.to_string());
            refused.help = help;
            return Err(refused);
        }
    };
    if quantity.unit.dimension() == unit.dimension() {
        if quantity.value_in(unit).is_none_or(|value| value.abs() <= MAGNITUDE_MAX) {
            return Ok(quantity);
        }
        let text = format!("`{}` is beyond all that can be measured: a limit there could not fail", part.text);
        return Err(ParseLimitError::new(part, text));
    }
    let number = part.text.trim_end_matches(quantity.unit.symbol()).trim();
    let error = if quantity.unit == Unit::One {
        ParseLimitError::new(part, format!("the unit is missing: `{}` is measured in {measured}", target.name))
    } else {
        let units: Vec<String> =
            Unit::all().filter(|other| other.dimension() == unit.dimension()).map(|u| format!("`{u}`")).collect();
        let wrong =
            format!("`{}` is measured in {measured}, which cannot be held against {}", target.name, quantity.unit);
        if unit == Unit::One {
            return Err(ParseLimitError::new(part, wrong.replace("measured in 1", "a plain number"))
                .help(format!("write `{number}` without a unit")));
        }
        return Err(ParseLimitError::new(part, wrong).help(format!("units that fit: {}", units.join(", "))));
    };
    Err(error.help(format!("write `{number} {unit}`")))
}
