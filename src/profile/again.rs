//! `again: stage.step`: a second look with the same check, parameters and limits, written once.
//!
//! What breaks while a test runs is seen by looking again afterwards; a list of parts or a limit that a child gives to the
//! first look is then in force in the second as well. The step must be one that comes before, and not a second look itself.

use super::inherit::{entry_id, laid_over};
use super::leave_out::paths;
use kiln_yaml::{Diagnostic, Diagnostics, Kind, Node, did_you_mean};

/// What a second look does not take over: it goes its own way afterwards, and its id and title are its own.
const OWN: [&str; 5] = ["id", "title", "then", "needs", "again"];

/// Replaces every step that says `again` by the step it names, with its own changes laid over.
pub(super) fn look_again(mut root: Node, all: &mut Diagnostics) -> Node {
    let before = root.clone();
    let Kind::Mapping(entries) = &mut root.kind else { return root };
    for (_, stages) in entries.iter_mut().filter(|(key, _)| key.raw() == Some("stages")) {
        let Kind::Sequence(stages) = &mut stages.kind else { continue };
        for stage in stages {
            let Kind::Mapping(fields) = &mut stage.kind else { continue };
            for (_, steps) in fields.iter_mut().filter(|(key, _)| key.raw() == Some("steps")) {
                let Kind::Sequence(steps) = &mut steps.kind else { continue };
                for step in steps {
                    if let Some(full) = resolved(step, &before, all) {
                        *step = full;
                    }
                }
            }
        }
    }
    root
}

fn resolved(step: &Node, root: &Node, all: &mut Diagnostics) -> Option<Node> {
    let again = step.get("again")?;
    let path = again.text(all)?;
    let Some(first) = find(root, path).filter(|first| first.get("again").is_none()) else {
        let known = paths(root);
        let steps = known.iter().map(String::as_str).filter(|path| path.contains('.'));
        let message = format!("there is no step `{path}` to look again with");
        let left_out = root.get("without").and_then(Node::elements).unwrap_or_default().iter().filter_map(Node::raw);
        let help = left_out
            .into_iter()
            .find(|out| *out == path || path.split_once('.').is_some_and(|(stage, _)| stage == *out));
        let help = help.map(|out| format!("`without` leaves out `{out}`: leave out the second look with it as well"));
        all.push(Diagnostic::new(&again.place, message).maybe_help(did_you_mean(path, steps)).maybe_help(help));
        return None;
    };
    let mut first = first.clone();
    if let Kind::Mapping(entries) = &mut first.kind {
        entries.retain(|(key, _)| !OWN.contains(&key.raw().unwrap_or_default()));
    }
    let mut own = step.clone();
    if let Kind::Mapping(entries) = &mut own.kind {
        entries.retain(|(key, _)| key.raw() != Some("again"));
    }
    Some(laid_over(first, own, all))
}

fn find<'n>(root: &'n Node, path: &str) -> Option<&'n Node> {
    let (stage, step) = path.split_once('.')?;
    let is = |entry: &&Node, id: &str| entry_id(entry).as_deref() == Some(id);
    let stage = root.get("stages")?.elements()?.iter().find(|entry| is(entry, stage))?;
    stage.get("steps")?.elements()?.iter().find(|entry| is(entry, step))
}
