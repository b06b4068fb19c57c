//! Decodes a mapping by hand: required keys, optional keys, and at the end a complaint about all others.

use super::{Diagnostic, Diagnostics, Node, did_you_mean};

/// The keys of one mapping. Those that were asked for are remembered.
#[derive(Debug)]
pub struct Fields<'n> {
    node: &'n Node,
    what: &'static str,
    entries: &'n [(Node, Node)],
    taken: Vec<&'static str>,
}

impl<'n> Fields<'n> {
    /// Starts reading `node`. Messages call it `what`, with an article: "a stage".
    pub fn of(node: &'n Node, what: &'static str, all: &mut Diagnostics) -> Option<Self> {
        let entries = node.mapping(what, all)?;
        Some(Self { node, what, entries, taken: Vec::new() })
    }

    /// Returns the value of `key`. A key without a value (`key:`) is an error: it looks like a setting and means nothing.
    pub fn optional(&mut self, key: &'static str, all: &mut Diagnostics) -> Option<&'n Node> {
        self.taken.push(key);
        let (name, value) = self.entries.iter().find(|(name, _)| name.raw() == Some(key))?;
        if value.is_null() {
            all.push(
                Diagnostic::new(&name.place, format!("`{key}` has no value")).help("write one, or delete the line"),
            );
            return None;
        }
        Some(value)
    }

    pub fn required(&mut self, key: &'static str, all: &mut Diagnostics) -> Option<&'n Node> {
        let value = self.optional(key, all);
        if value.is_none() && !self.has(key) {
            let place = self.entries.first().map_or(&self.node.place, |(name, _)| &name.place);
            all.push(
                Diagnostic::new(place, format!("{} needs `{key}`", self.what))
                    .label(format!("`{key}` is missing here")),
            );
        }
        value
    }

    pub fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|(name, _)| name.raw() == Some(key))
    }

    /// Returns the node of the key itself, for messages that point at it.
    pub fn key(&self, key: &str) -> Option<&'n Node> {
        self.entries.iter().find(|(name, _)| name.raw() == Some(key)).map(|(name, _)| name)
    }

    pub fn node(&self) -> &'n Node {
        self.node
    }

    /// Requires `schema: EXPECTED`, which says what kind of file this is and in which version.
    pub fn schema(&mut self, expected: &str, all: &mut Diagnostics) {
        if let Some(node) = self.required("schema", all)
            && let Some(schema) = node.text(all)
            && schema != expected
        {
            let message = format!("this is `{schema}`, and this program reads `{expected}`");
            all.push(Diagnostic::new(&node.place, message));
        }
    }

    /// Reports every key that was never asked for, and suggests the nearest one that was.
    pub fn finish(self, all: &mut Diagnostics) {
        for (name, _) in self.entries {
            let Some(text) = name.raw() else { continue };
            if !self.taken.contains(&text) {
                let help = did_you_mean(text, self.taken.iter().copied());
                let message = format!("{} has no key `{text}`", self.what);
                all.push(Diagnostic::new(&name.place, message).label("unknown key").maybe_help(help));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Document;

    #[test]
    fn every_wrong_key_is_reported_at_once() {
        let document = Document::parse("t.yaml", b"idd: 1\ntitle:\ncount: many\ndeep: { a: 1 }\n").unwrap();
        let mut all = Diagnostics::new();
        let mut fields = Fields::of(&document.root, "a stage", &mut all).unwrap();
        assert!(fields.required("id", &mut all).is_none());
        assert!(fields.optional("title", &mut all).is_none());
        let count = fields.optional("count", &mut all).and_then(|node| node.whole::<u32>(&mut all));
        assert_eq!(count, None);
        fields.finish(&mut all);
        insta::assert_snapshot!(all.render(false), @r#"
        error: a stage needs `id`
         --> t.yaml:1:1
          |
        1 | idd: 1
          | ^^^ `id` is missing here

        error: a stage has no key `idd`
         --> t.yaml:1:1
          |
        1 | idd: 1
          | ^^^ unknown key
          |
          = help: did you mean `id`?

        error: `title` has no value
         --> t.yaml:2:1
          |
        2 | title:
          | ^^^^^
          |
          = help: write one, or delete the line

        error: expected a whole number, found `many`
         --> t.yaml:3:8
          |
        3 | count: many
          |        ^^^^

        error: a stage has no key `deep`
         --> t.yaml:4:1
          |
        4 | deep: { a: 1 }
          | ^^^^ unknown key
          |
          = help: known: `id`, `title`, `count`
        "#);
    }
}
