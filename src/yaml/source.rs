//! A file as read, and places in it.
//!
//! A place carries its file along, so errors of several files (a profile and its parent) need no registry.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// The text of one file and what to call it.
#[derive(PartialEq, Eq)]
pub struct SourceText {
    name: String,
    text: String,
    /// Byte offset at which each line starts.
    lines: Vec<usize>,
}

impl SourceText {
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Arc<Self> {
        let text = text.into();
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Arc::new(Self { name: name.into(), text, lines })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for SourceText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SourceText({})", self.name)
    }
}

/// A stretch of one file.
#[derive(Clone, PartialEq, Eq)]
pub struct TextPlace {
    source: Arc<SourceText>,
    start: usize,
    end: usize,
}

impl TextPlace {
    /// `range` in bytes; moved inwards where it leaves the text or splits a character.
    pub fn new(source: &Arc<SourceText>, range: Range<usize>) -> Self {
        let inside = |at: usize| {
            let mut at = at.min(source.text.len());
            while !source.text.is_char_boundary(at) {
                at -= 1;
            }
            at
        };
        let start = inside(range.start);
        Self { source: Arc::clone(source), start, end: inside(range.end).max(start) }
    }

    pub fn source(&self) -> &Arc<SourceText> {
        &self.source
    }

    pub fn file(&self) -> &str {
        &self.source.name
    }

    pub fn range(&self) -> Range<usize> {
        self.start..self.end
    }

    pub fn text(&self) -> &str {
        &self.source.text[self.start..self.end]
    }

    /// Line of the start, counted from 1.
    pub fn line(&self) -> usize {
        self.source.lines.partition_point(|start| *start <= self.start)
    }

    /// Column of the start in characters, counted from 1.
    pub fn column(&self) -> usize {
        let line_start = self.source.lines[self.line() - 1];
        self.source.text[line_start..self.start].chars().count() + 1
    }

    /// This place up to the end of its first line: what an error underlines.
    #[must_use]
    pub fn first_line(&self) -> Self {
        let length = self.text().find(['\n', '\r']).unwrap_or(self.end - self.start);
        Self { end: self.start + length, ..self.clone() }
    }

    /// From the start of `self` to the end of `other`, which lies in the same file.
    #[must_use]
    pub fn to(&self, other: &Self) -> Self {
        Self { end: other.end.max(self.end), ..self.clone() }
    }
}

/// `file:line:column`.
impl fmt::Display for TextPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file(), self.line(), self.column())
    }
}

impl fmt::Debug for TextPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}+{}", self.end - self.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_characters_from_one() {
        let source = SourceText::new("a.yaml", "a: 1\n温度: 87 °C\n");
        let at = source.text().find("87").unwrap();
        let place = TextPlace::new(&source, at..at + 2);
        assert_eq!(place.to_string(), "a.yaml:2:5");
        assert_eq!(place.text(), "87");
        assert_eq!(TextPlace::new(&source, 6..999).text(), "温度: 87 °C\n", "a place never splits a character");
        assert_eq!(TextPlace::new(&source, 5..999).first_line().text(), "温度: 87 °C");
    }
}
