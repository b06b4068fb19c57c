//! Parses the short form of a limit: `<= 87 °C`, `450..520 GB/s`, `480 GB/s ±5 %`, `>= 95 % of sku.tdp`, `in [a, b]`,
//! `~ regex`. The long form is a mapping around it and belongs to `profile`.
//!
//! A limit is checked against its measurement while it is parsed, so that a [`Bound`] always has a unit that fits.

use std::ops::Range;

use super::{Bound, Term, term, words};
use kiln_model::Unit;

/// The kind of value that a limit is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    Number(Unit),
    Text,
    Flag,
}

/// What a limit may refer to.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The measurement or sensor, for messages.
    pub name: &'a str,
    pub wanted: Wanted,
    /// Names and units of the known SKU facts.
    pub facts: &'a [(&'a str, Unit)],
    /// Whether `peers`, `baseline`, `first` and `lot` may be used; guards allow none of them.
    pub relative: bool,
}

/// Why a text is not a valid limit for its measurement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ParseLimitError {
    pub message: String,
    pub help: Option<String>,
    /// The wrong part, in bytes of the text.
    pub range: Range<usize>,
}

impl ParseLimitError {
    pub(super) fn new(part: Part<'_>, message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None, range: part.range() }
    }

    #[must_use]
    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

pub(super) type Parsed<T> = Result<T, ParseLimitError>;

/// A piece of the text together with its position.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part<'t> {
    pub text: &'t str,
    pub at: usize,
}

impl Part<'_> {
    pub(super) fn trim(self) -> Self {
        let text = self.text.trim_start();
        Self { at: self.at + self.text.len() - text.len(), text: text.trim_end() }
    }

    pub(super) fn from(self, start: usize) -> Self {
        Self { text: &self.text[start..], at: self.at + start }
    }

    pub(super) fn until(self, end: usize) -> Self {
        Self { text: &self.text[..end], at: self.at }
    }

    /// Splits at the first `separator`; both sides are trimmed.
    pub(super) fn split(self, separator: &str) -> Option<(Self, Self)> {
        let at = self.text.find(separator)?;
        Some((self.until(at).trim(), self.from(at + separator.len()).trim()))
    }

    fn range(self) -> Range<usize> {
        self.at..self.at + self.text.len()
    }
}

impl Bound {
    /// Parses the short form for one measurement.
    pub fn parse(text: &str, target: &Target<'_>) -> Result<Self, ParseLimitError> {
        let whole = Part { text, at: 0 }.trim();
        if whole.text.is_empty() {
            return Err(ParseLimitError::new(whole, "the limit is empty").help(FORMS));
        }
        if whole.text.starts_with('~') {
            return words::pattern(whole.from(1).trim(), target);
        }
        if let Some(rest) = whole.text.strip_prefix("in")
            && rest.trim_start().starts_with('[')
        {
            return words::one_of(whole.from(2).trim(), target);
        }
        match operator(whole)? {
            Some((operator, rest)) => compared(operator, rest, target),
            None => unmarked(whole, target),
        }
    }
}

/// The help of messages that have nothing more specific to suggest.
const FORMS: &str =
    "write for example `<= 87 °C`, `450..520 GB/s`, `480 GB/s ±5 %`, `>= 95 % of sku.tdp`, `in [a, b]` or `~ regex`";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    AtMost,
    LessThan,
    AtLeast,
    MoreThan,
    Equal,
    NotEqual,
}

/// Operators as written. Longer ones come first, so that `<=` is not read as `<`.
const OPERATORS: &[(&str, Operator)] = &[
    ("<=", Operator::AtMost),
    (">=", Operator::AtLeast),
    ("==", Operator::Equal),
    ("!=", Operator::NotEqual),
    ("≤", Operator::AtMost),
    ("≥", Operator::AtLeast),
    ("≠", Operator::NotEqual),
    ("<", Operator::LessThan),
    (">", Operator::MoreThan),
];

fn operator(whole: Part<'_>) -> Parsed<Option<(Operator, Part<'_>)>> {
    for (wrong, right) in [("=<", "<="), ("=>", ">="), ("<>", "!=")] {
        if whole.text.starts_with(wrong) {
            let error = ParseLimitError::new(whole.until(2), format!("`{wrong}` is not an operator"));
            return Err(error.help(format!("write `{right}`")));
        }
    }
    if let Some((sign, operator)) = OPERATORS.iter().find(|(sign, _)| whole.text.starts_with(sign)) {
        let rest = whole.from(sign.len()).trim();
        if rest.text.is_empty() {
            return Err(ParseLimitError::new(whole, format!("a value is missing after `{sign}`")).help(FORMS));
        }
        return Ok(Some((*operator, rest)));
    }
    if whole.text.starts_with('=') {
        return Err(ParseLimitError::new(whole.until(1), "`=` is not an operator").help("write `==`"));
    }
    Ok(None)
}

