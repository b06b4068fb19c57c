//! Values with units. A unit is a type of its own here so that a limit in watts never meets a reading in degrees.
//!
//! Conversion happens only inside one dimension; limits built on quantities are left to `limit`.

#![expect(
    clippy::cast_possible_truncation,
    reason = "values are bounded where they are made, within the narrower type"
)]

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What kind of thing a unit measures. Quantities compare only inside one dimension.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dimension {
    /// An absolute temperature.
    Temperature,
    /// A difference between temperatures.
    TemperatureDifference,
    TemperatureRate,
    ThermalResistance,
    Power,
    Energy,
    Frequency,
    Time,
    Bytes,
    Bandwidth,
    Compute,
    /// A share of something: `%`.
    Share,
    /// A number without a dimension: counts, generations, lanes.
    Number,
    /// Events per time.
    Rate,
}

/// Units as a profile writes them and as reports print them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
pub enum Unit {
    #[serde(rename = "°C")]
    Celsius,
    #[serde(rename = "K")]
    Kelvin,
    #[serde(rename = "K/min")]
    KelvinPerMinute,
    #[serde(rename = "K/h")]
    KelvinPerHour,
    #[serde(rename = "K/W")]
    KelvinPerWatt,
    #[serde(rename = "mW")]
    Milliwatt,
    #[serde(rename = "W")]
    Watt,
    #[serde(rename = "kW")]
    Kilowatt,
    #[serde(rename = "J")]
    Joule,
    #[serde(rename = "Hz")]
    Hertz,
    #[serde(rename = "MHz")]
    Megahertz,
    #[serde(rename = "GHz")]
    Gigahertz,
    #[serde(rename = "ms")]
    Millisecond,
    #[serde(rename = "µs")]
    Microsecond,
    #[serde(rename = "s")]
    Second,
    #[serde(rename = "min")]
    Minute,
    #[serde(rename = "h")]
    Hour,
    #[serde(rename = "B")]
    Byte,
    #[serde(rename = "MiB")]
    Mebibyte,
    #[serde(rename = "GiB")]
    Gibibyte,
    #[serde(rename = "TiB")]
    Tebibyte,
    #[serde(rename = "MB/s")]
    MegabytePerSecond,
    #[serde(rename = "GB/s")]
    GigabytePerSecond,
    #[serde(rename = "TB/s")]
    TerabytePerSecond,
    #[serde(rename = "GFLOP/s")]
    Gigaflops,
    #[serde(rename = "TFLOP/s")]
    Teraflops,
    #[serde(rename = "%")]
    Percent,
    #[serde(rename = "1")]
    One,
    #[serde(rename = "1/h")]
    PerHour,
    #[serde(rename = "1/min")]
    PerMinute,
}

/// Every unit with its symbol, the other spellings it is read from, its dimension and its size in the dimension's base.
const UNITS: &[(Unit, &str, &[&str], Dimension, f64)] = &[
    (Unit::Celsius, "°C", &["degC", "℃"], Dimension::Temperature, 1.0),
    (Unit::Kelvin, "K", &[], Dimension::TemperatureDifference, 1.0),
    (Unit::KelvinPerMinute, "K/min", &[], Dimension::TemperatureRate, 60.0),
    (Unit::KelvinPerHour, "K/h", &[], Dimension::TemperatureRate, 1.0),
    (Unit::KelvinPerWatt, "K/W", &[], Dimension::ThermalResistance, 1.0),
    (Unit::Milliwatt, "mW", &[], Dimension::Power, 1e-3),
    (Unit::Watt, "W", &[], Dimension::Power, 1.0),
    (Unit::Kilowatt, "kW", &[], Dimension::Power, 1e3),
    (Unit::Joule, "J", &[], Dimension::Energy, 1.0),
    (Unit::Hertz, "Hz", &[], Dimension::Frequency, 1e-6),
    (Unit::Megahertz, "MHz", &[], Dimension::Frequency, 1.0),
    (Unit::Gigahertz, "GHz", &[], Dimension::Frequency, 1e3),
    (Unit::Microsecond, "µs", &["us", "μs"], Dimension::Time, 1e-6),
    (Unit::Millisecond, "ms", &[], Dimension::Time, 1e-3),
    (Unit::Second, "s", &["sec"], Dimension::Time, 1.0),
    (Unit::Minute, "min", &["m"], Dimension::Time, 60.0),
    (Unit::Hour, "h", &[], Dimension::Time, 3600.0),
    (Unit::Byte, "B", &[], Dimension::Bytes, 1.0),
    (Unit::Mebibyte, "MiB", &[], Dimension::Bytes, 1_048_576.0),
    (Unit::Gibibyte, "GiB", &[], Dimension::Bytes, 1_073_741_824.0),
    (Unit::Tebibyte, "TiB", &[], Dimension::Bytes, 1_099_511_627_776.0),
    (Unit::MegabytePerSecond, "MB/s", &[], Dimension::Bandwidth, 1e-3),
    (Unit::GigabytePerSecond, "GB/s", &[], Dimension::Bandwidth, 1.0),
    (Unit::TerabytePerSecond, "TB/s", &[], Dimension::Bandwidth, 1e3),
    (Unit::Gigaflops, "GFLOP/s", &["GFLOPS"], Dimension::Compute, 1e-3),
    (Unit::Teraflops, "TFLOP/s", &["TFLOPS"], Dimension::Compute, 1.0),
    (Unit::Percent, "%", &[], Dimension::Share, 1.0),
    (Unit::One, "1", &[], Dimension::Number, 1.0),
    (Unit::PerHour, "1/h", &["/h"], Dimension::Rate, 1.0),
    (Unit::PerMinute, "1/min", &["/min"], Dimension::Rate, 60.0),
];

