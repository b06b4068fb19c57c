//! Where every value of a resolved profile came from: a line of a file, a variable, the command line, or a default.

use std::fmt;

use super::resolve::resolve_with_tree;
use super::vars::{SET, Variables, element_path};
use super::{Catalogue, Guard, GuardResult, GuardScope, GuardStop, Loop, Profile, Request, Step};
use kiln_limit::IfUnsupported;
use kiln_model::format_span;
use kiln_yaml::{Diagnostics, Kind, Node};

/// Where one value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// `file:line:column`, of the profile or one of its parents.
    File(String),
    /// A variable, and where its value stands.
    Variable { name: String, place: String },
    /// A variable set on the command line.
    Set(String),
    /// Nobody wrote it: the default of the check or of the grammar.
    Default,
}

/// One value with its origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// `stages.burn.steps.gemm.with.for`.
    pub path: String,
    /// As typed.
    pub value: String,
    pub origin: Origin,
}

/// Every value of a profile, in the order of the profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation(pub Vec<Explained>);

/// The top level in the order people write it, whichever file of the chain a value comes from.
const ORDER: &[&str] = &[
    "schema",
    "id",
    "revision",
    "title",
    "extends",
    "stock",
    "skus",
    "vars",
    "without",
    "telemetry",
    "guards",
    "stages",
    "teardown",
    "waivers",
];

/// Resolves the profile and says where each value came from.
pub fn explain(request: &Request<'_>) -> Result<Explanation, Diagnostics> {
    let resolved = resolve_with_tree(request)?;
    let mut explanation = Explanation(Vec::new());
    for key in ORDER {
        let Some(value) = resolved.root.get(key) else { continue };
        if *key == "vars" {
            for (name, value) in resolved.variables.values() {
                let place = &value.place;
                let origin =
                    if place.file() == SET { Origin::Set(name.clone()) } else { Origin::File(place.to_string()) };
                explanation.add(format!("vars.{name}"), value.raw().unwrap_or_default().to_owned(), origin);
            }
        } else {
            explanation.walk(key, value, &resolved.variables);
        }
    }
    explanation.add_defaults(&resolved.profile, request.catalogue);
    Ok(explanation)
}

impl Explanation {
    fn add(&mut self, path: String, value: String, origin: Origin) {
        self.0.push(Explained { path, value, origin });
    }

    fn walk(&mut self, path: &str, node: &Node, variables: &Variables) {
        match &node.kind {
            Kind::Mapping(entries) => {
                for (key, value) in entries {
                    self.walk(&format!("{path}.{}", key.raw().unwrap_or_default()), value, variables);
                }
            }
            Kind::Sequence(elements) if elements.iter().all(|element| element.raw().is_some()) => {
                let words: Vec<&str> = elements.iter().filter_map(Node::raw).collect();
                self.add(path.to_owned(), format!("[{}]", words.join(", ")), Origin::File(node.place.to_string()));
            }
            Kind::Sequence(elements) => {
                for (index, element) in elements.iter().enumerate() {
                    self.walk(&element_path(path, element, index), element, variables);
                }
            }
            Kind::Scalar { text, .. } => {
                let place = node.place.to_string();
                let origin = match variables.used.get(path) {
                    Some(name) if node.place.file() == SET => Origin::Set(name.clone()),
                    Some(name) => Origin::Variable { name: name.clone(), place },
                    None => Origin::File(place),
                };
                self.add(path.to_owned(), text.clone(), origin);
            }
        }
    }

    /// Adds what nobody wrote, each beside its siblings.
    fn add_defaults(&mut self, profile: &Profile, catalogue: Catalogue) {
        self.add_default("telemetry", "every", &format_span(profile.telemetry.every));
        for guard in &profile.guards {
            self.add_guard_defaults(guard);
        }
        for stage in &profile.stages {
            let path = format!("stages.{}", stage.id);
            if stage.repeat == Loop::Count(1) {
                self.add_default(&path, "loop", "once");
            }
            for step in &stage.steps {
                self.add_step_defaults(&format!("{path}.steps.{}", step.id), step, catalogue);
            }
        }
        for step in &profile.teardown {
            self.add_step_defaults(&format!("teardown.{}", step.id), step, catalogue);
        }
    }

    fn add_guard_defaults(&mut self, guard: &Guard) {
        let path = format!("guards.{}", guard.id);
        let each = if guard.scope == GuardScope::EachGpu { "gpu" } else { "node" };
        let stop = match guard.stop {
            GuardStop::Step => "step",
            GuardStop::Stage => "stage",
            GuardStop::Run => "run",
        };
        let result = if guard.result == GuardResult::Fail { "fail" } else { "inconclusive" };
        self.add_default(&path, "each", each);
        self.add_default(&path, "hold", &format_span(guard.hold));
        if let Some(stale) = guard.stale {
            self.add_default(&path, "stale", &format_span(stale));
        }
        let unsupported = if guard.unsupported == IfUnsupported::Skip { "skip" } else { "error" };
        if guard.stale.is_some() {
            self.add_default(&path, "unsupported", unsupported);
        }
        self.add_default(&path, "stop", stop);
        self.add_default(&path, "result", result);
    }

    fn add_step_defaults(&mut self, path: &str, step: &Step, catalogue: Catalogue) {
        self.add_default(path, "each", step.each.word());
        for param in catalogue.find(&step.check).map_or(&[][..], |spec| spec.params) {
            if let Some(default) = param.default {
                self.add_default(path, &format!("with.{}", param.name), default);
            }
        }
    }

    fn add_default(&mut self, parent: &str, key: &str, value: &str) {
        let path = format!("{parent}.{key}");
        let below = format!("{path}.");
        if self.0.iter().any(|line| line.path == path || line.path.starts_with(&below)) {
            return;
        }
        // Beside the nearest relative that is written: `with.for` goes after other `with`, or else into the step.
        let mut relatives = path.as_str();
        let mut at = self.0.len();
        while let Some((shorter, _)) = relatives.rsplit_once('.') {
            relatives = shorter;
            let prefix = format!("{relatives}.");
            if let Some(last) = self.0.iter().rposition(|line| line.path.starts_with(&prefix)) {
                at = last + 1;
                break;
            }
        }
        self.0.insert(at, Explained { path, value: value.to_owned(), origin: Origin::Default });
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(place) => f.write_str(place),
            Self::Variable { name, place } => write!(f, "{place} (vars.{name})"),
            Self::Set(name) => write!(f, "--set {name}"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// One value a line: path, value, origin, in columns.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use unicode_width::UnicodeWidthStr as _;
        let left = |line: &Explained| format!("{}: {}", line.path, line.value.replace('\n', "⏎"));
        // Lines longer than this push their origin to the right instead of everyone else's.
        let column = self.0.iter().map(|line| left(line).width()).filter(|width| *width <= 90).max().unwrap_or(0);
        for line in &self.0 {
            let text = left(line);
            let gap = column.saturating_sub(text.width());
            writeln!(f, "{text}{}  {}", " ".repeat(gap), line.origin)?;
        }
        Ok(())
    }
}