fn compared(operator: Operator, rest: Part<'_>, target: &Target<'_>) -> Parsed<Bound> {
    let Wanted::Number(unit) = target.wanted else {
        return match operator {
            Operator::Equal => Ok(Bound::OneOf(vec![words::word(rest, target)?])),
            _ => Err(ParseLimitError::new(
                rest,
                format!("`{}` is {}: it has no order", target.name, words::described(target.wanted)),
            )
            .help("write `== word`, `in [a, b]` or, for a text, `~ regex`")),
        };
    };
    let term = term::parse(rest, unit, target)?;
    Ok(match operator {
        Operator::AtMost => Bound::AtMost(term),
        Operator::LessThan => Bound::LessThan(term),
        Operator::AtLeast => Bound::AtLeast(term),
        Operator::MoreThan => Bound::MoreThan(term),
        Operator::Equal => Bound::Equal(term),
        Operator::NotEqual => Bound::NotEqual(term),
    })
}

/// Parses a limit without an operator in front: a range or a tolerance. Anything else lacks its operator.
fn unmarked(whole: Part<'_>, target: &Target<'_>) -> Parsed<Bound> {
    let Wanted::Number(unit) = target.wanted else {
        return Err(ParseLimitError::new(whole, "the limit does not start with an operator")
            .help(format!("write `== {}` if that is meant", whole.text)));
    };
    if let Some((low, high)) = whole.split("..") {
        return between(whole, low, high, unit, target);
    }
    for sign in ["±", "+/-", "+-"] {
        if let Some((nominal, share)) = whole.split(sign) {
            let nominal = term::parse(nominal, unit, target)?;
            let percent = tolerance(share, unit)?;
            return near(whole, nominal, percent, percent, unit);
        }
    }
    if let Some((nominal, one, two)) = two_sided(whole) {
        let nominal = term::parse(nominal, unit, target)?;
        let (minus, plus) = if one.text.starts_with('-') { (one, two) } else { (two, one) };
        return near(
            whole,
            nominal,
            tolerance(minus.from(1).trim(), unit)?,
            tolerance(plus.from(1).trim(), unit)?,
            unit,
        );
    }
    let error = ParseLimitError::new(whole, "the limit does not start with an operator");
    Err(match term::parse(whole, unit, target) {
        Ok(_) => error.help(format!("write `== {0}`, `<= {0}` or `>= {0}`", whole.text)),
        Err(_) => error.help(FORMS),
    })
}

fn between(whole: Part<'_>, low: Part<'_>, high: Part<'_>, unit: Unit, target: &Target<'_>) -> Parsed<Bound> {
    let high_term = term::parse(high, unit, target)?;
    // `450..520 GB/s` and `95..105 % of sku.tdp`: a bare number takes its unit or reference from the other end. With a share
    // this holds only without blanks around the dots: `5 .. 95 % of sku.nvlink.links` starts at the number five.
    let tight = !whole.text.contains(" ..");
    let low_term = match (low.text.parse::<f64>(), &high_term) {
        (Ok(value), Term::Absolute(high)) if value.is_finite() => {
            Term::Absolute(kiln_model::Quantity::new(value, high.unit))
        }
        (Ok(percent), Term::Share { of, .. }) if tight && percent.is_finite() && high.text.contains(" of ") => {
            term::sane_share(low, percent)?;
            Term::Share { percent, of: of.clone() }
        }
        _ => term::parse(low, unit, target)?,
    };
    let empty = match (&low_term, &high_term) {
        (Term::Absolute(low), Term::Absolute(high)) => low.value_in(unit) > high.value_in(unit),
        (Term::Share { percent: low, of: one }, Term::Share { percent: high, of: two }) => one == two && low > high,
        _ => false,
    };
    if empty {
        let message = format!("the range is empty: `{}` is more than `{}`", low.text, high.text);
        return Err(ParseLimitError::new(whole, message).help("write the lower end first"));
    }
    Ok(Bound::Between(low_term, high_term))
}

