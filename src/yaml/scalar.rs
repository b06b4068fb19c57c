//! Reading scalars as text, booleans and numbers by the YAML 1.2 core schema, with YAML's traps refused.

#![expect(clippy::cast_precision_loss, reason = "counts and nanoseconds become floats for statistics, far below 2^53")]

use std::fmt::Display;

use super::node::is_null_word;
use super::{Diagnostic, Diagnostics, Kind, Node, Style, did_you_mean};

/// What a scalar means where nothing is known about what is wanted (core schema, 10.3.2).
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Meaning<'n> {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(&'n str),
}

/// Why a scalar is not what was wanted: what to say, and what to do.
pub(super) type Refusal = (String, Option<String>);

impl Node {
    pub(super) fn meaning(&self) -> Result<Option<Meaning<'_>>, Refusal> {
        let Kind::Scalar { text, style } = &self.kind else { return Ok(None) };
        if *style != Style::Plain {
            return Ok(Some(Meaning::Text(text)));
        }
        if is_null_word(text) {
            return Ok(Some(Meaning::Null));
        }
        if let Some(value) = as_bool(text) {
            return Ok(Some(Meaning::Bool(value)));
        }
        if !looks_like_number(text) {
            return Ok(Some(Meaning::Text(text)));
        }
        match integer(text)? {
            Some(value) => Ok(Some(match (u64::try_from(value), i64::try_from(value)) {
                (Ok(value), _) => Meaning::Unsigned(value),
                (_, Ok(value)) => Meaning::Signed(value),
                _ => return Err((format!("`{text}` is too large"), None)),
            })),
            None => Ok(Some(float(text).map_or(Meaning::Text(text), Meaning::Float))),
        }
    }

    pub(super) fn read_text(&self) -> Result<&str, Refusal> {
        match &self.kind {
            Kind::Scalar { .. } if self.is_null() => Err((
                "expected text, found nothing".to_owned(),
                Some("write the text; in quotes if it is meant to be empty or the word itself".to_owned()),
            )),
            Kind::Scalar { text, .. } => Ok(text),
            _ => Err((format!("expected text, found {}", self.describe()), None)),
        }
    }

    pub(super) fn read_bool(&self) -> Result<bool, Refusal> {
        let refuse =
            |help: Option<String>| Err((format!("expected `true` or `false`, found {}", self.describe()), help));
        let Kind::Scalar { text, style } = &self.kind else { return refuse(None) };
        match (as_bool(text), style) {
            (Some(value), Style::Plain) => Ok(value),
            (Some(value), _) => refuse(Some(format!("write `{value}` without quotes"))),
            (None, _) => match text.to_ascii_lowercase().as_str() {
                "yes" | "on" | "y" => refuse(Some("write `true`".to_owned())),
                "no" | "off" | "n" => refuse(Some("write `false`".to_owned())),
                _ => refuse(None),
            },
        }
    }

    pub(super) fn read_integer(&self) -> Result<i128, Refusal> {
        let text = self.number_text("a whole number")?;
        integer(text)?.ok_or_else(|| {
            let help = float(text).is_some().then(|| "write it without a fraction or exponent".to_owned());
            (format!("expected a whole number, found {}", self.describe()), help)
        })
    }

    pub(super) fn read_number(&self) -> Result<f64, Refusal> {
        let text = self.number_text("a number")?;
        if let Some(value) = integer(text)? {
            return Ok(value as f64);
        }
        float(text).ok_or_else(|| (format!("expected a number, found {}", self.describe()), unit_help(text)))
    }

    fn number_text(&self, wanted: &str) -> Result<&str, Refusal> {
        match &self.kind {
            Kind::Scalar { text, style: Style::Plain } if !self.is_null() => Ok(text),
            Kind::Scalar { text, style: Style::Quoted } if looks_like_number(text) => Err((
                format!("expected {wanted}, found {}", self.describe()),
                Some(format!("write {text} without quotes")),
            )),
            _ => Err((format!("expected {wanted}, found {}", self.describe()), None)),
        }
    }

    fn told<T>(&self, read: Result<T, Refusal>, all: &mut Diagnostics) -> Option<T> {
        read.map_err(|(message, help)| all.push(Diagnostic::new(&self.place, message).maybe_help(help))).ok()
    }

    /// Text exactly as typed; a plain number or boolean counts as text here.
    pub fn text(&self, all: &mut Diagnostics) -> Option<&str> {
        self.told(self.read_text(), all)
    }

    pub fn bool(&self, all: &mut Diagnostics) -> Option<bool> {
        self.told(self.read_bool(), all)
    }

    /// A whole number that fits `T`.
    pub fn whole<T: TryFrom<i128>>(&self, all: &mut Diagnostics) -> Option<T> {
        let read = self.read_integer().and_then(|value| {
            T::try_from(value).map_err(|_| {
                let sign = if value < 0 { "must not be negative" } else { "is too large" };
                (format!("`{value}` {sign}"), None)
            })
        });
        self.told(read, all)
    }

    /// A finite number.
    pub fn number(&self, all: &mut Diagnostics) -> Option<f64> {
        self.told(self.read_number(), all)
    }

    /// Anything that is read from text; the error is shown as it speaks.
    pub fn parse_with<T, E: Display>(
        &self,
        read: impl FnOnce(&str) -> Result<T, E>,
        all: &mut Diagnostics,
    ) -> Option<T> {
        let text = self.text(all)?;
        read(text).map_err(|error| all.push(Diagnostic::new(&self.place, error.to_string()))).ok()
    }

    /// One of some words; `what` names the choice in the error.
    pub fn one_of<T: Copy>(&self, what: &str, choices: &[(&str, T)], all: &mut Diagnostics) -> Option<T> {
        let text = self.text(all)?;
        let found = choices.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let help = did_you_mean(text, choices.iter().map(|(word, _)| *word));
            all.push(Diagnostic::new(&self.place, format!("unknown {what} `{text}`")).maybe_help(help));
        }
        found
    }

    /// The elements of a list; `what` names the list in the error.
    pub fn list(&self, what: &str, all: &mut Diagnostics) -> Option<&[Node]> {
        let elements = self.elements();
        if elements.is_none() {
            let message = format!("expected a list of {what}, found {}", self.describe());
            let help = "write `[a, b]`, or one `- ` line for each";
            all.push(Diagnostic::new(&self.place, message).help(help));
        }
        elements
    }

    /// The entries of a mapping; `what` names it in the error.
    pub fn mapping(&self, what: &str, all: &mut Diagnostics) -> Option<&[(Node, Node)]> {
        let entries = self.entries();
        if entries.is_none() {
            let message = format!("expected {what} as a mapping, found {}", self.describe());
            all.push(Diagnostic::new(&self.place, message).help("write `key: value` lines or `{ key: value }`"));
        }
        entries
    }
}

