//! serde over the tree: data structs read themselves, and errors still know their place and the nearest right name.
//!
//! serde stops at the first error. To find all of them, the value that failed is hidden and the whole is read again, until
//! nothing new fails; what then only fails because something is hidden is not reported. Fields of `#[serde(flatten)]`,
//! `untagged` and internally tagged enums are buffered by serde itself: their errors are placed at the mapping around them.

use serde::de::{DeserializeOwned, Deserializer, Visitor};

use super::access::{Choice, Elements, Entries};
use super::failure::{Failure, Hidden, Identity};
use super::scalar::Meaning;
use super::{Diagnostics, Document, Kind, Node};

/// Reads the document in `bytes` as `T`; `name` is what messages call the file.
pub fn from_bytes<T: DeserializeOwned>(name: &str, bytes: &[u8]) -> Result<T, Diagnostics> {
    let document = Document::parse(name, bytes)?;
    let mut all = Diagnostics::new();
    let value = from_node(&document.root, &mut all);
    all.or(value)
}

/// Each round hides one more value that failed. Nobody reads more errors than this, and a file of many thousand mistakes
/// must not take many thousand readings.
const MAX_ROUNDS: usize = 120;

/// Reads `node` as `T`. `None` means that something was pushed to `all`.
pub fn from_node<T: DeserializeOwned>(node: &Node, all: &mut Diagnostics) -> Option<T> {
    let mut hidden = Hidden::default();
    let mut failed = false;
    for _ in 0..MAX_ROUNDS {
        match T::deserialize(Reader { node, hidden: &hidden }) {
            Ok(value) => return (!failed).then_some(value),
            Err(error) => {
                let error = error.at(node);
                failed = true;
                let culprit = error.culprit.unwrap_or(Identity::of(node));
                if !error.follows {
                    all.push(error.diagnostic(node));
                }
                if culprit == Identity::of(node) || !hidden.0.insert(culprit) {
                    return None;
                }
            }
        }
    }
    None
}

#[derive(Clone, Copy)]
pub(super) struct Reader<'n, 'h> {
    pub(super) node: &'n Node,
    pub(super) hidden: &'h Hidden,
}

impl<'n> Reader<'n, '_> {
    /// Runs `read` on this node, so that what fails in it is placed here unless it already has a place further in.
    fn reading<T>(self, read: impl FnOnce(&'n Node) -> Result<T, Failure>) -> Result<T, Failure> {
        read(self.node).map_err(|mut error| {
            // Nothing is missing where it is only hidden.
            if error.culprit.is_none() {
                error.follows |= match (error.missing, self.node.entries()) {
                    (Some(missing), Some(entries)) => {
                        entries.iter().any(|(key, value)| key.raw() == Some(missing) && self.hidden.has(value))
                    }
                    _ => self.hidden.has_any_in(self.node),
                };
            }
            error.at(self.node)
        })
    }

    fn integer<T: TryFrom<i128>>(node: &Node) -> Result<T, Failure> {
        let value = node.read_integer()?;
        T::try_from(value).map_err(|_| {
            let problem = if value < 0 { "must not be negative" } else { "is too large" };
            Failure::new(format!("`{value}` {problem}"))
        })
    }
}

macro_rules! integers {
    ($($method:ident $visit:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
            self.reading(|node| visitor.$visit(Self::integer(node)?))
        })*
    };
}

impl<'de, 'n: 'de> Deserializer<'de> for Reader<'n, '_> {
    type Error = Failure;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match &self.node.kind {
            Kind::Sequence(_) => self.deserialize_seq(visitor),
            Kind::Mapping(_) => self.deserialize_map(visitor),
            Kind::Scalar { .. } => self.reading(|node| match node.meaning()? {
                None | Some(Meaning::Null) => visitor.visit_unit(),
                Some(Meaning::Bool(value)) => visitor.visit_bool(value),
                Some(Meaning::Unsigned(value)) => visitor.visit_u64(value),
                Some(Meaning::Signed(value)) => visitor.visit_i64(value),
                Some(Meaning::Float(value)) => visitor.visit_f64(value),
                Some(Meaning::Text(text)) => visitor.visit_str(text),
            }),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.reading(|node| visitor.visit_bool(node.read_bool()?))
    }

