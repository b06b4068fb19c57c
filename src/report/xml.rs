//! Writing XML: elements, attributes and text, escaped, without anything XML 1.0 cannot hold.

use std::fmt::Display;

use super::plain::plain;

/// A document in the making, indented by two spaces a level.
#[derive(Debug)]
pub struct Xml {
    text: String,
    /// Names of the open elements, and whether each has children.
    open: Vec<&'static str>,
    /// The innermost element's start tag is not closed yet.
    in_tag: bool,
}

impl Default for Xml {
    fn default() -> Self {
        Self::new()
    }
}

impl Xml {
    pub fn new() -> Self {
        Self { text: "<?xml version=\"1.0\" encoding=\"UTF-8\"?>".to_owned(), open: Vec::new(), in_tag: false }
    }

    pub fn open(&mut self, name: &'static str) {
        self.end_tag();
        self.line();
        self.text.push('<');
        self.text.push_str(name);
        self.open.push(name);
        self.in_tag = true;
    }

    /// Of the element opened last.
    pub fn attribute(&mut self, name: &str, value: impl Display) {
        debug_assert!(self.in_tag, "attributes come before content");
        self.text.push(' ');
        self.text.push_str(name);
        self.text.push_str("=\"");
        escape(&mut self.text, &value.to_string(), true);
        self.text.push('"');
    }

    /// Text as the only content of the element opened last; closes it.
    pub fn close_with(&mut self, text: &str) {
        self.end_tag();
        escape(&mut self.text, text, false);
        if let Some(name) = self.open.pop() {
            self.text.push_str("</");
            self.text.push_str(name);
            self.text.push('>');
        }
    }

    pub fn close(&mut self) {
        let Some(name) = self.open.pop() else { return };
        if std::mem::take(&mut self.in_tag) {
            self.text.push_str("/>");
        } else {
            self.line();
            self.text.push_str("</");
            self.text.push_str(name);
            self.text.push('>');
        }
    }

    pub fn finish(mut self) -> String {
        while !self.open.is_empty() {
            self.close();
        }
        self.text.push('\n');
        self.text
    }

    fn end_tag(&mut self) {
        if std::mem::take(&mut self.in_tag) {
            self.text.push('>');
        }
    }

    fn line(&mut self) {
        self.text.push('\n');
        self.text.extend(std::iter::repeat_n("  ", self.open.len()));
    }
}

fn escape(into: &mut String, text: &str, attribute: bool) {
    for character in plain(text).chars() {
        match character {
            '<' => into.push_str("&lt;"),
            '>' => into.push_str("&gt;"),
            '&' => into.push_str("&amp;"),
            '"' if attribute => into.push_str("&quot;"),
            // A reader turns a bare line break in an attribute into a space.
            '\n' if attribute => into.push_str("&#10;"),
            '\t' if attribute => into.push_str("&#9;"),
            other => into.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_nest_and_escape() {
        let mut xml = Xml::new();
        xml.open("a");
        xml.attribute("b", "1 < 2 & \"3\"\n'4'");
        xml.open("c");
        xml.close_with("]]> & <d>");
        xml.open("e");
        xml.close();
        assert_eq!(
            xml.finish(),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<a b=\"1 &lt; 2 &amp; &quot;3&quot;&#10;'4'\">\n  <c>]]&gt; &amp; &lt;d&gt;</c>\n  <e/>\n</a>\n"
        );
    }
}
