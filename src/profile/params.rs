//! Parameters under `with:`, checked against what the check declares, defaults filled in.

use super::decode::{span, text};
use super::{CheckSpec, ParamKind, ParamSpec, ParamValue, Params};
use kiln_model::{Quantity, Unit};
use kiln_yaml::{Diagnostic, Diagnostics, Document, Kind, Node, SourceText, Style, TextPlace, did_you_mean};

pub(super) fn params(with: Option<&Node>, spec: &CheckSpec, all: &mut Diagnostics) -> Params {
    let mut params = Params::default();
    let entries = with.and_then(|node| node.mapping("`with`", all)).unwrap_or_default();
    for (key, value) in entries {
        let name = key.raw().unwrap_or_default();
        let Some(param) = spec.param(name) else {
            let help = did_you_mean(name, spec.params.iter().map(|param| param.name));
            let help = help.unwrap_or_else(|| "it has none".to_owned());
            let message = format!("`{}` has no parameter `{name}`", spec.name);
            all.push(Diagnostic::new(&key.place, message).label("unknown parameter").help(help));
            continue;
        };
        if value.is_null() {
            all.push(
                Diagnostic::new(&key.place, format!("`{name}` has no value")).help("write one, or delete the line"),
            );
        } else if let Some(value) = param_value(value, param, all) {
            params.0.insert(name.to_owned(), value);
        }
    }
    for param in spec.params {
        let given = entries.iter().any(|(key, _)| key.raw() == Some(param.name));
        if !given {
            params.0.extend(param.default_value().map(|value| (param.name.to_owned(), value)));
        }
    }
    params
}

impl ParamSpec {
    /// The value the default stands for; `None` without one, and for one that does not read (a defect of the check, which
    /// a test over all checks finds).
    pub fn default_value(&self) -> Option<ParamValue> {
        let default = self.default?;
        let place = TextPlace::new(&SourceText::new(self.name, default), 0..default.len());
        let as_typed = Node { place, kind: Kind::Scalar { text: default.to_owned(), style: Style::Plain } };
        // Only lists have a form of their own; everything else is one word, whatever YAML would make of it.
        let node = match self.kind {
            ParamKind::Texts => Document::parse(self.name, default.as_bytes()).ok()?.root,
            _ => as_typed,
        };
        let mut all = Diagnostics::new();
        let value = param_value(&node, self, &mut all);
        all.or(value).ok()
    }
}

fn param_value(node: &Node, param: &ParamSpec, all: &mut Diagnostics) -> Option<ParamValue> {
    match param.kind {
        ParamKind::Span => span(node, all).map(ParamValue::Span),
        ParamKind::Choice(words) => {
            let word = node.text(all)?;
            if !words.contains(&word) {
                let message = format!("`{word}` is not a choice for `{}`", param.name);
                let help = did_you_mean(word, words.iter().copied());
                all.push(Diagnostic::new(&node.place, message).maybe_help(help));
            }
            Some(ParamValue::Text(word.to_owned()))
        }
        ParamKind::Quantity { unit, min, max } => {
            quantity(node, param.name, unit, min, max, all).map(ParamValue::Number)
        }
        ParamKind::Count { min, max } => {
            let count = node.whole::<u32>(all)?;
            if !(min..=max).contains(&count) {
                let message = format!("`{}` must lie between {min} and {max}", param.name);
                all.push(Diagnostic::new(&node.place, message));
            }
            Some(ParamValue::Count(count))
        }
        ParamKind::Flag => node.bool(all).map(ParamValue::Flag),
        ParamKind::Text => node.text(all).map(|text| ParamValue::Text(text.to_owned())),
        ParamKind::Localized => text(node, all).map(ParamValue::Localized),
        ParamKind::Texts => {
            let elements = node.list("texts", all)?;
            Some(ParamValue::Texts(elements.iter().filter_map(|node| node.text(all)).map(str::to_owned).collect()))
        }
    }
}

fn quantity(node: &Node, name: &str, unit: Unit, min: f64, max: f64, all: &mut Diagnostics) -> Option<f64> {
    let typed: Quantity = node.parse_with(str::parse, all)?;
    let Some(value) = typed.value_in(unit) else {
        let number = Quantity::new(typed.value, Unit::One);
        let error = if typed.unit == Unit::One {
            Diagnostic::new(&node.place, format!("the unit is missing: `{name}` is in {unit}"))
        } else {
            Diagnostic::new(&node.place, format!("`{name}` is in {unit}, not in {}", typed.unit))
        };
        all.push(error.help(format!("write `{}`", Quantity { unit, ..number })));
        return None;
    };
    if !(min..=max).contains(&value) {
        let ends = (Quantity::new(min, unit), Quantity::new(max, unit));
        all.push(Diagnostic::new(&node.place, format!("`{name}` must lie between {} and {}", ends.0, ends.1)));
    }
    Some(value)
}
