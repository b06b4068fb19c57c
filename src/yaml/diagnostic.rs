//! Errors with their place, collected and shown the way rustc shows its own.

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use super::TextPlace;

/// One error in a file someone wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// What is wrong, lower case, without a full stop.
    pub message: String,
    /// Where; an empty range at the start means the file as a whole.
    pub place: TextPlace,
    /// A few words at the underlined text.
    pub label: Option<String>,
    /// Another place that belongs to it, with a few words.
    pub secondary: Option<(TextPlace, String)>,
    /// What to do.
    pub help: Option<String>,
}

impl Diagnostic {
    pub fn new(place: &TextPlace, message: impl Into<String>) -> Self {
        Self { message: message.into(), place: place.clone(), label: None, secondary: None, help: None }
    }

    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// [`Self::help`] where there may be none.
    #[must_use]
    pub fn maybe_help(mut self, help: Option<String>) -> Self {
        self.help = help.or(self.help);
        self
    }

    #[must_use]
    pub fn secondary(mut self, place: &TextPlace, label: impl Into<String>) -> Self {
        self.secondary = Some((place.clone(), label.into()));
        self
    }

    fn group(&self, level: Level<'static>) -> Group<'_> {
        let mut group = level.primary_title(self.message.as_str()).elements(None::<Origin<'_>>);
        let primary = self.place.first_line();
        if primary.range() == (0..0) {
            group = group.element(Origin::path(primary.file().to_owned()));
        } else {
            let mut snippet = Snippet::source(self.place.source().text())
                .path(self.place.file())
                .annotation(AnnotationKind::Primary.span(primary.range()).label(self.label.as_deref()));
            match &self.secondary {
                Some((place, label)) if place.source() == self.place.source() => {
                    let context = AnnotationKind::Context.span(place.first_line().range());
                    snippet = snippet.annotation(context.label(label.as_str()));
                    group = group.element(snippet);
                }
                Some((place, label)) => {
                    let other = Snippet::source(place.source().text()).path(place.file());
                    let context = AnnotationKind::Context.span(place.first_line().range());
                    group = group.element(snippet).element(other.annotation(context.label(label.as_str())));
                }
                None => group = group.element(snippet),
            }
        }
        match &self.help {
            Some(help) => group.element(Level::HELP.message(help.as_str())),
            None => group,
        }
    }
}

/// How many errors are kept and shown; a file with more is broken in one way many times over.
const SHOWN: usize = 100;

/// All errors of the files read so far.
#[derive(Debug, Clone, PartialEq, Eq, Default, thiserror::Error)]
#[error("{}", self.render(false))]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
    /// How many more there were than are kept.
    dropped: usize,
}

impl Diagnostics {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one error; saying the same of the same place twice counts once.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        if self.list.len() >= SHOWN {
            self.dropped += 1;
        } else if !self.list.contains(&diagnostic) {
            self.list.push(diagnostic);
        }
    }

    pub fn extend(&mut self, other: Self) {
        self.dropped += other.dropped;
        other.list.into_iter().for_each(|diagnostic| self.push(diagnostic));
    }

    /// [`Self::extend`] but for places that already have an error: what follows from one need not be said.
    pub fn extend_elsewhere(&mut self, mut other: Self) {
        other.list.retain(|new| self.list.iter().all(|known| known.place != new.place));
        self.extend(other);
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub fn len(&self) -> usize {
        self.list.len() + self.dropped
    }

    /// Errors in order: files as they were first named, then by position.
    pub fn sorted(&self) -> Vec<&Diagnostic> {
        let mut files: Vec<&str> = Vec::new();
        for diagnostic in &self.list {
            if !files.contains(&diagnostic.place.file()) {
                files.push(diagnostic.place.file());
            }
        }
        let mut sorted: Vec<&Diagnostic> = self.list.iter().collect();
        sorted.sort_by_key(|diagnostic| {
            let file = files.iter().position(|name| *name == diagnostic.place.file());
            (file, diagnostic.place.range().start, diagnostic.place.range().end)
        });
        sorted
    }

    /// `value` if nothing is wrong, otherwise everything that is.
    pub fn or<T>(self, value: Option<T>) -> Result<T, Self> {
        match value {
            Some(value) if self.is_empty() => Ok(value),
            _ => Err(self),
        }
    }

    /// Every error with its line underlined; ends without a line break.
    pub fn render(&self, color: bool) -> String {
        self.render_as(&Level::ERROR, "errors", color)
    }

    /// The same of what is no error.
    pub fn render_warnings(&self, color: bool) -> String {
        self.render_as(&Level::WARNING, "warnings", color)
    }

    fn render_as(&self, level: &Level<'static>, what: &str, color: bool) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let mut blocks: Vec<String> =
            self.sorted().into_iter().map(|diagnostic| renderer.render(&[diagnostic.group(level.clone())])).collect();
        if self.dropped > 0 {
            blocks.push(format!("and {} more {what}", self.dropped));
        }
        // Trailing blanks differ between layouts and cannot be seen: without them output is stable to compare.
        let lines: Vec<String> = blocks.join("\n\n").lines().map(|line| line.trim_end().to_owned()).collect();
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SourceText;

    #[test]
    fn errors_are_shown_sorted_with_label_context_and_help() {
        let source = SourceText::new("a.yaml", "id: x\nkind: a\nid: y\n");
        let other = SourceText::new("b.yaml", "base: 1\n");
        let mut all = Diagnostics::new();
        all.push(
            Diagnostic::new(&TextPlace::new(&source, 14..16), "key `id` is written twice")
                .label("again here")
                .secondary(&TextPlace::new(&source, 0..2), "first here")
                .help("keep one of them"),
        );
        all.push(
            Diagnostic::new(&TextPlace::new(&other, 6..7), "wrong")
                .secondary(&TextPlace::new(&source, 6..10), "from here"),
        );
        all.push(Diagnostic::new(&TextPlace::new(&source, 4..5), "first"));
        all.push(Diagnostic::new(&TextPlace::new(&source, 0..0), "the whole file"));
        insta::assert_snapshot!(all.render(false), @r#"
        error: the whole file
        --> a.yaml

        error: first
         --> a.yaml:1:5
          |
        1 | id: x
          |     ^

        error: key `id` is written twice
         --> a.yaml:3:1
          |
        1 | id: x
          | -- first here
        2 | kind: a
        3 | id: y
          | ^^ again here
          |
          = help: keep one of them

        error: wrong
         --> b.yaml:1:7
          |
        1 | base: 1
          |       ^
          |
         ::: a.yaml:2:1
          |
        2 | kind: a
          | ---- from here
        "#);
        assert!(all.render(true).contains("\u{1b}["));
    }

    #[test]
    fn more_errors_than_anyone_reads_are_counted() {
        let source = SourceText::new("a.yaml", "abc".repeat(100));
        let mut all = Diagnostics::new();
        for at in 0..150 {
            all.push(Diagnostic::new(&TextPlace::new(&source, at..at + 1), "bad"));
        }
        assert_eq!(all.len(), 150);
        assert!(all.render(false).ends_with("and 50 more errors"));
    }
}
