//! What a profile may say and probably does not mean: variables nobody uses, waivers that have ended, bounds that can never
//! matter. Errors are for `resolve`.

use std::collections::BTreeSet;

use super::inherit::BUILT_IN;
use super::resolve::{Resolved, resolve_with_tree};
use super::stage::old_component_word;
use super::{Profile, Request, Step};
use kiln_limit::{Bound, Limit, Reference, Term};
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
    for (step, node) in steps(&profile, &root) {
        if let Some(old) = node.and_then(|node| node.get("each")).and_then(old_component_word) {
            all.push(old);
        }
        limits(step, node, request.name, has_baseline, &mut all);
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

fn limits(step: &Step, node: Option<&Node>, own: &str, has_baseline: bool, all: &mut Diagnostics) {
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
        if !has_baseline && of_baseline(limit) {
            let message = format!("`{name}` stands against a baseline, and there is none: it will be INCONCLUSIVE");
            all.push(
                Diagnostic::new(&place, message).help("give the run `--baseline FILE`, which `kiln baseline` makes"),
            );
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

fn of_baseline(limit: &Limit) -> bool {
    let stands = |term: &Term| match term {
        Term::Absolute(_) => false,
        Term::Share { of, .. } | Term::Offset { of, .. } => *of == Reference::Baseline,
    };
    match &limit.bound {
        Bound::AtLeast(term)
        | Bound::MoreThan(term)
        | Bound::AtMost(term)
        | Bound::LessThan(term)
        | Bound::Equal(term)
        | Bound::NotEqual(term)
        | Bound::Near { nominal: term, .. } => stands(term),
        Bound::Between(low, high) => stands(low) || stands(high),
        Bound::OneOf(_) | Bound::Matches(_) => false,
    }
}
