//! Reading a profile and the chain of its parents, and laying each file over the one it extends.
//!
//! Mappings merge key by key and lists replace, with what a test engineer needs on top:
//! - `id`, `revision` and `title` are never inherited: they name this file.
//! - `stages`, `steps` and `teardown` of a parent are never lost by not being mentioned: an entry with the id of one of the
//!   parent's changes only what it writes, the bare id stands for the parent's entry unchanged, and entries that are not
//!   written stay. Entries that are written come in the order written; the others keep their place after the one that was
//!   before them. Only `without: [stage, stage.step, teardown.step]` leaves something out, and a stock of stages gives only
//!   what is written; see `leave_out`.
//! - `again: stage.step` in a step starts from that step as it is after all files are merged; see `again`.
//! - `guards` add up, as leaving out a safety rule by accident must be impossible: a guard with a parent's id changes it,
//!   any other is added, and only `off: true` removes one.
//! - `title`, `loop` and `trip` are one value each and replace; so does the short form of a limit; the limit `none`
//!   removes an inherited one.

use super::again::look_again;
use super::builtin;
use super::leave_out::{leave_out, not_taken};
use kiln_yaml::{Diagnostic, Diagnostics, Document, Kind, Node, Style, did_you_mean};

/// How a profile's parent is read from a path; the message says why it cannot be.
pub type ReadFile<'a> = &'a dyn Fn(&str) -> Result<Vec<u8>, String>;

/// A chain longer than this is not reviewable.
const MAX_PARENTS: usize = 8;

/// What messages call a file that is built in.
pub(super) const BUILT_IN: &str = "built-in:";

/// Reads `name` and lays it over its parents. Without a parent that can be read there is nothing to go on with; other
/// errors are left in `all`.
pub(super) fn load(name: &str, bytes: &[u8], read: ReadFile<'_>, all: &mut Diagnostics) -> Result<Node, Diagnostics> {
    let mut chain = vec![Document::parse(name, bytes)?.root];
    let mut names = vec![name.to_owned()];
    while let Some(extends) = chain.last().and_then(|node| node.get("extends")).cloned() {
        let child = names.last().map_or("", String::as_str);
        let Some(parent) = extends.text(all).and_then(|text| locate(text, child, &extends, all)) else {
            break;
        };
        if names.contains(&parent) || names.len() > MAX_PARENTS {
            let through =
                names.iter().skip_while(|name| **name != parent).cloned().collect::<Vec<_>>().join(" extends ");
            let message = if names.contains(&parent) {
                format!("a profile cannot extend itself: {through} extends {parent}")
            } else {
                format!("more than {MAX_PARENTS} profiles extend one another")
            };
            all.push(Diagnostic::new(&extends.place, message).label("this closes the circle"));
            break;
        }
        let bytes = match parent.strip_prefix(BUILT_IN) {
            Some(built_in) => builtin::profile(built_in.trim_end_matches(".yaml"))
                .map(|text| text.as_bytes().to_vec())
                .ok_or_else(String::new),
            None => read(&parent),
        };
        match bytes {
            Ok(bytes) => match Document::parse(&parent, &bytes) {
                Ok(document) => chain.push(document.root),
                Err(errors) => {
                    all.extend(errors);
                    break;
                }
            },
            Err(why) => {
                let message = format!("the parent `{parent}` cannot be read: {why}");
                all.push(Diagnostic::new(&extends.place, message));
                break;
            }
        }
        names.push(parent);
    }
    if !all.is_empty() {
        return Err(std::mem::take(all));
    }
    let mut tree = None;
    while let Some(node) = chain.pop() {
        tree = Some(if let Some(parent) = tree {
            let node = without_the_rest_of_a_stock(&parent, node);
            let parent = leave_out(without_identity(parent), &node, all);
            // After that: a bare id stands for what is left of the parent's entry.
            let node = select_lists(node, all, Some(&parent));
            merge(parent, node, Level::Profile, all)
        } else {
            let node = select_lists(node, all, None);
            if let Some(without) = node.get("without") {
                let message = "`without` leaves out what a parent has, and this profile extends none";
                all.push(Diagnostic::new(&without.place, message));
            }
            node
        });
    }
    tree.map(|tree| look_again(tree, all)).ok_or_else(|| std::mem::take(all))
}

