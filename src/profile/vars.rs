//! Variables: what a profile declares, what the command line sets, and `${name}` replaced by them.

use std::collections::BTreeMap;

use super::Deviation;
use super::inherit::entry_id;
use kiln_model::{Quantity, parse_span};
use kiln_yaml::{Diagnostic, Diagnostics, Fields, Kind, Node, SourceText, Style, TextPlace, did_you_mean};

/// Variables with the values in force.
#[derive(Debug, Default)]
pub(super) struct Variables {
    values: BTreeMap<String, Node>,
    /// The least value with which the profile keeps its promise, where it says one.
    least: BTreeMap<String, Node>,
    pub(super) deviations: Vec<Deviation>,
    /// Which value of the profile came through which variable.
    pub(super) used: BTreeMap<String, String>,
}

/// What messages call the command line.
pub(super) const SET: &str = "--set";

impl Variables {
    /// Reads `vars:` of the profile and lays `set` over them.
    pub(super) fn read(root: &Node, set: &[(String, String)], all: &mut Diagnostics) -> Self {
        let mut variables = Self::default();
        let declared = root.get("vars").and_then(|node| node.mapping("`vars`", all)).unwrap_or_default();
        for (name, value) in declared {
            let text = name.raw().unwrap_or_default();
            if !is_name(text) {
                all.push(
                    Diagnostic::new(&name.place, format!("`{text}` is not a name for a variable"))
                        .help("names are lower-case letters, digits and `-`, starting with a letter"),
                );
            }
            variables.declare(text, value, all);
        }
        for (name, value) in set {
            variables.set(name, value, all);
        }
        variables
    }

    /// `soak: 40m`, or `soak: { value: 40m, min: 20m }`.
    fn declare(&mut self, name: &str, node: &Node, all: &mut Diagnostics) {
        let (value, least) = if node.entries().is_some() {
            let Some(mut fields) = Fields::of(node, "a variable", all) else { return };
            let (value, least) = (fields.required("value", all).cloned(), fields.optional("min", all).cloned());
            fields.finish(all);
            (value, least)
        } else {
            (Some(node.clone()), None)
        };
        let Some(value) = value else { return };
        match value.text(all) {
            Some(typed) if typed.contains("${") => {
                all.push(Diagnostic::new(&value.place, "a variable cannot be made of other variables"));
            }
            Some(typed) => {
                if let Some(least) = least {
                    match least.text(all).map(|least| (least.to_owned(), is_less(typed, least))) {
                        Some((bound, Some(true))) => all.push(
                            Diagnostic::new(
                                &value.place,
                                format!("`{name}` is below the least that is asked for, {bound}"),
                            )
                            .secondary(&least.place, "asked for here")
                            .help(format!(
                                "if the shorter test is meant, say so: `{name}: {{ value: {typed}, min: {typed} }}`"
                            )),
                        ),
                        Some((bound, None)) => {
                            let message = format!("`{bound}` and `{typed}` cannot be compared");
                            all.push(
                                Diagnostic::new(&least.place, message).help("write both as times, or both in one unit"),
                            );
                        }
                        _ => {}
                    }
                    self.least.insert(name.to_owned(), least);
                }
                self.values.insert(name.to_owned(), value);
            }
            None => {}
        }
    }

    fn set(&mut self, name: &str, value: &str, all: &mut Diagnostics) {
        let source = SourceText::new(SET, format!("{name}={value}"));
        let Some(declared) = self.values.get(name) else {
            let place = TextPlace::new(&source, 0..name.len());
            let help = did_you_mean(name, self.values.keys().map(String::as_str));
            let help = help.unwrap_or_else(|| "the profile declares no variables".to_owned());
            all.push(Diagnostic::new(&place, format!("the profile has no variable `{name}`")).help(help));
            return;
        };
        let was = declared.raw().unwrap_or_default().to_owned();
        if was != value {
            let least = self.least.get(name).and_then(Node::raw);
            // Where nobody has said what the profile can do with, any other value may break its promise.
            let kept = least.is_some_and(|least| is_less(value, least) == Some(false));
            let least = least.map(str::to_owned);
            self.deviations.push(Deviation::Set { name: name.to_owned(), value: value.to_owned(), was, least, kept });
        }
        let place = TextPlace::new(&source, name.len() + 1..name.len() + 1 + value.len());
        let kind = Kind::Scalar { text: value.to_owned(), style: Style::Plain };
        self.values.insert(name.to_owned(), Node { place, kind });
    }

