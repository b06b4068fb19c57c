//! The sheet a check writes its measurements on: units come from the declaration, lost GPUs have no values.
//!
//! Rule 1 lives here and in `window`: what could not be measured is missing or unsupported, never a number.

#![expect(clippy::cast_precision_loss, reason = "counts and nanoseconds become floats for statistics, far below 2^53")]

use std::collections::BTreeMap;

use kiln_limit::Measurement;
use kiln_model::{Component, GpuIndex, Missing, Moment, Reading, Unit};
use kiln_profile::CheckSpec;

/// What came of measuring one thing.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Gauged {
    Number { value: f64, samples: u64 },
    Text(String),
    Flag(bool),
    Unsupported,
    Missing(Missing),
}

impl Gauged {
    /// A value looked at once.
    pub(super) const fn once(value: f64) -> Self {
        Self::Number { value, samples: 1 }
    }

    pub(super) fn count(value: usize) -> Self {
        Self::once(value as f64)
    }

    /// A reading, turned into something measured by `value`.
    pub(super) fn of<T>(reading: &Reading<T>, value: impl FnOnce(&T) -> Self) -> Self {
        match reading {
            Reading::Value(it) => value(it),
            Reading::Unsupported => Self::Unsupported,
            Reading::Failed(failure) => Self::Missing(Missing::Read(*failure)),
        }
    }

    pub(super) fn number_of<T: Copy + Into<f64>>(reading: &Reading<T>) -> Self {
        Self::of(reading, |value| Self::once((*value).into()))
    }

    /// A count or size; exact up to 2^53.
    pub(super) fn whole_of(reading: &Reading<u64>) -> Self {
        Self::of(reading, |value| Self::once(*value as f64))
    }

    pub(super) fn text_of(reading: &Reading<String>) -> Self {
        Self::of(reading, |value| Self::Text(value.clone()))
    }

    pub(super) fn flag_of(reading: Reading<bool>) -> Self {
        Self::of(&reading, |value| Self::Flag(*value))
    }

    /// The same difference seen from the other side.
    pub(super) fn negated(self) -> Self {
        match self {
            Self::Number { value, samples } => Self::Number { value: -value, samples },
            other => other,
        }
    }

    /// The least of several; what is not known of one is not known of the least.
    pub(super) fn least(all: impl Iterator<Item = Self>) -> Self {
        let lesser = |least: Self, one: Self| match (least.number(), one.number()) {
            (Some(_), None) => one,
            (Some(least), Some(number)) if number < least => one,
            _ => least,
        };
        all.reduce(lesser).unwrap_or(Self::Missing(Missing::NeverRead))
    }

    pub(super) fn scaled(self, factor: f64) -> Self {
        match self {
            Self::Number { value, samples } => Self::Number { value: value * factor, samples },
            other => other,
        }
    }

    pub(super) const fn number(&self) -> Option<f64> {
        match self {
            Self::Number { value, .. } => Some(*value),
            _ => None,
        }
    }

    /// The sum of two numbers; what is not known of either is not known of the sum.
    pub(super) fn plus(self, other: Self) -> Self {
        match (self, other) {
            (Self::Number { value, samples }, Self::Number { value: more, samples: others }) => {
                Self::Number { value: value + more, samples: samples.min(others) }
            }
            (Self::Missing(why), _) | (_, Self::Missing(why)) => Self::Missing(why),
            _ => Self::Unsupported,
        }
    }
}

/// Measurements of one step, in the order they were put down.
#[derive(Debug)]
pub(super) struct Sheet<'a> {
    spec: &'static CheckSpec,
    lost: &'a BTreeMap<GpuIndex, Moment>,
    list: Vec<Measurement>,
}

impl<'a> Sheet<'a> {
    pub(super) const fn new(spec: &'static CheckSpec, lost: &'a BTreeMap<GpuIndex, Moment>) -> Self {
        Self { spec, lost, list: Vec::new() }
    }

    /// Puts a value down. Of a GPU that no longer answers nothing is known to the end, so all of its values are missing.
    pub(super) fn put(&mut self, name: &str, component: Component, gauged: Gauged) {
        let lost = component.gpu_index().and_then(|gpu| self.lost.get(&gpu));
        let gauged = match lost {
            Some(at) => Gauged::Missing(Missing::GpuLost { at: *at }),
            None => gauged,
        };
        self.put_anyway(name, component, gauged);
    }

    /// As [`Sheet::put`], for what is known of a GPU from elsewhere even when it no longer answers.
    pub(super) fn put_anyway(&mut self, name: &str, component: Component, gauged: Gauged) {
        let declared = self.spec.measurement(name);
        debug_assert!(declared.is_some(), "{} declares no measurement `{name}`", self.spec.name);
        let unit = declared.map_or(Unit::One, |declared| declared.unit);
        self.list.push(match gauged {
            Gauged::Number { value, samples } => Measurement::number(name, component, unit, value, samples),
            Gauged::Text(text) => Measurement::text(name, component, text),
            Gauged::Flag(flag) => Measurement::flag(name, component, flag),
            Gauged::Unsupported => Measurement::unsupported(name, component, unit),
            Gauged::Missing(why) => Measurement::missing(name, component, unit, why),
        });
    }

    pub(super) fn into_list(self) -> Vec<Measurement> {
        self.list
    }
}
