//! What names mean inside a function: registers, variables, labels, the parameters of calls. Braces open a scope.

use std::collections::BTreeMap;

use crate::fault::{Fault, Kind};
use crate::instruction::{Register, Source, Special};

#[derive(Debug, Default)]
struct Scope {
    parent: Option<usize>,
    registers: BTreeMap<String, Register>,
    slots: BTreeMap<String, usize>,
    labels: BTreeMap<String, u32>,
}

#[derive(Debug)]
pub(crate) struct Names {
    scopes: Vec<Scope>,
    pub(crate) scope: usize,
    /// Width of each register in bits; 1 for a predicate.
    pub(crate) widths: Vec<u32>,
    pub(crate) slots: usize,
    pub(crate) entry: bool,
    /// Names of the function's own parameters, in order.
    pub(crate) parameters: Vec<String>,
    pub(crate) variables: BTreeMap<String, Source>,
}

fn unknown(name: &str) -> Fault {
    Fault::new(Kind::Syntax, format!("nothing here is called {name}"))
}

impl Names {
    pub(crate) fn new(entry: bool, parameters: Vec<String>, variables: BTreeMap<String, Source>) -> Self {
        let scopes = vec![Scope::default()];
        Self { scopes, scope: 0, widths: Vec::new(), slots: 0, entry, parameters, variables }
    }

    pub(crate) fn open(&mut self) {
        self.scopes.push(Scope { parent: Some(self.scope), ..Scope::default() });
        self.scope = self.scopes.len() - 1;
    }

    /// False where there is no scope left to close: the function ends.
    pub(crate) fn close(&mut self) -> bool {
        self.scopes[self.scope].parent.inspect(|parent| self.scope = *parent).is_some()
    }

    pub(crate) fn add_register(&mut self, name: String, bits: u32) -> Result<(), Fault> {
        let number = Register::try_from(self.widths.len())
            .map_err(|_| Fault::new(Kind::Unsupported, "more than 65536 registers in a function"))?;
        self.widths.push(bits);
        self.scopes[self.scope].registers.insert(name, number);
        Ok(())
    }

    pub(crate) fn add_slot(&mut self, name: String) {
        self.scopes[self.scope].slots.insert(name, self.slots);
        self.slots += 1;
    }

    pub(crate) fn add_label(&mut self, name: &str, place: u32) {
        self.scopes[self.scope].labels.insert(name.to_owned(), place);
    }

    fn find<T>(&self, from: usize, look: impl Fn(&Scope) -> Option<T>) -> Option<T> {
        let mut at = Some(from);
        while let Some(scope) = at.map(|at| &self.scopes[at]) {
            if let Some(found) = look(scope) {
                return Some(found);
            }
            at = scope.parent;
        }
        None
    }

    pub(crate) fn label(&self, from: usize, name: &str) -> Result<u32, Fault> {
        self.find(from, |scope| scope.labels.get(name).copied()).ok_or_else(|| unknown(name))
    }

    pub(crate) fn slot(&self, name: &str) -> Option<usize> {
        self.find(self.scope, |scope| scope.slots.get(name).copied())
    }

    pub(crate) fn register(&self, name: &str) -> Result<Register, Fault> {
        self.find(self.scope, |scope| scope.registers.get(name).copied()).ok_or_else(|| unknown(name))
    }

    pub(crate) fn source(&self, word: &str) -> Result<Source, Fault> {
        if let Ok(register) = self.register(word) {
            return Ok(Source::Register(register));
        }
        if let Some(variable) = self.variables.get(word) {
            return Ok(*variable);
        }
        let special = match word {
            "%tid.x" => Special::Thread,
            "%ntid.x" => Special::Threads,
            "%ctaid.x" => Special::Block,
            "%nctaid.x" => Special::Blocks,
            "%smid" => Special::Processor,
            "%laneid" => Special::Lane,
            "%globaltimer" => Special::Timer,
            "WARP_SZ" => return Ok(Source::Value(32)),
            _ => return number(word).map(Source::Value).ok_or_else(|| unknown(word)),
        };
        Ok(Source::Special(special))
    }
}

/// A number as its bits: `0f3F800000` and `0d...` are floats, the rest integers.
pub(crate) fn number(word: &str) -> Option<u64> {
    let (sign, word) = word.strip_prefix('-').map_or((false, word), |rest| (true, rest));
    let word = word.strip_suffix('U').unwrap_or(word);
    let value = if let Some(digits) =
        word.strip_prefix("0x").or_else(|| word.strip_prefix("0f")).or_else(|| word.strip_prefix("0d"))
    {
        u64::from_str_radix(digits, 16).ok()?
    } else {
        word.parse().ok()?
    };
    Some(if sign { value.wrapping_neg() } else { value })
}
