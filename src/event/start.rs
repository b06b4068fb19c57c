//! The first event of a run: who, what, with which tool, on which node, and what was asked for.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use kiln_limit::LotRange;
use kiln_profile::{PartsList, Profile};

/// Everything known when a run begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunStart {
    /// UUID, version 7.
    pub run_id: String,
    pub tool: ToolVersion,
    pub kind: RunKind,
    pub source: NodeSource,
    /// `sha256:…` of the files that a simulated node is made from: under the same name there may be another one later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_digest: Option<String>,
    /// What the readings of hardware rest on besides it; `None` where there is none, and in journals of older programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub surroundings: Option<Surroundings>,
    pub operation: Operation,
    pub seed: u64,
    pub profile: Profile,
    /// `sha256:…` of the profile's canonical JSON.
    pub profile_digest: String,
    /// The bill of materials the unit was held against, if one was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parts: Option<PartsList>,
    /// `sha256:…` of the facts of each GPU model that was not built in: limits stand on them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sku_digests: BTreeMap<String, String>,
    /// Baseline values for `of baseline` limits: `step.measurement[component]` to value.
    pub baseline: BTreeMap<String, f64>,
    /// What the good units of the lot measured, for `lot` of steps; `None` of a first lot, or where nobody gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lot: Option<LotFacts>,
    /// How far the gauge may be off, by `stage.step.measurement`, from a gauge study (`kiln msa`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub guard_bands: BTreeMap<String, f64>,
    /// Carried, so that reports made again from the journal are those that were asked for.
    #[serde(default, skip_serializing_if = "JunitDialect::is_strict")]
    pub junit: JunitDialect,
}

impl RunStart {
    /// A run with nothing beside its profile and its node: no parts list, lot, baseline or person. The profile's digest is left
    /// empty; it matters to what is kept.
    pub fn plain(run_id: &str, profile: Profile, source: NodeSource) -> Self {
        Self {
            run_id: run_id.to_owned(),
            tool: ToolVersion { name: "kiln".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() },
            kind: RunKind::Production,
            source,
            source_digest: None,
            surroundings: None,
            operation: Operation::default(),
            seed: 1,
            profile,
            profile_digest: String::new(),
            parts: None,
            sku_digests: BTreeMap::new(),
            baseline: BTreeMap::new(),
            lot: None,
            guard_bands: BTreeMap::new(),
            junit: JunitDialect::default(),
        }
    }
}

/// What a run needs of a lot's facts to hold its unit against them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LotFacts {
    /// `sha256:…` of the lot's file.
    pub digest: String,
    /// Of units that were simulated.
    pub simulated: bool,
    pub units: usize,
    /// Share of good units that may be held, in percent.
    pub budget_percent: f64,
    pub values: Vec<LotValue>,
    /// What limits stand on and the unit is not held by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<LotValue>,
}

/// Where good units lie in one measurement of one place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LotValue {
    /// `stage.step.measurement`.
    pub value: String,
    pub chassis: String,
    /// Of the GPU; empty of what is no GPU's.
    pub model: String,
    /// Slot of the GPU, or the component where it has none.
    pub place: String,
    pub range: LotRange,
}

/// Which form of JUnit a run leaves in its directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JunitDialect {
    /// Valid under the schema of Jenkins.
    #[default]
    Strict,
    /// With properties, attachments and times of every case.
    Rich,
}

impl JunitDialect {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
    const fn is_strict(&self) -> bool {
        matches!(self, Self::Strict)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ToolVersion {
    pub name: String,
    pub version: String,
}

/// What a run counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RunKind {
    Production,
    /// Narrowed by `--only`.
    Partial,
    /// Everything ran, but less of it than the profile stands for.
    Deviating,
}

/// Where readings came from. Carried, never looked at by the core.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NodeSource {
    Hardware,
    /// A model, asked for by name.
    Simulated {
        node: String,
        seed: u64,
        faults: Vec<String>,
        /// How far its healthy parts lie from one another.
        #[serde(default, skip_serializing_if = "kiln_model::Spread::is_tight")]
        spread: kiln_model::Spread,
    },
    /// A recording.
    Replayed {
        file: String,
    },
    /// A driver library that says of itself that there is no hardware behind it.
    StandIn {
        library: String,
    },
}

impl NodeSource {
    /// Whether the readings are of real hardware, now.
    pub const fn is_hardware(&self) -> bool {
        matches!(self, Self::Hardware)
    }
}

/// Where the driver's libraries and the host's files came from: another library could tell of GPUs that are not there.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Surroundings {
    /// The file of NVIDIA's management library, as it was loaded.
    pub nvml: String,
    /// The CUDA driver's library, as the loads ask for it.
    pub cuda: String,
    /// Where the host's `/proc`, `/sys` and `/dev` were looked for.
    pub host_root: String,
    /// What was set to another than the usual place: variables of the environment and options by their names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub changed: BTreeMap<String, String>,
}

impl std::fmt::Display for Surroundings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { nvml, cuda, host_root, changed } = self;
        write!(f, "{nvml}, {cuda}, host at {host_root}")?;
        changed.iter().try_for_each(|(name, value)| write!(f, ", {name}={value}"))
    }
}

/// What the floor says about this run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Operation {
    /// Scanned serial number of the node.
    pub serial: Option<String>,
    pub station: Option<String>,
    pub operator: Option<String>,
    pub order: Option<String>,
}

impl RunKind {
    /// What a run of this profile counts as. `spoiled`: a fault of our own making must not count for or against the unit.
    pub fn of(profile: &kiln_profile::Profile, spoiled: bool) -> Self {
        use kiln_profile::Deviation;
        if spoiled || profile.deviations.iter().any(|one| matches!(one, Deviation::Only { .. })) {
            Self::Partial
        } else if profile.deviations.iter().any(Deviation::lessens) {
            Self::Deviating
        } else {
            Self::Production
        }
    }

    /// The word in what machines read.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Production => "production",
            Self::Partial => "partial",
            Self::Deviating => "deviating",
        }
    }
}
