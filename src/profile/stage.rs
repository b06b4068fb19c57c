//! Stages and their steps.

use std::collections::{BTreeMap, BTreeSet};

use super::decode::{id, positive_span, span, text, unique};
use super::inherit::entry_id;
use super::{
    Capability, Catalogue, CheckSpec, Loop, OnUnmet, Policy, Retry, RetryOn, Skus, Stage, Step, Then, limits, params,
};
use kiln_model::{ComponentKind, Span, Unit};
use kiln_yaml::{Diagnostic, Diagnostics, Fields, Node, did_you_mean, nearest};

/// What a profile may speak about.
#[derive(Debug, Clone)]
pub(super) struct Scope<'a> {
    pub(super) catalogue: Catalogue,
    pub(super) skus: &'a Skus,
    pub(super) facts: Vec<(&'static str, Unit)>,
}

/// Reads a kind of component; a word of an older version is read as well.
pub fn component_kind(node: &Node, what: &str, all: &mut Diagnostics) -> Option<ComponentKind> {
    match ComponentKind::OLD_WORDS.iter().find(|(word, _)| node.raw() == Some(word)) {
        Some((_, kind)) => Some(*kind),
        None => node.one_of(what, &ComponentKind::WORDS, all),
    }
}

/// Says what to write in place of a word of an older version.
pub fn old_component_word(node: &Node) -> Option<Diagnostic> {
    let (word, kind) = ComponentKind::OLD_WORDS.iter().find(|(word, _)| node.raw() == Some(word))?;
    let message = format!("`{word}` is the word of an older version");
    Some(Diagnostic::new(&node.place, message).help(format!("write `{}`", kind.word())))
}

pub(super) const CAPABILITIES: &[(&str, Capability)] = &[
    ("nvlink", Capability::Nvlink),
    ("nvlink-switch", Capability::NvlinkSwitch),
    ("fabric", Capability::Fabric),
    ("c2c", Capability::C2c),
    ("memory-temperature", Capability::MemoryTemperature),
    ("inlet-temperature", Capability::InletTemperature),
    ("kernel-log", Capability::KernelLog),
    ("peers", Capability::Peers),
];

pub(super) const POLICIES: &[(&str, Policy)] =
    &[("continue", Policy::Continue), ("stop-stage", Policy::StopStage), ("stop", Policy::Stop)];

const GO_ON: Then = Then { fail: Policy::Continue, error: Policy::Continue, inconclusive: Policy::Continue };

/// More rounds than this are a burn-in that belongs under `for:`.
const MAX_ROUNDS: u32 = 100_000;

/// More attempts than this hide a defect.
const MAX_RETRIES: u32 = 10;

pub(super) fn stages(node: &Node, scope: &Scope<'_>, all: &mut Diagnostics) -> Vec<Stage> {
    let elements = node.list("stages", all).unwrap_or_default();
    if node.elements().is_some_and(<[Node]>::is_empty) {
        all.push(Diagnostic::new(&node.place, "a profile must have at least one stage"));
    }
    unique("stage", elements.iter().filter_map(|element| Some((entry_id(element)?, element))), all);
    let mut stages: Vec<Stage> = Vec::new();
    for element in elements {
        if let Some(stage) = stage(element, &stages, scope, all) {
            stages.push(stage);
        }
    }
    stages
}

pub(super) fn teardown(node: &Node, scope: &Scope<'_>, all: &mut Diagnostics) -> Vec<Step> {
    steps(node, "teardown", false, &[], scope, all)
}

fn stage(node: &Node, before: &[Stage], scope: &Scope<'_>, all: &mut Diagnostics) -> Option<Stage> {
    let mut fields = Fields::of(node, "a stage", all)?;
    let id_node = fields.required("id", all);
    let stage_id = id_node.and_then(|node| id(node, all)).unwrap_or_default();
    if let (Some(node), "teardown") = (id_node, stage_id.as_str()) {
        all.push(Diagnostic::new(&node.place, "a stage cannot be called `teardown`: that is the name of the teardown"));
    }
    let title = fields.optional("title", all).and_then(|node| text(node, all));
    let then = fields.optional("then", all).map_or(GO_ON, |node| then(node, all));
    let repeat = fields.optional("loop", all).and_then(|node| repeat(node, all)).unwrap_or(Loop::Count(1));
    let together = fields.optional("together", all).and_then(|node| node.bool(all)).unwrap_or(false);
    let earlier: Vec<String> = before.iter().map(|stage| stage.id.clone()).collect();
    let needs = fields.optional("needs", all).map(|node| needs(node, "stage", &earlier, all)).unwrap_or_default();
    let requires = fields.optional("requires", all).map(|node| requires(node, all)).unwrap_or_default();
    let steps = fields
        .required("steps", all)
        .map(|node| steps(node, &stage_id, together, before, scope, all))
        .unwrap_or_default();
    fields.finish(all);
    Some(Stage { id: stage_id, title, then, repeat, together, needs, requires, steps })
}

