//! From the merged tree to the resolved profile: the top level.
//!
//! Every decoder goes on after an error with a stand-in, so that one pass finds all errors; the profile is only handed out
//! if there was none.

use std::collections::BTreeMap;

use super::guard::guards;
use super::stage::{Scope, stages, teardown};
use super::vars::Variables;
use super::waiver::waivers;
use super::{LEAST_READINGS, Profile, Step, Telemetry};
use kiln_model::{ComponentKind, Span, Text, format_span, parse_span};
use kiln_yaml::{Diagnostic, Diagnostics, Fields, Node, did_you_mean};

/// The schema a profile must name.
pub(super) const SCHEMA: &str = "kiln.profile/1";

/// Sampling period where the profile names none: what the limits on telemetry size are stated for.
const DEFAULT_EVERY: Span = Span::from_secs(1);

/// The fastest sampling: a node's sensors are renewed every 20 to 100 ms, asking more often reads the same value again.
const MIN_EVERY: Span = Span::from_millis(20);

/// The slowest sampling a guard can work with.
const MAX_EVERY: Span = Span::from_secs(60);

/// Longer than any burn-in by far; keeps sums of times inside what can be counted.
const MAX_SPAN: Span = Span::from_secs(10_000 * 3600);

pub(super) fn profile(root: &Node, variables: &Variables, scope: &Scope<'_>, all: &mut Diagnostics) -> Option<Profile> {
    let mut fields = Fields::of(root, "a profile", all)?;
    if let Some(schema) = fields.required("schema", all) {
        check_schema(schema, SCHEMA, all);
    }
    let profile_id = fields.required("id", all).and_then(|node| id(node, all));
    let revision = fields.required("revision", all).and_then(|node| node.whole::<u32>(all));
    let title = fields.required("title", all).and_then(|node| text(node, all));
    fields.optional("extends", all);
    fields.optional("vars", all);
    // Heard by its children when they were merged; on its own it is a profile like any other.
    fields.optional("stock", all).and_then(|node| node.bool(all));
    // Whether the parents have it was seen when they were merged.
    let without = fields.optional("without", all).and_then(Node::elements).unwrap_or_default();
    let without: Vec<String> = without.iter().filter_map(Node::raw).map(str::to_owned).collect();
    let skus = fields.required("skus", all).map(|node| skus(node, scope, all));
    let sampled = fields.optional("telemetry", all);
    let telemetry = sampled.and_then(|node| telemetry(node, all)).unwrap_or(Telemetry { every: DEFAULT_EVERY });
    let guards = fields.optional("guards", all).map(|node| guards(node, telemetry, scope, all)).unwrap_or_default();
    let stages = fields.required("stages", all).map(|node| stages(node, scope, all)).unwrap_or_default();
    let teardown = fields.optional("teardown", all).map(|node| teardown(node, scope, all)).unwrap_or_default();
    if let Some(node) = sampled.map(|node| node.get("every").unwrap_or(node)) {
        few_readings(node, telemetry.every, stages.iter().flat_map(|stage| &stage.steps).chain(&teardown), scope, all);
    }
    let waivers =
        fields.optional("waivers", all).map(|node| waivers(node, &stages, &teardown, scope, all)).unwrap_or_default();
    fields.finish(all);
    Some(Profile {
        id: profile_id?,
        revision: revision?,
        title: title?,
        skus: skus?,
        telemetry,
        guards,
        stages,
        teardown,
        waivers,
        vars: variables.in_force(),
        without,
        deviations: variables.deviations.clone(),
    })
}

pub(super) fn check_schema(node: &Node, wanted: &str, all: &mut Diagnostics) {
    let Some(schema) = node.text(all) else { return };
    if schema == wanted {
        return;
    }
    let family = wanted.split('/').next().unwrap_or_default();
    let newer =
        schema.strip_prefix(family).and_then(|rest| rest.strip_prefix('/')).is_some_and(|v| v.parse::<u32>().is_ok());
    let message = format!("the schema is `{schema}`, but `{wanted}` is read here");
    let help = if newer { "this file was written for another version of kiln" } else { "is this the right file?" };
    all.push(Diagnostic::new(&node.place, message).help(help));
}

fn skus(node: &Node, scope: &Scope<'_>, all: &mut Diagnostics) -> Vec<String> {
    let elements = node.list("SKU ids", all).unwrap_or_default();
    if node.elements().is_some_and(<[Node]>::is_empty) {
        all.push(Diagnostic::new(&node.place, "a profile must name at least one SKU"));
    }
    let mut skus: Vec<String> = Vec::new();
    for element in elements {
        let Some(id) = element.text(all) else { continue };
        if scope.skus.by_id(id).is_none() {
            let help = did_you_mean(id, scope.skus.0.iter().map(|sku| sku.id.as_str()));
            all.push(Diagnostic::new(&element.place, format!("there is no SKU `{id}`")).maybe_help(help));
        } else if skus.iter().any(|known| known == id) {
            all.push(Diagnostic::new(&element.place, format!("the SKU `{id}` is listed twice")));
        }
        skus.push(id.to_owned());
    }
    skus
}

