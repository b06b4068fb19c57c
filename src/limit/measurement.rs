//! A named value with a unit and a component, or the reason why there is none.

use std::fmt;

use serde::{Deserialize, Serialize};

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
    Missing(#[serde(deserialize_with = "Missing::of_journal")] Missing),
}

/// One measured value. Names are an API: lower case, without unit or component (`power.mean`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measurement {
    pub name: String,
    pub component: Component,
    pub unit: Unit,
    pub value: Measured,
    /// How many readings went into it; 1 for a single look.
    pub samples: u64,
}

impl Measurement {
    pub fn number(name: &str, component: Component, unit: Unit, value: f64, samples: u64) -> Self {
        let value = if value.is_finite() {
            Measured::Value(Scalar::Number(value))
        } else {
            Measured::Missing(Missing::NotFinite)
        };
        Self { name: name.to_owned(), component, unit, value, samples }
    }

    pub fn text(name: &str, component: Component, value: impl Into<String>) -> Self {
        let value = Measured::Value(Scalar::Text(value.into()));
        Self { name: name.to_owned(), component, unit: Unit::One, value, samples: 1 }
    }

    pub fn flag(name: &str, component: Component, value: bool) -> Self {
        let value = Measured::Value(Scalar::Flag(value));
        Self { name: name.to_owned(), component, unit: Unit::One, value, samples: 1 }
    }

    pub fn missing(name: &str, component: Component, unit: Unit, why: Missing) -> Self {
        Self { name: name.to_owned(), component, unit, value: Measured::Missing(why), samples: 0 }
    }

    pub fn unsupported(name: &str, component: Component, unit: Unit) -> Self {
        Self { name: name.to_owned(), component, unit, value: Measured::Unsupported, samples: 0 }
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
