//! `kiln checks`: what the checks declare of themselves.

use std::fmt::Write as _;

use anyhow::anyhow;
use serde_json::{Value, json};

use super::command_error::{CommandError, Sorted as _};
use super::exit_code::Exit;
use super::printer;
use crate::check;
use crate::profile::{CheckSpec, MeasurementSpec, ParamKind, ParamSpec, Wear};

/// `kiln checks [NAME] [--json]`.
pub(super) fn checks(name: Option<&str>, json: bool) -> Result<Exit, CommandError> {
    let catalogue = check::catalogue();
    let Some(name) = name else {
        return if json {
            document(&catalogue.0.iter().map(|spec| as_json(spec)).collect())
        } else {
            told(&list(catalogue.0))
        };
    };
    let spec = catalogue
        .find(name)
        .ok_or_else(|| {
            let names: Vec<&str> = catalogue.0.iter().map(|spec| spec.name).collect();
            let hint = crate::yaml::did_you_mean(name, names.iter().copied());
            anyhow!(
                "there is no check `{name}`; {}",
                hint.unwrap_or_else(|| format!("checks are {}", names.join(", ")))
            )
        })
        .usage()?;
    if json { document(&as_json(spec)) } else { told(&describe(spec)) }
}

fn told(text: &str) -> Result<Exit, CommandError> {
    printer::result(text).no_claim()?;
    Ok(Exit::Pass)
}

fn document(value: &Value) -> Result<Exit, CommandError> {
    printer::json(value).no_claim()?;
    Ok(Exit::Pass)
}

/// A check as programs read it.
fn as_json(spec: &CheckSpec) -> Value {
    let params = |param: &ParamSpec| json!({ "name": param.name, "summary": param.summary, "takes": takes(param.kind), "default": param.default });
    let measurements = |one: &MeasurementSpec| {
        json!({
            "name": one.name, "summary": one.summary, "unit": one.unit.symbol(), "of": one.of.word(),
            "required": one.required,
        })
    };
    json!({
        "name": spec.name, "summary": spec.summary, "details": spec.details, "wear": spec.wear,
        "each": spec.each.iter().map(|kind| kind.word()).collect::<Vec<_>>(),
        "parameters": spec.params.iter().map(params).collect::<Vec<_>>(),
        "measurements": spec.measurements.iter().map(measurements).collect::<Vec<_>>(),
    })
}

fn list(specs: &[&CheckSpec]) -> String {
    let width = specs.iter().map(|spec| spec.name.len()).max().unwrap_or(0);
    let line = |spec: &&CheckSpec| {
        let wear = if spec.wear == Wear::Stress { "stress" } else { "      " };
        format!("{:width$}  {wear}  {}\n", spec.name, spec.summary)
    };
    specs.iter().map(line).collect()
}

fn describe(spec: &CheckSpec) -> String {
    let mut text = format!("{}: {}\n\n{}\n", spec.name, spec.summary, spec.details);
    let wear = match spec.wear {
        Wear::None => "none: may be run on shipped hardware",
        Wear::Stress => "stress: heats or loads the hardware",
    };
    let _ = write!(text, "\nWear: {wear}\n");
    let each: Vec<&str> = spec.each.iter().map(|kind| kind.word()).collect();
    let _ = writeln!(text, "Result for each: {}", each.join(" or "));
    if !spec.params.is_empty() {
        text.push_str("\nParameters (under `with:`):\n");
        for param in spec.params {
            let default = param.default.map_or_else(|| "no default".to_owned(), |default| format!("default {default}"));
            let _ = writeln!(text, "  {:16} {}; {default}. {}", param.name, takes(param.kind), param.summary);
        }
    }
    text.push_str("\nMeasurements (under `limits:`):\n");
    for measurement in spec.measurements {
        let unit = measurement.unit.symbol();
        let required = if measurement.required { " (always required)" } else { "" };
        let of = measurement.of.word();
        let _ = writeln!(text, "  {:24} {unit:8} per {of:8} {}{required}", measurement.name, measurement.summary);
    }
    text
}

fn takes(kind: ParamKind) -> String {
    match kind {
        ParamKind::Span => "a length of time".to_owned(),
        ParamKind::Choice(choices) => format!("one of {}", choices.join(", ")),
        ParamKind::Quantity { unit, min, max } => format!("{min} to {max} {unit}"),
        ParamKind::Count { min, max } => format!("a count from {min} to {max}"),
        ParamKind::Flag => "true or false".to_owned(),
        ParamKind::Text => "a text".to_owned(),
        ParamKind::Localized => "a text, or { en:, ja: }".to_owned(),
        ParamKind::Texts => "a list of texts".to_owned(),
    }
}
