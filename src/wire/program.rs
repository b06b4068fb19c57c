//! Programs of agents: which one an agent is, which one it is to become, and why it did not.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Digest;

/// A program that an agent is to become. It stands until the agent calls as that program, or says that it did not take it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upgrade {
    /// Which offer this is. What an agent says of an earlier one says nothing of this.
    pub offer: u64,
    /// Of the program's bytes.
    pub program: Digest,
    /// In bytes.
    pub size: u64,
    /// An Ed25519 signature over the program's bytes, in hexadecimal digits, where the floor has one.
    #[serde(default)]
    pub signature: Option<String>,
    /// How long the program may take to reach the floor before the agent goes back to the one before.
    pub within: Duration,
}

/// Why an agent did not become the program that it was offered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NotTaken {
    /// What came has another digest.
    WrongDigest { found: Digest },
    /// The node asks for a signature, and the program has none.
    Unsigned,
    /// Its signature is not that of the key which the node was given.
    WrongSignature,
    /// It could not be put into the spool.
    Unkept { why: String },
    /// The node does not start it.
    WillNotStart { why: String },
    /// It was started, and did not reach the floor in time or ended before.
    FellBack,
}

/// A program that an agent did not become.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Declined {
    pub offer: u64,
    pub program: Digest,
    pub why: NotTaken,
}

/// What an answer rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Basis {
    /// The floor decided, and kept it.
    #[default]
    Decided,
    /// The floor decides nothing on this call, and repeats what it knew: it cannot reach its events now, or the call is of an
    /// earlier boot and may have come late.
    Memory,
}
