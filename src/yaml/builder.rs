//! From the parser's events to the tree, with every node placed and what the tree cannot hold refused.

use std::collections::BTreeMap;
use std::sync::Arc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span};

use super::{Diagnostic, Diagnostics, Kind, MAX_DEPTH, Node, SourceText, Style, TextPlace, syntax};

/// A collection whose end has not been read yet.
struct Open {
    start: usize,
    flow: bool,
    contents: Contents,
}

enum Contents {
    Sequence(Vec<Node>),
    Mapping { entries: Vec<(Node, Node)>, key: Option<Node>, seen: BTreeMap<String, TextPlace> },
}

pub(super) struct Builder<'s> {
    source: &'s Arc<SourceText>,
    /// Byte offset of each character; empty if all are one byte long.
    offsets: Vec<usize>,
    open: Vec<Open>,
    root: Option<Node>,
    all: Diagnostics,
    /// Whether an error ended the reading.
    stopped: bool,
}

impl<'s> Builder<'s> {
    pub(super) fn new(source: &'s Arc<SourceText>) -> Self {
        let text = source.text();
        let offsets = if text.is_ascii() { Vec::new() } else { text.char_indices().map(|(at, _)| at).collect() };
        Self { source, offsets, open: Vec::new(), root: None, all: Diagnostics::new(), stopped: false }
    }

    fn offset(&self, marker: Marker) -> usize {
        let end = self.source.text().len();
        if self.offsets.is_empty() {
            marker.index().min(end)
        } else {
            self.offsets.get(marker.index()).copied().unwrap_or(end)
        }
    }

    fn place(&self, span: Span) -> TextPlace {
        TextPlace::new(self.source, self.offset(span.start)..self.offset(span.end))
    }

    /// The tree, if the text holds one, and what is wrong with it.
    pub(super) fn run(mut self) -> (Option<Node>, Diagnostics) {
        self.read();
        (self.root, self.all)
    }

    fn read(&mut self) {
        let mut parser = Parser::new_from_str(self.source.text());
        let mut documents = 0;
        while let Some(next) = parser.next_event() {
            let (event, span) = match next {
                Ok(next) => next,
                Err(error) => {
                    self.syntax(&error);
                    return;
                }
            };
            if matches!(event, Event::DocumentStart(_)) {
                documents += 1;
                if documents > 1 {
                    let place = self.place(span);
                    self.stop(
                        Diagnostic::new(&place, "a second document starts here")
                            .help("one file holds one document; delete the `---` or split the file"),
                    );
                    return;
                }
            }
            self.event(event, span);
            if self.stopped {
                return;
            }
        }
    }

    fn stop(&mut self, diagnostic: Diagnostic) {
        self.all.push(diagnostic);
        self.stopped = true;
    }

    fn syntax(&mut self, error: &ScanError) {
        let at = self.offset(*error.marker());
        let place = TextPlace::new(self.source, at..at + 1);
        let place = if place.text().trim().is_empty() { last_visible(self.source, at) } else { place };
        if error.info().contains("unknown anchor") {
            self.stop(alias(&self.word(at)));
        } else {
            let (message, mut help) = syntax::explain(error.info());
            let text = self.source.text();
            if text[at.min(text.len())..].trim().is_empty() && error.info().contains("did not find expected") {
                help = Some("the file ends here: a bracket before it may never be closed");
            } else if text[..at].ends_with('$') && text[at..].starts_with('{') {
                help = Some("a variable needs quotes inside braces: `\"${name}\"`");
            }
            self.stop(Diagnostic::new(&place, message).maybe_help(help.map(str::to_owned)));
        }
    }

