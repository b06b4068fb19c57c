//! Fault files: `schema: kiln.fault/1`, what a defect changes in the model, when, how badly, and what should be found.
//!
//! Putting a fault into a node and its course in time are left to `fault_run`.

use std::path::Path;
use std::sync::Arc;

use super::fault_part::{FaultPart, read_first, read_others};
use super::fault_when::When;
use kiln_disk::{self as disk, MIB};
use kiln_model::{ComponentKind, Text};
use kiln_profile::digest_of;
use kiln_profile::{component_kind, old_component_word};
use kiln_yaml::{Diagnostic, Diagnostics, Document, Fields, Node};

/// What `schema:` says in a fault file.
pub(super) const FAULT_SCHEMA: &str = "kiln.fault/1";

/// A defect as it is known from the field.
#[derive(Debug, Clone)]
pub struct FaultFile {
    /// Of the file's bytes.
    pub digest: String,
    pub id: String,
    pub title: Text,
    /// Row of the fault taxonomy.
    pub number: u8,
    /// How such a part behaves.
    pub about: Text,
    pub source: String,
    /// What is wrong, the part that is named first.
    pub parts: Vec<FaultPart>,
    pub severity: Severity,
    pub expect: Expect,
    /// Why a test of two hours must catch it at its default severity; `None` where nobody could ask that.
    pub must: Option<String>,
    /// What reads well and should be written otherwise.
    pub warnings: Diagnostics,
}

/// How bad it is: 1 is a defect as usually met.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Severity {
    pub default: f64,
    pub min: f64,
    pub max: f64,
}

/// The finding a good profile gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Expect {
    pub code: String,
    pub component: ComponentKind,
}

/// The most that is read of a fault file. The YAML reader's own limit is below, and says so better.
const MOST: u64 = 16 * MIB;

/// Why there is no fault file to use.
#[derive(Debug, thiserror::Error)]
pub enum FaultFileError {
    #[error("cannot read {path}")]
    Unreadable { path: String, source: std::io::Error },
    #[error(transparent)]
    Malformed(#[from] Diagnostics),
}

impl FaultFile {
    /// A fault by name, if it comes with the program, or else by path.
    pub fn find(name: &str) -> Result<Option<Arc<Self>>, FaultFileError> {
        if let Some((name, text)) = super::library::FAULTS.iter().find(|(known, _)| *known == name) {
            return Ok(Some(Arc::new(Self::read(&format!("{name}.yaml"), text.as_bytes())?)));
        }
        if !disk::is_path(name) {
            return Ok(None);
        }
        let path = Path::new(name);
        let bytes = disk::read(path, MOST)
            .map_err(|source| FaultFileError::Unreadable { path: path.display().to_string(), source })?;
        Ok(Some(Arc::new(Self::read(name, &bytes)?)))
    }

    /// Names of the faults that come with the program.
    pub fn embedded() -> impl Iterator<Item = &'static str> {
        super::library::FAULTS.iter().map(|(name, _)| *name)
    }

    /// What the fault is on.
    pub fn component(&self) -> ComponentKind {
        self.parts[0].component
    }

    /// Whether all of it is there from the start and for good.
    pub fn is_standing(&self) -> bool {
        self.parts.iter().all(FaultPart::is_standing)
    }

    /// When what is named first is active.
    pub fn when(&self) -> &When {
        &self.parts[0].when
    }

    /// Reads a fault file; `name` is what messages call it.
    pub fn read(name: &str, bytes: &[u8]) -> Result<Self, Diagnostics> {
        let document = Document::parse(name, bytes)?;
        let mut all = Diagnostics::new();
        let file = read_file(&document.root, &mut all);
        all.or(file.map(|file| Self { digest: digest_of(bytes), ..file }))
    }
}

