//! `kiln profile plan`: what would run on which component for how long, as a table for people.

use std::fmt::Write as _;

use super::profile::left_out;
use crate::model::{Component, Span, Unit, format_span};
use crate::plan::{Plan, PlannedStep, Readiness};
use crate::profile::{Loop, Profile, Skus};
use crate::report::{self, Language, unmet};

/// The plan as text.
pub(super) fn table(profile: &Profile, plan: &Plan, skus: &Skus) -> String {
    let mut text = format!("{} revision {}: {}\n", profile.id, profile.revision, profile.title.en);
    let _ =
        writeln!(text, "about {} in all, {} GPUs, guards: {}", whole(plan.estimate), plan.skus.len(), guards(profile));
    for line in report::blind_lines(plan, report::Language::English) {
        let _ = writeln!(text, "{line}");
    }
    text.push_str(&left_out(profile, ""));
    if !profile.without.is_empty() {
        text.push('\n');
    }
    for stage in &plan.stages {
        let rounds = match stage.repeat {
            Loop::Count(1) => String::new(),
            Loop::Count(count) => format!(", {count} rounds"),
            Loop::For(span) => format!(", again and again for {}", format_span(span)),
        };
        let beside = if stage.together { ", steps side by side" } else { "" };
        let _ = write!(text, "\n{} (about {}{rounds}{beside})\n", stage.id, whole(stage.estimate));
        for step in &stage.steps {
            put_step(&mut text, step);
            text.extend(swing(step, plan, skus));
        }
    }
    if !plan.teardown.is_empty() {
        text.push_str("\nteardown (always)\n");
        plan.teardown.iter().for_each(|step| put_step(&mut text, step));
    }
    text
}

fn guards(profile: &Profile) -> String {
    if profile.guards.is_empty() {
        return "none".to_owned();
    }
    profile.guards.iter().map(|guard| guard.id.as_str()).collect::<Vec<_>>().join(", ")
}

fn put_step(text: &mut String, planned: &PlannedStep) {
    let note = match &planned.readiness {
        Readiness::Ready => String::new(),
        Readiness::Skip(why) => format!("  SKIPPED: {}", unmet(Language::English, why)),
        Readiness::Unmet(why) => format!("  ERROR: {}", unmet(Language::English, why)),
        Readiness::Deselected => "  left out by --only".to_owned(),
    };
    let time = whole(planned.estimate);
    let on = components(&planned.components);
    let _ = writeln!(text, "  {:20} {:20} {time:>8}  on {on}{note}", planned.step.id, planned.step.check);
    if !planned.step.lot.is_empty() {
        let _ = writeln!(text, "      held against the lot: {}", planned.step.lot.join(", "));
    }
    for (name, limit) in &planned.step.limits {
        let decisive = if limit.decisive { "" } else { "  (told only)" };
        let _ = writeln!(text, "      {name:24} {}{decisive}", limit.text);
    }
}

/// What the node takes from its feed and gives back, again and again: said for whoever admits runs to a supply.
fn swing(planned: &PlannedStep, plan: &Plan, skus: &Skus) -> Option<String> {
    let hertz = planned.step.params.number("hertz")?;
    let models = plan.models(skus);
    let gpus = planned.components.iter().filter_map(|component| component.gpu_index());
    let limits = gpus.filter_map(|gpu| models.get(&gpu)?.fact_in("tdp", Unit::Watt));
    let watts: f64 = limits.sum();
    Some(format!(
        "      power steps between rest and {:.1} kW of GPUs, {hertz} times a second; nodes with the same phase step together\n",
        watts / 1000.0
    ))
}

fn components(components: &[Component]) -> String {
    match components {
        [] => "nothing".to_owned(),
        [one] => one.to_string(),
        [first, .., last] => format!("{first} to {last} ({})", components.len()),
    }
}

fn whole(span: Span) -> String {
    format_span(Span::from_secs(span.as_secs()))
}
