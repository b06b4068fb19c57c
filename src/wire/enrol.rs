//! How an agent gets its certificate: it sends a request that its own key signed, and what its machine says of itself. The
//! floor answers with a code to compare until a person has approved the key, and with a certificate from then on.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{AgentId, BootId, Generation, Position, RunId, Serial, SlotId, Spooled, Version};

/// The most facts a machine says of itself, and the longest of them.
pub const EVIDENCE_MOST: usize = 32;
pub const EVIDENCE_LONGEST: usize = 200;

/// An agent asks for a certificate. One that shows a certificate which still holds has it renewed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrol {
    pub wire: Version,
    pub agent: AgentId,
    pub boot: BootId,
    pub serial: Option<Serial>,
    #[serde(default)]
    pub slot: Option<SlotId>,
    #[serde(default)]
    pub version: Option<String>,
    /// PKCS#10, as PEM, signed with the agent's Ed25519 key. Only its key is taken from it.
    pub request: String,
    /// Serial numbers, addresses and the like, by name. They can be invented: they help a person to look, no more.
    #[serde(default)]
    pub evidence: BTreeMap<String, String>,
}

/// The floor's answer to an [`Enrol`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Enrolled {
    /// A person has not approved it yet. Whoever stands at the machine compares this code with the page's.
    Pending { code: String, again: Duration },
    /// As PEM, with how long it is good for.
    Certified { certificate: String, good_for: Duration },
}

/// What an agent sends when the floor has all of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandOver {
    pub run: RunId,
    pub generation: Generation,
    pub journal: Position,
    pub telemetry: u64,
    pub ended: bool,
    /// `seal.json` over exactly these files, by the agent's key. Without TLS an agent has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seal: Option<String>,
}

impl HandOver {
    pub fn of(spooled: &Spooled, seal: Option<String>) -> Self {
        let Spooled { run, generation, journal, telemetry, ended } = spooled.clone();
        Self { run, generation, journal, telemetry, ended, seal }
    }
}
