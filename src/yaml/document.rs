//! From the bytes of a file to its tree.

use std::sync::Arc;

use super::builder::Builder;
use super::{Diagnostic, Diagnostics, Node, SourceText, TextPlace, lexical};

/// Larger than any sensible profile by two orders of magnitude, small enough to read at once.
pub const MAX_BYTES: usize = 1 << 20;

/// Deeper than any grammar read here by an order of magnitude; bounds the recursion of everything that walks the tree.
pub const MAX_DEPTH: usize = 64;

/// One YAML file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    pub source: Arc<SourceText>,
    pub root: Node,
}

impl Document {
    /// Reads the one document in `bytes`; `name` is what messages call the file.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self, Diagnostics> {
        let mut all = Diagnostics::new();
        if bytes.len() > MAX_BYTES {
            let place = TextPlace::new(&SourceText::new(name, ""), 0..0);
            let message = format!("the file is {} bytes long, more than the {MAX_BYTES} that are read", bytes.len());
            all.push(Diagnostic::new(&place, message).help("is this the right file? split it if it is"));
            return Err(all);
        }
        let source = lexical::decode(name, bytes)?;
        lexical::check(&source, &mut all);
        if !all.is_empty() {
            return Err(all);
        }
        let (root, mut all) = Builder::new(&source).run();
        if root.is_none() && all.is_empty() {
            let place = TextPlace::new(&source, 0..0);
            all.push(
                Diagnostic::new(&place, "the file is empty").help("it holds no value, only comments or blanks at most"),
            );
        }
        all.or(root.map(|root| Self { source, root }))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn refused(bytes: &[u8]) -> String {
        Document::parse("t.yaml", bytes).unwrap_err().render(false)
    }

    pub(crate) fn refused_all(cases: &[&str]) -> String {
        cases.iter().map(|case| refused(case.as_bytes())).collect::<Vec<_>>().join("\n----\n")
    }

    #[test]
    fn every_node_knows_its_place() {
        let text = "\u{feff}# 注\r\n名: 値\r\nlist:\r\n  - {a: [1, 2], \"b\": 'c'}\r\n  - two words  # c\r\n\r\nlast: |\r\n  x\r\n";
        let document = Document::parse("t.yaml", text.as_bytes()).unwrap();
        let mut seen = Vec::new();
        walk(&document.root, &mut seen);
        insta::assert_snapshot!(seen.join("\n"), @r#"
        t.yaml:2:1 "名: 値\r\nlist:\r\n  - {a: [1, 2], \"b\": 'c'}\r\n  - two words  # c\r\n\r\nlast: |\r\n  x\r\n"
        t.yaml:2:1 "名"
        t.yaml:2:4 "値"
        t.yaml:3:1 "list"
        t.yaml:4:3 "- {a: [1, 2], \"b\": 'c'}\r\n  - two words"
        t.yaml:4:5 "{a: [1, 2], \"b\": 'c'}"
        t.yaml:4:6 "a"
        t.yaml:4:9 "[1, 2]"
        t.yaml:4:10 "1"
        t.yaml:4:13 "2"
        t.yaml:4:17 "\"b\""
        t.yaml:4:22 "'c'"
        t.yaml:5:5 "two words"
        t.yaml:7:1 "last"
        t.yaml:8:3 "x\r\n"
        "#);
    }

    fn walk(node: &Node, seen: &mut Vec<String>) {
        seen.push(format!("{} {:?}", node.place, node.place.text()));
        for (key, value) in node.entries().unwrap_or_default() {
            walk(key, seen);
            walk(value, seen);
        }
        node.elements().unwrap_or_default().iter().for_each(|element| walk(element, seen));
    }

    #[test]
    fn files_that_hold_no_single_document_are_refused() {
        insta::assert_snapshot!(refused_all(&["", "# nothing\n", "a: 1\n---\nb: 2\n", "%YAML 1.1\n---\na: no\n"]), @r#"
        error: the file is empty
        --> t.yaml
         = help: it holds no value, only comments or blanks at most
        ----
        error: the file is empty
        --> t.yaml
         = help: it holds no value, only comments or blanks at most
        ----
        error: a second document starts here
         --> t.yaml:2:1
          |
        2 | ---
          | ^^^
          |
          = help: one file holds one document; delete the `---` or split the file
        ----
        error: directives are not allowed
         --> t.yaml:1:1
          |
        1 | %YAML 1.1
          | ^^^^^^^^^
          |
          = help: delete the line; files are always read as YAML 1.2
        "#);
        insta::assert_snapshot!(refused(&vec![b' '; MAX_BYTES + 1]), @r#"
        error: the file is 1048577 bytes long, more than the 1048576 that are read
        --> t.yaml
         = help: is this the right file? split it if it is
        "#);
        assert!(Document::parse("t.yaml", b"---\na: 1\n...\n").is_ok(), "one explicit document is one document");
    }

    #[test]
    fn depth_has_a_limit() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(Document::parse("t.yaml", nested(MAX_DEPTH).as_bytes()).is_ok());
        insta::assert_snapshot!(refused(nested(MAX_DEPTH + 1).as_bytes()), @r#"
        error: the file is nested more than 64 levels deep
         --> t.yaml:1:65
          |
        1 | [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]
          |                                                                 ^
          |
          = help: is this the right file?
        "#);
        insta::assert_snapshot!(refused("[".repeat(100_000).as_bytes()), @r#"
        error: the file is nested too deep
         --> t.yaml:1:256
          |
        1 | ...[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[...
          |                                                                    ^
          |
          = help: is this the right file?
        "#);
        let blocks: Vec<String> = (0..100).map(|level| format!("{}a:\n", " ".repeat(level))).collect();
        assert!(refused(blocks.concat().as_bytes()).contains("nested more than 64 levels deep"));
    }
}
