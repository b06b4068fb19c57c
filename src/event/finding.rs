//! What is wrong, where, why, and what to do: the form of a finding. How findings are made is for `diagnose`.

use serde::{Deserialize, Serialize};

use super::Evidence;
use kiln_model::{Component, Text};

/// One cause, with the part to act on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Stable and countable: `GPU-COOLING-CONTACT`.
    pub code: String,
    /// The smallest component with evidence.
    pub component: Component,
    /// More than one where the evidence cannot tell them apart; then it is ambiguous and says so.
    pub suspects: Vec<Component>,
    pub serial: Option<String>,
    pub slot: Option<String>,
    pub pci_address: Option<String>,
    pub cause: Text,
    pub action: Action,
    pub confidence: Confidence,
    pub evidence: Vec<Evidence>,
}

/// The one thing to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    Reseat,
    ReplaceFru,
    CheckCoolant,
    CheckCooling,
    CheckPower,
    Reconfigure,
    UpdateFirmware,
    RetestLonger,
    /// Reset the GPU, then test again.
    ResetGpu,
    /// Start the node again, then test again.
    Reboot,
    FixStation,
    CallEngineer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Confidence {
    Low,
    Medium,
    High,
}