    pub(super) fn values(&self) -> impl Iterator<Item = (&String, &Node)> {
        self.values.iter()
    }

    /// The values in force, as typed.
    pub(super) fn in_force(&self) -> BTreeMap<String, String> {
        self.values.iter().map(|(name, value)| (name.clone(), value.raw().unwrap_or_default().to_owned())).collect()
    }

    /// Complains about what the command line sets and nothing uses: it would be believed to have done something.
    pub(super) fn refuse_idle(&self, all: &mut Diagnostics) {
        let used: std::collections::BTreeSet<&String> = self.used.values().collect();
        for (name, value) in
            self.values.iter().filter(|(name, value)| value.place.file() == SET && !used.contains(name))
        {
            let message = format!("`{name}` is used nowhere in this profile, so that setting it changes nothing");
            all.push(Diagnostic::new(&value.place, message));
        }
    }

    /// Replaces every `${name}` in the profile.
    pub(super) fn replace(&mut self, root: &mut Node, all: &mut Diagnostics) {
        let Kind::Mapping(entries) = &mut root.kind else { return };
        for (key, value) in entries {
            let key = key.raw().unwrap_or_default();
            if !matches!(key, "schema" | "id" | "revision" | "extends" | "vars") {
                self.replace_in(value, key, all);
            }
        }
    }

    fn replace_in(&mut self, node: &mut Node, path: &str, all: &mut Diagnostics) {
        match &mut node.kind {
            Kind::Sequence(elements) => {
                for (index, element) in elements.iter_mut().enumerate() {
                    let path = element_path(path, element, index);
                    self.replace_in(element, &path, all);
                }
            }
            Kind::Mapping(entries) => {
                for (key, value) in entries {
                    self.replace_in(value, &format!("{path}.{}", key.raw().unwrap_or_default()), all);
                }
            }
            Kind::Scalar { text, .. } if text.contains("${") => {
                let name = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).filter(|name| is_name(name));
                let Some(name) = name else {
                    all.push(
                        Diagnostic::new(&node.place, "a variable stands for a whole value")
                            .help("write `${name}` alone, and put the rest into the variable"),
                    );
                    return;
                };
                if let Some(value) = self.values.get(name) {
                    self.used.insert(path.to_owned(), name.to_owned());
                    *node = value.clone();
                } else {
                    let help = did_you_mean(name, self.values.keys().map(String::as_str));
                    let help = help.unwrap_or_else(|| "declare it under `vars:`".to_owned());
                    all.push(Diagnostic::new(&node.place, format!("there is no variable `{name}`")).help(help));
                }
            }
            Kind::Scalar { .. } => {}
        }
    }
}

/// Whether one value is less than another: both times, or both quantities of one unit. `None` where they are neither.
fn is_less(one: &str, two: &str) -> Option<bool> {
    if let (Ok(one), Ok(two)) = (parse_span(one), parse_span(two)) {
        return Some(one < two);
    }
    let (one, two): (Quantity, Quantity) = (one.parse().ok()?, two.parse().ok()?);
    Some(one.value_in(two.unit)? < two.value)
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// The path of an element of a list: by id where it has one.
pub(super) fn element_path(list: &str, element: &Node, index: usize) -> String {
    entry_id(element).map_or_else(|| format!("{list}.{index}"), |id| format!("{list}.{id}"))
}
