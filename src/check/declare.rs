//! Constructors with which checks declare their parameters and measurements, so that their tables stay readable.
//!
//! The types, and what a declaration means, are in `profile`.

use kiln_model::{ComponentKind, Unit};
use kiln_profile::{MeasurementSpec, ParamKind, ParamSpec, ValueKind};

/// Declares a number that the check must give.
pub(super) const fn must(name: &'static str, unit: Unit, of: ComponentKind, summary: &'static str) -> MeasurementSpec {
    MeasurementSpec { name, unit, kind: ValueKind::Number, of, required: true, summary }
}

/// Declares a number that some parts or nodes do not offer.
pub(super) const fn may(name: &'static str, unit: Unit, of: ComponentKind, summary: &'static str) -> MeasurementSpec {
    MeasurementSpec { name, unit, kind: ValueKind::Number, of, required: false, summary }
}

pub(super) const fn flag(name: &'static str, of: ComponentKind, summary: &'static str) -> MeasurementSpec {
    MeasurementSpec { name, unit: Unit::One, kind: ValueKind::Flag, of, required: false, summary }
}

pub(super) const fn text(name: &'static str, of: ComponentKind, summary: &'static str) -> MeasurementSpec {
    MeasurementSpec { name, unit: Unit::One, kind: ValueKind::Text, of, required: false, summary }
}

/// Turns a declaration into one of a value that the check must give.
pub(super) const fn required(spec: MeasurementSpec) -> MeasurementSpec {
    MeasurementSpec { required: true, ..spec }
}

pub(super) const fn span(name: &'static str, default: &'static str, summary: &'static str) -> ParamSpec {
    ParamSpec { name, kind: ParamKind::Span, default: Some(default), summary }
}

pub(super) const fn choice(
    name: &'static str,
    options: &'static [&'static str],
    default: &'static str,
    summary: &'static str,
) -> ParamSpec {
    ParamSpec { name, kind: ParamKind::Choice(options), default: Some(default), summary }
}

pub(super) const fn quantity(
    name: &'static str,
    (unit, min, max): (Unit, f64, f64),
    default: &'static str,
    summary: &'static str,
) -> ParamSpec {
    ParamSpec { name, kind: ParamKind::Quantity { unit, min, max }, default: Some(default), summary }
}

pub(super) const fn switch(name: &'static str, default: &'static str, summary: &'static str) -> ParamSpec {
    ParamSpec { name, kind: ParamKind::Flag, default: Some(default), summary }
}

/// Declares an optional list of strings; without it nothing is compared.
pub(super) const fn list(name: &'static str, summary: &'static str) -> ParamSpec {
    ParamSpec { name, kind: ParamKind::Texts, default: None, summary }
}

/// The longest that settling may take. It must not exceed the margin that a step has over its estimated time: otherwise a node
/// that never settles would be reported as a step that hangs.
pub(super) const SETTLE_WITHIN: ParamSpec =
    span("settle-within", "10m", "the longest wait for the node to be idle with steady temperatures");
/// The window of settling: long enough that one 1 K step of a whole-degree sensor stays below the default slope.
pub(super) const SETTLE_OVER: ParamSpec =
    span("settle-over", "60s", "how long the node must have been idle and steady");
/// A 1 K step in the middle of a 60 s window reads as 1.5 K/min; anything steeper is a real change.
pub(super) const SETTLE_SLOPE: ParamSpec = quantity(
    "settle-slope",
    (Unit::KelvinPerMinute, 0.05, 60.0),
    "2 K/min",
    "the steepest change of die temperature that counts as steady",
);
