//! A failure on its way from the value that does not fit to the reader's caller, and the values hidden because of one.

use std::collections::BTreeSet;
use std::fmt::{self, Display};

use serde::de::{self, Expected, Unexpected};

use super::scalar::Refusal;
use super::{Diagnostic, Kind, Node, TextPlace, did_you_mean};

/// Tells nodes of one tree apart: by address, as the tree does not move while it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Identity(usize);

impl Identity {
    pub(super) fn of(node: &Node) -> Self {
        Self(std::ptr::from_ref(node).addr())
    }
}

/// Values that failed in an earlier round.
#[derive(Debug, Default)]
pub(super) struct Hidden(pub(super) BTreeSet<Identity>);

impl Hidden {
    pub(super) fn has(&self, node: &Node) -> bool {
        self.0.contains(&Identity::of(node))
    }

    pub(super) fn has_any_in(&self, node: &Node) -> bool {
        match &node.kind {
            Kind::Scalar { .. } => false,
            Kind::Sequence(elements) => elements.iter().any(|element| self.has(element)),
            Kind::Mapping(entries) => entries.iter().any(|(_, value)| self.has(value)),
        }
    }
}

/// One failure on its way up; the innermost node it passes gives it its place.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) message: String,
    pub(super) unknown_key: bool,
    pub(super) help: Option<String>,
    pub(super) missing: Option<&'static str>,
    pub(super) place: Option<TextPlace>,
    pub(super) culprit: Option<Identity>,
    /// Whether it happened only because of something hidden.
    pub(super) follows: bool,
}

impl Failure {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            unknown_key: false,
            help: None,
            missing: None,
            place: None,
            culprit: None,
            follows: false,
        }
    }

    pub(super) fn at(mut self, node: &Node) -> Self {
        if self.place.is_none() {
            let start = match (&self.missing, node.entries()) {
                (Some(_), Some([(key, _), ..])) => &key.place,
                _ => &node.place,
            };
            self.place = Some(start.clone());
        }
        self.culprit.get_or_insert(Identity::of(node));
        self
    }

    pub(super) fn diagnostic(self, root: &Node) -> Diagnostic {
        let mut diagnostic = Diagnostic::new(self.place.as_ref().unwrap_or(&root.place), self.message);
        diagnostic.label = match self.missing {
            Some(missing) => Some(format!("`{missing}` is missing here")),
            None => self.unknown_key.then(|| "unknown key".to_owned()),
        };
        diagnostic.help = self.help;
        diagnostic
    }
}

impl From<Refusal> for Failure {
    fn from((message, help): Refusal) -> Self {
        Self { help, ..Self::new(message) }
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl de::Error for Failure {
    fn custom<T: Display>(message: T) -> Self {
        Self::new(message.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(format!("expected {expected}, found {found}"))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(format!("expected {expected}, found {found}"))
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        Self::new(format!("expected {expected}, found {length} elements"))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let help = did_you_mean(variant, expected.iter().copied());
        Self { help, ..Self::new(format!("unknown word `{variant}`")) }
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let help = did_you_mean(field, expected.iter().copied());
        Self { help, unknown_key: true, ..Self::new(format!("there is no key `{field}` here")) }
    }

    fn missing_field(field: &'static str) -> Self {
        Self { missing: Some(field), ..Self::new(format!("the key `{field}` is missing")) }
    }
}