fn as_bool(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

fn looks_like_number(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let digits = digits.strip_prefix('.').unwrap_or(digits);
    digits.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | '_'))
        && (integer(text).is_err() || matches!(integer(text), Ok(Some(_))) || float(text).is_some())
}

/// A whole number; `None` if `text` is none, an error if people and programs disagree about which one it is.
fn integer(text: &str) -> Result<Option<i128>, Refusal> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let based = |digits: &str, base| i128::from_str_radix(digits, base).map(|value| Some(sign * value)).or(Ok(None));
    if let Some(digits) = digits.strip_prefix("0x") {
        return based(digits, 16);
    }
    if let Some(digits) = digits.strip_prefix("0o") {
        return based(digits, 8);
    }
    if digits.is_empty() || !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return Ok(None);
    }
    if digits.contains('_') && digits.chars().all(|c| c.is_ascii_digit() || c == '_') {
        let help = format!("write {}", text.replace('_', ""));
        return Err((format!("`{text}` is not a number in YAML 1.2"), Some(help)));
    }
    if !digits.chars().all(|c| c.is_ascii_digit()) {
        return Ok(None);
    }
    if digits.len() > 1 && digits.starts_with('0') {
        let plain = digits.trim_start_matches('0');
        let plain = if plain.is_empty() { "0" } else { plain };
        let help = format!("write {plain} for the decimal number, 0o{plain} for the octal one, or quotes for text");
        let help = if plain.contains(['8', '9']) { format!("write {plain}, or quotes for text") } else { help };
        return Err((
            format!("`{text}` starts with a zero: YAML 1.1 reads such a number as octal, YAML 1.2 does not"),
            Some(help),
        ));
    }
    match digits.parse::<i128>() {
        Ok(value) => Ok(Some(sign * value)),
        Err(_) => Err((format!("`{text}` is too large"), None)),
    }
}

/// A finite number with a fraction or an exponent: `[-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?`.
fn float(text: &str) -> Option<f64> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let shaped = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && digits.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-'));
    shaped.then(|| text.parse::<f64>().ok()).flatten().filter(|value| value.is_finite())
}