/// The name of the file `extends` means, as seen from `child`.
fn locate(text: &str, child: &str, extends: &Node, all: &mut Diagnostics) -> Option<String> {
    let is_path = text.contains(['/', '.']);
    if !is_path {
        if builtin::profile(text).is_some() {
            return Some(format!("{BUILT_IN}{text}.yaml"));
        }
        let near = did_you_mean(text, builtin::profile_names()).map(|help| format!("{help}; ")).unwrap_or_default();
        all.push(
            Diagnostic::new(&extends.place, format!("there is no built-in profile `{text}`"))
                .help(format!("{near}a file is given by its path: `./{text}.yaml`")),
        );
        return None;
    }
    if child.starts_with(BUILT_IN) {
        all.push(Diagnostic::new(&extends.place, "a built-in profile extends built-in profiles only"));
        return None;
    }
    let folder = std::path::Path::new(child).parent().unwrap_or(std::path::Path::new(""));
    let mut parts: Vec<std::path::Component<'_>> = Vec::new();
    let joined = folder.join(text);
    for part in joined.components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir if matches!(parts.last(), Some(std::path::Component::Normal(_))) => {
                parts.pop();
            }
            other => parts.push(other),
        }
    }
    Some(parts.iter().collect::<std::path::PathBuf>().to_string_lossy().into_owned())
}

fn without_identity(mut parent: Node) -> Node {
    if let Kind::Mapping(entries) = &mut parent.kind {
        entries.retain(|(key, _)| {
            !matches!(key.raw(), Some("schema" | "id" | "revision" | "title" | "extends" | "stock"))
        });
    }
    parent
}

/// The child, leaving out what it does not take from a stock as if it had written so.
fn without_the_rest_of_a_stock(parent: &Node, mut child: Node) -> Node {
    let mut rest = not_taken(parent, &child);
    if let (false, Kind::Mapping(entries)) = (rest.is_empty(), &mut child.kind) {
        let place = rest[0].place.clone();
        match entries.iter_mut().find(|(key, _)| key.raw() == Some("without")) {
            Some((_, Node { kind: Kind::Sequence(own), .. })) => {
                // What is left out twice is left out.
                rest.retain(|stage| !own.iter().any(|written| written.raw() == stage.raw()));
                own.append(&mut rest);
            }
            Some(_) => {}
            None => {
                let key = Kind::Scalar { text: "without".to_owned(), style: Style::Plain };
                let list = Node { place: place.clone(), kind: Kind::Sequence(rest) };
                entries.push((Node { place, kind: key }, list));
            }
        }
    }
    child
}

/// Where in a profile two values meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Profile,
    Stage,
    Step,
    Guard,
    Inner,
}

/// What a list under a key holds and how it is inherited.
fn list_of(level: Level, key: &str) -> Option<Level> {
    match (level, key) {
        (Level::Profile, "stages") => Some(Level::Stage),
        (Level::Profile, "guards") => Some(Level::Guard),
        (Level::Profile, "teardown") | (Level::Stage, "steps") => Some(Level::Step),
        _ => None,
    }
}

fn merge(parent: Node, child: Node, level: Level, all: &mut Diagnostics) -> Node {
    let (Kind::Mapping(mut entries), Kind::Mapping(changes)) = (parent.kind, child.kind.clone()) else { return child };
    for (key, value) in changes {
        let name = key.raw().unwrap_or_default().to_owned();
        let Some(at) = entries.iter().position(|(other, _)| other.raw() == key.raw()) else {
            entries.push((key, value));
            continue;
        };
        let (_, inherited) = entries.remove(at);
        let value = match list_of(level, &name) {
            Some(of) => merge_lists(inherited, value, of, all),
            None if level == Level::Profile && name == "vars" => merge_variables(inherited, value, all),
            None if level == Level::Profile && name == "without" => joined(inherited, value),
            None if matches!(name.as_str(), "title" | "loop" | "trip") => value,
            None => merge(inherited, value, Level::Inner, all),
        };
        entries.insert(at, (key, value));
    }
    Node { place: child.place, kind: Kind::Mapping(entries) }
}

/// A step laid over another.
pub(super) fn laid_over(parent: Node, child: Node, all: &mut Diagnostics) -> Node {
    merge(parent, child, Level::Step, all)
}

/// The id an entry of a list goes by: its `id`, or for a step the check it uses.
pub(super) fn entry_id(node: &Node) -> Option<String> {
    match node.get("id") {
        Some(id) => id.raw().map(str::to_owned),
        None => node.get("use").and_then(Node::raw).map(|name| name.replace('.', "-")),
    }
}

