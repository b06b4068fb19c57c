//! What the YAML parser says of a syntax error, put so that a person can act on it.

/// What the parser says to `power: >= 5 W`.
pub(super) const UNQUOTED: &str = "while scanning a block scalar, did not find expected comment or line break";

/// The parser's words for a mistake, in ours where a person would not understand them.
pub(super) fn explain(info: &str) -> (String, Option<&'static str>) {
    let (message, help) = match info {
        "mapping values are not allowed in this context" => (
            "a `:` is not allowed here",
            Some(
                "a value that contains `: ` must be in quotes; a key must stand on its own line, indented like its siblings",
            ),
        ),
        "simple key expect ':'" | "simple key expected" => {
            ("a key without `:`", Some("write `key: value`; check the indentation of this line and the one before"))
        }
        "while parsing a block mapping, did not find expected key" => {
            ("a key was expected here", Some("check the indentation: keys of one mapping start in the same column"))
        }
        "while parsing a block collection, did not find expected '-' indicator" => {
            ("a list item was expected here", Some("items of one list start with `- ` in the same column"))
        }
        "while parsing a flow mapping, did not find expected ',' or '}'" => ("`,` or `}` was expected here", None),
        "while parsing a flow sequence, expected ',' or ']'" => ("`,` or `]` was expected here", None),
        "while scanning a quoted scalar, found unexpected end of stream" => ("a quote is never closed", None),
        "while parsing a node, did not find expected node content" => (
            "a value was expected here",
            Some("text that starts with one of `` [ ] { } , & * ! | > % @ ` `` must be in quotes"),
        ),
        "invalid indentation" | "invalid indentation in flow construct" => {
            ("the indentation does not fit", Some("lines inside brackets are indented deeper than their key"))
        }
        "while parsing a quoted scalar, found unknown escape character" => (
            "an unknown escape in double quotes",
            Some("use single quotes: a backslash is then a backslash (regular expressions need this)"),
        ),
        UNQUOTED => (
            "a value that starts with `>` or `|` must be in quotes",
            Some("write for example `power.mean: \">= 95 % of sku.tdp\"`"),
        ),
        "illegal placement of ':' indicator" => {
            ("a `:` is not allowed here", Some("a bracket before it may never be closed"))
        }
        "':' must be followed by a valid YAML whitespace" | "tabs disallowed in this context" => {
            ("a `:` must be followed by a space", Some("write `key: value`; a tab is no space"))
        }
        _ if info.starts_with("unexpected character") => (
            "a value cannot start with this character",
            Some("text that starts with one of `` [ ] { } , & * ! | > % @ ` `` must be in quotes"),
        ),
        "recursion limit exceeded" => ("the file is nested too deep", Some("is this the right file?")),
        other => return (format!("not valid YAML: {other}"), None),
    };
    (message.to_owned(), help)
}

#[cfg(test)]
mod tests {
    use super::super::document::tests::refused_all;

    #[test]
    fn misplaced_words_are_explained() {
        insta::assert_snapshot!(refused_all(&[
            "a: 1\n b: 2\n",
            "a: b: c\n",
            "a:\n  - 1\n - 2\n",
            "a\nb: 1\n",
            "a: 1\nb\n",
        ]), @r#"
        error: a `:` is not allowed here
         --> t.yaml:2:3
          |
        2 |  b: 2
          |   ^
          |
          = help: a value that contains `: ` must be in quotes; a key must stand on its own line, indented like its siblings
        ----
        error: a `:` is not allowed here
         --> t.yaml:1:5
          |
        1 | a: b: c
          |     ^
          |
          = help: a value that contains `: ` must be in quotes; a key must stand on its own line, indented like its siblings
        ----
        error: a key was expected here
         --> t.yaml:3:2
          |
        3 |  - 2
          |  ^
          |
          = help: check the indentation: keys of one mapping start in the same column
        ----
        error: a `:` is not allowed here
         --> t.yaml:2:2
          |
        2 | b: 1
          |  ^
          |
          = help: a value that contains `: ` must be in quotes; a key must stand on its own line, indented like its siblings
        ----
        error: a key without `:`
         --> t.yaml:2:1
          |
        2 | b
          | ^
          |
          = help: write `key: value`; check the indentation of this line and the one before
        "#);
    }

    #[test]
    fn open_brackets_and_values_that_need_quotes_are_explained() {
        insta::assert_snapshot!(refused_all(&[
            "a: [1, 2\nb: 3\n",
            "a: {x: 1\n",
            "a: 'open\n",
            "a: \"\\d\"\n",
            "a: @x\n",
            "a: `x`\n",
            "limits: { power: >= 95 % }\n",
            "limits:\n  power: >= 95 %\n",
        ]), @r#"
        error: a `:` is not allowed here
         --> t.yaml:2:2
          |
        2 | b: 3
          |  ^
          |
          = help: a bracket before it may never be closed
        ----
        error: `,` or `}` was expected here
         --> t.yaml:1:8
          |
        1 | a: {x: 1
          |        ^
          |
          = help: the file ends here: a bracket before it may never be closed
        ----
        error: a quote is never closed
         --> t.yaml:1:4
          |
        1 | a: 'open
          |    ^
        ----
        error: an unknown escape in double quotes
         --> t.yaml:1:4
          |
        1 | a: "\d"
          |    ^
          |
          = help: use single quotes: a backslash is then a backslash (regular expressions need this)
        ----
        error: a value cannot start with this character
         --> t.yaml:1:4
          |
        1 | a: @x
          |    ^
          |
          = help: text that starts with one of `` [ ] { } , & * ! | > % @ ` `` must be in quotes
        ----
        error: a value cannot start with this character
         --> t.yaml:1:4
          |
        1 | a: `x`
          |    ^
          |
          = help: text that starts with one of `` [ ] { } , & * ! | > % @ ` `` must be in quotes
        ----
        error: a value that starts with `>` or `|` must be in quotes
         --> t.yaml:1:18
          |
        1 | limits: { power: >= 95 % }
          |                  ^^^^^^^
          |
          = help: write for example `power.mean: ">= 95 % of sku.tdp"`
        ----
        error: a value that starts with `>` or `|` must be in quotes
         --> t.yaml:2:10
          |
        2 |   power: >= 95 %
          |          ^
          |
          = help: write for example `power.mean: ">= 95 % of sku.tdp"`
        "#);
    }
}