impl Unit {
    fn row(self) -> &'static (Unit, &'static str, &'static [&'static str], Dimension, f64) {
        // Every variant has a row; `every_unit_has_a_row` holds that.
        UNITS.iter().find(|row| row.0 == self).unwrap_or(&UNITS[0])
    }

    pub fn symbol(self) -> &'static str {
        self.row().1
    }

    pub fn dimension(self) -> Dimension {
        self.row().3
    }

    /// All units, for messages that list them.
    pub fn all() -> impl Iterator<Item = Unit> {
        UNITS.iter().map(|row| row.0)
    }

    /// `value` of this unit expressed in `other`; `None` across dimensions.
    pub fn convert(self, value: f64, other: Unit) -> Option<f64> {
        (self.dimension() == other.dimension()).then(|| value * self.row().4 / other.row().4)
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.symbol())
    }
}

impl FromStr for Unit {
    type Err = ParseQuantityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if let Some(row) = UNITS.iter().find(|row| row.1 == text || row.2.contains(&text)) {
            return Ok(row.0);
        }
        Err(if text == "C" || text == "F" {
            ParseQuantityError::BareCelsius(text.to_owned())
        } else {
            ParseQuantityError::UnknownUnit(text.to_owned())
        })
    }
}

/// A number with its unit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Quantity {
    pub value: f64,
    pub unit: Unit,
}

impl Quantity {
    pub const fn new(value: f64, unit: Unit) -> Self {
        Self { value, unit }
    }

    /// This quantity's value in `unit`; `None` across dimensions.
    pub fn value_in(self, unit: Unit) -> Option<f64> {
        self.unit.convert(self.value, unit)
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = format_number(self.value);
        match self.unit {
            Unit::One => f.write_str(&number),
            unit => write!(f, "{number} {unit}"),
        }
    }
}

/// At most six significant digits, no exponent, no trailing zeros: what a report shows.
fn format_number(value: f64) -> String {
    if !value.is_finite() {
        return value.to_string();
    }
    let magnitude = if value == 0.0 { 0 } else { value.abs().log10().floor() as i32 };
    let decimals = usize::try_from((5 - magnitude).clamp(0, 9)).unwrap_or(0);
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// What is wrong with a quantity as typed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseQuantityError {
    #[error("`{0}` does not start with a number")]
    NotANumber(String),
    #[error("unknown unit `{0}`")]
    UnknownUnit(String),
    #[error("`{0}` alone is not a temperature (C is the coulomb, F the farad); write `°C` or `degC`")]
    BareCelsius(String),
}

impl FromStr for Quantity {
    type Err = ParseQuantityError;

    /// Reads `87 °C`, `450 GB/s`, `0`, `-2.5e3 W`. A number without a unit is dimensionless.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let refuse = || ParseQuantityError::NotANumber(text.to_owned());
        let split = number_length(text);
        let (number, unit) = text.split_at(split);
        let value: f64 = number.parse().map_err(|_| refuse())?;
        if !value.is_finite() {
            return Err(refuse());
        }
        let unit = if unit.trim().is_empty() { Unit::One } else { unit.parse()? };
        Ok(Self { value, unit })
    }
}

/// How many bytes of `text` are a decimal number.
fn number_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = usize::from(matches!(bytes.first(), Some(b'+' | b'-')));
    while bytes.get(at).is_some_and(|byte| byte.is_ascii_digit() || *byte == b'.') {
        at += 1;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        let mut end = at + 1;
        end += usize::from(matches!(bytes.get(end), Some(b'+' | b'-')));
        let digits = end;
        while bytes.get(end).is_some_and(u8::is_ascii_digit) {
            end += 1;
        }
        if end > digits {
            at = end;
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_has_a_row() {
        for unit in Unit::all() {
            assert_eq!(unit.row().0, unit);
            assert_eq!(unit.symbol().parse::<Unit>(), Ok(unit));
            let json = serde_json::to_string(&unit).expect("unit");
            assert_eq!(json, format!("\"{}\"", unit.symbol()));
        }
    }

    #[test]
    fn quantities_read_and_convert_inside_one_dimension_only() {
        let power: Quantity = "1.2 kW".parse().expect("power");
        assert_eq!(power.value_in(Unit::Watt), Some(1200.0));
        assert_eq!(power.value_in(Unit::Celsius), None);
        assert_eq!("87 C".parse::<Quantity>(), Err(ParseQuantityError::BareCelsius("C".to_owned())));
        assert_eq!("5".parse::<Quantity>().map(|q| q.unit), Ok(Unit::One));
        assert!("nan W".parse::<Quantity>().is_err());
        assert_eq!(Quantity::new(0.051_234_5, Unit::KelvinPerWatt).to_string(), "0.0512345 K/W");
        assert_eq!(Quantity::new(87.0, Unit::Celsius).to_string(), "87 °C");
    }
}
