//! A part of a fault: what it is on, what it changes or logs there, and when. A fault file has one, and others beside it
//! under `also`.
//!
//! Choosing the components of a node is `fault_place`'s.

use super::fault_change::{ChangeOf, FaultChange, read_changes};
use super::fault_when::{When, read_when};
use kiln_model::ComponentKind;
use kiln_profile::component_kind;
use kiln_yaml::{Diagnostic, Diagnostics, Fields, Node};

/// One thing that is wrong.
#[derive(Debug, Clone)]
pub struct FaultPart {
    pub component: ComponentKind,
    pub reach: Reach,
    pub changes: Vec<FaultChange>,
    /// Kernel lines logged whenever it becomes active. `{pci}` stands for the address of its GPU.
    pub log: Vec<String>,
    pub when: When,
}

impl FaultPart {
    /// Whether it is there from the start, in full, and for good.
    pub fn is_standing(&self) -> bool {
        self.when.is_standing() && !self.is_growing()
    }

    /// Whether any change of it sets in slowly.
    pub(super) fn is_growing(&self) -> bool {
        self.changes.iter().any(|change| matches!(change.to, ChangeOf::Number { over: Some(_), .. }))
    }
}

/// Which components of its kind a part is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// The one that is asked for, or any.
    One,
    Half,
    All,
    /// Of a part under `also`: the one that belongs to the first part's component.
    Same,
    /// Any but the first part's.
    Another,
    /// The one in the same place of another branch.
    Twin,
    /// All but the first part's.
    Others,
}

const FIRST: &[(&str, Reach)] = &[("one", Reach::One), ("half", Reach::Half), ("all", Reach::All)];
const BESIDE: &[(&str, Reach)] = &[
    ("same", Reach::Same),
    ("another", Reach::Another),
    ("twin", Reach::Twin),
    ("others", Reach::Others),
    ("all", Reach::All),
];

/// The keys of the fault itself.
pub(super) fn read_first(fields: &mut Fields<'_>, all: &mut Diagnostics) -> Option<FaultPart> {
    read_part(fields, (FIRST, Reach::One), all)
}

/// What stands under `also`.
pub(super) fn read_others(node: &Node, all: &mut Diagnostics) -> Option<Vec<FaultPart>> {
    let before = all.len();
    let Some(elements) = node.elements() else {
        all.push(Diagnostic::new(&node.place, "`also` is a list of what else is wrong"));
        return None;
    };
    let mut parts = Vec::new();
    for element in elements {
        let Some(mut fields) = Fields::of(element, "a part of a fault", all) else { continue };
        parts.extend(read_part(&mut fields, (BESIDE, Reach::Same), all));
        fields.finish(all);
    }
    (all.len() == before).then_some(parts)
}

fn read_part(
    fields: &mut Fields<'_>,
    (words, usual): (&'static [(&'static str, Reach)], Reach),
    all: &mut Diagnostics,
) -> Option<FaultPart> {
    let component = fields.required("component", all).and_then(|node| component_kind(node, "component", all));
    let reach = match fields.optional("on", all) {
        Some(node) => node.one_of("on", words, all),
        None => Some(usual),
    };
    let when = match fields.optional("when", all) {
        Some(node) => read_when(node, all),
        None => Some(When::default()),
    };
    let log = match fields.optional("log", all) {
        Some(node) => read_log(node, all),
        None => Some(Vec::new()),
    };
    // A fault may be nothing but a line of the log.
    let quiet = log.as_ref().is_none_or(Vec::is_empty);
    let changes = match if quiet { fields.required("changes", all) } else { fields.optional("changes", all) } {
        Some(node) => read_changes(node, component, when.as_ref(), all),
        None => (!quiet).then(Vec::new),
    };
    Some(FaultPart { component: component?, reach: reach?, changes: changes?, log: log?, when: when? })
}

/// One line, or a list of them.
fn read_log(node: &Node, all: &mut Diagnostics) -> Option<Vec<String>> {
    let Some(elements) = node.elements() else { return Some(vec![node.text(all)?.to_owned()]) };
    elements.iter().map(|line| node_text(line, all)).collect()
}

fn node_text(node: &Node, all: &mut Diagnostics) -> Option<String> {
    node.text(all).map(str::to_owned)
}
