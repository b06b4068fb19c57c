//! `without: [rest, load.march, teardown.config]`: what a child leaves out of its parent, in its own words.
//!
//! Nothing else removes a stage or step of a test, so that one never becomes shorter than the one it stands for without a
//! line that says so. A parent with `stock: true` is no test but stages to choose from: a child that writes `stages` gets
//! those that it writes. The resolved profile keeps the list of all that was left out, either way.

use super::inherit::entry_id;
use kiln_yaml::{Diagnostic, Diagnostics, Kind, Node, Style, did_you_mean};

/// The parent without what the child says to leave out.
pub(super) fn leave_out(mut parent: Node, child: &Node, all: &mut Diagnostics) -> Node {
    let Some(without) = child.get("without") else { return parent };
    for element in without.list("stages and steps", all).unwrap_or_default() {
        let Some(path) = element.text(all) else { continue };
        if !remove(&mut parent, path) {
            let known = paths(&parent);
            let help = did_you_mean(path, known.iter().map(String::as_str));
            let message = format!("the parent has no stage or step `{path}`");
            all.push(Diagnostic::new(&element.place, message).maybe_help(help));
        }
    }
    parent
}

/// The stages of a stock that its child does not write, if it writes any; each stands where the child's list begins.
pub(super) fn not_taken(parent: &Node, child: &Node) -> Vec<Node> {
    let is_stock = parent.get("stock").and_then(Node::raw) == Some("true");
    let Some(written) = child.get("stages").filter(|_| is_stock) else { return Vec::new() };
    let taken: Vec<String> = written
        .elements()
        .unwrap_or_default()
        .iter()
        .filter_map(|one| entry_id(one).or(one.raw().map(str::to_owned)))
        .collect();
    let mut left: Vec<String> =
        parent.get("stages").and_then(Node::elements).unwrap_or_default().iter().filter_map(entry_id).collect();
    left.retain(|id| !taken.contains(id));
    left.into_iter()
        .map(|text| Node { place: written.place.clone(), kind: Kind::Scalar { text, style: Style::Plain } })
        .collect()
}

/// Every stage and step there is.
pub(super) fn paths(root: &Node) -> Vec<String> {
    let mut paths = Vec::new();
    for stage in root.get("stages").and_then(Node::elements).unwrap_or_default() {
        let Some(id) = entry_id(stage) else { continue };
        let steps = stage.get("steps").and_then(Node::elements).unwrap_or_default();
        let steps = steps.iter().filter_map(entry_id).map(|step| format!("{id}.{step}"));
        paths.extend(std::iter::once(id.clone()).chain(steps));
    }
    let teardown = root.get("teardown").and_then(Node::elements).unwrap_or_default();
    paths.extend(teardown.iter().filter_map(entry_id).map(|step| format!("teardown.{step}")));
    paths
}

fn remove(root: &mut Node, path: &str) -> bool {
    match path.split_once('.') {
        None => list_in(root, "stages").is_some_and(|stages| take(stages, path)),
        Some(("teardown", step)) => list_in(root, "teardown").is_some_and(|steps| take(steps, step)),
        Some((stage, step)) => {
            let stages = list_in(root, "stages");
            let stage = stages.and_then(|all| all.iter_mut().find(|one| entry_id(one).as_deref() == Some(stage)));
            stage.and_then(|stage| list_in(stage, "steps")).is_some_and(|steps| take(steps, step))
        }
    }
}

fn list_in<'n>(node: &'n mut Node, key: &str) -> Option<&'n mut Vec<Node>> {
    let Kind::Mapping(entries) = &mut node.kind else { return None };
    let (_, value) = entries.iter_mut().find(|(name, _)| name.raw() == Some(key))?;
    match &mut value.kind {
        Kind::Sequence(elements) => Some(elements),
        _ => None,
    }
}

fn take(list: &mut Vec<Node>, id: &str) -> bool {
    let before = list.len();
    list.retain(|entry| entry_id(entry).as_deref() != Some(id));
    list.len() < before
}