fn steps(
    node: &Node,
    stage: &str,
    together: bool,
    before: &[Stage],
    scope: &Scope<'_>,
    all: &mut Diagnostics,
) -> Vec<Step> {
    let elements = node.list("steps", all).unwrap_or_default();
    if node.elements().is_some_and(<[Node]>::is_empty) && stage != "teardown" {
        all.push(Diagnostic::new(&node.place, "a stage must have at least one step"));
    }
    unique("step", elements.iter().filter_map(|element| Some((entry_id(element)?, element))), all);
    let mut earlier: Vec<String> = before
        .iter()
        .flat_map(|stage| stage.steps.iter().map(move |step| format!("{}.{}", stage.id, step.id)))
        .collect();
    let mut steps = Vec::new();
    for element in elements {
        if let Some(step) = step(element, &earlier, scope, all) {
            // Steps that run side by side cannot wait for one another.
            if !together {
                earlier.push(step.id.clone());
                earlier.push(format!("{stage}.{}", step.id));
            }
            steps.push(step);
        }
    }
    if together {
        together_is_possible(node, &steps, scope, all);
    }
    steps
}

/// Steps that put load on GPUs cannot share them, and a stage of watchers alone would never end.
fn together_is_possible(node: &Node, steps: &[Step], scope: &Scope<'_>, all: &mut Diagnostics) {
    let specs: Vec<Option<&CheckSpec>> = steps.iter().map(|step| scope.catalogue.find(&step.check)).collect();
    let exclusive: Vec<&Step> = steps
        .iter()
        .zip(&specs)
        .filter(|(_, spec)| spec.is_some_and(|spec| spec.exclusive))
        .map(|(step, _)| step)
        .collect();
    if let [first, second, ..] = exclusive.as_slice() {
        let place = node
            .elements()
            .and_then(|elements| {
                elements.iter().find(|element| entry_id(element).as_deref() == Some(second.id.as_str()))
            })
            .map_or(&node.place, |element| &element.place);
        let message = format!("`{}` and `{}` both need the GPUs for themselves", first.id, second.id);
        all.push(
            Diagnostic::new(&place.first_line(), message)
                .help("put them into stages of their own, or drop `together: true`"),
        );
    }
    if !steps.is_empty() && specs.iter().all(|spec| spec.is_some_and(|spec| spec.watcher)) {
        let message = "all steps of this stage only watch: none of them would ever end";
        all.push(Diagnostic::new(&node.place.first_line(), message).help("add the step they are to watch"));
    }
}

fn step(node: &Node, earlier: &[String], scope: &Scope<'_>, all: &mut Diagnostics) -> Option<Step> {
    let mut fields = Fields::of(node, "a step", all)?;
    let check_node = fields.required("use", all);
    let check = check_node.and_then(|node| node.text(all)).unwrap_or_default();
    let spec = scope.catalogue.find(check);
    if let (Some(node), None) = (check_node, spec) {
        let help = did_you_mean(check, scope.catalogue.0.iter().map(|spec| spec.name));
        all.push(Diagnostic::new(&node.place, format!("there is no check `{check}`")).maybe_help(help));
    }
    let step_id = match fields.optional("id", all) {
        Some(node) => id(node, all).unwrap_or_default(),
        None => entry_id(node).unwrap_or_default(),
    };
    let title = fields.optional("title", all).and_then(|node| text(node, all));
    let each = fields.optional("each", all).and_then(|node| each(node, spec, all));
    let with = fields.optional("with", all);
    let params = spec.map(|spec| params::params(with, spec, all)).unwrap_or_default();
    let limits_node = fields.optional("limits", all);
    let limits = match (limits_node, spec) {
        (Some(node), Some(spec)) => limits::limits(node, spec, scope, all),
        _ => BTreeMap::new(),
    };
    let lot = fields.optional("lot", all).zip(spec);
    let lot = lot.map(|(node, spec)| limits::of_lot(node, spec, all)).unwrap_or_default();
    let then = fields.optional("then", all).map_or(GO_ON, |node| then(node, all));
    let retry = fields.optional("retry", all).and_then(|node| retry(node, all)).unwrap_or(Retry {
        max: 0,
        on: BTreeSet::from([RetryOn::Error]),
        delay: Span::ZERO,
    });
    let timeout = fields.optional("timeout", all).and_then(|node| positive_span(node, all));
    let needs = fields.optional("needs", all).map(|node| needs(node, "step", earlier, all)).unwrap_or_default();
    let requires = fields.optional("requires", all).map(|node| requires(node, all)).unwrap_or_default();
    fields.finish(all);
    Some(Step {
        id: step_id,
        check: check.to_owned(),
        title,
        each: each.or_else(|| spec?.each.first().copied()).unwrap_or(ComponentKind::Node),
        params,
        limits,
        lot,
        then,
        retry,
        timeout,
        needs,
        requires,
    })
}

