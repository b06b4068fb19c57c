//! `kiln checks` and `kiln explain`: what the checks declare of themselves, and what finding codes mean.

use std::fmt::Write as _;

use anyhow::anyhow;

use super::command_error::{CommandError, Sorted as _};
use super::exit_code::Exit;
use super::printer;
use crate::check;
use crate::diagnose;
use crate::profile::{CheckSpec, ParamKind, Wear};
use crate::report::Language;

/// `kiln checks [NAME]`.
pub(super) fn checks(name: Option<&str>) -> Result<Exit, CommandError> {
    let catalogue = check::catalogue();
    let text = match name {
        None => list(catalogue.0),
        Some(name) => {
            let spec = catalogue.find(name).ok_or_else(|| {
                let names: Vec<&str> = catalogue.0.iter().map(|spec| spec.name).collect();
                let hint = crate::yaml::did_you_mean(name, names.iter().copied());
                anyhow!(
                    "there is no check `{name}`; {}",
                    hint.unwrap_or_else(|| format!("checks are {}", names.join(", ")))
                )
            });
            describe(spec.usage()?)
        }
    };
    printer::result(&text).no_claim()?;
    Ok(Exit::Pass)
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
    let each: Vec<String> = spec.each.iter().map(|kind| kind_word(*kind)).collect();
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
        let of = kind_word(measurement.of);
        let _ = writeln!(text, "  {:24} {unit:8} per {of:8} {}{required}", measurement.name, measurement.summary);
    }
    if !spec.faults.is_empty() {
        let _ = write!(text, "\nFor faults: {}\n", spec.faults.join(", "));
    }
    text
}

fn kind_word(kind: crate::model::ComponentKind) -> String {
    serde_json::to_value(kind).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
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

const fn said(words: diagnose::Words, language: Language) -> &'static str {
    match language {
        Language::English => words.en,
        Language::Japanese => words.ja,
    }
}

/// `kiln explain [CODE]`.
pub(super) fn explain(code: Option<&str>, language: Language) -> Result<Exit, CommandError> {
    let text = match code {
        None => {
            let line = |entry: &diagnose::Entry| format!("{:26} {}\n", entry.code, said(entry.title, language));
            diagnose::entries().iter().map(line).collect()
        }
        Some(code) => {
            let entry = diagnose::entry(code).ok_or_else(|| {
                let hint = crate::yaml::did_you_mean(code, diagnose::entries().iter().map(|entry| entry.code));
                let hint = hint.unwrap_or_else(|| "`kiln explain` lists them all".to_owned());
                anyhow!("there is no finding code `{code}`; {hint}")
            });
            tell(entry.usage()?, language)
        }
    };
    printer::result(&text).no_claim()?;
    Ok(Exit::Pass)
}

/// `kiln explain --page`.
pub(super) fn explain_page() -> Result<Exit, CommandError> {
    printer::result(&diagnose::codes_page()).no_claim()?;
    Ok(Exit::Pass)
}

/// Details are for engineers and in English alone.
fn tell(entry: &diagnose::Entry, language: Language) -> String {
    let (title, cause) = (said(entry.title, language), said(entry.cause, language));
    let mut text = format!("{}: {title}\n\n{cause}\n\n{}\n", entry.code, entry.details);
    let label = match language {
        Language::English => "What to do",
        Language::Japanese => "処置",
    };
    let _ = write!(text, "\n{label}: {}\n", said(diagnose::action_words(entry.action), language));
    for reference in entry.references {
        let _ = writeln!(text, "See {reference}");
    }
    text
}
