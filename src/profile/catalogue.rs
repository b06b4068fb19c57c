//! What checks declare of themselves: parameters, measurements, wear. Profiles are validated against it.
//!
//! The checks themselves live above, in `check`; here is only the form of their declaration.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use kiln_model::{ComponentKind, Span, Text, Unit};

/// The declaration of one check.
#[derive(Debug, Clone, Copy)]
pub struct CheckSpec {
    /// `area.object`, stable.
    pub name: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// A paragraph: how it measures, what it needs, how it can be fooled.
    pub details: &'static str,
    pub params: &'static [ParamSpec],
    pub measurements: &'static [MeasurementSpec],
    /// What `each:` may say; the first is the default.
    pub each: &'static [ComponentKind],
    pub wear: Wear,
    /// Whether the check puts load on GPUs and must have them for itself.
    pub exclusive: bool,
    /// Whether the check only watches: in a stage that runs together it ends when the others have ended.
    pub watcher: bool,
    /// How long it is expected to take with these parameters on this many GPUs.
    pub estimate: fn(&Params, usize) -> Span,
}

/// Whether running the check uses up the hardware.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wear {
    None,
    /// Heats, loads or cycles parts.
    Stress,
}

/// One parameter under `with:`.
#[derive(Debug, Clone, Copy)]
pub struct ParamSpec {
    pub name: &'static str,
    pub kind: ParamKind,
    /// As it would be typed; `None`: absent unless the profile gives it.
    pub default: Option<&'static str>,
    pub summary: &'static str,
}

/// What a parameter takes.
#[derive(Debug, Clone, Copy)]
pub enum ParamKind {
    Span,
    Choice(&'static [&'static str]),
    /// A number in this unit, within these ends.
    Quantity {
        unit: Unit,
        min: f64,
        max: f64,
    },
    Count {
        min: u32,
        max: u32,
    },
    Flag,
    Text,
    /// A text for people: a string, or `{en:, ja:}`.
    Localized,
    /// A list of strings.
    Texts,
}

/// One measurement a check can give.
#[derive(Debug, Clone, Copy)]
pub struct MeasurementSpec {
    /// Stable, lower case, without unit or component. A `*` stands for words of a program that runs: `*.operations`.
    pub name: &'static str,
    pub unit: Unit,
    pub kind: ValueKind,
    /// What it hangs on.
    pub of: ComponentKind,
    /// Whether a step must have it to count as measured: missing or unsupported without any limit is then an ERROR.
    pub required: bool,
    pub summary: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ValueKind {
    Number,
    Text,
    Flag,
}

/// A parameter's value as meant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ParamValue {
    Span(Span),
    /// A quantity, in the unit its declaration names.
    Number(f64),
    Count(u32),
    Flag(bool),
    Text(String),
    Localized(Text),
    Texts(Vec<String>),
}

/// All parameters of one step, defaults filled in; a parameter without default and not given is absent.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Params(pub BTreeMap<String, ParamValue>);

impl Params {
    pub fn get(&self, name: &str) -> Option<&ParamValue> {
        self.0.get(name)
    }

    pub fn span(&self, name: &str) -> Option<Span> {
        match self.get(name) {
            Some(ParamValue::Span(span)) => Some(*span),
            _ => None,
        }
    }

    pub fn number(&self, name: &str) -> Option<f64> {
        match self.get(name) {
            Some(ParamValue::Number(number)) => Some(*number),
            _ => None,
        }
    }

    pub fn count(&self, name: &str) -> Option<u32> {
        match self.get(name) {
            Some(ParamValue::Count(count)) => Some(*count),
            _ => None,
        }
    }

    pub fn flag(&self, name: &str) -> Option<bool> {
        match self.get(name) {
            Some(ParamValue::Flag(flag)) => Some(*flag),
            _ => None,
        }
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        match self.get(name) {
            Some(ParamValue::Text(text)) => Some(text),
            _ => None,
        }
    }

    pub fn texts(&self, name: &str) -> Option<&[String]> {
        match self.get(name) {
            Some(ParamValue::Texts(texts)) => Some(texts),
            _ => None,
        }
    }

    pub fn localized(&self, name: &str) -> Option<&Text> {
        match self.get(name) {
            Some(ParamValue::Localized(text)) => Some(text),
            _ => None,
        }
    }
}

/// All checks a profile may use.
#[derive(Debug, Clone, Copy)]
pub struct Catalogue(pub &'static [&'static CheckSpec]);

impl Catalogue {
    pub fn find(self, name: &str) -> Option<&'static CheckSpec> {
        self.0.iter().copied().find(|spec| spec.name == name)
    }
}

impl CheckSpec {
    /// The declaration of a measurement: the one of its very name, or else the first whose `*` covers it.
    pub fn measurement(&self, name: &str) -> Option<&'static MeasurementSpec> {
        let exact = self.measurements.iter().find(|spec| spec.name == name);
        exact.or_else(|| self.measurements.iter().find(|spec| spec.is_open() && spec.covers(name)))
    }

    pub fn param(&self, name: &str) -> Option<&'static ParamSpec> {
        self.params.iter().find(|spec| spec.name == name)
    }
}

impl MeasurementSpec {
    /// Whether it stands for measurements that a program names.
    pub fn is_open(&self) -> bool {
        self.name.contains('*')
    }

    /// Whether `name` is one of those: every `*` stands for at least one character.
    fn covers(&self, name: &str) -> bool {
        let mut parts = self.name.split('*');
        let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else { return false };
        let mut parts = parts.peekable();
        while let Some(part) = parts.next() {
            let mut after = rest.chars();
            if after.next().is_none() {
                return false;
            }
            let beyond = after.as_str();
            rest = match (part, parts.peek()) {
                ("", None) => return true,
                (last, None) => return beyond.ends_with(last),
                (part, Some(_)) => match beyond.find(part) {
                    Some(at) => &beyond[at + part.len()..],
                    None => return false,
                },
            };
        }
        rest.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_at_least_one_character() {
        let covers = |pattern, name| {
            let (unit, kind, of) = (Unit::One, ValueKind::Number, ComponentKind::Node);
            MeasurementSpec { name: pattern, unit, kind, of, required: false, summary: "" }.covers(name)
        };
        for (pattern, name) in
            [("*.time", "cpu.time"), ("*", "x"), ("a.*", "a.b.c"), ("*.r*.x", "j.read.x"), ("*lat*", "a_lat_b")]
        {
            assert!(covers(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in
            [("*.time", ".time"), ("*.time", "cpu.times"), ("a.*", "a."), ("*", ""), ("a", "ab"), ("*lat*", "a_lat")]
        {
            assert!(!covers(pattern, name), "{pattern} {name}");
        }
    }
}