    fn event(&mut self, event: Event<'_>, span: Span) {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let place = self.place(span);
                self.decoration(&place, anchor, tag.is_some());
                let style = match style {
                    ScalarStyle::Plain => Style::Plain,
                    ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Style::Quoted,
                    ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
                };
                let place = self.scalar_place(&place, &text, style);
                if style == Style::Plain && text.starts_with(['>', '|']) {
                    // Inside brackets this parser lets it pass; YAML and other programs do not.
                    let (message, help) = syntax::explain(syntax::UNQUOTED);
                    self.all.push(Diagnostic::new(&place, message).maybe_help(help.map(str::to_owned)));
                }
                self.add(Node { place, kind: Kind::Scalar { text: text.into_owned(), style } });
            }
            Event::SequenceStart(anchor, tag) => {
                self.decoration(&self.place(span), anchor, tag.is_some());
                self.enter(span, '[', Contents::Sequence(Vec::new()));
            }
            Event::MappingStart(anchor, tag) => {
                self.decoration(&self.place(span), anchor, tag.is_some());
                let contents = Contents::Mapping { entries: Vec::new(), key: None, seen: BTreeMap::new() };
                self.enter(span, '{', contents);
            }
            Event::SequenceEnd | Event::MappingEnd => self.leave(span),
            Event::Alias(_) => {
                let place = self.place(span);
                self.all.push(alias(&place));
                // Something has to stand in its place so that the rest can still be checked.
                self.add(Node { place, kind: Kind::Scalar { text: String::new(), style: Style::Plain } });
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd => {}
        }
    }

    /// An anchor or a tag in front of a value.
    fn decoration(&mut self, place: &TextPlace, anchor: usize, tagged: bool) {
        if anchor == 0 && !tagged {
            return;
        }
        let sign = if anchor == 0 { '!' } else { '&' };
        let place = self.before(place, sign);
        self.all.push(if anchor == 0 {
            Diagnostic::new(&place, "tags are not allowed")
                .help("delete the tag; write text in quotes where it could be taken for something else")
        } else {
            alias(&place)
        });
    }

    /// The word that starts with `sign` and stands last before `place`; `place` itself if there is none.
    fn before(&self, place: &TextPlace, sign: char) -> TextPlace {
        let text = self.source.text();
        let end = place.range().end;
        let Some(at) = text[..end].rfind(sign) else { return place.clone() };
        let start = text[..=at].trim_end_matches(sign).len();
        self.word(start)
    }

    /// The word that starts at a byte.
    fn word(&self, start: usize) -> TextPlace {
        let rest = &self.source.text()[start..];
        let length = rest.find(|c: char| c.is_whitespace() || ",[]{}".contains(c)).unwrap_or(rest.len());
        TextPlace::new(self.source, start..start + length)
    }

    fn scalar_place(&self, place: &TextPlace, text: &str, style: Style) -> TextPlace {
        if style == Style::Block {
            return place.clone();
        }
        if text.is_empty() {
            // Nothing is written: the key says it best.
            if let Some(Open { contents: Contents::Mapping { key: Some(key), .. }, .. }) = self.open.last() {
                return key.place.clone();
            }
            return TextPlace::new(self.source, place.range().start..place.range().start + 1);
        }
        let length = place.text().trim_end().len();
        TextPlace::new(self.source, place.range().start..place.range().start + length)
    }

    fn enter(&mut self, span: Span, bracket: char, contents: Contents) {
        let start = self.offset(span.start);
        if self.open.len() == MAX_DEPTH {
            let place = TextPlace::new(self.source, start..start + 1);
            let message = format!("the file is nested more than {MAX_DEPTH} levels deep");
            self.stop(Diagnostic::new(&place, message).help("is this the right file?"));
            return;
        }
        let flow = self.source.text()[start..].starts_with(bracket);
        self.open.push(Open { start, flow, contents });
    }

    fn leave(&mut self, span: Span) {
        let Some(open) = self.open.pop() else { return };
        let last_end = match &open.contents {
            Contents::Sequence(elements) => elements.last().map(|node| node.place.range().end),
            Contents::Mapping { entries, .. } => {
                entries.last().map(|(key, value)| key.place.range().end.max(value.place.range().end))
            }
        };
        // A block ends where its last value does; its own end is read only at the next line that has content.
        let end = if open.flow { self.offset(span.end) } else { last_end.unwrap_or(open.start) };
        let place = TextPlace::new(self.source, open.start..end);
        let kind = match open.contents {
            Contents::Sequence(elements) => Kind::Sequence(elements),
            Contents::Mapping { entries, .. } => Kind::Mapping(entries),
        };
        self.add(Node { place, kind });
    }

    fn add(&mut self, node: Node) {
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return;
        };
        match &mut open.contents {
            Contents::Sequence(elements) => elements.push(node),
            Contents::Mapping { entries, key, seen } => {
                let Some(name) = key.take() else {
                    check_key(&node, &mut self.all);
                    *key = Some(node);
                    return;
                };
                // A key that is no word was complained about when it was read.
                let Some(text) = name.raw().filter(|_| !name.is_null()) else { return };
                if let Some(first) = seen.get(text) {
                    self.all.push(
                        Diagnostic::new(&name.place, format!("the key `{text}` is written twice"))
                            .label("again here")
                            .secondary(first, "first here")
                            .help("YAML would silently drop one of them; keep the one that is meant"),
                    );
                } else {
                    seen.insert(text.to_owned(), name.place.clone());
                    entries.push((name, node));
                }
            }
        }
    }
}