fn telemetry(node: &Node, all: &mut Diagnostics) -> Option<Telemetry> {
    let mut fields = Fields::of(node, "`telemetry`", all)?;
    let every_node = fields.optional("every", all);
    let every = every_node.and_then(|node| span(node, all));
    fields.finish(all);
    if let (Some(node), Some(every)) = (every_node, every)
        && !(MIN_EVERY..=MAX_EVERY).contains(&every)
    {
        all.push(Diagnostic::new(&node.place, "the sampling period must lie between 20ms and 1m"));
    }
    Some(Telemetry { every: every.unwrap_or(DEFAULT_EVERY) })
}

/// Refuses a sampling period at which the window of a step on GPUs gets too few readings: all it could say is that it was not
/// measured.
fn few_readings<'a>(
    node: &Node,
    every: Span,
    steps: impl Iterator<Item = &'a Step>,
    scope: &Scope<'_>,
    all: &mut Diagnostics,
) {
    let window = |step: &Step| {
        let spec = scope.catalogue.find(&step.check)?;
        let on_gpus = spec.each.first() == Some(&ComponentKind::Gpu) && !step.limits.is_empty();
        step.params.span("for").filter(|window| on_gpus && !window.is_zero())
    };
    let Some((step, window)) = steps.filter_map(|step| Some((step, window(step)?))).min_by_key(|(_, window)| *window)
    else {
        return;
    };
    if window < every * LEAST_READINGS {
        let (id, window, every) = (&step.id, format_span(window), format_span(every));
        let message = format!("a reading every {every} is too seldom for the step `{id}`, which measures for {window}");
        let help =
            format!("a window needs {LEAST_READINGS} readings: sample more often, or give the step a longer `for`");
        all.push(Diagnostic::new(&node.place, message).help(help));
    }
}

/// An id: what paths, reports and test cases are named by.
pub(super) fn id(node: &Node, all: &mut Diagnostics) -> Option<String> {
    let text = node.text(all)?;
    let sound = !text.is_empty()
        && text.len() <= 64
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        && !text.starts_with('-')
        && !text.ends_with('-');
    if !sound {
        let fixed: String = text
            .to_lowercase()
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .collect::<String>()
            .trim_matches('-')
            .to_owned();
        let example = if fixed.is_empty() { String::new() } else { format!("; write for example `{fixed}`") };
        all.push(
            Diagnostic::new(&node.place, format!("`{text}` is not an id"))
                .help(format!("ids are up to 64 lower-case ASCII letters, digits and `-`{example}")),
        );
    }
    Some(text.to_owned())
}

/// A text for people: English alone, or `{ en:, ja: }`.
pub(super) fn text(node: &Node, all: &mut Diagnostics) -> Option<Text> {
    if node.entries().is_none() {
        return node.text(all).map(Text::english);
    }
    let mut fields = Fields::of(node, "a text", all)?;
    let en = fields.required("en", all).and_then(|node| node.text(all));
    let ja = fields.optional("ja", all).and_then(|node| node.text(all));
    fields.finish(all);
    Some(Text { en: en?.to_owned(), ja: ja.map(str::to_owned) })
}

/// A length of time.
pub(super) fn span(node: &Node, all: &mut Diagnostics) -> Option<Span> {
    let span = node.parse_with(parse_span, all)?;
    if span > MAX_SPAN {
        all.push(Diagnostic::new(&node.place, "this is longer than ten thousand hours"));
    }
    Some(span)
}

/// A length of time that is not zero.
pub(super) fn positive_span(node: &Node, all: &mut Diagnostics) -> Option<Span> {
    let span = span(node, all)?;
    if span.is_zero() {
        all.push(Diagnostic::new(&node.place, "a time of zero means nothing here"));
    }
    Some(span)
}

/// Complains about ids that occur twice, each at its later place.
pub(super) fn unique<'n>(what: &str, ids: impl IntoIterator<Item = (String, &'n Node)>, all: &mut Diagnostics) {
    let mut seen: BTreeMap<String, &Node> = BTreeMap::new();
    for (id, node) in ids {
        if let Some(first) = seen.get(&id) {
            let place = node.get("id").map_or_else(|| node.place.first_line(), |id| id.place.clone());
            let first = first.get("id").map_or_else(|| first.place.first_line(), |id| id.place.clone());
            all.push(
                Diagnostic::new(&place, format!("the {what} id `{id}` is used twice"))
                    .label("again here")
                    .secondary(&first, "first here")
                    .help("give one of them an `id:` of its own"),
            );
        } else {
            seen.insert(id, node);
        }
    }
}
