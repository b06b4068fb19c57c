//! A named value with a unit and a component, or the reason why there is none.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use kiln_model::{Component, Missing, Quantity, Unit};

/// A plain value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Scalar {
    Number(f64),
    Text(String),
    Flag(bool),
}

/// What came of measuring. Anything but `Value` can never pass a limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measured {
    Value(Scalar),
    /// The part does not offer it.
    Unsupported,
    /// It was to be measured and was not: too few samples, a failed call, a lost GPU.
    Missing(#[serde(deserialize_with = "of_journal")] Box<Missing>),
}

impl From<Missing> for Measured {
    fn from(why: Missing) -> Self {
        Self::Missing(Box::new(why))
    }
}

fn of_journal<'de, D: Deserializer<'de>>(from: D) -> Result<Box<Missing>, D::Error> {
    Missing::of_journal(from).map(Box::new)
}

/// What a measurement is of. Names are an API: lower case, without unit or component (`power.mean`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measurand {
    pub name: String,
    pub component: Component,
    pub unit: Unit,
}

/// One measured value. What it is of is held once for all clones, and once for all rounds of a run
/// ([`Judgement::share`](super::Judgement::share)).
#[derive(Debug, Clone, PartialEq)]
pub struct Measurement {
    pub(super) of: Arc<Measurand>,
    pub value: Measured,
    /// How many readings went into it; 1 for a single look.
    pub samples: u64,
}

impl Deref for Measurement {
    type Target = Measurand;

    fn deref(&self) -> &Measurand {
        &self.of
    }
}

impl DerefMut for Measurement {
    fn deref_mut(&mut self) -> &mut Measurand {
        Arc::make_mut(&mut self.of)
    }
}

/// A measurement as journals and documents have it: flat.
#[derive(Serialize)]
#[serde(rename = "Measurement")]
struct Written<'a> {
    name: &'a str,
    component: Component,
    unit: Unit,
    value: &'a Measured,
    samples: u64,
}

/// The same, read back.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename = "Measurement")]
struct Read {
    name: String,
    component: Component,
    unit: Unit,
    value: Measured,
    samples: u64,
}

impl Serialize for Measurement {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Self { of, value, samples } = self;
        Written { name: &of.name, component: of.component, unit: of.unit, value, samples: *samples }.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Measurement {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let Read { name, component, unit, value, samples } = Read::deserialize(from)?;
        Ok(Self::new(name, component, unit, value, samples))
    }
}

impl Measurement {
    fn new(name: String, component: Component, unit: Unit, value: Measured, samples: u64) -> Self {
        Self { of: Arc::new(Measurand { name, component, unit }), value, samples }
    }

    pub fn number(name: &str, component: Component, unit: Unit, value: f64, samples: u64) -> Self {
        let value = if value.is_finite() { Measured::Value(Scalar::Number(value)) } else { Missing::NotFinite.into() };
        Self::new(name.to_owned(), component, unit, value, samples)
    }

    pub fn text(name: &str, component: Component, value: impl Into<String>) -> Self {
        let value = Measured::Value(Scalar::Text(value.into()));
        Self::new(name.to_owned(), component, Unit::One, value, 1)
    }

    pub fn flag(name: &str, component: Component, value: bool) -> Self {
        let value = Measured::Value(Scalar::Flag(value));
        Self::new(name.to_owned(), component, Unit::One, value, 1)
    }

    pub fn missing(name: &str, component: Component, unit: Unit, why: Missing) -> Self {
        Self::new(name.to_owned(), component, unit, why.into(), 0)
    }

    pub fn unsupported(name: &str, component: Component, unit: Unit) -> Self {
        Self::new(name.to_owned(), component, unit, Measured::Unsupported, 0)
    }

    pub fn as_number(&self) -> Option<f64> {
        match self.value {
            Measured::Value(Scalar::Number(value)) => Some(value),
            _ => None,
        }
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(value) => Quantity::new(*value, Unit::One).fmt(f),
            Self::Text(text) => f.write_str(text),
            Self::Flag(flag) => f.write_str(if *flag { "true" } else { "false" }),
        }
    }
}

impl Measurement {
    /// The value with its unit, `87.3 °C`; `None` where there is none.
    pub fn quantity(&self) -> Option<String> {
        match &self.value {
            Measured::Value(Scalar::Number(value)) => Some(Quantity::new(*value, self.unit).to_string()),
            Measured::Value(other) => Some(other.to_string()),
            Measured::Unsupported | Measured::Missing(_) => None,
        }
    }
}