/// Splits `NOMINAL -5 % / +10 %`, with the tolerances in either order, into its three parts.
fn two_sided(whole: Part<'_>) -> Option<(Part<'_>, Part<'_>, Part<'_>)> {
    let slash = whole.text.rfind('/')?;
    let (left, right) = (whole.until(slash).trim(), whole.from(slash + 1).trim());
    if !left.text.ends_with('%') {
        return None;
    }
    let sign = left.text.rfind(['-', '+'])?;
    let (nominal, left) = (left.until(sign).trim(), left.from(sign));
    let opposite = |one: &str, two: &str| left.text.starts_with(one) && right.text.starts_with(two);
    (opposite("-", "+") || opposite("+", "-")).then_some((nominal, left, right))
}

fn tolerance(share: Part<'_>, unit: Unit) -> Parsed<f64> {
    let number = share.text.strip_suffix('%').map(str::trim).and_then(|number| number.parse::<f64>().ok());
    match number {
        Some(percent) if percent.is_finite() && percent >= 0.0 => Ok(percent),
        Some(_) => Err(ParseLimitError::new(share, "a tolerance must not be negative")),
        None => Err(ParseLimitError::new(share, "a tolerance is a share in percent")
            .help(format!("write for example `±5 %`, or the range itself: `a..b {unit}`"))),
    }
}