    integers! {
        deserialize_i8 visit_i8 deserialize_i16 visit_i16 deserialize_i32 visit_i32 deserialize_i64 visit_i64
        deserialize_u8 visit_u8 deserialize_u16 visit_u16 deserialize_u32 visit_u32 deserialize_u64 visit_u64
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.reading(|node| visitor.visit_f64(node.read_number()?))
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_str(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.reading(|node| visitor.visit_str(node.read_text()?))
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_str(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        if self.node.is_null() { visitor.visit_none() } else { self.reading(|_| visitor.visit_some(self)) }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.reading(|node| {
            if node.is_null() {
                visitor.visit_unit()
            } else {
                Err(Failure::new(format!("expected nothing, found {}", node.describe())))
            }
        })
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Failure> {
        self.reading(|_| visitor.visit_newtype_struct(self))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.reading(|node| {
            let Some(elements) = node.elements() else {
                let help = Some("write `[a, b]`, or one `- ` line for each".to_owned());
                return Err(Failure { help, ..Failure::new(format!("expected a list, found {}", node.describe())) });
            };
            visitor.visit_seq(Elements { elements: elements.iter(), hidden: self.hidden })
        })
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.reading(|node| match &node.kind {
            Kind::Mapping(entries) => {
                visitor.visit_map(Entries { rest: entries.iter(), value: None, hidden: self.hidden })
            }
            _ => Err(Failure::new(format!("expected a mapping, found {}", node.describe()))),
        })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.reading(|node| match &node.kind {
            Kind::Scalar { .. } => {
                node.read_text()?;
                visitor.visit_enum(Choice { name: node, content: None, hidden: self.hidden })
            }
            Kind::Mapping(entries) if entries.len() == 1 => {
                let (name, content) = &entries[0];
                if self.hidden.has(content) {
                    return Err(Failure { follows: true, ..Failure::new("hidden") });
                }
                visitor.visit_enum(Choice { name, content: Some(content), hidden: self.hidden })
            }
            _ => {
                let known: Vec<String> = variants.iter().map(|name| format!("`{name}`")).collect();
                let message = format!("expected one of {}, found {}", known.join(", "), node.describe());
                let help = Some("write the word alone, or `{ word: { … } }` with a single key".to_owned());
                Err(Failure { help, ..Failure::new(message) })
            }
        })
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_str(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_unit()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "kebab-case")]
    struct Part {
        name: String,
        #[serde(default)]
        count: Option<u8>,
        #[serde(default)]
        spare: bool,
        #[serde(default)]
        factors: Vec<f64>,
        #[serde(default)]
        by_slot: BTreeMap<u8, i32>,
        #[serde(default)]
        change: Vec<Change>,
        #[serde(default)]
        component: Option<Slot>,
    }

    /// Reads itself from text, as components do.
    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(try_from = "String")]
    struct Slot(u8);

    impl TryFrom<String> for Slot {
        type Error = String;

        fn try_from(text: String) -> Result<Self, String> {
            let number = text.strip_prefix("gpu/").and_then(|number| number.parse().ok());
            number.map(Self).ok_or_else(|| format!("`{text}` names no slot"))
        }
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "kebab-case", deny_unknown_fields)]
    enum Change {
        Gone,
        Drift {
            #[serde(default)]
            rate: f64,
        },
        Limit(u32),
        Between(f64, f64),
    }

    #[test]
    fn structs_and_enums_read_in_every_form() {
        let part: Part = from_bytes(
            "part.yaml",
            b"name: 08\ncount: ~\nspare: true\nfactors: [1, 2.5, -3e2]\nby-slot: { 1: -5, 2: 7 }\n\
              change: [gone, drift, { drift: { rate: 2 } }, { limit: 7 }, { between: [1, 2] }, gone: ]\ncomponent: gpu/3\n",
        )
        .unwrap();
        let expected = Part {
            name: "08".to_owned(),
            count: None,
            spare: true,
            factors: vec![1.0, 2.5, -300.0],
            by_slot: BTreeMap::from([(1, -5), (2, 7)]),
            change: vec![
                Change::Gone,
                Change::Drift { rate: 0.0 },
                Change::Drift { rate: 2.0 },
                Change::Limit(7),
                Change::Between(1.0, 2.0),
                Change::Gone,
            ],
            component: Some(Slot(3)),
        };
        assert_eq!(part, expected);
    }

    #[test]
    fn a_file_of_many_thousand_mistakes_is_refused_in_a_bounded_number_of_rounds() {
        let many = "- x\n".repeat(20_000);
        let error = from_bytes::<Vec<u8>>("many.yaml", many.as_bytes()).unwrap_err();
        assert_eq!(error.len(), MAX_ROUNDS);
    }

    #[test]
    fn all_errors_of_a_file_are_found_and_placed() {
        let error = from_bytes::<BTreeMap<String, Vec<Part>>>(
            "parts.yaml",
            b"first:\n  - nam: x\n    count: 300\n    spare: yes\n    factors: [1, two, 3]\n  - { name: a, component: gpu }\n\
              second:\n  - name: y\n    by-slot: { 08: 1, 1: high }\n    change:\n      - gonne\n      - drift: { rat: 1 }\n      \
              - { limit: -1 }\n      - limit\n      - { gone: 1 }\n      - [gone]\nthird: 5\n",
        )
        .unwrap_err();
        insta::assert_snapshot!(error, @r#"
        error: there is no key `nam` here
         --> parts.yaml:2:5
          |
        2 |   - nam: x
          |     ^^^ unknown key
          |
          = help: did you mean `name`?

        error: the key `name` is missing
         --> parts.yaml:2:5
          |
        2 |   - nam: x
          |     ^^^ `name` is missing here

        error: `300` is too large
         --> parts.yaml:3:12
          |
        3 |     count: 300
          |            ^^^

        error: expected `true` or `false`, found `yes`
         --> parts.yaml:4:12
          |
        4 |     spare: yes
          |            ^^^
          |
          = help: write `true`

        error: expected a number, found `two`
         --> parts.yaml:5:18
          |
        5 |     factors: [1, two, 3]
          |                  ^^^

        error: `gpu` names no slot
         --> parts.yaml:6:27
          |
        6 |   - { name: a, component: gpu }
          |                           ^^^

        error: `08` starts with a zero: YAML 1.1 reads such a number as octal, YAML 1.2 does not
         --> parts.yaml:9:16
          |
        9 |     by-slot: { 08: 1, 1: high }
          |                ^^
          |
          = help: write 8, or quotes for text

        error: expected a whole number, found `high`
         --> parts.yaml:9:26
          |
        9 |     by-slot: { 08: 1, 1: high }
          |                          ^^^^

        error: unknown word `gonne`
          --> parts.yaml:11:9
           |
        11 |       - gonne
           |         ^^^^^
           |
           = help: did you mean `gone`?

        error: there is no key `rat` here
          --> parts.yaml:12:18
           |
        12 |       - drift: { rat: 1 }
           |                  ^^^ unknown key
           |
           = help: did you mean `rate`?

        error: `-1` must not be negative
          --> parts.yaml:13:18
           |
        13 |       - { limit: -1 }
           |                  ^^

        error: `limit` needs a value
          --> parts.yaml:14:9
           |
        14 |       - limit
           |         ^^^^^
           |
           = help: write `{ limit: … }`

        error: `gone` takes no value
          --> parts.yaml:15:17
           |
        15 |       - { gone: 1 }
           |                 ^

        error: expected one of `gone`, `drift`, `limit`, `between`, found a list
          --> parts.yaml:16:9
           |
        16 |       - [gone]
           |         ^^^^^^
           |
           = help: write the word alone, or `{ word: { … } }` with a single key

        error: expected a list, found `5`
          --> parts.yaml:17:8
           |
        17 | third: 5
           |        ^
           |
           = help: write `[a, b]`, or one `- ` line for each
        "#);
    }
}
