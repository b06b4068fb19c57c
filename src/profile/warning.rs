//! What a profile may say and probably does not mean: variables nobody uses, waivers that have ended, bounds that can never
//! matter. Errors are for `resolve`.

use std::collections::BTreeSet;

use super::inherit::BUILT_IN;
use super::resolve::{Resolved, resolve_with_tree};
use super::stage::old_component_word;
use super::{Loop, Profile, Request, Step};
use kiln_limit::{Bound, Reference, Term};
use kiln_yaml::{Diagnostic, Diagnostics, Node};

/// Everything of the profile that deserves a second look. `today` ends waivers; `has_baseline` says whether the run will be
/// given one.
pub fn warnings(
    request: &Request<'_>,
    today: jiff::civil::Date,
    has_baseline: bool,
) -> Result<Diagnostics, Diagnostics> {
    let Resolved { profile, root, variables } = resolve_with_tree(request)?;
    let mut all = Diagnostics::new();
    let used: BTreeSet<&String> = variables.used.values().collect();
    // What a parent declares is the parent's business: a child may leave out the step that used it.
    for (name, value) in
        variables.values().filter(|(name, value)| value.place.file() == request.name && !used.contains(name))
    {
        let message = format!("the variable `{name}` is used nowhere");
        all.push(Diagnostic::new(&value.place, message).help("write `${...}` where its value belongs, or take it out"));
    }
    for (waiver, node) in profile.waivers.iter().zip(root.get("waivers").and_then(Node::elements).unwrap_or_default()) {
        if waiver.until < today {
            let place = node.get("until").map_or(&node.place, |until| &until.place);
            let message = format!("this waiver ended on {}, and waives nothing any more", waiver.until);
            all.push(Diagnostic::new(place, message).help("take it out, or have it granted anew"));
        }
    }
    let steps = steps(&profile, &root);
    for (nth, (step, node)) in steps.iter().enumerate() {
        let (step, node) = (*step, *node);
        if let Some(old) = node.and_then(|node| node.get("each")).and_then(old_component_word) {
            all.push(old);
        }
        let measures = |(one, _): &(&Step, _), name: &str| {
            request.catalogue.find(&one.check).is_some_and(|spec| spec.measurement(name).is_some())
        };
        let is_before =
            |name: &str| is_repeated(&profile, step) || steps[..nth].iter().any(|before| measures(before, name));
        limits(step, node, request.name, &Ground { has_baseline, is_before: &is_before }, &mut all);
    }
    Ok(all)
}

/// Every step with where it stands.
fn steps<'a>(profile: &'a Profile, root: &'a Node) -> Vec<(&'a Step, Option<&'a Node>)> {
    let list = |node: Option<&'a Node>| node.and_then(Node::elements).unwrap_or_default();
    let mut steps: Vec<(&Step, Option<&Node>)> = Vec::new();
    for (stage, node) in profile.stages.iter().zip(list(root.get("stages"))) {
        let nodes = list(node.get("steps"));
        steps.extend(stage.steps.iter().enumerate().map(|(nth, step)| (step, nodes.get(nth))));
    }
    let nodes = list(root.get("teardown"));
    steps.extend(profile.teardown.iter().enumerate().map(|(nth, step)| (step, nodes.get(nth))));
    steps
}

/// Whether the step's stage has more than one round.
fn is_repeated(profile: &Profile, step: &Step) -> bool {
    let stage = profile.stages.iter().find(|stage| stage.steps.iter().any(|one| std::ptr::eq(one, step)));
    stage.is_some_and(|stage| stage.repeat != Loop::Count(1))
}

/// What the limits of a profile can stand on.
struct Ground<'a> {
    has_baseline: bool,
    /// Whether a step before this one, or an earlier round of it, makes a measurement of that name.
    is_before: &'a dyn Fn(&str) -> bool,
}

fn limits(step: &Step, node: Option<&Node>, own: &str, ground: &Ground<'_>, all: &mut Diagnostics) {
    for (name, limit) in &step.limits {
        let Some(place) = node.and_then(|node| node.get("limits")?.get(name)).map(|node| node.place.first_line())
        else {
            continue;
        };
        // A limit of a built-in parent is not for its user to mend.
        if place.file() != own && place.file().starts_with(BUILT_IN) {
            continue;
        }
        if limit.marginal.as_ref().is_some_and(|marginal| is_looser(marginal, &limit.bound)) {
            let message =
                format!("`marginal` of `{name}` is looser than its limit `{}`: nothing is ever marginal", limit.text);
            all.push(Diagnostic::new(&place, message).help("a marginal bound lies inside the limit"));
        }
        if !ground.has_baseline && limit.stands_on(&Reference::Baseline) {
            let message = format!("`{name}` stands against a baseline, and there is none: it will be INCONCLUSIVE");
            all.push(
                Diagnostic::new(&place, message).help("give the run `--baseline FILE`, which `kiln baseline` makes"),
            );
        }
        if limit.stands_on(&Reference::First) && !(ground.is_before)(name) {
            let message = format!("no step before this one measures `{name}`: it will be held against itself");
            all.push(Diagnostic::new(&place, message).help("write the limit at a later step"));
        }
    }
}

/// Whether the tighter bound lets pass what the limit does not. `None` of terms that stand on different references.
fn is_looser(marginal: &Bound, limit: &Bound) -> bool {
    match (marginal, limit) {
        (Bound::AtLeast(tight) | Bound::MoreThan(tight), Bound::AtLeast(wide) | Bound::MoreThan(wide)) => {
            difference(tight, wide).is_some_and(|over| over < 0.0)
        }
        (Bound::AtMost(tight) | Bound::LessThan(tight), Bound::AtMost(wide) | Bound::LessThan(wide)) => {
            difference(tight, wide).is_some_and(|over| over > 0.0)
        }
        (Bound::Between(low, high), Bound::Between(least, most)) => {
            difference(low, least).is_some_and(|over| over < 0.0)
                || difference(high, most).is_some_and(|over| over > 0.0)
        }
        _ => false,
    }
}

/// How much more one term is than another, where both stand on the same.
fn difference(one: &Term, two: &Term) -> Option<f64> {
    match (one, two) {
        (Term::Absolute(one), Term::Absolute(two)) => Some(one.value_in(two.unit)? - two.value),
        (Term::Share { percent, of }, Term::Share { percent: other, of: same }) if of == same => Some(percent - other),
        (Term::Offset { of, plus }, Term::Offset { of: same, plus: other }) if of == same => {
            Some(plus.value_in(other.unit)? - other.value)
        }
        _ => None,
    }
}
