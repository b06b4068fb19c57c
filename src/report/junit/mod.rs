//! `junit.xml`: one test case for every step and component, in two dialects.
//!
//! `strict` is what Jenkins' own schema accepts. `rich` adds properties, times and attachments to every case, and tells of
//! earlier attempts in the elements the JUnit plugin of Jenkins reads; that schema refuses such a file.

mod dialect;
mod suites;
#[cfg(test)]
mod tests;
mod write;

pub use dialect::Junit;
pub use write::junit;
