//! What a fault changes: one operation on one parameter, as a fault file writes it.
//!
//! When it does so is `fault_when`'s; what comes of it in a node is `fault_run`'s.

use super::fault_when::When;
use super::parameter::{Meaning, Parameter, Word};
use kiln_model::{ComponentKind, Quantity, Unit, parse_span};
use kiln_yaml::{Diagnostic, Diagnostics, Fields, Node, TextPlace, did_you_mean};

/// One thing a fault changes.
#[derive(Debug, Clone)]
pub struct FaultChange {
    pub to: ChangeOf,
    /// Where the file says so.
    pub place: TextPlace,
}

#[derive(Debug, Clone)]
pub enum ChangeOf {
    Number {
        parameter: Parameter,
        operation: Operation,
        /// Seconds from the moment the fault sets in over which the change grows to its full size.
        over: Option<f64>,
    },
    /// The word becomes this text.
    Word { word: Word, text: String },
    /// The word becomes that of the next GPU.
    CopyOfNeighbour(Word),
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Operation {
    Set(Formula),
    Scale(Formula),
    Add(Formula),
}

/// `base + per_severity * severity`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Formula {
    pub base: f64,
    pub per_severity: f64,
}

impl Formula {
    pub fn at(self, severity: f64) -> f64 {
        self.base + self.per_severity * severity
    }
}

pub(super) fn quantity(node: &Node, unit: Unit, all: &mut Diagnostics) -> Option<f64> {
    let quantity: Quantity = node.parse_with(str::parse, all)?;
    let value = quantity.value_in(unit);
    if value.is_none() {
        all.push(Diagnostic::new(&node.place, format!("expected a value in {unit}, found `{quantity}`")));
    }
    value
}

pub(super) fn read_changes(
    node: &Node,
    component: Option<ComponentKind>,
    when: Option<&When>,
    all: &mut Diagnostics,
) -> Option<Vec<FaultChange>> {
    let entries = node.mapping("changes", all)?;
    let before = all.len();
    let changes: Vec<FaultChange> =
        entries.iter().filter_map(|(name, value)| read_change(name, value, component, when, all)).collect();
    if entries.is_empty() {
        all.push(Diagnostic::new(&node.place, "a fault that changes nothing is none"));
    }
    (all.len() == before).then_some(changes)
}

fn read_change(
    name: &Node,
    value: &Node,
    component: Option<ComponentKind>,
    when: Option<&When>,
    all: &mut Diagnostics,
) -> Option<FaultChange> {
    let text = name.raw()?;
    let place = name.place.clone();
    let mut refuse = |message: String| all.push(Diagnostic::new(&place, message));
    if let Some((word, owner)) = Word::by_name(text) {
        if component.is_some_and(|component| component != owner) {
            refuse(format!("`{text}` is a parameter of `{}`, not of what the fault is on", owner.word()));
            return None;
        }
        if when.is_some_and(|when| !when.is_standing()) {
            refuse(format!("`{text}` is read once: it can only be wrong `always` or `after_reboot`"));
            return None;
        }
        return read_word(word, value, all).map(|to| FaultChange { to, place });
    }
    let Some(parameter) = Parameter::by_name(text) else {
        let names = Parameter::all().map(|p| p.spec().name).chain(Word::ALL.iter().map(|row| row.0));
        let help = did_you_mean(text, names);
        all.push(Diagnostic::new(&place, format!("the model has no parameter `{text}`")).maybe_help(help));
        return None;
    };
    let spec = parameter.spec();
    if component.is_some_and(|component| !parameter.belongs_to(component)) {
        refuse(format!("`{text}` is a parameter of `{}`, not of what the fault is on", spec.component.word()));
        return None;
    }
    if spec.meaning == Meaning::Level && when.is_some_and(|when| when.has_moments() && when.lasting.is_none()) {
        refuse(format!("`{text}` is a level: with `rate` or `every` it needs `for`, how long it stays"));
        return None;
    }
    let (operation, over) = read_operation(value, spec.unit, all)?;
    if over.is_some() && (spec.meaning != Meaning::Level || when.is_some_and(When::has_moments)) {
        all.push(Diagnostic::new(&value.place, "only a level that stays can set in slowly: leave `over` out"));
        return None;
    }
    Some(FaultChange { to: ChangeOf::Number { parameter, operation, over }, place })
}

fn read_word(word: Word, value: &Node, all: &mut Diagnostics) -> Option<ChangeOf> {
    let mut fields = Fields::of(value, "a change of a word", all)?;
    let text = fields.optional("set", all).and_then(|node| node.text(all)).map(str::to_owned);
    let copied = fields.optional("copy", all).and_then(|node| node.one_of("source", &[("neighbour", ())], all));
    fields.finish(all);
    match (text, copied) {
        (Some(text), None) => Some(ChangeOf::Word { word, text }),
        (None, Some(())) => Some(ChangeOf::CopyOfNeighbour(word)),
        _ => {
            all.push(Diagnostic::new(&value.place, "write `{ set: \"text\" }` or `{ copy: neighbour }`"));
            None
        }
    }
}

fn read_operation(value: &Node, unit: Unit, all: &mut Diagnostics) -> Option<(Operation, Option<f64>)> {
    let mut fields = Fields::of(value, "a change", all)?;
    // Two temperatures differ by kelvins.
    let difference = if unit == Unit::Celsius { Unit::Kelvin } else { unit };
    let set = fields.optional("set", all).map(|node| formula(node, unit, 0.0, all));
    let scale = fields.optional("scale", all).map(|node| formula(node, Unit::One, 1.0, all));
    let add = fields.optional("add", all).map(|node| formula(node, difference, 0.0, all));
    let over = fields.optional("over", all).map(|node| node.parse_with(parse_span, all));
    fields.finish(all);
    let operation = match (set, scale, add) {
        (Some(set), None, None) => set.map(Operation::Set),
        (None, Some(scale), None) => scale.map(Operation::Scale),
        (None, None, Some(add)) => add.map(Operation::Add),
        _ => {
            all.push(Diagnostic::new(&value.place, "a change is one of `set`, `scale` and `add`"));
            None
        }
    };
    let over = match over {
        Some(span) => Some(span?.as_secs_f64()),
        None => None,
    };
    Some((operation?, over))
}

/// A value, or `{ base: ..., per_severity: ... }`; the base of a scale that names none is 1.
fn formula(node: &Node, unit: Unit, base: f64, all: &mut Diagnostics) -> Option<Formula> {
    if node.entries().is_none() {
        return quantity(node, unit, all).map(|base| Formula { base, per_severity: 0.0 });
    }
    let mut fields = Fields::of(node, "a formula", all)?;
    let base = match fields.optional("base", all) {
        Some(node) => quantity(node, unit, all),
        None => Some(base),
    };
    let per_severity = fields.required("per_severity", all).and_then(|node| quantity(node, unit, all));
    fields.finish(all);
    Some(Formula { base: base?, per_severity: per_severity? })
}
