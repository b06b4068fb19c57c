//! What a site decided: which profiles a unit must pass, and how often a run that made no claim is repeated.

use std::collections::BTreeMap;
use std::time::Duration;

use kiln_wire::Digest;
use serde::{Deserialize, Serialize};

/// One stop of a unit's route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stop {
    /// A shipped profile's name.
    pub profile: String,
    /// What the profile must be; not given, the node's own is trusted and told.
    #[serde(default)]
    pub digest: Option<Digest>,
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
}

/// A site's rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Every profile a unit must pass, in order.
    pub route: Vec<Stop>,
    /// How often a run that ended without a claim (ERROR, INCONCLUSIVE, ABORTED) is repeated by itself.
    pub repeats_without_claim: u32,
    /// How often agents are to call.
    pub poll_every: Duration,
}

impl Policy {
    /// The rules of a floor that was given none: one profile, one repeat, a call every two seconds.
    pub fn one_profile(profile: &str) -> Self {
        let stop = Stop { profile: profile.to_owned(), digest: None, variables: BTreeMap::new() };
        Self { route: vec![stop], repeats_without_claim: 1, poll_every: Duration::from_secs(2) }
    }
}