fn check_key(node: &Node, all: &mut Diagnostics) {
    match node.raw() {
        None => all.push(
            Diagnostic::new(&node.place, format!("{} cannot be a key", node.describe()))
                .help("a key is one word or text; write a value with `{` or `[` in quotes if it is meant as text"),
        ),
        Some("<<") => all.push(
            Diagnostic::new(&node.place, "merge keys are not allowed")
                .help("write the values out; what several files share belongs into a file they extend"),
        ),
        Some(_) if node.is_null() => all.push(Diagnostic::new(&node.place, "a key is missing")),
        Some(_) => {}
    }
}

fn alias(place: &TextPlace) -> Diagnostic {
    Diagnostic::new(place, "anchors and aliases are not allowed")
        .help("write the value where it is used, or in quotes if `&` or `*` is meant as text")
}

/// The last character before `at` that can be seen: an error at the end of a file shows there.
fn last_visible(source: &Arc<SourceText>, at: usize) -> TextPlace {
    let before = source.text().get(..at).unwrap_or_default().trim_end();
    let start = before.char_indices().next_back().map_or(0, |(start, _)| start);
    TextPlace::new(source, start..before.len())
}

#[cfg(test)]
mod tests {
    use super::super::document::tests::refused_all;

    #[test]
    fn keys_must_be_single_words_written_once() {
        insta::assert_snapshot!(refused_all(&["a: 1\nb: { c: 1, c: 2 }\n\"a\": 3\n", "[a, b]: 1\n", "<<: { a: 1 }\n", ": 1\n"]), @r#"
        error: the key `c` is written twice
         --> t.yaml:2:12
          |
        2 | b: { c: 1, c: 2 }
          |      -     ^ again here
          |      |
          |      first here
          |
          = help: YAML would silently drop one of them; keep the one that is meant

        error: the key `a` is written twice
         --> t.yaml:3:1
          |
        1 | a: 1
          | - first here
        2 | b: { c: 1, c: 2 }
        3 | "a": 3
          | ^^^ again here
          |
          = help: YAML would silently drop one of them; keep the one that is meant
        ----
        error: a list cannot be a key
         --> t.yaml:1:1
          |
        1 | [a, b]: 1
          | ^^^^^^
          |
          = help: a key is one word or text; write a value with `{` or `[` in quotes if it is meant as text
        ----
        error: merge keys are not allowed
         --> t.yaml:1:1
          |
        1 | <<: { a: 1 }
          | ^^
          |
          = help: write the values out; what several files share belongs into a file they extend
        ----
        error: a key is missing
         --> t.yaml:1:1
          |
        1 | : 1
          | ^
        "#);
    }

    #[test]
    fn anchors_aliases_and_tags_are_refused() {
        insta::assert_snapshot!(refused_all(&["a: &x 1\nb: *x\nc: &y\n  d: 1\n", "a: *nowhere\n", "a: !!str 5\nb: !own [1]\n"]), @r#"
          error: anchors and aliases are not allowed
           --> t.yaml:1:4
            |
          1 | a: &x 1
            |    ^^
            |
            = help: write the value where it is used, or in quotes if `&` or `*` is meant as text

          error: anchors and aliases are not allowed
           --> t.yaml:2:4
            |
          2 | b: *x
            |    ^^
            |
            = help: write the value where it is used, or in quotes if `&` or `*` is meant as text

          error: anchors and aliases are not allowed
           --> t.yaml:3:4
            |
          3 | c: &y
            |    ^^
            |
            = help: write the value where it is used, or in quotes if `&` or `*` is meant as text
          ----
          error: anchors and aliases are not allowed
           --> t.yaml:1:4
            |
          1 | a: *nowhere
            |    ^^^^^^^^
            |
            = help: write the value where it is used, or in quotes if `&` or `*` is meant as text
          ----
          error: tags are not allowed
           --> t.yaml:1:4
            |
          1 | a: !!str 5
            |    ^^^^^
            |
            = help: delete the tag; write text in quotes where it could be taken for something else

          error: tags are not allowed
           --> t.yaml:2:4
            |
          2 | b: !own [1]
            |    ^^^^
            |
            = help: delete the tag; write text in quotes where it could be taken for something else
          "#);
    }
}