fn each(node: &Node, spec: Option<&CheckSpec>, all: &mut Diagnostics) -> Option<ComponentKind> {
    let kind = component_kind(node, "kind of component", all)?;
    if let Some(spec) = spec
        && !spec.each.contains(&kind)
    {
        let known: Vec<String> = spec.each.iter().map(|kind| format!("`{}`", kind.word())).collect();
        let message = format!("`{}` cannot run on each `{}`", spec.name, kind.word());
        all.push(Diagnostic::new(&node.place, message).help(format!("it runs on each {}", known.join(" or "))));
    }
    Some(kind)
}

fn then(node: &Node, all: &mut Diagnostics) -> Then {
    let Some(mut fields) = Fields::of(node, "`then`", all) else { return GO_ON };
    let mut policy = |key: &'static str| {
        fields.optional(key, all).and_then(|node| node.one_of("policy", POLICIES, all)).unwrap_or(Policy::Continue)
    };
    let then = Then { fail: policy("fail"), error: policy("error"), inconclusive: policy("inconclusive") };
    fields.finish(all);
    then
}

fn repeat(node: &Node, all: &mut Diagnostics) -> Option<Loop> {
    let mut fields = Fields::of(node, "`loop`", all)?;
    let (length, count) = (fields.optional("for", all), fields.optional("count", all));
    fields.finish(all);
    match (length, count) {
        (Some(node), None) => positive_span(node, all).map(Loop::For),
        (None, Some(node)) => {
            let count = node.whole::<u32>(all)?;
            if !(1..=MAX_ROUNDS).contains(&count) {
                all.push(Diagnostic::new(&node.place, format!("the count must lie between 1 and {MAX_ROUNDS}")));
            }
            Some(Loop::Count(count))
        }
        _ => {
            let message = "`loop` takes either `for` or `count`";
            all.push(Diagnostic::new(&node.place, message).help("write `loop: { for: 2h }` or `loop: { count: 3 }`"));
            None
        }
    }
}

fn retry(node: &Node, all: &mut Diagnostics) -> Option<Retry> {
    let mut fields = Fields::of(node, "`retry`", all)?;
    let max_node = fields.required("max", all);
    let max = max_node.and_then(|node| node.whole::<u32>(all)).unwrap_or(0);
    if let Some(node) = max_node
        && max > MAX_RETRIES
    {
        let message = format!("more than {MAX_RETRIES} retries hide a defect");
        all.push(Diagnostic::new(&node.place, message));
    }
    let on_node = fields.optional("on", all);
    let words = [("error", RetryOn::Error), ("inconclusive", RetryOn::Inconclusive), ("fail", RetryOn::Fail)];
    let on: BTreeSet<RetryOn> = match on_node {
        None => BTreeSet::from([RetryOn::Error]),
        Some(node) => {
            let elements = node.list("outcomes", all).unwrap_or_default();
            elements.iter().filter_map(|node| node.one_of("outcome", &words, all)).collect()
        }
    };
    let delay = fields.optional("delay", all).and_then(|node| span(node, all)).unwrap_or_default();
    let reason = fields.optional("reason", all).and_then(|node| node.text(all));
    if let Some(node) = on_node
        && on.contains(&RetryOn::Fail)
        && reason.is_none_or(|reason| reason.trim().is_empty())
    {
        all.push(
            Diagnostic::new(&node.place, "retrying a fail needs a `reason`")
                .help("a fail is proof against the unit; say why a second look is right here: `reason: \"...\"`"),
        );
    }
    fields.finish(all);
    Some(Retry { max, on, delay })
}

/// Names under `needs:`: each must be one of what runs before.
fn needs(node: &Node, what: &str, earlier: &[String], all: &mut Diagnostics) -> Vec<String> {
    let mut needs = Vec::new();
    for element in node.list(&format!("{what} ids"), all).unwrap_or_default() {
        let Some(name) = element.text(all) else { continue };
        if !earlier.iter().any(|known| known == name) {
            let help = match nearest(name, earlier.iter().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None if what == "step" => {
                    "name a step before this one in its stage, or `stage.step` of a stage before; steps that run together \
                     cannot wait for one another"
                        .to_owned()
                }
                None => "name a stage before this one".to_owned(),
            };
            all.push(Diagnostic::new(&element.place, format!("no {what} `{name}` runs before this one")).help(help));
        }
        needs.push(name.to_owned());
    }
    needs
}

/// `nvlink`, `[nvlink, c2c]` or `{ nvlink: skip }`; without a word, what is unmet is an error.
fn requires(node: &Node, all: &mut Diagnostics) -> BTreeMap<Capability, OnUnmet> {
    let outcomes = [("error", OnUnmet::Error), ("skip", OnUnmet::Skip)];
    let mut requires = BTreeMap::new();
    if let Some(entries) = node.entries() {
        for (key, value) in entries {
            let capability = key.one_of("capability", CAPABILITIES, all);
            let outcome = value.one_of("outcome", &outcomes, all);
            requires.extend(capability.zip(outcome));
        }
    } else {
        for element in node.elements().unwrap_or(std::slice::from_ref(node)) {
            let capability = element.one_of("capability", CAPABILITIES, all);
            requires.extend(capability.map(|capability| (capability, OnUnmet::Error)));
        }
    }
    requires
}
