//! A file being written over, value by value, with where each value is from.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde_yaml::{Mapping, Value};

use kiln_model::{Reading, ReadingFailure};

/// Where a value is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FieldOrigin {
    /// Read of the machine.
    Read,
    /// Read, or the template's, and brought into the range that the simulation works in.
    Adjusted,
    /// Of the node that comes with the program.
    Template,
    /// Neither: made up.
    Invented,
}

/// One value of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// As `power/limit`.
    pub path: String,
    pub origin: FieldOrigin,
    /// Why it was not read, where the machine answered with an error. An error is never a value.
    pub failed: Option<ReadingFailure>,
}

/// What was done with a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    From(FieldOrigin),
    Failed(ReadingFailure),
}

/// The file.
pub(super) struct Sheet<'a> {
    root: &'a mut Value,
    told: BTreeMap<String, Told>,
}

impl<'a> Sheet<'a> {
    pub(super) fn over(root: &'a mut Value) -> Self {
        Self { root, told: BTreeMap::new() }
    }

    /// Puts a value at a path such as `host/nics/count`.
    pub(super) fn set(&mut self, path: &str, value: Value, origin: FieldOrigin) {
        self.replace(path, value);
        self.told.insert(path.to_owned(), Told::From(origin));
    }

    /// The same, with nothing said of where its values are from.
    pub(super) fn replace(&mut self, path: &str, value: Value) {
        let mut at = &mut *self.root;
        for name in path.split('/') {
            if !at.is_mapping() {
                *at = Value::Mapping(Mapping::new());
            }
            let Some(map) = at.as_mapping_mut() else { return };
            at = map.entry(text(name)).or_insert(Value::Null);
        }
        *at = value;
    }

    /// Puts what was read, and remembers an error in place of it.
    pub(super) fn put<T>(&mut self, path: &str, reading: Reading<T>, write: impl FnOnce(T) -> Value) {
        match reading {
            Reading::Value(value) => self.set(path, write(value), FieldOrigin::Read),
            Reading::Unsupported => {}
            Reading::Failed(failure) => self.fail(path, failure),
        }
    }

    /// Puts a number, brought into a range.
    pub(super) fn put_within(
        &mut self,
        path: &str,
        reading: Reading<f64>,
        range: RangeInclusive<f64>,
        write: impl FnOnce(f64) -> Value,
    ) {
        let within = range.contains(&reading.get().unwrap_or(*range.start()));
        self.put(path, reading.map(|value| value.clamp(*range.start(), *range.end())), write);
        if !within {
            self.told.insert(path.to_owned(), Told::From(FieldOrigin::Adjusted));
        }
    }

    pub(super) fn fail(&mut self, path: &str, failure: ReadingFailure) {
        self.told.insert(path.to_owned(), Told::Failed(failure));
    }

    pub(super) fn remove(&mut self, path: &str) {
        let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
        let mut at = Some(&mut *self.root);
        for part in above.split('/').filter(|part| !part.is_empty()) {
            at = at.and_then(|value| value.get_mut(part));
        }
        if let Some(map) = at.and_then(Value::as_mapping_mut) {
            map.remove(name);
        }
    }

    fn at(&self, path: &str) -> Option<&Value> {
        path.split('/').try_fold(&*self.root, |value, name| value.get(name))
    }

    pub(super) fn has(&self, path: &str) -> bool {
        self.at(path).is_some()
    }

    /// Whether anything was said of a path: that it was read, or could not be.
    pub(super) fn is_told(&self, path: &str) -> bool {
        self.told.contains_key(path)
    }

    /// The number before its unit.
    pub(super) fn number(&self, path: &str) -> Option<f64> {
        self.at(path)?.as_str()?.split_whitespace().next()?.parse().ok()
    }

    pub(super) fn list(&self, path: &str) -> Vec<Value> {
        self.at(path).and_then(Value::as_sequence).cloned().unwrap_or_default()
    }

    /// What was done with each path.
    pub(super) fn told(self) -> BTreeMap<String, Told> {
        self.told
    }

    /// Takes over what was done with a part of the file.
    pub(super) fn note_all(&mut self, above: &str, told: BTreeMap<String, Told>) {
        self.told.extend(told.into_iter().map(|(path, told)| (format!("{above}/{path}"), told)));
    }

    /// Every value that the file now has, in its order.
    pub(super) fn fields(&self) -> Vec<Field> {
        let mut fields = Vec::new();
        self.walk(self.root, "", &mut fields);
        fields
    }

    fn walk(&self, value: &Value, path: &str, fields: &mut Vec<Field>) {
        let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
        match value {
            Value::Mapping(map) => {
                for (key, value) in map {
                    self.walk(value, &below(key.as_str().unwrap_or_default()), fields);
                }
            }
            Value::Sequence(list) if list.iter().any(Value::is_mapping) => {
                for (place, value) in list.iter().enumerate() {
                    self.walk(value, &below(&place.to_string()), fields);
                }
            }
            _ if path == "schema" || path == "source" => {}
            _ => fields.push(self.field(path)),
        }
    }

    /// What was done with a value, or with what it is a part of.
    fn field(&self, path: &str) -> Field {
        let mut above = Some(path);
        while let Some(at) = above {
            match self.told.get(at) {
                Some(Told::From(origin)) => {
                    return Field { path: path.to_owned(), origin: *origin, failed: None };
                }
                Some(Told::Failed(failure)) => {
                    return Field { path: path.to_owned(), origin: FieldOrigin::Template, failed: Some(*failure) };
                }
                None => above = at.rsplit_once('/').map(|(above, _)| above),
            }
        }
        Field { path: path.to_owned(), origin: FieldOrigin::Template, failed: None }
    }
}

pub(super) fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

pub(super) fn whole(number: impl Into<u64>) -> Value {
    Value::Number(number.into().into())
}

/// A number with its unit.
pub(super) fn with(unit: &'static str) -> impl Fn(f64) -> Value {
    move |value| text(&format!("{value} {unit}"))
}
