//! Why a text was not understood or a launch was ended.

use std::fmt;

/// What kind of mistake it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The text is not PTX, or names what is not there.
    Syntax,
    /// PTX that this interpreter does not cover.
    Unsupported,
    /// An address outside of everything that was allocated.
    Bounds,
    Alignment,
    /// A register or memory was read that nobody wrote.
    Unwritten,
    /// Two threads met at one place and nothing put them in order.
    Race,
    /// Ordinary stores were read by an asynchronous unit without a proxy fence.
    Proxy,
    /// Lanes missed an instruction that takes their whole warp.
    Convergence,
    /// Nothing can go on, or the launch does not end.
    Stuck,
    /// The order of instructions that the tensor units ask for was broken.
    Protocol,
}

/// A mistake with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub kind: Kind,
    pub said: String,
    /// Line of the PTX; 0 where it has none.
    pub line: u32,
}

impl Fault {
    pub(crate) fn new(kind: Kind, said: impl Into<String>) -> Self {
        Self { kind, said: said.into(), line: 0 }
    }

    pub(crate) fn at(mut self, line: u32) -> Self {
        if self.line == 0 {
            self.line = line;
        }
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "line {}: {:?}: {}", self.line, self.kind, self.said)
    }
}

impl std::error::Error for Fault {}

pub(crate) fn unsupported<T>(said: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::new(Kind::Unsupported, said))
}

pub(crate) fn syntax<T>(said: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::new(Kind::Syntax, said))
}

pub(crate) fn protocol<T>(said: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::new(Kind::Protocol, said))
}