fn near(whole: Part<'_>, nominal: Term, minus_percent: f64, plus_percent: f64, unit: Unit) -> Parsed<Bound> {
    if term::has_no_zero(unit) {
        return Err(
            ParseLimitError::new(whole, "a share of a temperature means nothing").help("write a range: `60..70 °C`")
        );
    }
    term::sane_tolerance(whole, minus_percent, plus_percent)?;
    Ok(Bound::Near { nominal, minus_percent, plus_percent })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Pattern, Scalar};

    const FACTS: &[(&str, Unit)] =
        &[("tdp", Unit::Watt), ("power.min", Unit::Watt), ("pcie.width", Unit::One), ("temp.shutdown", Unit::Celsius)];

    fn target(name: &str, wanted: Wanted) -> Target<'_> {
        Target { name, wanted, facts: FACTS, relative: true }
    }

    fn read(text: &str, unit: Unit) -> String {
        Bound::parse(text, &target("m", Wanted::Number(unit))).unwrap().to_string()
    }

    /// Lists every refusal with the wrong part marked.
    fn refused(target: &Target<'_>, cases: &[&str]) -> String {
        let told = |text: &&str| {
            let error = Bound::parse(text, target).unwrap_err();
            let marked =
                format!("{}«{}»{}", &text[..error.range.start], &text[error.range.clone()], &text[error.range.end..]);
            format!("{marked}: {}\n  {}", error.message, error.help.unwrap_or_else(|| "-".to_owned()))
        };
        cases.iter().map(told).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn every_short_form_reads_and_is_normalised() {
        assert_eq!(read("<=87°C", Unit::Celsius), "<= 87 °C");
        assert_eq!(read("≥ 1.2 kW", Unit::Watt), ">= 1.2 kW");
        assert_eq!(read("< 5", Unit::One), "< 5");
        assert_eq!(read("> -5 °C", Unit::Celsius), "> -5 °C");
        assert_eq!(read("== 0 s", Unit::Second), "== 0 s");
        assert_eq!(read("!= 0", Unit::One), "!= 0");
        assert_eq!(read("450..520 GB/s", Unit::GigabytePerSecond), "450..520 GB/s");
        assert_eq!(read("450 .. 520 GB/s", Unit::GigabytePerSecond), "450..520 GB/s");
        assert_eq!(read("900 MB/s .. 2 GB/s", Unit::GigabytePerSecond), "900 MB/s .. 2 GB/s");
        assert_eq!(read("95..105 % of sku.tdp", Unit::Watt), "95..105 % of sku.tdp");
        assert_eq!(read("480 GB/s ±5 %", Unit::GigabytePerSecond), "480 GB/s ±5 %");
        assert_eq!(read("480 GB/s +/- 5%", Unit::GigabytePerSecond), "480 GB/s ±5 %");
        assert_eq!(read("480 GB/s -5 % / +10 %", Unit::GigabytePerSecond), "480 GB/s -5 % / +10 %");
        assert_eq!(read("480 GB/s +10 % / -5 %", Unit::GigabytePerSecond), "480 GB/s -5 % / +10 %");
        assert_eq!(read("in [4, 5]", Unit::One), "in [4, 5]");
        assert_eq!(read(">= 95 % of sku.tdp", Unit::Watt), ">= 95 % of sku.tdp");
        assert_eq!(read(">= 97% of peers", Unit::Teraflops), ">= 97 % of peers");
        assert_eq!(read(">= 97 % of baseline", Unit::Teraflops), ">= 97 % of baseline");
        assert_eq!(read("<= first + 5 W", Unit::Watt), "<= first + 5 W");
        assert_eq!(read("== sku.pcie.width", Unit::One), "== sku.pcie.width");
        assert_eq!(read("<= peers + 5 K", Unit::Celsius), "<= peers + 5 K");
        assert_eq!(read(">= sku.tdp - 20 W", Unit::Watt), ">= sku.tdp - 20 W");
        assert_eq!(read("sku.tdp ±5 %", Unit::Watt), "sku.tdp ±5 %");
    }

    #[test]
    fn limits_that_nothing_can_fail_are_refused_with_the_place() {
        let power = target("power.mean", Wanted::Number(Unit::Watt));
        insta::assert_snapshot!(refused(
            &power,
            &[
                "700 W ±1e308 %",
                "700 W ±100 %",
                "700 W -5 % / +2000 %",
                ">= -5 % of peers",
                ">= 0 % of sku.tdp",
                "<= 1e9 % of sku.tdp",
                "-95..105 % of sku.tdp",
                "<= 1e300 W",
                "-1e30..1e30 W",
            ]
        ));
        let name = target("vbios", Wanted::Text);
        let flag = target("valid", Wanted::Flag);
        let words = [refused(&name, &["~ .*", "~ x?", "~ (a|)"]), refused(&flag, &["in [true, false]"])].concat();
        insta::assert_snapshot!(words);
        for sound in ["700 W ±99 %", "700 W -5 % / +1000 %", ">= 0.1 % of peers", "<= 1000 % of sku.tdp", "<= 1e9 W"] {
            assert!(Bound::parse(sound, &power).is_ok(), "{sound}");
        }
        assert!(Bound::parse("~ ^$", &name).is_ok() && Bound::parse("~ ^96", &name).is_ok());
    }

    #[test]
    fn texts_and_flags_read_as_words() {
        let text = |text| Bound::parse(text, &target("vbios", Wanted::Text)).unwrap();
        assert_eq!(text("== 570.124.06"), Bound::OneOf(vec![Scalar::Text("570.124.06".to_owned())]));
        assert_eq!(text("in [a, \"b, c\"]").to_string(), "in [a, \"b, c\"]");
        assert_eq!(text(r"~ ^96\.00\."), Bound::Matches(Pattern(r"^96\.00\.".to_owned())));
        let flag = Bound::parse("== true", &target("valid", Wanted::Flag)).unwrap();
        assert_eq!(flag, Bound::OneOf(vec![Scalar::Flag(true)]));
    }

    #[test]
    fn wrong_limits_on_numbers_are_placed_and_explained() {
        let power = target("power.mean", Wanted::Number(Unit::Watt));
        insta::assert_snapshot!(refused(&power, &[
            "", ">=", "= 5 W", "=> 5 W", "5 W", "about 5", ">= 5", ">= five", ">= 5 °C", ">= 5 Wat", ">= 5 kw",
            "520..450 W", "450..520", "450 W..", "480 W ±5", "480 W ±-5 %", ">= 95 of sku.tdp", ">= 95 % of sku.tpd", ">= 95 % of sku.pcie.width",
            ">= 95 % of peer", ">= sku.tdp 5 W", ">= sku.tdp + 5 K", "in [1, 2]", "~ x", ">= nan W", ">= 1e999 W",
        ]), @r#"
        «»: the limit is empty
          write for example `<= 87 °C`, `450..520 GB/s`, `480 GB/s ±5 %`, `>= 95 % of sku.tdp`, `in [a, b]` or `~ regex`
        «>=»: a value is missing after `>=`
          write for example `<= 87 °C`, `450..520 GB/s`, `480 GB/s ±5 %`, `>= 95 % of sku.tdp`, `in [a, b]` or `~ regex`
        «=» 5 W: `=` is not an operator
          write `==`
        «=>» 5 W: `=>` is not an operator
          write `>=`
        «5 W»: the limit does not start with an operator
          write `== 5 W`, `<= 5 W` or `>= 5 W`
        «about 5»: the limit does not start with an operator
          write for example `<= 87 °C`, `450..520 GB/s`, `480 GB/s ±5 %`, `>= 95 % of sku.tdp`, `in [a, b]` or `~ regex`
        >= «5»: the unit is missing: `power.mean` is measured in W
          write `5 W`
        >= «five»: `five` is no value and no reference
          write a value with its unit, `sku.<fact>`, `peers`, `baseline`, `first` or `lot`
        >= «5 °C»: `power.mean` is measured in W, which cannot be held against °C
          units that fit: `mW`, `W`, `kW`
        >= «5 Wat»: unknown unit `Wat`
          known: `mW`, `W`, `kW`
        >= «5 kw»: unknown unit `kw`
          did you mean `kW`?
        «520..450 W»: the range is empty: `520` is more than `450 W`
          write the lower end first
        450..«520»: the unit is missing: `power.mean` is measured in W
          write `520 W`
        450 W..«»: a value is missing
          -
        480 W ±«5»: a tolerance is a share in percent
          write for example `±5 %`, or the range itself: `a..b W`
        480 W ±«-5 %»: a tolerance must not be negative
          -
        >= «95» of sku.tdp: `95` is not a share in percent
          write `95 % of sku.tdp`
        >= 95 % of «sku.tpd»: there is no SKU fact `tpd`
          did you mean `sku.tdp`?
        >= 95 % of «sku.pcie.width»: `sku.pcie.width` is in 1, but `power.mean` is measured in W
          facts in such a unit: `sku.tdp`, `sku.power.min`
        >= 95 % of «peer»: `peer` is no value and no reference
          did you mean `peers`?
        >= sku.tdp «5 W»: `5 W` is not expected here
          after a reference only an offset may stand, such as `peers + 5 K`
        >= sku.tdp + «5 K»: `power.mean` is measured in W, which cannot be held against K
          units that fit: `mW`, `W`, `kW`
        in [«1», 2]: `power.mean` is measured in W: a list cannot say so
          write a range: `a..b W`
        ~ «x»: `power.mean` is a number: a regular expression needs a text
          -
        >= «nan» W: `nan` is no value and no reference
          write a value with its unit, `sku.<fact>`, `peers`, `baseline`, `first` or `lot`
        >= «1e999 W»: `1e999 W` does not start with a number
          write for example `5 W`
        "#);
    }

    #[test]
    fn wrong_limits_on_temperatures_counts_texts_and_flags_are_explained() {
        let all = [
            refused(
                &target("temp.max", Wanted::Number(Unit::Celsius)),
                &["<= 87 C", "<= 87 K", "<= 105 % of peers", "60 °C ±5 %", "<= peers + 5 °C", "<= 87"],
            ),
            refused(&target("links", Wanted::Number(Unit::One)), &["== 5 W", "in [4, x]", "in [4", "in [4,,5]"]),
            refused(&target("vbios", Wanted::Text), &[">= 5", "96.00", "~", "~ (", "== \"open"]),
            refused(&target("valid", Wanted::Flag), &["== yes", "~ x"]),
            refused(&Target { relative: false, ..target("power", Wanted::Number(Unit::Watt)) }, &["<= 110 % of peers"]),
        ];
        insta::assert_snapshot!(all.join("\n"), @r#"
        <= «87 C»: `C` alone is not a temperature (C is the coulomb, F the farad); write `°C` or `degC`
          -
        <= «87 K»: `temp.max` is measured in °C, which cannot be held against K
          units that fit: `°C`
        <= «105 %» of peers: a share of a temperature means nothing
          write an offset: `peers + 5 K`
        «60 °C ±5 %»: a share of a temperature means nothing
          write a range: `60..70 °C`
        <= peers + «5 °C»: `temp.max` is measured in °C, which cannot be held against °C
          units that fit: `K`
        <= «87»: the unit is missing: `temp.max` is measured in °C
          write `87 °C`
        == «5 W»: `links` is a plain number, which cannot be held against W
          write `5` without a unit
        in [4, «x»]: `x` is not a number
          -
        in «[4»: the list is not closed
          write `in [a, b]`
        in [4,«»,5]: an item of the list is empty
          write `in [a, b]`
        >= «5»: `vbios` is a text: it has no order
          write `== word`, `in [a, b]` or, for a text, `~ regex`
        «96.00»: the limit does not start with an operator
          write `== 96.00` if that is meant
        ~«»: the regular expression is empty
          -
        ~ «(»: not a regular expression: unclosed group
          -
        == «"open»: the quotes do not close
          -
        == «yes»: `valid` is true or false, not `yes`
          write `== true` or `== false`
        ~ «x»: `valid` is true or false: a regular expression needs a text
          -
        <= 110 % of «peers»: `peers` is not known here
          a guard acts at once: it can stand against a fixed value or a SKU fact only
        "#);
    }
}