fn read_file(root: &Node, all: &mut Diagnostics) -> Option<FaultFile> {
    let mut fields = Fields::of(root, "a fault", all)?;
    if let Some(node) = fields.required("schema", all)
        && node.raw() != Some(FAULT_SCHEMA)
    {
        all.push(Diagnostic::new(&node.place, format!("this is not a fault file: `schema` must be `{FAULT_SCHEMA}`")));
    }
    let id = fields.required("id", all).and_then(|node| node.text(all)).map(str::to_owned);
    let title = fields.required("title", all).and_then(|node| kiln_yaml::from_node(node, all));
    let number = fields.required("number", all).and_then(|node| node.whole(all));
    let about = fields.required("about", all).and_then(|node| kiln_yaml::from_node(node, all));
    let source = fields.required("source", all).and_then(|node| node.text(all)).map(str::to_owned);
    let first = read_first(&mut fields, all);
    let others = fields.optional("also", all).map(|node| read_others(node, all));
    let severity = match fields.optional("severity", all) {
        Some(node) => read_severity(node, all),
        None => Some(Severity { default: 1.0, min: 0.25, max: 2.0 }),
    };
    let expect = fields.required("expect", all).and_then(|node| read_expect(node, all));
    let must = fields.optional("must", all).and_then(|node| node.text(all)).map(str::to_owned);
    fields.finish(all);
    let others = match others {
        Some(others) => others?,
        None => Vec::new(),
    };
    Some(FaultFile {
        digest: String::new(),
        id: id?,
        title: title?,
        number: number?,
        about: about?,
        source: source?,
        parts: std::iter::once(first?).chain(others).collect(),
        severity: severity?,
        expect: expect?,
        must,
        warnings: warnings(root),
    })
}

/// Component words of an older version, wherever a fault file has one.
fn warnings(root: &Node) -> Diagnostics {
    let others = root.get("also").and_then(Node::elements).unwrap_or_default();
    let holders = [Some(root), root.get("expect")].into_iter().flatten().chain(others);
    let mut all = Diagnostics::new();
    for old in holders.filter_map(|holder| old_component_word(holder.get("component")?)) {
        all.push(old);
    }
    all
}

fn read_expect(node: &Node, all: &mut Diagnostics) -> Option<Expect> {
    let mut fields = Fields::of(node, "an expectation", all)?;
    let code = fields.required("code", all).and_then(|node| node.text(all)).map(str::to_owned);
    let component = fields.required("component", all).and_then(|node| component_kind(node, "component", all));
    fields.finish(all);
    Some(Expect { code: code?, component: component? })
}

fn read_severity(node: &Node, all: &mut Diagnostics) -> Option<Severity> {
    let mut fields = Fields::of(node, "a severity", all)?;
    let mut number =
        |key: &'static str, all: &mut Diagnostics| fields.required(key, all).and_then(|node| node.number(all));
    let (default, min, max) = (number("default", all), number("min", all), number("max", all));
    fields.finish(all);
    let severity = Severity { default: default?, min: min?, max: max? };
    if severity.min <= 0.0 || severity.min > severity.default || severity.default > severity.max {
        all.push(Diagnostic::new(&node.place, "severity needs 0 < min <= default <= max"));
        return None;
    }
    Some(severity)
}

#[cfg(test)]
mod tests {
    use super::super::fault_change::{ChangeOf, FaultChange, Operation};
    use super::*;

    /// A fault file around what a test is about.
    fn read(rest: &str) -> Result<FaultFile, Diagnostics> {
        let head =
            "schema: kiln.fault/1\nid: bad\ntitle: { en: Bad }\nnumber: 37\nabout: { en: Bad }\nsource: nowhere\n";
        FaultFile::read("bad.yaml", format!("{head}{rest}").as_bytes())
    }

    #[test]
    fn component_words_of_an_older_version_are_read_and_told_and_no_fault_of_ours_has_one() {
        let old = read(
            "component: nv-link\nlog: a line\nalso:\n  - { component: cooling-branch, log: another }\n\
             expect: { code: X, component: cooling-branch }\n",
        )
        .expect("readable");
        assert_eq!((old.component(), old.expect.component), (ComponentKind::NvLink, ComponentKind::CoolingBranch));
        let told = old.warnings.render_warnings(false);
        assert_eq!(told.matches("is the word of an older version").count(), 3, "{told}");
        assert!(told.contains("write `nvlink`") && told.contains("write `cooling`"), "{told}");
        for name in FaultFile::embedded() {
            let file = FaultFile::find(name).expect(name).expect(name);
            assert!(file.warnings.is_empty(), "{}", file.warnings.render_warnings(false));
        }
    }

