//! Waivers: leave to fail one measurement for a while.

use super::stage::Scope;
use super::{Stage, Step, Waiver};
use kiln_model::Component;
use kiln_yaml::{Diagnostic, Diagnostics, Fields, Node, did_you_mean};

pub(super) fn waivers(
    node: &Node,
    stages: &[Stage],
    teardown: &[Step],
    scope: &Scope<'_>,
    all: &mut Diagnostics,
) -> Vec<Waiver> {
    let steps: Vec<(String, &Step)> = stages
        .iter()
        .flat_map(|stage| stage.steps.iter().map(move |step| (format!("{}.{}", stage.id, step.id), step)))
        .chain(teardown.iter().map(|step| (format!("teardown.{}", step.id), step)))
        .collect();
    let elements = node.list("waivers", all).unwrap_or_default();
    elements.iter().filter_map(|element| waiver(element, &steps, scope, all)).collect()
}

fn waiver(node: &Node, steps: &[(String, &Step)], scope: &Scope<'_>, all: &mut Diagnostics) -> Option<Waiver> {
    let mut fields = Fields::of(node, "a waiver", all)?;
    let matches = fields.required("match", all).and_then(|node| matches(node, steps, scope, all));
    let until = fields.required("until", all).and_then(|node| {
        let read = |text: &str| {
            text.parse::<jiff::civil::Date>()
                .map_err(|_| format!("`{text}` is not a day; write for example `2026-12-31`"))
        };
        node.parse_with(read, all)
    });
    let by = fields.required("by", all).and_then(|node| filled(node, all));
    let reason = fields.required("reason", all).and_then(|node| filled(node, all));
    fields.finish(all);
    Some(Waiver { matches: matches?, until: until?, by: by?, reason: reason? })
}

fn filled(node: &Node, all: &mut Diagnostics) -> Option<String> {
    let text = node.text(all)?;
    if text.trim().is_empty() {
        all.push(Diagnostic::new(&node.place, "this must not be empty"));
    }
    Some(text.to_owned())
}

/// `stage.step[component].measurement`, each part checked.
fn matches(node: &Node, steps: &[(String, &Step)], scope: &Scope<'_>, all: &mut Diagnostics) -> Option<String> {
    let text = node.text(all)?;
    let parts = text.split_once('[').and_then(|(step, rest)| {
        let (component, measurement) = rest.split_once("].")?;
        Some((step, component, measurement))
    });
    let Some((path, component, measurement)) = parts else {
        let help = "write `stage.step[component].measurement`; `*` stands for any component or measurement";
        all.push(Diagnostic::new(&node.place, "this is not what a waiver matches").help(help));
        return None;
    };
    let component_at = path.len() + 1;
    let measurement_at = component_at + component.len() + 2;
    if component != "*" && component.parse::<Component>().is_err() {
        let place = node.part(component_at..component_at + component.len());
        let help = "write for example `gpu/3`, `gpu/3/nvlink/7` or `*`";
        all.push(Diagnostic::new(&place, format!("`{component}` names no component")).help(help));
    }
    let Some((_, step)) = steps.iter().find(|(known, _)| known == path) else {
        let help = did_you_mean(path, steps.iter().map(|(path, _)| path.as_str()));
        let place = node.part(0..path.len());
        all.push(Diagnostic::new(&place, format!("the profile has no step `{path}`")).maybe_help(help));
        return None;
    };
    if let Some(spec) = scope.catalogue.find(&step.check)
        && measurement != "*"
        && spec.measurement(measurement).is_none()
    {
        let place = node.part(measurement_at..measurement_at + measurement.len());
        let help = did_you_mean(measurement, spec.measurements.iter().map(|measurement| measurement.name));
        let message = format!("`{}` does not measure `{measurement}`", spec.name);
        all.push(Diagnostic::new(&place, message).maybe_help(help));
    }
    Some(text.to_owned())
}