fn unit_help(text: &str) -> Option<String> {
    if text.starts_with('.') || text.eq_ignore_ascii_case("nan") || text.eq_ignore_ascii_case("inf") {
        return Some("the number must be finite".to_owned());
    }
    if text.contains(',') && text.replace(',', ".").parse::<f64>().is_ok() {
        return Some(format!("write {}", text.replace(',', ".")));
    }
    let number = text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '-' | '+'))).unwrap_or(0);
    (number > 0 && text[..number].parse::<f64>().is_ok())
        .then(|| format!("write {} alone: the unit is given by the key", &text[..number]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Document;

    fn node(yaml: &str) -> Node {
        Document::parse("t.yaml", yaml.as_bytes()).unwrap().root
    }

    fn refusal<T: std::fmt::Debug>(yaml: &str, read: impl Fn(&Node) -> Result<T, Refusal>) -> String {
        let (message, help) = read(&node(yaml)).unwrap_err();
        format!("{message} | {}", help.unwrap_or_default())
    }

    #[test]
    fn booleans_are_true_and_false_and_nothing_else() {
        assert_eq!(node("true").read_bool(), Ok(true));
        assert_eq!(node("FALSE").read_bool(), Ok(false));
        let said: Vec<String> = ["yes", "on", "Y", "No", "off", "n", "1", "\"true\""]
            .iter()
            .map(|text| refusal(text, Node::read_bool))
            .collect();
        insta::assert_snapshot!(said.join("\n"), @r#"
        expected `true` or `false`, found `yes` | write `true`
        expected `true` or `false`, found `on` | write `true`
        expected `true` or `false`, found `Y` | write `true`
        expected `true` or `false`, found `No` | write `false`
        expected `true` or `false`, found `off` | write `false`
        expected `true` or `false`, found `n` | write `false`
        expected `true` or `false`, found `1` | 
        expected `true` or `false`, found the text "true" | write `true` without quotes
        "#);
    }

    #[test]
    fn numbers_are_read_as_written_or_refused() {
        assert_eq!(node("-5").read_integer(), Ok(-5));
        assert_eq!(node("0x10de").read_integer(), Ok(0x10de));
        assert_eq!(node("0o17").read_integer(), Ok(15));
        assert_eq!(node("1e3").read_number(), Ok(1000.0));
        assert_eq!(node(".5").read_number(), Ok(0.5));
        assert_eq!(node("0").read_number(), Ok(0.0));
        let whole: Vec<String> =
            ["08", "010", "1_000", "1.0", "99999999999999999999999999999999999999999", "'5'", "~", "[1]"]
                .iter()
                .map(|text| refusal(text, Node::read_integer))
                .collect();
        insta::assert_snapshot!(whole.join("\n"), @r#"
        `08` starts with a zero: YAML 1.1 reads such a number as octal, YAML 1.2 does not | write 8, or quotes for text
        `010` starts with a zero: YAML 1.1 reads such a number as octal, YAML 1.2 does not | write 10 for the decimal number, 0o10 for the octal one, or quotes for text
        `1_000` is not a number in YAML 1.2 | write 1000
        expected a whole number, found `1.0` | write it without a fraction or exponent
        `99999999999999999999999999999999999999999` is too large | 
        expected a whole number, found the text "5" | write 5 without quotes
        expected a whole number, found nothing | 
        expected a whole number, found a list |
        "#);
        let number: Vec<String> = [".inf", ".NaN", "nan", "1,5", "5 W", "1e999", "-007"]
            .iter()
            .map(|text| refusal(text, Node::read_number))
            .collect();
        insta::assert_snapshot!(number.join("\n"), @r#"
        expected a number, found `.inf` | the number must be finite
        expected a number, found `.NaN` | the number must be finite
        expected a number, found `nan` | the number must be finite
        expected a number, found `1,5` | write 1.5
        expected a number, found `5 W` | write 5 alone: the unit is given by the key
        expected a number, found `1e999` | write 1 alone: the unit is given by the key
        `-007` starts with a zero: YAML 1.1 reads such a number as octal, YAML 1.2 does not | write 7 for the decimal number, 0o7 for the octal one, or quotes for text
        "#);
    }

    #[test]
    fn text_is_taken_as_typed() {
        for text in ["no", "08", "1.10", "true", "12:30:45", "0x1F", "96.00.74.00.01"] {
            assert_eq!(node(text).read_text(), Ok(text));
        }
        assert!(node("~").read_text().is_err());
        assert_eq!(node("'~'").read_text(), Ok("~"));
        assert_eq!(node("''").read_text(), Ok(""));
    }

    #[test]
    fn meaning_follows_the_core_schema() {
        assert_eq!(node("null").meaning(), Ok(Some(Meaning::Null)));
        assert_eq!(node("True").meaning(), Ok(Some(Meaning::Bool(true))));
        assert_eq!(node("7").meaning(), Ok(Some(Meaning::Unsigned(7))));
        assert_eq!(node("-7").meaning(), Ok(Some(Meaning::Signed(-7))));
        assert_eq!(node("7.5").meaning(), Ok(Some(Meaning::Float(7.5))));
        assert_eq!(node("yes").meaning(), Ok(Some(Meaning::Text("yes"))));
        assert_eq!(node("'7'").meaning(), Ok(Some(Meaning::Text("7"))));
        assert_eq!(node("96.00.74").meaning(), Ok(Some(Meaning::Text("96.00.74"))));
        assert!(node("08").meaning().is_err());
    }
}