    #[test]
    fn every_mistake_is_placed_at_once() {
        let error = read(
            "component: gpu\nchanges:\n  cooling.contct: { scale: 2 }\n  power.limit: { set: 500 °C }\n  \
             nvlink.active: { set: 0 }\n  cooling.sink: { scale: 2, add: 0.1 K/W }\nwhen: { load: bun, every: 10m }\n\
             severity: { default: 3, min: 1, max: 2 }\nexpect: { code: X, component: gpuu }\n",
        )
        .expect_err("mistakes");
        insta::assert_snapshot!(error.render(false), @r#"
        error: the model has no parameter `cooling.contct`
         --> bad.yaml:9:3
          |
        9 |   cooling.contct: { scale: 2 }
          |   ^^^^^^^^^^^^^^
          |
          = help: did you mean `cooling.contact`?

        error: `power.limit` is a level: with `rate` or `every` it needs `for`, how long it stays
          --> bad.yaml:10:3
           |
        10 |   power.limit: { set: 500 °C }
           |   ^^^^^^^^^^^

        error: `nvlink.active` is a parameter of `nvlink`, not of what the fault is on
          --> bad.yaml:11:3
           |
        11 |   nvlink.active: { set: 0 }
           |   ^^^^^^^^^^^^^

        error: `cooling.sink` is a level: with `rate` or `every` it needs `for`, how long it stays
          --> bad.yaml:12:3
           |
        12 |   cooling.sink: { scale: 2, add: 0.1 K/W }
           |   ^^^^^^^^^^^^

        error: unknown load `bun`
          --> bad.yaml:13:15
           |
        13 | when: { load: bun, every: 10m }
           |               ^^^
           |
           = help: did you mean `burn`?

        error: severity needs 0 < min <= default <= max
          --> bad.yaml:14:11
           |
        14 | severity: { default: 3, min: 1, max: 2 }
           |           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

        error: unknown component `gpuu`
          --> bad.yaml:15:31
           |
        15 | expect: { code: X, component: gpuu }
           |                               ^^^^
           |
           = help: did you mean `gpu`?
        "#);
    }

    #[test]
    fn what_is_read_once_cannot_come_and_go_and_levels_need_a_length() {
        let error = read(
            "component: gpu\nchanges:\n  power.limit: { set: 500 W }\n  identity.serial: { set: SIM1 }\n\
             when: { rate: 2/h }\nexpect: { code: X, component: gpu }\n",
        )
        .expect_err("mistakes");
        insta::assert_snapshot!(error.render(false), @r#"
        error: `power.limit` is a level: with `rate` or `every` it needs `for`, how long it stays
         --> bad.yaml:9:3
          |
        9 |   power.limit: { set: 500 W }
          |   ^^^^^^^^^^^

        error: `identity.serial` is read once: it can only be wrong `always` or `after_reboot`
          --> bad.yaml:10:3
           |
        10 |   identity.serial: { set: SIM1 }
           |   ^^^^^^^^^^^^^^^
        "#);
    }

    #[test]
    fn formulas_follow_severity() {
        let fault = read(
            "component: gpu\nchanges:\n  cooling.contact: { scale: { per_severity: 0.5 } }\n  \
             power.brake.above: { set: { base: 1, per_severity: -0.25 } }\nexpect: { code: X, component: gpu }\n",
        )
        .expect("fault");
        let at = |change: &FaultChange, severity| match change.to {
            ChangeOf::Number { operation: Operation::Set(f) | Operation::Scale(f) | Operation::Add(f), .. } => {
                f.at(severity)
            }
            _ => f64::NAN,
        };
        assert_eq!(at(&fault.parts[0].changes[0], 2.0), 2.0);
        assert_eq!(at(&fault.parts[0].changes[1], 2.0), 0.5);
        assert!(fault.is_standing());
    }
}
