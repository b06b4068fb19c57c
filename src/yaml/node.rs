//! The tree a YAML file becomes.

use std::ops::Range;

use super::TextPlace;

/// How a scalar was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Without quotes: may mean a number, a boolean or nothing.
    Plain,
    /// In quotes: always text.
    Quoted,
    /// A `|` or `>` block: always text.
    Block,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    Scalar { text: String, style: Style },
    Sequence(Vec<Node>),
    Mapping(Vec<(Node, Node)>),
}

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    pub place: TextPlace,
    pub kind: Kind,
}

impl Node {
    /// The text of a scalar as typed, whatever it means.
    pub fn raw(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// Whether nothing is written here: `key:`, `~` or `null`.
    pub fn is_null(&self) -> bool {
        matches!(&self.kind, Kind::Scalar { text, style: Style::Plain } if is_null_word(text))
    }

    /// The value under `key`, if this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries()?.iter().find(|(name, _)| name.raw() == Some(key)).map(|(_, value)| value)
    }

    pub fn entries(&self) -> Option<&[(Node, Node)]> {
        match &self.kind {
            Kind::Mapping(entries) => Some(entries),
            _ => None,
        }
    }

    pub fn elements(&self) -> Option<&[Node]> {
        match &self.kind {
            Kind::Sequence(elements) => Some(elements),
            _ => None,
        }
    }

    /// What this is, for messages: "text `abc`", "a list".
    pub fn describe(&self) -> String {
        match &self.kind {
            Kind::Scalar { .. } if self.is_null() => "nothing".to_owned(),
            Kind::Scalar { text, style } => {
                let shown: String = text.chars().take(40).collect();
                let more = if shown.len() < text.len() { "…" } else { "" };
                let shown = shown.replace('\n', "⏎");
                match style {
                    Style::Plain => format!("`{shown}{more}`"),
                    Style::Quoted | Style::Block => format!("the text \"{shown}{more}\""),
                }
            }
            Kind::Sequence(_) => "a list".to_owned(),
            Kind::Mapping(_) => "a mapping".to_owned(),
        }
    }

    /// The place of a part of a scalar, by bytes of its text; the whole scalar where escapes or folding hide the part.
    pub fn part(&self, range: Range<usize>) -> TextPlace {
        let Some(text) = self.raw() else { return self.place.clone() };
        let whole = self.place.range();
        let quote = usize::from(matches!(&self.kind, Kind::Scalar { style: Style::Quoted, .. }));
        let inner = whole.start + quote..whole.end.saturating_sub(quote);
        if self.place.source().text().get(inner.clone()) == Some(text) && range.end <= text.len() {
            // An empty part (something missing at the end) still gets one character underlined.
            let end = if range.is_empty() { range.end + 1 } else { range.end };
            TextPlace::new(self.place.source(), inner.start + range.start..inner.start + end)
        } else {
            self.place.clone()
        }
    }
}

/// YAML 1.2 core schema, 10.3.2: the words for null.
pub(super) fn is_null_word(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}
