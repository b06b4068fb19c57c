//! XML as a tree of elements with text: all that the tool's reports need.
//!
//! Entities beyond the five of XML are not expanded, so that a small file cannot grow into a large one.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::smi_error::SmiError;

/// Reports are six deep.
const DEPTH_MAX: usize = 32;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Element {
    pub(super) name: String,
    /// The attribute `id`.
    pub(super) id: Option<String>,
    pub(super) text: String,
    pub(super) children: Vec<Element>,
}

impl Element {
    /// The first child of each name in turn: `pci/pci_gpu_link_info/pcie_gen`.
    pub(super) fn find(&self, path: &str) -> Option<&Self> {
        path.split('/').try_fold(self, |element, name| element.children.iter().find(|child| child.name == name))
    }

    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }
}

/// The root element.
pub(super) fn parse(xml: &str) -> Result<Element, SmiError> {
    let mut reader = Reader::from_str(xml);
    let mut open: Vec<Element> = vec![Element::default()];
    loop {
        let event = reader.read_event();
        let malformed = |detail: String| SmiError::Malformed { at: reader.error_position(), detail };
        match event.map_err(|error| malformed(error.to_string()))? {
            Event::Start(start) => {
                if open.len() > DEPTH_MAX {
                    return Err(SmiError::TooDeep);
                }
                open.push(started(&start));
            }
            Event::Empty(start) => add(&mut open, started(&start)),
            Event::End(_) => {
                if let Some(mut done) = open.pop() {
                    done.text = String::from(done.text.trim());
                    add(&mut open, done);
                }
            }
            Event::Text(text) => say(&mut open, &text.decode().map_err(|error| malformed(error.to_string()))?),
            Event::CData(text) => say(&mut open, &text.decode().map_err(|error| malformed(error.to_string()))?),
            Event::GeneralRef(name) => {
                let name = name.decode().map_err(|error| malformed(error.to_string()))?;
                say(&mut open, quick_xml::escape::resolve_predefined_entity(&name).unwrap_or_default());
            }
            Event::Eof => break,
            Event::Decl(_) | Event::DocType(_) | Event::Comment(_) | Event::PI(_) => {}
        }
    }
    let unclosed = open.len() > 1;
    let root = open.into_iter().next().and_then(|mut document| document.children.pop());
    match root {
        Some(root) if !unclosed => Ok(root),
        _ => Err(SmiError::Malformed { at: xml.len() as u64, detail: "the document ends too early".to_owned() }),
    }
}

fn started(start: &BytesStart<'_>) -> Element {
    let id = start.attributes().flatten().find(|attribute| attribute.key.as_ref() == b"id");
    Element {
        name: String::from_utf8_lossy(start.name().as_ref()).into_owned(),
        id: id.map(|attribute| String::from_utf8_lossy(&attribute.value).into_owned()),
        ..Element::default()
    }
}

fn add(open: &mut [Element], done: Element) {
    if let Some(parent) = open.last_mut() {
        parent.children.push(done);
    }
}

fn say(open: &mut [Element], text: &str) {
    if let Some(element) = open.last_mut() {
        element.text.push_str(text);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn elements_are_found_by_their_path() {
        let root = parse("<?xml version=\"1.0\" ?><a><b id=\"x\"> 1 &lt; 2 </b><c/></a>").expect("xml");
        assert_eq!(root.find("b").map(|b| (b.text.as_str(), b.id.as_deref())), Some(("1 < 2", Some("x"))));
        assert_eq!(root.find("c/d"), None);
    }

    #[test]
    fn a_document_cut_short_is_malformed_and_a_tower_too_deep() {
        assert!(matches!(parse("<a><b>1</b>"), Err(SmiError::Malformed { .. })));
        assert!(matches!(parse("<a><b>1</a>"), Err(SmiError::Malformed { .. })));
        assert!(matches!(parse(""), Err(SmiError::Malformed { .. })));
        assert_eq!(parse(&"<a>".repeat(1000)), Err(SmiError::TooDeep));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "[<>/a&;!\\[\\]\"= -]{0,60}") {
            let _ = parse(&text);
        }
    }
}
