//! Limits of a step: short form, or long form with `limit:`, `marginal:`, `code:`, `decisive:`,
//! `result:`, `unsupported:`, `with-lot:` and `source:`.

use std::collections::BTreeMap;

use super::stage::Scope;
use super::{CheckSpec, MeasurementSpec, ValueKind};
use kiln_limit::{Bound, IfUnsupported, Instead, Limit, Miss, Reference, Target, Wanted};
use kiln_yaml::{Diagnostic, Diagnostics, Fields, Node, did_you_mean};

/// The limit that removes an inherited one.
pub(super) const NONE: &str = "none";

pub(super) fn limits(
    node: &Node,
    spec: &CheckSpec,
    scope: &Scope<'_>,
    all: &mut Diagnostics,
) -> BTreeMap<String, Limit> {
    let mut limits = BTreeMap::new();
    for (key, value) in node.mapping("`limits`", all).unwrap_or_default() {
        let name = key.raw().unwrap_or_default();
        let Some(measurement) = spec.measurement(name) else {
            let help = did_you_mean(name, spec.measurements.iter().map(|measurement| measurement.name));
            let help = help.unwrap_or_else(|| "it has none".to_owned());
            let message = format!("`{}` does not measure `{name}`", spec.name);
            all.push(Diagnostic::new(&key.place, message).label("unknown measurement").help(help));
            continue;
        };
        if value.is_null() {
            all.push(Diagnostic::new(&key.place, format!("`{name}` has no limit")).help("write one, or `none`"));
        } else if value.raw() != Some(NONE) {
            let limit = limit(value, measurement, scope, all);
            if limit.as_ref().is_some_and(|limit| limit.stands_on(&Reference::Lot) && limit.miss.is_proof()) {
                let message = format!("a miss of `{name}` would prove by a lot, which proves nothing");
                all.push(Diagnostic::new(&value.place, message).help("add `result: inconclusive`"));
            }
            limits.extend(limit.map(|limit| (name.to_owned(), limit)));
        }
    }
    limits
}

fn limit(node: &Node, measurement: &MeasurementSpec, scope: &Scope<'_>, all: &mut Diagnostics) -> Option<Limit> {
    let wanted = match measurement.kind {
        ValueKind::Number => Wanted::Number(measurement.unit),
        ValueKind::Text => Wanted::Text,
        ValueKind::Flag => Wanted::Flag,
    };
    let target = Target { name: measurement.name, wanted, facts: &scope.facts, relative: true };
    if node.entries().is_none() {
        let bound = bound(node, &target, all)?;
        return Some(Limit {
            text: bound.to_string(),
            bound,
            marginal: None,
            code: None,
            decisive: true,
            miss: Miss::Proof,
            unsupported: IfUnsupported::Error,
            with_lot: None,
            source: None,
        });
    }
    let mut fields = Fields::of(node, "a limit", all)?;
    let main = fields.required("limit", all).and_then(|node| bound(node, &target, all));
    let marginal = fields.optional("marginal", all).and_then(|node| bound(node, &target, all));
    let finding = fields.optional("code", all).and_then(|node| code(node, all));
    let decisive = fields.optional("decisive", all).and_then(|node| node.bool(all)).unwrap_or(true);
    let results = [("fail", Miss::Proof), ("inconclusive", Miss::Suspicion)];
    let miss = fields.optional("result", all).and_then(|node| node.one_of("result", &results, all)).unwrap_or_default();
    let choices = [("error", IfUnsupported::Error), ("skip", IfUnsupported::Skip)];
    let unsupported = fields.optional("unsupported", all).and_then(|node| node.one_of("answer", &choices, all));
    let unsupported = unsupported.unwrap_or_default();
    let with_lot = fields.optional("with-lot", all).and_then(|node| instead(node, &target, all));
    let source = fields.optional("source", all).and_then(|node| node.text(all)).map(str::to_owned);
    fields.finish(all);
    let bound = main?;
    let text = bound.to_string();
    Some(Limit { text, bound, marginal, code: finding, decisive, miss, source, unsupported, with_lot })
}

/// The bound under `with-lot:`. One that did not stand on the lot would be another limit for who has a lot.
fn instead(node: &Node, target: &Target<'_>, all: &mut Diagnostics) -> Option<Instead> {
    let bound = bound(node, target, all)?;
    if !bound.stands_on(&Reference::Lot) {
        let message = format!("`with-lot` of `{}` does not stand on the lot", target.name);
        all.push(Diagnostic::new(&node.place, message).help("write for example `<= 108 % of lot`"));
    }
    Some(Instead { text: bound.to_string(), bound })
}

/// The measurements under `lot:`. Only numbers lie anywhere in a lot.
pub(super) fn of_lot(node: &Node, spec: &CheckSpec, all: &mut Diagnostics) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for element in node.list("measurements", all).unwrap_or_default() {
        let Some(name) = element.text(all) else { continue };
        match spec.measurement(name) {
            None => {
                let help = did_you_mean(name, spec.measurements.iter().map(|measurement| measurement.name));
                let message = format!("`{}` does not measure `{name}`", spec.name);
                all.push(Diagnostic::new(&element.place, message).maybe_help(help));
            }
            Some(measurement) if measurement.kind != ValueKind::Number => {
                let message = format!("`{name}` is no number: it cannot lie apart from those of a lot");
                all.push(Diagnostic::new(&element.place, message));
            }
            Some(_) if names.iter().any(|known| known == name) => {
                all.push(Diagnostic::new(&element.place, format!("`{name}` is listed twice")));
            }
            Some(_) => names.push(name.to_owned()),
        }
    }
    names
}

/// A bound in its short form; the wrong part of it is what gets underlined.
pub(super) fn bound(node: &Node, target: &Target<'_>, all: &mut Diagnostics) -> Option<Bound> {
    let text = node.text(all)?;
    match Bound::parse(text, target) {
        Ok(bound) => Some(bound),
        Err(error) => {
            all.push(Diagnostic::new(&node.part(error.range), error.message).maybe_help(error.help));
            None
        }
    }
}

/// A finding code: `GPU-OVERTEMP`.
pub(super) fn code(node: &Node, all: &mut Diagnostics) -> Option<String> {
    let text = node.text(all)?;
    let sound = text.starts_with(|c: char| c.is_ascii_uppercase())
        && text.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '-')
        && !text.ends_with('-');
    if !sound {
        let help = "codes are capital ASCII letters, digits and `-`, such as `GPU-OVERTEMP`";
        all.push(Diagnostic::new(&node.place, format!("`{text}` is not a finding code")).help(help));
    }
    Some(text.to_owned())
}
