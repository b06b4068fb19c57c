//! Which faults are drilled: names, globs and files as typed, and whether a node can have them.

use std::sync::Arc;

use anyhow::anyhow;

use super::nodes::DrillNode;
use crate::cli::command_error::CommandError;
use crate::cli::printer;
use crate::drill::{LeftOut, LeftOutWhy};
use crate::node::sim::{FaultFile, FaultFileError, FaultUse, SimNode};
use crate::plan::matches_glob;
use crate::yaml::did_you_mean;

/// A fault as asked for.
#[derive(Debug)]
pub(super) struct Asked {
    /// As it is named on a command line: a name of the library, or a path.
    pub name: String,
    pub file: Arc<FaultFile>,
    component: Option<String>,
    /// Named as such and not met by a glob: then it must fit.
    exact: bool,
}

/// A fault with the node it is put into and the severities it has.
#[derive(Debug)]
pub(super) struct Chosen {
    pub name: String,
    pub file: Arc<FaultFile>,
    /// Place of its node in the drill's list.
    pub node: usize,
    /// What is put in at each severity of the drill; none where it is out of the fault's range.
    pub uses: Vec<Option<FaultUse>>,
}

/// Every fault that `words` ask for, each once, by number of the taxonomy and name.
pub(super) fn find(words: &[String]) -> Result<Vec<Asked>, CommandError> {
    let mut all: Vec<Asked> = Vec::new();
    for word in words.iter().flat_map(|word| word.split(',')).map(str::trim).filter(|word| !word.is_empty()) {
        let (pattern, component) = match word.split_once('@') {
            Some((pattern, component)) => (pattern, Some(component.to_owned())),
            None => (word, None),
        };
        let names = names(pattern)?;
        let exact = !pattern.contains('*');
        for name in names {
            if all.iter().any(|other| other.name == name && other.component == component) {
                continue;
            }
            let Some(file) = FaultFile::find(&name)? else {
                let help =
                    did_you_mean(&name, FaultFile::embedded()).map_or_else(String::new, |help| format!("; {help}"));
                return Err(CommandError::Usage(anyhow!("there is no fault `{name}`{help}")));
            };
            if !file.warnings.is_empty() {
                printer::tell(&file.warnings.render_warnings(false));
            }
            all.push(Asked { name, file, component: component.clone(), exact });
        }
    }
    all.sort_by(|one, two| (one.file.number, &one.name).cmp(&(two.file.number, &two.name)));
    Ok(all)
}

/// Names of the library that match, or files.
fn names(pattern: &str) -> Result<Vec<String>, CommandError> {
    if !pattern.contains('*') {
        return Ok(vec![pattern.to_owned()]);
    }
    let mut found: Vec<String> = match pattern.rsplit_once('/') {
        None => FaultFile::embedded().filter(|name| matches_glob(pattern, name)).map(str::to_owned).collect(),
        Some((folder, pattern)) => files(folder, pattern)?,
    };
    found.sort();
    if found.is_empty() {
        let known: Vec<&str> = FaultFile::embedded().collect();
        return Err(CommandError::Usage(anyhow!("no fault matches `{pattern}`; there are {}", known.join(", "))));
    }
    Ok(found)
}

fn files(folder: &str, pattern: &str) -> Result<Vec<String>, CommandError> {
    let unreadable = |source| FaultFileError::Unreadable { path: folder.to_owned(), source };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let name = entry.map_err(unreadable)?.file_name().to_string_lossy().into_owned();
        if matches_glob(pattern, &name) {
            found.push(format!("{folder}/{name}"));
        }
    }
    Ok(found)
}

/// Puts every fault on the first node that can have it. One that no node can have is left out and told.
pub(super) fn choose(
    asked: Vec<Asked>,
    factors: &[f64],
    nodes: &[DrillNode],
) -> Result<(Vec<Chosen>, Vec<LeftOut>), CommandError> {
    let (mut chosen, mut left_out) = (Vec::new(), Vec::new());
    for fault in asked {
        let uses = uses(&fault, factors)?;
        let Some(probe) = uses.iter().flatten().next() else {
            let range = fault.file.severity;
            let why = LeftOutWhy::Severity { min: range.min, max: range.max };
            left_out.push(LeftOut { fault: fault.name, why });
            continue;
        };
        let mut refused = None;
        let mut fitting = None;
        for (at, node) in nodes.iter().enumerate() {
            match SimNode::new(&node.file, 1, std::slice::from_ref(probe)) {
                Ok(_) => {
                    fitting = Some(at);
                    break;
                }
                Err(problems) => {
                    refused.get_or_insert(problems);
                }
            }
        }
        match (fitting, refused) {
            (Some(node), _) => chosen.push(Chosen { name: fault.name, file: fault.file, node, uses }),
            (None, problems) => {
                let first = problems.as_ref().and_then(|all| all.sorted().first().map(|first| first.message.clone()));
                let why = LeftOutWhy::NoNode { said: first.unwrap_or_default() };
                left_out.push(LeftOut { fault: fault.name, why });
            }
        }
    }
    if chosen.is_empty() {
        let why: Vec<String> = left_out.iter().map(|one| format!("{}: {}", one.fault, one.why)).collect();
        return Err(CommandError::Usage(anyhow!("no fault can be drilled: {}", why.join("; "))));
    }
    left_out.sort_by(|one, two| one.fault.cmp(&two.fault));
    Ok((chosen, left_out))
}

/// What is put in at each severity. Out of range is a mistake where the fault has none of the severities asked for and was
/// named; in a sweep over several severities single cells stay empty.
fn uses(fault: &Asked, factors: &[f64]) -> Result<Vec<Option<FaultUse>>, CommandError> {
    let range = fault.file.severity;
    let severity = |factor: &f64| range.default * factor;
    let none = !factors.iter().map(severity).any(|severity| (range.min..=range.max).contains(&severity));
    let one = |factor: &f64| {
        let severity = severity(factor);
        let asked = fault.exact && none;
        if !asked && !(range.min..=range.max).contains(&severity) {
            return Ok(None);
        }
        let component = fault.component.as_ref().map_or_else(String::new, |component| format!("@{component}"));
        Ok(Some(FaultUse::parse(&format!("{}{component}:{severity}", fault.name))?))
    };
    factors.iter().map(one).collect()
}
