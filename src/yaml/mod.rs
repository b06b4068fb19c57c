//! Reading the YAML files people write: a tree in which every node knows its place, errors that show the place, and two
//! ways to turn the tree into data (by hand with [`Fields`], or through serde with [`from_node`]).
//!
//! What a file means is left to the layers above. The answers to YAML's traps are decided here, once, for every file:
//!
//! | what is written | answer |
//! | --- | --- |
//! | not UTF-8, a control or text-direction character | refused, placed |
//! | byte order mark at the start | skipped; anywhere else refused |
//! | a tab before the first word of a line, or right after `:` | refused everywhere, even where YAML would allow it |
//! | the same key twice in one mapping | refused at the second, pointing at the first |
//! | `yes no on off y n` where true or false is wanted | refused, with what to write; where text is wanted they are text |
//! | `08`, `010`, `1_000` where a number is wanted | refused: YAML 1.1 and 1.2 read them differently |
//! | `.inf`, `.nan` where a number is wanted | refused |
//! | a plain number or boolean where text is wanted | taken as text exactly as typed |
//! | nothing (`key:`), `~` or `null` where something is wanted | refused; quote the word to mean it |
//! | anchors, aliases, `<<` | refused: every value stands where it is used; also rules out alias bombs |
//! | tags (`!!str`, `!x`), directives (`%YAML`) | refused |
//! | more than one document, an empty file | refused |
//! | keys that are not one word of text | refused |
//! | more than 1 MiB, more than 64 levels | refused |
//!
//! Syntax errors end the reading at the first one, as what follows cannot be trusted; all other errors are collected.

mod access;
mod bridge;
mod builder;
mod diagnostic;
mod document;
mod failure;
mod fields;
mod lexical;
mod nearest;
mod node;
mod scalar;
mod source;
mod syntax;

pub use bridge::{from_bytes, from_node};
pub use diagnostic::{Diagnostic, Diagnostics};
pub use document::{Document, MAX_BYTES, MAX_DEPTH};
pub use fields::Fields;
pub use nearest::{did_you_mean, nearest};
pub use node::{Kind, Node, Style};
pub use source::{SourceText, TextPlace};