fn merge_lists(parent: Node, child: Node, of: Level, all: &mut Diagnostics) -> Node {
    let (Kind::Sequence(mut inherited), Kind::Sequence(entries)) = (parent.kind, child.kind.clone()) else {
        return child;
    };
    // A guard stays where the parent has it, and what the child adds comes after.
    if of == Level::Guard {
        let mut added = Vec::new();
        for entry in entries {
            match place_of(&inherited, &entry) {
                Some(at) => inherited[at] = merge(inherited[at].clone(), entry, of, all),
                None => added.push(entry),
            }
        }
        inherited.append(&mut added);
        return Node { place: child.place, kind: Kind::Sequence(inherited) };
    }
    let known: Vec<Option<String>> = inherited.iter().map(entry_id).collect();
    let is_new = |entry: &Node| !known.contains(&entry_id(entry));
    let mut merged: Vec<Node> = Vec::new();
    for entry in entries {
        merged.push(match place_of(&inherited, &entry) {
            Some(at) => merge(inherited[at].clone(), entry, of, all),
            None => entry,
        });
    }
    // What the child does not write stays, after the one that was before it and what the child put behind that.
    let mut before: Option<String> = None;
    for entry in inherited {
        let id = entry_id(&entry);
        if place_of(&merged, &entry).is_none() {
            let mut at =
                before.as_ref().and_then(|id| merged.iter().position(|one| entry_id(one).as_ref() == Some(id)));
            at = at.map(|at| at + 1 + merged[at + 1..].iter().take_while(|entry| is_new(entry)).count());
            merged.insert(at.unwrap_or(0), entry);
        }
        before = id;
    }
    Node { place: child.place, kind: Kind::Sequence(merged) }
}

fn place_of(list: &[Node], entry: &Node) -> Option<usize> {
    let id = entry_id(entry)?;
    list.iter().position(|other| entry_id(other).as_ref() == Some(&id))
}

/// A child's value of a variable takes the place of the parent's; the least value that the parent asks for stays in force
/// until the child writes one of its own.
fn merge_variables(parent: Node, child: Node, all: &mut Diagnostics) -> Node {
    let (Kind::Mapping(mut entries), Kind::Mapping(changes)) = (parent.kind, child.kind.clone()) else { return child };
    for (key, value) in changes {
        let Some(at) = entries.iter().position(|(other, _)| other.raw() == key.raw()) else {
            entries.push((key, value));
            continue;
        };
        let inherited = &entries[at].1;
        let value = match (inherited.entries(), value.entries()) {
            (Some(_), None) => {
                let mut long = inherited.clone();
                if let Kind::Mapping(fields) = &mut long.kind {
                    let old = fields.iter_mut().find(|(name, _)| name.raw() == Some("value"));
                    if let Some((_, old)) = old {
                        *old = value.clone();
                    }
                }
                Node { place: value.place, kind: long.kind }
            }
            (Some(_), Some(_)) => merge(inherited.clone(), value, Level::Inner, all),
            (None, _) => value,
        };
        entries[at] = (key, value);
    }
    Node { place: child.place, kind: Kind::Mapping(entries) }
}

/// Both lists, the parent's first.
fn joined(parent: Node, child: Node) -> Node {
    let (Kind::Sequence(mut all), Kind::Sequence(own)) = (parent.kind, child.kind.clone()) else { return child };
    all.extend(own);
    Node { place: child.place, kind: Kind::Sequence(all) }
}

/// Replaces bare ids in the lists of stages and steps by the parent's entry of that id.
fn select_lists(mut node: Node, all: &mut Diagnostics, parent: Option<&Node>) -> Node {
    select_in(&mut node, Level::Profile, parent, all);
    node
}

fn select_in(node: &mut Node, level: Level, parent: Option<&Node>, all: &mut Diagnostics) {
    let Kind::Mapping(entries) = &mut node.kind else { return };
    for (key, value) in entries {
        let name = key.raw().unwrap_or_default().to_owned();
        let (Some(of), Kind::Sequence(elements)) = (list_of(level, &name), &mut value.kind) else { continue };
        let inherited = parent.and_then(|parent| parent.get(&name)).and_then(Node::elements).unwrap_or_default();
        let by_id = |id: &str| inherited.iter().find(|entry| entry_id(entry).as_deref() == Some(id));
        for element in elements {
            if let Kind::Scalar { text, .. } = &element.kind {
                if let Some(found) = by_id(text) {
                    *element = found.clone();
                } else if !element.is_null() {
                    let ids: Vec<String> = inherited.iter().filter_map(entry_id).collect();
                    let what = if of == Level::Stage {
                        "stage"
                    } else if of == Level::Step {
                        "step"
                    } else {
                        "guard"
                    };
                    all.push(
                        Diagnostic::new(
                            &element.place,
                            format!("there is no {what} `{text}` to take over from a parent"),
                        )
                        .maybe_help(did_you_mean(text, ids.iter().map(String::as_str))),
                    );
                }
            } else {
                let inherited = entry_id(element).and_then(|id| by_id(&id));
                select_in(element, of, inherited, all);
            }
        }
    }
}
